"""Who may start an export, see it and download it, and what nobody else learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from export_house import BOTH, STEPS, export, fill, find, publish, settle

from nexus_graph import exports
from nexus_graph.exports import Exclusion, ExportKind, ExportState, Reason, model, starting
from nexus_graph.safeguards.consent import changing
from nexus_graph.safeguards.consent.releasing import Layer
from nexus_graph.safeguards.switches import OBJECTS, Known, Target
from nexus_graph.safeguards.switches.engaging import engage
from nexus_graph.scope.errors import Conflict, Forbidden, Halted, Invalid, NotFound, Withheld
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.paging import Window
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
DOWNLOADS = Statement(
    "select subject_id, payload from journal_events "
    "where tenant_id = :tenant_id and env = :env and action = 'export.downloaded' order by seq"
)


@pytest.fixture
def anna(scope_of: MakeScope) -> Scope:
    """An owner of t_acme."""
    return scope_of("t_acme", who="anna")


async def test_an_export_needs_the_right_and_consent(stores: Stores, anna: Scope, scope_of: MakeScope) -> None:
    """Members and agents may not; the tenant's opt-out withholds it, and the same call passes once it is taken back."""
    for role in (Role.MEMBER, Role.AGENT):
        with pytest.raises(Forbidden):
            await exports.start(stores, scope_of("t_acme", role), BOTH)
    await changing.set_tenant_opt_out(stores, STEPS, anna, True)
    with pytest.raises(Withheld) as error:
        await exports.start(stores, anna, BOTH)
    assert [blocker.gate for blocker in error.value.blockers] == ["CONSENT"]
    await changing.set_tenant_opt_out(stores, STEPS, anna, False)
    assert (await exports.start(stores, scope_of("t_acme", Role.ADMIN), BOTH)).state is ExportState.RUNNING


