"""Values for the labelled texts: what stands as `‹name arguments|groups›` in them is made here, with its checks.

`‹hex 32›` is 32 random hexadecimal digits, `‹card 4539 16|4444 ›` a card number with its check digit in groups of four
with spaces between them. Secrets are made and never written down, so that no scanner takes these files for a leak.
"""

from __future__ import annotations

import base64
import json
import random
import uuid
from collections.abc import Callable
from hashlib import sha256

from labelled_characters import ALPHANUMERIC, BASE58, HEX, LETTERS, digits, some
from labelled_positives import base58, grouped, luhn, nhs

from nexus_graph.scope.redaction.keccak import keccak_256

Maker = Callable[..., str]
_SHAPES = {
    "AE": "d" * 19, "AT": "d" * 16, "BE": "d" * 12, "CH": "d" * 5 + "a" * 12, "CZ": "d" * 20, "DE": "d" * 18,
    "DK": "d" * 14, "ES": "d" * 20, "FI": "d" * 14, "FR": "d" * 10 + "a" * 11 + "dd", "GB": "A" * 4 + "d" * 14,
    "GR": "d" * 7 + "a" * 16, "HU": "d" * 24, "IE": "A" * 4 + "d" * 14, "IL": "d" * 19, "IT": "A" + "d" * 22,
    "LI": "d" * 5 + "a" * 12, "LU": "d" * 3 + "a" * 13, "MT": "A" * 4 + "d" * 5 + "a" * 18, "NL": "A" * 4 + "d" * 10,
    "NO": "d" * 11, "PL": "d" * 24, "PT": "d" * 21, "RO": "A" * 4 + "a" * 16, "SA": "d" * 2 + "a" * 18,
    "SE": "d" * 20, "SK": "d" * 20, "TR": "d" * 6 + "a" * 16, "UA": "d" * 6 + "a" * 19, "EE": "d" * 16,
    "BR": "d" * 23 + "Aa", "HR": "d" * 17, "LT": "d" * 16, "MC": "d" * 10 + "a" * 11 + "dd", "KZ": "d" * 3 + "a" * 13,
}  # fmt: skip
_ALPHABETS = {"d": "0123456789", "a": "0123456789" + LETTERS.upper(), "A": LETTERS.upper()}
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_WORDS = (
    "amber", "brook", "cedar", "delta", "ember", "fjord", "grove", "heron", "islet", "jetty", "knoll", "larch", "maple",
    "north", "olive", "plume",
)  # fmt: skip


def made(chance: random.Random, slot: str) -> str:
    """The value that a slot stands for."""
    call, _, groups = slot.partition("|")
    name, *arguments = call.split(" ")
    value = MAKERS[name](chance, *arguments)
    if not groups:
        return value
    lengths, separator = groups[:-1] or "4", groups[-1]
    if separator.isdigit():  # groups without a separator named: spaces
        lengths, separator = groups, " "
    if lengths == "4":
        return separator.join(value[start : start + 4] for start in range(0, len(value), 4))
    return grouped(value, separator, *map(int, lengths))


def from_alphabet(alphabet: str) -> Maker:
    """A maker of random characters; the first and the last are letters or digits."""

    def make(chance: random.Random, length: str) -> str:
        ends = [character for character in alphabet if character.isalnum()]
        value = some(chance, alphabet, int(length))
        return chance.choice(ends) + value[1:-1] + chance.choice(ends) if len(value) > 1 else chance.choice(ends)

    return make


def password(signs: str) -> Maker:
    """A maker of passwords as people have them: two words, digits, one of these signs somewhere."""

    def make(chance: random.Random) -> str:
        first, second = chance.sample(_WORDS, 2)
        number, sign = digits(chance, chance.choice((2, 3, 4))), chance.choice(signs)
        shape = chance.choice(("{0}{3}{1}{2}", "{0}{2}{3}{1}", "{2}{0}{3}{1}", "{0}{1}{2}{3}", "{0}{3}{2}"))
        value = shape.format(first.title(), second, number, sign)
        return value if value[-1].isalnum() else value + chance.choice(LETTERS)

    return make


def card(chance: random.Random, prefix: str, length: str) -> str:
    """A card number in this range."""
    return luhn(prefix + some(chance, "0123456789", int(length) - len(prefix) - 1))


def mistyped_card(chance: random.Random, prefix: str, length: str) -> str:
    """A card number with a wrong check digit."""
    right = card(chance, prefix, length)
    return right[:-1] + str((int(right[-1]) + chance.randint(1, 9)) % 10)


def iban(chance: random.Random, country: str) -> str:
    """An account number of this country."""
    account = "".join(chance.choice(_ALPHABETS[each]) for each in _SHAPES[country])
    number = int("".join(str(int(each, 36)) for each in account + country + "00"))
    return f"{country}{98 - number % 97:02}{account}"


def ean(chance: random.Random) -> str:
    """A product number (EAN-13)."""
    body = "40" + digits(chance, 10)
    return body + str(-sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body)) % 10)


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def web_token(chance: random.Random, algorithm: str) -> str:
    """A signed web token, or one with the algorithm none."""
    header = {"typ": "JWT", "alg": algorithm} if chance.random() < 0.3 else {"alg": algorithm, "kid": digits(chance, 5)}
    claims = {"iss": "https://id.example.com/", "sub": digits(chance, 9), "exp": 1_700_000_000}
    signature = "" if algorithm == "none" else from_alphabet(ALPHANUMERIC + "_-")(chance, "86")
    return f"{_encoded(header)}.{_encoded(claims)}.{signature}"


