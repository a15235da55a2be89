"""Erasure: a person, or a whole tenant and env, leaves without a trace, and it can be proven.

In: whom or what to erase, and the digest of the plan that an owner looked at. Out: a certificate.
Never: a step that is trusted to have worked. A second walk over everything looks for what was to go.

    planning      what would go, counted, under a digest that changes with the state
    confirming    an owner names the digest; from then on nothing stops it
    executing     the follower that does it, room by room, and again from where it stopped
    entries       what it does to the journal, whose chain goes on holding
    naming        replaces a name wherever a column holds it, and empties whole tenants and envs
    rescanning    looks for what is left, without asking the rooms
    forgetting    lets go of what other processes hold in memory
    certifying    compacts the files, writes the ledger, issues the certificate
    ledger        what was erased, kept outside of what a restore brings back: in a file or in a bucket
    replaying     erases again what a restore brought back

The rooms stand above: each hands in a `Step`, wired in `app`.
"""

from nexus_graph.safeguards.erasure.confirming import confirm
from nexus_graph.safeguards.erasure.executing import follower
from nexus_graph.safeguards.erasure.forgetting import Forgetting
from nexus_graph.safeguards.erasure.ledger import Ledger, LedgerEntry, Pseudonyms
from nexus_graph.safeguards.erasure.ledger_bucket import BucketLedger
from nexus_graph.safeguards.erasure.ledger_file import FileLedger
from nexus_graph.safeguards.erasure.model import (
    ERASED,
    Doomed,
    Eraser,
    Erasure,
    ErasureState,
    Finding,
    Step,
    Target,
    TargetKind,
)
from nexus_graph.safeguards.erasure.planning import plan
from nexus_graph.safeguards.erasure.reading import erasures, find
from nexus_graph.safeguards.erasure.replaying import Replayed, replay, require_agreement

__all__ = [
    "ERASED",
    "BucketLedger",
    "Doomed",
    "Eraser",
    "Erasure",
    "ErasureState",
    "FileLedger",
    "Finding",
    "Forgetting",
    "Ledger",
    "LedgerEntry",
    "Pseudonyms",
    "Replayed",
    "Step",
    "Target",
    "TargetKind",
    "confirm",
    "erasures",
    "find",
    "follower",
    "plan",
    "replay",
    "require_agreement",
]
