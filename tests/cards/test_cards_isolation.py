"""Walls: cards and what they cite are of one tenant and env, and what is foreign reads like what never was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from card_texts import MANIFESTS, note, publish

from nexus_graph import cards
from nexus_graph.assets import AssetRules, Reservation, keep, reserve
from nexus_graph.cards import ArtifactKind, CardFilter
from nexus_graph.scope.errors import Invalid, NexusError, NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.paging import Window
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
RULES = AssetRules(largest=1_000_000, reservation_seconds=60, address_seconds=60)
UNKNOWN_ASSET, UNKNOWN_ATOM = "asset_" + "0" * 32, "atom_" + "0" * 64

ADD_ATOM = Statement(
    "insert into atoms (tenant_id, env, atom_id, asset_id, op, op_version, params, ordinal, kind, span, text, digest, "
    "pii_flags, train_ok, derived_at, stale) values (:tenant_id, :env, :atom_id, :asset_id, 'op', '1', '{}', :ordinal, "
    "'paragraph', '{}', 'text', '', '[]', :train_ok, 0, false)"
)
REFUSE_CONSENT = Statement(
    "update assets set train_ok = false where tenant_id = :tenant_id and env = :env and asset_id = :asset_id"
)


async def asset(stores: Stores, scope: Scope, data: bytes, *, train_ok: bool = True, sealed: bool = True) -> str:
    """An asset, sealed or only reserved."""
    reservation = Reservation.of(data, filename="a.txt", content_type="text/plain", train_ok=train_ok)
    if sealed:
        return (await keep(stores, RULES, scope, reservation, data))[0].asset_id
    return (await reserve(stores, RULES, scope, reservation)).asset.asset_id


async def atom(stores: Stores, scope: Scope, asset_id: str, name: str, *, train_ok: bool = True) -> str:
    """An atom of an asset."""
    atom_id = f"atom_{name * 64}"
    async with stores.work(scope, RunKind.DERIVE) as work:
        await work.write(ADD_ATOM, atom_id=atom_id, asset_id=asset_id, ordinal=ord(name), train_ok=train_ok)
        work.record(Event("atoms.derived", "asset", asset_id, redact({}), Handling((), train_ok)))
    return atom_id


def citing(*refs: str, key: str = "plan") -> str:
    """A note that cites artifacts, the first of them on line 5."""
    return note(key=key, more="artifact_refs:\n" + "".join(f"  - {ref}\n" for ref in refs))


async def refusal(attempt: Awaitable[Any]) -> tuple[Any, ...]:
    """All that a caller learns from a refusal."""
    with pytest.raises(NexusError) as caught:
        await attempt
    error = caught.value
    return type(error), error.message, error.hint, error.path, error.line, error.column


async def test_the_same_key_names_different_cards(stores: Stores, scope_of: MakeScope) -> None:
    """Each tenant and env has its own card under a key, with versions of its own."""
    scopes = [scope_of(), scope_of("t_globex"), scope_of(env=Env.PROD)]
    published = [(await publish(stores, scope, note(f"of {place}\n"))).card for place, scope in enumerate(scopes)]
    assert len({card.card_id for card in published}) == 3
    await publish(stores, scopes[0], note("revised\n"), expected_version=1)
    for scope, card in zip(scopes[1:], published[1:], strict=True):
        page = await cards.list_cards(stores, MANIFESTS, scope, CardFilter(), Window(10))
        assert page.items == (card,)
        ids = [each.card_id for each in published]
        assert await cards.fetch(stores, scope, ids) == {card.card_id: card}
        assert await cards.fetch_versions(stores, scope, [(each, 1) for each in ids]) == {(card.card_id, 1): card}


async def test_a_foreign_id_reads_like_an_unknown_one(stores: Stores, scope_of: MakeScope) -> None:
    """Every deed that takes an id answers both with the same words."""
    foreign = (await publish(stores, scope_of("t_globex"), note())).card.card_id
    other_env = (await publish(stores, scope_of(env=Env.PROD), note())).card.card_id
    scope = scope_of()
    own = note(key=None)
    for card_id in (foreign, other_env):
        for attempt in (
            lambda each: cards.retire(stores, MANIFESTS, scope, each, 1),
            lambda each: cards.propose_retirement(stores, MANIFESTS, scope, each, 1),
            lambda each: cards.versions(stores, scope, each, Window(1)),
            lambda each: cards.difference(stores, scope, each, 1, 1),
            lambda each: publish(stores, scope, own, card_id=each, expected_version=1),
            lambda each: cards.propose(stores, MANIFESTS, scope, own, train_ok=True, card_id=each),
        ):
            unknown = await refusal(attempt("card_" + "0" * 32))
            assert unknown[0] is NotFound
            assert await refusal(attempt(card_id)) == unknown
        stated = note(key=None, more=f"card_id: {card_id}\n")
        unstated = note(key=None, more=f"card_id: card_{'0' * 32}\n")
        assert await refusal(publish(stores, scope, stated)) == await refusal(publish(stores, scope, unstated))


async def test_cited_artifacts_are_here_and_sealed(stores: Stores, scope_of: MakeScope) -> None:
    """A sealed asset and its atom are cited in the author's order; consent is theirs too, now and at each version."""
    scope = scope_of()
    whole = await asset(stores, scope, b"one")
    part = await atom(stores, scope, whole, "a")
    card = (await publish(stores, scope, citing(part, whole))).card
    assert card.artifact_refs == (part, whole)
    assert card.handling.train_ok
    refused = await asset(stores, scope, b"two", train_ok=False)
    refused_part = await atom(stores, scope, whole, "b", train_ok=False)
    for place, ref in enumerate((refused, refused_part)):
        done = await publish(stores, scope, citing(whole, ref, key=f"no{place}"))
        assert not done.card.handling.train_ok
    async with stores.work(scope, RunKind.ADMIN) as work:  # an atom has no more consent than its asset has now
        await work.write(REFUSE_CONSENT, asset_id=whole)
        work.record(Event("asset.labelled", "asset", whole, redact({}), Handling((), False)))
    assert not (await publish(stores, scope, citing(part, key="late"))).card.handling.train_ok


