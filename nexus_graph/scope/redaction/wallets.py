"""Addresses of crypto wallets, each with its checksum: Bitcoin (Base58Check, Bech32, Bech32m) and Ethereum (EIP-55)."""

from __future__ import annotations

import re
from hashlib import sha256
from itertools import chain

from nexus_graph.scope.redaction.keccak import keccak_256
from nexus_graph.scope.redaction.spans import Spans, apart

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BEFORE = r"(?<![A-Za-z0-9_])"
_LEGACY = re.compile(rf"{_BEFORE}[13][{_BASE58}]{{25,33}}+(?![A-Za-z0-9_])", re.ASCII)
_SEGWIT = re.compile(
    rf"{_BEFORE}(?:bc1[{_BECH32}]{{39,59}}+|BC1[{_BECH32.upper()}]{{39,59}}+)(?![A-Za-z0-9_])", re.ASCII
)
_ETHEREUM = re.compile(rf"{_BEFORE}0x[0-9A-Fa-f]{{40}}(?![A-Za-z0-9_])", re.ASCII)


def crypto_wallets(text: str) -> Spans:
    """Bitcoin addresses of each kind, and Ethereum addresses; those in mixed case with the checksum of EIP-55."""
    yield from apart(
        chain(
            (match.span() for match in _LEGACY.finditer(text) if _is_legacy(match[0])),
            (match.span() for match in _SEGWIT.finditer(text) if _is_segwit(match[0].lower())),
            (match.span() for match in _ETHEREUM.finditer(text) if _is_ethereum(match[0][2:])),
        )
    )


def _is_legacy(address: str) -> bool:
    """Base58Check over 25 bytes: a version (0 or 5), a digest, and four bytes of a double SHA-256 over both."""
    number = 0
    for character in address:
        number = number * 58 + _BASE58.index(character)
    if number >> 200:
        return False
    decoded = number.to_bytes(25, "big")
    checksum = sha256(sha256(decoded[:21]).digest()).digest()[:4]
    return decoded[21:] == checksum and decoded[0] == (0 if address[0] == "1" else 5)


_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_HUMAN_PART = (3, 3, 0, 2, 3)  # "bc", expanded as BIP 173 wants it


def _is_segwit(address: str) -> bool:
    """Bech32 (BIP 173) for version 0, Bech32m (BIP 350) for later ones."""
    values = [_BECH32.index(character) for character in address[3:]]
    checksum = 1
    for value in (*_HUMAN_PART, *values):
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
