"""Telephone numbers: international, as they are written in the United States, national mobile ones, or after a label.

Digits without `+`, separators or a label are never a number to call: they are ids, counts and times.
"""

from __future__ import annotations

import re

import phonenumbers

from nexus_graph.scope.redaction.labels import is_named_otherwise
from nexus_graph.scope.redaction.plans import MOBILE, is_national
from nexus_graph.scope.redaction.spans import HYPHEN, SPACE, Spans, apart, digits_of
from nexus_graph.scope.redaction.texts import Patterns, Text, Words

_GAP = f"[{SPACE}{HYPHEN}./()]"
_PLUS = re.compile(rf"\+(?<![A-Za-z_+]\+)\(?[0-9](?:{_GAP}{{0,3}}[0-9]){{6,16}}+", re.ASCII)
_GROUP_END = re.compile(r"[0-9](?![0-9])")
_AFTER = re.compile(r"(?!\w)|(?=x[0-9]|ext)", re.ASCII)  # an extension may follow; it stays
_NORTH_AMERICAN = re.compile(r"1[2-9][0-9]{9}")
_MAX_CUTS = 5
_FEWEST_DIGITS = 7

_EXCHANGE = "[1-9][0-9]{2}"
_US_END = rf"[0-9]{{4}}(?:(?!\w)|(?=x[0-9]|ext))(?![{HYPHEN}.]\w)"
_US = re.compile(
    rf"[2-9](?<![\w+].)[0-9]{{2}}(?:(?P<gap>[{HYPHEN}.]){_EXCHANGE}(?P=gap)"
    rf"|[{SPACE}]{_EXCHANGE}(?:[{HYPHEN}]|(?P<spaced>[{SPACE}]))){_US_END}",
    re.ASCII,
)
_US_BRACKET = re.compile(rf"\([2-9][0-9]{{2}}\)[{SPACE}]?{_EXCHANGE}[{SPACE}{HYPHEN}.]?{_US_END}", re.ASCII)
_JOINED = re.compile(rf"[\w.][{HYPHEN}.]$", re.ASCII)
_US_TRUNK = re.compile(rf"(?<![\w+])(?<![\w.][{HYPHEN}.])1[{SPACE}{HYPHEN}.]$", re.ASCII)

_DIALLED = re.compile(
    rf"00(?<![\w+.{HYPHEN}]..) ?[1-9](?:{_GAP}{{0,3}}[0-9]){{6,15}}+(?!\w)(?![{HYPHEN}.][0-9])", re.ASCII
)


def phones(text: Text) -> Spans:
    """Telephone numbers from the `+`, bracket or first digit to the last digit; an extension stays in the text."""
    if text.digits < _FEWEST_DIGITS:
        return
    found = (*_international(text), *_dialled(text), *_labelled(text), *_american(text), *_mobile(text))
    yield from apart(found)


def _dialled(text: Text) -> Spans:
    """International numbers with `00` in place of the `+`, written in groups and valid."""
    for match in _DIALLED.finditer(text):
        digits = digits_of(match[0])
        if len(digits) < len(match[0]) and _plausibility(digits[2:]) == _VALID:
            yield match.span()


def _international(text: Text) -> Spans:
    """Numbers that begin with `+` and a country code; the longest run of groups that the numbering plan allows."""
    for match in _PLUS.finditer(text):
        ends = [group.end() for group in _GROUP_END.finditer(text, match.start(), match.end())]
        possible = None
        for end in reversed(ends[-_MAX_CUTS:]):
            if not _AFTER.match(text, end):
                continue
            rank = _plausibility(text[match.start() : end])
            if rank == _VALID:
                possible = end
                break
            if rank == _POSSIBLE and possible is None:
                possible = end
        if possible is not None:
            yield match.start(), possible


_NEITHER, _POSSIBLE, _VALID = range(3)


