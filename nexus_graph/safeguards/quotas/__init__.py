"""Quotas: how much one tenant and env may hold, and what it holds now. Counted in the transaction that uses it up.

In: what a deed takes, from the work that does it. Out: room, or QuotaExceeded with the figures.
Never: more than the limit, however many ask at once; a figure that the rooms' own rows do not bear out (`recounting`).

`accounting` is the gate, `leases` counts live streams, `limiting` sets a tenant's own limit, `recounting` proves.
"""

from nexus_graph.safeguards.quotas.accounting import give_back, refusal, settle, take, usages
from nexus_graph.safeguards.quotas.leases import Leases, open_streams
from nexus_graph.safeguards.quotas.model import Held, Usage
from nexus_graph.safeguards.quotas.recounting import Count, recount

__all__ = [
    "Count",
    "Held",
    "Leases",
    "Usage",
    "give_back",
    "open_streams",
    "recount",
    "refusal",
    "settle",
    "take",
    "usages",
]
