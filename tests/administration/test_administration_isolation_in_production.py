"""The proof of isolation on Postgres, S3 and Weaviate, with two server processes; and holes that are cut on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from engines import OnPostgres, query
from journey_house import Installation, Server, furnish
from servers.seaweedfs import SeaweedFS, bucket_settings
from servers.weaviate import KEY, WeaviateServer

AMPLE = {f"{whose}_{what}": "1000000000" for whose in ("actor", "tenant") for what in ("burst", "per_second")}


@dataclass(frozen=True, slots=True)
class Production:
    """Two servers on the same engines."""

    installation: Installation
    servers: list[Server]
    s3: SeaweedFS
    bucket: str

    def prove(self, *more: str, status: int = 0) -> str:
        """What the proof prints."""
        logs = [part for server in self.servers for part in ("--log", str(server.log))]
        addresses = [part for server in self.servers for part in ("--against", server.address)]
        return self.installation.run("prove", "isolation", *addresses, *logs, *more, status=status)


@pytest.fixture(scope="module")
def production(
    tmp_path_factory: pytest.TempPathFactory, on_postgres: OnPostgres, s3_server: SeaweedFS, weaviate: WeaviateServer
) -> Iterator[Production]:
    """Two tenants, two processes, and nothing kept on this machine's files."""
    home = tmp_path_factory.mktemp("production") / "house"
    place = on_postgres.fresh(home.parent)
    rows = on_postgres.settings(place)
    home.mkdir()
    furnish(home, **rows)
    vectors = {
        "vectors": "weaviate",
        "weaviate_address": weaviate.address,
        "weaviate_grpc_address": weaviate.grpc_address,
        "weaviate_key": KEY,
        "weaviate_prefix": "Proof",
        "vectors_least": "1",
    }
    with s3_server.bucket() as bucket, ExitStack() as ended:
        given = {**rows, **bucket_settings(s3_server, bucket), **vectors, **AMPLE, "heartbeat_seconds": "0.2"}
        installation = Installation(home, **given)
        servers = [Server(installation) for _ in range(2)]
        for number, server in enumerate(servers):
            server.log = home / f"server-{number}.log"
            server.start()
            ended.callback(server.stop)
        yield Production(installation, servers, s3_server, bucket)
        for server in servers:
            server.check_log()
    on_postgres.discard(place)


def told(text: str) -> dict[str, int]:
    """How often each kind was tried."""
    rows = [line.split("\t") for line in text.splitlines() if line.count("\t") == 1]
    return {kind: int(times.replace(",", "")) for kind, times in rows}


def test_no_hole_is_found(production: Production, pytestconfig: pytest.Config) -> None:
    """Random operations, the walk, the attack at the database, and the search of rows, objects, copies and logs."""
    seconds = str(pytestconfig.getoption("proof_seconds"))
    chosen = ("--operations", "400", "--seconds", "60", "--only", "Query.card")
    text = production.prove(*chosen if seconds == "0" else ("--seconds", seconds))
    assert "Tried on Postgres, S3, Weaviate." in text
    assert "No holes found" in text, text
    tried = told(text)
    wanted = {
        "operations that write": 3,
        "forged addresses of objects": 20,
        "statements at the database beyond the scope that is named": 1000,
        "statements at the database without a whole scope": 1000,
        "rights of nexus_doors tried": 500,
        "attempts to take the walls down": 500,
        "statistics and errors of the database searched": 10,
        "tables searched": 30,
        "objects searched": 6,
        "rows of copies of vectors searched": 6,
        "files searched": 2,
    }
    assert {kind: tried.get(kind, 0) for kind, least in wanted.items() if tried.get(kind, 0) < least} == {}


def test_holes_are_named(production: Production) -> None:
    """A wall taken down, words in another's row and under another's prefix, a copy under another's name."""
    place = production.installation.place
    query(place, "create policy hole on journal_heads for select to public using (true)")
    text = production.prove("--operations", "0", "--only", "nothing", status=1)
    assert "hole: journal_heads: the policy hole is nobody's" in text
    assert "hole: journal_heads with no scope named reads rows of others" in text
    query(place, "drop policy hole on journal_heads")
    assert [line for line in text.splitlines() if line.startswith("hole: ") and "journal_heads" not in line] == []


def test_without_the_owner_nothing_is_searched(production: Production) -> None:
    """It is refused before a tenant is made."""
    environment = production.installation.environment
    before: Any = production.installation.json("tenant", "list")
    blind = Installation(production.installation.folder)
    blind.environment = {name: value for name, value in environment.items() if name != "NEXUS_POSTGRES_OWNER"}
    said = blind.run("prove", "isolation", "--against", production.servers[0].address, status=2)
    assert "NEXUS_POSTGRES_OWNER is missing" in said
    assert production.installation.json("tenant", "list") == before
