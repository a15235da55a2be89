"""A tenant sees only its own: every id, cursor, key and name of another tenant or env is as good as one never heard of.

Nothing here names a field: what is called, and with what, is read from the schema that the server tells.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from foreign_places import TENANT_WIDE, Place, Probe, connections, fill, introspect, publish_settings
from foreign_slots import FREE_TEXT, Call, Slot, Unclassified, slots
from graphql import GraphQLSchema, build_schema
from journey_house import Caller, Credentials, Installation, Server, receive
from journey_steps import upload

from nexus_graph import config
from nexus_graph.scope.clock import system_clock
from nexus_graph.tenants import tokens

BOTH = "both@people.example"
APPROVER = "approver@people.example"
"""Owners of both tenants: only the header tells whose affairs are meant."""

PLACES = (("t_acme", "dev"), ("t_globex", "dev"), ("t_acme", "staging"))
PAIRS = [(PLACES[0], PLACES[1]), (PLACES[1], PLACES[0]), (PLACES[0], PLACES[2])]
VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|\+00:00)"), "<time>"),
    (re.compile(r"/objects/[A-Za-z0-9_.-]+"), "/objects/<token>"),
    (re.compile(r"nxk_[0-9a-f]{32}_[A-Za-z0-9_-]{43}"), "<key>"),
    (re.compile(r"[0-9a-f]{16,}"), "<hex>"),
    (re.compile(r'"seq":\d+|"entry_\d+"'), "<seq>"),
    (re.compile(r'"left":[0-9.]+'), "<left>"),
)
"""What differs between any two answers: times, fresh ids, digests of fresh texts, places in the journal, what is left
of a budget."""

FIND = """query Find($text: String!) {
  search(text: $text, k: 50) { hits { text version { id text artifacts { __typename } } } }
  influencePack(ask: { text: $text, k: 50 }) { content }
}"""
CARD = "query One($id: ID!) { card(id: $id) { id } }"
NEW_KEY = 'mutation { createKey(input: { name: "a key", days: 1 }) { secret userErrors { code message } } }'
SEARCH = 'query { search(text: "x") { complete } }'
CHANGES = """subscription Changes($surface: String!) { settingsChanged(surface: $surface) {
  __typename ... on SettingsChange { cardId } } }"""

HOLES = """\
import re
from nexus_graph.cards import table
from nexus_graph.stores.statement import Statement

def wide(sql):
    return re.sub(r"(card[.])?tenant_id = :tenant_id and (card[.])?env = :env", ":tenant_id <> :env", sql)

for name in ("FIND_MANY", "SETTINGS", "EXISTS"):
    setattr(table, name, Statement(wide(getattr(table, name).sql)))
table.VERSIONS = wide(table.VERSIONS)
"""
"""What a hurried hand could leave behind: statements that look into every tenant."""

Places = dict[tuple[str, str], Place]


class Walls:
    """A server with places, and the schema that it tells."""

    def __init__(self, server: Server, schema: GraphQLSchema, places: Places) -> None:
        self.server = server
        self.schema = schema
        self.places = places

    async def faults(self, viewer: Place, foreign: Place, slot: Slot) -> list[str]:
        """Where what is foreign is treated otherwise than what is unknown, or shows through."""
        found = []
        for probe in foreign.probes(slot):
            if probe.token in viewer.key:  # the viewer's own tenant, in another env
                continue
            answers = [await self.answered(viewer, slot, each) for each in (probe, probe.other())]
            if steady(answers[0]) != steady(answers[1]):
                found.append(f"{slot.name} with {probe.token}: {answers[0]} but with another: {answers[1]}")
            found += [f"{slot.name} with {probe.token} {fault}" for fault in shown(answers[0], foreign)]
        return found

    async def answered(self, viewer: Place, slot: Slot, probe: Probe) -> str:
        """The answer to a call in which only this one value is not the viewer's."""
        call = viewer.prober(self.schema).call(slot, probe.form(probe.token))
        return (await answer(viewer.caller, call)).replace(json.dumps(probe.token)[1:-1], "<sent>")


def shown(text: str, foreign: Place) -> list[str]:
    """Every word, id and cursor of a foreign place in an answer."""
    return [f"shows {word}: {text}" for word in sorted(foreign.canaries) if word in text]


async def answer(caller: Caller, call: Call) -> str:
    """Status, content type and body of an answer; of a subscription the first message."""
    if call.kind != "subscription":
        response = caller.answer(call.document, call.variables)
        return f"{response.status_code} {response.headers['content-type']} {response.text}"
    async with caller.socket() as socket:
        body = {"query": call.document, "variables": call.variables}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": body}))
        return json.dumps(await receive(socket))


def steady(text: str) -> str:
    """An answer without what differs between any two answers."""
    for pattern, mark in VOLATILE:
        text = pattern.sub(mark, text)
    return text


