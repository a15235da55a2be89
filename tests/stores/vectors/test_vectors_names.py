"""Names keep their numbers, whatever moves to where meanwhile."""

from __future__ import annotations

import random

import pytest

from nexus_graph.stores.vectors import names as names_module
from nexus_graph.stores.vectors.names import Names

PECULIAR = ["", "card", "Card", " card", "card\x00", "\x00", "karte\u0308", "kart\u00e9", "\ud800", "a" * 500, "🂡"]


def test_every_name_keeps_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Added alone, together, twice and again; before and after they are sorted; with hashes that several have."""
    monkeypatch.setattr(names_module, "_NEW", 10)
    monkeypatch.setattr(names_module, "hash", lambda name: len(name) % 7, raising=False)
    chance = random.Random(1)  # noqa: S311 - reproducible names
    kept, expected = Names(), dict[str, int]()
    for _ in range(300):
        given = [chance.choice([*PECULIAR, f"card_{chance.randrange(500)}"]) for _ in range(chance.randrange(5))]
        for name in given:
            expected.setdefault(name, len(expected))
        assert kept.add(given).tolist() == [expected[name] for name in given]
        assert len(kept) == len(expected)
        asked = [*given, *chance.sample([*expected], min(5, len(expected))), "unknown"]
        assert sorted(kept.known(asked).tolist()) == sorted(expected[name] for name in asked if name in expected)
    assert [kept[number] for number in range(len(kept))] == [*expected]


def test_a_name_costs_little_more_than_its_letters() -> None:
    """Where there are many of them."""
    kept = Names()
    for start in range(0, 100_000, 1000):
        kept.add(f"card_{number:025}" for number in range(start, start + 1000))
    assert kept.nbytes < 100_000 * (30 + 32)
