"""Dates of birth: a day of the calendar beside a label, in the languages and notations that people write."""

from __future__ import annotations

import re
from datetime import date

from nexus_graph.scope.redaction.spans import Spans, apart
from nexus_graph.scope.redaction.texts import Patterns, Text, Words

# Names of the months as they stand in dates: nominative or genitive, short forms where they are usual.
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january janvier januar enero januari gennaio janeiro jänner января ocak stycznia leden ledna "
            "tammikuuta",
            "feb february février februar febrero februari febbraio fevereiro февраля şubat lutego února helmikuuta",
            "mar march mars märz marzo maart marts março марта mart marca maret března maaliskuuta",
            "apr april avril abril aprile апреля nisan kwietnia dubna huhtikuuta",
            "may mai mayo mei maj maggio maio мая mayıs maja května toukokuuta",
            "jun june juin juni junio giugno junho июня haziran czerwca června kesäkuuta",
            "jul july juillet juli julio luglio julho июля temmuz lipca července heinäkuuta",
            "aug august août agosto augustus augusti agustus августа ağustos sierpnia srpna elokuuta",
            "sep sept september septembre septiembre settembre setembro сентября eylül września září syyskuuta",
            "oct okt october octobre oktober octubre ottobre outubro октября ekim października října lokakuuta",
            "nov november novembre noviembre novembro ноября kasım listopada listopadu marraskuuta",
            "dec dez dic december décembre dezember diciembre dicembre dezembro desember декабря aralık grudnia "
            "prosince joulukuuta",
        ),
        1,
    )
    for name in names.split()
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATE = "|".join(
    (
        r"(?P<year>[0-9]{4})(?P<a>[-/.]?)(?P<month>[0-9]{2})(?P=a)(?P<day>[0-9]{2})",
        r"(?P<first>[0-9]{1,2})(?P<b>[-/.] ?)(?P<second>[0-9]{1,2})(?P=b)(?P<last>[0-9]{4}|[0-9]{2})",
        r"(?P<day2>[0-9]{1,2})(?:st|nd|rd|th|er|º|\.)?[ -](?:of |de )?"
        rf"(?P<name2>{_MONTH})\.?,?[ -](?:de )?(?P<year2>[0-9]{{4}})",
        rf"(?P<name3>{_MONTH})\.? (?P<day3>[0-9]{{1,2}})(?:st|nd|rd|th)?,? (?P<year3>[0-9]{{4}})",
        r"(?P<year4>[0-9]{4})[年년.] ?(?P<month4>[0-9]{1,2})[月월.] ?(?P<day4>[0-9]{1,2})[日일]?",
    )
)
_END = r"(?![0-9])(?![-/.][0-9])"

# What is born, by the letters that a label has in it. The pattern begins where they begin.
_LABELS = {
    "dob": r"dob(?![a-z])",
    "d.o.b": r"d\.o\.b\.?",
    "birth": r"birth(?:[ _-]?da(?:te|y))?(?![a-z])",
    "bday": r"bday(?:;value=date)?",
    "born": r"born(?![a-z-])",
    "geb": r"geb(?:\.|oren(?![a-z])|urts(?:datum|tag)(?![a-z])|oorte(?:datum|dag))",
    "naissance": r"naissance",
    "né": r"née?(?:\(e\))?(?![a-z])",
    "naci": r"naci(?:d[oa]|miento)(?![a-z])",
    "nat": r"nat[oa](?![a-z])",
    "nasc": r"nasc(?:ita|id[oa]|imento)(?![a-z])",
    "född": r"född(?![a-z])",
    "födelse": r"födelse(?:datum|dag)",
    "født": r"født(?![a-z])",
    "fødsels": r"fødsels(?:dato|dag)",
    "synty": r"synty(?:nyt|mä(?:aika|päivä))",
    "urodz": r"urodz(?:enia|on[ya])",
    "ur.": r"ur\.",
    "naroz": r"naroz(?:ení|ena?)",
    "szület": r"szület(?:ett|ési (?:idő|dátum))",
    "рожд": r"рождени[яе]",
    "роди": r"родил(?:ся|ась)",
    "народ": r"народ(?:ження|ився|илася)",
    "γενν": r"γενν(?:ήθηκε|ήσεως|ησης|ήσης)",
    "doğum": r"doğum(?: tarihi)?",
    "lahir": r"lahir(?![a-z])",
    "sinh": r"sinh(?![a-z])",
    "生年月日": r"生年月日",
    "出生": r"出生(?:日期|年月日)?",
    "생년월일": r"생년월일",
    "ميلاد": r"ميلاد",
}
_BETWEEN = (
    r"(?:[^\w\[\]\n]{0,4}\([^()\[\]\n0-9]{1,40}\))?[^\w\[\]\n]{0,6}+(?:\n[^\w\[\]\n]{0,6}+)?"
    r"(?:(?:in|at|à|a|en|em|zu|te|i|w|v) [^\W\d_][^\d\[\]\n]{1,24}?[ ,] ?)?"
    r"(?:(?:is|was|on the|on|the|am|le|el|il|em|den|dne|dnia|op|del) )?[^\w\[\]\n]{0,3}(?<![0-9a-z])"
)
_BIRTHS = Patterns(
    {letters: rf"{label}{_BETWEEN}(?P<date>{_DATE}){_END}" for letters, label in _LABELS.items()}, re.IGNORECASE
)
_BEHIND = re.compile(rf"(?<![0-9])(?<![0-9][-/.])(?P<date>{_DATE}) ?\((?:date of )?$", re.IGNORECASE)
_LETTERS = Words(_LABELS)
_BEHIND_LETTERS = Words(("dob", "birth", "geb", "naissance"))
_FEWEST_DIGITS = 4
_LONGEST_DATE = 32


def birth_dates(text: Text) -> Spans:
    """Dates after a label such as `DOB`, `born in Rome on`, `Geburtsdatum` or `生年月日`, or before one in brackets."""
    if text.digits >= _FEWEST_DIGITS:
        yield from apart((*_after_labels(text), *_before_labels(text)))


def _after_labels(text: Text) -> Spans:
    for letters, place in _LETTERS.places(text):
        match = _BIRTHS[letters].match(text, place) if _is_word(text, place) else None
        if match and any(_is_date(*parts) for parts in _readings(match)):
            yield match.span("date")


def _before_labels(text: Text) -> Spans:
    for _, place in _BEHIND_LETTERS.places(text):
        bracketed = text[place - 1 : place] == "(" or text[max(0, place - 9) : place].lower() == "(date of "
        match = _BEHIND.search(text, max(0, place - _LONGEST_DATE - 10), place) if bracketed else None
        if match and any(_is_date(*parts) for parts in _readings(match)):
            yield match.span("date")


def _is_word(text: str, place: int) -> bool:
    """Whether a word begins here, also one in camelCase; scripts without spaces have none."""
    before = text[place - 1] if place else " "
    return not before.isalpha() or ord(text[place]) > 0x2E80 or (before.islower() and text[place].isupper())


def _readings(match: re.Match[str]) -> list[tuple[int, int, int]]:
    """Year, month and day as they may be meant; 03/04/1980 has two readings."""
    if match["year"]:
        return [(int(match["year"]), int(match["month"]), int(match["day"]))]
    if match["year4"]:
        return [(int(match["year4"]), int(match["month4"]), int(match["day4"]))]
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