async def raise_walls(
    folder: Path, furnished: tuple[Path, Credentials], filled: Sequence[tuple[str, str]], *, holes: str = ""
) -> Walls:
    """A server over a copy of the furnished installation, with its places filled."""
    shutil.copytree(furnished[0], folder)
    settings = config.load({}, folder / "nexus.toml", embedder="hashing").config
    signing_key = tokens.new_development_key()
    (folder / "keys.json").write_text(json.dumps({"keys": [signing_key.as_dict(private=False)]}))
    installation = Installation(folder, token_keys=str(folder / "keys.json"), heartbeat_seconds="0.1")
    if holes:
        (folder / "sitecustomize.py").write_text(holes)
        installation.environment["PYTHONPATH"] = str(folder)
    for tenant in ("t_acme", "t_globex"):
        for subject in (BOTH, APPROVER):
            installation.run("member", "set", subject, "--tenant", tenant, "--env", "dev", "--role", "owner")
    token, approver = (
        tokens.issue(
            signing_key,
            issuer=settings.token_issuer,
            audience=settings.token_audience,
            subject=subject,
            now=system_clock(),
            lifetime=timedelta(hours=1),
        )
        for subject in (BOTH, APPROVER)
    )
    server = Server(installation)
    server.start()
    try:
        schema = introspect(Caller(server, "t_acme", token))
        places = {}
        for tenant, env in filled:
            other = Caller(server, tenant, approver, env)
            places[tenant, env] = await fill(Caller(server, tenant, token, env), other, schema)
    except BaseException:
        server.stop()
        raise
    return Walls(server, schema, places)


@pytest.fixture(scope="module")
def walls(tmp_path_factory: pytest.TempPathFactory, furnished: tuple[Path, Credentials]) -> Iterator[Walls]:
    """The places, and everything in them."""
    made = asyncio.run(raise_walls(tmp_path_factory.mktemp("walls") / "world", furnished, PLACES))
    yield made
    assert made.server.stop() == 0
    made.server.check_log()


def checked(schema: GraphQLSchema) -> list[Slot]:
    """Every argument that can name something."""
    return [slot for slot in slots(schema) if slot.leaf not in FREE_TEXT]


@pytest.mark.parametrize(("viewer", "foreign"), PAIRS, ids="/".join)
async def test_lists_and_searches_hold_nothing_foreign(
    walls: Walls, viewer: tuple[str, str], foreign: tuple[str, str]
) -> None:
    """Every list, and a search and a pack for the words of the other place, show none of its words, ids or cursors."""
    here, there = walls.places[viewer], walls.places[foreign]
    question = "The line stops when it runs dry."
    calls = [here.prober(walls.schema).connection(owner, name) for owner, name in connections(walls.schema)]
    calls.append(Call("query", FIND, {"text": question}))
    for call in calls:
        text = await answer(here.caller, call)
        assert '"errors"' not in text, text
        assert shown(text, there) == []
        assert '"edges":[]' not in text  # or it would say nothing


@pytest.mark.parametrize(("viewer", "foreign"), PAIRS, ids="/".join)
async def test_what_is_foreign_is_as_good_as_unknown(
    walls: Walls, viewer: tuple[str, str], foreign: tuple[str, str]
) -> None:
    """Every argument of the schema answers a foreign value byte for byte as one that was never heard of."""
    found, asked = [], 0
    for slot in checked(walls.schema):
        if viewer[0] != foreign[0] or slot.leaf not in TENANT_WIDE:
            found += await walls.faults(walls.places[viewer], walls.places[foreign], slot)
            asked += 1
    assert found == []
    assert asked > 60


@pytest.mark.parametrize(("viewer", "foreign"), PAIRS[:2], ids="/".join)
async def test_credentials_open_one_tenant_only(
    walls: Walls, furnished: tuple[Path, Credentials], viewer: tuple[str, str], foreign: tuple[str, str]
) -> None:
    """Tokens and keys of one tenant are to the other as to a tenant, or as a key, that does not exist."""
    credentials = furnished[1]
    for who in ("owner", "admin", "member"):
        here, nowhere = (Caller(walls.server, t, credentials[foreign[0], who]) for t in (viewer[0], "t_nobody"))
        assert await refused(here) == await refused(nowhere)
    key = credentials[foreign[0], "agent"]
    unknown = key.replace(key[4:12], "0" * 8)
    assert await refused(Caller(walls.server, viewer[0], key)) == await refused(
        Caller(walls.server, viewer[0], unknown)
    )
    staging = walls.places["t_acme", "staging"].agent
    assert await refused(Caller(walls.server, "t_acme", staging)) == await refused(
        Caller(walls.server, "t_acme", staging.replace(staging[4:12], "0" * 8))
    )


async def refused(caller: Caller) -> tuple[int, str, int, str]:
    """How somebody without access is refused, over HTTP and on a websocket."""
    response = caller.answer("{ viewer { role } }")
    assert response.status_code in (401, 403)
    async with caller.unacknowledged() as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": caller.headers}))
        await socket.wait_closed()
        assert socket.close_code == 4401
        return response.status_code, steady(response.text), socket.close_code, str(socket.close_reason)


