"""The check finds whatever is kept of a card that does not follow from its text, and the repair mends that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from card_texts import MANIFESTS, app, events, note, publish, surface
from engines import behind

from nexus_graph import assets, cards
from nexus_graph.assets import AssetRules, Reservation
from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import Forbidden
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
ENGINE = Scope.system("t_acme", Env.DEV, "check")
TABLES = ("cards", "card_versions", "card_labels", "card_fields", "card_artifacts")
SECOND = "(select card_id from cards where key = 'app/two')"


async def everything(stores: Stores) -> list[list[tuple[Any, ...]]]:
    """All rows of all cards, in an order of their own."""
    async with behind(stores) as connection:
        return [sorted(map(tuple, await connection.rows(f"select * from {name}", {})), key=repr) for name in TABLES]  # noqa: S608


async def tamper(stores: Stores, sql: str, **values: Any) -> None:
    """Change the file behind the engine's back, foreign keys or not."""
    async with behind(stores) as connection:
        await connection.rows(sql.replace("SECOND", SECOND), values)


async def story(stores: Stores, scope: Scope) -> None:
    """Cards with labels, filterable fields and citations, one of them with two versions that differ in all three."""
    kept = []
    for data in (b"One.", b"Two."):
        rules = AssetRules(largest=100, reservation_seconds=60, address_seconds=60)
        reservation = Reservation.of(data, filename="raw.txt", content_type="text/plain", train_ok=True)
        kept.append((await assets.keep(stores, rules, scope, reservation, data))[0].asset_id)
    await publish(stores, scope, surface("pricing", "screen"))
    for version, names in enumerate((("pricing", "stock"), ("pricing",))):
        more = f"labels: [{', '.join(('hot', f'v{version}'))}]\nartifact_refs: [{', '.join(kept[version:])}]\n"
        text = app("two", *names).replace("key: ", f"{more}key: ")
        await publish(stores, scope, text, expected_version=version)
    await publish(stores, scope, note("Plain.\n", key="plain"))


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("update card_labels set label = 'cold' where card_id = SECOND and label = 'hot'", "card_labels"),
        ("delete from card_labels where card_id = SECOND", "card_labels"),
        (
            "insert into card_labels select tenant_id, env, card_id, 'planted' from cards where key = 'plain'",
            "card_labels",
        ),
        ("update card_fields set text_value = 'stock' where card_id = SECOND", "card_fields"),
        ("delete from card_fields where card_id = SECOND", "card_fields"),
        ("update card_fields set number_value = 1 where card_id = SECOND", "card_fields"),
        ("delete from card_artifacts where card_id = SECOND", "card_artifacts"),
        ("update card_artifacts set artifact_kind = 'ATOM' where version = 1", "card_artifacts"),
        ("update card_artifacts set artifact_id = 'asset_other' where version = 2", "card_artifacts"),
        ("update card_versions set body_start = 1 where version = 2", "body_start"),
        ("update card_versions set title = null", "title"),
        ("update card_versions set header = '{}' where version = 1", "header"),
        ("update card_versions set labels = 'broken' where version = 2", "labels"),
        ("update card_versions set artifact_refs = '[]' where version = 1", "artifact_refs"),
        ("update cards set card_type = 'note' where card_id = SECOND", "card_type"),
    ],
)
@pytest.mark.parametrize("texts", [1, 32])
async def test_what_does_not_follow_from_the_text_is_named_and_written_anew(
    stores: Stores, scope_of: MakeScope, monkeypatch: pytest.MonkeyPatch, sql: str, what: str, texts: int
) -> None:
    """The fault says what differs; after the repair all rows are what they were, and the journal tells of it."""
    monkeypatch.setattr("nexus_graph.cards.checking._TEXTS", texts)
    await story(stores, scope_of())
    before = await everything(stores)
    assert await cards.check(stores, MANIFESTS, ENGINE, repair=True) == []
    await tamper(stores, sql)
    found = await cards.check(stores, MANIFESTS, ENGINE)
    assert found
    assert all(fault.endswith(f"kept beside its text, but not of it: {what}") for fault in found), found
    assert await everything(stores) != before
    assert await cards.check(stores, MANIFESTS, ENGINE, repair=True) == found
    assert await everything(stores) == before
    assert await cards.check(stores, MANIFESTS, ENGINE) == []
    assert (await events(stores, scope_of()))[-1]["action"] == "cards.repaired"


