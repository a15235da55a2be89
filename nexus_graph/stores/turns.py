"""Turns: of all processes that run a follower, one at a time follows a scope.

A turn is a row with an end. Whoever has it prolongs it while a deed is under way, and keeps it for the next entries;
when its process dies, the turn runs out within seconds, and another takes it. The clocks of the servers must agree to a
second or two. Should two follow at once all the same, deeds are idempotent: it costs work, never truth.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from nexus_graph.scope.clock import micros
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Read, Stores

LENGTH: Final = timedelta(seconds=6)


_FIND = Statement(
    "select process, until from follower_turns where tenant_id = :tenant_id and env = :env and follower = :follower"
)
_TAKE = Statement(
    "insert into follower_turns (tenant_id, env, follower, process, until) "
    "values (:tenant_id, :env, :follower, :process, :until) on conflict (tenant_id, env, follower) do update "
    "set process = :process, until = :until where follower_turns.process = :process or follower_turns.until <= :now "
    "returning until"
)
_END = Statement(
    "update follower_turns set until = 0 "
    "where tenant_id = :tenant_id and env = :env and follower = :follower and process = :process"
)


async def is_anothers(stores: Stores, read: Read, follower: str) -> bool:
    """Whether another process follows this scope at the moment."""
    row = await read.row(_FIND, follower=follower)
    return row is not None and row["process"] != stores.process and row["until"] > micros(read.now)


async def take(stores: Stores, scope: Scope, follower: str) -> bool:
    """Take the turn, or prolong it. False when another process has it."""
    now = stores.clock()
    taken = await stores.note(
        scope, _TAKE, follower=follower, process=stores.process, until=micros(now + LENGTH), now=micros(now)
    )
    return bool(taken)


async def end(stores: Stores, scope: Scope, follower: str) -> None:
    """Let go of the turn, if it is ours: the next process need not wait until it runs out."""
    await stores.note(scope, _END, follower=follower, process=stores.process)
