"""A subject is erased from every room, and what is left says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engines import behind
from erasure_house import CANARIES, STAYS, SUE, TOM, House, MakeScope, furnish, make
from shipped import MANIFESTS

from nexus_graph import cards, exports, index, packs
from nexus_graph.safeguards import erasure
from nexus_graph.safeguards.erasure import Doomed, ErasureState
from nexus_graph.scope.errors import Conflict, Forbidden, NotFound
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.blobs.files import FileBlobs
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Stores, Work
from nexus_graph.tenants import membership

KEYS = Statement("select key_id from api_keys where tenant_id = :tenant_id and env = :env")
SWITCHES = Statement("select * from kill_switches where tenant_id = :tenant_id and env = :env")


async def nothing(work: Work, doomed: Doomed) -> None:
    """A step that was forgotten."""


@pytest.fixture
async def house(tmp_path: Path, stores: Stores, scope_of: MakeScope) -> House:
    """A furnished house."""
    made = await make(tmp_path, stores, scope_of)
    await furnish(made)
    return made


async def test_no_file_holds_a_byte_of_a_subject(house: House) -> None:
    """Rows, vectors, objects, sessions, payloads go with all their bytes; what others have stays; the chain holds."""
    assert len(house.left(*CANARIES, *STAYS)) == len(CANARIES) + len(STAYS)
    done = await house.erased()
    assert list(done.findings) == [], done.findings
    assert done.state is ErasureState.CERTIFIED
    assert house.left(*CANARIES) == {}
    assert set(house.left(*STAYS)) == set(STAYS)
    await house.holds()
    await house.stores.database.close()
    assert house.left(*CANARIES) == {}


async def test_a_plan_counts_and_changes_nothing(house: House) -> None:
    """The owner sees how many of what would go; all of it is still there."""
    planned = await house.plan()
    counts = dict(planned.counts)
    assert (counts["assets"], counts["atoms"], counts["cards"], counts["sessions"]) == (1, 2, 3, 1)
    assert (counts["objects"], counts["index_vectors"], counts["members"], counts["api_keys"]) == (1, 3, 1, 1)
    assert counts["journal_events"] > 5
    assert planned.subject_digest is not None
    assert set(house.left(*CANARIES)) == set(CANARIES)


async def test_only_the_plan_that_was_looked_at_is_confirmed(house: House, scope_of: MakeScope) -> None:
    """Another digest, a state that moved on, an old plan, a foreign one and other roles are refused; the owner may."""
    planned = await house.plan()
    sure = (house.stores, house.eraser)
    with pytest.raises(Conflict, match="digest is not that of the plan"):
        await erasure.confirm(*sure, house.owner, planned.erasure_id, "0" * 64)
    for stranger in (scope_of("t_globex", Role.OWNER), scope_of("t_acme", Role.OWNER, env=Env.PROD)):
        with pytest.raises(NotFound):
            await erasure.confirm(*sure, stranger, planned.erasure_id, planned.digest)
        assert await erasure.find(house.stores, stranger, planned.erasure_id) is None
    for role in (Role.ADMIN, Role.MEMBER, Role.AGENT):
        with pytest.raises(Forbidden):
            await erasure.confirm(*sure, scope_of("t_acme", role), planned.erasure_id, planned.digest)
        with pytest.raises(Forbidden):
            await erasure.plan(*sure, scope_of("t_acme", role), erasure.Target(erasure.TargetKind.SUBJECT, SUE))
    text = "---\ncard_type: note\nkey: canary-later\n---\ncanary-card-words later"
    await cards.publish(house.stores, MANIFESTS, house.sue, text, train_ok=True)
    with pytest.raises(Conflict, match="changed since the plan"):
        await erasure.confirm(*sure, house.owner, planned.erasure_id, planned.digest)
    again = await house.plan()
    confirmed = await erasure.confirm(*sure, house.owner, again.erasure_id, again.digest)
    assert confirmed.state is ErasureState.CONFIRMED


async def test_a_plan_lives_an_hour(house: House, clock: Any) -> None:
    """Then it says so, and can't be confirmed."""
    planned = await house.plan()
    clock.advance(hours=1)
    assert (await house.found(planned.erasure_id)).state is ErasureState.EXPIRED
    with pytest.raises(Conflict, match="an hour old"):
        await erasure.confirm(house.stores, house.eraser, house.owner, planned.erasure_id, planned.digest)


