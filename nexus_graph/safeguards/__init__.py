"""Safeguards: what may stop a flow, decided in one place, explained before it is tried.

In: a deed that somebody is about to do, inside the unit of work that would do it.
Out: a decision with everything that stands in the way; when nothing does, what the deed takes is used up.
Never: a safeguard that is asked in one place and not in another, or a refusal that does not say what would clear it.

One package a safeguard, in the order in which a request meets them: `switches`, `rates`, `quotas`, roles (the policy
of `scope`), `locks`, `consent`, and personal data (`scope.redaction`, which labels and never blocks). `chain` puts them
in a row; `model` holds their words. `erasure` stands beside the row: it stops nothing, it takes away what is kept.
"""

from nexus_graph.safeguards.chain import decide, enforce
from nexus_graph.safeguards.model import (
    Change,
    Decision,
    Deed,
    Refusal,
    Resource,
    StrategicAction,
    index_rebuild,
    quota_change,
    switch_release,
)

__all__ = [
    "Change",
    "Decision",
    "Deed",
    "Refusal",
    "Resource",
    "StrategicAction",
    "decide",
    "enforce",
    "index_rebuild",
    "quota_change",
    "switch_release",
]
