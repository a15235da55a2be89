"""Addresses of crypto wallets, each with its checksum: Bitcoin and its kin, Tron, and Ethereum (EIP-55).

Base58Check with the version bytes of Bitcoin, Litecoin, Dogecoin and Tron; Bech32 and Bech32m of Bitcoin and Litecoin.
"""

from __future__ import annotations

import re
from hashlib import sha256
from itertools import chain

from nexus_graph.scope.redaction.keccak import keccak_256
from nexus_graph.scope.redaction.spans import Spans, apart
from nexus_graph.scope.redaction.texts import Text

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_PLACE = {character: number for number, character in enumerate(_BASE58)}
_LEGACY = re.compile(rf"[13DLMT](?<![A-Za-z0-9_].)[{_BASE58}]{{25,33}}+(?![A-Za-z0-9_])", re.ASCII)
_SHORTEST_LEGACY = 26
_VERSIONS = {"1": (0,), "3": (5,), "D": (30,), "L": (48,), "M": (50,), "T": (65,)}
_SEGWIT = re.compile(
    rf"(?:(?:bc|ltc)1[{_BECH32}]{{39,59}}+|(?:BC|LTC)1[{_BECH32.upper()}]{{39,59}}+)(?![A-Za-z0-9_])", re.ASCII
)
_ETHEREUM = re.compile(r"0x[0-9A-Fa-f]{40}(?![A-Za-z0-9_])", re.ASCII)
_CONTRACT_BEFORE = re.compile(
    r"(?<![a-z])(?:smart |token )*(?:contract|token)(?: address)?[^\w\[\]]{1,4}$", re.IGNORECASE
)


def crypto_wallets(text: Text) -> Spans:
    """Wallet addresses with their checksums; of Ethereum those in one case too, but for contracts named as such."""
    if text.tokens:
        yield from apart(chain(_legacy(text), _segwit(text), _ethereum(text)))


def _legacy(text: Text) -> Spans:
    for start, end in text.tokens:
        if end - start >= _SHORTEST_LEGACY:
            yield from (match.span() for match in _LEGACY.finditer(text, start, end) if _is_legacy(match[0]))


def _segwit(text: Text) -> Spans:
    for human in ("bc1", "ltc1", "BC1", "LTC1"):
        for place in text.places(human):
            match = None if _is_inside(text, place) else _SEGWIT.match(text, place)
            if match and _is_segwit(match[0].lower()):
                yield match.span()


def _ethereum(text: Text) -> Spans:
    for place in text.places("0x"):
        match = None if _is_inside(text, place) else _ETHEREUM.match(text, place)
        if match and not _CONTRACT_BEFORE.search(text, max(0, place - 40), place) and _is_ethereum(match[0][2:]):
            yield match.span()


def _is_inside(text: str, place: int) -> bool:
    before = text[place - 1] if place else " "
    return before == "_" or (before.isascii() and before.isalnum())


def _is_legacy(address: str) -> bool:
    """Base58Check over 25 bytes: a version, a digest, and four bytes of a double SHA-256 over both."""
    number = 0
    for character in address:
        number = number * 58 + _PLACE[character]
    if number >> 200:
        return False
    decoded = number.to_bytes(25, "big")
    checksum = sha256(sha256(decoded[:21]).digest()).digest()[:4]
    return decoded[21:] == checksum and decoded[0] in _VERSIONS[address[0]]


_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def _is_segwit(address: str) -> bool:
    """Bech32 (BIP 173) for version 0, Bech32m (BIP 350) for later ones."""
    human, _, data = address.partition("1")
    values = [_BECH32.index(character) for character in data]
    expanded = (*(ord(each) >> 5 for each in human), 0, *(ord(each) & 31 for each in human))
    checksum = 1
    for value in (*expanded, *values):
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            if top >> bit & 1:
                checksum ^= generator
    return checksum == (1 if values[0] == 0 else 0x2BC830A3)


def _is_ethereum(digits: str) -> bool:
    """Mixed case says which digits of the address's own digest are 8 or more (EIP-55); all zeros is nobody's."""
    lower = digits.lower()
    if lower == digits or digits == digits.upper():
        return lower.strip("0") != ""
    digest = keccak_256(lower.encode()).hex()
    return all(
        character == (plain.upper() if nibble >= "8" else plain)
        for character, plain, nibble in zip(digits, lower, digest, strict=False)
    )
