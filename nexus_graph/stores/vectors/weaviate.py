"""The vector index on a Weaviate server: one copy of a large space, shared by every process.

A row is written once, under an id that tells the generation it was written at, and is only ever removed by a newer one:
so whatever order several writers come in, what is left over is at worst a name too many, and the rows decide. The
database knows how far a copy is (`base.Book`). A copy that is let go never gets its name back: late writes find nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from nexus_graph.scope.errors import ConfigurationError, Invalid, Unavailable
from nexus_graph.stores.vectors import weaviate_rows
from nexus_graph.stores.vectors import weaviate_schema as schema
from nexus_graph.stores.vectors.base import (
    NOTHING,
    Book,
    Change,
    Copy,
    Key,
    Lost,
    Space,
    View,
    check_change,
)
from nexus_graph.stores.vectors.weaviate_client import PATIENT, QUICK, Deed, Refused, Result, WeaviateConnection
from nexus_graph.stores.vectors.weaviate_offloading import Offloader, Shelf
from nexus_graph.stores.vectors.weaviate_view import WeaviateView, offloaded

if TYPE_CHECKING:
    from nexus_graph.stores.vectors.weaviate_rows import Rows

log = structlog.get_logger("nexus_graph.vectors")

_WRITE_SECONDS: Final = 60.0
_BATCH_BYTES: Final = 4 * 1024 * 1024
_BATCH_ROWS: Final = 1000
_GROUPS: Final = 256  # whose older rows are removed by one call
_IDLE_SECONDS: Final = 900.0  # after which a tenant's memory and files are let go of until it is used again
_LENGTH: Final = 1e-3  # by which a vector may be longer or shorter than one


@dataclass(slots=True)
class WeaviateVectors:
    """Copies on the server of `connection`, in collections whose names begin with `prefix`.

    `shelf`: the bucket that the server offloads to, if copies may be offloaded.
    """

    connection: WeaviateConnection
    book: Book
    prefix: str = "Nexus"
    shelf: Shelf | None = None
    _proven: bool = False
    _known: set[str] = field(default_factory=set)
    _used: dict[tuple[str, str], float] = field(default_factory=dict)
    _reached: dict[tuple[str, str], int] = field(default_factory=dict)
    _resting: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """See `base.Vectors`. Compares every collection of ours with what this program makes, and tries the bucket."""
        await self.connection.open()
        with suppress(Lost):
            try:
                for name, found in (await self._collections()).items():
                    schema.compare(name, found)
                await self._prove()
            except Refused as error:
                raise ConfigurationError(f"{error.message} {error.hint}") from error
            except Unavailable as error:
                log.warning("vectors.not_there_yet", engine="weaviate", error=error.message)
        self._resting = asyncio.create_task(self._rest_forever())

    async def close(self) -> None:
        """See `base.Vectors`."""
        if self._resting is not None:
            self._resting.cancel()
            await asyncio.gather(self._resting, return_exceptions=True)
        await self.connection.close()

    async def ready(self) -> None:
        """See `base.Vectors`."""
        await self.connection.ready()

    async def view(self, space: Space) -> WeaviateView:
        """See `base.Vectors`. Asks the database alone."""
        return WeaviateView(space, await self.book.find(space), self)

    async def apply(self, space: Space, view: View, change: Change) -> WeaviateView:
        """See `base.Vectors`. New rows first, then the older ones of the same groups go, then the database is told."""
        if not isinstance(view, WeaviateView):
            raise Unavailable("The view belongs to another vector index.")
        _check(change, space.dimensions)
        if view.offloaded:
            raise offloaded()
        copy = view.copy
        if copy is None or copy.generation == NOTHING:
            copy = await self._begin(space, 0 if copy is None else copy.epoch)
        try:
            await self._write(space, copy.epoch, partial(weaviate_rows.witness, stamp=change.generation))
            await self._put(space, copy.epoch, change)
            if copy.generation != NOTHING:
                await self._remove_older(space, copy.epoch, change)
        except Lost as error:  # the server lost it: from here on rows answer, and the next change begins anew
            await self.book.begin(space, copy.epoch)
            raise Unavailable("The copy of the vectors is gone.", hint="It is made anew.") from error
        if not await self.book.move(space, copy.epoch, change.generation):
            raise _over()
        return WeaviateView(space, Copy(copy.epoch, max(copy.generation, change.generation)), self)

    async def use(self, space: Space, view: View) -> None:
        """See `base.Vectors`."""
        copy = view.copy if isinstance(view, WeaviateView) else None
        if copy is not None and copy.generation != NOTHING and not await self.book.use(space, copy):
            raise offloaded()

    async def offload(self, space: Space, before: int) -> bool:
        """See `base.Vectors`. The database is told first: from then on nobody asks it, whatever comes of this."""
        await self._prove()
        copy = await self.book.find(space)
        if self.shelf is None or copy is None or not await self.book.offload(space, copy.epoch, before):
            return False
        name, tenant = self._name(space), schema.tenant_name(space, copy.epoch)
        self._used.pop((name, tenant), None)
        try:
            await self._offloader.clear(name, f"{tenant}/")
        except Unavailable:  # nothing was asked of the server yet: the copy is as it was
            await self.book.onloaded(space, copy.epoch)
            raise
        return await self.book.offloaded(space, copy.epoch, await self._offloader.offload(name, tenant))

    async def onload(self, space: Space, view: View) -> bool:
        """See `base.Vectors`."""
        copy = view.copy if isinstance(view, WeaviateView) else None
        if copy is None or copy.rest is None:
            return True
        tenant = schema.tenant_name(space, copy.epoch)
        try:
            if not await self._offloader.onload(self._name(space), tenant, copy.rest.contents):
                return False
            if await self.ask(space, copy.epoch, weaviate_rows.witnessed) < copy.generation:
                return False
        except Lost:
            return False
        return await self.book.onloaded(space, copy.epoch)

    async def intact(self, space: Space, view: View) -> bool:
        """See `base.Vectors`."""
        copy = view.copy if isinstance(view, WeaviateView) else None
        if copy is None or copy.rest is None:
            return True
        try:
            tenant = schema.tenant_name(space, copy.epoch)
            return await self._offloader.intact(self._name(space), tenant, copy.rest.contents)
        except Lost:
            return False

    async def reached(self, space: Space, view: View) -> int:
        """See `base.Vectors`."""
        if not isinstance(view, WeaviateView) or view.copy is None or view.copy.generation == NOTHING:
            return NOTHING
        key = (self._name(space), schema.tenant_name(space, view.copy.epoch))
        if key not in self._reached:
            found = await self.ask(space, view.copy.epoch, weaviate_rows.witnessed, QUICK)
            if found == NOTHING:  # loaded without its files; an older word than the last may only have come late
                raise Lost("The copy of the vectors on the Weaviate server is not whole.", hint="It is made anew.")
            self._reached[key] = found
        return self._reached[key]

    async def held(self, space: Space) -> AsyncIterator[tuple[Sequence[Key], NDArray[np.float32]]]:
        """See `base.Vectors`."""
        copy, after = await self.book.find(space), None
        while copy is not None and copy.generation != NOTHING:
            found: list[Any] = await self.ask(space, copy.epoch, partial(weaviate_rows.page, after=after))
            if not found:
                return
            rows = [each for each in found if each.uuid != schema.WITNESS]
            keys = [(each.properties[schema.GROUP], int(each.properties[schema.ORDINAL])) for each in rows]
            if keys:
                yield keys, np.array([each.vector["default"] for each in rows], dtype=np.float32)
            after = found[-1].uuid

    def names_of(self, space: Space, epoch: int) -> frozenset[str]:
        """See `base.Vectors`."""
        name = self._name(space)
        return frozenset((f"{name}/", f"{name}/{schema.tenant_name(space, epoch)}"))

    async def names(self) -> frozenset[str]:
        """See `base.Vectors`."""
        found: set[str] = set()
        for name in filter(partial(schema.is_collection, self.prefix), await self._collections()):
            found.update(f"{name}/{tenant}" for tenant in await self._tenants(name, "") or ("",))
        return frozenset(found | await self._offloader.names(self.prefix, found))

    async def remove(self, names: Collection[str], kept: Collection[str]) -> None:
        """See `base.Vectors`."""
        there = await self._collections()
        for name in sorted({each.partition("/")[0] for each in names}):
            if name in there:
                await self._remove(name, [each for each in await self._tenants(name, "") if f"{name}/{each}" in names])
            for tenant in sorted(each.rpartition("/")[2] for each in names if each.startswith(f"{name}/")):
                if tenant:
                    await self._offloader.clear(name, f"{tenant}/")
            if name in there and f"{name}/" not in kept and not await self._tenants(name, ""):
                await self._call(_removing(name))

    def begin_of(self, tenant_id: str, env: str) -> str:
        """How the names of the copies of a tenant and env begin, and of nobody else's."""
        return schema.tenant_prefix(tenant_id, env)

    async def everything(self) -> AsyncIterator[tuple[str, Sequence[str]]]:
        """Every row of every copy on the server, known to the database or not: how its copy is named, and its groups.

        In pieces. A copy that goes meanwhile is left out, and so is one that is offloaded: looking would wake it.
        """
        for name in await self._collections():
            for tenant, state in (await self._offloader.settled(name, "")).items():
                if state == "OFFLOADED":
                    continue
                after = None
                with suppress(Lost):
                    while found := await self._call(
                        partial(weaviate_rows.groups_of, name=name, tenant=tenant, after=after)
                    ):
                        yield tenant, [str(row.properties[schema.GROUP]) for row in found if row.uuid != schema.WITNESS]
                        after = found[-1].uuid

    def forget(self, tenant_id: str, env: str) -> None:
        """Nothing: this process holds no vectors."""

    async def erase(self, tenant_id: str, env: str, but: str | None = None) -> None:
        """See `base.Vectors`. From every collection of ours, known to the database or not; then looks again.

        In the bucket, too, whatever the server said: it tells nobody what it failed to remove there.
        """
        await self.book.end(tenant_id, env, but)
        kept = None if but is None else schema.collection_name(self.prefix, env, but)
        begin = schema.tenant_prefix(tenant_id, env)
        for name in await self._collections():
            if name != kept:
                await self._remove_tenants(name, begin)
                if await self._tenants(name, begin):
                    raise Unavailable("A copy of the vectors is still on the Weaviate server.", hint="Try again.")
        for name in await self._offloader.collections(self.prefix):
            if name != kept:
                await self._offloader.clear(name, begin)

    async def ask(
        self, space: Space, epoch: int, deed: Callable[[Rows], Awaitable[Result]], patience: float = PATIENT
    ) -> Result:
        """Do something with the rows of a copy: `deed` takes the client's handle of its tenant."""
        return await self._with_rows(space, epoch, deed, None, patience)

    async def rest(self, idle_seconds: float = _IDLE_SECONDS) -> None:
        """Let the server put those tenants away that this process has not used for so long; use wakes them."""
        begin = time.monotonic() - idle_seconds
        for (name, tenant), used in [*self._used.items()]:
            if used <= begin:
                del self._used[name, tenant]
                with suppress(Unavailable):
                    await self._call(_deactivating(name, tenant))

    async def _rest_forever(self) -> None:
        while True:
            await asyncio.sleep(60)
            await self.rest()

    async def _begin(self, space: Space, after: int) -> Copy:
        name = self._name(space)
        if name not in self._known:
            await self._call(lambda client: schema.ensure(client, name))
            self._known.add(name)
        if (copy := await self.book.begin(space, after)) is None:
            raise _over()
        try:
            begin = schema.tenant_prefix(space.tenant_id, space.env)
            if await self._remove_tenants(name, begin):
                await self._offloader.clear(name, begin)
            await self._call(
                lambda client: client.collections.use(name).tenants.create(schema.tenant_name(space, copy.epoch))
            )
        except Lost:
            self._known.discard(name)
            raise
        return copy

    async def _put(self, space: Space, epoch: int, change: Change) -> None:
        step = max(1, min(_BATCH_ROWS, _BATCH_BYTES // (4 * space.dimensions)))
        for start in range(0, len(change.keys), step):
            keys, matrix = change.keys[start : start + step], change.matrix[start : start + step]
            objects = await asyncio.to_thread(weaviate_rows.objects, keys, matrix, change.generation)
            failed = await self._write(space, epoch, partial(weaviate_rows.insert, objects=objects))
            if failed:
                raise Unavailable(f"Weaviate did not take {failed} of {len(keys)} vectors.", hint="It is tried again.")

    async def _remove_older(self, space: Space, epoch: int, change: Change) -> None:
        from weaviate.classes.query import Filter

        groups = sorted(change.groups)
        for start in range(0, len(groups), _GROUPS):
            marks = [schema.mark(group) for group in groups[start : start + _GROUPS]]
            older = Filter.by_property(schema.STAMP).less_than(change.generation)
            where = Filter.by_property(schema.MARK).contains_any(marks) & older
            await self._write(space, epoch, partial(weaviate_rows.delete, where=where))

    async def _write(self, space: Space, epoch: int, deed: Callable[[Rows], Awaitable[Result]]) -> Result:
        return await self._with_rows(space, epoch, deed, _WRITE_SECONDS, PATIENT)

    async def _with_rows(
        self,
        space: Space,
        epoch: int,
        deed: Callable[[Rows], Awaitable[Result]],
        seconds: float | None,
        patience: float,
    ) -> Result:
        name, tenant = self._name(space), schema.tenant_name(space, epoch)
        self._used[name, tenant] = time.monotonic()
        return await self.connection.call(
            lambda client: deed(weaviate_rows.tenant_rows(client, name, tenant)), seconds, patience
        )

    async def _remove_tenants(self, name: str, begin: str) -> bool:
        """False when there were none."""
        found = await self._offloader.removable(name, begin)
        await self._remove(name, found)
        for key in [key for key in self._used if key[0] == name and key[1].startswith(begin)]:
            del self._used[key]
        return bool(found)

    async def _remove(self, name: str, tenants: Sequence[str]) -> None:
        if tenants:
            await self.connection.call(
                lambda client: client.collections.use(name).tenants.remove(tenants), _WRITE_SECONDS
            )

    async def _tenants(self, name: str, begin: str) -> list[str]:
        found = await self._call(lambda client: client.collections.use(name).tenants.get())
        return [tenant for tenant in found if tenant.startswith(begin)]

    async def _collections(self) -> dict[str, Any]:
        found = await self._call(lambda client: client.collections.list_all(simple=False))
        return {name: each for name, each in found.items() if name.startswith(f"{self.prefix}_")}

    async def _prove(self) -> None:
        if not self._proven:
            await self._offloader.prove(self.prefix)
            self._proven = True

    @property
    def _offloader(self) -> Offloader:
        return Offloader(self.connection, self.shelf)

    async def _call(self, deed: Deed[Result]) -> Result:
        return await self.connection.call(deed)

    def _name(self, space: Space) -> str:
        return schema.collection_name(self.prefix, space.env, space.definition_id)


def _over() -> Unavailable:
    return Unavailable("The copy of the vectors was let go meanwhile.", hint="It is made anew.")


def _check(change: Change, dimensions: int) -> None:
    """Before anything is sent: of a batch with one wrong vector, Weaviate may keep what it says that it refused."""
    check_change(change, dimensions)
    lengths = np.linalg.norm(change.matrix.astype(np.float64), axis=1)
    wrong = ~np.isfinite(lengths) | ((np.abs(lengths - 1) > _LENGTH) & (lengths != 0))
    if wrong.any():
        raise Invalid(f"The vector of {change.keys[int(np.argmax(wrong))]} is not of unit length.")


def _deactivating(name: str, tenant: str) -> Deed[None]:
    return lambda client: client.collections.use(name).tenants.deactivate(tenant)


def _removing(name: str) -> Deed[None]:
    return lambda client: client.collections.delete(name)
