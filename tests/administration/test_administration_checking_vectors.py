"""What `check` tells of the vector server as a whole: that it is away, and what no tenant of this installation owns."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from command_line import Folder
from servers.offloading import Offloading
from servers.seaweedfs import SeaweedFS, bucket_settings
from servers.weaviate import KEY, WeaviateServer, weaviate_server

from nexus_graph.stores.vectors import weaviate_schema as schema
from nexus_graph.stores.vectors.base import Space
from nexus_graph.stores.vectors.weaviate_client import WeaviateConnection

pytestmark = pytest.mark.servers

OURS, THEIRS = "Checked", "CheckedB"
UNKNOWN = Space("t_gone", "dev", "another@v1:4:chunk-1", 4)


async def plant(server: WeaviateServer) -> list[str]:
    """Leave copies of a tenant that is gone, beside ours, in a collection of its own, and for another installation."""
    connection = WeaviateConnection(server.address, server.grpc_address, KEY)
    await connection.open()
    try:
        (mine,) = await names(connection, OURS)
        unowned = schema.collection_name(OURS, UNKNOWN.env, UNKNOWN.definition_id)
        empty = schema.collection_name(OURS, UNKNOWN.env, "a third one")
        theirs = schema.collection_name(THEIRS, UNKNOWN.env, UNKNOWN.definition_id)
        for name in (unowned, empty, theirs):
            await connection.call(lambda client, name=name: schema.ensure(client, name))  # type: ignore[misc]
        tenant = schema.tenant_name(UNKNOWN, 1)
        for name in (mine, unowned, theirs):
            await connection.call(
                lambda client, name=name: client.collections.use(name).tenants.create(tenant)  # type: ignore[misc]
            )
        known = await connection.call(lambda client: client.collections.use(mine).tenants.get())
        (owned,) = set(known) - {tenant}
        longer = f"{owned}0"  # begins like one that is owned
        await connection.call(lambda client: client.collections.use(mine).tenants.create(longer))
        return sorted([f"{mine}/{tenant}", f"{mine}/{longer}", f"{unowned}/{tenant}", f"{empty}/"])
    finally:
        await connection.close()


async def names(connection: WeaviateConnection, prefix: str) -> list[str]:
    """The collections of an installation."""
    found = await connection.call(lambda client: client.collections.list_all())
    return [name for name in found if name.startswith(f"{prefix}_")]


async def left(server: WeaviateServer, prefix: str) -> int:
    """How many collections of an installation there are."""
    connection = WeaviateConnection(server.address, server.grpc_address, KEY)
    await connection.open()
    try:
        return len(await names(connection, prefix))
    finally:
        await connection.close()


def test_a_vector_server_is_told_as_a_whole(stocked: Folder, tmp_path: Path) -> None:
    """Unowned copies are listed and removed, another installation's never; a server that is away is told."""
    with weaviate_server(tmp_path / "weaviate") as server:
        stocked.environment |= {
            "NEXUS_VECTORS": "weaviate",
            "NEXUS_WEAVIATE_ADDRESS": server.address,
            "NEXUS_WEAVIATE_GRPC_ADDRESS": server.grpc_address,
            "NEXUS_WEAVIATE_KEY": KEY,
            "NEXUS_WEAVIATE_PREFIX": OURS,
            "NEXUS_VECTORS_LEAST": "1",
        }
        stocked.good("check", "--repair")
        assert stocked.json("check") == {"scopes": 1, "faults": [], "left": [], "repaired": False}
        unowned = asyncio.run(plant(server))
        said = [
            f"vector server: {name} belongs to no tenant, env and embedder of this installation" for name in unowned
        ]
        assert stocked.json("check", status=1)["faults"] == said
        assert stocked.json("check", "--repair") == {"scopes": 1, "faults": said, "left": [], "repaired": True}
        assert stocked.json("check")["faults"] == []
        assert asyncio.run(left(server, OURS)) == 1
        assert asyncio.run(left(server, THEIRS)) == 1
        stocked.good("import", "material", "--tenant", "t_acme", "--env", "dev", "--train-ok")
        server.end()
        silent = "The vector index Weaviate does not answer."
        away = [
            f"t_acme/dev: index: the copy on the vector server was not compared: {silent}",
            f"vector server: UNAVAILABLE: {silent} Check NEXUS_WEAVIATE_ADDRESS, NEXUS_WEAVIATE_GRPC_ADDRESS and the "
            "server's log.",
        ]
        assert stocked.json("check", status=1)["faults"] == away
        assert stocked.json("check", "--repair", status=1)["left"] == away
        server.start()
        assert stocked.json("check")["faults"] == []


def test_the_bucket_that_tenants_rest_in_is_tried_at_the_start(
    installed: Folder, offloading: Offloading, s3_server: SeaweedFS
) -> None:
    """Moved there and seen, it is good; one that is missing or another one than the server's stops the start."""
    with s3_server.bucket() as objects, s3_server.bucket() as other:
        given = {**bucket_settings(s3_server, objects), **offloading.weaviate.settings("Resting")}
        installed.environment |= {f"NEXUS_{name.upper()}": value for name, value in given.items()}
        installed.good("check", weaviate_offload_bucket=offloading.bucket)
        assert offloading.in_bucket("Resting_") == []
        said = installed.bad("check", status=2, weaviate_offload_bucket="nobody")
        assert "NEXUS_WEAVIATE_OFFLOAD_BUCKET: The bucket can't be used." in said
        said = installed.bad("check", status=2, weaviate_offload_bucket=other)
        assert "what Weaviate offloads is not found in that bucket" in said
        offloading.weaviate.drop("Resting")
