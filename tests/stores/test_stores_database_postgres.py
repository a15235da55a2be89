"""Postgres: what is its own, beside the promises of the port. The walls are tried without any filter of ours."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, patch

import asyncpg
import pytest
from engines import OnPostgres, all_free
from servers.pgbouncer import pgbouncer
from servers.postgres import APPLICATION, OWNER, PostgresServer, postgres_server
from servers.relay import Relay, relay
from side_process import connected
from sqlalchemy.dialects import postgresql

from nexus_graph.scope.clock import system_clock
from nexus_graph.scope.errors import ConfigurationError, Conflict, Unavailable
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.blobs.files import FileBlobs
from nexus_graph.stores.database import begun
from nexus_graph.stores.database import postgres as on_postgres_module
from nexus_graph.stores.database.base import Connection, Entangled, Transaction
from nexus_graph.stores.database.place import PostgresPlace
from nexus_graph.stores.database.placeholders import numbered
from nexus_graph.stores.database.postgres import PostgresDatabase
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.migrations import migrate, newest, require_newest
from nexus_graph.stores.migrations.walls import DOORS
from nexus_graph.stores.signals.local import LocalSignals
from nexus_graph.stores.tables import schema_of_record
from nexus_graph.stores.work import Stores, Verb, Work

ACME, PROD, GLOBEX = ("t_acme", "dev"), ("t_acme", "prod"), ("t_globex", "dev")
CUT = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
POSTGRES_PAGE = Path(__file__).parents[2] / "docs" / "postgres.md"
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
    columns = schema_of_record().tables[table].columns
    values = {column.name: made_up[column.type.compile(DIALECT).split()[0]] for column in columns}
    values["tenant_id"] = f"'{key[0]}'"
    if "env" in values:
        values["env"] = f"'{key[1]}'"
    return f"insert into {table} ({', '.join(values)}) values ({', '.join(values.values())})"  # noqa: S608


async def filled(place: PostgresPlace) -> None:
    """A row of two tenants, and of two envs of one, in every table; foreign keys are not looked at."""
    superuser = await asyncpg.connect(place.address.replace(f"//{APPLICATION}@", "//postgres@"))
    await superuser.execute("set session_replication_role = replica")
    for table in schema_of_record().tables:
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
    assert len(schema_of_record().tables) > 30
    for table in [table.name for table in reversed(schema_of_record().sorted_tables)]:  # foreign keys first
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
    for table in schema_of_record().tables:
        found = await bare.fetch(f"select tenant_id from {table}")  # noqa: S608
        assert {row[0] for row in found} <= ({"t_acme"} if table in TENANT_WIDE and "acme" in begin else set()), table
    await bare.close()


async def test_who_crosses_tenants_does_little(place: PostgresPlace, database: PostgresDatabase) -> None:
    """The doors reach the tables that are listed, in the ways that are listed, and no other."""
    await filled(place)
    for table in schema_of_record().tables:
        rights = DOORS.get(table, "")
        for right, sql in {
            "select": f"select tenant_id from {table} limit 1",  # noqa: S608
            "select ": f"select * from {table} limit 1",  # noqa: S608
            "update": f"update {table} set tenant_id = 't_other' where false",  # noqa: S608
            "delete": f"delete from {table} where false",  # noqa: S608
        }.items():
            try:
                async with database.writing(None) as connection:
                    await connection.rows(sql, {})
                may = True
            except asyncpg.InsufficientPrivilegeError:
                may = False
            named = right == "select " and "(" in rights  # some columns, and not the others
            assert may == (right.strip() in rights and not named), (table, right)
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


async def test_a_deadlock_is_done_again_as_a_whole(database: PostgresDatabase) -> None:
    """Two wait for what the other holds: the server takes one back, which is done again; both are there, once."""
    met, attempts = asyncio.Barrier(2), Counter[int]()

    def crossing(number: int, *names: str) -> Transaction[None]:
        async def deed(connection: Connection) -> None:
            attempts[number] += 1
            await connection.rows(inserted("idempotency_keys", (ACME, GLOBEX)[number], number), {})
            await connection.hold(names[0])
            if attempts[number] == 1:
                await met.wait()
            await connection.hold(names[1])

        return deed

    first, second = crossing(0, "x", "y"), crossing(1, "y", "x")
    await asyncio.gather(database.write(ACME, first), database.write(GLOBEX, second))
    assert sorted(attempts.values()) == [1, 2]
    for key in (ACME, GLOBEX):
        async with database.reading(key) as connection:
            [row] = await connection.rows("select count(*) from idempotency_keys", {})
            assert row[0] == 1


async def test_what_only_its_caller_could_do_again_is_a_conflict(database: PostgresDatabase) -> None:
    """A deadlock of transactions that are no function: one is told."""
    met = asyncio.Barrier(2)

    async def cross(key: tuple[str, str], *names: str) -> None:
        async with database.writing(key) as connection:
            await connection.hold(names[0])
            await met.wait()
            await connection.hold(names[1])

    came_to = await asyncio.gather(cross(ACME, "x", "y"), cross(GLOBEX, "y", "x"), return_exceptions=True)
    assert sorted(type(each).__name__ for each in came_to) == ["Entangled", "NoneType"]
    assert [each.code for each in came_to if isinstance(each, Conflict)] == ["CONFLICT"]


async def test_a_read_in_the_way_of_a_migration_is_told_to_try_again(
    place: PostgresPlace, database: PostgresDatabase
) -> None:
    """Each waits for a table that the other holds, and the server takes the read back: no conflict of the caller's."""
    migrating = await asyncpg.connect(place.address.replace(f"//{APPLICATION}@", "//postgres@"))
    waiting: list[asyncio.Task[str]] = []

    async def read() -> None:
        async with database.reading(ACME) as connection:
            await connection.rows("select count(*) from members", {})
            waiting.append(asyncio.create_task(migrating.execute("lock table members in access exclusive mode")))
            await asyncio.sleep(0.3)
            await connection.rows("select count(*) from cards", {})

    async with migrating.transaction():
        await migrating.execute("set local deadlock_timeout = '20s'")  # so that it is the read that finds out
        await migrating.execute("lock table cards in access exclusive mode")
        with pytest.raises(Unavailable, match="busy"):
            await read()
        await waiting[0]
    await migrating.close()


