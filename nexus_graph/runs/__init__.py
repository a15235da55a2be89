"""6 Log: what happened, run by run, as views over the journal; live streams; research runs that an agent writes itself.

In: a run id and a cursor, a filter, an entry of a research run. Out: `Run`, `LogEntry`, frames of a live log.
Never: a second truth beside the journal, an interpretation of an entry, a connection held while nothing happens.
"""

from nexus_graph.runs.audit import audit
from nexus_graph.runs.following import follow
from nexus_graph.runs.listing import counts, fetch, list_runs, log, sources, visible_run
from nexus_graph.runs.model import (
    AuditFilter,
    EndFrame,
    EntryFrame,
    Frame,
    GapFrame,
    HeartbeatFrame,
    Run,
    RunFilter,
    Subject,
)
from nexus_graph.runs.opening import append_entry, close_run, deed, open_run
from nexus_graph.runs.rebuilding import RunFault, rebuild_check
from nexus_graph.stores.follower import Entry as LogEntry
from nexus_graph.stores.streaming import EndReason

__all__ = [
    "AuditFilter",
    "EndFrame",
    "EndReason",
    "EntryFrame",
    "Frame",
    "GapFrame",
    "HeartbeatFrame",
    "LogEntry",
    "Run",
    "RunFault",
    "RunFilter",
    "Subject",
    "append_entry",
    "audit",
    "close_run",
    "counts",
    "deed",
    "fetch",
    "follow",
    "list_runs",
    "log",
    "open_run",
    "rebuild_check",
    "sources",
    "visible_run",
]
