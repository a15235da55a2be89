"""Point 5: errors have one shape on every way in, help whoever sent the request, and tell nothing of ours."""

from __future__ import annotations

import re
from typing import Any

import pytest
from conformance_table import Figure
from journey_house import Caller, World, receive, subscribe

from nexus_graph.api.errors import LONGEST_TEXT, MOST_FLAWS, MOST_LOCATIONS
from nexus_graph.api.user_errors import expected
from nexus_graph.scope import errors as known_errors
from nexus_graph.scope.errors import NexusError

CODES = {kind.code for kind in vars(known_errors).values() if isinstance(kind, type) and issubclass(kind, NexusError)}
OURS = re.compile(
    r"Traceback|site-packages|\.py\b|graphql|strawberry|object at 0x|<class|Exception"
    r"|[a-z]Error\b|sqlite|encountered|sys\.|\b(None|True|False|dict|str|int|NoneType|Undefined)\b"
)
"""What no message may hold: Python's names and values, and those of what we are made of."""

CARD = "query Q($id: ID!) { card(id: $id) { id } }"
CARDS = "query Q($f: CardFilterInput) { cards(first: 1, filter: $f) { edges { cursor } } }"
SWITCH = (
    "mutation Q($t: KillSwitchTarget!) { "
    'engageKillSwitch(input: {target: $t, reason: "x", dryRun: true}) { __typename } }'
)

WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "no document": ("x", {}),
    "an open brace": ("{ viewer { role }", {}),
    "a wrong quote": ("{ card(id: 'x') { id } }", {}),
    "a wrong escape": ('{ card(id: "\\ud800") { id } }', {}),
    "an unknown field": ("{ vieweer { role } }", {}),
    "an unknown argument": ("{ card(idd: 1, id: 2) { id } }", {}),
    "an unknown type": ("{ ... on Qery { viewer { role } } }", {}),
    "an unknown fragment": ("{ ...Nowhere }", {}),
    "an unknown directive": ("{ viewer @skipp { role } }", {}),
    "an unknown enum value": (SWITCH.replace("($t: KillSwitchTarget!)", "").replace("$t", "EVERYTHIN"), {}),
    "an unknown member": ("{ cards(first: 1, filter: {typse: [1]}) { edges { cursor } } }", {}),
    "no selection": ("{ viewer }", {}),
    "a selection of a leaf": ("{ viewer { role { x } } }", {}),
    "no argument": ("{ card { id } }", {}),
    "an argument of another type": ("{ card(id: 1.5) { id } }", {}),
    "null where none may be": ("{ card(id: null) { id } }", {}),
    "a number of five thousand digits": ("{ cards(first: %s) { edges { cursor } } }" % ("9" * 5000), {}),
    "a large exponent": ("{ cards(first: 1e999999) { edges { cursor } } }", {}),
    "a deep literal": ("{ card(id: " + "[" * 90 + "]" * 90 + ") { id } }", {}),
    "a literal that is too deep": ("{ card(id: " + "[" * 1800 + "]" * 1800 + ") { id } }", {}),
    "a name of sixty thousand characters": ("{ %s }" % ("n" * 60_000), {}),
    "a circle of fragments": ("{ ...A } fragment A on Query { ...A }", {}),
    "fields that conflict": ("{ a: viewer { role } a: manifests { singleton } }", {}),
    "two operations": ("{ viewer { role } } { viewer { role } }", {}),
    "a schema": ("type Query { x: Int }", {}),
    "a variable that is not declared": ("{ card(id: $id) { id } }", {}),
    "a variable that is not used": ("query Q($id: ID!) { viewer { role } }", {"id": "x"}),
    "a variable of another type": (CARD.replace("ID!", "Int"), {"id": 1}),
    "a variable that is missing": (CARD, {}),
    "a variable that is null": (CARD, {"id": None}),
    "a variable that is a list": (CARD, {"id": ["x"]}),
    "a variable that is true": (CARD, {"id": True}),
    "a variable that is an object": (CARD, {"id": {"a": [None]}}),
    "an input that is a text": (CARDS, {"f": "x"}),
    "an input with an unknown member": (CARDS, {"f": {"typse": 1}}),
    "an input with a wrong member": (CARDS, {"f": {"types": [{"a": 1}]}}),
    "an enum that is unknown": (SWITCH, {"t": "EVERYTHIN"}),
    "an enum that is a number": (SWITCH, {"t": 7}),
    "a custom scalar that is wrong": (
        "query Q($at: DateTime) { audit(first: 1, filter: {since: $at}) { edges { cursor } } }",
        {"at": "yesterday"},
    ),
    "a card that is not here": ('{ node(id: "card_nowhere") { id } cards(first: 0) { edges { cursor } } }', {}),
    "a cursor that is none": ('{ cards(first: 1, after: "x") { edges { cursor } } }', {}),
    "many flaws": ("{ " + " ".join(f"x{at}" for at in range(500)) + " }", {}),
    "a wrong subscription": ("subscription { runLog { __typename } }", {}),
    "a subscription of two fields": ("subscription { a: __typename b: __typename }", {}),
}


