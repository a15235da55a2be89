"""The attack at the database: the walls stand, and each that is taken down on purpose is named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from engines import OnPostgres, query

from nexus_graph.administration.isolation import attacking, searching
from nexus_graph.administration.isolation.model import Tally, World
from nexus_graph.administration.isolation.people import settle
from nexus_graph.scope.clock import system_clock
from nexus_graph.scope.errors import ConfigurationError
from nexus_graph.stores.blobs.files import FileBlobs
from nexus_graph.stores.database import roles
from nexus_graph.stores.database.place import PostgresPlace
from nexus_graph.stores.database.postgres import PostgresDatabase
from nexus_graph.stores.migrations.walls import DOORS
from nexus_graph.stores.signals.local import LocalSignals
from nexus_graph.stores.whole import Walls, Whole
from nexus_graph.stores.work import Stores

PLACES = {
    ("t_proof_one", "dev"): "canaryaaaaaaaaaaaaaaaaaaaaaaaa",
    ("t_proof_one", "prod"): "canarybbbbbbbbbbbbbbbbbbbbbbbb",
    ("t_proof_two", "dev"): "canarycccccccccccccccccccccccc",
}


def quiet(text: str, *, total: int | None = None, advance: int = 1) -> None:
    """Tell nobody."""


@pytest.fixture
async def settled(on_postgres: OnPostgres, tmp_path: Path) -> AsyncIterator[tuple[World, PostgresPlace]]:
    """Tenants with people and keys on a database of their own, and no server."""
    place = on_postgres.fresh(tmp_path)
    database = PostgresDatabase(place)
    await database.open()
    secret = "a signing secret for tests only, 32+"
    blobs = FileBlobs(tmp_path / "objects", secret=secret, address="http://localhost", clock=system_clock)
    async with httpx.AsyncClient() as http:
        world = await settle(Stores(database, blobs, LocalSignals()), http, ["http://localhost"], PLACES, str)
    await database.close()
    yield world, place
    on_postgres.discard(place)


def whole(place: PostgresPlace) -> Whole:
    """All of a database."""
    walls = Walls(partial(roles.bare, place), dict(DOORS), partial(roles.sample, place))
    return Whole(("Postgres",), partial(roles.every_row, place), lambda _: False, walls=walls)


async def attacked(world: World, place: PostgresPlace) -> Tally:
    """What the attack finds."""
    seen, tally = whole(place), Tally()
    assert seen.walls is not None
    await attacking.attack(world, seen, seen.walls, tally, quiet)
    return tally


async def test_the_walls_stand(settled: tuple[World, PostgresPlace]) -> None:
    """Nothing is found, and a lot was tried."""
    tally = await attacked(*settled)
    assert tally.faults == []
    assert tally.tried[attacking.SCOPED] > 1000
    assert tally.tried[attacking.UNSCOPED] > 1000
    assert tally.tried[attacking.DOORS] > 500
    assert tally.tried[attacking.TAKING] > 500
    assert tally.tried[attacking.WALLS] > 80
    assert tally.tried[attacking.HINTS] == 10


HOLES = {
    "alter table members disable row level security": (
        "members: row-level security is not enabled and forced",
        "members with t_proof_one/prod reads rows of others",
        "members with no scope named deletes rows of others",
        "members with t_proof_one/prod may be read with row_security off",
    ),
    "drop policy wall on tenants": ("tenants: the policy wall is missing",),
    "create policy kind on api_keys for select to public using (true)": (
        "api_keys: the policy kind is nobody's",
        "api_keys with no scope named reads rows of others: done, 1 rows",
        "api_keys with an empty scope is copied out with rows of t_proof_one/prod",
        "api_keys with the env dev alone shows rows of others to a function",
    ),
    "alter policy wall on journal_events using (tenant_id = current_setting('nexus.tenant_id', true))": (
        "journal_events with t_proof_one/dev reads rows of others",
        "journal_events with the tenant t_proof_one alone reads rows of others",
    ),
    "alter policy wall on journal_heads with check (true)": (
        "journal_heads with t_proof_one/dev takes a row for t_proof_one/prod",
        "journal_heads with t_proof_one/prod moves a row to t_proof_two/dev",
    ),
    "grant select (text) on card_versions to nexus_doors": ("nexus_doors may select card_versions.text, which is not",),
    "grant delete on quotas to nexus_doors": ("nexus_doors may delete quotas.tenant_id, which is not listed",),
    "revoke select on index_active from nexus_doors": ("nexus_doors may not select index_active.tenant_id, which is",),
    "grant truncate on cards to nexus_app": ("the application may: truncate cards",),
    "grant create on schema public to nexus_app": ("the application may: create table nexus_hole",),
    "create unique index names on api_keys (name)": ("api_keys: names is compared across tenants",),
}


async def test_every_wall_that_is_taken_down_is_named(settled: tuple[World, PostgresPlace]) -> None:
    """All at once, each at another table: whatever is told is told of the table whose wall is gone."""
    world, place = settled
    for hole in HOLES:
        query(place, hole)
    tally = await attacked(world, place)
    told = "\n".join(tally.faults)
    assert [part for parts in HOLES.values() for part in parts if part not in told] == [], told[:2000]


async def test_a_row_in_the_wrong_place_is_found(settled: tuple[World, PostgresPlace]) -> None:
    """Every row is seen, though the application's role sees none; also what lies there as bytes."""
    world, place = settled
    word = world.places[0].word
    insert = "insert into follower_checkpoints (tenant_id, env, follower, seq) values ('t_proof_two', 'dev', '{}', 0)"
    query(place, insert.format(word))
    query(
        place,
        "insert into index_vectors (tenant_id, env, definition_id, card_id, ordinal, start_at, end_at, vector) "
        "values ('t_proof_two', 'dev', 'definition', 'card', 0, 0, 1, convert_to(:word, 'UTF8'))",
        word=f"a {word}",
    )
    tally = Tally()
    await searching.strays(world, whole(place), [], tally)
    assert tally.faults == [
        f"{table}: a row of t_proof_two/dev holds the word of t_proof_one/dev"
        for table in ("follower_checkpoints", "index_vectors")
    ]
    assert tally.tried[searching.TABLES] > 20


async def test_less_than_every_row_is_refused(settled: tuple[World, PostgresPlace]) -> None:
    """Without the owner's address, and with one that leads in as somebody else, nothing is searched."""
    world, place = settled
    for owner, told in ((None, "NEXUS_POSTGRES_OWNER is missing"), (place.address, "who does not own .*api_keys")):
        blind = whole(PostgresPlace(place.address, owner))
        with pytest.raises(ConfigurationError, match=told):
            await searching.strays(world, blind, [], Tally())


async def test_a_search_that_sees_nothing_is_a_fault(settled: tuple[World, PostgresPlace]) -> None:
    """A word that isn't found at home was not looked for."""
    world, place = settled

    @asynccontextmanager
    async def blind() -> AsyncIterator[roles.EveryRow]:
        async with roles._connected(place.address) as connection:
            yield roles.EveryRow(connection)

    tally = Tally()
    await searching.strays(world, Whole(("Postgres",), blind, lambda _: False), [], tally)
    assert len(tally.faults) == 3
    assert "no row of t_proof_one/dev holds its word" in tally.faults[0]