@pytest.mark.parametrize(("viewer", "foreign"), PAIRS, ids="/".join)
async def test_a_run_of_another_place_gathers_nothing(
    walls: Walls, viewer: tuple[str, str], foreign: tuple[str, str]
) -> None:
    """Naming one's own open run of another tenant or env is refused as an unknown run is, and leaves no entry there."""
    here, there = walls.places[viewer], walls.places[foreign]
    [run] = there.ids["ResearchRun"]
    before = log_of(there)
    for document, variables in ((SEARCH, {}), (CARD, {"id": here.ids["Card"][0]}), (NEW_KEY, {})):
        answers = [
            here.caller.answer(document, variables, **{"X-Nexus-Run": name}) for name in (run, Probe(run).other().token)
        ]
        assert "open run" in answers[0].text
        assert steady(answers[0].text) == steady(answers[1].text)
    assert log_of(there) == before


def log_of(place: Place) -> Any:
    """The entries of the place's research run."""
    return place.caller.ask(
        "query Log($id: ID!) { run(id: $id) { entries log(first: 100) { edges { node { number type } } } } }",
        {"id": place.ids["ResearchRun"][0]},
    )


async def test_settings_of_another_tenant_are_not_heard(walls: Walls) -> None:
    """A stream over a surface of the same name hears its own tenant's changes and never the other's."""
    here, there = walls.places[PLACES[0]], walls.places[PLACES[1]]
    async with here.caller.stream(CHANGES, {"surface": "same_name"}) as frames:
        await anext(frames)  # a heartbeat: the stream stands
        publish_settings(there, "same_name", "Theirs")
        publish_settings(here, "same_name", "Mine")
        async for frame in frames:
            assert frame["settingsChanged"]["__typename"] != "SettingsEnd"
            if frame["settingsChanged"]["__typename"] == "SettingsChange":
                assert here.caller.ask(CARD, {"id": frame["settingsChanged"]["cardId"]})["card"] is not None
                break


def test_addresses_open_one_object_only(walls: Walls) -> None:
    """An address opens its object to whoever holds it; changed to another object, method or size it opens nothing."""
    here, there = walls.places[PLACES[0]], walls.places[PLACES[1]]
    assert there.word in httpx.get(there.download, trust_env=False).text  # a bearer capability, by design
    root, _, token = there.download.rpartition("/")
    payload, _, signature = token.partition(".")
    grant = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    mine = here.download.rpartition("/")[2]
    other_key = orjson.loads(base64.urlsafe_b64decode(mine.partition(".")[0] + "==="))["key"]
    changes = [{"key": other_key}, {"method": "PUT"}, {"expires": grant["expires"] + 1}, {"key": "../" + grant["key"]}]
    forged = [f"{_packed(grant | change)}.{signature}" for change in changes]
    forged += [f"{payload}.{mine.partition('.')[2]}", f"{mine.partition('.')[0]}.{signature}", payload, f"{payload}."]
    answers = {httpx.get(f"{root}/{each}", trust_env=False).text for each in forged}
    answers.add(httpx.get(there.upload["address"], trust_env=False).text)
    assert len(answers) == 1
    assert "FORBIDDEN" in answers.pop()
    stolen = there.upload | {"address": f"{root}/{mine}"}
    assert upload(stolen, b"x").status_code == 403


def _packed(grant: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(grant, option=orjson.OPT_SORT_KEYS)).rstrip(b"=").decode()


async def test_every_value_means_something_at_home(walls: Walls) -> None:
    """The values that were tried are alive: in their own place each argument answers one of them otherwise."""
    home = walls.places[PLACES[1]]
    for slot in checked(walls.schema):
        probes = home.probes(slot)
        answers = [
            [steady(await walls.answered(home, slot, each)) for each in (probe, probe.other())] for probe in probes
        ]
        assert any(real != unknown for real, unknown in answers) or not probes, slot.name


async def test_a_hole_is_found(tmp_path: Path, furnished: tuple[Path, Credentials]) -> None:
    """With a statement that forgets its tenant the walls do not hold, and the fault names the field."""
    walls = await raise_walls(tmp_path / "world", furnished, PLACES[:2], holes=HOLES)
    try:
        faults = {
            slot.name: await walls.faults(walls.places[PLACES[0]], walls.places[PLACES[1]], slot)
            for slot in checked(walls.schema)
            if slot.name in ("Query.asset.id", "Query.card.id", "Query.settings.surface")
        }
    finally:
        walls.server.stop()
    assert faults["Query.asset.id"] == []
    for name in ("Query.card.id", "Query.settings.surface"):
        assert "but with another" in faults[name][0]
        assert f"shows {walls.places[PLACES[1]].word}" in faults[name][-1]


@pytest.mark.parametrize(
    "field",
    ["ticket(ticketId: ID!): String", "ticket(code: String!): String", "tickets(first: Int, after: String): String"],
)
def test_an_argument_that_nobody_thought_of_is_told(walls: Walls, field: str) -> None:
    """A new argument that could name something stops the test until it is given a value."""
    schema = build_schema(f"type Query {{ known(first: Int): String {field} }}")
    [slot] = checked(schema)
    with pytest.raises(Unclassified, match="ticket"):
        walls.places[PLACES[0]].probes(slot)
