"""Postgres: what is its own, beside the promises of the port. The walls are tried without any filter of ours."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from engines import OnPostgres, connected
from servers.pgbouncer import pgbouncer
from servers.postgres import APPLICATION, OWNER, PostgresServer, postgres_server
from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel

from nexus_graph.scope.errors import ConfigurationError, Conflict, Unavailable
from nexus_graph.stores.database.base import Connection
from nexus_graph.stores.database.place import PostgresPlace
from nexus_graph.stores.database.placeholders import numbered
from nexus_graph.stores.database.postgres import PostgresDatabase
from nexus_graph.stores.migrations import migrate, newest, require_newest
from nexus_graph.stores.migrations.walls import DOORS

ACME, PROD, GLOBEX = ("t_acme", "dev"), ("t_acme", "prod"), ("t_globex", "dev")
CUT = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
TENANT_WIDE = {"tenants", "members"}


@pytest.fixture
def place(on_postgres: OnPostgres, tmp_path: Path) -> Iterator[PostgresPlace]:
    """A migrated, empty database."""
    made = on_postgres.fresh(tmp_path)
    yield made
    on_postgres.discard(made)


@pytest.fixture
async def database(place: PostgresPlace) -> AsyncIterator[PostgresDatabase]:
    """It, opened."""
    opened = PostgresDatabase(place)
    await opened.open()
    yield opened
    await opened.close()


def inserted(table: str, key: tuple[str, str], number: int = 1) -> str:
    """A row of any table, made up from the types of its columns."""
    made_up = {"TEXT": f"'x{number}'", "BIGINT": str(number), "BOOLEAN": "true", "FLOAT": "1.5", "BYTEA": "'x'::bytea"}
    columns = SQLModel.metadata.tables[table].columns
    values = {column.name: made_up[column.type.compile(DIALECT).split()[0]] for column in columns}
    values["tenant_id"] = f"'{key[0]}'"
    if "env" in values:
        values["env"] = f"'{key[1]}'"
    return f"insert into {table} ({', '.join(values)}) values ({', '.join(values.values())})"  # noqa: S608


async def filled(place: PostgresPlace) -> None:
    """A row of two tenants, and of two envs of one, in every table; foreign keys are not looked at."""
    superuser = await asyncpg.connect(place.address.replace(f"//{APPLICATION}@", "//postgres@"))
    await superuser.execute("set session_replication_role = replica")
    for table in SQLModel.metadata.tables:
        for key in (ACME, GLOBEX) if table in TENANT_WIDE else (ACME, PROD, GLOBEX):
            await superuser.execute(inserted(table, key))
    await superuser.close()


async def seen(connection: Connection, table: str) -> set[tuple[str, str]]:
    """Whose rows a statement without any filter finds."""
    env = "'dev'" if table in TENANT_WIDE else "env"
    rows = await connection.rows(f"select tenant_id, {env} from {table}", {})  # noqa: S608 - our own schema
    return {(row[0], row[1]) for row in rows}


async def test_the_database_alone_holds_the_wall(place: PostgresPlace, database: PostgresDatabase) -> None:
    """Reading, changing and deleting without a filter reach rows of the transaction's own tenant and env alone."""
    await filled(place)
    assert len(SQLModel.metadata.tables) > 30
    for table in [table.name for table in reversed(SQLModel.metadata.sorted_tables)]:  # foreign keys first
        async with database.reading(ACME) as connection:
            assert await seen(connection, table) == {ACME}, table
        async with database.writing(GLOBEX) as connection:
            await connection.rows(f"update {table} set tenant_id = tenant_id", {})  # noqa: S608
            gone = await connection.rows(f"delete from {table} returning tenant_id", {})  # noqa: S608
            assert {row[0] for row in gone} <= {"t_globex"}, table
            assert len(gone) == 1, table
        async with database.reading(ACME) as connection:
            assert await seen(connection, table) == {ACME}, table
    async with database.reading(PROD) as connection:
        assert await seen(connection, "cards") == {PROD}


