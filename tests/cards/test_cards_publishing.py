"""A text becomes exactly one version, or nothing happens."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest
from card_texts import MANIFESTS, events, note, publish, surface
from shipped import MANIFESTS as SHIPPED
from side_process import SIDE, place_of

from nexus_graph import cards
from nexus_graph.cards.format import Parsed
from nexus_graph.scope.errors import Conflict, Forbidden, Invalid, NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.paging import Window
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]


async def test_a_new_card_is_kept_whole(stores: Stores, scope_of: MakeScope) -> None:
    """What publishing answers is what reading gives, to the byte, with labels, flags and who and when."""
    scope = scope_of(role=Role.ADMIN)
    text = note("Über ada@example.com\r\n---\nrest", more="labels: [b, a]\nshare: 1.0\n")
    done = await publish(stores, scope, text)
    assert (done.created, done.changed, done.strategic, done.card.version) == (True, True, False, 1)
    assert done.card.text == text
    assert done.card.body == "Über ada@example.com\r\n---\nrest"
    assert done.card.labels == ("b", "a")
    assert done.card.header["share"] == 1.0
    assert done.card.handling == Handling(("email",), True)
    assert done.card.created_by == scope.principal.id
    assert done.card.card_id == cards.card_id_of(scope, "plan")
    assert await cards.fetch(stores, scope, [done.card.card_id]) == {done.card.card_id: done.card}


async def test_what_the_journal_tells(stores: Stores, scope_of: MakeScope) -> None:
    """One event with ids, version and digest, at the `seq` that was answered, in a run that the index will close."""
    scope = scope_of()
    done = await publish(stores, scope, note("Call ada@example.com\n"), train_ok=False)
    (event,) = await events(stores, scope)
    assert (event["action"], event["seq"], event["ends"]) == ("card.published", done.seq, None)
    assert (event["pii_flags"], event["train_ok"]) == ('["email"]', 0)
    assert orjson.loads(str(event["payload"])) == {
        "input": {"expectedVersion": None},
        "output": {
            "cardId": done.card.card_id,
            "version": 1,
            "digest": done.card.digest,
            "cardType": "note",
        },
    }


async def test_a_revision_follows_the_version_it_names(stores: Stores, scope_of: MakeScope) -> None:
    """Version 2 follows 1, both stay readable as they were."""
    scope = scope_of()
    first = await publish(stores, scope, note("one\n"), expected_version=0)
    second = await publish(stores, scope, note("two\n"), expected_version=1)
    assert (second.created, second.changed, second.card.version) == (False, True, 2)
    assert second.card.card_id == first.card.card_id
    pairs = [(first.card.card_id, 1), (first.card.card_id, 2), (first.card.card_id, 3)]
    assert await cards.fetch_versions(stores, scope, pairs) == {pairs[0]: first.card, pairs[1]: second.card}


@pytest.mark.parametrize("expected", [None, 0, 1, 3])
async def test_a_wrong_version_is_refused(stores: Stores, scope_of: MakeScope, expected: int | None) -> None:
    """A conflict names the current version, and nothing was written."""
    scope = scope_of()
    await publish(stores, scope, note("one\n"))
    await publish(stores, scope, note("two\n"), expected_version=1)
    with pytest.raises(Conflict, match="current version is 2") as caught:
        await publish(stores, scope, note("three\n"), expected_version=expected)
    assert caught.value.path == ("input", "expectedVersion")
    assert len(await events(stores, scope)) == 2


async def test_a_new_card_follows_nothing(stores: Stores, scope_of: MakeScope) -> None:
    """A card that isn't there has no version 1 to follow."""
    with pytest.raises(Conflict, match="does not exist yet"):
        await publish(stores, scope_of(), note(), expected_version=1)


async def test_the_same_bytes_change_nothing(stores: Stores, scope_of: MakeScope) -> None:
    """Whatever version is named, the same text writes nothing and answers the card as it is."""
    scope = scope_of()
    first = await publish(stores, scope, note())
    for expected in (None, 0, 1, 7):
        again = await publish(stores, scope, note(), expected_version=expected, once=Once(f"key-{expected}", {}))
        assert (again.card, again.created, again.changed, again.seq) == (first.card, False, False, first.seq)
    assert len(await events(stores, scope)) == 1