async def test_a_request_has_bounds(stores: Stores, anna: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    """No kind and too many records are refused, and nothing is kept."""
    await fill(stores, anna)
    with pytest.raises(Invalid, match="at least one kind"):
        await exports.start(stores, anna, [])
    monkeypatch.setattr(starting, "MOST_RECORDS", 8)
    with pytest.raises(Invalid, match="covers 9 records; at most 8"):
        await exports.start(stores, anna, BOTH)
    assert (await exports.list_exports(stores, anna, Window(10))).items == ()
    assert (await exports.start(stores, anna, [ExportKind.CARD])).covered == 5


async def test_repeating_and_rehearsing(stores: Stores, anna: Scope) -> None:
    """A key starts one export; a dry run none, but it tells what it would cover; kinds count once."""
    await fill(stores, anna)
    once = Once("key", ["cards"])
    started = await exports.start(stores, anna, [ExportKind.CARD] * 2, once=once)
    assert await exports.start(stores, anna, [ExportKind.CARD], once=once) == started
    rehearsed = await exports.start(stores, replace(anna, rehearsal=True), BOTH)
    assert rehearsed.covered == 9
    assert [item.export_id for item in (await exports.list_exports(stores, anna, Window(10))).items] == [
        started.export_id
    ]


async def test_what_it_covers_is_fixed_at_its_start(stores: Stores, anna: Scope) -> None:
    """What is published or revised afterwards is for the next one."""
    await publish(stores, anna, "key")
    started = await exports.start(stores, anna, BOTH)
    await publish(stores, anna, "key", "Again.\n", expected_version=1)
    await publish(stores, anna, "other")
    await settle(stores)
    assert (await find(stores, anna, started.export_id)).included == 1


async def test_exports_are_listed_with_parts_and_exclusions(stores: Stores, anna: Scope) -> None:
    """Latest first; parts and exclusions page in their order."""
    await fill(stores, anna)
    withheld = [await publish(stores, anna, f"own{number}", train_ok=False) for number in range(3)]
    first, second = await export(stores, anna), await export(stores, anna)
    page = await exports.list_exports(stores, anna, Window(1))
    assert [item.export_id for item in page.items] == [second.export_id]
    assert page.has_next
    parts = await exports.parts(stores, anna, first.export_id, Window(2))
    rest = await exports.parts(stores, anna, first.export_id, Window(10, after=parts.keys[-1]))
    assert [part.number for part in (*parts.items, *rest.items)] == [1, 2, 3, 4, 5]
    left_out = await exports.excluded(stores, anna, first.export_id, Window(2))
    names = sorted(f"{card.card_id}:1" for card in withheld)
    assert left_out.items == tuple(Exclusion(name, Reason.TRAIN_NOT_OK, Layer.RECORD) for name in names[:2])


async def test_a_download_is_journalled(stores: Stores, anna: Scope) -> None:
    """An address is told before it is handed out; there is none before the export is done, and none of no part."""
    await fill(stores, anna)
    started = await exports.start(stores, anna, BOTH)
    with pytest.raises(Conflict, match="not done"):
        await exports.download_manifest(stores, anna, 300, started.export_id)
    with pytest.raises(Conflict, match="not done"):
        await exports.download_part(stores, anna, 300, started.export_id, 1)
    await settle(stores)
    with pytest.raises(NotFound):
        await exports.download_part(stores, anna, 300, started.export_id, 6)
    assert (await exports.download_part(stores, anna, 300, started.export_id, 5)).startswith("http://")
    assert (await exports.download_manifest(stores, anna, 300, started.export_id)).startswith("http://")
    async with stores.read(anna) as read:
        told = await read.rows(DOWNLOADS)
    assert [row["subject_id"] for row in told] == [started.export_id] * 2
    assert '"file":"part-00005.jsonl"' in told[0]["payload"]


async def test_consent_taken_back_later_closes_the_part(stores: Stores, anna: Scope, scope_of: MakeScope) -> None:
    """A part with a record that is withheld by now is handed out no more; the others and the manifest are."""
    await fill(stores, anna)
    bert = await publish(stores, scope_of("t_acme", who="bert"), "bert")
    done = await export(stores, anna)
    await changing.set_own_opt_out(stores, STEPS, scope_of("t_acme", who="bert"), True)
    refused = []
    for number in range(1, done.parts + 1):
        try:
            await exports.download_part(stores, anna, 300, done.export_id, number)
        except Withheld:
            refused.append(number)
    assert len(refused) == 1
    assert (await exports.download_manifest(stores, anna, 300, done.export_id)).startswith("http://")
    await changing.set_train_ok(stores, STEPS, anna, bert.card_id, False)
    await changing.set_own_opt_out(stores, STEPS, scope_of("t_acme", who="bert"), False)
    with pytest.raises(Withheld):
        await exports.download_part(stores, anna, 300, done.export_id, refused[0])
    await changing.set_train_ok(stores, STEPS, anna, bert.card_id, True)
    assert await exports.download_part(stores, anna, 300, done.export_id, refused[0])


async def test_a_halted_store_gives_no_address(stores: Stores, anna: Scope) -> None:
    """Of no part and no manifest, since an object server that clients ask themselves knows nothing of a halt."""
    await fill(stores, anna)
    done = await export(stores, anna)
    await engage(stores, anna, Known(frozenset(), frozenset({OBJECTS})), Target.PROVIDER, OBJECTS, "A drill")
    with pytest.raises(Halted):
        await exports.download_part(stores, anna, 300, done.export_id, 1)
    with pytest.raises(Halted):
        await exports.download_manifest(stores, anna, 300, done.export_id)


async def test_an_export_is_of_its_tenant_and_env_alone(stores: Stores, anna: Scope, scope_of: MakeScope) -> None:
    """Elsewhere it is not found, lists nothing, and hands out nothing."""
    await fill(stores, anna)
    done = await export(stores, anna)
    for other in (scope_of("t_globex", who="anna"), scope_of("t_acme", env=Env.PROD, who="anna")):
        assert await exports.fetch(stores, other, [done.export_id]) == {}
        assert (await exports.list_exports(stores, other, Window(10))).items == ()
        assert (await exports.parts(stores, other, done.export_id, Window(10))).items == ()
        assert (await exports.excluded(stores, other, done.export_id, Window(10))).items == ()
        with pytest.raises(NotFound):
            await exports.download_part(stores, other, 300, done.export_id, 1)
        with pytest.raises(NotFound):
            await exports.download_manifest(stores, other, 300, done.export_id)
    for role in (Role.MEMBER, Role.AGENT):
        with pytest.raises(Forbidden):
            await exports.fetch(stores, scope_of("t_acme", role), [done.export_id])


def test_names_of_files_are_good_keys() -> None:
    """Parts sort by their number."""
    assert model.object_key("export_1", model.part_name(7)) == "exports/export_1/part-00007.jsonl"
