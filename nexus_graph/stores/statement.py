"""Literal SQL that can't forget its tenant.

A statement is written once, at import, with named parameters. It must use `:tenant_id` and `:env`, which only the
handle fills in. `:names...` stands for a list and is widened to the next power of two, so that few distinct statements
exist. An empty list is `(NULL)`: nothing is in it, and nothing is certainly not in it either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import NoneType
from typing import Any

from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.scope import Scope

Value = str | int | float | bytes | None
Values = Mapping[str, Value | Sequence[Value]]

_LIST = re.compile(r":(\w+)\.\.\.")
_COMMENT = re.compile(r"--|/\*")
_TENANT = re.compile(r":tenant_id\b")
_ENV = re.compile(r":env\b")
MOST_IN_A_LIST = 4096
_PLAIN = frozenset((int, float, bytes, bool, NoneType))


class Statement:
    """SQL bound to one tenant and env. `tenant_wide` is for what all envs of a tenant share: its members."""

    __slots__ = ("lists", "sql")

    def __init__(self, sql: str, *, tenant_wide: bool = False) -> None:
        if not _TENANT.search(sql) or not (tenant_wide or _ENV.search(sql)) or _COMMENT.search(sql):
            raise ValueError(f"A statement must filter by :tenant_id and :env and hold no comment: {sql}")
        self.sql = sql
        self.lists = tuple(sorted({*_LIST.findall(sql)}))

    def bind(self, values: Values) -> tuple[str, dict[str, Value]]:
        """The SQL to send and its parameters.

        Raises ValueError for a list over 4,096 or a value that does not fit, Invalid for text with a NUL character.
        """
        return self._bound({**values})

    def within(self, scope: Scope, **values: Value | Sequence[Value]) -> tuple[str, dict[str, Value]]:
        """The same, of the tenant and env of a scope."""
        values["tenant_id"], values["env"] = scope.key
        return self._bound(values)

    def _bound(self, values: dict[str, Any]) -> tuple[str, dict[str, Value]]:
        """The same, in the place of the values, which are nobody else's."""
        widths = tuple((name, _spread(name, values)) for name in self.lists if name in values)
        require_storable(values)
        return (_widened(self.sql, widths) if widths else self.sql), values


def require_storable(values: Values) -> None:
    """Raises Invalid for text with a NUL character: not every database keeps one, so none of ours does.

    And ValueError for a list, which is no single value.
    """
    for name, value in values.items():
        if type(value) is str:
            if "\0" in value:
                raise Invalid("A text holds the character U+0000, which is not kept.", hint="Leave it out.")
        elif type(value) not in _PLAIN and isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
            raise ValueError(f"{name} must be a single value")


def _spread(name: str, values: dict[str, Any]) -> int:
    """Put the items of a list in its place; so many, that few lists are of other lengths."""
    items = values.pop(name)
    if isinstance(items, (str, bytes)) or not isinstance(items, Sequence):
        raise ValueError(f"{name} must be a list")
    if len(items) > MOST_IN_A_LIST:
        raise ValueError(f"{name} holds {len(items)} items; at most {MOST_IN_A_LIST} go into one statement")
    width = 1 << max(len(items) - 1, 0).bit_length()
    filler = items[-1] if items else None
    for position in range(width):
        values[f"{name}_{position}"] = items[position] if position < len(items) else filler
    return width


@lru_cache(maxsize=1024)
def _widened(sql: str, widths: tuple[tuple[str, int], ...]) -> str:
    for name, width in widths:
        sql = sql.replace(f":{name}...", ", ".join(f":{name}_{position}" for position in range(width)))
    return sql
