"""Writes into a card's header without touching the author's lines: exports, and imports of other front matter."""

from __future__ import annotations

import json
from collections.abc import Mapping

from nexus_graph.cards.format import ENGINE_KEYS, FENCE, FIRST_LINE, Parsed, split
from nexus_graph.cards.header import UNPRINTABLE, Header, read


def render(parsed: Parsed, engine_values: Mapping[str, str | int]) -> str:
    """The exported text: the author's own, with the engine-owned keys added below the first fence.

    A key that the author stated stays in its place, with the engine's value. All other bytes stay as they are, so
    reading the result gives the same body and the same other keys. It may be a little longer than what the limits
    allow an author. Raises ValueError for a key that the engine does not own.
    """
    if foreign := sorted(set(engine_values) - set(ENGINE_KEYS)):
        raise ValueError(f"The engine does not own {', '.join(foreign)}.")
    header_text, _ = split(parsed.text)
    header = read(header_text)
    rest = parsed.text[len(FENCE) + len(header_text) :]
    edits: list[tuple[int, int, str]] = []
    for key in engine_values.keys() & header.values.keys():
        if header.values[key] != engine_values[key]:
            at = header.places[(key,)]
            block_end = "\n" if header_text[at.start : at.end].endswith("\n") else ""
            edits.append((at.start, at.end, _scalar(engine_values[key]) + block_end))
    for start, end, value in sorted(edits, reverse=True):
        header_text = header_text[:start] + value + header_text[end:]
    missing = {key: engine_values[key] for key in ENGINE_KEYS if key in engine_values and key not in header.values}
    return FENCE + _insert(header_text, header, missing) + rest


def declare(text: str, card_type: str) -> str:
    """`text` with `card_type` added to its header when it names none: for importing front matter of other origin."""
    header_text, _ = split(text)
    header = read(header_text, first_line=FIRST_LINE)
    if "card_type" in header.values:
        return text
    rest = text[len(FENCE) + len(header_text) :]
    return FENCE + _insert(header_text, header, {"card_type": card_type}) + rest


def _insert(header_text: str, header: Header, values: Mapping[str, str | int]) -> str:
    """Add keys at the top, in the style of the mapping that stands there; no line of the author is touched."""
    lines = [f"{key}: {_scalar(value)}" for key, value in values.items()]
    root = header.places.get(())
    if header.flow and root:
        return header_text[: root.start + 1] + "".join(f"{line}, " for line in lines) + header_text[root.start + 1 :]
    indent = " " * (root.column - 1 if root else 0)
    return "".join(f"{indent}{line}\n" for line in lines) + header_text


def _scalar(value: str | int) -> str:
    """A JSON scalar that is the same scalar in YAML."""
    return UNPRINTABLE.sub(lambda bad: f"\\u{ord(bad.group()):04X}", json.dumps(value, ensure_ascii=False))
