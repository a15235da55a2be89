"""4 Index: vectors of the current version of every card, and the search over them.

In: cards that the journal says were published or retired; a text, a card filter and a number. Out: the nearest cards
with scores and chunks, exactly, in one order, and the truth about what is not in the index yet.
Never: a score that depends on the backend, a silent mixture of two embedders, a text that is rewritten or re-ranked.
"""

from nexus_graph.index.checking import check
from nexus_graph.index.copies import CopyBook, orphaned
from nexus_graph.index.copying import KEEPER, bring_up, keeper
from nexus_graph.index.definition import FOLLOWER, Copies, Index, require_definition
from nexus_graph.index.embedding import EMBEDDERS, Embedder, load_embedder
from nexus_graph.index.following import follower, settled_state, wait_indexed
from nexus_graph.index.model import MAX_HITS, MAX_QUERY, CardHit, IndexReport, IndexState, SearchResult, VectorSource
from nexus_graph.index.offloading import offload_forever, offload_idle, require_bucket
from nexus_graph.index.reindexing import rebuilder, rebuilding, reindex, request_rebuild
from nexus_graph.index.searching import search
from nexus_graph.index.standing import states

__all__ = [
    "EMBEDDERS",
    "FOLLOWER",
    "KEEPER",
    "MAX_HITS",
    "MAX_QUERY",
    "CardHit",
    "Copies",
    "CopyBook",
    "Embedder",
    "Index",
    "IndexReport",
    "IndexState",
    "SearchResult",
    "VectorSource",
    "bring_up",
    "check",
    "follower",
    "keeper",
    "load_embedder",
    "offload_forever",
    "offload_idle",
    "orphaned",
    "rebuilder",
    "rebuilding",
    "reindex",
    "request_rebuild",
    "require_bucket",
    "require_definition",
    "search",
    "settled_state",
    "states",
    "wait_indexed",
]
