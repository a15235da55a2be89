"""Named parameters as numbers: `:name` becomes `$1`, for drivers that know no names."""

from __future__ import annotations

import re
from functools import lru_cache

_PART = re.compile(r"'(?:[^']|'')*'|::|:([A-Za-z_]\w*)")


@lru_cache(maxsize=2048)
def numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """The statement with numbers in place of names, and the names in their order. Quoted text stays what it is."""
    numbers: dict[str, int] = {}

    def place(found: re.Match[str]) -> str:
        name = found[1]
        return found[0] if name is None else f"${numbers.setdefault(name, len(numbers) + 1)}"

    return _PART.sub(place, sql), tuple(numbers)