def check(error: dict[str, Any]) -> None:
    """The one shape, bounded, and nothing of ours in it."""
    assert set(error) <= {"message", "locations", "path", "extensions"}
    assert 0 < len(error["message"]) <= LONGEST_TEXT
    assert OURS.search(error["message"]) is None, error["message"]
    assert len(error.get("locations", ())) <= MOST_LOCATIONS
    assert all(set(place) == {"line", "column"} for place in error.get("locations", ()))
    extensions = error["extensions"]
    assert set(extensions) <= {"code", "hint", "traceId", "line", "column", "retryAfter", "since", "reason"}
    assert extensions["code"] in CODES
    assert extensions["code"] != "INTERNAL"
    assert extensions["hint"] is None or 0 < len(extensions["hint"]) <= LONGEST_TEXT
    assert re.fullmatch(r"[0-9a-f]{32}", extensions["traceId"])


async def told_by_socket(caller: Caller) -> dict[str, list[dict[str, Any]]]:
    """The errors of every wrong document, on one connection that outlives them all."""
    found = {}
    async with caller.socket() as socket:
        for name, (document, variables) in WRONG.items():
            await subscribe(socket, name, document, variables)
            message = await receive(socket)
            if message["type"] == "error":
                found[name] = message["payload"]
                continue
            found[name] = message["payload"]["errors"]
            assert (await receive(socket))["type"] == "complete"
    return found


async def test_every_wrong_request_is_answered_in_one_shape(world: World, figure: Figure) -> None:
    """Over HTTP and on a websocket, with the same words; a flawed document says what to do about it."""
    caller = world.caller("t_acme", "owner")
    on_socket = await told_by_socket(caller)
    listed = 0
    for name, (document, variables) in WRONG.items():
        by_http = caller.answer(document, variables).json()
        assert by_http.get("errors"), name
        if not document.startswith("subscription"):  # one can't be sent by HTTP at all
            assert [e["message"] for e in by_http["errors"]] == [e["message"] for e in on_socket[name]], name
        for error in (*by_http["errors"], *on_socket[name]):
            check(error)
            listed += 1
            if "path" not in error:
                assert error["extensions"]["hint"], error
        assert len(by_http["errors"]) <= MOST_FLAWS + 1
    assert {error["extensions"]["code"] for errors in on_socket.values() for error in errors} <= CODES
    figure(5, "wrong requests answered in the one shape, over HTTP and on a websocket", f"{len(WRONG)} of {len(WRONG)}")
    figure(5, "errors among them that name a Python value, class or file", f"0 of {listed}")


NAMES = (
    "an unknown field",
    "an unknown argument",
    "an unknown type",
    "an unknown enum value",
    "an unknown member",
    "an input with an unknown member",
    "an enum that is unknown",
)
"""The wrong requests with a name that is nearly one of the schema's."""


async def test_names_are_suggested_to_whoever_may_introspect(world: World, figure: Figure) -> None:
    """Documents, literals, variables, over HTTP, on a socket and for subscriptions: to an owner, never to an agent."""
    owner, agent = (world.caller("t_acme", who) for who in ("owner", "agent"))
    for name in NAMES:
        document, variables = WRONG[name]
        told = str([error["message"] for error in owner.answer(document, variables).json()["errors"]])
        assert "Did you mean" in told, name
        hidden = str(agent.answer(document, variables).json()["errors"])
        assert "Did you mean" not in hidden
    for name, errors in (await told_by_socket(agent)).items():
        messages = " ".join(error["message"] for error in errors)
        assert "Did you mean" not in messages.replace("Did you mean 'viewer { ... }'", ""), name
    async with agent.socket() as socket:
        await subscribe(socket, "1", "subscription { runLgo(runId: 1) { __typename } }", None)
        assert "Did you mean" not in (await receive(socket))["payload"][0]["message"]
    figure(5, "wrong names answered with a suggestion: to an owner", f"{len(NAMES)} of {len(NAMES)}")
    figure(5, "wrong names answered with a suggestion: to an agent, who may not introspect", f"0 of {len(WRONG)}")


@pytest.mark.parametrize("document", ["{ __schema { types { name } } }", '{ __type(name: "Card") { name } }'])
def test_introspection_takes_a_right(world: World, figure: Figure, document: str) -> None:
    """A member may, an agent is told where else to look; `__typename` is free."""
    member, agent = (world.caller("t_acme", who) for who in ("member", "agent"))
    assert member.ask(document)
    for hidden in (document, f"query Q {{ ...F }} fragment F on Query {document}"):
        error = agent.error(hidden)
        assert error["extensions"]["code"] == "FORBIDDEN"
        assert "schema/nexus.graphql" in error["extensions"]["hint"]
        check(error)
    assert agent.answer(document, Accept="application/graphql-response+json").status_code == 403
    assert agent.ask("{ __typename viewer { __typename role } }")["__typename"] == "Query"
    figure(5, "introspection without the right `schema:introspect`", "FORBIDDEN, with a hint")


def test_a_refusal_as_data_is_no_error(world: World) -> None:
    """What a user can mend in a mutation stays in the payload, so that the shape of errors need not carry it."""
    caller = world.caller("t_acme", "owner")
    answer = caller.answer('mutation { openRun(input: {title: ""}) { userErrors { code message hint path } } }').json()
    assert "errors" not in answer
    [refused] = answer["data"]["openRun"]["userErrors"]
    assert expected(known_errors.Invalid("x"))
    assert refused["code"] == "INVALID"
