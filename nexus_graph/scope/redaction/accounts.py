"""Numbers of accounts, each with its check: IBAN (mod 97) and payment cards (Luhn)."""

from __future__ import annotations

import re
from itertools import chain

from nexus_graph.scope.redaction.labels import is_named_otherwise
from nexus_graph.scope.redaction.spans import HYPHEN, SPACE, Spans, digits_of
from nexus_graph.scope.redaction.texts import Text

_FEWEST_IBAN_DIGITS = 2
_FEWEST_CARD_DIGITS = 13
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
_CHECK_DIGITS = re.compile(
    r"[0-9](?<=[A-Za-z ].)"
    r"(?:(?<=[A-Za-z]{2}.)(?:(?<![A-Za-z0-9_]...)|(?<=IBAN...))|(?<=[A-Z]{2} .)(?<![A-Za-z0-9_]....))"
    r"[0-9](?=[A-Za-z0-9]|[^\w\[\]][A-Za-z0-9])",
    re.ASCII,
)
_IBAN_PIECES = re.compile(rf"[A-Z0-9]{{2,}}+(?:{_SEPARATOR}[A-Z0-9]{{1,30}}+){{0,15}}+")
_IBAN_PIECES_LOWER = re.compile(rf"[a-z0-9]{{2,}}+(?:{_SEPARATOR}[a-z0-9]{{1,30}}+){{0,15}}+")


def ibans(text: Text) -> Spans:
    """International bank account numbers (ISO 13616) with their check digits right, in groups of any size or none."""
    if text.digits < _FEWEST_IBAN_DIGITS:
        return
    end = 0
    for check in _CHECK_DIGITS.finditer(text):
        start = check.start() - (3 if text[check.start() - 1] == " " else 2)
        length = _IBAN_LENGTHS.get(text[start : start + 2].upper(), 0) if start >= end else 0
        if not length:
            continue
        pieces = (_IBAN_PIECES if text[start].isupper() else _IBAN_PIECES_LOWER).match(text, start)
        stop = _end_of(text, pieces, length) if pieces else None
        if stop is not None and _is_iban(re.sub(_SEPARATOR, "", text[start:stop]).upper()):
            end = stop
            yield start, stop


def _end_of(text: str, pieces: re.Match[str], length: int) -> int | None:
    """Where the letters and digits of the pieces come to `length`, if a piece ends there."""
    counted = 0
    for place in range(pieces.start(), pieces.end()):
        counted += text[place].isalnum()
        if counted == length:
            after = text[place + 1 : place + 2]
            return None if after == "_" or (after.isascii() and after.isalnum()) else place + 1
    return None


def _is_iban(compact: str) -> bool:
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


# Ranges of the card networks (ISO/IEC 7812 issuer numbers) with their lengths.
_CARD_NUMBER = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"  # Visa, and Dankort and Elo with it
    r"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|3(?:0[0-59]|[689][0-9])[0-9]{11,16}"  # Diners Club
    r"|(?:6011|64[4-9][0-9]|65[0-9]{2}|35(?:2[89]|[3-8][0-9])|220[0-4])[0-9]{12,15}"  # Discover, RuPay, Troy; JCB; Mir
    r"|(?:62[0-9]{2}|8[12][0-9]{2})[0-9]{12,15}"  # UnionPay, RuPay
    r"|(?:50[0-9]{2}|5[6-8][0-9]{2}|6304|6390|67[0-9]{2})[0-9]{8,15}"  # Maestro, and Verve, RuPay, Elo with it
    r"|(?:60[0-9]{2}|63[67][0-9]|636[0-9])[0-9]{12,15}"  # RuPay, Hipercard, InterPayment, InstaPayment, Elo
)
# Networks of one country, in ranges where other numbers are at home: only where a card is spoken of.
_NAMED_CARD_NUMBER = re.compile(r"1[0-9]{14}|(?:8600|9860|9792|9704|1946|5614)[0-9]{12,15}")  # UATP; Uzcard, Humo, Troy
_CARD_BEFORE = re.compile(
    r"(?<![a-z])(?:(?:credit|debit|bank)?-?cards?|(?:kredit|bank)?karten?(?:nummer)?|cartes?|tarjetas?|cart[aãoõ]+(?:es)?|"
    r"kart[aiyę]?|kort|pan|visa|amex|uzcard|humo|troy|napas|uatp|карт[аыу]|银行卡|卡号?|カード)[^0-9\[\]\n]{0,20}$",
    re.IGNORECASE,
)
_CARD_AFTER = re.compile(r"[^0-9\[\]\n]{0,3}(?:uzcard|humo|troy|napas|uatp)", re.IGNORECASE)
_CARD_SEPARATOR = f"[{SPACE}{HYPHEN}.]"
_CARD_START = re.compile(
    rf"[1-9](?<![\w+].)(?=[0-9]{{3}}[0-9{SPACE}{HYPHEN}.])(?<![0-9][.{HYPHEN}].)"
    rf"(?=[0-9]{{3}}(?:[0-9]{{9}}|[0-9]{{2}}{_CARD_SEPARATOR}[0-9]{{6}}|{_CARD_SEPARATOR}[0-9]{{4}}))",
    re.ASCII,
)
_CARD_SHAPES = tuple(
    re.compile(rf"{shape}(?!\w)(?![.{HYPHEN}][0-9])", re.ASCII)
    for shape in (
        r"[0-9]{13,19}",
        rf"[0-9]{{4}}({_CARD_SEPARATOR})[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{1,3}}",
        rf"[0-9]{{4}}({_CARD_SEPARATOR})[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}",
        rf"[0-9]{{4}}({_CARD_SEPARATOR})[0-9]{{6}}\1[0-9]{{4,5}}",
        rf"[0-9]{{6}}({_CARD_SEPARATOR})[0-9]{{13}}",
        rf"[0-9]{{6}}({_CARD_SEPARATOR})[0-9]{{6}}\1[0-9]{{4}}",
    )
)


def credit_cards(text: Text) -> Spans:
    """Payment card numbers, compact or grouped as they are printed, unless an order or the like is named before."""
    if text.digits < _FEWEST_CARD_DIGITS:
        return
    end = 0
    for start in _CARD_START.finditer(text):
        if start.start() < end:
            continue
        for shape in _CARD_SHAPES:
            match = shape.match(text, start.start())
            if match and _is_meant(text, match, digits_of(match[0])):
                yield match.span()
                end = match.end()
                break


def _is_meant(text: str, match: re.Match[str], digits: str) -> bool:
    if is_card_number(digits):
        return not is_named_otherwise(text, match.start())
    if not (_NAMED_CARD_NUMBER.fullmatch(digits) and _passes_luhn(digits)):
        return False
    named = _CARD_BEFORE.search(text, max(0, match.start() - 40), match.start()) is not None
    return named or _CARD_AFTER.match(text, match.end()) is not None


def is_card_number(digits: str) -> bool:
    """Whether `digits` is in the range of a card network, with its length, and passes the Luhn check (ISO/IEC 7812-1).

    Thirteen digits that are a valid EAN-13 are a product number: the last cards of that length are decades gone.
    """
    if not _CARD_NUMBER.fullmatch(digits) or not _passes_luhn(digits):
        return False
    numbers = [int(digit) for digit in reversed(digits)]
    return not (len(digits) == 13 and (sum(numbers[0::2]) + 3 * sum(numbers[1::2])) % 10 == 0)


def _passes_luhn(digits: str) -> bool:
    numbers = [int(digit) for digit in reversed(digits)]
    return sum(chain(numbers[0::2], (sum(divmod(2 * number, 10)) for number in numbers[1::2]))) % 10 == 0
