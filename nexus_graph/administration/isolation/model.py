"""What each place holds and who may do what there: the small model that every answer is compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from nexus_graph.administration.isolation.callers import Caller

OWNER, ADMIN, MEMBER, AGENT = "owner", "admin", "member", "agent"
ROLES = (OWNER, ADMIN, MEMBER, AGENT)
ALL = frozenset(ROLES)
PEOPLE = frozenset({OWNER, ADMIN, MEMBER})
KEEPERS = frozenset({OWNER, ADMIN})

MAY: Mapping[str, frozenset[str]] = {
    "appendSession": ALL,
    "asset": ALL,
    "assets": ALL,
    "atom": ALL,
    "audit": KEEPERS,
    "budget": ALL,
    "card": ALL,
    "cards": ALL,
    "closeRun": ALL,
    "consent": PEOPLE,
    "eraseSession": ALL,
    "erasure": KEEPERS,
    "erasures": KEEPERS,
    "export": KEEPERS,
    "exports": KEEPERS,
    "influencePack": ALL,
    "keys": KEEPERS,
    "killSwitches": PEOPLE,
    "lock": PEOPLE,
    "locks": PEOPLE,
    "members": PEOPLE,
    "node": ALL,
    "openRun": ALL,
    "planErasure": frozenset({OWNER}),
    "proposeLock": PEOPLE,
    "publishCard": KEEPERS,
    "quotas": PEOPLE,
    "rejectLock": KEEPERS,
    "reserveAsset": KEEPERS,
    "retireCard": KEEPERS,
    "run": ALL,
    "runs": ALL,
    "sealAsset": KEEPERS,
    "search": ALL,
    "session": ALL,
    "sessions": ALL,
    "settings": PEOPLE,
    "startExport": KEEPERS,
}
"""Written down a second time, by hand: a proof that read the policy could not tell that the policy is wrong."""


@dataclass(slots=True)
class Tally:
    """How much was tried, by kind, and every fault."""

    tried: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def operations(self) -> int:
        """Random operations of every kind."""
        return sum(count for kind, count in self.tried.items() if kind in OPERATIONS)


READ, WRITTEN, REFUSED = "operations that read", "operations that write", "operations that must be refused"
OPERATIONS = (READ, WRITTEN, REFUSED)


@dataclass(slots=True)
class Place:
    """A tenant and an env: its people, its canary word, and everything that was made there.

    `word` stands in everything that is kept here, and nobody of another place ever says it. `both` and `approver` are
    owners of all tenants alike: only the header tells whose affairs are meant.
    """

    tenant: str
    env: str
    word: str
    people: dict[str, Caller]
    both: Caller
    approver: Caller
    cards: dict[str, int] = field(default_factory=dict)
    retired: set[str] = field(default_factory=set)
    assets: list[str] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    uploaded: list[str] = field(default_factory=list)
    atoms: list[str] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    sessions: dict[str, set[str]] = field(default_factory=lambda: {role: set() for role in ROLES})
    locks: list[str] = field(default_factory=list)
    drafts: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    erasures: list[str] = field(default_factory=list)
    key_ids: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """For a report."""
        return f"{self.tenant}/{self.env}"

    def held(self, kind: str) -> list[str]:
        """Every id of a kind that was made here."""
        ids: Iterable[str] = {
            "asset": self.assets,
            "atom": self.atoms,
            "card": self.cards,
            "erasure": self.erasures,
            "export": self.exports,
            "lock": self.locks,
            "run": self.runs,
        }[kind]
        return list(ids)


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes that wait to be sent to the address of an asset, as the server told it."""

    asset_id: str
    told: Mapping[str, Any]
    data: bytes


@dataclass(slots=True)
class World:
    """All places, and whose every id is."""

    places: list[Place]
    owners: dict[str, Place] = field(default_factory=dict)

    def made(self, place: Place, node_id: str) -> None:
        """Remember whose an id is."""
        self.owners[node_id] = place

    def foreign_id(self, random: Random, place: Place, kind: str) -> str | None:
        """Something that another place has and this one has not, or None when there is nothing yet."""
        held = random.choice([each for each in self.places if each is not place]).held(kind)
        return random.choice(held) if held else None

    def strays(self, place: Place, text: str, sent: frozenset[str], ids: Iterable[str]) -> list[str]:
        """Whatever of another place a text shows: its word, its people, or an id that the caller had not sent."""
        found = [f"shows the word of {each.name}" for each in self.places if each is not place and each.word in text]
        tenants = {each.tenant for each in self.places} - {place.tenant}
        found += [f"shows people of {tenant}" for tenant in sorted(tenants) if f"@{tenant}" in text]
        for node_id in ids:
            whose = self.owners.get(node_id)
            if whose is not None and whose is not place and node_id not in sent:
                found.append(f"shows {node_id} of {whose.name}")
        return found
