"""Erasure of a member or of an agent's key: nobody comes in by it any more. The first thing that is erased.

A membership counts in all envs of its tenant, so it ends in all of them; what the member left in another env is erased
there. The last owner can't be erased: nobody could finish what that leaves.
"""

from __future__ import annotations

from typing import Final

from nexus_graph.safeguards.erasure import Doomed, Step
from nexus_graph.scope.errors import Conflict
from nexus_graph.scope.scope import Role
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Read, Work
from nexus_graph.tenants import table
from nexus_graph.tenants.model import MemberStatus

_FORGET_MEMBER = Statement("delete from members where tenant_id = :tenant_id and subject = :subject", tenant_wide=True)
_FORGET_KEY = Statement("delete from api_keys where tenant_id = :tenant_id and env = :env and key_id = :subject")


async def _plan(read: Read, doomed: Doomed) -> None:
    row = await read.row(table.FIND_MEMBER, subject=doomed.subject)
    if row is None or (row["role"], row["status"]) != (Role.OWNER, MemberStatus.ACTIVE):
        return
    if not await read.value(table.COUNT_OTHER_OWNERS, subject=doomed.subject):
        raise Conflict("The last owner can't be erased.", hint="Make somebody else an owner, or erase the tenant.")


async def _erase(work: Work, doomed: Doomed) -> None:
    await work.write(_FORGET_MEMBER, subject=doomed.subject)
    await work.write(_FORGET_KEY, subject=doomed.subject)


STEP: Final = Step("tenants", _plan, _erase)
