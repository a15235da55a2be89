"""Erasure of session memory: every session of the subject, with all that it remembers."""

from __future__ import annotations

from typing import Final

from nexus_graph.safeguards.erasure import Doomed, Step
from nexus_graph.sessions import table
from nexus_graph.sessions.forgetting import forget_all
from nexus_graph.stores.work import Read, Work


async def _plan(read: Read, doomed: Doomed) -> None:
    doomed.counts["sessions"] = len(await read.rows(table.OF_SUBJECT, actor_id=doomed.subject))


async def _erase(work: Work, doomed: Doomed) -> None:
    if doomed.target.subject is not None:
        await forget_all(work, doomed.subject)


STEP: Final = Step("sessions", _plan, _erase)
