"""Numbers and dates of people: US social security and taxpayer numbers, UK NHS numbers, dates of birth.

What has a check digit or a fixed shape is found by itself; what reads like any other number only after its label.
"""

from __future__ import annotations

import re
from datetime import date

from nexus_graph.scope.redaction.phones import is_named_phone
from nexus_graph.scope.redaction.spans import HYPHEN, SPACE, Spans, digits_of

_SEPARATOR = f"[{SPACE}{HYPHEN}]"
_LABEL = 40  # characters before a number in which its label is looked for

_US_NUMBER = (
    rf"(?<![\w.+/][0-9])(?<![\w][{HYPHEN}][0-9])[0-9]{{2}}"
    rf"(?P<gap>{_SEPARATOR}?)(?!00)[0-9]{{2}}(?P=gap)(?!0000)[0-9]{{4}}(?!\w)(?![.{HYPHEN}][0-9])"
)
_SSN = re.compile(rf"[0-8]{_US_NUMBER}", re.ASCII)
_SSN_NAMED = re.compile(
    r"(?<![a-z])(?:ssn|social[ _-]?security(?:[ _-]?(?:number|no\.?))?)[^\w\[\]]{1,6}(?:is )?$", re.IGNORECASE
)
_ITIN = re.compile(rf"9{_US_NUMBER}", re.ASCII)
_ITIN_NAMED = re.compile(
    r"(?<![a-z])(?:itin|(?:individual )?taxpayer[ _-]?(?:id|identification)(?:[ _-]?(?:number|no\.?))?)"
    r"[^\w\[\]]{1,6}(?:is )?$",
    re.IGNORECASE,
)


def us_ssns(text: str) -> Spans:
    """US social security numbers: `123-45-6789`, or with spaces or nothing between where they are named just before.

    Area 000, 666 and 900 to 999, group 00 and serial 0000 were never given out (SSA).
    """
    for match in _SSN.finditer(text):
        if not match[0].startswith(("000", "666")) and _is_written_or_named(match, _SSN_NAMED):
            yield match.span()


def us_itins(text: str) -> Spans:
    """US individual taxpayer numbers, written as an SSN is.

    Area 9, and the groups that the IRS gives out: 50 to 65, 70 to 88, 90 to 92 and 94 to 99.
    """
    for match in _ITIN.finditer(text):
        group = int(digits_of(match[0])[3:5])
        given_out = 50 <= group <= 65 or 70 <= group <= 88 or (group >= 90 and group != 93)
        if given_out and _is_written_or_named(match, _ITIN_NAMED):
            yield match.span()


def _is_written_or_named(match: re.Match[str], label: re.Pattern[str]) -> bool:
    return match["gap"] not in ("", *SPACE) or _is_named(match, label)


def _is_named(match: re.Match[str], label: re.Pattern[str]) -> bool:
    return label.search(match.string, max(0, match.start() - _LABEL), match.start()) is not None


_NHS = re.compile(
    rf"[0-9](?<![\w.+/][0-9])(?<![\w][{HYPHEN}][0-9])[0-9]{{2}}(?P<gap>{_SEPARATOR}?)[0-9]{{3}}(?P=gap)[0-9]{{4}}"
    rf"(?!\w)(?![.{HYPHEN}][0-9])(?!{_SEPARATOR}[0-9])",
    re.ASCII,
)
_NHS_NAMED = re.compile(r"(?<![a-z])nhs[ _-]?(?:number|num|no\.?|id)?[^\w\[\]]{1,6}(?:is )?$", re.IGNORECASE)


def uk_nhs_numbers(text: str) -> Spans:
    """UK NHS numbers with their check digit (modulus 11), in any form where they are named just before.

    Without that only as they are printed, `3 3 4` with spaces, and in the ranges of England and Wales (4, 6 and 7).
    """
    for match in _NHS.finditer(text):
        if not _is_nhs(digits_of(match[0])):
            continue
        printed = match["gap"] in tuple(SPACE) and match[0][0] in "467" and not is_named_phone(text, match.start())
        if printed or _is_named(match, _NHS_NAMED):
            yield match.span()


def _is_nhs(digits: str) -> bool:
    weighted = sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False))
    return (11 - weighted % 11) % 11 == int(digits[9])  # a remainder of 1 gives 10, which is no digit


_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january janvier januar enero", "feb february février februar febrero", "mar march mars märz marzo",
            "apr april avril abril", "may mai mayo", "jun june juin juni junio", "jul july juillet juli julio",
            "aug august août agosto", "sep sept september septembre septiembre", "oct october octobre oktober octubre",
            "nov november novembre noviembre", "dec december décembre dezember diciembre",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_BIRTH_LABEL = (
    r"(?<![a-z])(?:d\.?o\.?b\.?|date[ _-]?of[ _-]?birth|birth[ _-]?da(?:te|y)|born(?: on)?|geburtsdatum|geboren am|"
    r"geb\.|date de naissance|née? le|fecha de nacimiento|nacid[oa] el)"
    r"(?![a-z])[^\w\[\]]{0,6}(?:(?:is|was|on)\s)?[^\w\[\]]{0,3}(?<![0-9a-z])"
)
_DATE = "|".join(
    (
        r"(?P<year>[0-9]{4})(?P<a>[-/.]?)(?P<month>[0-9]{2})(?P=a)(?P<day>[0-9]{2})",
        r"(?P<first>[0-9]{1,2})(?P<b>[-/.])(?P<second>[0-9]{1,2})(?P=b)(?P<last>[0-9]{4}|[0-9]{2})",
        rf"(?P<day2>[0-9]{{1,2}})(?:st|nd|rd|th|\.)?[ -](?:of )?(?P<name2>{_MONTH})\.?,?[ -](?P<year2>[0-9]{{4}})",
        rf"(?P<name3>{_MONTH})\.? (?P<day3>[0-9]{{1,2}})(?:st|nd|rd|th)?,? (?P<year3>[0-9]{{4}})",
    )
)
_BIRTH_DATE = re.compile(rf"{_BIRTH_LABEL}(?P<date>{_DATE})(?![0-9])(?![-/.][0-9])", re.IGNORECASE)


def birth_dates(text: str) -> Spans:
    """Dates after a label such as `DOB`, `date of birth`, `born on` or `Geburtsdatum`, if the calendar has them."""
    for match in _BIRTH_DATE.finditer(text):
        if any(_is_date(*parts) for parts in _readings(match)):
            yield match.span("date")


def _readings(match: re.Match[str]) -> list[tuple[int, int, int]]:
    """Year, month and day as they may be meant; 03/04/1980 has two readings."""
    if match["year"]:
        return [(int(match["year"]), int(match["month"]), int(match["day"]))]
    if match["first"]:
        first, second = int(match["first"]), int(match["second"])
        full = int(match["last"]) + (0 if len(match["last"]) == 4 else 1900)
        return [(full, second, first), (full, first, second)]
    suffix = "2" if match["day2"] else "3"
    name, day, year = match[f"name{suffix}"], match[f"day{suffix}"], match[f"year{suffix}"]
    return [(int(year), _MONTHS[name.lower()], int(day))]


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return 1900 <= year <= 2099
