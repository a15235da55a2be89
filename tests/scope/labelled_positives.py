"""Lines that hold personal data or a secret: every kind in many forms, inside prose, tables, JSON and logs.

A form whose name ends in `, hard` is known to be difficult. It stays in the set whether it is found or not.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from hashlib import sha256

from labelled_characters import BASE58, HEX, LETTERS, digits, some
from labelled_secrets import SECRETS

SURROUNDINGS = {
    "prose": (
        "Please use {} for everything else.",
        "As agreed on the phone ({}), we go on.",
        "The customer gave us {}, which we noted.",
        "Ask for {}; nobody else knows.",
        'We wrote down "{}" twice.',
    ),
    "table": ("4711;{};open;2024-03-01", "17\t{}\tyes", "Berlin,{},19.99,EUR", "| 3 | {} | done |"),
    "json": ('{{"value": "{}", "version": 3}}', '{{"items": [{{"note": "{}"}}]}}', "{{'a': '{}', 'b': None}}"),
    "log": (
        "2024-03-01T12:30:45Z INFO request value={} status=200 ms=12.5",
        "Mar  1 12:30:45 web-3 app[4711]: got {} from upstream",
        "[ERROR] could not store <{}>: timeout after 30 s",
    ),
}
Values = Callable[[random.Random], Iterator[tuple[str, str]]]  # forms, and values with their marks


def positives() -> Iterator[tuple[str, str]]:
    """Form and marked text of each line, the same in every run."""
    for kind, values in KINDS.items():
        chance = random.Random(f"nexus-graph {kind}")  # noqa: S311 - the same in every run
        for form, value in values(chance):
            name = chance.choice(list(SURROUNDINGS))
            if "\n" in value:
                name = "log"
            marked = value if "«" in value else f"«{kind}:{value}»"
            yield f"{kind}: {form}, {name}", chance.choice(SURROUNDINGS[name]).format(marked)


def grouped(number: str, separator: str, *lengths: int) -> str:
    """The number cut into groups of these lengths."""
    pieces, start = [], 0
    for length in lengths:
        pieces.append(number[start : start + length])
        start += length
    return separator.join(pieces)


def emails(chance: random.Random) -> Iterator[tuple[str, str]]:
    names = (
        "anna",
        "john.doe",
        "j_smith",
        "o'brien",
        "info+news",
        "lee-ann",
        "x",
        "müller",
        "иван",
        "r2d2",
        "FIRST.LAST",
    )
    domains = ("example.com", "mail.example.co.uk", "bücher.de", "a-b.io", "sub.domain.example.org", "example.museum")
    for name in names:
        for domain in chance.sample(domains, 2):
            yield "plain", f"{name}@{domain}"
    for _ in range(4):
        yield "mailto", f"mailto:«email:{some(chance, LETTERS, 6)}@example.net»?subject=hi"
        yield "display name", f"Jo Doe <«email:{some(chance, LETTERS, 5)}@example.com»>"
    yield "spelled out, hard", "«email:jane at example dot com»"
    yield "spelled out, hard", "«email:jane [at] example [dot] com»"
    yield "full width, hard", "«email:jane＠example.com»"
    yield "quoted local part, hard", '«email:"jane doe"@example.com»'
    yield "without a dot, hard", "«email:jane@intranet»"


def phones(chance: random.Random) -> Iterator[tuple[str, str]]:
    international = (
        "+49 30 901820",
        "+49 (0)89 2180-0",
        "+44 20 7946 0958",
        "+44 (0)7700 900123",
        "+33 1 42 68 53 00",
        "+39 06 6982",
        "+34 912 345 678",
        "+31 20 794 0800",
        "+41 44 668 18 00",
        "+43 1 58858-0",
        "+46 8 123 456 78",
        "+48 22 123 45 67",
        "+1 212 555 0123",
        "+1 (415) 555-2671",
        "+1-604-555-0199",
        "+61 2 9374 4000",
        "+91 22 2778 2778",
        "+81 3-1234-5678",
        "+86 10 6552 9988",
        "+55 11 91234-5678",
        "+52 55 1234 5678",
        "+27 21 480 0111",
        "+90 212 555 0100",
        "+971 4 366 8888",
        "+65 6123 4567",
        "+972 3 123 4567",
        "+14155552671",
        "+442079460958",
        "+4930901820",
    )
    for number in international:
        yield "international", number
    for number in ("0049 30 901820", "0044 20 7946 0958", "0033 1 42 68 53 00", "0041 44 668 18 00"):
        yield "dialled with 00", number
    for number in ("(212) 555-0123", "212-555-0199", "415.555.2671", "1-800-555-0142", "617 555-0187"):
        yield "United States", number
    for label, number in (
        ("Tel: ", "020 7946 0958"),
        ("Mobile: ", "07700 900123"),
        ("Telefon ", "030 901820"),
        ("Tél. ", "01 42 68 53 00"),
        ("tel=", "0161 496 0000"),
        ("Handy: ", "0151 23456789"),
        ("phone: ", "2125550123"),
        ("Fax: ", "089 2180-0"),
        ("phone number: ", "212 555 0123"),
        ("Telefono: ", "06 6982 1234"),
    ):
        yield "national after a label", f"{label}«phone:{number}»"
    yield "national without a label, hard", "«phone:020 7946 0958»"
    yield "national without a label, hard", "«phone:01 42 68 53 00»"
    yield "national without trunk 0, hard", "Teléfono: «phone:912 345 678»"
    yield "digits alone, hard", "«phone:07700900123»"
    yield "words between, hard", "«phone:plus one 212 555 0123»"


def credit_cards(chance: random.Random) -> Iterator[tuple[str, str]]:
    ranges = (("4", 16), ("51", 16), ("2720", 16), ("34", 15), ("36", 14), ("6011", 16), ("3530", 16), ("622848", 19))
    for prefix, length in ranges:
        for _ in range(3):
            number = luhn(prefix + some(chance, "0123456789", length - len(prefix) - 1))
            yield "compact", number
            if length == 16:
                yield "groups of four", grouped(number, chance.choice(" -\u00a0"), 4, 4, 4, 4)
            if length == 15:
                yield "groups as printed", grouped(number, " ", 4, 6, 5)
    number = luhn("4" + some(chance, "0123456789", 14))
    yield "dots between, hard", grouped(number, ".", 4, 4, 4, 4)
    yield "odd groups, hard", grouped(number, " ", 6, 6, 4)
    yield "glued to letters, hard", f"card«credit_card:{number}»"
    yield "behind a plus, hard", f"+«credit_card:{number}»"


def luhn(body: str) -> str:
    """The digits with their check digit."""
    total = 0
    for place, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return body + str(-total % 10)


def ibans(chance: random.Random) -> Iterator[tuple[str, str]]:
    shapes = {
        "DE": "d" * 18, "FR": "d" * 10 + "a" * 11 + "dd", "GB": "AAAA" + "d" * 14, "NL": "AAAA" + "d" * 10,
        "ES": "d" * 20, "IT": "A" + "d" * 22, "NO": "d" * 11, "BE": "d" * 12, "PL": "d" * 24, "CH": "d" * 17,
        "MT": "AAAA" + "d" * 23, "SE": "d" * 20,
    }  # fmt: skip
    alphabets = {"d": "0123456789", "a": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", "A": LETTERS.upper()}
    for country, shape in shapes.items():
        for form, separator in (("compact", ""), ("groups of four", " ")):
            account = "".join(chance.choice(alphabets[each]) for each in shape)
            number = int("".join(str(int(each, 36)) for each in account + country + "00"))
            iban = f"{country}{98 - number % 97:02}{account}"
            yield form, separator.join(iban[start : start + 4] for start in range(0, len(iban), 4))
    yield "lower case, hard", "«iban:de89370400440532013000»"
    yield "odd groups, hard", "«iban:DE89 370400440532013000»"
    yield "glued to a word, hard", "IBAN«iban:DE89370400440532013000»"


def us_ssns(chance: random.Random) -> Iterator[tuple[str, str]]:
    for form in (
        "{}-{}-{}",
        "{}-{}-{}",
        "SSN {}{}{}",
        "ssn: {} {} {}",
        "Social Security Number: {}-{}-{}",
        '"ssn": "{}{}{}"',
    ):
        for _ in range(4):
            parts = (str(chance.randint(100, 665)), f"{chance.randint(1, 99):02}", f"{chance.randint(1, 9999):04}")
            yield "by its label" if "s" in form.lower() else "with hyphens", mark(form, "us_ssn", parts)
    yield "digits alone, hard", "«us_ssn:123456789»"
    yield "last four, hard", "SSN ending «us_ssn:6789»"
    yield "with dots, hard", "SSN «us_ssn:123.45.6789»"


def us_itins(chance: random.Random) -> Iterator[tuple[str, str]]:
    for form in ("{}-{}-{}", "{}-{}-{}", "{}-{}-{}", "ITIN {}{}{}", "itin: {} {} {}", "taxpayer id {}{}{}"):
        for _ in range(4):
            group = chance.choice([*range(50, 66), *range(70, 89), 90, 91, 92, *range(94, 100)])
            yield (
                "by its label" if "t" in form.lower() else "with hyphens",
                mark(form, "us_itin", ("9" + some(chance, "0123456789", 2), str(group), digits(chance, 4))),
            )
    yield "digits alone, hard", "«us_itin:912701234»"


def mark(form: str, kind: str, parts: tuple[str, ...]) -> str:
    """The form with the parts between its first and last placeholder marked."""
    start, end = form.index("{}"), form.rindex("{}") + 2
    return form[:start] + f"«{kind}:{form[start:end].format(*parts)}»" + form[end:]


def uk_nhs(chance: random.Random) -> Iterator[tuple[str, str]]:
    forms = (("printed", "{} {} {}"), ("by its label", "NHS number {} {} {}"), ("by its label", "NHS No: {}{}{}"))
    for name, form in (*forms, ("by its label", "nhs_number={}-{}-{}"), ("by its label", '"nhsNumber": "{}{}{}"')):
        for _ in range(5):
            number = nhs(chance, "467" if name == "printed" else "3456789")
            yield name, mark(form, "uk_nhs", (number[:3], number[3:6], number[6:]))
    yield "digits alone, hard", "«uk_nhs:4505577104»"
    yield "Scottish range without a label, hard", "«uk_nhs:010 101 0000»"


def nhs(chance: random.Random, first: str) -> str:
    """Nine random digits and the check digit."""
    while True:
        body = chance.choice(first) + some(chance, "0123456789", 8)
        check = -sum(int(digit) * (10 - place) for place, digit in enumerate(body)) % 11
        if check < 10:
            return body + str(check)


def ip_addresses(chance: random.Random) -> Iterator[tuple[str, str]]:
    for _ in range(16):
        yield "v4", ".".join(str(chance.randint(1, 200)) for _ in range(4))
    for _ in range(6):
        address = ".".join(str(chance.randint(11, 120)) for _ in range(4))
        yield "v4 with port or prefix", f"«ip_address:{address}»{chance.choice((':8080', '/24', ':443'))}"
    for _ in range(8):
        yield "v6", "2001:db8:" + ":".join(some(chance, HEX, 4) for _ in range(6))
    for address in ("2001:db8::1", "fe80::1ff:fe23:4567:890a", "fd12:3456:789a::1", "2a00:1450:4001:81b::200e"):
        yield "v6 shortened", address
    yield "behind a product name, hard", "nginx/«ip_address:10.1.2.3»"
    yield "v4 inside v6, hard", "«ip_address:::ffff:10.1.2.3»"
    yield "words like a version, hard", "release server «ip_address:10.1.2.3»"
    yield "like a heading, hard", "\n«ip_address:10.1.2.3» Server"


def mac_addresses(chance: random.Random) -> Iterator[tuple[str, str]]:
    for separator in ":-":
        for _ in range(10):
            address = "00" + separator + separator.join(some(chance, HEX, 1) + "a" for _ in range(5))
            yield f"with {separator}", chance.choice((address, address.upper()))
    for _ in range(6):
        yield "with dots", f"3c{some(chance, HEX, 2)}.{some(chance, HEX, 3)}4.5e{some(chance, HEX, 2)}"
    yield "digits only, hard", "«mac_address:00:16:30:12:45:59»"
    yield "compact, hard", "«mac_address:001a2b3c4d5e»"


def crypto_wallets(chance: random.Random) -> Iterator[tuple[str, str]]:
    for version in (0, 5):
        for _ in range(7):
            payload = bytes([version]) + bytes(chance.getrandbits(8) for _ in range(20))
            yield "Bitcoin legacy", base58(payload + sha256(sha256(payload).digest()).digest()[:4])
    for address in (
        "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
        "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
        "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
    ):
        yield "Bitcoin segregated witness", address
    for address in (  # the examples of EIP-55
        "0x52908400098527886E0F7030069857D2E4169EE7", "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77", "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ):  # fmt: skip
        yield "Ethereum", address
    for _ in range(4):
        yield "Ethereum", "0x" + some(chance, HEX, 40)
    yield "payment address, hard", "ethereum:«crypto_wallet:0x" + some(chance, HEX, 40) + "»@1"
    yield "another chain, hard", "«crypto_wallet:ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9»"


def base58(payload: bytes) -> str:
    """Base58 with a 1 for each zero byte in front."""
    number, text = int.from_bytes(payload, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = BASE58[rest] + text
    return "1" * (len(payload) - len(payload.lstrip(b"\0"))) + text


def birth_dates(chance: random.Random) -> Iterator[tuple[str, str]]:
    labels = (
        "DOB: ",
        "dob=",
        "Date of birth: ",
        "born on ",
        "born ",
        '"birthDate": "',
        "Geburtsdatum: ",
        "née le ",
        "birthday ",
    )
    for label in labels:
        for form in ("{y}-{m:02}-{d:02}", "{d:02}/{m:02}/{y}", "{d}.{m}.{y}"):
            date = form.format(y=chance.randint(1930, 2015), m=chance.randint(1, 12), d=chance.randint(1, 28))
            yield "after a label", f"{label}«birth_date:{date}»"
    for date in ("3 March 1975", "March 3, 1975", "21st of June 1988", "1 Jan 2001", "Dec. 24, 1999"):
        yield "with the month's name", f"born on «birth_date:{date}»"
    yield "two digits of a year", "DOB «birth_date:03/04/75»"
    yield "in words, hard", "born on «birth_date:the third of March 1975»"
    yield "words between, hard", "birthday (as in the passport, checked by us): «birth_date:1975-03-03»"
    yield "label behind, hard", "«birth_date:1975-03-03» (date of birth)"
    yield "another language, hard", "syntynyt «birth_date:3.3.1975»"


KINDS: dict[str, Values] = {
    "email": emails,
    "phone": phones,
    "credit_card": credit_cards,
    "iban": ibans,
    "us_ssn": us_ssns,
    "us_itin": us_itins,
    "uk_nhs": uk_nhs,
    "ip_address": ip_addresses,
    "mac_address": mac_addresses,
    "crypto_wallet": crypto_wallets,
    "birth_date": birth_dates,
    **SECRETS,
}