async def test_a_row_of_another_place_is_refused(database: PostgresDatabase) -> None:
    """Neither made there, nor moved there."""
    for key in (PROD, GLOBEX):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.writing(ACME) as connection:
                await connection.rows(inserted("idempotency_keys", key), {})
    async with database.writing(ACME) as connection:
        await connection.rows(inserted("idempotency_keys", ACME), {})
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.writing(ACME) as connection:
            await connection.rows("update idempotency_keys set env = 'prod'", {})


@pytest.mark.parametrize(
    "begin", ["select 1", "set nexus.tenant_id = ''; set nexus.env = ''", "set nexus.tenant_id = t_acme"]
)
async def test_who_names_no_tenant_sees_nothing(place: PostgresPlace, begin: str) -> None:
    """Nor does who names one without its env; but for what all envs of a tenant share."""
    await filled(place)
    bare = await asyncpg.connect(place.address)
    await bare.execute(begin)
    for table in SQLModel.metadata.tables:
        found = await bare.fetch(f"select tenant_id from {table}")  # noqa: S608
        assert {row[0] for row in found} <= ({"t_acme"} if table in TENANT_WIDE and "acme" in begin else set()), table
    await bare.close()


async def test_who_crosses_tenants_does_little(place: PostgresPlace, database: PostgresDatabase) -> None:
    """The doors reach the tables that are listed, in the ways that are listed, and no other."""
    await filled(place)
    for table in SQLModel.metadata.tables:
        rights = DOORS.get(table, "")
        for right, sql in {
            "select": f"select tenant_id from {table} limit 1",  # noqa: S608
            "update": f"update {table} set tenant_id = 't_other' where false",  # noqa: S608
            "delete": f"delete from {table} where false",  # noqa: S608
        }.items():
            try:
                async with database.writing(None) as connection:
                    await connection.rows(sql, {})
                may = True
            except asyncpg.InsufficientPrivilegeError:
                may = False
            assert may == (right in rights), (table, right)
    async with database.reading(None) as connection:
        assert await seen(connection, "journal_heads") == {ACME, PROD, GLOBEX}


async def test_the_application_may_not_change_the_walls(place: PostgresPlace) -> None:
    """It owns nothing, and can neither truncate, nor alter, nor switch the walls off."""
    await filled(place)
    bare = await asyncpg.connect(place.address)
    for sql in (
        "truncate cards",
        "alter table cards disable row level security",
        "drop policy wall on cards",
        "create table mine (a int)",
        "set row_security = off; select * from cards",
        f"set role {OWNER}",
        "set session_replication_role = replica",
    ):
        with pytest.raises(asyncpg.PostgresError):
            await bare.execute(sql)
    await bare.close()


def test_a_role_that_could_pass_the_walls_is_refused(postgres: PostgresServer, place: PostgresPlace) -> None:
    """The superuser, the owner, and whoever may bypass them; each by its name."""
    require_newest(place)
    postgres.sql("drop role if exists bypassing", "create role bypassing login bypassrls")
    for role in ("postgres", OWNER, "bypassing"):
        with pytest.raises(ConfigurationError, match=f"as {role}, who could pass the walls"):
            require_newest(replace(place, address=place.address.replace(APPLICATION, role)))


def test_what_is_missing_is_named(postgres: PostgresServer, place: PostgresPlace) -> None:
    """An empty database, one of an older schema, no owner, no server, no such database."""
    postgres.sql("drop database if exists bare", f"create database bare owner {OWNER}")
    bare = postgres.place("bare")
    with pytest.raises(ConfigurationError, match=r"at schema none.*nexus-graph migrate"):
        require_newest(bare)
    with pytest.raises(ConfigurationError, match="NEXUS_POSTGRES_OWNER is missing"):
        migrate(replace(bare, owner=None))
    with pytest.raises(ConfigurationError, match=r"database can't be used.*nowhere"):
        require_newest(replace(place, address=postgres.address("nowhere", APPLICATION)))
    with pytest.raises(ConfigurationError, match="database can't be used"):
        require_newest(PostgresPlace("postgresql://nobody@127.0.0.1:1/nothing"))
    postgres.sql("drop database bare")


