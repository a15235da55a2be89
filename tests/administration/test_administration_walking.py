"""The walk of the proof of isolation finds the holes that are cut on purpose, and tells what nobody classified."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import httpx
import orjson
import pytest
import pytest_asyncio
from graphql import build_schema

from nexus_graph.administration.isolation import opening
from nexus_graph.administration.isolation.addresses import read_grant
from nexus_graph.administration.isolation.callers import Caller
from nexus_graph.administration.isolation.filling import collect_cursors, fill
from nexus_graph.administration.isolation.model import Tally
from nexus_graph.administration.isolation.places import Filled, introspect
from nexus_graph.administration.isolation.slots import Unclassified
from nexus_graph.administration.isolation.walking import Walk, checked
from nexus_graph.api.paging import CursorList, Cursors
from nexus_graph.cards import table as cards
from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores import repeating
from nexus_graph.stores.blobs.grants import Grant, Signer
from nexus_graph.stores.statement import Statement
from nexus_graph.tenants import table as tenants

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLACES = {
    ("t_proof_one", "dev"): "canaryaaaaaaaaaaaaaaaaaaaaaaaa",
    ("t_proof_two", "dev"): "canarycccccccccccccccccccccccc",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def walk() -> AsyncIterator[Walk]:
    """Two filled places, and nothing tried yet."""
    async with opening.opened(PLACES) as (world, _):
        schema = await introspect(world.places[0].both)
        yield Walk(schema, {place.name: await fill(place, schema) for place in world.places}, Tally())


Step = Callable[[Walk, Filled, Filled], Awaitable[None]]


def into(name: str) -> Step:
    """Trying one argument."""

    async def step(walk: Walk, here: Filled, there: Filled) -> None:
        [slot] = [each for each in checked(walk.schema) if each.name == name]
        await walk.argument(here, there, slot)

    return step


async def a_fresh_cursor(walk: Walk, here: Filled, there: Filled) -> None:
    """Trying a cursor that is as new as the hole."""
    there = replace(there, cursors={})
    await collect_cursors(there, walk.schema)
    await into("Query.cards.after")(walk, here, there)


def forget_the_tenant_of_a_card(patch: pytest.MonkeyPatch) -> None:
    """Reading by id."""
    patch.setattr(cards, "FIND_MANY", wide(cards.FIND_MANY))


def forget_the_tenant_of_the_settings(patch: pytest.MonkeyPatch) -> None:
    """Reading by name."""
    sql = cards.SETTINGS.sql.replace("card_fields where", "card_fields card where card.tenant_id <> '' and")
    patch.setattr(cards, "SETTINGS", wide(Statement(sql)))


def accept_cursors_of_elsewhere(patch: pytest.MonkeyPatch) -> None:
    """Cursors that are bound to the list, but not to its tenant."""
    patch.setattr(Cursors, "list_of", lambda self, scope, name, conditions=None: CursorList(name.encode()))


def accept_cursors_of_nobody(patch: pytest.MonkeyPatch) -> None:
    """Cursors whose signature nobody looks at."""
    patch.setattr(CursorList, "_mac", lambda self, body: b"0" * 16)
    patch.setattr("nexus_graph.api.paging.hmac.compare_digest", lambda one, other: True)


def share_idempotency_keys(patch: pytest.MonkeyPatch) -> None:
    """An answer is found by its key alone."""
    patch.setattr(repeating, "FIND", wide(repeating.FIND))


def sign_nothing(patch: pytest.MonkeyPatch) -> None:
    """An address is good for whatever it says."""
    patch.setattr(Signer, "grant", lambda self, token, method, now: Grant(**read_grant(token.partition(".")[0])))


def hear_everybody(patch: pytest.MonkeyPatch) -> None:
    """A stream over every tenant's journal."""
    sql = cards.CHANGES.sql.replace("seq > :after", ":after <> -1")
    patch.setattr(cards, "CHANGES", wide(Statement(sql)))


def take_keys_of_everywhere(patch: pytest.MonkeyPatch) -> None:
    """An API key opens every tenant."""
    patch.setattr(tenants, "FIND_KEY", wide(tenants.FIND_KEY))


def wide(statement: Statement) -> Statement:
    """The same, looking into every tenant though it names the caller's."""
    sql = re.sub(r"(\w+[.])?tenant_id = :tenant_id and (\w+[.])?env = :env", ":tenant_id <> :env", statement.sql)
    return Statement(sql)