async def test_an_export_is_the_same_card(stores: Stores, scope_of: MakeScope) -> None:
    """A card sent back as it was exported changes nothing, with a key and without."""
    scope = scope_of()
    for text in (note(), note(key=None)):
        card = (await publish(stores, scope, text)).card
        again = await publish(stores, scope, cards.exported(scope, card))
        assert (again.changed, again.card) == (False, card)


async def test_consent_can_be_taken_back(stores: Stores, scope_of: MakeScope) -> None:
    """The same bytes without consent are a new version; with consent again they change nothing."""
    scope = scope_of()
    await publish(stores, scope, note())
    with pytest.raises(Conflict):
        await publish(stores, scope, note(), train_ok=False)
    taken = await publish(stores, scope, note(), train_ok=False, expected_version=1)
    assert (taken.card.version, taken.card.handling.train_ok) == (2, False)
    assert not (await publish(stores, scope, note(), train_ok=True)).changed


async def test_the_header_may_refuse_consent(stores: Stores, scope_of: MakeScope) -> None:
    """`train_ok: false` in a header wins over the caller's yes; anything but true and false is refused."""
    scope = scope_of()
    assert not (await publish(stores, scope, note(more="train_ok: false\n"))).card.handling.train_ok
    assert not (
        await publish(stores, scope, note(key="b", more="train_ok: true\n"), train_ok=False)
    ).card.handling.train_ok
    with pytest.raises(Invalid) as caught:
        await publish(stores, scope, note(key="c", more="train_ok: no\n"))
    assert (caught.value.path, caught.value.line) == (("header", "train_ok"), 4)


async def test_a_card_without_a_key_gets_one(stores: Stores, scope_of: MakeScope) -> None:
    """The same text twice makes two cards; each is revised by its id."""
    scope = scope_of()
    first, second = await publish(stores, scope, note(key=None)), await publish(stores, scope, note(key=None))
    assert first.card.card_id != second.card.card_id
    revised = await publish(stores, scope, note("new\n", key=None), card_id=first.card.card_id, expected_version=1)
    assert (revised.card.card_id, revised.card.key, revised.card.version) == (first.card.card_id, first.card.key, 2)


async def test_a_key_may_be_given_beside_the_text(stores: Stores, scope_of: MakeScope) -> None:
    """It names a card whose header names none; a malformed one is refused."""
    scope = scope_of()
    first = await publish(stores, scope, note(key=None), key="import/a.md")
    assert first.card.card_id == cards.card_id_of(scope, "import/a.md")
    assert not (await publish(stores, scope, note(key=None), key="import/a.md")).changed
    assert (await publish(stores, scope, note(), key="import/b.md")).card.key == "plan"
    with pytest.raises(Invalid, match="key is malformed"):
        await publish(stores, scope, note(key=None), key="Not A Key")


async def test_id_and_key_must_agree(stores: Stores, scope_of: MakeScope) -> None:
    """A card keeps its key, and an unknown id is not found."""
    scope = scope_of()
    other = (await publish(stores, scope, note(key="other"))).card
    with pytest.raises(Invalid) as caught:
        await publish(stores, scope, note(key="plan"), card_id=other.card_id, expected_version=1)
    assert (caught.value.path, caught.value.line) == (("header", "key"), 3)
    with pytest.raises(NotFound):
        await publish(stores, scope, note(key=None), card_id="card_" + "0" * 32)
    assert (
        await publish(stores, scope, note("new\n", key=None), card_id=other.card_id, expected_version=1)
    ).card.key == "other"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", "2"),
        ("tenant_id", "t_globex"),
        ("env", "prod"),
        ("created_at", "'2026-11-01T09:00:00.000000Z'"),
        ("created_by", "somebody"),
        ("card_id", "card_00000000000000000000000000000000"),
    ],
)
async def test_what_the_engine_owns_is_not_stated_otherwise(
    stores: Stores, scope_of: MakeScope, name: str, value: str
) -> None:
    """Another value is refused with its line, and nothing is kept."""
    scope = scope_of()
    for key in ("plan", None):
        with pytest.raises(Invalid, match=f"{name} states another value") as caught:
            await publish(stores, scope, note(key=key, more=f"{name}: {value}\n"))
        assert (caught.value.path, caught.value.line, caught.value.column) == (("header", name), 4, len(name) + 3)
    assert await events(stores, scope) == []