def encrypted_token(chance: random.Random, algorithm: str) -> str:
    """An encrypted web token; without an encrypted key where the algorithm needs none."""
    wide = from_alphabet(ALPHANUMERIC + "_-")
    key = "" if algorithm in ("dir", "ECDH-ES") else wide(chance, "86")
    parts = [_encoded({"alg": algorithm, "enc": "A256GCM"}), key, wide(chance, "16"), wide(chance, "64")]
    return ".".join([*parts, wide(chance, "22")])


def _lines(chance: random.Random, count: int) -> list[str]:
    return [some(chance, ALPHANUMERIC + "+/", 64) for _ in range(count)]


def pem(newline: str, *, whole: bool = True) -> Maker:
    """A maker of private keys with this line end, whole or cut short."""

    def make(chance: random.Random, *words: str) -> str:
        name = " ".join(words)
        end = [f"-----END {name}-----"] if whole else []
        return newline.join([f"-----BEGIN {name}-----", *_lines(chance, chance.randint(2, 4)), *end])

    return make


def pgp(chance: random.Random) -> str:
    """An armoured private key with its checksum."""
    name = "PGP PRIVATE KEY BLOCK"
    return "\n".join([f"-----BEGIN {name}-----", "", *_lines(chance, 3), "=aB3d", f"-----END {name}-----"])


def putty(chance: random.Random) -> str:
    """A key file of PuTTY."""
    head = ["PuTTY-User-Key-File-3: ssh-ed25519", "Encryption: none", "Comment: laptop", "Public-Lines: 2"]
    private = ["Private-Lines: 1", some(chance, ALPHANUMERIC, 48), f"Private-MAC: {some(chance, HEX, 64)}"]
    return "\n".join([*head, *_lines(chance, 2), *private])


def ssh2(chance: random.Random) -> str:
    """A key file of SSH2."""
    name = "SSH2 ENCRYPTED PRIVATE KEY"
    return "\n".join([f"---- BEGIN {name} ----", 'Comment: "laptop"', *_lines(chance, 3), f"---- END {name} ----"])


def base58_address(chance: random.Random, version: str) -> str:
    """A wallet address with the checksum of Bitcoin and its kin."""
    payload = bytes([int(version)]) + bytes(chance.getrandbits(8) for _ in range(20))
    return base58(payload + sha256(sha256(payload).digest()).digest()[:4])


def bech32_address(chance: random.Random, human: str, version: str, length: str) -> str:
    """A segregated witness address (BIP 173 and BIP 350)."""
    program = [int(version), *[chance.randrange(32) for _ in range(int(length) * 8 // 5)]]
    program.append(chance.randrange(2) << 4 if int(length) == 32 else chance.randrange(32))
    if int(length) == 20:
        program.pop()
    values = [*[ord(each) >> 5 for each in human], 0, *[ord(each) & 31 for each in human]]
    checksum = _polymod([*values, *program, 0, 0, 0, 0, 0, 0]) ^ (1 if version == "0" else 0x2BC830A3)
    data = [*program, *[checksum >> 5 * (5 - place) & 31 for place in range(6)]]
    return f"{human}1{''.join(_BECH32[value] for value in data)}"


def _polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum


def ethereum(chance: random.Random) -> str:
    """An address in the mixed case of EIP-55."""
    lower = some(chance, HEX, 40)
    digest = keccak_256(lower.encode()).hex()
    return "0x" + "".join(each.upper() if nibble >= "8" else each for each, nibble in zip(lower, digest, strict=False))


MAKERS: dict[str, Maker] = {
    "hex": from_alphabet(HEX),
    "HEX": from_alphabet(HEX.upper()),
    "b64": from_alphabet(ALPHANUMERIC + "+/"),
    "an": from_alphabet(ALPHANUMERIC),
    "ur": from_alphabet(ALPHANUMERIC + "_-"),
    "low": from_alphabet(LETTERS),
    "up": from_alphabet(LETTERS.upper() + "234567"),
    "UP": from_alphabet(LETTERS.upper() + "0123456789"),
    "b58": from_alphabet(BASE58),
    "dig": lambda chance, length: digits(chance, int(length)),
    "uuid": lambda chance: str(uuid.UUID(int=chance.getrandbits(128), version=4)),
    "pw": password("!?%+*~-_."),
    "pwq": password("!~-_."),  # in an address, unescaped
    "card": card,
    "badcard": mistyped_card,
    "iban": iban,
    "lower": lambda chance, name, *arguments: MAKERS[name](chance, *arguments).lower(),
    "nhs": nhs,
    "ean": ean,
    "jwt": web_token,
    "jwe": encrypted_token,
    "pem": pem("\n"),
    "pemesc": pem("\\n"),
    "pemindent": pem("\n    "),
    "pemcut": pem("\n", whole=False),
    "pgp": pgp,
    "ppk": putty,
    "ssh2": ssh2,
    "base58": base58_address,
    "btc": base58_address,
    "bech32": bech32_address,
    "BECH32": lambda chance, *arguments: bech32_address(chance, *arguments).upper(),
    "eth": ethereum,
}
