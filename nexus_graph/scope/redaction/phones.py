"""Telephone numbers: international, as they are written in the United States, or national ones after a label.

Digits without `+`, separators or a label are never a number to call: they are ids, counts and times.
"""

from __future__ import annotations

import re

import phonenumbers

from nexus_graph.scope.redaction.spans import HYPHEN, SPACE, Spans, apart, digits_of

_GAP = f"[{SPACE}{HYPHEN}./()]"
_PLUS = re.compile(rf"\+(?<![A-Za-z_+]\+)\(?[0-9](?:{_GAP}{{0,3}}[0-9]){{6,16}}+", re.ASCII)
_GROUP_END = re.compile(r"[0-9](?![0-9])")
_AFTER = re.compile(r"(?!\w)|(?=x[0-9]|ext)", re.ASCII)  # an extension may follow; it stays
_NORTH_AMERICAN = re.compile(r"1[2-9][0-9]{9}")
_MAX_CUTS = 5

_US_START = re.compile(rf"[1-9(](?<![\w+][1-9])(?<![\w.][{HYPHEN}.][1-9])(?=[0-9]{{0,3}}[{SPACE}{HYPHEN}.)])", re.ASCII)
_EXCHANGE = "[1-9][0-9]{2}"
_US = re.compile(
    rf"(?:1[{SPACE}{HYPHEN}.])?(?:"
    rf"\([2-9][0-9]{{2}}\)[{SPACE}]?{_EXCHANGE}[{SPACE}{HYPHEN}.]?"
    rf"|[2-9][0-9]{{2}}(?P<gap>[{HYPHEN}.]){_EXCHANGE}(?P=gap)"
    rf"|[2-9][0-9]{{2}}[{SPACE}]{_EXCHANGE}(?:[{HYPHEN}]|(?P<spaced>[{SPACE}]))"
    rf")[0-9]{{4}}(?:(?!\w)|(?=x[0-9]|ext))(?![{HYPHEN}.][0-9])",
    re.ASCII,
)
_NAMES = (
    "phone|telephone|tel|mobile|cell|fax|call|text|sms|whatsapp|telefon|mobil|handy|téléphone|tél|portable|teléfono|"
    "móvil|telefono|cellulare|telefoon"
)
_NAMED = re.compile(rf"(?<![a-z])(?:{_NAMES})[^0-9\[\]\n]{{1,16}}$", re.IGNORECASE)

# After a label, a number that begins with the trunk prefix 0 and is valid in one of these regions, or ten US digits.
_REGIONS = ("GB", "DE", "FR", "IT", "NL", "BE", "CH", "AT", "SE", "IE", "AU", "IN", "JP", "ZA", "BR", "TR")
_LABELLED = re.compile(
    rf"(?<![a-z])(?:{_NAMES})s?(?:[ _-]?(?:number|no|nr))?[^\w\[\]\n+]{{1,6}}"
    rf"(?:(?P<national>\(?0[1-9](?:{_GAP}{{0,2}}[0-9]){{6,11}}+)|(?P<american>[2-9][0-9]{{2}}[2-9][0-9]{{6}}))"
    rf"(?!\w)(?![{HYPHEN}.][0-9])",
    re.IGNORECASE,
)
_DIALLED = re.compile(
    rf"0(?<![\w+.{HYPHEN}]0)0[1-9](?:{_GAP}{{0,3}}[0-9]){{6,15}}+(?!\w)(?![{HYPHEN}.][0-9])", re.ASCII
)


def is_named_phone(text: str, start: int) -> bool:
    """Whether the words just before `start` say that a telephone number follows."""
    return _NAMED.search(text, max(0, start - 28), start) is not None


def phones(text: str) -> Spans:
    """Telephone numbers from the `+`, bracket or first digit to the last digit; an extension stays in the text."""
    yield from apart((*_international(text), *_dialled(text), *_labelled(text), *_american(text)))


def _dialled(text: str) -> Spans:
    """International numbers with `00` in place of the `+`, written in groups and valid."""
    for match in _DIALLED.finditer(text):
        digits = digits_of(match[0])
        if len(digits) < len(match[0]) and _plausibility(digits[2:]) == _VALID:
            yield match.span()


def _labelled(text: str) -> Spans:
    for match in _LABELLED.finditer(text):
        if match["american"]:
            yield match.span("american")
        elif any(_is_valid_in(region, match["national"]) for region in _REGIONS):
            yield match.span("national")


def _is_valid_in(region: str, written: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(digits_of(written), region))
    except phonenumbers.NumberParseException:
        return False


def _international(text: str) -> Spans:
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


def _american(text: str) -> Spans:
    for start in _US_START.finditer(text):
        match = _US.match(text, start.start())
        if match and (match["spaced"] is None or is_named_phone(text, match.start())):
            yield match.span()
