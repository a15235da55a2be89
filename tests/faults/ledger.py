"""What was acknowledged, what was asked of whom, and what is under way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Erased:
    """What a subject had brought in, and the word that stood in all of it."""

    word: str
    cards: list[str]
    assets: list[str]


@dataclass(slots=True)
class Ledger:
    """What clients have written down. `faults` is what should not have been, in words."""

    cards: dict[str, str] = field(default_factory=dict)
    assets: dict[str, bytes] = field(default_factory=dict)
    packs: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    exports: list[str] = field(default_factory=list)
    erasures: dict[str, Erased] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    under_way: Counter[str] = field(default_factory=Counter)
    deeds: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """A deed, while it is under way; counted when it is done."""
        self.under_way[what] += 1
        try:
            yield
            self.deeds[what] += 1
        finally:
            self.under_way[what] -= 1

    def fault(self, what: str) -> None:
        """Something that should not have been; each once."""
        if what not in self.faults:
            self.faults.append(what)