async def test_what_the_engine_owns_may_be_stated_rightly(stores: Stores, scope_of: MakeScope) -> None:
    """The true values pass."""
    scope = scope_of()
    card_id = cards.card_id_of(scope, "plan")
    stated = f"version: 1\ntenant_id: t_acme\nenv: dev\ncreated_by: owner@t_acme\ncard_id: {card_id}\n"
    assert (await publish(stores, scope, note(more=stated))).card.version == 1


async def test_a_card_keeps_its_type(stores: Stores, scope_of: MakeScope) -> None:
    """A strategic card can't become an ordinary one by revision, nor the other way."""
    scope = scope_of()
    await publish(stores, scope, note())
    with pytest.raises(Invalid, match="keeps its type") as caught:
        await publish(stores, scope, note().replace("card_type: note", "card_type: memo"), expected_version=1)
    assert (caught.value.path, caught.value.line) == (("header", "card_type"), 2)


async def test_a_manifest_is_obeyed(stores: Stores, scope_of: MakeScope) -> None:
    """A header that breaks its manifest is refused where it does; strategic types are told; opaque types pass."""
    scope = scope_of()
    with pytest.raises(Invalid) as caught:
        await publish(stores, scope, surface("overview", "a").replace("overview", "Over view"))
    assert caught.value.path == ("header", "surface")
    assert await events(stores, scope) == []
    assert not (await publish(stores, scope, "---\ncard_type: made_up\n---\n")).strategic
    told = await cards.propose(stores, SHIPPED, scope, surface("overview", "a"), train_ok=True)
    assert (told.strategic, told.surfaces, told.named) == (True, ("overview",), True)


async def test_a_singleton_has_one_place(stores: Stores, scope_of: MakeScope) -> None:
    """The second card for a surface is refused and the first one named; retiring the first frees the place."""
    scope = scope_of()
    first = (await publish(stores, scope, surface("overview", "a"))).card
    await publish(stores, scope, surface("runs", "b"))
    with pytest.raises(Conflict, match=first.card_id):
        await publish(stores, scope, surface("overview", "c"))
    with pytest.raises(Conflict, match=first.card_id):  # moving there is no way around
        await publish(stores, scope, surface("overview", "b"), expected_version=1)
    moved = await publish(stores, scope, surface("elsewhere", "a"), expected_version=1)
    assert (await publish(stores, scope, surface("overview", "c"))).created
    await cards.retire(stores, MANIFESTS, scope, moved.card.card_id, 2)
    assert (await publish(stores, scope, surface("elsewhere", "d"))).created


async def test_a_retired_card_stays_retired(stores: Stores, scope_of: MakeScope) -> None:
    """Neither new bytes nor the same ones bring it back."""
    scope = scope_of()
    card = (await publish(stores, scope, note())).card
    await cards.retire(stores, MANIFESTS, scope, card.card_id, 1)
    for text in (note(), note("new\n")):
        with pytest.raises(Conflict, match="retired"):
            await publish(stores, scope, text, expected_version=1)


async def test_a_dry_run_says_and_does_nothing(stores: Stores, scope_of: MakeScope) -> None:
    """It tells what would come, refuses what would be refused, and leaves no trace."""
    scope = scope_of()
    rehearsal = replace(scope, rehearsal=True)
    told = await publish(stores, rehearsal, note())
    assert (told.created, told.changed, told.card.version) == (True, True, 1)
    assert await events(stores, scope) == []
    await publish(stores, scope, note())
    assert not (await publish(stores, rehearsal, note())).changed
    assert (await publish(stores, rehearsal, note("two\n"), expected_version=1)).card.version == 2
    with pytest.raises(Conflict):
        await publish(stores, rehearsal, note("two\n"))
    assert len(await events(stores, scope)) == 1


async def test_once_is_once(stores: Stores, scope_of: MakeScope) -> None:
    """A repetition gets the same version, also after others followed; another request under that key is refused."""
    scope = scope_of()
    text = note(key=None)
    first = await publish(stores, scope, text, once=Once("k", {"text": text}))
    assert await publish(stores, scope, text, once=Once("k", {"text": text})) == first
    await publish(stores, scope, note("two\n", key=None), card_id=first.card.card_id, expected_version=1)
    again = await publish(stores, scope, text, once=Once("k", {"text": text}))
    assert (again.card, again.created, again.changed) == (first.card, True, True)
    with pytest.raises(Conflict, match="another request"):
        await publish(stores, scope, text, once=Once("k", {"text": "other"}))
    assert len(await events(stores, scope)) == 2


