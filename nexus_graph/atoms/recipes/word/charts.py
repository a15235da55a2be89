"""The words and values of charts and diagrams (SmartArt), which are parts of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from nexus_graph.atoms.decoding import unreadable
from nexus_graph.atoms.recipes.word.names import DGM, A, C
from nexus_graph.atoms.recipes.word.parts import READS

_MOST_VALUES: Final = 1_000_000
_DIGITS: Final = 15
_FRACTION = re.compile(r"-?[0-9]+\.[0-9]+(?:E[+-]?[0-9]{1,3})?")
_UNSEEN_POINTS: Final = frozenset({"pres", "parTrans", "sibTrans"})


def chart(root: Any) -> str:
    """The titles and labels of a chart, and its series as a grid: a row a category, a column a series."""
    written = [*lines(root), *(value for title in root.iter(f"{C}title") for value in _values(title))]
    names: list[str] = []
    columns: list[dict[str, str]] = []
    labels: dict[str, str] = {}
    for series in root.iter(f"{C}ser"):
        names.append(" ".join(_points(series, "tx").values()))
        for place, label in _points(series, "cat", "xVal").items():
            labels.setdefault(place, label)
        columns.append(_points(series, "val", "yVal"))
    places = dict.fromkeys([*labels, *(place for column in columns for place in column)])
    if len(places) * len(columns) > _MOST_VALUES:
        raise unreadable(READS, f"a chart has more than {_MOST_VALUES:,} values")
    if any(names):
        written.append("\t".join(["", *names]))
    written += ("\t".join([labels.get(place, ""), *(column.get(place, "") for column in columns)]) for place in places)
    return "\n".join(written)


def diagram(root: Any) -> str:
    """The words of a diagram, a line for each of its points."""
    points = (
        point.find(f"{DGM}t") for point in root.iter(f"{DGM}pt") if point.get("type", "node") not in _UNSEEN_POINTS
    )
    return "\n".join(" ".join(lines(words)) for words in points if words is not None and any(lines(words)))


def lines(body: Any) -> Iterator[str]:
    """The paragraphs of DrawingML text that are not blank."""
    for paragraph in body.iter(f"{A}p"):
        words = "".join("\n" if item.tag == f"{A}br" else item.text or "" for item in paragraph.iter(f"{A}t", f"{A}br"))
        if words.strip():
            yield words


def _points(series: Any, *names: str) -> dict[str, str]:
    """The values that are kept for a part of a series, by their place; labels on several levels are joined."""
    found: dict[str, str] = {}
    for name in names:
        axis = series.find(f"{C}{name}")
        if axis is None:
            continue
        for point in axis.iter(f"{C}pt"):
            place, words = point.get("idx", ""), _shown(point.findtext(f"{C}v") or "")
            found[place] = f"{found[place]} {words}" if place in found else words
        if not found and (only := axis.findtext(f"{C}v")):
            found["0"] = only
    return found


def _shown(words: str) -> str:
    """A value without the digits that are there only because numbers are kept in binary."""
    if len(words) <= _DIGITS or not _FRACTION.fullmatch(words):
        return words
    return f"{float(words):.{_DIGITS}g}"


def _values(title: Any) -> Iterator[str]:
    return (item.text for item in title.iter(f"{C}v") if (item.text or "").strip())
