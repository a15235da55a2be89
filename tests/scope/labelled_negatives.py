"""Lines of business text that hold neither personal data nor a secret, and look as if they did.

A form whose name ends in `, hard` is known to raise false alarms. It stays in the set whether it does or not.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from hashlib import md5, sha1, sha256

TRAPS: tuple[tuple[str, str], ...] = (
    ("prices", "$1,234,567.89 EUR 1.234.567,89 CHF 12'345.60 0.4111111111111111"),
    ("prices", "Total 212.555 EUR, 1234 pieces"),
    ("shares", "Growth was +15000000 users, +100 points, 1 + 12345678"),
    ("ranges", "pages 100-200, rooms 212-555, 10-20-30-40-50-60"),
    ("ranges", "seasons 2019-2020-2021, SKU 4111-1111-1111-1112"),
    ("times", "1700000000 1700000000000 1700000000000000 1700000000000000000"),
    ("times", "12:30:45:12:30:45 and 00:16:30:12:45:59"),
    ("times", "between 2024-01-15T12:30:45.123456+02:00 and 15.01.2024 08:00"),
    ("versions", "v1.2.3.4, version 10.0.19041.1234, pkg==1.2.3.4, other>=1.2.3.4"),
    ("versions", "Mozilla/5.0 Chrome/120.0.0.0 Safari/537.36 Edg/120.0.2210.91"),
    ("versions", "from version 1.2.3.4 to 1.2.3.5, firmware 10.2.3.4"),
    ("versions", "## 3.1.2.4 Scope of this section"),
    ("addresses of nobody", "127.0.0.1 0.0.0.0 255.255.255.255 ::1 224.0.0.1"),
    ("addresses of nobody", "ff:ff:ff:ff:ff:ff 00:00:00:00:00:00 01:00:5e:00:00:fb"),
    ("fingerprints", "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48"),
    ("fingerprints", "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8"),
    ("code", "std::vector a::b dead::beef cafe::add x->y @decorator self@other"),
    ("code", "npm i lodash@4.17.21 @babel/core@7.1.0 x@1.2.3-beta.rc"),
    ("code", "git@github.com:owner/repository.git ssh://git@example.com/x"),
    ("code", "icon@2x.png logo@3x.webp getty@tty1.service user@localhost"),
    ("code", "password = os.environ['DB_PASSWORD']  # token: str | None"),
    ("code", "sk-learn-pipeline-with-a-long-name task-sk-abcdef pk_live_publishable"),
    ("stand-ins", "https://user:***@example.com https://user:${PASSWORD}@example.com"),
    ("stand-ins", "Authorization: Bearer <token> and bearer authentication-required"),
    ("stand-ins", "ghp_xxxx AKIA... xoxb-<id> sk_live_..."),
    ("stand-ins", "look for -----BEGIN PRIVATE KEY----- and -----END PRIVATE KEY----- lines"),
    ("stand-ins", "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----"),
    ("account-like", "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000"),
    ("account-like", "DE88 3704 0044 0532 0130 00 has a typing error, XX89 3704 0044 0532 0130 00 no country"),
    ("account-like", "VAT DE123456789, EORI GB205672212000, LEI 529900T8BM49AURSDO55, BIC DEUTDEFF500"),
    ("account-like", "ISIN US0378331005, CUSIP 037833100, WKN 865985, SEDOL B0YBKJ7, D-U-N-S 15-048-3782"),
    ("wrong check digits", "NHS number: 943 476 5918 and NHS no 450 557 7105 are mistyped"),
    ("wrong check digits", "card 4111 1111 1111 1112, 5555555555554445 and 378282246310006 were declined"),
    ("wrong check digits", "GB28 NWBK 6016 1331 9268 19 and NO9386011117948 are mistyped"),
    ("never given out", "ITIN 912-66-1234, 912-93-1234 and ITIN: 912891234 do not exist"),
    ("dates", "founded 1975-03-03, reborn brand launched 2024-01-15, newborn line from 1 March 2023"),
    ("dates", "DOB: N/A, date of birth: unknown, born in 1975, birthday sale until Sunday"),
    ("dates", "DOB 31/31/1980 is no date, born 1980-13-01 neither"),
    ("labels", "NHS budget 2024: 4123456789 pounds; NHS number missing"),
    ("labels", "ITIN and SSN are both needed for form 1040-NR; SSN: pending"),
    ("labels", "Tel Aviv 2024, mobile 5000 sold, call 555-1234 is too short, fax: none"),
    ("labels", "phone model 2125, phone stock: 0 of 12345678 units"),
    ("wallet-like", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb is mistyped, 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD too"),
    ("wallet-like", "0x0000000000000000000000000000000000000000 burns; bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdr"),
    ("web-token-like", "eyJoZWxsbyI6IndvcmxkIn0.abcdefgh.ijklmnop is base64 JSON without an algorithm"),
    ("kinds", "[email] and [credit_card] were here, [phone]-[iban]"),
    ("purchase order, hard", "purchase order 123-45-6789 of 2024"),
    ("part number, hard", "part 212-555-1234 fits model 4"),
    ("order number with a check digit, hard", "order 4539578763621486 was shipped"),
    ("four numbers without a word, hard", "the appliance runs 10.2.3.4 now"),
    ("three groups with a check digit, hard", "article 401 023 2137 in blue"),
    ("chapter in running text, hard", "as said in 3.1.2.4 above"),
    ("example of a format, hard", "write it like name@example.com or +49 30 901820"),
    ("contract address, hard", "the token contract 0xdac17f958d2ee523a2206206994597c13d831ec7 is public"),
)
ENDINGS = ("", ", as agreed.", "; see the annex.", " (checked)", " - closed")


def negatives() -> Iterator[tuple[str, str]]:
    """Form and text of each line, the same in every run."""
    yield from TRAPS
    chance = random.Random("nexus-graph negatives")  # noqa: S311 - the same in every run
    for form, make in MAKERS.items():
        for _ in range(15):
            yield form, make(chance) + chance.choice(ENDINGS)


def number(chance: random.Random, length: int) -> str:
    """Random digits that do not begin with 0."""
    return chance.choice("123456789") + "".join(chance.choice("0123456789") for _ in range(length - 1))


def code(chance: random.Random, length: int) -> str:
    """Capital letters."""
    return "".join(chance.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(length))


def ean(chance: random.Random) -> str:
    """A product number (EAN-13) with its check digit."""
    body = "40" + number(chance, 10)
    return body + str(-sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body)) % 10)


def isbn(chance: random.Random) -> str:
    """A book number (ISBN-13) as it is printed, without regard for the check digit."""
    return f"978-3-{number(chance, 3)}-{number(chance, 5)}-{chance.randint(0, 9)}"


def _id(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _digest(chance: random.Random) -> str:
    make = chance.choice((md5, sha1, sha256))
    return make(number(chance, 12).encode(), usedforsecurity=False).hexdigest()


MAKERS: dict[str, Callable[[random.Random], str]] = {
    "UUIDs": lambda chance: f"asset {_id(chance)} was sealed",
    "digests": lambda chance: f"digest {_digest(chance)}",
    "git commits": lambda chance: (
        f"merged {_digest(chance)[: chance.choice((7, 8, 12))]} into release/{number(chance, 2)}"
    ),
    "SKUs": lambda chance: f"SKU {code(chance, 3)}-{number(chance, 4)}-{number(chance, 3)} x {number(chance, 2)}",
    "article numbers like IBANs": lambda chance: (
        f"{code(chance, 2)}{number(chance, 2)} {number(chance, 4)} {number(chance, 4)}"
    ),
    "invoices": lambda chance: (
        f"invoice INV-{chance.randint(2015, 2026)}-{number(chance, 6)} over {number(chance, 4)}.50 EUR"
    ),
    "orders": lambda chance: f"order {number(chance, 3)}-{number(chance, 7)}-{number(chance, 7)}",
    "tracking numbers": lambda chance: f"parcel 1Z{code(chance, 3)}{number(chance, 12)} left the depot",
    "versions": lambda chance: "version " + ".".join(number(chance, chance.choice((1, 2))) for _ in range(4)),
    "three-part versions": lambda chance: f"upgrade {number(chance, 1)}.{number(chance, 2)}.{number(chance, 1)} is out",
    "epoch times": lambda chance: (
        f"at={chance.randint(1_500_000_000, 1_900_000_000)}{chance.choice(('', '000', '123456'))}"
    ),
    "times of day": lambda chance: (
        f"{chance.randint(2015, 2026)}-0{chance.randint(1, 9)}-1{chance.randint(0, 9)}T12:{number(chance, 2)}:07Z"
    ),
    "ranges": lambda chance: (
        f"lots {number(chance, 3)}-{number(chance, 3)} and {number(chance, 4)}-{number(chance, 4)}"
    ),
    "prices": lambda chance: (
        f"{number(chance, 3)},{number(chance, 3)}.{number(chance, 2)} EUR, {number(chance, 2)}.{number(chance, 3)},00"
    ),
    "product numbers": lambda chance: f"EAN {ean(chance)}",
    "books": lambda chance: f"ISBN {isbn(chance)}",
    "large counts": lambda chance: f"{number(chance, 9)} views, {number(chance, 10)} impressions",
    "coordinates": lambda chance: f"lat {chance.uniform(-90, 90):.6f}, lon {chance.uniform(-180, 180):.6f}",
    "sizes": lambda chance: f"{number(chance, 3)}x{number(chance, 3)}x{number(chance, 2)} mm, {number(chance, 4)} kg",
    "serial numbers": lambda chance: f"S/N {code(chance, 2)}{number(chance, 8)}{code(chance, 2)}",
    "traces": lambda chance: f"00-{_digest(chance):.32}-{_digest(chance):.16}-01",
    "ids of the engine": lambda chance: (
        f"card_{chance.getrandbits(128):032x}@{number(chance, 2)} cites atom_{chance.getrandbits(128):032x}"
    ),
    "tickets": lambda chance: f"see {code(chance, 4)}-{number(chance, 5)} and pull request #{number(chance, 4)}",
    "percentages": lambda chance: (
        f"MER {chance.uniform(1, 9):.2f}, returns {chance.uniform(0, 20):.1f} %, YoY +{number(chance, 2)} %"
    ),
}