async def test_verbs_that_were_entangled_are_done_again_together(database: PostgresDatabase, tmp_path: Path) -> None:
    """Each stands once in what they came to, although the first attempt had got through some."""
    blobs = FileBlobs(tmp_path, secret="s" * 32, address="http://127.0.0.1:1", clock=system_clock)
    stores = Stores(database, blobs, LocalSignals())
    scope, attempts = Scope.system("t_acme", Env.DEV, "test"), Counter[str]()
    committed: list[str] = []

    async def tell(name: str, work: Work) -> str:
        attempts[name] += 1
        work.after(partial(committed.append, name))
        if name == "b" and attempts[name] == 1:
            raise Entangled("Another was faster.")
        work.record(Event("member.changed", "member", name, redact({}), Handling((), train_ok=False)))
        return name

    verbs = [Verb(partial(tell, name)) for name in "abc"]
    assert await stores.works(scope, RunKind.ADMIN, verbs) == ["a", "b", "c"]
    assert attempts == {"a": 2, "b": 2, "c": 1}
    assert committed == ["a", "b", "c"]
    async with stores.read(scope) as read:
        assert await read.verify_journal() == (3, None)


async def test_a_cut_network_is_noticed(place: PostgresPlace, postgres: PostgresServer) -> None:
    """Before a work, amid it, and before its commit: Unavailable each time, and all is well once it heals."""
    async with relay(postgres.port) as wire:
        address = place.address.replace(f":{postgres.port}/", f":{wire.port}/")
        database = PostgresDatabase(replace(place, address=address, connections=2, seconds=0.3))
        await database.open()
        for moment in range(3):
            with pytest.raises(Unavailable, match=r"does not answer|did not say"):
                await _cut_amid(database, wire, moment)
            with pytest.raises(Unavailable):
                await database.ready()
            wire.heal()
            await _until_ready(database)
            await all_free(database)
        async with database.writing(ACME) as connection:  # no lock is left behind
            assert {row[0] for row in await connection.rows("select key from idempotency_keys", {})} <= {"x1", "x2"}
        await database.close()


async def _cut_amid(database: PostgresDatabase, wire: Relay, moment: int) -> None:
    if moment == 0:
        wire.cut()
    async with asyncio.timeout(20), database.writing(ACME) as connection:
        if moment == 1:
            wire.cut()
        await connection.rows(inserted("idempotency_keys", ACME, moment), {})
        if moment == 2:
            wire.cut()


