"""Tables as grids: cells are joined by tabs and rows by line feeds, and each value stays under its column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from nexus_graph.atoms.model import LeftOut
from nexus_graph.atoms.recipes.word.containers import children
from nexus_graph.atoms.recipes.word.names import W, has_words, is_on, number, value
from nexus_graph.atoms.recipes.word.omissions import DELETED, HIDDEN
from nexus_graph.atoms.recipes.word.text import Block, Found, Story

if TYPE_CHECKING:
    from nexus_graph.atoms.recipes.word.reader import Reader

_WIDEST: Final = 63  # columns: Word has no more


def read(reader: Reader, table: Any, story: Story) -> Iterator[Found]:
    """The grid of a table, and then what stands beside it: tables and boxes in its cells, notes.

    A cell that spans columns fills the first, the others are empty, as are cells that go on from the row above. Rows
    and cells that were deleted under review are left out.
    """
    rows: list[str] = []
    beside: list[Found] = []
    for row in children(table, story.place, f"{W}tr"):
        if isinstance(row, LeftOut):
            beside.append(row)
            continue
        properties = row.find(f"{W}trPr")
        gone = _gone(properties)
        if gone is not None:
            if has_words(row):
                beside.append(LeftOut(gone, story.place))
            continue
        cells = [""] * _span(value(properties, "gridBefore"), 0)
        for cell in children(row, story.place, f"{W}tc"):
            cells += _cell(reader, cell, story, beside)
        cells += [""] * _span(value(properties, "gridAfter"), 0)
        rows.append("\t".join(cells))
    if rows:
        yield Block(story.kind or "table", "\n".join(rows), story.part, grid=True)
    yield from beside


def _cell(reader: Reader, cell: Any, story: Story, beside: list[Found]) -> list[str]:
    """A cell as one line, and an empty one for each further column that it spans."""
    if isinstance(cell, LeftOut):
        beside.append(cell)
        return []
    properties = cell.find(f"{W}tcPr")
    if properties is not None and properties.find(f"{W}cellDel") is not None:
        if has_words(cell):
            beside.append(LeftOut(DELETED, story.place))
        return []
    words: list[str] = []
    for found in reader.blocks(cell, story):
        if isinstance(found, Block) and found.part == story.part and not found.grid:
            words += found.text.split()
        else:
            beside.append(found)
    if words and _goes_on(properties):
        beside.append(LeftOut(HIDDEN, story.place))
        words = []
    return [" ".join(words), *[""] * (_span(value(properties, "gridSpan"), 1) - 1)]


def _gone(properties: Any) -> str | None:
    """Why a row is not shown, or None."""
    if properties is None:
        return None
    if properties.find(f"{W}del") is not None:
        return DELETED
    return HIDDEN if is_on(properties.find(f"{W}hidden")) else None


def _goes_on(properties: Any) -> bool:
    """Whether a cell is the lower or further part of one that was merged: nothing in it is shown."""
    merges = (properties.find(f"{W}{name}") for name in ("vMerge", "hMerge")) if properties is not None else ()
    return any(merge is not None and merge.get(f"{W}val", "continue") == "continue" for merge in merges)


def _span(text: str | None, usual: int) -> int:
    found = number(text)
    return usual if found is None else max(usual, min(found, _WIDEST))
