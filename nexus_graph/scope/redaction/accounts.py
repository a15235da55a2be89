"""Numbers of accounts, each with its check: IBAN (mod 97) and payment cards (Luhn)."""

from __future__ import annotations

import re
from itertools import chain

from nexus_graph.scope.redaction.spans import HYPHEN, SPACE, Spans, digits_of

_SEPARATOR = f"[{SPACE}{HYPHEN}]"

# Length of an IBAN by country: SWIFT IBAN Registry.
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FK FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
_IBAN_START = re.compile(r"[A-Z](?<![A-Za-z0-9_][A-Z])[A-Z][0-9]{2}")
_IBAN_GROUPED = re.compile(rf"[A-Z0-9]{{4}}(?P<gap>{_SEPARATOR})(?:[A-Z0-9]{{4}}(?P=gap)){{2,7}}[A-Z0-9]{{1,4}}")


def ibans(text: str) -> Spans:
    """International bank account numbers (ISO 13616), compact or in groups of four, with their check digits right."""
    for start in _IBAN_START.finditer(text):
        length = _IBAN_LENGTHS.get(start[0][:2], 0)
        if not length:
            continue
        grouped = length + (length - 1) // 4
        for width in (length, grouped):
            candidate = text[start.start() : start.start() + width]
            after = text[start.start() + width : start.start() + width + 1]
            if len(candidate) < width or (after.isascii() and after.isalnum()) or after == "_":
                continue
            if width == grouped and not _IBAN_GROUPED.fullmatch(candidate):
                continue
            if _is_iban(re.sub(_SEPARATOR, "", candidate), length):
                yield start.start(), start.start() + width
                break


def _is_iban(compact: str, length: int) -> bool:
    if len(compact) != length or not (compact.isascii() and compact.isalnum()):
        return False
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


# Ranges of the card networks (ISO/IEC 7812 issuer numbers) with their lengths.
_CARD_NUMBER = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"  # Visa
    r"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|3(?:0[0-59]|[689][0-9])[0-9]{11}"  # Diners Club
    r"|(?:6011|64[4-9][0-9]|65[0-9]{2}|35(?:2[89]|[3-8][0-9])|220[0-4])[0-9]{12,15}"  # Discover, JCB, Mir
    r"|62[0-9]{14,17}"  # UnionPay
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])[0-9]{9,15}"  # Maestro
)
_CARD_START = re.compile(
    rf"[2-6](?<![\w+][2-6])(?<![0-9][.{HYPHEN}][2-6])(?=[0-9]{{3}}(?:[0-9]{{9}}|{_SEPARATOR}[0-9]{{4}}))", re.ASCII
)
_CARD_SHAPES = tuple(
    re.compile(rf"{shape}(?!\w)(?![.{HYPHEN}][0-9])", re.ASCII)
    for shape in (
        r"[0-9]{13,19}",
        rf"[0-9]{{4}}({_SEPARATOR})[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{1,3}}",
        rf"[0-9]{{4}}({_SEPARATOR})[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}",
        rf"[0-9]{{4}}({_SEPARATOR})[0-9]{{6}}\1[0-9]{{4,5}}",
    )
)


def credit_cards(text: str) -> Spans:
    """Payment card numbers, compact or grouped as they are printed."""
    end = 0
    for start in _CARD_START.finditer(text):
        if start.start() < end:
            continue
        for shape in _CARD_SHAPES:
            match = shape.match(text, start.start())
            if match and is_card_number(digits_of(match[0])):
                yield match.span()
                end = match.end()
                break


def is_card_number(digits: str) -> bool:
    """Whether `digits` is in the range of a card network, with its length, and passes the Luhn check (ISO/IEC 7812-1).

    Thirteen digits that are a valid EAN-13 are a product number: the last cards of that length are decades gone.
    """
    if not _CARD_NUMBER.fullmatch(digits):
        return False
    numbers = [int(digit) for digit in reversed(digits)]
    luhn = sum(chain(numbers[0::2], (sum(divmod(2 * number, 10)) for number in numbers[1::2])))
    ean = sum(numbers[0::2]) + 3 * sum(numbers[1::2])
    return luhn % 10 == 0 and not (len(digits) == 13 and ean % 10 == 0)