def test_a_database_of_a_newer_version_is_left_alone(postgres: PostgresServer) -> None:
    """Neither started on nor migrated by this one."""
    postgres.sql("drop database if exists newer", f"create database newer owner {OWNER}")
    place = postgres.place("newer")
    migrate(place)
    postgres.sql("update alembic_version set version_num = '9999'", database="newer")
    for deed in (require_newest, migrate):
        with pytest.raises(ConfigurationError, match="at schema 9999, which a newer version"):
            deed(place)
    postgres.sql("drop database newer")


async def test_a_migration_holds_nobody_up_for_long(postgres: PostgresServer, place: PostgresPlace) -> None:
    """Where a table stays in use it gives up, changes nothing, and says so; afterwards it comes through."""
    reader = await asyncpg.connect(postgres.address(place.address.rpartition("/")[2], "postgres"))
    async with reader.transaction():
        await reader.execute("lock table cards in access share mode")
        with pytest.raises(ConfigurationError, match="in use for more than 5 seconds, and nothing was changed"):
            await asyncio.to_thread(migrate, place)
    await reader.close()
    assert await asyncio.to_thread(migrate, place) == newest()


async def test_of_several_who_migrate_one_does(postgres: PostgresServer) -> None:
    """The others wait and find it done."""
    postgres.sql("drop database if exists raced", f"create database raced owner {OWNER}")
    place = postgres.place("raced")
    assert await asyncio.gather(*(asyncio.to_thread(migrate, place) for _ in range(4))) == [newest()] * 4
    require_newest(place)
    postgres.sql("drop database raced")


async def test_what_was_deleted_is_in_no_file(place: PostgresPlace, postgres: PostgresServer) -> None:
    """What was deleted or changed leaves no byte in the files of the database, nor in the planner's samples.

    Postgres 15 keeps most common values and bounds of histograms of every analyzed column in pg_statistic, as they were
    when it last looked, whatever became of the rows.
    """
    database = connected(place)
    await database.open()
    async with database.writing(ACME) as connection:
        for number in range(500):
            await connection.rows(inserted("idempotency_keys", ACME, number), {})
        await connection.rows("update idempotency_keys set answer = 'a-canary-' || key where at % 3 = 0", {})
    postgres.sql("analyze idempotency_keys", database=place.address.rpartition("/")[2])  # samples are kept elsewhere
    async with database.writing(ACME) as connection:
        await connection.rows("delete from idempotency_keys where at % 2 = 0", {})
        await connection.rows("update idempotency_keys set answer = ''", {})

    def held() -> int:
        name = place.address.rpartition("/")[2]
        ask = f"select current_setting('data_directory') || '/base/' || oid from pg_database where datname = '{name}'"  # noqa: S608
        folder = Path(postgres.sql("checkpoint", ask))
        return sum(file.read_bytes().count(b"a-canary-") for file in folder.iterdir() if file.is_file())

    assert held() > 0
    await database.forget_deleted()
    assert held() == 0
    with pytest.raises(Unavailable, match="role that owns the tables"):
        await PostgresDatabase(replace(place, owner=None)).forget_deleted()
    await database.close()


async def test_who_was_faster_is_a_conflict_and_who_waits_too_long_is_told(place: PostgresPlace) -> None:
    """A unique key that another took; a lock, and a statement, that take longer than may be waited for."""
    database = PostgresDatabase(replace(place, seconds=0.2))
    await database.open()
    async with database.writing(ACME) as connection:
        await connection.rows(inserted("idempotency_keys", ACME), {})
    with pytest.raises(Conflict, match="faster"):
        async with database.writing(ACME) as connection:
            await connection.rows(inserted("idempotency_keys", ACME), {})
    async with database.writing(ACME):
        with pytest.raises(Unavailable, match="busy"):
            async with database.writing(ACME):
                pass
    with pytest.raises(Unavailable, match="busy"):
        async with database.reading(ACME) as connection:
            await connection.rows("select pg_sleep(2)", {})
    with pytest.raises(asyncpg.UndefinedTableError):
        async with database.reading(ACME) as connection:
            await connection.rows("select 1 from nowhere", {})
    await database.close()