def _plausibility(written: str) -> int:
    digits = digits_of(written)  # the (0) of +44 (0)20 is dropped by the parser
    if digits.startswith("1"):
        return _VALID if _NORTH_AMERICAN.fullmatch(digits) else _NEITHER
    if not 8 <= len(digits) <= 15:
        return _NEITHER
    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return _NEITHER
    if phonenumbers.is_valid_number(number):
        return _VALID
    return _POSSIBLE if phonenumbers.is_possible_number(number) else _NEITHER


def _american(text: Text) -> Spans:
    for match in _US.finditer(text):
        area = match.start()
        trunk = _US_TRUNK.search(text, max(0, area - 4), area)
        start = trunk.start() if trunk else area
        alone = trunk or not _JOINED.search(text, max(0, area - 2), area)
        named_as_needed = match["spaced"] is None or is_named_phone(text, start)
        if alone and named_as_needed and not is_named_otherwise(text, start):
            yield start, match.end()
    for match in _US_BRACKET.finditer(text):
        trunk = _US_TRUNK.search(text, max(0, match.start() - 4), match.start())
        yield trunk.start() if trunk else match.start(), match.end()


# After a label comes a number that is valid in one of the regions.

# Each label by the letters that it begins with; the pattern begins there too.
_LABELS = {
    "phone": "phones?",
    "tel": "tel(?:ephones?|efon[eo]?|éfonos?|efoon|efax|p)?",
    "tél": "tél(?:éphone)?",
    "mob": "mob(?:iles?|il|iel)?",
    "móvil": "móvil(?:es)?",
    "cel": "cel(?:l|lulare|ular(?:es)?)?",
    "handy": "handy",
    "port": "port(?:able|\\.)",
    "fon": "fon",
    **{
        word: re.escape(word)
        for word in (
            "gsm", "fax", "whatsapp", "komórka", "kom.", "hotline", "zap", "viber", "hp", "wa", "ph", "cp",
            "cep", "simu", "m-pesa", "call", "ring", "text", "sms", "reach", "contact", "switchboard",
            "standard", "my number", "mon numéro", "meine nummer", "mi número", "unter", "appelez", "llámame",
            "тел", "телефон", "моб", "мобильный", "đt", "sđt", "điện thoại", "di động", "手机", "电话", "電話",
            "携帯", "传真", "联系方式", "휴대폰", "휴대전화", "전화", "연락처", "मोबाइल", "फोन", "फ़ोन",
            "মোবাইল", "ফোন", "موبايل", "هاتف", "جوال", "موبایل", "همراه", "تلفن", "โทร", "มือถือ", "☎", "📞",
            "📱",
        )
    },
}  # fmt: skip
_LAST_WITH_WORDS = 0x2E80  # scripts from here on have no spaces between words
_NUMBER_WORDS = "number|nr|no|num|numéro|nummer|номер|número"
_FILLING = (
    f"{_NUMBER_WORDS}|is|at|on|under|unter|au|al|le|el|tel|kom|me|us|him|her|them|номер|телефон|"
    "office|home|work|mobile|private|privat|dienstlich|büro|us|uk|ed|au|номера|mich|dich|uns|à|a"
)
_NAMED = re.compile(rf"(?<![a-z])(?:{'|'.join(_LABELS.values())})[^0-9\[\]\n]{{1,16}}$", re.IGNORECASE)
_NUMBER = (
    rf"(?:[^\w\[\]\n+]{{1,3}}(?:{_FILLING})(?![a-z])){{0,3}}[^\w\[\]\n+]{{0,6}}(?<![0-9])"
    rf"(?!(?:19|20)[0-9]{{2}}[-/.][0-9]{{2}}[-/.])"
    rf"(?P<number>\(?[0-9](?:{_GAP}{{0,3}}[0-9]){{7,12}}+)(?!\w)(?![{HYPHEN}.:][0-9])(?! ?%)"
)
_LABELLED = Patterns(
    {letters: f"{label}(?:{_NUMBER_WORDS})?{_NUMBER}" for letters, label in _LABELS.items()}, re.IGNORECASE
)
_LETTERS = Words(_LABELS)
_COMMON = frozenset(("call", "ring", "text", "reach", "contact", "standard", "unter", "port", "cp", "ph", "wa", "hp"))
"""Words of other uses, after which a number must begin with a trunk prefix."""


