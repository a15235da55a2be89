"""What the database knows of the copies of vectors on other servers: which epoch of each counts, and how far it is.

A row stays when its copy goes, with the next epoch: the name of a copy that was removed never comes back.
"""

from __future__ import annotations

from typing import Final

from nexus_graph.index.definition import Index
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.clock import micros
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.journal import Event, RunKind, RunStatus
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.vectors.base import Copy, Rest, Space
from nexus_graph.stores.work import Stores, Work

_NOTED: Final = 12 * 3600 * 1_000_000  # microseconds in which a use is noted once; no copy is offloaded in a day


_FIND: Final = Statement(
    "select epoch, generation, used_at, offloaded_at, contents from index_copies "
    "where tenant_id = :tenant_id and env = :env and definition_id = :definition_id"
)
_BEGIN: Final = Statement(
    "insert into index_copies (tenant_id, env, definition_id, epoch, generation, used_at, offloaded_at, contents) "
    "values (:tenant_id, :env, :definition_id, 1, 0, :now, 0, '') on conflict (tenant_id, env, definition_id) "
    "do update set epoch = index_copies.epoch + 1, generation = 0, used_at = :now, offloaded_at = 0, contents = '' "
    "returning epoch, generation"
)
_MOVE: Final = Statement(
    "update index_copies set used_at = :now, "
    "generation = case when generation > :generation then generation else :generation end "
    "where tenant_id = :tenant_id and env = :env and definition_id = :definition_id"
)
_END: Final = Statement(
    "insert into index_copies (tenant_id, env, definition_id, epoch, generation, used_at, offloaded_at, contents) "
    "select tenant_id, env, definition_id, 1, 0, 0, 0, '' from index_definitions "
    "where tenant_id = :tenant_id and env = :env and definition_id <> :but "
    "on conflict (tenant_id, env, definition_id) "
    "do update set epoch = index_copies.epoch + 1, generation = 0, offloaded_at = 0, contents = '' "
    "returning definition_id"
)
_USE: Final = Statement(
    "update index_copies set used_at = :now where tenant_id = :tenant_id and env = :env "
    "and definition_id = :definition_id and offloaded_at = 0 returning epoch"
)
_CALL: Final = Statement(
    "update index_copies set used_at = :now where tenant_id = :tenant_id and env = :env "
    "and definition_id = :definition_id and offloaded_at > 0 and used_at <= offloaded_at returning epoch"
)
_OFFLOAD: Final = Statement(
    "update index_copies set offloaded_at = :now, contents = '' where tenant_id = :tenant_id and env = :env "
    "and definition_id = :definition_id and epoch = :epoch and generation > 0 and offloaded_at = 0 "
    "and used_at < :before returning epoch"
)
_OFFLOADED: Final = Statement(
    "update index_copies set contents = :contents where tenant_id = :tenant_id and env = :env "
    "and definition_id = :definition_id and epoch = :epoch and offloaded_at > 0 returning epoch"
)
_ONLOADED: Final = Statement(
    "update index_copies set offloaded_at = 0, contents = '' where tenant_id = :tenant_id and env = :env "
    "and definition_id = :definition_id and epoch = :epoch returning epoch"
)
OFFLOADED_AT: Final = Statement(
    "select offloaded_at from index_copies "
    "where tenant_id = :tenant_id and env = :env and definition_id = :definition_id"
)
"""When a definition's copy was offloaded; 0 for one that is on the server, None where there never was one."""
_IDLE: Final = (
    "select tenant_id, env from index_copies where definition_id = :definition_id and generation > 0 "
    "and offloaded_at = 0 and used_at < :before order by used_at"
)
_ALL_OFFLOADED: Final = "select count(*) as number from index_copies where offloaded_at > 0"
OTHERS: Final = Statement(
    "select definition_id from index_copies "
    "where tenant_id = :tenant_id and env = :env and definition_id <> :but and generation > 0 limit 1"
)
"""Definitions other than one that have a copy."""


_ALL: Final = Statement("select definition_id, epoch from index_copies where tenant_id = :tenant_id and env = :env")


async def orphaned(stores: Stores, index: Index, *, repair: bool) -> list[str]:
    """The names of copies on the vector server, and of empty places for them, that no tenant, env and definition owns.

    Left by a removal that failed, or known to a later database than the one that was restored. With `repair` they are
    removed: what bears this installation's prefix is its own. Raises Unavailable.
    """
    if index.copies is None:
        return []
    vectors = index.copies.vectors
    found = await vectors.names()  # before the database is asked, which knows of a copy before the server does
    owned = {name for env in Env for name in vectors.names_of(Space("", env.value, index.definition_id, 0), 0)}
    for tenant_id, env_name, _ in await stores.heads():
        async with stores.read(_engine(tenant_id, env_name)) as read:
            for row in await read.rows(_ALL):
                owned |= vectors.names_of(Space(tenant_id, env_name, row["definition_id"], 0), row["epoch"])
    wrong = found - owned
    if wrong:
        wrong &= await vectors.names()  # what became another epoch meanwhile is gone by now
    if wrong and repair:
        await vectors.remove(wrong, owned)
    return sorted(wrong)