async def test_a_transaction_that_hides_a_failure_is_not_called_committed(database: PostgresDatabase) -> None:
    """The server answers such a COMMIT by rolling back, without an error; that would lose what was acknowledged."""

    async def hides() -> None:
        async with database.writing(ACME) as connection:
            await connection.rows(inserted("idempotency_keys", ACME), {})
            with suppress(Conflict):
                await connection.rows(inserted("idempotency_keys", ACME), {})

    with pytest.raises(RuntimeError, match="statement that failed"):
        await hides()
    async with database.reading(ACME) as connection:
        assert await seen(connection, "idempotency_keys") == set()


async def test_no_free_connection_is_unavailable(place: PostgresPlace) -> None:
    """All are in use for too long; a moment later there is one."""
    database = PostgresDatabase(replace(place, connections=2, seconds=0.2))
    await database.open()
    async with database.reading(ACME), database.reading(GLOBEX):
        with pytest.raises(Unavailable, match="busy"):
            async with database.reading(ACME):
                pass
    await database.ready()
    await database.close()


async def test_a_server_that_goes_and_comes_back(on_postgres: OnPostgres) -> None:
    """Amid a work, between works, and while it is away: Unavailable each time, nothing half done, then all is well."""
    folder = Path(tempfile.mkdtemp(prefix="nexus-postgres-"))
    try:
        with postgres_server(folder) as server:
            made = OnPostgres(server).fresh(folder)
            database = PostgresDatabase(made)
            await database.open()

            async def cut_off() -> None:
                async with database.writing(ACME) as connection:
                    await connection.rows(inserted("idempotency_keys", ACME), {})
                    server.sql(CUT)
                    await connection.rows(inserted("idempotency_keys", ACME, 2), {})

            with pytest.raises(Unavailable):
                await cut_off()
            async with database.reading(ACME) as connection:
                assert await seen(connection, "idempotency_keys") == set()
            server.sql(CUT)
            await _until_ready(database)
            server.stop()
            with pytest.raises(Unavailable):
                await database.ready()
            server.start()
            await _until_ready(database)
            await database.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def test_a_pooler_may_stand_in_between(place: PostgresPlace, postgres: PostgresServer) -> None:
    """It lends its three connections by the transaction: no tenant's settings stay on one, no lock, no statement."""
    folder = Path(tempfile.mkdtemp(prefix="nexus-pooler-"))
    folder.chmod(0o755)
    try:
        with pgbouncer(postgres, folder) as port:
            address = place.address.replace(f":{postgres.port}/", f":{port}/")
            pooled = [PostgresDatabase(replace(place, address=address, prepared=False)) for _ in range(2)]
            for each in pooled:
                await each.open()

            async def count_and_add(number: int) -> int:
                key = (ACME, GLOBEX)[number % 2]
                async with pooled[number // 2 % 2].writing(key) as connection:
                    found = await connection.rows("select tenant_id from idempotency_keys", {})
                    assert {row[0] for row in found} <= {key[0]}
                    await connection.rows(inserted("idempotency_keys", key, number), {})
                    return len(found)

            counts = await asyncio.gather(*(count_and_add(number) for number in range(40)))
            assert sorted(counts) == sorted([*range(20)] * 2)
            async with pooled[0].reading(PROD) as connection:
                assert await seen(connection, "idempotency_keys") == set()
            for each in pooled:
                await each.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _until_ready(database: PostgresDatabase) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                return await database.ready()
            except Unavailable:
                await asyncio.sleep(0.05)


def test_names_become_numbers() -> None:
    """Each name one number, wherever it stands; text and casts stay what they are."""
    assert numbered("select ':a', x::text, :b, :a_1 where b = :b and c like '%\"d\":true%' and e = 'it''s :f'") == (
        "select ':a', x::text, $1, $2 where b = $1 and c like '%\"d\":true%' and e = 'it''s :f'",
        ("b", "a_1"),
    )
