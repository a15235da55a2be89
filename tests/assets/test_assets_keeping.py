"""Bytes at hand: many files at a time, each kept whole or refused alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from engines import behind

from nexus_graph import assets
from nexus_graph.assets import AssetRules, AtHand, Reservation
from nexus_graph.safeguards.quotas import table as quotas
from nexus_graph.safeguards.switches import Known, Target
from nexus_graph.safeguards.switches.engaging import engage
from nexus_graph.scope.errors import Halted, Invalid, QuotaExceeded
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.statement import Value
from nexus_graph.stores.work import Stores

Declare = Callable[..., Reservation]
Journal = Callable[[Scope], Awaitable[list[dict[str, Any]]]]


@pytest.fixture
def scope(scope_of: Callable[..., Scope]) -> Scope:
    """An admin, who may keep files."""
    return scope_of("t_acme", Role.ADMIN)


def at_hand(declare: Declare, *files: bytes) -> list[AtHand]:
    """These files, with a reservation each."""
    return [AtHand(declare(data, filename=f"{number}.txt"), data) for number, data in enumerate(files)]


async def keys(stores: Stores) -> list[str]:
    """What the object store holds."""
    return [key async for key in stores.blobs.keys("")]


async def test_files_are_kept_in_one_transaction_and_each_has_a_run(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reserved and sealed as any other; the run stays open for who reads them."""
    transactions = []
    engine = type(stores.database)
    write = engine.write

    async def counted(database: Any, key: Any, transaction: Any) -> Any:
        transactions.append(transaction)
        return await write(database, key, transaction)

    monkeypatch.setattr(engine, "write", counted)
    came_to = await assets.keep_all(stores, rules, scope, at_hand(declare, b"one", b"two"))
    kept = [each[0] for each in came_to if isinstance(each, tuple) and each[1]]
    assert [asset.filename for asset in kept] == ["0.txt", "1.txt"]
    assert [asset.state for asset in kept] == ["SEALED", "SEALED"]
    assert len(transactions) == 1
    told = [(row["action"], row["subject_id"], row["number"], row["ends"]) for row in await journal(scope)]
    assert told == [
        (action, asset.asset_id, number, None)
        for asset in kept
        for number, action in enumerate(("asset.reserved", "asset.sealed"), 1)
    ]
    assert len({row["run_id"] for row in await journal(scope)}) == 2
    assert await assets.check(stores, scope) == []


async def test_equal_files_are_kept_once(stores: Stores, rules: AssetRules, scope: Scope, declare: Declare) -> None:
    """Beside each other and the next time; there is one object, and labels become as strict as the strictest."""
    files = at_hand(declare, b"same", b"same", b"other")
    files[1] = replace(files[1], reservation=replace(files[1].reservation, train_ok=False))
    first, second, third = await assets.keep_all(stores, rules, scope, files)
    assert isinstance(first, tuple)
    assert isinstance(second, tuple)
    assert isinstance(third, tuple)
    assert (first[1], second[1], third[1]) == (True, False, True)
    assert second[0].asset_id == first[0].asset_id
    assert not second[0].handling.train_ok
    assert len(await keys(stores)) == 2
    again = await assets.keep_all(stores, rules, scope, files)
    assert [each[1] for each in again if isinstance(each, tuple)] == [False] * 3
    assert len(await keys(stores)) == 2


async def test_a_refused_file_stops_no_other_and_leaves_nothing(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare, journal: Journal
) -> None:
    """Neither a row nor an object, whether it breaks a rule or there is no room for it."""
    async with behind(stores) as connection:
        place: dict[str, Value] = {"tenant_id": scope.tenant_id, "env": scope.env.value, "resource": "STORED_BYTES"}
        await connection.rows(quotas.SET_LIMIT.sql, {**place, "upper_limit": 10, "changed_by": "me", "changed_at": 0})
    files = at_hand(declare, b"four", b"", b"far too large", b"three")
    came_to = await assets.keep_all(stores, rules, scope, files)
    assert [type(each) for each in came_to] == [tuple, Invalid, QuotaExceeded, tuple]
    assert len(await keys(stores)) == 2
    assert [row["action"] for row in await journal(scope)] == ["asset.reserved", "asset.sealed"] * 2


async def test_nothing_is_stored_where_nothing_may_be(
    stores: Stores, rules: AssetRules, scope: Scope, declare: Declare
) -> None:
    """While the object store is halted."""
    await engage(stores, scope, Known(frozenset(), frozenset({"objects"})), Target.PROVIDER, "objects", "A drill")
    with pytest.raises(Halted):
        await assets.keep_all(stores, rules, scope, at_hand(declare, b"one"))
    assert await keys(stores) == []
