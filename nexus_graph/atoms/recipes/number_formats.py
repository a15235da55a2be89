"""Numbers as their formats mean them (ECMA-376, part 1, 18.8.31): what a reader of a workbook takes a cell for.

A number keeps all its digits: it is not rounded, and has no separators of thousands. From its format it gets percent
and currency signs and other words, leading zeros, signs between its digits, and the scale ("in thousands"). A date is
an ISO date, with a time where it has one; a time or a duration is hours, minutes and seconds.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import takewhile
from math import isfinite

_Tokens = tuple[tuple[str, str], ...]

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|_.|\*.|\[\$(?P<currency>[^\]-]*)[^\]]*\]|\[(?P<bracket>[^\]]*)\]'
    r"|(?P<general>general)|(?P<exponent>e[+-])|(?P<noon>am/pm|a/p)|(?P<time>[ymdhsgbe])|(?P<digit>[0#?])"
    r"|(?P<point>\.)|(?P<comma>,)|(?P<text>@)|(?P<end>;)|(?P<literal>.)",
    re.IGNORECASE | re.DOTALL,
)
_DIGITS = frozenset({"digit", "point", "general", "exponent"})
_LITERALS = frozenset({"quoted", "escaped", "currency", "literal"})
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?\d+(?:\.\d+)?)")
_COMPARE: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<>": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_ELAPSED = re.compile(r"h+|m+|s+", re.IGNORECASE)
_WHOLE = re.compile(r"-?\d+")
_DAY = 86_400_000
_LAST_DAY = 2_958_465  # 9999-12-31
_LONGEST = 1000


def digits(value: str | float) -> str:
    """A number without an exponent: a whole one digit by digit, others with the 15 digits that spreadsheets show.

    What is no number comes back as it is.
    """
    text = str(value).strip()
    if _WHOLE.fullmatch(text) is not None:
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    if not isfinite(number):
        return text
    shown = format(number, ".15g")
    return format(Decimal(shown), "f") if "e" in shown else shown


class _Section:
    """A part of a format, for some numbers, made of tokens: each a kind and what it says."""

    def __init__(self, tokens: _Tokens) -> None:
        conditions = (_CONDITION.fullmatch(said) for kind, said in tokens if kind == "bracket")
        self.condition = next(filter(None, conditions), None)
        self.words = _words(tokens)
        """All that it shows beside the number."""
        run = [index for index, (kind, _) in enumerate(tokens) if kind in _DIGITS]
        first, after = (run[0], run[-1] + 1) if run else (len(tokens), len(tokens))
        self.shows_digits = bool(run)
        self._before, self._behind = _words(tokens[:first]), _words(tokens[after:])
        self._shift = _shift(tokens, after)
        number = tokens[first:after]
        free = ("literal", "/") in number or any(kind in ("general", "exponent") for kind, _ in number)
        self._whole = () if free else tuple(takewhile(lambda token: token[0] != "point", number))
        self.is_plain = bool(run) and not (self.words or self._shift or _least(self._whole) > 1)
        """Whether it says no more than the digits: no words, no leading zeros, no scale."""

    def show(self, number: Decimal, *, by_sign: bool) -> str:
        """A number with the words around it; only these where the section shows no digits.

        `by_sign` says that this section is that of negative numbers.
        """
        if not self.shows_digits:
            return self.words.strip()
        _, figures, exponent = number.as_tuple()
        moved = format(Decimal((0, figures, int(exponent) + self._shift)), "f")
        whole, _, part = moved.partition(".")
        whole, part = _laid_out(whole, self._whole), part.rstrip("0")
        signed = number < 0 and not (by_sign and ("-" in self.words or "(" in self.words))
        shown = self._before + (f"{whole}.{part}" if part else whole) + self._behind
        return ("-" if signed else "") + shown.strip()


class NumberFormat:
    """How the numbers of a cell are meant."""

    def __init__(self, code: str) -> None:
        sections: list[list[tuple[str, str]]] = [[]]
        for match in _TOKEN.finditer(code if len(code) <= _LONGEST else "General"):
            kind = match.lastgroup
            if kind == "end":
                sections.append([])
            elif kind is not None:
                sections[-1].append((kind, match[kind]))
        self._sections = [_Section(tuple(tokens)) for tokens in sections]
        first = sections[0]
        letters = {said.lower() for kind, said in first if kind == "time"}
        self._elapsed = any(kind == "bracket" and _ELAPSED.fullmatch(said) for kind, said in first)
        timed = self._elapsed or bool(letters & {"h", "s"}) or any(kind == "noon" for kind, _ in first)
        self._dated = bool(letters & {"y", "d", "g", "b", "e"}) or ("m" in letters and not timed)
        self._timed = timed and not self._dated
        self._plain = not (self._dated or self._timed) and all(section.is_plain for section in self._sections)

    def show(self, value: str | float, *, since_1904: bool = False) -> str:
        """What a number says in this format; days are counted from 1900, or `since_1904`."""
        text = digits(value)
        if self._plain:
            return text
        try:
            number = Decimal(text)
        except ArithmeticError:
            return text
        if not number.is_finite():
            return text
        if self._dated or self._timed:
            return self._moment(float(number), since_1904=since_1904) or text
        section, by_sign = self._section(number)
        return section.show(number, by_sign=by_sign) or text

    def _moment(self, serial: float, *, since_1904: bool) -> str | None:
        if not 0 <= serial <= _LAST_DAY:
            return None
        days, milliseconds = divmod(round(serial * _DAY), _DAY)
        if self._elapsed:
            return _clock(days * _DAY + milliseconds)
        if self._timed and days == 0:
            return _clock(milliseconds)
        day = _day(days, since_1904=since_1904)
        return f"{day}T{_clock(milliseconds)}" if milliseconds else day

    def _section(self, number: Decimal) -> tuple[_Section, bool]:
        """The section that a number takes, and whether it takes that for its sign alone."""
        conditions = [section.condition for section in self._sections]
        if any(conditions):
            for section, condition in zip(self._sections, conditions, strict=True):
                if condition is None or _COMPARE[condition[1]](number, Decimal(condition[2])):
                    return section, False
            return self._sections[0], False
        if number < 0 and len(self._sections) > 1:
            return self._sections[1], True
        if number == 0 and len(self._sections) > 2 and any(map(str.isalpha, self._sections[2].words)):
            return self._sections[2], False
        return self._sections[0], False


@lru_cache(maxsize=4096)
def number_format(code: str) -> NumberFormat:
    """The format that is written so."""
    return NumberFormat(code)


@lru_cache(maxsize=4096)
def _day(days: int, *, since_1904: bool) -> str:
    """The ISO date of a day. In the count from 1900 there is a day 0, and a 29 February 1900, as in Excel."""
    if since_1904:
        return (date(1904, 1, 1) + timedelta(days)).isoformat() if days <= _LAST_DAY - 1462 else ""
    if days == 0:
        return "1900-01-00"
    if days == 60:
        return "1900-02-29"
    return (date(1899, 12, 31 if days < 60 else 30) + timedelta(days)).isoformat()


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    part = f".{rest:03}".rstrip("0") if rest else ""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{part}"


def _words(tokens: _Tokens) -> str:
    return "".join(said for kind, said in tokens if kind in _LITERALS)


def _least(tokens: _Tokens) -> int:
    """How many digits there are at least before the point."""
    return sum(token == ("digit", "0") for token in tokens)


def _laid_out(whole: str, tokens: _Tokens) -> str:
    """The digits before the point: at least as many as there are zeros in the format, with the signs between them."""
    least = _least(tokens)
    if not _words(tokens):
        return whole.zfill(least)
    left = [*whole]
    laid: list[str] = []
    for kind, said in reversed(tokens):
        if kind == "digit" and (left or least > 0):
            laid.insert(0, left.pop() if left else "0")
        elif kind in _LITERALS and (left or least > 0):
            laid.insert(0, said)
        least -= (kind, said) == ("digit", "0")
    return "".join([*left, *laid])


def _shift(tokens: _Tokens, after: int) -> int:
    """By how many places the point moves: right for percent signs, left for commas behind the digits."""
    kinds = [kind for kind, _ in tokens]
    point = kinds.index("point") if "point" in kinds else after
    behind = (takewhile(lambda kind: kind == "comma", part) for part in (reversed(kinds[:point]), kinds[after:]))
    commas = sum(len([*part]) for part in behind)
    return 2 * tokens.count(("literal", "%")) - 3 * commas
