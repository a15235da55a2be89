"""What the cells of an ods say: values, and paragraphs.

A number has all its digits, and around them what the file shows around the shown ones: signs, units, leading zeros.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from nexus_graph.atoms.recipes.number_formats import digits

PREFIX = "{urn:oasis:names:tc:opendocument:xmlns:"
TEXT, OFFICE, DRAW = f"{PREFIX}text:1.0}}", f"{PREFIX}office:1.0}}", f"{PREFIX}drawing:1.0}}"
_NUMBER = re.compile(r"[0-9](?:[0-9.,'’\u00a0\u202f ]*[0-9])?")
_PADDED = re.compile(r"0[0-9]+")
_DURATION = re.compile(r"-?P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:[.,](\d+))?S)?")
_WRITTEN = {f"{TEXT}tab": "\t", f"{TEXT}line-break": "\n"}
_MOST_SPACES = 1000


def told(cell: Any) -> str:
    """What a cell says."""
    kind = cell.get(f"{OFFICE}value-type", "string")
    shown = paragraphs(cell)
    if kind in ("float", "currency", "percentage"):
        return _number(digits(cell.get(f"{OFFICE}value", "")), shown, percent=kind == "percentage")
    if kind == "date":
        moment = str(cell.get(f"{OFFICE}date-value", ""))
        return re.sub(r"(\.\d*?)0+$", r"\1", moment).removesuffix(".").removesuffix("T00:00:00")
    if kind == "time":
        return _clock(cell.get(f"{OFFICE}time-value", ""))
    if kind == "boolean":
        return "TRUE" if cell.get(f"{OFFICE}boolean-value") == "true" else "FALSE"
    return shown or str(cell.get(f"{OFFICE}string-value", ""))


def _number(value: str, shown: str, *, percent: bool) -> str:
    """All digits of a number, with what is shown around it; plain where it is shown in several runs of digits."""
    negative, whole = value.startswith("-"), value.lstrip("-")
    runs = [*_NUMBER.finditer(shown)]
    if len(runs) > 1 and not negative and re.sub(r"[^0-9]", "", shown).lstrip("0") == whole:
        return shown.strip()  # such as 078-05-1120
    if not runs and any(map(str.isalpha, shown)):
        return shown.strip()  # such as TRUE
    if percent and re.fullmatch(r"[0-9.]+", whole):
        whole = format(Decimal(whole).scaleb(2).normalize(), "f")
    if len(runs) != 1:
        return ("-" if negative else "") + whole + ("%" if percent else "")
    first, last = runs[0].span()
    before, after = shown[:first], shown[last:]
    padded = _PADDED.match(runs[0][0])
    if padded is not None:
        point = whole.find(".")
        whole = whole.zfill(len(padded[0]) + (len(whole) - point if point >= 0 else 0))
    signed = negative and not re.search(r"[-−(]", before + after)
    return ("-" if signed else "") + (before + whole + after).strip()


def _clock(duration: str) -> str:
    """An ISO duration in hours, minutes and seconds."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        return duration
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[:4])
    part = (match[5] or "").rstrip("0")[:3]
    sign = "-" if duration.startswith("-") else ""
    return f"{sign}{24 * days + hours:02}:{minutes:02}:{seconds:02}{'.' + part if part else ''}"


def paragraphs(element: Any) -> str:
    """The paragraphs in an element, a line each; what is anchored in a cell is not in its text."""
    lines: list[str] = []
    for child in element:
        if child.tag in (f"{TEXT}p", f"{TEXT}h"):
            lines.append("".join(_pieces(child)))
        elif child.tag != f"{OFFICE}annotation" and not str(child.tag).startswith(DRAW):
            lines.append(paragraphs(child))
    return "\n".join(line for line in lines if line)


def _pieces(element: Any) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if child.tag == f"{TEXT}s":
            yield " " * min(_spaces(child), _MOST_SPACES)
        elif child.tag in _WRITTEN:
            yield _WRITTEN[child.tag]
        elif child.tag != f"{OFFICE}annotation" and not str(child.tag).startswith(DRAW):
            yield from _pieces(child)
        yield child.tail or ""


def _spaces(element: Any) -> int:
    return int(element.get(f"{TEXT}c", "1"))