async def test_a_connection_that_the_driver_gave_up_is_lost(database: PostgresDatabase) -> None:
    """It does so in the background, when it can't cancel a statement; the work that holds it finds out."""

    async def work() -> None:
        async with database.writing(ACME) as connection:
            await connection.rows(inserted("idempotency_keys", ACME), {})
            database._pool._holders[-1]._con.terminate()
            await connection.rows("select 1", {})

    with pytest.raises(Unavailable, match="lost"):
        await work()
    await database.ready()
    await all_free(database)


async def test_an_answer_to_commit_that_never_comes_is_told(place: PostgresPlace, postgres: PostgresServer) -> None:
    """It was kept, or it was not: the message says that this is not known, and the connection is not used again."""
    async with relay(postgres.port) as wire:
        address = place.address.replace(f":{postgres.port}/", f":{wire.port}/")
        database = PostgresDatabase(replace(place, address=address, seconds=0.3))
        await database.open()

        async def commits() -> None:
            async with asyncio.timeout(20), database.writing(ACME) as connection:
                await connection.rows(inserted("idempotency_keys", ACME), {})
                wire.cut()

        with pytest.raises(Unavailable, match="did not say whether the change was kept") as told:
            await commits()
        assert told.value.hint is not None
        assert "idempotency key" in told.value.hint
        wire.heal()
        await _until_ready(database)
        await database.close()


async def test_a_process_that_is_gone_holds_nothing_up(place: PostgresPlace, postgres: PostgresServer) -> None:
    """It stood amid a work when the network was cut for good: the server takes back what it held by itself."""
    async with relay(postgres.port) as wire:
        address = place.address.replace(f":{postgres.port}/", f":{wire.port}/")
        gone, here = PostgresDatabase(replace(place, address=address, seconds=0.3)), PostgresDatabase(place)
        await gone.open()
        await here.open()
        with pytest.raises(Unavailable):
            await _cut_amid(gone, wire, 1)
        async with here.writing(ACME) as connection:  # waits for it
            assert await connection.rows("select key from idempotency_keys", {}) == []
        await here.close()
        wire.heal()
        await gone.close()


async def test_a_pooler_that_keeps_no_statements_is_refused_at_the_start(
    place: PostgresPlace, postgres: PostgresServer
) -> None:
    """With the setting that says so; and amid works, where one comes later, too."""
    folder = Path(tempfile.mkdtemp(prefix="nexus-pooler-"))
    try:
        folder.chmod(0o755)
        with pgbouncer(postgres, folder) as port:
            pooled = replace(place, address=place.address.replace(f":{postgres.port}/", f":{port}/"))
            database = PostgresDatabase(pooled)
            with pytest.raises(ConfigurationError, match="NEXUS_POSTGRES_PREPARED=false"):
                await database.open()
            with pytest.raises(Unavailable, match="closed"):
                await database.ready()
            with patch.object(on_postgres_module, "require_kept", AsyncMock()):  # it was not there yet
                databases = [PostgresDatabase(pooled) for _ in range(2)]
                for each in databases:
                    await each.open()

            async def go_on() -> None:
                async with asyncio.timeout(20):
                    while True:
                        await asyncio.gather(*(each.ready() for each in databases))

            with pytest.raises(Unavailable, match="lost a prepared statement") as told:
                await go_on()
            assert told.value.hint == "Set NEXUS_POSTGRES_PREPARED=false."
            for each in databases:
                await each.close()
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
            for key in (ACME, GLOBEX, PROD):
                touched = await pooled[1].batch(key, [("update idempotency_keys set answer = answer", {})])
                assert touched == (0 if key == PROD else 20)
            async with pooled[0].reading(PROD) as connection:
                assert await seen(connection, "idempotency_keys") == set()
            assert [each._direct for each in pooled] == [False, False]  # so that no read keeps one from others
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


async def test_a_batch_reaches_rows_of_its_own_tenant_and_env_alone(
    place: PostgresPlace, database: PostgresDatabase
) -> None:
    """The wall of the database stands around several statements in one message too, and goes with them."""
    await filled(place)
    for key in (ACME, PROD, GLOBEX):
        assert await database.batch(key, [("update cards set key = key", {}), ("delete from card_labels", {})]) == 1
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.batch(ACME, [("update cards set tenant_id = 't_globex'", {})])
    async with database.reading(ACME) as connection:
        assert await seen(connection, "cards") == {ACME}
    async with database.reading(None) as connection:
        (row,) = await connection.rows("select coalesce(current_setting('nexus.tenant_id', true), '') as whose", {})
        assert row["whose"] == ""


