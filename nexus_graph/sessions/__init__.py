"""Session memory: what a user's session keeps for a while.

In: turns or a snapshot of one's own session.
Out: the same, to the same user in the same tenant and env, until it expires.
Never: another user's session, whatever the role; anything at or after the instant of its expiry.
"""

from nexus_graph.sessions.forgetting import erase, forget_all, held
from nexus_graph.sessions.keeping import append, put_snapshot
from nexus_graph.sessions.model import Entry, EntryKind, NewEntry, Session
from nexus_graph.sessions.reading import entries, fetch, list_sessions
from nexus_graph.sessions.sweeping import sweep, sweep_forever

__all__ = [
    "Entry",
    "EntryKind",
    "NewEntry",
    "Session",
    "append",
    "entries",
    "erase",
    "fetch",
    "forget_all",
    "held",
    "list_sessions",
    "put_snapshot",
    "sweep",
    "sweep_forever",
]
