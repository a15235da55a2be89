"""Numbers of people: US social security and taxpayer numbers, UK NHS numbers.

What has a check digit or a fixed shape is found by itself; what reads like any other number only beside its label.
"""

from __future__ import annotations

import re

from nexus_graph.scope.redaction.labels import is_named_otherwise
from nexus_graph.scope.redaction.phones import is_named_phone
from nexus_graph.scope.redaction.spans import HYPHEN, SPACE, Span, Spans, apart, digits_of
from nexus_graph.scope.redaction.texts import Text, Words

_US_DIGITS = 9
_NHS_DIGITS = 10
_REACH = 60  # characters around a label in which its number is looked for
_WORD = r"(?:(?<![a-z])|(?<=(?-i:[a-z]))(?=(?-i:[A-Z])))"  # the start of a word, also in camelCase
_UP_TO = r"[^0-9\[\]\n]{0,28}$"  # what may stand between a label and its number
_BEHIND = r"[^\w\[\]\n]{1,3}(?:is |was )?(?:(?:his|her|the|my) )?"

_SSN_STEMS = Words(("ssn", "ss#", "ss #", "soc", "seguro social"))
_SSN_NAME = rf"{_WORD}(?:ssn|ss ?#|soc(?:ial)?\.?[ _-]?sec(?:urity)?|seguro social)"
_ITIN_STEMS = Words(("itin", "taxpayer"))
_ITIN_NAME = rf"{_WORD}(?:itin|taxpayer[ _-]?(?:id|ident))"


def _before(name: str) -> re.Pattern[str]:
    return re.compile(name + _UP_TO, re.IGNORECASE)


def _after(name: str) -> re.Pattern[str]:
    return re.compile(_BEHIND + name, re.IGNORECASE)


_SSN_BEFORE, _SSN_AFTER, _ITIN_BEFORE, _ITIN_AFTER = (
    *(_before(_SSN_NAME), _after(_SSN_NAME)),
    *(_before(_ITIN_NAME), _after(_ITIN_NAME)),
)
_ALONE = rf"(?<![\w.+/]....)(?<![\w][{HYPHEN}]....)"
_END = rf"(?!\w)(?![.{HYPHEN}][0-9])"
_HYPHENED = re.compile(
    rf"(?P<gap>[{HYPHEN}])(?<=[0-9]{{3}}.){_ALONE}(?!00)[0-9]{{2}}(?P=gap)(?!0000)[0-9]{{4}}{_END}", re.ASCII
)
_NAMED = re.compile(
    rf"[0-9](?<![\w.+/].)(?<![\w][{HYPHEN}].)[0-9]{{2}}(?P<gap>[{SPACE}{HYPHEN}.]?)(?!00)[0-9]{{2}}(?P=gap)(?!0000)[0-9]{{4}}"
    rf"{_END}",
    re.ASCII,
)


def us_ssns(text: Text) -> Spans:
    """US social security numbers: `123-45-6789`, or with spaces, dots or nothing between where they are named.

    Area 000, 666 and 900 to 999, group 00 and serial 0000 were never given out (SSA).
    """
    for start, end in _us_numbers(text, _SSN_STEMS, _SSN_BEFORE, _SSN_AFTER):
        if text[start] != "9" and text[start : start + 3] not in ("000", "666"):
            yield start, end


def us_itins(text: Text) -> Spans:
    """US individual taxpayer numbers, written as an SSN is.

    Area 9, and the groups that the IRS gives out: 50 to 65, 70 to 88, 90 to 92 and 94 to 99.
    """
    for start, end in _us_numbers(text, _ITIN_STEMS, _ITIN_BEFORE, _ITIN_AFTER):
        group = int(digits_of(text[start:end])[3:5])
        given_out = 50 <= group <= 65 or 70 <= group <= 88 or (group >= 90 and group != 93)
        if text[start] == "9" and given_out:
            yield start, end


def _us_numbers(text: Text, stems: Words, before: re.Pattern[str], after: re.Pattern[str]) -> Spans:
    """Nine digits in threes, twos and fours: with hyphens anywhere, in another form beside a label."""
    if text.digits < _US_DIGITS:
        return
    found = {(match.start() - 3, match.end()) for match in _HYPHENED.finditer(text)}
    for _, place in stems.places(text):
        found |= {span for span in _around(_NAMED, text, place) if _is_beside(text, span, before, after)}
    yield from apart(span for span in found if not is_named_otherwise(text, span[0]))


def _around(number: re.Pattern[str], text: str, place: int) -> Spans:
    """The numbers near a label."""
    end = min(len(text), place + 2 * _REACH)
    for match in number.finditer(text, max(0, place - _REACH), end):
        if match.end() < end or end == len(text):  # else it may go on
            yield match.span()


def _is_beside(text: str, span: Span, before: re.Pattern[str], after: re.Pattern[str]) -> bool:
    return before.search(text, max(0, span[0] - _REACH), span[0]) is not None or after.match(text, span[1]) is not None


_NHS_END = rf"{_END}(?![{SPACE}{HYPHEN}][0-9])"
_PRINTED = re.compile(
    rf"[467](?<![\w.+/].)(?<![\w][{HYPHEN}].)[0-9]{{2}}(?P<gap>[{SPACE}])[0-9]{{3}}(?P=gap)[0-9]{{4}}{_NHS_END}",
    re.ASCII,
)
_NHS = re.compile(
    rf"[0-9](?<![\w.+/].)(?<![\w][{HYPHEN}].)[0-9]{{2}}(?P<gap>[{SPACE}{HYPHEN}.]?)[0-9]{{3}}(?P=gap)[0-9]{{4}}{_NHS_END}",
    re.ASCII,
)
_NHS_STEMS = Words(("nhs", "patient", "hospital", "clinic", "gp"))
_NHS_BEFORE = re.compile(rf"{_WORD}(?:nhs|patient|hospital|clinic|gp)[^0-9\[\]\n]{{0,28}}$", re.IGNORECASE)
_NHS_AFTER = re.compile(r"[^0-9\[\]\n]{1,16}(?<![a-z])nhs(?![a-z])", re.IGNORECASE)


def uk_nhs_numbers(text: Text) -> Spans:
    """UK NHS numbers with their check digit (modulus 11), in any form beside `NHS`, a patient or a hospital.

    Without that only as they are printed, `3 3 4` with spaces, and in the ranges of England and Wales (4, 6 and 7).
    """
    if text.digits < _NHS_DIGITS:
        return
    found = {match.span() for match in _PRINTED.finditer(text) if not is_named_phone(text, match.start())}
    for _, place in _NHS_STEMS.places(text):
        found |= {span for span in _around(_NHS, text, place) if _is_beside(text, span, _NHS_BEFORE, _NHS_AFTER)}
    for start, end in apart(found):
        if _is_nhs(digits_of(text[start:end])) and not is_named_otherwise(text, start):
            yield start, end


def _is_nhs(digits: str) -> bool:
    weighted = sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False))
    return (11 - weighted % 11) % 11 == int(digits[9])  # a remainder of 1 gives 10, which is no digit
