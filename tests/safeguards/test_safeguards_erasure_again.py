"""Erasures of a whole tenant and env, after a crash, after a restore; the ledger and the bytes."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from engines import file_of
from erasure_house import CANARIES, SECRET, STAYS, SUE, House, MakeScope, furnish, make
from shipped import MANIFESTS

from nexus_graph import cards, index
from nexus_graph.safeguards import erasure
from nexus_graph.safeguards.erasure import ErasureState, FileLedger, LedgerEntry, Pseudonyms, executing, naming
from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import ConfigurationError
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Stores
from nexus_graph.tenants import membership

MEMBERS = Statement("select subject from members where tenant_id = :tenant_id", tenant_wide=True)
ENTRIES = Statement("select * from journal_events where tenant_id = :tenant_id and env = :env order by seq")
WORDS = (*CANARIES, *STAYS)


class Crash(Exception):
    """The process is gone."""


@pytest.fixture
async def house(tmp_path: Path, stores: Stores, scope_of: MakeScope) -> House:
    """A furnished house."""
    made = await make(tmp_path, stores, scope_of)
    await furnish(made)
    return made


async def test_the_certificate_proves_it(house: House) -> None:
    """Its digest is in the journal and in the ledger; it counts, names nobody, and the run tells every step."""
    done = await house.erased()
    assert done.certificate is not None
    assert done.certificate_digest == sha256(done.certificate.encode())
    certificate = orjson.loads(done.certificate)
    assert certificate["findings"] == 0
    assert certificate["subject"] == done.subject_digest == Pseudonyms(SECRET).of("t_acme", SUE)
    assert certificate["looked"]["card_versions"] == 3
    assert certificate["erased"] == {"assets": 1, "cards": 3}
    async with house.stores.read(house.owner) as read:
        told = [row for row in await read.rows(ENTRIES) if row["run_id"] == done.run_id]
    assert [told[0]["action"], told[-1]["action"], told[-1]["ends"]] == [
        "erasure.confirmed",
        "erasure.completed",
        "SUCCEEDED",
    ]
    assert done.certificate_digest in told[-1]["payload"]
    (entry,) = await house.eraser.ledger.entries()
    assert entry.certificate == done.certificate_digest
    assert set(entry.cards) == {house.ids[f"canary card {number}"] for number in range(3)}
    assert SUE not in (house.folder / "erasures.jsonl").read_text()


async def test_a_tenant_and_env_is_emptied(house: House, scope_of: MakeScope) -> None:
    """All of it goes, the chain without its content stays; other envs and tenants keep theirs, and so the members."""
    prod = scope_of("t_acme", Role.OWNER, env=Env.PROD)
    globex = scope_of("t_globex", Role.OWNER)
    for scope in (prod, globex):
        text = "---\ncard_type: note\nkey: elsewhere\n---\nelsewhere-words"
        await cards.publish(house.stores, MANIFESTS, scope, text, train_ok=True)
    await house.settle()
    done = await house.erased(subject=None)
    assert [*done.findings] == []
    assert done.state is ErasureState.CERTIFIED
    assert set(house.left(*WORDS)) == {SUE}  # a member of the tenant still
    assert "elsewhere-words" in house.left("elsewhere-words")
    await house.holds()
    async with house.stores.read(house.owner) as read:
        assert len(await read.rows(MEMBERS)) == 3
        entries = await read.rows(ENTRIES)
    before = [row for row in entries if row["actor_id"] == "erased"]
    assert len(before) > 20
    assert {(row["payload"], row["salt"]) for row in before} == {(None, None)}
    found = await index.search(house.stores, house.index, house.owner, "card-words", cards.CardFilter(), 10)
    assert (found.hits, found.complete) == ((), True)
    text = "---\ncard_type: note\nkey: tom-key-0\n---\nsaid anew"
    await cards.publish(house.stores, MANIFESTS, house.tom, text, train_ok=True)
    await house.settle()
    found = await index.search(house.stores, house.index, house.owner, "said anew", cards.CardFilter(), 10)
    assert len(found.hits) == 1
    await house.holds()


async def test_the_last_env_takes_the_directory_along(house: House) -> None:
    """With nothing left anywhere of a tenant, its members and its name go too."""
    done = await house.erased(subject=None)
    assert done.state is ErasureState.CERTIFIED
    assert house.left(*WORDS, "owner@t_acme") == {}
    async with house.stores.read(house.owner) as read:
        assert await read.rows(MEMBERS) == []


async def test_a_crash_anywhere_ends_in_a_certificate(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the process was doing, the next one begins where it can, and all that was to go is gone."""
    planned = await house.plan()
    await erasure.confirm(house.stores, house.eraser, house.owner, planned.erasure_id, planned.digest)
    system = Scope.system("t_acme", Env.DEV, "follower:erasures")

    async def crash(*_: Any, **__: Any) -> None:
        raise Crash

    async def append(self: FileLedger, entry: LedgerEntry) -> None:
        self._append(entry)
        raise Crash

    def crashes_in(name: str) -> House:
        steps = tuple(replace(step, erase=crash) if step.name == name else step for step in house.eraser.steps)
        return replace(house, eraser=replace(house.eraser, steps=steps))

    async def dies(dying: House = house) -> None:
        with pytest.raises(Crash):
            await executing.execute(dying.stores, dying.eraser, system, planned.erasure_id)

    for name in ("tenants", "packs", "cards", "assets"):
        await dies(crashes_in(name))
    points: list[tuple[Any, str, Callable[..., Any]]] = [
        (naming, "erase_names", crash),
        (executing, "rescan", crash),
        (type(house.stores.database), "forget_deleted", crash),
        (FileLedger, "append", append),
    ]
    for place, name, deed in points:
        with monkeypatch.context() as patch:
            patch.setattr(place, name, deed)
            await dies()
    await erasure.require_agreement(house.stores, house.eraser.ledger)  # the database knows of it
    await house.erase()
    done = await house.found(planned.erasure_id)
    assert done.state is ErasureState.CERTIFIED
    assert len(await house.eraser.ledger.entries()) == 1
    assert house.left(*CANARIES) == {}
    await house.holds()


