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
from servers.weaviate import WeaviateServer

from nexus_graph.administration.isolation import addresses, against, searching, steps
from nexus_graph.administration.isolation.filling import fill
from nexus_graph.administration.isolation.model import Place, Tally
from nexus_graph.administration.isolation.places import introspect
from nexus_graph.config import Config, load
from nexus_graph.stores.vectors.weaviate import WeaviateVectors
from nexus_graph.stores.vectors.weaviate_schema import GROUP, tenant_prefix

PROOF_SECONDS = 900.0
"""How long a whole walk may take beside other work."""
AMPLE = {f"{whose}_{what}": "1000000000" for whose in ("actor", "tenant") for what in ("burst", "per_second")}


@dataclass(frozen=True, slots=True)
class Production:
    """Two servers on the same engines."""

    installation: Installation
    servers: list[Server]
    s3: SeaweedFS
    bucket: str

    @property
    def config(self) -> Config:
        """Its settings, as a command reads them."""
        return load(self.installation.environment, self.installation.folder / "nexus.toml").config

    def prove(self, *more: str, status: int = 0) -> str:
        """What the proof prints."""
        logs = [part for server in self.servers for part in ("--log", str(server.log))]
        addresses = [part for server in self.servers for part in ("--against", server.address)]
        command = ("prove", "isolation", *addresses, *logs, *more)
        return self.installation.run(*command, status=status, seconds=PROOF_SECONDS)


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
    vectors = weaviate.settings("Proof")
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
    chosen = ("--operations", "400", "--seconds", "60", "--only", "Mutation.reserveAsset")
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


def test_a_wall_that_is_taken_down_is_named(production: Production) -> None:
    """By the command, on a database that people work on."""
    place = production.installation.place
    query(place, "create policy hole on journal_heads for select to public using (true)")
    text = production.prove("--operations", "0", "--only", "nothing", status=1)
    query(place, "drop policy hole on journal_heads")
    assert "hole: journal_heads: the policy hole is nobody's" in text
    assert "hole: journal_heads with no scope named reads rows of others" in text
    assert [line for line in text.splitlines() if line.startswith("hole: ") and "journal_heads" not in line] == []


async def test_what_lies_in_the_wrong_place_is_named(production: Production) -> None:
    """A word in another's row and in a log, an object under another's prefix, a row of a copy under another's name."""
    tenants, tally, log = against.fresh(), Tally(), production.installation.folder / "line.log"
    one, two = (f"{tenant}/dev" for tenant in tenants)
    words = {(tenant, "dev"): f"canary{letter * 24}" for tenant, letter in zip(tenants, "ab", strict=True)}
    served = [server.address for server in production.servers]
    async with against.visited(production.config, served, words) as (world, whole):
        assert isinstance(whole.copies, WeaviateVectors)
        assert {caller.address for each in world.places for caller in each.people.values()} == {*served}
        word = world.places[0].word
        cards = [(await steps.publish(each.both, steps.card(None, "A body.")))["card"]["id"] for each in world.places]
        await misplaced(whole.copies, world.places[1], cards[0])
        insert = "insert into follower_checkpoints (tenant_id, env, follower, seq) values (:tenant, 'dev', :word, 0)"
        query(production.installation.place, insert, tenant=tenants[1], word=word)
        key = f"tenants/{tenants[1]}/dev/raw/a/b.txt"
        client = production.s3.client()
        client.put_object(Bucket=production.bucket, Key=f"house/{key}", Body=word.encode())
        log.write_text(f"asked for {word}\n")
        await searching.strays(world, whole, [log], tally)
        client.delete_object(Bucket=production.bucket, Key=f"house/{key}")
    query(production.installation.place, "delete from follower_checkpoints where follower = :word", word=word)
    assert len(tally.faults) == 5, tally.faults
    assert tally.faults[0] == f"follower_checkpoints: a row of {two} holds the word of {one}"
    assert f"the copy of {two} holds {cards[0]}, which is not its own" in tally.faults[1:3]
    assert sum(fault.endswith(f"holds {cards[0]} of {one}") for fault in tally.faults[1:3]) == 1
    assert tally.faults[-2:] == [f"{key} holds the word of {one}", f"line.log holds the word of {one}"]


async def test_an_address_that_opens_more_is_named(production: Production) -> None:
    """Tried with one's own addresses in the place of another's: their signatures hold, and that is told."""
    words = {(tenant, "dev"): f"canary{letter * 24}" for tenant, letter in zip(against.fresh(), "ab", strict=True)}
    async with against.visited(production.config, [production.servers[0].address], words) as (world, _):
        [place, _] = world.places
        filled = await fill(place, await introspect(place.both))
        tried, faults = await addresses.forged(filled, filled)
    assert tried > 20
    opens = [f"an address of {place.name}, changed to {what} own signature, opens: 200" for what in OWN]
    assert [fault for fault in opens if fault not in faults] == []


OWN = ("its object under one's", "one with one's")


async def misplaced(vectors: WeaviateVectors, place: Place, card: str) -> None:
    """Put a row about a card into the copy of a place, once there is one."""
    begin = tenant_prefix(place.tenant, place.env)

    async def copy() -> tuple[str, str] | None:
        for name in await vectors._collections():
            for tenant in await vectors._tenants(name, begin):
                return name, tenant
        return None

    name, tenant = await steps.until(copy, "A copy")
    await vectors.connection.call(
        lambda client: client.collections.use(name).with_tenant(tenant).data.insert({GROUP: card})
    )


def test_without_the_owner_nothing_is_searched(production: Production) -> None:
    """It is refused before a tenant is made."""
    environment = production.installation.environment
    before: Any = production.installation.json("tenant", "list")
    blind = Installation(production.installation.folder)
    blind.environment = {name: value for name, value in environment.items() if name != "NEXUS_POSTGRES_OWNER"}
    said = blind.run("prove", "isolation", "--against", production.servers[0].address, status=2)
    assert "NEXUS_POSTGRES_OWNER is missing" in said
    assert production.installation.json("tenant", "list") == before
