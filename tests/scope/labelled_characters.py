"""Random characters for the labelled set."""

from __future__ import annotations

import random

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ALPHANUMERIC = LETTERS + LETTERS.upper() + "0123456789"
HEX = "0123456789abcdef"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def some(chance: random.Random, alphabet: str, length: int) -> str:
    """Random characters."""
    return "".join(chance.choice(alphabet) for _ in range(length))


def digits(chance: random.Random, length: int) -> str:
    """Random digits that do not begin with 0."""
    return chance.choice("123456789") + some(chance, "0123456789", length - 1)
