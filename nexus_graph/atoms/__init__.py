"""2 ATOMS: deterministic derivations, with exact coordinates and lineage.

In: a sealed asset. Out: atoms, each a piece of its text named by its content, and the recipes that make them. A
follower derives from whatever is sealed; deriving again changes nothing, and an upgraded recipe leaves the atoms of the
one before it as stale.

Never: a part of a file's atoms; a parser of a hostile file in this process; an interpretation of what a text says.

Worker processes import this package too, and should hold little and start fast: what touches the stores is loaded when
it is first named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from nexus_graph.atoms.model import Atom, Limits, Recipe, Span
from nexus_graph.atoms.recipes import RECIPES, Kind, content_type_of, kind_of

if TYPE_CHECKING:
    from nexus_graph.atoms.checking import check
    from nexus_graph.atoms.deriving import Derivation, derive
    from nexus_graph.atoms.following import FOLLOWER, follower
    from nexus_graph.atoms.outcome import NOT_ASKED, DerivationState, Outcome
    from nexus_graph.atoms.reading import fetch, of_asset, outcomes, outdated, stale
    from nexus_graph.atoms.renewing import renew
    from nexus_graph.atoms.sandbox import Sandbox
    from nexus_graph.atoms.verifying import AtomVerification, verify

__all__ = [
    "FOLLOWER",
    "NOT_ASKED",
    "RECIPES",
    "Atom",
    "AtomVerification",
    "Derivation",
    "DerivationState",
    "Kind",
    "Limits",
    "Outcome",
    "Recipe",
    "Sandbox",
    "Span",
    "check",
    "content_type_of",
    "derive",
    "fetch",
    "follower",
    "kind_of",
    "of_asset",
    "outcomes",
    "outdated",
    "renew",
    "stale",
    "verify",
]

_LATER = {
    "AtomVerification": "verifying",
    "Derivation": "deriving",
    "DerivationState": "outcome",
    "FOLLOWER": "following",
    "NOT_ASKED": "outcome",
    "Outcome": "outcome",
    "Sandbox": "sandbox",
    "check": "checking",
    "derive": "deriving",
    "fetch": "reading",
    "follower": "following",
    "of_asset": "reading",
    "outcomes": "reading",
    "outdated": "reading",
    "renew": "renewing",
    "stale": "reading",
    "verify": "verifying",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"{__name__} has no {name}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