async def idle(stores: Stores, definition_id: str, before: int) -> list[Scope]:
    """The scopes whose copy of a definition nobody used since `before`, the one that rested longest first."""
    rows = await stores.across(_IDLE, definition_id=definition_id, before=before)
    return [_engine(row["tenant_id"], row["env"]) for row in rows]


async def count_offloaded(stores: Stores) -> int:
    """How many copies are offloaded, of all tenants and definitions."""
    (row,) = await stores.across(_ALL_OFFLOADED)
    return int(row["number"])


class CopyBook:
    """See `stores.vectors.base.Book`. What happens to a copy is told in the journal of its tenant and env."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def find(self, space: Space) -> Copy | None:
        """The copy of a space, or None when there never was one."""
        async with self._stores.read(_engine(space.tenant_id, space.env)) as read:
            row = await read.row(_FIND, definition_id=space.definition_id)
        if row is None:
            return None
        rest = Rest(row["offloaded_at"], row["contents"]) if row["offloaded_at"] else None
        return Copy(row["epoch"], row["generation"], rest, row["used_at"])

    async def begin(self, space: Space, after: int) -> Copy | None:
        """The epoch after `after`, None when that one is over."""
        async with self._stores.work(_engine(space.tenant_id, space.env), RunKind.INDEX) as work:
            found = await work.row(_FIND, definition_id=space.definition_id)
            if (0 if found is None else found["epoch"]) != after:
                return None
            (row,) = await work.write(_BEGIN, definition_id=space.definition_id, now=micros(work.now))
            _tell(work, "index.copy_begun", {"definition": space.definition_id, "epoch": row["epoch"]})
        return Copy(row["epoch"], row["generation"])

    async def move(self, space: Space, epoch: int, generation: int) -> bool:
        """Forward, never back. False when the epoch is over, or offloaded: what was written then is in no file."""
        async with self._stores.work(_engine(space.tenant_id, space.env), RunKind.INDEX) as work:
            found = await work.row(_FIND, definition_id=space.definition_id)
            if found is None or found["epoch"] != epoch or found["offloaded_at"]:
                return False
            await work.write(_MOVE, definition_id=space.definition_id, generation=generation, now=micros(work.now))
            _tell(work, "index.copied", {"definition": space.definition_id, "epoch": epoch, "generation": generation})
        return True

    async def use(self, space: Space, copy: Copy) -> bool:
        """Whether the copy is on the server, and stays there for hours. Calls for an offloaded one."""
        scope, now = _engine(space.tenant_id, space.env), micros(self._stores.clock())
        if copy.rest is None and now - copy.used_at < _NOTED:
            return True
        if copy.rest is None and await self._stores.note(scope, _USE, definition_id=space.definition_id, now=now):
            return True
        if copy.rest is None or copy.used_at <= copy.rest.since:
            await self._write(space, _CALL, "index.copy_called", {}, now=now)
        return False

    async def offload(self, space: Space, epoch: int, before: int) -> bool:
        """One caller alone is told True."""
        now = micros(self._stores.clock())
        return await self._write(
            space, _OFFLOAD, "index.copy_offloading", {"epoch": epoch}, epoch=epoch, before=before, now=now
        )

    async def offloaded(self, space: Space, epoch: int, contents: str) -> bool:
        """What an offloaded copy is in the bucket. False when its epoch is over."""
        told: dict[str, Json] = {"epoch": epoch, "contents": contents}
        return await self._write(space, _OFFLOADED, "index.copy_offloaded", told, epoch=epoch, contents=contents)

    async def onloaded(self, space: Space, epoch: int) -> bool:
        """It may be asked again. False when its epoch is over."""
        return await self._write(space, _ONLOADED, "index.copy_onloaded", {"epoch": epoch}, epoch=epoch)

    async def _write(
        self, space: Space, statement: Statement, action: str, output: dict[str, Json], **values: Value
    ) -> bool:
        """Write and tell it, unless nothing is as the statement wants it."""
        async with self._stores.work(_engine(space.tenant_id, space.env), RunKind.INDEX) as work:
            if not await work.write(statement, definition_id=space.definition_id, **values):
                return False
            _tell(work, action, {"definition": space.definition_id, **output})
        return True

    async def end(self, tenant_id: str, env: str, but: str | None) -> None:
        """Every epoch of a tenant and env is over, begun or not, save of the definition `but`."""
        async with self._stores.work(_engine(tenant_id, env), RunKind.INDEX) as work:
            ended: list[Json] = [row["definition_id"] for row in await work.write(_END, but=but or "")]
            _tell(work, "index.copies_ended", {"definitions": ended})


def _engine(tenant_id: str, env: str) -> Scope:
    return Scope.system(tenant_id, Env(env), "copies")


def _tell(work: Work, action: str, output: dict[str, Json]) -> None:
    work.record(
        Event(action, "index", "", redact({"output": output}), Handling((), train_ok=False), ends=RunStatus.SUCCEEDED)
    )
