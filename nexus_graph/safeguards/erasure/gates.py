"""What the safeguards themselves hold: what a subject wrote as a proposal or a reason. Decisions stay, words go."""

from __future__ import annotations

from typing import Final

from nexus_graph.safeguards.erasure.model import ERASED, Doomed, Step
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Read, Work

_AT_ONCE: Final = 1000

_AUTHORED = Statement(
    "select lock_id, target, authors, proposed_by from strategy_locks where tenant_id = :tenant_id and env = :env"
)
_EMPTY_LOCK = Statement(
    "update strategy_locks set document = '', content = '{}', reason = :erased, pii_flags = '[]', "
    "state = case when state in ('DRAFT', 'APPROVED') then 'REVOKED' else state end "
    "where tenant_id = :tenant_id and env = :env and lock_id in (:lock_ids...)"
)
_EMPTY_REASONS = Statement(
    "update kill_switches set reason = :erased where tenant_id = :tenant_id and env = :env and engaged_by = :subject"
)

# What is counted by the day is borne out by the journal, which stays.
_NOTHING_HELD = Statement(
    "update quota_usage set used = 0, reserved = 0 where tenant_id = :tenant_id and env = :env and period = ''"
)


async def _plan(read: Read, doomed: Doomed) -> None:
    cards = doomed.ids.get("cards", set())
    for row in await read.rows(_AUTHORED):
        of_subject = doomed.subject in (row["proposed_by"], row["target"]) or doomed.target.name.search(row["authors"])
        if of_subject or row["target"] in cards:
            doomed.add("strategy_locks", [row["lock_id"]])


async def _erase(work: Work, doomed: Doomed) -> None:
    ids = doomed.of("strategy_locks")
    for start in range(0, len(ids), _AT_ONCE):
        await work.write(_EMPTY_LOCK, lock_ids=ids[start : start + _AT_ONCE], erased=ERASED)
    if doomed.target.subject is not None:
        await work.write(_EMPTY_REASONS, subject=doomed.subject, erased=ERASED)


async def _empty(work: Work) -> None:
    await work.write(_NOTHING_HELD)


STEP: Final = Step("safeguards", _plan, _erase, _empty)