async def test_a_batch_says_what_is_known_of_it(database: PostgresDatabase) -> None:
    """Who waits too long for a lock has changed nothing, and is told that much."""
    impatient = PostgresDatabase(replace(database.place, seconds=0.3))
    await impatient.open()
    async with database.writing(ACME):
        with pytest.raises(Unavailable, match="busy"):
            await impatient.batch(ACME, [(inserted("idempotency_keys", ACME), {})])
    assert await impatient.batch(ACME, [(inserted("idempotency_keys", ACME), {})]) == 1
    await all_free(impatient)
    await impatient.close()


async def test_an_answer_to_a_batch_that_never_comes_is_told(place: PostgresPlace, postgres: PostgresServer) -> None:
    """It was kept, or it was not: that is said, and the connection is not used again."""
    async with relay(postgres.port) as wire:
        address = place.address.replace(f":{postgres.port}/", f":{wire.port}/")
        database = PostgresDatabase(replace(place, address=address, seconds=0.3))
        await database.open()
        await database.ready()
        await all_free(database)
        wire.cut()
        with pytest.raises(Unavailable, match="did not say whether the change was kept"):
            await database.batch(ACME, [(inserted("idempotency_keys", ACME), {})])
        wire.heal()
        await _until_ready(database)
        await database.close()


@pytest.mark.servers  # one of its own
async def test_what_a_crash_leaves_of_an_erasure_is_found_as_the_page_says() -> None:
    """A server that is killed while it writes a table anew leaves the copy: no table names it, nor does it go away."""
    (statements,) = re.findall(r"```sql\ncheckpoint;\n(.*?)```", POSTGRES_PAGE.read_text("utf-8"), re.DOTALL)
    folder = Path(tempfile.mkdtemp(prefix="nexus-crash-"))
    folder.chmod(0o755)
    try:
        with postgres_server(folder) as server:
            server.create("crashed")
            before = await _unnamed(server, statements)
            assert before == set()
            await _killed_while_writing_anew(server, folder)
            left = await _unnamed(server, statements)
            held = [path.read_bytes() for name in left for path in folder.glob(f"**/{name}")]
            assert any(b"must be forgotten" in each for each in held), left
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _unnamed(server: PostgresServer, statement: str) -> set[str]:
    superuser = await asyncpg.connect(server.address("crashed", "postgres"))
    await superuser.execute("checkpoint")
    found = {row[0] for row in await superuser.fetch(statement)}
    await superuser.close()
    return found


async def _killed_while_writing_anew(server: PostgresServer, folder: Path) -> None:
    superuser = await asyncpg.connect(server.address("crashed", "postgres"))
    rows = "select 'must be forgotten' || number as body from generate_series(1, 2000000) number"
    await superuser.execute(f"create table texts as {rows}")
    path = await superuser.fetchval("select pg_relation_filepath('texts')")
    (table,) = folder.glob(f"**/{path}")
    for _ in range(10):
        known = {*table.parent.iterdir()}
        writing = asyncio.create_task(superuser.execute("vacuum full texts"))
        while not writing.done():
            await asyncio.sleep(0.002)
            if any(each.stat().st_size > 2**20 for each in {*table.parent.iterdir()} - known):
                server.kill()
                await asyncio.gather(writing, return_exceptions=True)
                return server.start()
    raise AssertionError("The table was written anew before the server could be killed.")


