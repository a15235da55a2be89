"""The labelled set: lines of text with the exact spans of what they hold, and lines of business text that hold nothing.

    python tests/scope/labelled_set.py      # writes the files of labelled/ whose names end in jsonl again

The lines are made here, once, with a fixed seed and check digits of their own computing; the data files are what is
measured. The first letter of each span is written as an escape, so that scanners don't take the files for a leak.
Rules are written on `positives`, `negatives` and `written_on`; `held_out` is only measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from labelled_negatives import negatives
from labelled_positives import positives
from labelled_texts import held_out, written_on

FOLDER = Path(__file__).parent / "labelled"


def split(marked: str) -> tuple[str, list[tuple[str, int, int]]]:
    """The text without its «kind:...» marks, and the spans that they mark."""
    text, spans = "", []
    for piece in marked.split("«"):
        if "»" not in piece:
            text += piece
            continue
        inside, after = piece.split("»", 1)
        kind, found = inside.split(":", 1)
        spans.append((kind, len(text), len(text) + len(found)))
        text += found + after
    return text, spans


def written(lines: Iterable[tuple[str, str]]) -> str:
    """Form and marked text of each line as a line of JSON."""
    return "".join(_line(form, *split(marked)) for form, marked in lines)


def _line(form: str, text: str, spans: list[tuple[str, int, int]]) -> str:
    pieces, end = [], 0
    for _, start, _ in spans:
        pieces += [json.dumps(text[end:start])[1:-1], f"\\u{ord(text[start]):04x}"]
        end = start + 1
    escaped = "".join((*pieces, json.dumps(text[end:])[1:-1]))
    return f'{{"form": {json.dumps(form)}, "spans": {json.dumps(spans)}, "text": "{escaped}"}}\n'


FILES = {
    "positives.jsonl": positives,
    "negatives.jsonl": negatives,
    "written_on.jsonl": written_on,
    "held_out.jsonl": held_out,
}


if __name__ == "__main__":
    for name, make in FILES.items():
        (FOLDER / name).write_text(written(make()), "utf-8")