@pytest.mark.parametrize(
    ("step", "cut", "told"),
    [
        (
            into("Query.card.id"),
            forget_the_tenant_of_a_card,
            r"^Query\.card\.id with card_\w+ of t_proof_two/dev",
        ),
        (
            into("Query.settings.surface"),
            forget_the_tenant_of_the_settings,
            r"^Query\.settings\.surface with \w+ of t_proof_two",
        ),
        (a_fresh_cursor, accept_cursors_of_elsewhere, r"^Query\.cards\.after .*with one never heard of"),
        (into("Query.cards.after"), accept_cursors_of_nobody, r"^Query\.cards\.after .*is taken for a cursor"),
        (
            into("Mutation.openRun.input.idempotencyKey"),
            share_idempotency_keys,
            r"^Mutation\.openRun\.input\.idempotencyKey .*with one never heard of",
        ),
        (Walk.addresses, sign_nothing, r"^an address of t_proof_two/dev, changed to GET .*, opens"),
        (Walk.settings_stream, hear_everybody, r"^settingsChanged of t_proof_one/dev hears card_\w+ of another"),
        (Walk.credentials, take_keys_of_everywhere, r"^credentials of a agent of t_proof_two/dev in t_proof_one/dev"),
    ],
    ids=lambda value: value.__name__ if callable(value) and value.__name__ != "step" else "",
)
async def test_a_hole_that_is_cut_is_found(
    walk: Walk, monkeypatch: pytest.MonkeyPatch, step: Step, cut: Callable[[pytest.MonkeyPatch], None], told: str
) -> None:
    """The same step finds nothing while the walls stand, and names the place as soon as the hole is cut."""
    here, there = walk.places.values()
    tried = Walk(walk.schema, walk.places, Tally())
    await step(tried, here, there)
    assert tried.tally.faults == []
    assert tried.tally.tried.total() > 0
    cut(monkeypatch)
    await step(tried, here, there)
    assert [fault for fault in tried.tally.faults if re.search(told, fault)], tried.tally.faults


@pytest.mark.parametrize(
    "field",
    ["ticket(ticketId: ID!): String", "ticket(code: String!): String", "tickets(first: Int, after: String): String"],
)
async def test_an_argument_that_nobody_thought_of_is_told(walk: Walk, field: str) -> None:
    """A new argument that could name something is a fault until it is given a value, and is never passed over."""
    here, there = walk.places.values()
    [slot] = checked(build_schema(f"type Query {{ known(first: Int): String {field} }}"))
    with pytest.raises(Unclassified, match="ticket"):
        there.probes(slot)
    tried = Walk(walk.schema, walk.places, Tally())
    await tried.argument(here, there, slot)
    assert [fault for fault in tried.tally.faults if fault.startswith(f"{slot.name} was not tried")]


async def test_what_means_nothing_at_home_is_told(walk: Walk) -> None:
    """A value that its own place does not know either proves nothing, and that is a fault."""
    here, _ = walk.places.values()
    [slot] = [each for each in checked(walk.schema) if each.name == "Query.lock.id"]
    tried = Walk(walk.schema, walk.places, Tally())
    await tried.at_home(here, slot)
    assert tried.tally.faults == []
    nothing = Filled(here.place, here.name, ids={"Card": ["card_" + "0" * 32]})
    await tried.at_home(nothing, slot)
    assert tried.tally.faults == [
        "Query.lock.id: what was tried means nothing at home either, so that it proves nothing"
    ]


async def test_whoever_is_throttled_comes_back() -> None:
    """A caller waits as long as it is told, then asks again; any other refusal is told at once."""
    told = {"message": "Too fast.", "extensions": {"code": "THROTTLED", "retryAfter": 0.01}}
    answers = [{"errors": [told]}, {"errors": [told]}, {"data": {"viewer": {"role": "OWNER"}}}]
    answers.append({"errors": [{"message": "No.", "extensions": {"code": "FORBIDDEN"}}]})
    served = iter(answers)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=orjson.dumps(next(served))))
    async with httpx.AsyncClient(transport=transport) as http:
        caller = Caller(http, "http://nowhere", "t_a", "dev", "owner", "token")
        assert await caller.data("{ viewer { role } }") == {"role": "OWNER"}
        with pytest.raises(Unavailable, match=r"owner of t_a/dev was refused what it may do: No\."):
            await caller.data("{ viewer { role } }")
