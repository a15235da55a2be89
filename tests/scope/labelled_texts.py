"""The labelled texts: files of lines and documents as people write them, with marks around what they hold.

    === form            each line that follows is a text of its own; `␤` stands for the end of a line
    ~~~ form            all lines that follow are one text
    «kind:found»        what is there to be found, exactly
    ‹name arguments›    a value that `labelled_values` makes

The rules were written on `written_on`. `held_out` was written before them, with other notations, contexts and words,
and is measured alone: when a miss in it leads to a rule, its row moves to the other part and a new one is written.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

from labelled_values import made

FOLDER = Path(__file__).parent / "labelled"
_HEADING = re.compile(r"(===|~~~) (.+)")
_SLOT = re.compile(r"‹([^‹›]+)›")


def written_on() -> Iterator[tuple[str, str]]:
    """Form and marked text of each row that rules were written on, apart from the lines that the makers make."""
    return _rows(FOLDER / "written_on")


def held_out() -> Iterator[tuple[str, str]]:
    """Form and marked text of each row that is only measured."""
    return _rows(FOLDER / "held_out")


def _rows(folder: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(folder.glob("*.txt")):
        chance = random.Random(f"nexus-graph {folder.name} {file.stem}")  # noqa: S311 - the same in every run
        for form, text in _texts(file.read_text("utf-8")):
            yield form, _filled(text, chance)


def _filled(text: str, chance: random.Random) -> str:
    return _SLOT.sub(lambda slot: made(chance, slot[1]), text)


def _texts(content: str) -> Iterator[tuple[str, str]]:
    """Form and text of each row of a file, with its slots."""
    form = ""
    document: list[str] | None = None
    for line in [*content.splitlines(), "=== "]:
        heading = _HEADING.fullmatch(line)
        if heading or line == "=== ":
            if document is not None:
                yield form, "\n".join(document)
            form, document = (heading[2], [] if heading[1] == "~~~" else None) if heading else ("", None)
        elif document is not None:
            document.append(line)
        elif line:
            yield form, line.replace("␤", "\n")
