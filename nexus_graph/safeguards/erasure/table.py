"""The erasures' row and its SQL. Whose data goes is in it only as long as it must be known; then a keyed digest is."""

from __future__ import annotations

import orjson

from nexus_graph.safeguards.erasure.model import Erasure, ErasureState, Finding, Target, TargetKind
from nexus_graph.scope.clock import moment
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement

FIND = Statement("select * from erasures where tenant_id = :tenant_id and env = :env and erasure_id = :erasure_id")
ALL = "select * from erasures where tenant_id = :tenant_id and env = :env"
OPEN = Statement(
    "select erasure_id from erasures where tenant_id = :tenant_id and env = :env "
    "and state in ('CONFIRMED', 'ERASED') order by confirmed_at, erasure_id"
)
ADD = Statement(
    "insert into erasures (tenant_id, env, erasure_id, kind, subject, mentions, subject_digest, digest, state, doomed, "
    "counts, mentioned, planned_by, planned_at, expires_at, findings) values (:tenant_id, :env, :erasure_id, :kind, "
    ":subject, :mentions, :subject_digest, :digest, 'PLANNED', :doomed, :counts, :mentioned, :planned_by, :now, "
    ":expires_at, '[]') returning *"
)
CONFIRM = Statement(
    "update erasures set state = 'CONFIRMED', confirmed_at = :now, run_id = :run_id, doomed = :doomed "
    "where tenant_id = :tenant_id and env = :env and erasure_id = :erasure_id and state = 'PLANNED' returning *"
)
RESTORE = Statement(
    "insert into erasures (tenant_id, env, erasure_id, kind, subject, mentions, subject_digest, digest, state, doomed, "
    "counts, mentioned, planned_by, planned_at, expires_at, confirmed_at, run_id, findings) values (:tenant_id, :env, "
    ":erasure_id, :kind, :subject, :mentions, :subject_digest, '', 'CONFIRMED', :doomed, '{}', '{}', :planned_by, "
    ":now, :now, :now, :run_id, '[]') on conflict (tenant_id, env, erasure_id) do update set state = 'CONFIRMED', "
    "subject = :subject, doomed = :doomed, run_id = :run_id, confirmed_at = :now"
)
LOOK_AGAIN = Statement(
    "update erasures set doomed = :doomed where tenant_id = :tenant_id and env = :env and erasure_id = :erasure_id"
)
SETTLE = Statement(
    "update erasures set state = :state, subject = null, findings = :findings, doomed = :doomed, ended_at = :now "
    "where tenant_id = :tenant_id and env = :env and erasure_id = :erasure_id and state = 'CONFIRMED' returning *"
)
CERTIFY = Statement(
    "update erasures set state = 'CERTIFIED', certificate = :certificate, certificate_digest = :certificate_digest, "
    "doomed = :doomed, ledger_entry = :ledger_entry "
    "where tenant_id = :tenant_id and env = :env and erasure_id = :erasure_id and state = 'ERASED' returning *"
)
# Over all tenants: which erasures there are, without names.
STATES = "select tenant_id, env, erasure_id, state, ledger_entry is not null as told from erasures"
COUNT_ENDED = "select count(ended_at) as count from erasures"
ENDED = "select tenant_id, env, erasure_id from erasures where ended_at is not null"
# Plans and certificates of others: they keep their digests and lose the names.
FORGET_PLANS = Statement(
    "delete from erasures where tenant_id = :tenant_id and env = :env and state = 'PLANNED' "
    "and erasure_id <> :erasure_id and (subject = :subject or :everybody = 1 or expires_at <= :now)"
)
FORGET_PLANNER = Statement(
    "update erasures set planned_by = :erased "
    "where tenant_id = :tenant_id and env = :env and (planned_by = :subject or :everybody = 1)"
)


def erasure(row: Row, now: int) -> Erasure:
    """The erasure in a row, as of now in microseconds."""
    confirmed, ended = row["confirmed_at"], row["ended_at"]
    state = ErasureState(row["state"])
    if state is ErasureState.PLANNED and row["expires_at"] <= now:
        state = ErasureState.EXPIRED
    return Erasure(
        erasure_id=row["erasure_id"],
        kind=TargetKind(row["kind"]),
        mentions=bool(row["mentions"]),
        subject_digest=row["subject_digest"],
        digest=row["digest"],
        state=state,
        counts=orjson.loads(row["counts"]),
        mentioned=orjson.loads(row["mentioned"]),
        planned_by=row["planned_by"],
        planned_at=moment(row["planned_at"]),
        expires_at=moment(row["expires_at"]),
        confirmed_at=None if confirmed is None else moment(confirmed),
        ended_at=None if ended is None else moment(ended),
        run_id=row["run_id"],
        findings=tuple(Finding(**finding) for finding in orjson.loads(row["findings"])),
        certificate=row["certificate"],
        certificate_digest=row["certificate_digest"],
    )


def target(row: Row) -> Target:
    """Whom or what the erasure in a row is of."""
    return Target(TargetKind(row["kind"]), row["subject"], bool(row["mentions"]))
