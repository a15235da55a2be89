"""Copies that nobody uses, in a bucket: how the server is asked to put them there, and why it is not believed.

Weaviate's module writes a tenant's files to `<collection in lower case>/<tenant>/<node>/` of a bucket, and removes them
there once they were loaded again. What fails on the way is in its log alone: a tenant whose files are gone comes back
empty and answers all the same, one whose server died in between is served empty until it is removed, and a removal
leaves files behind without a word. So everything is looked at in the bucket itself, and what is not certain is made
anew from the rows.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from nexus_graph.scope.errors import ConfigurationError, Unavailable
from nexus_graph.stores.vectors import weaviate_schema as schema
from nexus_graph.stores.vectors.weaviate_client import Deed, WeaviateConnection

if TYPE_CHECKING:
    from weaviate import WeaviateAsyncClient

_MOVE_SECONDS: Final = 600.0  # of one move: the server gives up before, after OFFLOAD_TIMEOUT
_SETTLE_SECONDS: Final = 30.0  # in which a move under way is waited for; one that takes longer may never end
_LOOK_SECONDS: Final = 0.2
_UNSET: Final = "NEXUS_WEAVIATE_OFFLOAD_BUCKET"


class Shelf(Protocol):
    """The bucket, as we see it ourselves. Every method raises Unavailable."""

    async def folders(self, prefix: str) -> frozenset[str]:
        """How keys that begin with a prefix go on up to the next slash, with it; also such as hold nothing any more."""
        ...

    async def holds(self, prefix: str) -> bool:
        """Whether there is anything, in any version, under keys that begin with a prefix."""
        ...

    async def contents(self, prefix: str) -> str:
        """A digest of what can be read there; empty for nothing."""
        ...

    async def clear(self, prefix: str) -> None:
        """Remove all of it in all versions, and see that nothing is left."""
        ...


@dataclass(frozen=True, slots=True)
class Offloader:
    """Moves tenants between the server and its bucket. Without a `shelf` nothing is moved."""

    connection: WeaviateConnection
    shelf: Shelf | None = None

    async def prove(self, prefix: str) -> None:
        """Move a tenant without rows, and see it in the bucket: server, module, bucket and our settings go together.

        Raises ConfigurationError when they don't, Unavailable when nobody answers.
        """
        if self.shelf is None:
            return
        name = f"{prefix}_{secrets.token_hex(20)}"
        await self.connection.call(lambda client: schema.ensure(client, name))
        try:
            await self.connection.call(lambda client: client.collections.use(name).tenants.create("probe"))
            refused = await self.connection.call(_offloading(name, "probe"), _MOVE_SECONDS)
            if refused:
                raise ConfigurationError(
                    f"{_UNSET} is set, and Weaviate does not offload: {refused}. docs/vectors.md tells what it needs."
                )
            states = await self.settled(name, "probe")
            if states != {"probe": "OFFLOADED"} or not await self.shelf.contents(folder(name, "probe")):
                raise ConfigurationError(
                    f"{_UNSET} is set, and what Weaviate offloads is not found in that bucket. Its OFFLOAD_S3_BUCKET "
                    "and OFFLOAD_S3_ENDPOINT must lead to the same one; docs/vectors.md."
                )
        finally:
            await self.connection.call(lambda client: client.collections.delete(name), _MOVE_SECONDS)
            await self.shelf.clear(f"{name.lower()}/")

    async def offload(self, name: str, tenant: str) -> str:
        """Move a tenant to its folder of the bucket, which was cleared, and tell the digest of what is there then.

        Raises Unavailable when it is not certain that all of it is there.
        """
        refused = await self.connection.call(_offloading(name, tenant), _MOVE_SECONDS)
        contents = ""
        if not refused and (await self.settled(name, tenant)).get(tenant) == "OFFLOADED" and self.shelf is not None:
            contents = await self.shelf.contents(folder(name, tenant))
        if not contents:
            raise Unavailable("Weaviate did not offload a copy of the vectors.", hint=refused or "See its log.")
        return contents

    async def onload(self, name: str, tenant: str, contents: str) -> bool:
        """Move a tenant back. False unless the bucket held what it should, and the server took all of it.

        Raises Unavailable; whoever tries again after that is told False.
        """
        if self.shelf is None:
            raise Unavailable("A copy of the vectors is offloaded.", hint=f"{_UNSET} must name its bucket.")
        place = folder(name, tenant)
        if not await self.intact(name, tenant, contents):
            return False
        await self.connection.call(lambda client: client.collections.use(name).tenants.activate(tenant), _MOVE_SECONDS)
        if (await self.settled(name, tenant)).get(tenant) != "ACTIVE":
            return False
        until = time.monotonic() + _SETTLE_SECONDS
        while await self.shelf.contents(place):  # the server empties it once it has all of it, and not before
            if time.monotonic() > until:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        await self.shelf.clear(place)
        return True

    async def intact(self, name: str, tenant: str, contents: str) -> bool:
        """Whether an offloaded tenant is in the bucket as it was put there. Raises Unavailable."""
        if (await self.settled(name, tenant)).get(tenant) != "OFFLOADED" or self.shelf is None:
            return False
        return bool(contents) and await self.shelf.contents(folder(name, tenant)) == contents

    async def settled(self, name: str, begin: str) -> dict[str, str]:
        """The tenants of a collection whose names begin so, and their states, once none is on its way any more.

        One whose server died on the way stays so for ever: after half a minute it is told as it is. Raises Unavailable
        for what is offloaded where no bucket is known.
        """
        until = time.monotonic() + _SETTLE_SECONDS
        while True:
            found = await self.connection.call(lambda client: client.collections.use(name).tenants.get())
            states = {each: found[each].activity_status.value for each in found if each.startswith(begin)}
            if self.shelf is None and not {"ACTIVE", "INACTIVE"}.issuperset(states.values()):
                raise Unavailable("A copy of the vectors is offloaded.", hint=f"{_UNSET} must name its bucket.")
            if not {"OFFLOADING", "ONLOADING"}.intersection(states.values()) or time.monotonic() > until:
                return states
            await asyncio.sleep(_LOOK_SECONDS)

    async def removable(self, name: str, begin: str) -> list[str]:
        """The tenants of a collection whose names begin so. Raises Unavailable for offloaded ones without their bucket.

        A server that can't reach it tries for half a minute, in which no other tenant comes or goes, and then says that
        all is removed.
        """
        states = await self.settled(name, begin)
        if self.shelf is not None and not {"ACTIVE", "INACTIVE"}.issuperset(states.values()):
            await self.shelf.holds(f"{name.lower()}/{begin}")
        return [*states]

    async def clear(self, name: str, begin: str) -> None:
        """Remove what lies in the bucket of tenants of a collection whose names begin so, and look again."""
        if self.shelf is not None:
            await self.shelf.clear(f"{name.lower()}/{begin}")

    async def collections(self, prefix: str) -> frozenset[str]:
        """The collections that the bucket knows of, whether the server does or not."""
        if self.shelf is None:
            return frozenset()
        begin = f"{prefix.lower()}_"
        found = [each.removesuffix("/") for each in await self.shelf.folders(begin)]
        named = [f"{prefix}_{each.removeprefix(begin)}" for each in found]
        return frozenset(each for each in named if schema.is_collection(prefix, each))

    async def names(self, prefix: str, known: Collection[str]) -> frozenset[str]:
        """`collection/tenant` of whatever the bucket holds, and the server, which knows `known`, does not."""
        unknown: set[str] = set()
        for name in await self.collections(prefix):
            for place in await self.shelf.folders(f"{name.lower()}/") if self.shelf is not None else ():
                tenant = place.removesuffix("/").rpartition("/")[2]
                if f"{name}/{tenant}" not in known and self.shelf is not None and await self.shelf.holds(place):
                    unknown.add(f"{name}/{tenant}")
        return frozenset(unknown)


def folder(name: str, tenant: str) -> str:
    """Where the server's module puts a tenant of a collection."""
    return f"{name.lower()}/{tenant}/"


def _offloading(name: str, tenant: str) -> Deed[str]:
    """Asks for it, and tells the server's reason for a refusal: its words of this call hold nothing of ours."""

    async def deed(client: WeaviateAsyncClient) -> str:
        from weaviate.exceptions import UnexpectedStatusCodeError

        try:
            await client.collections.use(name).tenants.offload(tenant)
        except UnexpectedStatusCodeError as error:
            if error.status_code == 422:
                return _reason(error)
            raise
        return ""

    return deed


def _reason(error: Any) -> str:
    return "the module offload-s3 is not enabled" if "not enabled" in str(error) else "its module can't use the bucket"
