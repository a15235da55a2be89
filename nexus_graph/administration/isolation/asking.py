"""One operation: what it selects, with variables, and what the answer must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from nexus_graph.administration.isolation.model import Place, World


@dataclass(frozen=True, slots=True)
class Ask:
    """One operation.

    `check` gets what the field was answered with, and returns what is wrong with it, or None. `learn` is called with it
    when nothing is. `code` is the refusal that is expected instead.
    """

    action: str
    selection: str
    variables: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    check: Callable[[Any], str | None] = lambda _: None
    learn: Callable[[Any], None] = lambda _: None
    code: str | None = None
    mutation: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is, where, and the chances that decide what they ask."""

    world: World
    random: Random
    place: Place
    role: str

    def strange_id(self, kind: str) -> str:
        """An id that is not of this place: another's, or one that nobody knows."""
        unknown = f"{kind}_{self.random.getrandbits(128):032x}"
        if self.random.random() < 0.2:
            return unknown
        return self.world.foreign_id(self.random, self.place, kind) or unknown
