"""Small pictures for the pages of the documentation, as SVG: flame graphs and curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from math import floor, log10
from typing import Final

WIDTH: Final = 1200
_ROW, _LETTER, _HEAD = 16, 6.1, 26
_LEAST: Final = 0.005
"""The share of a flame graph that a frame must have to be drawn."""

_STEEP: Final = 50
"""How far above."""

_OURS, _LIBRARIES, _LANGUAGE = "#f0a35e", "#9dbbd9", "#cfcfcf"
_LINES: Final = ("#b5482a", "#2f6f9f", "#4f8a3c", "#7a5aa6")
_STYLE: Final = "<style>text{font:11px monospace;fill:#222}rect{stroke:#fff;stroke-width:.5}</style>"


@dataclass
class _Frame:
    """A function below the one that called it, and how many looks saw it."""

    looks: int = 0
    callees: dict[str, _Frame] = field(default_factory=dict)


def flames(stacks: Mapping[tuple[str, ...], int], of: str, is_language: frozenset[str]) -> str:
    """A flame graph that hangs from its top: each frame as wide as the share of looks that saw it there.

    Frames are named `module:function`; `is_language` names the packages that come with Python.
    """
    top = _Frame()
    for stack, looks in stacks.items():
        place = top
        place.looks += looks
        for name in stack:
            place = place.callees.setdefault(name, _Frame())
            place.looks += looks
    boxes = [*_boxes(top, 0.0, 0, top.looks, is_language)]
    height = _HEAD + _ROW * (1 + max((level for level, _ in boxes), default=0))
    head = f"{escape(of)}: {top.looks:,} looks; orange: this project, blue: libraries, grey: Python"
    return _picture(height, head, "".join(box for _, box in boxes))


def _boxes(
    frame: _Frame, left: float, level: int, all_looks: int, is_language: frozenset[str]
) -> Iterator[tuple[int, str]]:
    for name, callee in sorted(frame.callees.items()):
        share = callee.looks / all_looks
        if share >= _LEAST:
            yield level, _box(name, left, level, share, is_language)
            yield from _boxes(callee, left, level + 1, all_looks, is_language)
        left += share * WIDTH


def _box(name: str, left: float, level: int, share: float, is_language: frozenset[str]) -> str:
    package = name.partition(":")[0].partition(".")[0]
    colour = _OURS if package == "nexus_graph" else _LANGUAGE if package in is_language else _LIBRARIES
    width, down = share * WIDTH, _HEAD + level * _ROW
    shown = name.removeprefix("nexus_graph.")
    room = floor(width / _LETTER) - 1
    text = shown if len(shown) <= room else shown.partition(":")[2][: max(room, 0)]
    label = f'<text x="{left + 2:.1f}" y="{down + 12}">{escape(text)}</text>' if room > 2 else ""
    return (
        f'<g><title>{escape(name)} {share:.1%}</title><rect x="{left:.1f}" y="{down}" width="{width:.1f}" '
        f'height="{_ROW}" fill="{colour}"/>{label}</g>'
    )


def curves(title: str, across: str, up: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Lines of points. Across is logarithmic, and up where the highest is far above the lowest; else up begins at 0."""
    width, height, left, foot = 560, 260, 60, 34
    right, head = width - 20, _HEAD + 16 * len(lines)
    every = [point for points in lines.values() for point in points]
    least, most = (log10(found(x for x, _ in every)) for found in (min, max))
    lowest, highest = min(y for _, y in every), _round(max(y for _, y in every))
    steep = lowest > 0 and highest / lowest > _STEEP
    bottom = 10.0 ** floor(log10(lowest)) if steep else 0.0

    def place(x: float, y: float) -> tuple[float, float]:
        share = (log10(x) - least) / ((most - least) or 1)
        up_share = log10(y / bottom) / log10(highest / bottom) if steep else y / highest
        return left + share * (right - left), height - foot - up_share * (height - foot - head)

    parts = []
    for quarter in range(5):
        value = bottom * (highest / bottom) ** (quarter / 4) if steep else highest * quarter / 4
        _, y = place(10**least, value)
        parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    parts += [
        f'<text x="{place(x, highest)[0]:.1f}" y="{height - 18}" text-anchor="middle">{x:,.0f}</text>'
        for x in sorted({x for x, _ in every})
    ]
    for number, (name, points) in enumerate(lines.items()):
        colour = _LINES[number % len(_LINES)]
        places = [place(*point) for point in points]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        parts.append(f'<text x="{left}" y="{_HEAD + 8 + 16 * number}" style="fill:{colour}">{escape(name)}</text>')
    parts.append(f'<text x="{right}" y="{height - 4}" text-anchor="end">{escape(across)}</text>')
    return _picture(height, f"{title}, {up}", "".join(parts), width)


def _round(value: float) -> float:
    """The next number that is easily read."""
    if value <= 0:
        return 1.0
    size = 10.0 ** floor(log10(value))
    return next(step * size for step in (1, 2, 4, 6, 8, 10) if step * size >= value)


def _picture(height: int, head: str, inside: str, width: int = WIDTH) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'{_STYLE}<rect width="{width}" height="{height}" fill="#fff"/><text x="6" y="16">{escape(head)}</text>'
        f"{inside}</svg>\n"
    )
