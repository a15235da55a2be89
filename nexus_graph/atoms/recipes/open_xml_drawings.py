"""What lies on top of the cells of an Open XML sheet: comments, and drawings with their text boxes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from nexus_graph.atoms.recipes.grids import Piece, column_number
from nexus_graph.atoms.recipes.open_xml_parts import Relation, local, rich_text
from nexus_graph.atoms.recipes.packages import Package

_CELL = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")

Met = tuple[str, int | None, int | None]
"""A kind of thing that is left out, and the row and column where it begins."""


def comments(package: Package, relations: Sequence[Relation]) -> Iterator[Piece]:
    """The comments of a sheet. Of a thread the entries; the old comment that repeats them is for old programs."""
    threaded: set[str] = set()
    for kind in ("threadedComment", "comments"):
        for relation in relations:
            if relation.kind != kind:
                continue
            for element in package.tree(relation.part).iter("{*}threadedComment", "{*}comment"):
                reference = element.get("ref", "")
                cell = _CELL.fullmatch(reference)
                if cell is None or (kind == "comments" and reference in threaded):
                    continue
                if kind == "threadedComment":
                    threaded.add(reference)
                texts = (child for child in element if local(child) == "text")
                said = "\n".join(child.text or "" if kind == "threadedComment" else rich_text(child) for child in texts)
                yield Piece("comment", said, int(cell[2]), column_number(cell[1]))


def drawing(package: Package, part: str) -> Iterator[Piece | Met]:
    """The text boxes of a drawing, and what it shows beside."""
    yield from _shapes(package.tree(part), None, None)


def _shapes(group: Any, row: int | None, column: int | None) -> Iterator[Piece | Met]:
    """Recursion is bounded: libxml2 refuses documents deeper than 256."""
    for shape in group:
        name = local(shape)
        if name == "sp":
            body = next((child for child in shape if local(child) == "txBody"), ())
            yield Piece("text_box", "\n".join(_paragraph(child) for child in body if local(child) == "p"), row, column)
        elif name == "pic":
            yield "picture", row, column
        elif name == "graphicFrame":
            chart = any("chart" in element.get("uri", "") for element in shape.iter("{*}graphicData"))
            yield "chart" if chart else "object", row, column
        elif name.endswith("Anchor"):
            place = next((child for child in shape if local(child) == "from"), ())
            steps = {local(child): int(child.text or "0") + 1 for child in place}
            yield from _shapes(shape, steps.get("row"), steps.get("col"))
        elif name in ("grpSp", "AlternateContent", "Choice"):
            yield from _shapes(shape, row, column)


def _paragraph(element: Any) -> str:
    pieces = ((found.text or "") if local(found) == "t" else "\n" for found in element.iter("{*}t", "{*}br"))
    return "".join(pieces)
