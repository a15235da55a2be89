"""Tables as grids: cells are joined by tabs and rows by line feeds, and each value stays under its column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from nexus_graph.atoms.model import LeftOut
from nexus_graph.atoms.recipes.word.containers import children
from nexus_graph.atoms.recipes.word.names import VALUE, W, has_words, is_on, number, properties
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
        stated = properties(row.find(f"{W}trPr"))
        gone = _gone(stated)
        if gone is not None:
            if has_words(row):
                beside.append(LeftOut(gone, story.place))
            continue
        cells = [""] * _span(stated.get(f"{W}gridBefore"), 0)
        for cell in children(row, story.place, f"{W}tc"):
            cells += _cell(reader, cell, story, beside)
        cells += [""] * _span(stated.get(f"{W}gridAfter"), 0)
        rows.append("\t".join(cells))
    if rows:
        yield Block(story.kind or "table", "\n".join(rows), story.part, grid=True)
    yield from beside


def _cell(reader: Reader, cell: Any, story: Story, beside: list[Found]) -> list[str]:
    """A cell as one line, and an empty one for each further column that it spans."""
    if isinstance(cell, LeftOut):
        beside.append(cell)
        return []
    stated = properties(cell.find(f"{W}tcPr"))
    if f"{W}cellDel" in stated:
        if has_words(cell):
            beside.append(LeftOut(DELETED, story.place))
        return []
    words: list[str] = []
    for found in reader.blocks(cell, story):
        if isinstance(found, Block) and found.part == story.part and not found.grid:
            words += found.text.split()
        else:
            beside.append(found)
    if words and _goes_on(stated):
        beside.append(LeftOut(HIDDEN, story.place))
        words = []
    return [" ".join(words), *[""] * (_span(stated.get(f"{W}gridSpan"), 1) - 1)]


def _gone(stated: Mapping[str, Any]) -> str | None:
    """Why a row with these properties is not shown, or None."""
    if f"{W}del" in stated:
        return DELETED
    return HIDDEN if is_on(stated.get(f"{W}hidden")) else None


def _goes_on(stated: Mapping[str, Any]) -> bool:
    """Whether a cell is the lower or further part of one that was merged: nothing in it is shown."""
    merges = (stated.get(f"{W}vMerge"), stated.get(f"{W}hMerge"))
    return any(merge is not None and merge.get(VALUE, "continue") == "continue" for merge in merges)


def _span(element: Any, usual: int) -> int:
    found = None if element is None else number(element.get(VALUE))
    return usual if found is None else max(usual, min(found, _WIDEST))