def is_named_phone(text: str, start: int) -> bool:
    """Whether the words just before `start` say that a telephone number follows."""
    return _NAMED.search(text, max(0, start - 28), start) is not None


def _labelled(text: Text) -> Spans:
    for letters, place in _LETTERS.places(text):
        if place and text[place - 1].isalpha() and ord(letters[0]) < _LAST_WITH_WORDS:
            continue
        match = _LABELLED[letters].match(text, place)
        if not match or (letters in _COMMON and match["number"].lstrip("(")[0] != "0"):
            continue
        if is_national(digits_of(match["number"])):
            yield match.span("number")


# Without a label, mobile numbers in the groups in which they are written, one country's or another's.

_LONE = rf"(?<![\w+.)/{HYPHEN}].)(?<![0-9][{SPACE}].)"
_ENDS = rf"(?!\w)(?!{_GAP}{{1,2}}[0-9])(?!-\w)(?! ?%)"
_WITH_TRUNK = re.compile(
    rf"0{_LONE}[1-9][0-9]{{0,3}}(?P<gap>[{SPACE}{HYPHEN}./])(?:[0-9]{{2,8}})(?:[{SPACE}{HYPHEN}.][0-9]{{2,4}}){{0,3}}+{_ENDS}",
    re.ASCII,
)
_GROUPS = frozenset(
    (
        *((4, 6), (4, 7), (4, 8), (5, 6), (5, 7), (3, 7), (2, 8)),
        *((4, 3, 4), (4, 3, 3), (4, 4, 4), (4, 4, 3), (3, 4, 4), (3, 3, 4), (5, 3, 3), (2, 4, 4)),
        *((4, 3, 2, 2), (3, 3, 2, 2), (4, 2, 2, 2), (2, 2, 2, 2, 2)),
    )
)
_WITHOUT_TRUNK = tuple(
    re.compile(shape + _ENDS, re.ASCII)
    for shape in (
        rf"1{_LONE}[3-9][0-9](?P<gap>[{SPACE}{HYPHEN}])[0-9]{{4}}(?P=gap)[0-9]{{4}}",  # China
        rf"[6-9]{_LONE}[0-9]{{4}}[{SPACE}][0-9]{{5}}",  # India
        rf"\((?<![\w+].)[1-9][0-9]\)[{SPACE}]?9[0-9]{{4}}[{SPACE}{HYPHEN}][0-9]{{4}}",  # Brazil
        rf"8{_LONE}[{SPACE}{HYPHEN}]?(?:\(9[0-9]{{2}}\)|9[0-9]{{2}})[{SPACE}{HYPHEN}]?[0-9]{{3}}"
        rf"(?P<gap>[{SPACE}{HYPHEN}])[0-9]{{2}}(?P=gap)[0-9]{{2}}",  # Russia
        rf"0{_LONE}[{SPACE}]?\(5[0-9]{{2}}\)[{SPACE}]?[0-9]{{3}}[{SPACE}][0-9]{{2}}[{SPACE}][0-9]{{2}}",  # Turkey
    )
)
_RUNS = re.compile(r"[0-9]+")


def _mobile(text: Text) -> Spans:
    for match in _WITH_TRUNK.finditer(text):
        groups = tuple(len(run) for run in _RUNS.findall(match[0]))
        in_pairs = len(groups) == 5 and match[0][1] not in "67"  # so the French write them
        if (
            groups in _GROUPS
            and not in_pairs
            and MOBILE.fullmatch(digits_of(match[0]))
            and not is_named_otherwise(text, match.start())
        ):
            yield match.span()
    for shape in _WITHOUT_TRUNK:
        for match in shape.finditer(text):
            if not is_named_otherwise(text, match.start()):
                yield match.span()
