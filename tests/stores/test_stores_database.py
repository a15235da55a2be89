"""What every database promises: snapshots, rollback, one writer a scope, and works that survive whatever happens."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from engines import Embedded, Engine, all_free
from side_process import at, connected, place_of

from nexus_graph.scope.errors import Conflict, Unavailable
from nexus_graph.stores.database.base import Bound, Connection, Database, Transaction
from nexus_graph.stores.statement import Value

KEY, OTHER = ("t_acme", "dev"), ("t_globex", "dev")
ADD = "insert into follower_checkpoints (tenant_id, env, follower, seq) values ('t_acme', 'dev', :id, 0)"
IDS = "select follower from follower_checkpoints order by follower"


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path, empty_database: bytes) -> AsyncIterator[Database]:
    """Each engine, migrated and empty."""
    made: Engine = Embedded(empty_database)
    if request.param == "postgres":
        made = request.getfixturevalue("on_postgres")
    place = made.fresh(tmp_path)
    opened = connected(place)
    await opened.open()
    yield opened
    await opened.close()
    made.discard(place)


async def ids(database: Database) -> list[str]:
    """Every name that a fresh reader sees."""
    async with database.reading(KEY) as connection:
        return [row[0] for row in await connection.rows(IDS, {})]


async def test_readers_see_neither_uncommitted_rows_nor_later_ones(database: Database) -> None:
    """A snapshot stays as it was at its first look while a writer writes and commits."""
    async with database.reading(KEY) as reader:
        assert await reader.rows(IDS, {}) == []
        async with database.writing(KEY) as writer:
            await writer.rows(ADD, {"id": "a"})
            assert len(await writer.rows(IDS, {})) == 1
            assert await ids(database) == []
        assert await reader.rows(IDS, {}) == []
    assert await ids(database) == ["a"]


async def test_a_reader_cannot_write(database: Database) -> None:
    """The reading connections are read-only in the database itself."""
    async with database.reading(KEY) as connection:
        with pytest.raises(Unavailable):
            await connection.rows(ADD, {"id": "a"})


async def test_an_exception_rolls_everything_back(database: Database) -> None:
    """Rows written before the failure are gone, and the next work is not disturbed."""

    async def fail() -> None:
        async with database.writing(KEY) as writer:
            await writer.rows(ADD, {"id": "a"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.writing(KEY) as writer:
        await writer.rows(ADD, {"id": "b"})
    assert await ids(database) == ["b"]


async def test_cancelling_at_any_await_leaves_all_or_nothing(database: Database) -> None:
    """Works of two rows, cancelled after a random number of steps: pairs only, and the writer goes on."""
    chance = random.Random(11)  # noqa: S311 - a repeatable one

    async def pair(place: int) -> None:
        async with database.writing(KEY) as writer:
            await writer.rows(ADD, {"id": f"{place:03}a"})
            await asyncio.sleep(0)
            await writer.rows(ADD, {"id": f"{place:03}b"})

    outcomes = set()
    for place in range(150):
        task = asyncio.create_task(pair(place))
        for _ in range(chance.randrange(1, 25)):
            await asyncio.sleep(chance.choice((0, 0.0001)))
        task.cancel()
        if chance.random() < 0.5:
            await asyncio.sleep(0)
            task.cancel()  # a second time, while it rolls back or commits
        outcomes.add(type((await asyncio.gather(task, return_exceptions=True))[0]))
        async with database.writing(KEY) as writer:
            await writer.rows(ADD, {"id": f"{place:03}c"})
    kept = await ids(database)
    assert len([name for name in kept if name.endswith("c")]) == 150
    assert [name[:-1] for name in kept if name.endswith("a")] == [name[:-1] for name in kept if name.endswith("b")]
    assert outcomes == {asyncio.CancelledError, type(None)}


async def test_cancelled_readers_give_their_connections_back(database: Database) -> None:
    """Readers cancelled while waiting for, opening and using a connection leave all of them usable."""

    async def look() -> None:
        async with database.reading(KEY) as connection:
            await connection.rows(IDS, {})
            await asyncio.sleep(0.001)

    for steps in range(40):
        tasks = [asyncio.create_task(look()) for _ in range(9)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await all_free(database)
    async with asyncio.timeout(10):
        await asyncio.gather(*(look() for _ in range(9)))


async def test_a_closed_database_is_unavailable(database: Database) -> None:
    """Reading, writing and waiting for the writer all end in the same clear error."""
    entered, leave = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with database.writing(KEY) as writer:
            entered.set()
            await leave.wait()
            await writer.rows(ADD, {"id": "a"})

    async def late() -> None:
        async with database.writing(KEY):
            pass

    holder = asyncio.create_task(hold())
    await entered.wait()
    closing = asyncio.create_task(database.close())
    waiter = asyncio.create_task(late())
    await asyncio.sleep(0)
    leave.set()
    await asyncio.gather(holder, closing)  # the work under way was allowed to end
    with pytest.raises(Unavailable):
        await waiter
    with pytest.raises(Unavailable):
        await ids(database)
    await database.open()
    assert await ids(database) == ["a"]


async def test_of_many_each_is_whole_or_not_at_all(database: Database) -> None:
    """One that fails takes nothing of its neighbours along, and is told in its place."""

    def adding(*names: str, fails: bool = False) -> Transaction[None]:
        async def add(connection: Connection) -> None:
            for name in names:
                await connection.rows(ADD, {"id": name})
            if fails:
                raise ZeroDivisionError

        return add

    async def elsewhere(connection: Connection) -> None:
        await connection.rows(ADD.replace("t_acme", "t_globex"), {"id": "x"})

    came_to = await database.write_each(
        [(KEY, adding("a", "b")), (KEY, adding("c", fails=True)), (OTHER, elsewhere), (KEY, adding("d"))]
    )
    assert [type(each) for each in came_to] == [type(None), ZeroDivisionError, type(None), type(None)]
    assert [name for name in await ids(database) if name != "x"] == ["a", "b", "d"]


async def test_two_who_read_decide_and_write_do_so_one_after_the_other(database: Database) -> None:
    """Of two processes that count and then add, the second counts what the first added: in a scope there is one."""
    other = at(place_of(database))
    await other.open()

    async def count_and_add(mine: Database, place: int) -> int:
        async with mine.writing(KEY) as connection:
            [found] = await connection.rows("select count(*) as there from follower_checkpoints", {})
            await asyncio.sleep(0.002)
            await connection.rows(ADD, {"id": f"{place:02}"})
            return int(found["there"])

    try:
        counts = await asyncio.gather(*(count_and_add((database, other)[place % 2], place) for place in range(20)))
    finally:
        await other.close()
    assert sorted(counts) == list(range(20))


async def test_what_is_held_by_name_is_held_until_the_end(database: Database) -> None:
    """Two scopes that share something take turns over its name."""
    inside, most = 0, 0

    async def hold(key: tuple[str, str]) -> None:
        nonlocal inside, most
        async with database.writing(key) as connection:
            await connection.hold("members/t_acme")
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(hold(("t_acme", env)) for env in ("dev", "staging", "prod") for _ in range(2)))
    assert (inside, most) == (0, 1)


async def test_a_row_is_read_by_name_and_by_place(database: Database) -> None:
    """The same on every engine; text in the order of its bytes, an empty list holding nothing."""
    async with database.writing(KEY) as writer:
        await writer.many(ADD, [{"id": name} for name in ("b", "B", "ä", "a-b", "ab", "a b")])
        found = await writer.rows("select follower, seq as number, 'a:b' as text from follower_checkpoints", {})
    row = found[0]
    assert (len(row), list(row.keys()), list(row)) == (3, ["follower", "number", "text"], list(dict(row).values()))
    assert (row["number"], row[1], row["text"]) == (0, 0, "a:b")
    assert await ids(database) == ["B", "a b", "a-b", "ab", "b", "ä"]


async def test_ready_tells_of_a_database_that_answers(database: Database) -> None:
    """And of one that is closed."""
    await database.ready()
    await database.close()
    with pytest.raises(Unavailable):
        await database.ready()
    await database.open()


KEEP = (
    "insert into idempotency_keys (tenant_id, env, actor_id, key, request_digest, answer, at) "
    "values ('t_acme', 'dev', :actor, :key, :digest, :answer, :at)"
)
KEPT = "select actor_id, key, request_digest, answer, at from idempotency_keys order by key"


async def test_statements_of_a_batch_keep_every_value_as_it_is(database: Database) -> None:
    """Whatever text holds, it is text: SQL, parameters, escapes; and the largest number comes back."""
    texts = [
        "it's",
        "x'); select 1 --",
        r"\x00\\",
        "$1 :key ::text %s",
        "äß漢\U0001f642\u2028",
        "a\nb\r\n",
        '"{}"',
        "E''",
    ]
    keys = [("actor", f"{place}", text, text, place - 4) for place, text in enumerate(texts)]
    keys.append(("actor", "9", "", "", 2**63 - 1))
    names = ("actor", "key", "digest", "answer", "at")
    sets: list[dict[str, Value]] = [dict(zip(names, values, strict=True)) for values in keys]
    assert await database.batch(KEY, [(KEEP, values) for values in sets[:4]]) == 1
    async with database.writing(KEY) as connection:
        assert await connection.batch([(KEEP, values) for values in sets[4:]]) == 1
    async with database.reading(KEY) as connection:
        assert [tuple(row) for row in await connection.rows(KEPT, {})] == keys


async def test_a_batch_is_whole_or_not_at_all(database: Database) -> None:
    """What fails in the end takes back the beginning; how many rows the last statement changed is told."""
    some: list[Bound] = [(ADD, {"id": "a"}), (ADD, {"id": "b"})]
    with pytest.raises((Conflict, sqlite3.IntegrityError)):
        await database.batch(KEY, [*some, (ADD, {"id": "a"})])
    assert await ids(database) == []
    move = "update follower_checkpoints set seq = :seq where tenant_id = 't_acme' and seq = :expected"
    assert await database.batch(KEY, [*some, (move, {"seq": 5, "expected": 0})]) == 2
    assert await database.batch(KEY, [(ADD, {"id": "c"}), (move, {"seq": 5, "expected": 7})]) == 0
    assert await ids(database) == ["a", "b", "c"]


async def test_a_batch_waits_for_its_turn(database: Database) -> None:
    """While somebody writes in the scope, nobody else does."""
    async with database.writing(KEY) as connection:
        waiting = asyncio.create_task(database.batch(KEY, [(ADD, {"id": "b"})]))
        await asyncio.sleep(0.1)
        await connection.rows(ADD, {"id": "a"})
        assert len(await connection.rows(IDS, {})) == 1
        assert not waiting.done()
    assert await waiting == 1
    assert await ids(database) == ["a", "b"]
