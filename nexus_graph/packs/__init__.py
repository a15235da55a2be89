"""5 Packs: sealed bundles of references and excerpts, the answer to one question on one state of the index.

In: a text, a card filter, a number, an excerpt rule. Out: a pack named by the digest of its canonical bytes, which can
be verified and replayed later.
Never: a word that stands in no card, a summary, another order than the scores', a pack that changes.
"""

from nexus_graph.packs.model import (
    MAX_EXCERPT,
    MAX_REFS,
    Ask,
    Contents,
    Excerpt,
    ExcerptChoice,
    ExcerptRule,
    Pack,
    Ref,
)
from nexus_graph.packs.reading import fetch, list_packs
from nexus_graph.packs.replaying import DifferenceKind, PackDifference, Replay, replay
from nexus_graph.packs.requesting import Served, request
from nexus_graph.packs.verifying import PackFault, Verification, verify

__all__ = [
    "MAX_EXCERPT",
    "MAX_REFS",
    "Ask",
    "Contents",
    "DifferenceKind",
    "Excerpt",
    "ExcerptChoice",
    "ExcerptRule",
    "Pack",
    "PackDifference",
    "PackFault",
    "Ref",
    "Replay",
    "Served",
    "Verification",
    "fetch",
    "list_packs",
    "replay",
    "request",
    "verify",
]
