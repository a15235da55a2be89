"""The rows of session memory and their SQL. What a request can reach names the principal; only the sweep, an erasure
and the count of room look at all.

A session's expiry stands in one row, so that all of it is gone at one instant. Its entries stand apart, since keeping
one more must not rewrite the others.
"""

from __future__ import annotations

from nexus_graph.scope.canonical import canonical
from nexus_graph.scope.clock import moment
from nexus_graph.scope.handling import Handling, kept
from nexus_graph.sessions.model import Entry, EntryKind, Session
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement

# What expired at this very instant is not there any more.
LIVING = (
    "select * from sessions where tenant_id = :tenant_id and env = :env "
    "and actor_kind = :actor_kind and actor_id = :actor_id and expires_at > :now"
)
"""The principal's sessions; open at the end for paging."""

ENTRIES = (
    "select entry.* from session_entries entry join sessions session on session.tenant_id = entry.tenant_id "
    "and session.env = entry.env and session.actor_kind = entry.actor_kind and session.actor_id = entry.actor_id "
    "and session.session_id = entry.session_id where entry.tenant_id = :tenant_id and entry.env = :env "
    "and entry.actor_kind = :actor_kind and entry.actor_id = :actor_id and entry.session_id = :session_id "
    "and session.expires_at > :now"
)
"""The entries of one of the principal's sessions; open at the end for paging."""

FIND = Statement(f"{LIVING} and session_id = :session_id")
COUNT = Statement(
    "select count(*) from sessions where tenant_id = :tenant_id and env = :env "
    "and actor_kind = :actor_kind and actor_id = :actor_id and expires_at > :now"
)
# Whatever stands under the name, expired or not.
FIND_ANY = Statement(
    "select * from sessions where tenant_id = :tenant_id and env = :env "
    "and actor_kind = :actor_kind and actor_id = :actor_id and session_id = :session_id"
)
# Counts first and answers the places, so that two who append at once get different ones.
ADVANCE = Statement(
    "insert into sessions (tenant_id, env, actor_kind, actor_id, session_id, entries, last_ordinal, size, created_at, "
    "changed_at, expires_at) values (:tenant_id, :env, :actor_kind, :actor_id, :session_id, :count, :count, :size, "
    ":now, :now, :expires_at) "
    "on conflict (tenant_id, env, actor_kind, actor_id, session_id) do update "
    "set entries = sessions.entries + :count, last_ordinal = sessions.last_ordinal + :count, "
    "size = sessions.size + :size, changed_at = :now, expires_at = :expires_at returning *"
)
CLEAR = Statement(
    "update sessions set entries = 0, size = 0 where tenant_id = :tenant_id and env = :env "
    "and actor_kind = :actor_kind and actor_id = :actor_id and session_id = :session_id"
)
ADD_ENTRY = Statement(
    "insert into session_entries (tenant_id, env, actor_kind, actor_id, session_id, ordinal, kind, content, pii_flags, "
    "train_ok, created_at) values (:tenant_id, :env, :actor_kind, :actor_id, :session_id, :ordinal, :kind, :content, "
    ":pii_flags, :train_ok, :now)"
)
FORGET = Statement(
    "delete from sessions where tenant_id = :tenant_id and env = :env "
    "and actor_kind = :actor_kind and actor_id = :actor_id and session_id = :session_id"
)
FORGET_ENTRIES = Statement(
    "delete from session_entries where tenant_id = :tenant_id and env = :env "
    "and actor_kind = :actor_kind and actor_id = :actor_id and session_id = :session_id"
)
EXPIRED = Statement(
    "select * from sessions where tenant_id = :tenant_id and env = :env and expires_at <= :now "
    "order by expires_at limit :most"
)
SCOPES_OF_EXPIRED = "select distinct tenant_id, env from sessions where expires_at <= :now order by tenant_id, env"
OF_SUBJECT = Statement("select * from sessions where tenant_id = :tenant_id and env = :env and actor_id = :actor_id")
ALL = Statement("select * from sessions where tenant_id = :tenant_id and env = :env")
HELD = Statement("select coalesce(sum(size), 0) from sessions where tenant_id = :tenant_id and env = :env")


def session(row: Row) -> Session:
    """The session in a row."""
    return Session(
        session_id=row["session_id"],
        entries=row["entries"],
        last_ordinal=row["last_ordinal"],
        size=row["size"],
        created_at=moment(row["created_at"]),
        changed_at=moment(row["changed_at"]),
        expires_at=moment(row["expires_at"]),
    )


def entry(row: Row) -> Entry:
    """The entry in a row."""
    return Entry(
        ordinal=row["ordinal"],
        kind=EntryKind(row["kind"]),
        content=row["content"],
        handling=kept(row["pii_flags"], bool(row["train_ok"])),
        created_at=moment(row["created_at"]),
    )


def flags(handling: Handling) -> str:
    """The kinds of personal data as a row keeps them."""
    return canonical([*handling.pii_flags]).decode()
