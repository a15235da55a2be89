"""What the recipe for Word files leaves out, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nexus_graph.atoms.model import Omission

HIDDEN: Final = "hidden text"
DELETED: Final = "deletion"
PLACEHOLDER: Final = "placeholder"
UNUSED: Final = "unused part"
PICTURE: Final = "picture"
DECORATION: Final = "decoration"
OBJECT: Final = "embedded object"
CHUNK: Final = "altChunk"
FIELD: Final = "field"
SYMBOL: Final = "symbol"
NUMBERS: Final = "number format"
MISSING: Final = "missing part"
MACROS: Final = "macros"

LEAVES_OUT: Final[Mapping[str, Omission]] = {
    HIDDEN: Omission("hidden text in {place}", intended=True),
    DELETED: Omission("text in {place} that was deleted or moved away under review", intended=True),
    PLACEHOLDER: Omission("placeholders in {place} that nobody has filled in", intended=True),
    UNUSED: Omission("{place}, which no page shows", intended=True),
    DECORATION: Omission("the picture {place}, marked as decoration", intended=True),
    MACROS: Omission("the program code of macros", intended=True),
    PICTURE: Omission("the picture {place}"),
    OBJECT: Omission("the embedded object {place}"),
    CHUNK: Omission("altChunk {place}"),
    FIELD: Omission("what the field {place} computes"),
    SYMBOL: Omission("the symbol {place}, which has no known meaning"),
    NUMBERS: Omission("the look of numbers in the format {place}, which are given as plain digits"),
    MISSING: Omission("the part {place}, which the file refers to and does not hold"),
}
