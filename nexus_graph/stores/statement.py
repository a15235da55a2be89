"""Literal SQL that can't forget its tenant.

A statement is written once, at import, with named parameters. It must use `:tenant_id` and `:env`, which only the
handle fills in. `:names...` stands for a list and is widened to the next power of two, so that few distinct statements
exist. An empty list is `(NULL)`: nothing is in it, and nothing is certainly not in it either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import NoneType

from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.scope import Scope

Value = str | int | float | bytes | None
Values = Mapping[str, Value | Sequence[Value]]

_LIST = re.compile(r":(\w+)\.\.\.")
_COMMENT = re.compile(r"--|/\*")
_TENANT = re.compile(r":tenant_id\b")
_ENV = re.compile(r":env\b")
MOST_IN_A_LIST = 4096
_PLAIN = (str, int, float, bytes, NoneType)


class Statement:
    """SQL bound to one tenant and env. `tenant_wide` is for what all envs of a tenant share: its members."""

    __slots__ = ("lists", "sql")

    def __init__(self, sql: str, *, tenant_wide: bool = False) -> None:
        if not _TENANT.search(sql) or not (tenant_wide or _ENV.search(sql)) or _COMMENT.search(sql):
            raise ValueError(f"A statement must filter by :tenant_id and :env and hold no comment: {sql}")
        self.sql = sql
        self.lists = frozenset(_LIST.findall(sql))

    def bind(self, values: Values) -> tuple[str, dict[str, Value]]:
        """The SQL to send and its parameters.

        Raises ValueError for a list over 4,096 or a value that does not fit, Invalid for text with a NUL character.
        """
        parameters: dict[str, Value] = {}
        widths: list[tuple[str, int]] = []
        for name, value in values.items():
            if name in self.lists:
                if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
                    raise ValueError(f"{name} must be a list")
                widths.append((name, _spread(name, value, parameters)))
            elif not isinstance(value, _PLAIN) and isinstance(value, Sequence):
                raise ValueError(f"{name} must be a single value")
            else:
                parameters[name] = value
        require_storable(parameters.values())
        return (_widened(self.sql, tuple(widths)) if widths else self.sql), parameters

    def within(self, scope: Scope, **values: Value | Sequence[Value]) -> tuple[str, dict[str, Value]]:
        """The same, of the tenant and env of a scope."""
        return self.bind({**values, "tenant_id": scope.tenant_id, "env": scope.env.value})


def require_storable(values: Iterable[Value]) -> None:
    """Raises Invalid for text with a NUL character: not every database keeps one, so none of ours does."""
    for value in values:
        if type(value) is str and "\0" in value:
            raise Invalid("A text holds the character U+0000, which is not kept.", hint="Leave it out.")


def _spread(name: str, items: Sequence[Value], into: dict[str, Value]) -> int:
    if len(items) > MOST_IN_A_LIST:
        raise ValueError(f"{name} holds {len(items)} items; at most {MOST_IN_A_LIST} go into one statement")
    width = 1 << max(len(items) - 1, 0).bit_length()
    filler = items[-1] if items else None
    for position in range(width):
        into[f"{name}_{position}"] = items[position] if position < len(items) else filler
    return width


@lru_cache(maxsize=1024)
def _widened(sql: str, widths: tuple[tuple[str, int], ...]) -> str:
    for name, width in widths:
        sql = sql.replace(f":{name}...", ", ".join(f":{name}_{position}" for position in range(width)))
    return sql