async def test_publishing_is_a_right(stores: Stores, scope_of: MakeScope) -> None:
    """Members and agents read."""
    for role in (Role.MEMBER, Role.AGENT):
        with pytest.raises(Forbidden):
            await publish(stores, scope_of(role=role), note())


async def test_labels_and_fields_are_those_of_the_current_version(stores: Stores, scope_of: MakeScope) -> None:
    """What an old version was labelled with finds the card no longer."""
    scope = scope_of()
    await publish(stores, scope, note(more="labels: [old, both]\ntopic: before\n"))
    await publish(stores, scope, note(more="labels: [new, both]\ntopic: after\n"), expected_version=1)

    async def count(label: str, topic: str) -> int:
        condition = cards.FieldCondition("topic", cards.Comparison.EQUALS, (topic,))
        chosen = cards.CardFilter(labels=(label,), fields=(condition,))
        return len((await cards.list_cards(stores, MANIFESTS, scope, chosen, Window(10))).items)

    assert [await count("both", "after"), await count("new", "after")] == [1, 1]
    assert [await count("old", "after"), await count("both", "before")] == [0, 0]


async def test_of_two_at_once_one_wins(stores: Stores, scope_of: MakeScope) -> None:
    """Eight revisions of the same version at the same time: one is kept, seven are conflicts."""
    scope = scope_of()
    await publish(stores, scope, note("one\n"))
    outcomes = await asyncio.gather(
        *(publish(stores, scope, note(f"two from {place}\n"), expected_version=1) for place in range(8)),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict"] * 7 + ["Published"]
    assert len(await events(stores, scope)) == 2


RACER = """
import asyncio, sys
from pathlib import Path
from nexus_graph import cards
from nexus_graph.scope.errors import Conflict
from nexus_graph.scope.resources import resource
from nexus_graph.scope.scope import Env, Scope
from side_process import at
from nexus_graph.stores.signals.local import LocalSignals
from nexus_graph.stores.work import Stores

async def main(place, name):
    database = at(place)
    await database.open()
    stores = Stores(database, None, LocalSignals())
    manifests = cards.Manifests.load(resource("core/manifests"))
    print("ready", flush=True)
    sys.stdin.readline()
    won = []
    for version in range(1, 21):
        text = f"---\\ncard_type: note\\nkey: plan\\n---\\n{version} by {name}\\n"
        try:
            await cards.publish(
                stores, manifests, Scope.system("t_acme", Env.DEV, name), text, train_ok=True, expected_version=version
            )
            won.append(version)
        except Conflict:
            pass
    print(*won)
    await database.close()

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


async def test_of_two_processes_one_wins(stores: Stores, scope_of: MakeScope) -> None:
    """Two processes race for each of twenty versions: every version is won at most once, and none is lost."""
    scope = scope_of()
    await publish(stores, scope, note("one\n"))
    pipe, place = asyncio.subprocess.PIPE, place_of(stores.database)
    racers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", RACER, place, name, stdin=pipe, stdout=pipe, env=SIDE
        )
        for name in ("red", "blue")
    ]
    async with asyncio.timeout(60):
        for racer in racers:
            assert racer.stdout is not None
            assert await racer.stdout.readline() == b"ready\n"
        outputs = [output for output, _ in await asyncio.gather(*(racer.communicate(b"go\n") for racer in racers))]
    won = sorted(int(version) for output in outputs for version in output.split())
    (card,) = (await cards.fetch(stores, scope, [cards.card_id_of(scope, "plan")])).values()
    assert won == [*range(1, 21)]
    assert card.version == 21


async def test_hostile_texts_leave_nothing(stores: Stores, scope_of: MakeScope) -> None:
    """Too long, not UTF-8, bombs: a typed error with a place, and an empty journal."""
    scope = scope_of()
    hostile: list[str | bytes] = [
        note("x" * 1024 * 1024),
        b"---\ncard_type: note\n---\n\xff",
        "---\na: &a [x]\nb: *a\n---\n",
        "---\n" + "a: " + "[" * 20_000 + "\n---\n",
        "",
        "---\n---\n",
    ]
    for text in hostile:
        with pytest.raises(Invalid):
            await publish(stores, scope, text)
    assert await events(stores, scope) == []


def test_the_parse_is_public() -> None:
    """Whoever shows a text before publishing it reads it as publishing does."""
    assert isinstance(cards.parse(note()), Parsed)
