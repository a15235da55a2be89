"""What must be known about anything before it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import orjson


@dataclass(frozen=True, slots=True)
class Handling:
    """The labels that travel with everything kept: kinds of personal data found in it, and consent to train on it.

    `pii_flags` is sorted and without duplicates, so that equal handlings are equal bytes.
    """

    pii_flags: tuple[str, ...]
    train_ok: bool

    def __post_init__(self) -> None:
        if self.pii_flags:
            object.__setattr__(self, "pii_flags", tuple(sorted(set(self.pii_flags))))

    def __and__(self, other: Handling) -> Handling:
        """The handling of something made from both: flags add up, consent is the most restrictive."""
        if other is self:  # as most are: rows give one value for equal labels
            return self
        return Handling((*self.pii_flags, *other.pii_flags), self.train_ok and other.train_ok)


@lru_cache(maxsize=4096)
def kept(pii_flags: str, train_ok: bool) -> Handling:
    """The handling that a row keeps: its flags as a JSON array, from a few kinds that there are."""
    return Handling(tuple(orjson.loads(pii_flags)), train_ok)