async def test_a_foreign_artifact_reads_like_an_unknown_one(stores: Stores, scope_of: MakeScope) -> None:
    """Foreign, of another env, not sealed, or never there: the same words, at the line of the reference."""
    scope = scope_of()
    own = await asset(stores, scope, b"own")
    absent_assets = [await asset(stores, scope, b"reserved", sealed=False)]
    absent_atoms = [await atom(stores, scope, absent_assets[0], "b")]
    for place, elsewhere in enumerate((scope_of("t_globex"), scope_of(env=Env.PROD))):
        foreign = await asset(stores, elsewhere, b"own")
        absent_assets.append(foreign)
        absent_atoms.append(await atom(stores, elsewhere, foreign, "cd"[place]))
    for unknown, absent in ((UNKNOWN_ASSET, absent_assets), (UNKNOWN_ATOM, absent_atoms)):
        words = await refusal(publish(stores, scope, citing(own, unknown)))
        assert words[0] is Invalid
        assert (words[3:]) == (("header", "artifact_refs", 1), 6, 5)
        assert unknown in words[1]
        for ref in absent:
            told = await refusal(publish(stores, scope, citing(own, ref)))
            assert (told[0], told[1].replace(ref, unknown), *told[2:]) == words


async def test_lineage_backwards(stores: Stores, scope_of: MakeScope) -> None:
    """Who cites it now: not who did in an earlier version, not the retired, not other tenants."""
    scope = scope_of()
    one, two = await asset(stores, scope, b"one"), await asset(stores, scope, b"two")
    part = await atom(stores, scope, one, "a")
    first = (await publish(stores, scope, citing(one, part, key="first"))).card.card_id
    second = (await publish(stores, scope, citing(one, key="second"))).card.card_id

    async def cited(who: Scope) -> dict[str, list[str]]:
        pages = {each: await cards.citing(stores, who, each, Window(10)) for each in (one, two, part, UNKNOWN_ASSET)}
        return {each: [card.card_id for card in page.items] for each, page in pages.items()}

    assert await cited(scope) == {one: [second, first], two: [], part: [first], UNKNOWN_ASSET: []}
    assert (await cards.citing(stores, scope, one, Window(1))).has_next
    await publish(stores, scope, citing(two, key="first"), expected_version=1)
    await cards.retire(stores, MANIFESTS, scope, second, 1)
    assert await cited(scope) == {one: [], two: [first], part: [], UNKNOWN_ASSET: []}
    for elsewhere in (scope_of("t_globex"), scope_of(env=Env.PROD)):
        assert not any((await cited(elsewhere)).values())


async def test_filter_by_what_is_cited(stores: Stores, scope_of: MakeScope) -> None:
    """Cards whose current version cites any of the kinds."""
    scope = scope_of()
    whole = await asset(stores, scope, b"one")
    part = await atom(stores, scope, whole, "a")
    await publish(stores, scope, note(key="none"))
    await publish(stores, scope, citing(whole, key="asset"))
    await publish(stores, scope, citing(part, key="atom"))
    await publish(stores, scope, citing(whole, key="was"))
    await publish(stores, scope, note(key="was"), expected_version=1)

    async def found(*kinds: ArtifactKind) -> list[str]:
        page = await cards.list_cards(stores, MANIFESTS, scope, CardFilter(artifact_kinds=kinds), Window(10))
        return [card.key for card in page.items]

    assert await found(ArtifactKind.ASSET) == ["asset"]
    assert await found(ArtifactKind.ATOM) == ["atom"]
    assert await found(ArtifactKind.ATOM, ArtifactKind.ASSET) == ["atom", "asset"]
    assert await found() == ["was", "atom", "asset", "none"]
