"""What the readers of Open XML workbooks share: how parts refer to one another, and how texts are written."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Any

from nexus_graph.atoms.recipes.packages import Package

_ESCAPE = re.compile("(?:_x[0-9A-Fa-f]{4}_)+")


@dataclass(frozen=True, slots=True)
class Relation:
    """That a part refers to another. `kind` is the last word of its type: "worksheet", "drawing", ..."""

    kind: str
    part: str


def related(package: Package, part: str) -> dict[str, Relation]:
    """The parts that a part refers to, by the ids that it uses; "" is the package itself. Others are passed over."""
    folder, name = posixpath.split(part)
    listed = posixpath.join(folder, "_rels", f"{name}.rels")
    if listed not in package:
        return {}
    return {
        element.get("Id", ""): Relation(
            element.get("Type", "").rpartition("/")[2],
            posixpath.normpath(posixpath.join("/", folder, element.get("Target", ""))).lstrip("/"),
        )
        for element in package.tree(listed)
        if element.get("TargetMode") != "External"
    }


def local(element: Any) -> str:
    """The name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def rich_text(element: Any) -> str:
    """The text of an item that may have several runs. Phonetic readings are no part of it."""
    pieces: list[str] = []
    for child in element:
        name = local(child)
        if name == "t":
            pieces.append(child.text or "")
        elif name == "r":
            pieces += (run.text or "" for run in child if local(run) == "t")
    return said("".join(pieces))


def said(text: str) -> str:
    """A text without the escapes of SpreadsheetML (`_x000D_`), and with line feeds alone."""
    if "_x" in text:
        text = _ESCAPE.sub(_unescaped, text)
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "") if "\r" in text or "\0" in text else text


def _unescaped(match: re.Match[str]) -> str:
    units = bytes.fromhex("".join(match[0].split("_x")).replace("_", ""))
    return units.decode("utf-16-be", errors="replace")
