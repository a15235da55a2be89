"""Signs that a browser prints though no text says them (numbers of lists, signs of formulas), or hides."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"),
    (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip

_STYLES: Final[Mapping[str, str]] = {
    "1": "decimal",
    "a": "lower-alpha",
    "A": "upper-alpha",
    "i": "lower-roman",
    "I": "upper-roman",
    "lower-latin": "lower-alpha",
    "upper-latin": "upper-alpha",
}
_TOLD = re.compile(
    r"list-style(?:-type)?\s*:[^;]*?\b(none|decimal|(?:lower|upper)-(?:alpha|latin|roman))(?![\w-])", re.IGNORECASE
)
_INTEGER = re.compile(r"[ \t\n\f\r]*([+-]?)0*([0-9]+)")

RAISED: Final = str.maketrans("0123456789+-−=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿ")
_RAISABLE = frozenset(map(chr, RAISED))


def integer(said: str | None, otherwise: int) -> int:
    """The integer that an attribute begins with, as browsers read it; at most nine digits count."""
    match = _INTEGER.match(said or "")
    if match is None:
        return otherwise
    value = int(match[2]) if len(match[2]) < 10 else 10**9
    return -value if match[1] == "-" else value


def raised(text: str) -> str:
    """`text` in raised figures, so that 10 to the 6th is not read as 106; as it is where it holds other signs."""
    return text.translate(RAISED) if _RAISABLE.issuperset(text.strip()) else text


BREAK: Final = "\0"
"""A line break among the pieces of a text; no source holds it."""

_INVISIBLE: Final = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\u2061\u2062\u2063\u2064\ufeff"))
"""Soft hyphens, zero-width spaces and the like: they only help a browser to break lines."""


def collapsed(pieces: Sequence[str]) -> str:
    """The text of these pieces, with white space collapsed and line breaks where `BREAK` stands."""
    text = _without_invisible("".join(pieces))
    if BREAK not in text:
        return " ".join(text.split())
    return "\n".join(" ".join(line.split()) for line in text.split(BREAK)).strip("\n")


def kept(pieces: Sequence[str]) -> str:
    """The text of these pieces as it stands, without blank lines around it."""
    return _without_invisible("".join(pieces)).replace(BREAK, "\n").strip("\n").rstrip()


def _without_invisible(text: str) -> str:
    return text if text.isascii() else text.translate(_INVISIBLE)


class Numbers:
    """The numbers of one ordered list."""

    def __init__(self, attributes: Mapping[str, str], count: int) -> None:
        """`count` is how many items the list has, which only a reversed one needs."""
        reverse = "reversed" in attributes
        self._next = integer(attributes.get("start"), count if reverse else 1)
        self._step = -1 if reverse else 1
        told = _TOLD.search(attributes.get("style", ""))
        style = told[1].lower() if told else attributes.get("type", "1").strip()
        self._style = _STYLES.get(style, style)

    def take(self, value: str | None) -> str:
        """What is printed before the next item; `value` is its own number, where it states one."""
        number = integer(value, self._next)
        self._next = number + self._step
        return "" if self._style == "none" else f"{_printed(number, self._style)}. "


def _printed(number: int, style: str) -> str:
    written = ""
    if style.endswith("roman") and 0 < number < 4000:
        for worth, sign in _ROMAN:
            written += sign * (number // worth)
            number %= worth
    elif style.endswith("alpha") and number > 0:
        while number:
            number, place = divmod(number - 1, 26)
            written = chr(ord("a") + place) + written
    else:
        return str(number)
    return written.upper() if style.startswith("upper") else written


# Signs before the second and the third part of an element of MathML, and what closes it.
_BETWEEN: Final[Mapping[str, tuple[str, ...]]] = {
    "mfrac": ("", "/"),
    "msup": ("", "^"),
    "msub": ("", "_"),
    "msubsup": ("", "_", "^"),
    "mover": ("", "^"),
    "munder": ("", "_"),
    "munderover": ("", "_", "^"),
    "mroot": ("√", "^1/"),
}
_AROUND: Final[Mapping[str, tuple[str, str]]] = {"msqrt": ("√(", ")"), "mfenced": ("(", ")"), "mtr": ("", "; ")}


class Formula:
    """A formula of MathML as one line: `a/b`, `x^2`, `√(y)`; groups stand in parentheses."""

    def __init__(self) -> None:
        self._open: list[tuple[str, int, str]] = [("", 0, "")]
        """Name, number of parts so far, and what closes it."""

    def enter(self, name: str) -> str:
        """What stands before this part."""
        parent, count, closing = self._open[-1]
        signs = _BETWEEN.get(parent, ())
        closing = " " if signs and name == "mo" and not count else closing  # a sum, and what it is of
        self._open[-1] = (parent, count + 1, closing)
        before = signs[count] if count < len(signs) else " " if name == "mtd" and count else ""
        opens, closes = ("(", ")") if name in ("mrow", "mfrac") and signs else _AROUND.get(name, ("", ""))
        self._open.append((name, 0, closes))
        return before + opens

    def leave(self) -> str:
        """What stands after the part that was entered last."""
        return self._open.pop()[2]

    @property
    def over(self) -> bool:
        """Whether all parts were left."""
        return len(self._open) == 1
