"""Confirm: an owner names the digest of the plan that they looked at. From then on it happens, whatever comes between.

Where the state is another one than that of the plan, nothing happens: plan again, look, and confirm that.
"""

from __future__ import annotations

import hmac

from nexus_graph.safeguards import chain
from nexus_graph.safeguards.erasure import table
from nexus_graph.safeguards.erasure.model import UNHANDLED, Eraser, Erasure, ErasureState
from nexus_graph.safeguards.erasure.planning import look
from nexus_graph.safeguards.model import Deed
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Conflict, NotFound
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Stores

_AGAIN = "Plan again, look at what would go, and confirm that plan."


async def confirm(
    stores: Stores, eraser: Eraser, scope: Scope, erasure_id: str, digest: str, *, once: Once | None = None
) -> Erasure:
    """Let a plan be executed; a confirmed one answers as it is.

    Raises NotFound, and Conflict when the digest is not the plan's, the plan is too old, the state has changed since,
    or others wrote about the subject and the plan leaves that out.
    """
    scope.require(Permission.ERASURES_WRITE)
    async with stores.work(scope, RunKind.ERASE, once=once, run_id=stores.new_id("run")) as work:
        now = micros(work.now)
        row = await work.row(table.FIND, erasure_id=erasure_id)
        if row is None:
            raise NotFound("erasure", path=("input", "erasureId"))
        erasure = table.erasure(row, now)
        if await work.earlier_answer() is not None:
            return erasure
        if not hmac.compare_digest(erasure.digest.encode(), digest.encode()):
            raise Conflict("The digest is not that of the plan.", hint=_AGAIN, path=("input", "digest"))
        if erasure.state is ErasureState.EXPIRED:
            raise Conflict("The plan is more than an hour old.", hint=_AGAIN, path=("input", "erasureId"))
        if erasure.state is not ErasureState.PLANNED:
            return erasure
        await chain.enforce(work, Deed("executeErasure", Permission.ERASURES_WRITE))
        doomed, state = await look(work, eraser, table.target(row))
        if state != erasure.digest:
            raise Conflict("Something has changed since the plan was made.", hint=_AGAIN, path=("input", "digest"))
        if doomed.mentions:
            told = ", ".join(f"{len(ids)} {kind}" for kind, ids in sorted(doomed.mentions.items()))
            hint = "Plan again with includeMentions to erase these too, or have their authors' words erased first."
            raise Conflict(f"The subject is named in what others wrote: {told}.", hint=hint)
        (row,) = await work.write(
            table.CONFIRM, erasure_id=erasure_id, run_id=work.run_id, doomed=doomed.text(), now=now
        )
        detail: Json = {"input": {"kind": erasure.kind.value, "digest": digest}}
        work.record(Event("erasure.confirmed", "erasure", erasure_id, redact(detail), UNHANDLED, ends=None))
        await work.keep_answer(erasure_id)
    return table.erasure(row, now)