async def test_other_scopes_are_neither_looked_at_nor_mended(stores: Stores, scope_of: MakeScope) -> None:
    """Damage in another tenant and in another env is theirs."""
    for scope in (scope_of(), scope_of("t_globex"), scope_of(env=Env.PROD)):
        await story(stores, scope)
    await tamper(stores, "delete from card_labels where tenant_id = 't_globex' or env = 'prod'")
    before = await everything(stores)
    assert await cards.check(stores, MANIFESTS, ENGINE, repair=True) == []
    assert await everything(stores) == before
    assert len(await cards.check(stores, MANIFESTS, Scope.system("t_acme", Env.PROD, "check"))) == 1


async def test_a_text_that_was_altered_can_only_be_named(stores: Stores, scope_of: MakeScope) -> None:
    """Without its digest, with a digest to fit, gone, or no card any more: each is told, and nothing is written."""
    scope = scope_of()
    ids = [(await publish(stores, scope, note(f"{name}\n", key=name))).card.card_id for name in "abcd"]
    a, b, c, d = ids
    await tamper(stores, "update card_versions set text = replace(text, 'a', 'e') where card_id = :id", id=a)
    forged = note("forged\n", key="b")
    sql = "update card_versions set text = :text, digest = :digest where card_id = :id"
    await tamper(stores, sql, id=b, text=forged, digest=sha256(forged.encode()))
    await tamper(stores, "update cards set current_version = 2 where card_id = :id", id=c)
    await tamper(stores, sql, id=d, text="no card", digest=sha256(b"no card"))
    before = await everything(stores)
    for _ in range(2):
        assert sorted(await cards.check(stores, MANIFESTS, ENGINE, repair=True)) == sorted(
            [
                f"card {a}, version 1: its text does not have its digest",
                f"card {b}, version 1: it is not the text that the journal tells of",
                f"card {c}: its newest version is not 2",
                f"card {d}, version 1: its text is no card",
                f"card {d}, version 1: it is not the text that the journal tells of",
            ]
        )
        assert await everything(stores) == before


async def test_a_version_that_is_gone_is_missed(
    stores: Stores, scope_of: MakeScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal told of it; and a card without any version has lost its newest one. On the last page, too."""
    monkeypatch.setattr("nexus_graph.cards.checking._AT_ONCE", 1)
    scope = scope_of()
    ids = [(await publish(stores, scope, note(key=key))).card.card_id for key in ("first", "second", "third")]
    await publish(stores, scope, note("Again.\n", key="first"), expected_version=1)
    _, second, third = ids
    async with behind(stores) as connection:
        await connection.rows("delete from card_versions where version = 1", {})
    assert await cards.check(stores, MANIFESTS, ENGINE) == [
        *(f"card {card_id}: its newest version is not 1" for card_id in sorted((second, third))),
        *(f"card {card_id}, version 1: it is missing, though the journal tells of it" for card_id in ids),
    ]


async def test_what_the_journal_no_longer_tells_is_not_missed(stores: Stores, scope_of: MakeScope) -> None:
    """An entry whose payload was erased says nothing about any version."""
    await publish(stores, scope_of(), note())
    await tamper(stores, "update journal_events set payload = null, salt = null")
    assert await cards.check(stores, MANIFESTS, ENGINE) == []


async def test_who_waits_is_told_how_far_it_is(
    stores: Stores, scope_of: MakeScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every version is counted once, page by page."""
    monkeypatch.setattr("nexus_graph.cards.checking._TEXTS", 3)
    await story(stores, scope_of())
    told: list[int] = []
    await cards.check(stores, MANIFESTS, ENGINE, looked=told.append)
    assert told == [3, 1]


async def test_only_the_engine_checks(stores: Stores, scope_of: MakeScope) -> None:
    """An owner can't start it."""
    with pytest.raises(Forbidden):
        await cards.check(stores, MANIFESTS, scope_of())