async def test_entries_go_on_where_the_journal_is_known_to_end(
    database: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message each; where another process was faster nothing is changed by it, and the head is asked for."""
    other = PostgresDatabase(database.place)
    await other.open()
    blobs = FileBlobs(tmp_path, secret="s" * 32, address="http://127.0.0.1:1", clock=system_clock)
    one, two = Stores(database, blobs, LocalSignals()), Stores(other, blobs, LocalSignals())
    scope, asked = Scope.system("t_acme", Env.DEV, "test"), Counter[str]()
    event = Event("card.read", "card", "card_1", redact({}), Handling((), train_ok=False))
    for name, each in (("one", database), ("two", other)):
        monkeypatch.setattr(each, "write_each", partial(_counted, asked, name, each.write_each))
    for stores, looks in ((one, 1), (one, 1), (one, 1), (two, 2), (two, 2), (one, 3), (one, 3), (two, 4)):
        await stores.record(scope, RunKind.READ, event)
        assert asked.total() == looks
    async with one.work(scope, RunKind.ADMIN) as work:
        work.record(event)
    await one.record(replace(scope, request_id="another"), RunKind.READ, event)
    assert asked.total() == 4
    await asyncio.gather(*(stores.record(scope, RunKind.READ, event) for stores in (one, two) * 20))
    async with two.read(scope) as read:
        assert await read.verify_journal() == (50, None)
    await other.close()


async def _counted(asked: Counter[str], name: str, deed: Callable[..., Awaitable[Any]], *given: Any) -> Any:
    if given[0]:
        asked[name] += 1
    return await deed(*given)


BEGUN = "select pg_backend_pid() as pid, cast(extract(epoch from transaction_timestamp()) * 1000000 as bigint) as at"
OPEN = "select count(*) from pg_stat_activity where state = 'idle in transaction' and datname = current_database()"


async def asked_by_superuser(place: PostgresPlace, sql: str) -> Any:
    """The first value that a statement answers with."""
    superuser = await asyncpg.connect(place.address.replace(f"//{APPLICATION}@", "//postgres@"))
    try:
        return await superuser.fetchval(sql)
    finally:
        await superuser.close()


async def begun_ahead(database: PostgresDatabase, key: tuple[str, str]) -> int:
    """Read; the process of the server where the next read of the same tenant and env has begun by now."""
    assert database._direct
    async with database.reading(key) as connection:
        ((pid, _),) = await connection.rows(BEGUN, {})
    await asyncio.gather(*database._ending)
    return int(pid)


async def test_a_read_that_was_begun_ahead_sees_what_was_committed_since(database: PostgresDatabase) -> None:
    """Its transaction is older than the commit, and its snapshot is not."""
    pid = await begun_ahead(database, ACME)
    async with database.writing(ACME) as connection:
        await connection.rows(inserted("idempotency_keys", ACME), {})
        ((_, written),) = await connection.rows(BEGUN, {})
    async with database.reading(ACME) as connection:
        ((same, begun),) = await connection.rows(BEGUN, {})
        assert (same, begun < written) == (pid, True)
        assert await seen(connection, "idempotency_keys") == {ACME}
        async with database.writing(ACME) as other:
            await other.rows(inserted("idempotency_keys", ACME, 2), {})
        ((number,),) = await connection.rows("select count(*) from idempotency_keys", {})
        assert number == 1  # one state from the first statement on


async def test_what_was_begun_ahead_is_of_one_tenant_and_env(place: PostgresPlace, database: PostgresDatabase) -> None:
    """Another tenant, and another env, get another one, and their own rows."""
    await filled(place)
    pid = await begun_ahead(database, ACME)
    for key in (GLOBEX, PROD):
        assert await begun_ahead(database, key) != pid
        async with database.reading(key) as connection:
            assert await seen(connection, "cards") == {key}
    async with database.reading(ACME) as connection:
        assert await seen(connection, "cards") == {ACME}


async def test_what_was_begun_ahead_is_in_nobodys_way(place: PostgresPlace) -> None:
    """Whoever needs the connection gets it at once; whoever has failed begins anew; nothing stays for long."""
    database = PostgresDatabase(replace(place, connections=4, seconds=0.5))
    await database.open()
    for key in (ACME, PROD, GLOBEX):
        await begun_ahead(database, key)
    assert await asked_by_superuser(place, OPEN) == 2  # half of the connections
    async with AsyncExitStack() as held:
        for _ in range(4):
            await held.enter_async_context(database.reading(("t_other", "dev")))
    with pytest.raises(asyncpg.UndefinedTableError):
        async with database.reading(ACME) as connection:
            await connection.rows("select 1 from nowhere", {})
    await begun_ahead(database, ACME)
    await asyncio.sleep(begun.SECONDS + 0.2)
    await asyncio.gather(*database._ending)
    assert await asked_by_superuser(place, OPEN) == 0
    await begun_ahead(database, ACME)
    await database.close()
    assert await asked_by_superuser(place, OPEN) == 0


async def test_what_was_begun_ahead_and_cut_off_is_begun_anew(place: PostgresPlace) -> None:
    """The server let go of it while nobody asked: the next read does not notice."""
    database = PostgresDatabase(place)
    await database.open()
    pid = await begun_ahead(database, ACME)
    assert await asked_by_superuser(place, f"select pg_terminate_backend({pid}, 2000)")
    await asyncio.sleep(0.1)  # the word of it is on its way to us
    assert await begun_ahead(database, ACME) != pid
    await database.close()