async def test_packs_say_what_was_erased(house: House) -> None:
    """A pack keeps id, references and scores; the words of erased cards and the question are gone, and it says so."""
    await house.erased()
    found = await packs.fetch(house.stores, house.owner, [house.ids["tom pack"]])
    pack = found[house.ids["tom pack"]]
    hers = {house.ids[f"canary card {number}"] for number in range(3)}
    assert set(pack.erased or ()) == hers
    assert {ref.card_id for ref in pack.contents.refs if ref.excerpt is None} == hers
    assert len(pack.contents.refs) == 6
    assert pack.contents.ask.text == ""
    verified = await packs.verify(house.stores, house.owner, pack.pack_id)
    assert (verified.holds, verified.erased, verified.faults) == (False, True, ())
    replayed = await packs.replay(house.stores, house.index, house.owner, pack.pack_id)
    assert {difference.kind for difference in replayed.differences} == {packs.DifferenceKind.ERASED}
    assert not replayed.same


async def test_an_erased_card_is_unknown_to_search_and_reads(house: House) -> None:
    """Copies of vectors in memory forget it too; its key may be used again, by whoever comes."""
    await house.erased()
    card_id = house.ids["canary card 0"]
    assert await cards.fetch(house.stores, house.tom, [card_id]) == {}
    found = await index.search(house.stores, house.index, house.tom, "canary-card-words", cards.CardFilter(), 10)
    assert {hit.card_id for hit in found.hits} == {house.ids[f"tom card {number}"] for number in range(3)}
    assert found.complete
    text = "---\ncard_type: note\nkey: canary-key-0\n---\nsaid anew"
    again = await cards.publish(house.stores, MANIFESTS, house.tom, text, train_ok=True)
    assert (again.card.card_id, again.card.version) == (card_id, 1)
    await house.settle()
    await house.holds()


async def test_what_others_wrote_about_the_subject_is_asked_about(house: House) -> None:
    """A mention in somebody else's card stops an erasure that leaves it out, and goes with one that takes it along."""
    text = f"---\ncard_type: note\nkey: about\n---\nAsk {SUE} about it."
    about = (await cards.publish(house.stores, MANIFESTS, house.tom, text, train_ok=True)).card.card_id
    near = f"---\ncard_type: note\nkey: near\n---\nAsk {SUE}2, which is another name."
    other = (await cards.publish(house.stores, MANIFESTS, house.tom, near, train_ok=True)).card.card_id
    await house.settle()
    planned = await house.plan()
    assert dict(planned.mentioned) == {"cards": 1}
    with pytest.raises(Conflict, match="1 cards"):
        await erasure.confirm(house.stores, house.eraser, house.owner, planned.erasure_id, planned.digest)
    done = await house.erased(mentions=True)
    assert (done.state, [*done.findings]) == (ErasureState.CERTIFIED, [])
    assert [*await cards.fetch(house.stores, house.tom, [about, other])] == [other]


async def test_the_last_owner_is_not_erased(house: House) -> None:
    """Nobody could go on; a second owner makes it possible."""
    with pytest.raises(Conflict, match="last owner"):
        await house.plan(subject="owner@t_acme")
    system = Scope.system("t_acme", Env.DEV, "test")
    await membership.set_member(house.stores, system, TOM, "owner")
    done = await house.erased(subject="owner@t_acme")
    assert done.state is ErasureState.CERTIFIED
    assert house.left("owner@t_acme") == {}


async def test_an_agents_key_is_a_subject(house: House) -> None:
    """What an agent left goes by its key's id, and the key with it."""
    async with house.stores.read(house.owner) as read:
        page_of_keys = await read.rows(KEYS)
    key_id = page_of_keys[0]["key_id"]
    done = await house.erased(subject=key_id)
    assert done.state is ErasureState.CERTIFIED
    assert house.left(key_id) == {}


