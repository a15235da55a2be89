"""What an erasure does to the journal: payload and salt go together, and the names with them.

The commitment of an entry covers them all, so the chain holds.
"""

from __future__ import annotations

from nexus_graph.stores.statement import Statement

ERASE_ENTRY = Statement(
    "update journal_events set payload = null, salt = null, pii_flags = '[]', actor_id = :actor_id, "
    "subject_id = :subject_id where tenant_id = :tenant_id and env = :env and seq = :seq"
)
ERASE_ALL = Statement(
    "update journal_events set payload = null, salt = null, pii_flags = '[]', actor_id = :erased, "
    "subject_id = :erased where tenant_id = :tenant_id and env = :env and seq <= :until"
)
ERASE_RUNS_OF = Statement(
    "update journal_runs set actor_id = :erased where tenant_id = :tenant_id and env = :env and actor_id = :subject"
)
ERASE_RUNS = Statement("update journal_runs set actor_id = :erased where tenant_id = :tenant_id and env = :env")
HEAD_SEQ = Statement("select seq from journal_heads where tenant_id = :tenant_id and env = :env")
LATER_ENTRIES = Statement(
    "select seq, actor_id, subject_id, payload from journal_events "
    "where tenant_id = :tenant_id and env = :env and seq > :after order by seq limit 1000"
)