async def test_what_comes_between_plan_and_deed_goes_too(house: House) -> None:
    """The state is looked at again once nobody comes in any more."""
    planned = await house.plan()
    await erasure.confirm(house.stores, house.eraser, house.owner, planned.erasure_id, planned.digest)
    text = "---\ncard_type: note\nkey: canary-late\n---\nlate-words"
    await cards.publish(house.stores, MANIFESTS, house.sue, text, train_ok=True)
    await house.erase()
    assert (await house.found(planned.erasure_id)).state is ErasureState.CERTIFIED
    assert house.left("late-words", SUE) == {}


async def test_a_restore_is_not_used_before_it_is_erased_again(house: House, tmp_path_factory: Any) -> None:
    """The ledger knows what an old copy brings back; a replay erases it once, and not what came later."""
    file_of(house.stores)
    backup = tmp_path_factory.mktemp("backup")
    await house.stores.database.close()
    shutil.copy(house.folder / "nexus.db", backup)
    shutil.copytree(house.folder / "objects", backup / "objects")
    await house.stores.database.open()
    done = await house.erased()
    await erasure.require_agreement(house.stores, house.eraser.ledger)

    await house.stores.database.close()
    shutil.copy(backup / "nexus.db", house.folder)
    shutil.rmtree(house.folder / "objects")
    shutil.copytree(backup / "objects", house.folder / "objects")
    await house.stores.database.open()
    assert set(house.left(*CANARIES)) == set(CANARIES)
    with pytest.raises(ConfigurationError, match=f"{done.erasure_id} of t_acme/dev.*erasure replay"):
        await erasure.require_agreement(house.stores, house.eraser.ledger)
    stranger = replace(house.eraser, pseudonyms=Pseudonyms("another secret"))
    with pytest.raises(ConfigurationError, match="another NEXUS_SIGNING_SECRET"):
        await erasure.replay(house.stores, stranger)
    (replayed,) = await erasure.replay(house.stores, house.eraser)
    assert (replayed.found, replayed.state) == (True, ErasureState.CERTIFIED)
    assert house.left(*CANARIES) == {}
    assert set(house.left(*STAYS)) == set(STAYS)
    await house.holds()
    await erasure.require_agreement(house.stores, house.eraser.ledger)

    system = Scope.system("t_acme", Env.DEV, "test")
    await membership.set_member(house.stores, system, SUE, "member")  # she comes back
    assert await erasure.replay(house.stores, house.eraser) == []
    assert set(house.left(SUE)) == {SUE}


