"""Named parameters as numbers, `:name` becomes `$1`, for drivers that know no names; or as the values themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from nexus_graph.stores.statement import Value

_PART = re.compile(r"'(?:[^']|'')*'|::|:([A-Za-z_]\w*)")


@lru_cache(maxsize=2048)
def numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """The statement with numbers in place of names, and the names in their order. Quoted text stays what it is."""
    numbers: dict[str, int] = {}

    def place(found: re.Match[str]) -> str:
        name = found[1]
        return found[0] if name is None else f"${numbers.setdefault(name, len(numbers) + 1)}"

    return _PART.sub(place, sql), tuple(numbers)


def filled(sql: str, values: Mapping[str, Value]) -> str:
    """The statement with its values in it, for several in one message, which can't have parameters.

    Text and bytes stand there in hexadecimal digits, so that nothing in them means anything to the server.
    """

    def value(found: re.Match[str]) -> str:
        return found[0] if found[1] is None else _literal(values[found[1]])

    return _PART.sub(value, sql)


def _literal(value: Value) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"({value})"
    if isinstance(value, float):
        return f"('{value!r}'::float8)"
    if isinstance(value, str):
        return f"convert_from(decode('{value.encode().hex()}', 'hex'), 'UTF8')"
    return f"decode('{value.hex()}', 'hex')"
