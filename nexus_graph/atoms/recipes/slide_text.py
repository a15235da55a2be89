"""The text of one slide, from the tree of its shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from nexus_graph.atoms.model import LeftOut

_TITLES: Final = ("title", "ctrTitle")
_FOOTERS: Final = ("ftr", "dt", "hdr")
_ROMAN: Final = tuple(
    zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        ("m", "cm", "d", "cd", "c", "xc", "l", "xl", "x", "ix", "v", "iv", "i"),
        strict=True,
    )
)
_MOST_CELLS: Final = 1_000_000  # of the grid of a chart

Linked = Callable[[str], Any]
"""The root element of the part that an id of a relation leads to, or None."""


class Slide:
    """What stands on a slide, or on its page of notes."""

    def __init__(self, root: Any, place: str, linked: Linked, *, notes: bool = False) -> None:
        """`root` is the element of the slide, `place` what a reader calls it."""
        self.left_out: list[LeftOut] = []
        self.footers: list[str] = []
        self._place, self._linked, self._notes = place, linked, notes
        titles: list[str] = []
        others: list[str] = []
        for is_title, text in self._shapes(root.find("{*}cSld/{*}spTree")):
            (titles if is_title else others).append(text)
        self.text = "\n".join(text for text in (*titles, *others) if text.strip())

    def _omit(self, what: str) -> None:
        self.left_out.append(LeftOut(what, self._place))

    def _shapes(self, tree: Any) -> Iterator[tuple[bool, str]]:
        """Whether it is the title, and the text, of each shape. Depth is bounded: libxml2 refuses more than 256."""
        for shape in () if tree is None else tree:
            kind = local(shape)
            properties = shape.find("*/{*}cNvPr")
            if properties is not None and properties.get("hidden") in ("1", "true"):
                self._omit("hidden shape")
            elif kind == "AlternateContent":
                yield from self._shapes(child(shape, "Choice"))
            elif kind == "grpSp":
                yield from self._shapes(shape)
            elif kind == "sp":
                yield from self._shape(shape)
            elif kind == "graphicFrame":
                yield False, "\n".join(self._graphic(shape))
            elif kind == "pic":
                media = any(local(item) in ("videoFile", "audioFile", "wavAudioFile") for item in shape.iter())
                self._omit("recording" if media else "picture")
            elif kind == "contentPart":
                self._omit("ink")

    def _shape(self, shape: Any) -> Iterator[tuple[bool, str]]:
        mark = shape.find("*/{*}nvPr/{*}ph")
        holder = None if mark is None else mark.get("type", "obj")
        body = child(shape, "txBody")
        if body is None or holder == "sldNum" or (self._notes and holder in (*_FOOTERS, "sldImg")):
            return
        if any(local(item) == "oMath" for item in body.iter()):
            self._omit("equation")
        text = "\n".join(paragraphs(body))
        if holder in _FOOTERS:
            self.footers.append(text)
        else:
            yield holder in _TITLES, text

    def _graphic(self, frame: Any) -> Iterator[str]:
        """The text of a table, a chart or a diagram."""
        known = False
        for item in frame.iter():
            known = known or local(item) in ("tbl", "chart", "relIds")
            match local(item):
                case "tbl":
                    yield _table(item)
                case "chart":
                    yield from self._part(item, "id", "chart", _chart)
                case "relIds":
                    yield from self._part(item, "dm", "diagram", _diagram)
        if not known:
            self._omit("object")

    def _part(self, item: Any, key: str, what: str, read: Callable[[Any], str]) -> Iterator[str]:
        found = (value for name, value in item.attrib.items() if name.endswith(f"}}{key}"))
        root = self._linked(next(found, ""))
        text = "" if root is None else read(root)
        if text:
            yield text
        else:
            self._omit(what)


def paragraphs(body: Any) -> Iterator[str]:
    """The paragraphs of a body of text that hold text, with their numbers."""
    counts: dict[int, tuple[str, int]] = {}
    for paragraph in children(body, "p"):
        text = "".join(_pieces(paragraph)).strip("\n")
        properties = child(paragraph, "pPr")
        level = int(properties.get("lvl", "0")) if properties is not None else 0
        scheme = child(properties, "buAutoNum") if properties is not None else None
        if not text.strip():
            continue
        counts = {known: count for known, count in counts.items() if known <= level}
        if scheme is None:
            counts.pop(level, None)
            yield text
            continue
        kind, first = scheme.get("type", "arabicPeriod"), int(scheme.get("startAt", "1"))
        last = counts.get(level)
        number = last[1] + 1 if last is not None and last[0] == kind else first
        counts[level] = kind, number
        yield f"{_numbered(kind, number)} {text}"


def _pieces(paragraph: Any) -> Iterator[str]:
    for item in paragraph:
        match local(item):
            case "r" | "fld":
                text = child(item, "t")
                yield (text.text or "") if text is not None else ""
            case "br":
                yield "\n"


def _numbered(kind: str, number: int) -> str:
    """A number as it is shown before a paragraph; schemes of other scripts are shown in digits."""
    if kind.startswith("alpha"):
        written = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 % 30 + 1)
    elif kind.startswith("roman") and 0 < number < 4000:
        written, left = "", number
        for value, letters in _ROMAN:
            written += letters * (left // value)
            left %= value
    else:
        written = str(number)
    written = written.upper() if "Uc" in kind else written
    if kind.endswith("ParenBoth"):
        return f"({written})"
    return written + (")" if kind.endswith("ParenR") else "" if kind.endswith("Plain") else ".")


def _table(table: Any) -> str:
    """Rows by line feeds, cells by tabs; a cell is one line, and what a merged cell covers is empty."""
    return "\n".join(
        "\t".join(
            "" if "1" in (cell.get("hMerge"), cell.get("vMerge")) else _cell(cell) for cell in children(row, "tc")
        )
        for row in children(table, "tr")
    )


def _cell(cell: Any) -> str:
    body = child(cell, "txBody")
    return "" if body is None else " ".join(" ".join(paragraphs(body)).split())


def _chart(root: Any) -> str:
    """The titles of a chart and of its axes, and a grid: a row for each category, a column for each series.

    "" for a chart of a newer kind, whose series are kept otherwise, and for one that is too large.
    """
    titles = [" ".join(item.itertext()).split() for item in root.iter("{*}title")]
    names: list[str] = []
    rows: dict[int, str] = {}
    columns: list[dict[int, str]] = []
    for series in root.iter("{*}ser"):
        name = child(series, "tx")
        names.append(" ".join("" if name is None else " ".join(name.itertext("{*}v")).split()))
        for key in ("cat", "xVal"):
            for place, value in _points(child(series, key)).items():
                rows.setdefault(place, value)
        columns.append({**_points(child(series, "val")), **_points(child(series, "yVal"))})
    lines = [" ".join(title) for title in titles if title]
    places = sorted({*rows, *(place for column in columns for place in column)})
    if not columns or len(places) * len(columns) > _MOST_CELLS:
        return ""
    if any(names):
        lines.append("\t".join(["", *names]))
    lines += ("\t".join([rows.get(at, ""), *(column.get(at, "") for column in columns)]) for at in places)
    return "\n".join(lines)


def _points(values: Any) -> dict[int, str]:
    """The values that were kept with a chart, by their place; of several levels of categories the innermost."""
    found: dict[int, str] = {}
    for point in () if values is None else values.iter("{*}pt"):
        value = child(point, "v")
        if value is not None:
            found.setdefault(int(point.get("idx", "0")), " ".join((value.text or "").split()))
    return found


def _diagram(root: Any) -> str:
    """The text of each node, one a line."""
    texts = (" ".join(paragraphs(text)) for text in root.iter("{*}t"))
    return "\n".join(text for text in texts if text)


def local(element: Any) -> str:
    """The name of an element without its namespace; "" for what is no element."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def children(parent: Any, name: str) -> Iterator[Any]:
    """The children of this local name."""
    return (item for item in parent if local(item) == name)


def child(parent: Any, name: str) -> Any:
    """The first child of this local name, or None."""
    return next(children(parent, name), None)