def entry(erasure_id: str) -> LedgerEntry:
    """An entry of nobody."""
    return LedgerEntry(erasure_id, "t_acme", "dev", "SUBJECT", False, "ab", "cd", ("asset_1",), (), "now", "ef")


async def test_the_ledger_keeps_what_is_whole(tmp_path: Path) -> None:
    """An entry is written once; half a line from a power cut is passed over and overwritten; a broken one is named."""
    ledger = FileLedger(tmp_path / "erasures.jsonl")
    assert await ledger.entries() == []
    for erasure_id in ("erasure_1", "erasure_2", "erasure_1"):
        await ledger.append(entry(erasure_id))
    assert await ledger.entries() == [entry("erasure_1"), entry("erasure_2")]
    with ledger.path.open("ab") as file:
        file.write(entry("erasure_3").document()[:-20])
    assert len(await ledger.entries()) == 2
    await ledger.append(entry("erasure_4"))
    assert [one.erasure_id for one in await ledger.entries()] == ["erasure_1", "erasure_2", "erasure_4"]
    ledger.path.write_bytes(b"{}\n")
    with pytest.raises(ConfigurationError, match="Line 1 of the erasure ledger"):
        await ledger.entries()


def test_names_in_the_ledger_need_the_key() -> None:
    """The same person is the same name under one key, in one tenant, and nowhere else."""
    names = Pseudonyms(SECRET)
    assert names.of("t_acme", SUE) == Pseudonyms(SECRET).of("t_acme", SUE)
    others = {names.of("t_globex", SUE), names.of("t_acme", SUE + "2"), Pseudonyms("other").of("t_acme", SUE)}
    assert len(others | {names.of("t_acme", SUE)}) == 4


async def test_compacting_leaves_no_byte_where_pages_were_split(stores: Stores, tmp_path: Path) -> None:
    """What `secure_delete` overlooks is gone once the file is written anew; whoever still reads is waited for."""
    file_of(stores)
    database, ids = stores.database, list[str]()
    dice = random.Random(21)  # noqa: S311 - the same story each time

    def held() -> list[Path]:
        return [path for path in tmp_path.rglob("*") if path.is_file() and b"split-canary" in path.read_bytes()]

    async with database.writing(None) as connection:
        for _ in range(3000):
            ids.append(f"{dice.getrandbits(128):032x}")
            who = "split-canary" if dice.random() < 0.3 else "other"
            values: dict[str, Value] = {"id": ids[-1], "who": who, "name": who * dice.choice([1, 3, 20, 100, 300])}
            sql = "insert into api_keys values ('t_acme', 'dev', :id, :name, '', :who, 1, 1, null)"
            await connection.rows(sql, values)
            if dice.random() < 0.2:
                longer: dict[str, Value] = {"id": dice.choice(ids), "more": "x" * dice.randint(1, 200)}
                await connection.rows("update api_keys set name = name || :more where key_id = :id", longer)
            if dice.random() < 0.1:
                await connection.rows("delete from api_keys where key_id = :id", {"id": dice.choice(ids)})
    async with database.writing(None) as connection:
        await connection.rows("delete from api_keys where created_by = 'split-canary'", {})
    assert held()
    async with database.reading(None) as connection:
        await connection.rows("select count(*) from api_keys", {})
        compacting = asyncio.create_task(database.forget_deleted())
        await asyncio.wait([compacting], timeout=0.2)
        assert not compacting.done()
    await compacting
    assert held() == []