async def test_names_go_from_tables_that_no_room_erases(house: House) -> None:
    """Switches, opt-outs and repeated requests: keys that name the subject go, columns that do are overwritten."""
    async with behind(house.stores) as connection:
        own: dict[str, Value] = {"who": SUE, "reason": f"{SUE} says canary-reason"}
        await connection.rows(
            "insert into kill_switches (tenant_id, env, switch_id, target, name, reason, engaged_by, engaged_at) "
            "values ('t_acme', 'dev', 'switch_1', 'ACTION', 'search', :reason, :who, 1)",
            own,
        )
        await connection.rows("insert into opt_outs values ('t_acme', 'dev', 'USER', :who, 'user', :who, 1)", own)
    done = await house.erased()
    assert [*done.findings] == []
    assert house.left(SUE, "canary-reason") == {}
    async with house.stores.read(house.owner) as read:
        (row,) = await read.rows(SWITCHES)
    assert (row["engaged_by"], row["reason"]) == ("erased", "erased")


async def test_what_steps_forget_is_found(house: House) -> None:
    """The re-scan asks no room: what is left of rows, vectors and quotations fails the erasure, by place and kind."""
    lazy = tuple(replace(step, erase=nothing) for step in house.eraser.steps)
    done = await replace(house, eraser=replace(house.eraser, steps=lazy)).erased()
    assert (done.state, done.certificate) == (ErasureState.FAILED, None)
    found = {(finding.place, finding.kind): finding.count for finding in done.findings}
    for place, count in {
        ("assets.asset_id", "id"): 1,
        ("atoms.atom_id", "id"): 2,
        ("atoms.asset_id", "id"): 2,
        ("cards.card_id", "id"): 3,
        ("index_vectors.card_id", "id"): 3,
        ("packs.content", "id"): 2,
    }.items():
        assert found[place] == count, found
    assert await house.eraser.ledger.entries() == []
    assert SUE not in repr(done)
    again = await house.erased(subject=TOM)  # somebody else's erasure is not in the way
    assert again.state is ErasureState.CERTIFIED


async def test_an_object_that_is_left_is_found(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that keeps what it was told to remove fails the erasure."""

    async def keep(self: FileBlobs, key: str) -> None:
        """Remove nothing."""

    monkeypatch.setattr(FileBlobs, "remove", keep)
    done = await house.erased()
    assert [(finding.place, finding.count) for finding in done.findings] == [("objects", 1)]


async def test_a_table_that_nobody_thought_of_is_covered(house: House) -> None:
    """A name in any column of the schema of record is found, also where no step or pass looks."""
    async with behind(house.stores) as connection:
        sql = "update card_labels set label = :label where card_id = :card_id"
        await connection.rows(sql, {"label": SUE, "card_id": house.ids["tom card 0"]})
    done = await house.erased()
    assert [(finding.place, finding.kind) for finding in done.findings] == [("card_labels.label", "name")]


async def test_an_export_that_covers_something_erased_goes(house: House) -> None:
    """Its files and records go and it says so; one that covers nothing erased stays."""
    follower = exports.follower()
    started = await exports.start(house.stores, house.owner, [exports.ExportKind.CARD, exports.ExportKind.ATOM])
    while await follower.catch_up(house.stores):
        pass
    assert "exports" in {path.parts[-3] for path in house.folder.rglob("*") if path.is_file()}
    done = await house.erased()
    assert (dict(done.counts)["exports"], [*done.findings]) == (1, [])
    found = (await exports.fetch(house.stores, house.owner, [started.export_id]))[started.export_id]
    assert found.state is exports.ExportState.ERASED
    assert "exports" not in {path.parts[-3] for path in house.folder.rglob("*") if path.is_file()}
    later = await exports.start(house.stores, house.owner, [exports.ExportKind.CARD])
    while await follower.catch_up(house.stores):
        pass
    await house.erased(subject="nobody.at.all")
    found = (await exports.fetch(house.stores, house.owner, [later.export_id]))[later.export_id]
    assert found.state is exports.ExportState.DONE
