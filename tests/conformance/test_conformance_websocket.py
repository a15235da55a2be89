"""Point 2: what a client says in `graphql-transport-ws`, and what it is answered; message by message, code by code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import pytest
from conformance_answers import check_message
from conformance_table import Figure
from journey_house import Caller, World
from websocket_bytes import BINARY, RawSocket, frame, websocket

VIEWER = "{ viewer { role } }"
INIT = "INIT"
"""Stands for a good connection_init of the owner."""
ACK: dict[str, Any] = {"type": "connection_ack"}
OPEN_RUN = 'mutation { openRun(input: {title: "A socket"}) { run { id } } }'
FOLLOW = "subscription Follow($runId: ID!) { runLog(runId: $runId) { __typename } }"


class Talk(NamedTuple):
    """What is sent, and what comes back: messages, and the code and the beginning of the reason of a close."""

    sent: Sequence[Any]
    heard: Sequence[Any] = ()
    code: int | None = None
    reason: str = ""


def subscribe(operation: Any = "1", **payload: Any) -> dict[str, Any]:
    """A subscribe message."""
    return {"id": operation, "type": "subscribe", "payload": {"query": VIEWER, **payload}}


def answered(operation: str) -> list[Any]:
    """What comes back for the viewer: a result and the end."""
    shown = {"id": operation, "type": "next", "payload": {"data": {"viewer": {"role": "OWNER"}}}}
    return [shown, {"id": operation, "type": "complete"}]


def wrong(*sent: Any, after: Sequence[Any] = ()) -> Talk:
    """Something that the protocol does not specify."""
    return Talk([*after, *sent], [ACK] if after else [], 4400, "Invalid message: ")


MALFORMED: dict[str, Any] = {
    "an empty text": "",
    "no JSON": "{",
    "a text": '"ping"',
    "a number": "1",
    "null": "null",
    "true": "true",
    "an array": "[]",
    "an array with a message": '[{"type": "ping"}]',
    "NaN": '{"type": "ping", "payload": {"x": NaN}}',
    "a lone surrogate": '{"type": "\\ud800"}',
    "two messages": '{"type": "ping"}{"type": "ping"}',
    "JSON 100,000 deep": "[" * 15_000 + "]" * 15_000,
    "no type": {},
    "type null": {"type": None},
    "type a number": {"type": 1},
    "type an object": {"type": {}},
    "an unknown type": {"type": "unknown"},
    "a type of the legacy protocol": {"type": "start", "id": "1", "payload": {"query": VIEWER}},
    "a type in other letters": {"type": "Ping"},
    "connection_ack": ACK,
    "next": {"type": "next", "id": "1", "payload": {"data": None}},
    "error": {"type": "error", "id": "1", "payload": []},
    "connection_init with a text": {"type": "connection_init", "payload": "x"},
    "connection_init with a list": {"type": "connection_init", "payload": []},
    "ping with a number": {"type": "ping", "payload": 1},
    "pong with a list": {"type": "pong", "payload": []},
    "complete without id": {"type": "complete"},
    "complete with a number": {"type": "complete", "id": 1},
    "complete with an empty id": {"type": "complete", "id": ""},
    "subscribe without id": {"type": "subscribe", "payload": {"query": VIEWER}},
    "subscribe with id null": subscribe(None),
    "subscribe with a number as id": subscribe(1),
    "subscribe with an empty id": subscribe(""),
    "subscribe with a long id": subscribe("x" * 129),
    "subscribe without payload": {"type": "subscribe", "id": "1"},
    "subscribe with a text": {"type": "subscribe", "id": "1", "payload": VIEWER},
    "subscribe with a list": {"type": "subscribe", "id": "1", "payload": [VIEWER]},
    "subscribe with an empty payload": {"type": "subscribe", "id": "1", "payload": {}},
    "subscribe with query null": subscribe(query=None),
    "subscribe with query 1": subscribe(query=1),
    "subscribe with an object as query": subscribe(query={}),
    "subscribe with variables in a list": subscribe(variables=[]),
    "subscribe with variables as text": subscribe(variables="{}"),
    "subscribe with a number as operationName": subscribe(operationName=1),
    "subscribe with extensions in a list": subscribe(extensions=[]),
    "a binary frame": frame(json.dumps({"type": "ping"}), BINARY),
    "an empty binary frame": frame(b"", BINARY),
}

TALKS: dict[str, Talk] = {
    **{f"{name}, at first": wrong(sent) for name, sent in MALFORMED.items()},
    **{f"{name}, once acknowledged": wrong(sent, after=[INIT]) for name, sent in MALFORMED.items()},
    "init": Talk([INIT], [ACK]),
    "init twice": Talk([INIT, INIT], [ACK], 4429, "Too many initialisation requests"),
    "init without payload": Talk([{"type": "connection_init"}], [], 4401, "UNAUTHENTICATED: "),
    "init with payload null": Talk([{"type": "connection_init", "payload": None}], [], 4401, "UNAUTHENTICATED: "),
    "init with an empty payload": Talk([{"type": "connection_init", "payload": {}}], [], 4401, "UNAUTHENTICATED: "),
    "subscribe before init": Talk([subscribe()], [], 4401, "Unauthorized"),
    "subscribe before init, twice": Talk([subscribe(), subscribe()], [], 4401, "Unauthorized"),
    "ping before init": Talk([{"type": "ping"}, INIT], [{"type": "pong"}, ACK]),
    "ping": Talk([INIT, {"type": "ping"}], [ACK, {"type": "pong"}]),
    "ping with payload null": Talk([{"type": "ping", "payload": None}], [{"type": "pong"}]),
    "ping with a payload": Talk(
        [{"type": "ping", "payload": {"at": [1, "é"]}}], [{"type": "pong", "payload": {"at": [1, "é"]}}]
    ),
    "ping with an empty payload": Talk([{"type": "ping", "payload": {}}], [{"type": "pong", "payload": {}}]),
    "ping with more members": Talk([{"type": "ping", "id": "1", "x": 1}], [{"type": "pong"}]),
    "pong": Talk(
        [{"type": "pong"}, INIT, {"type": "pong", "payload": {"x": 1}}, {"type": "ping"}], [ACK, {"type": "pong"}]
    ),
    "complete of an unknown id": Talk(
        [INIT, {"type": "complete", "id": "nobody"}, {"type": "ping"}], [ACK, {"type": "pong"}]
    ),
    "complete of an unknown id before init": Talk([{"type": "complete", "id": "1"}, INIT], [ACK]),
    "a query": Talk([INIT, subscribe()], [ACK, *answered("1")]),
    "members that are null": Talk(
        [INIT, subscribe(variables=None, operationName=None, extensions=None)], [ACK, *answered("1")]
    ),
    "the longest id": Talk([INIT, subscribe("x" * 128)], [ACK, *answered("x" * 128)]),
    "an id in any letters": Talk([INIT, subscribe("é\u2028 \0")], [ACK, *answered("é\u2028 \0")]),
    "a syntax error": Talk([INIT, subscribe(query="{"), {"type": "ping"}], [ACK, ("1", "INVALID"), {"type": "pong"}]),
    "an unknown field": Talk([INIT, subscribe(query="{ nothing }")], [ACK, ("1", "INVALID")]),
    "an empty query": Talk([INIT, subscribe(query="")], [ACK, ("1", "INVALID")]),
    "variables of another type": Talk(
        [INIT, subscribe(query="query ($id: ID!) { card(id: $id) { id } }", variables={"id": []})],
        [ACK, ("1", "INVALID")],
    ),
    "no such operation": Talk([INIT, subscribe(operationName="B")], [ACK, ("1", "INVALID")]),
    "a subscription to nothing": Talk([INIT, subscribe(query="subscription { nothing }")], [ACK, ("1", "INVALID")]),
}


def bytes_of(owner: Caller, each: Any) -> bytes:
    """What is sent for one element of a talk."""
    if isinstance(each, bytes):
        return each
    if each == INIT:
        each = {"type": "connection_init", "payload": owner.headers}
    return frame(each if isinstance(each, str) else json.dumps(each))


def is_like(got: Any, expected: Any) -> bool:
    """Whether a message is as expected: `(id, code)` is an error with that code, and what it costs is not compared."""
    if isinstance(expected, tuple):
        wanted, code = expected
        return (got.get("id"), got["type"]) == (wanted, "error") and got["payload"][0]["extensions"]["code"] == code
    if got.get("type") == "next":
        got = got | {"payload": {name: value for name, value in got["payload"].items() if name != "extensions"}}
    return bool(got == expected)


async def held(port: int, owner: Caller, talk: Talk) -> str | None:
    """Hold a talk; what was otherwise, or None."""
    async with websocket(port) as socket:
        await socket.send(b"".join(bytes_of(owner, each) for each in talk.sent))
        waiting = [*talk.heard]
        while waiting:
            got = await socket.message()
            check_message(got)
            found = next((each for each in waiting if is_like(got, each)), None)
            if found is None:
                return f"heard {got!r:.200}"
            waiting.remove(found)
        if talk.code is None:
            await socket.send(frame(b"\x03\xe8", 0x8))
            return None if (await socket.closed())[0] == 1000 else "not closed by the client"
        code, reason = await socket.closed()
        assert len(reason.encode()) <= 123
        return None if code == talk.code and reason.startswith(talk.reason) else f"closed with {code} {reason}"


async def test_every_message_is_answered_as_the_protocol_says(world: World, figure: Figure) -> None:
    """Each talk on a socket of its own, its messages sent at once, without waiting for answers."""
    owner = world.caller("t_acme", "owner")
    otherwise = {}
    for name, talk in TALKS.items():
        try:
            if fault := await held(world.server.port, owner, talk):
                otherwise[name] = fault
        except (AssertionError, TimeoutError, asyncio.IncompleteReadError) as error:
            otherwise[name] = repr(error)
    assert otherwise == {}
    closed = [talk.code for talk in TALKS.values() if talk.code]
    figure(2, "conversations in graphql-transport-ws that went as the protocol says", f"{len(TALKS)} of {len(TALKS)}")
    figure(2, "of these, malformed messages closed with 4400", closed.count(4400))


async def opened(owner: Caller) -> str:
    """A run that stays open."""
    return str((await asyncio.to_thread(owner.ask, OPEN_RUN))["openRun"]["run"]["id"])


async def begun(socket: RawSocket, operation: str, run_id: str) -> None:
    """Follow a run, until its first frame is there."""
    await socket.say(subscribe(operation, query=FOLLOW, variables={"runId": run_id}))
    message = await socket.message()
    assert (message["id"], message["type"]) == (operation, "next")


async def test_an_id_belongs_to_one_operation(world: World) -> None:
    """While it runs, the same id closes with 4409, which names it; once it is completed, by either side, it is free."""
    owner = world.caller("t_acme", "owner")
    run_id = await opened(owner)
    for operation, named in (("a", "a already exists"), ("é" * 60, ""), ("x" * 128, "")):
        async with websocket(world.server.port, init=owner.headers) as socket:
            await begun(socket, operation, run_id)
            await socket.say(subscribe(operation))
            code, reason = await socket.closed()
            assert (code, reason.startswith("Subscriber for " + operation[:20])) == (4409, True)
            assert reason.endswith(named)
            assert len(reason.encode()) <= 123
    async with websocket(world.server.port, init=owner.headers) as socket:
        for _ in range(3):
            await begun(socket, "a", run_id)
            await socket.say({"id": "a", "type": "complete"})
            await socket.say(subscribe("a"))
            assert is_like(await socket.message(), answered("a")[0])
            assert await socket.message() == answered("a")[1]
        await socket.say({"id": "a", "type": "complete"})
        await socket.say({"type": "ping"})
        assert await socket.message() == {"type": "pong"}, "what is over can be completed once more"


async def test_streams_that_open_at_once_open_all(world: World) -> None:
    """Of several sockets, among others that are refused in every way, given up, or cut off in the midst of it."""
    owner = world.caller("t_acme", "owner")
    run_id = await opened(owner)
    unlike: list[dict[str, Any]] = [
        {"runId": "run_" + "0" * 32},  # none of that id
        {"runId": run_id, "after": "no cursor"},
        {"runId": None},
        {},
    ]
    query = "subscription Follow($runId: ID!, $after: String) { runLog(runId: $runId, after: $after) { __typename } }"
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(websocket(world.server.port, init=owner.headers)) for _ in range(4)]
        await sockets[0].say(subscribe("known", query=query, variables={"runId": run_id}))
        assert (await sockets[0].message())["type"] == "next"
        for number in range(12):
            for socket in sockets[:3]:
                await socket.say(subscribe(f"good {number}", query=query, variables={"runId": run_id}))
                await socket.say(subscribe(f"bad {number}", query=query, variables=unlike[number % len(unlike)]))
                await socket.say(subscribe(f"idle {number}", query=query, variables={"runId": run_id}))
                await socket.say({"id": f"idle {number}", "type": "complete"})
            await sockets[3].say(subscribe(f"cut {number}", query=query, variables={"runId": run_id}))
        sockets[3].writer.transport.abort()
        for socket in sockets[:3]:
            told = dict[str, str]()
            while len([name for name in told if not name.startswith("idle")]) < 24:
                message = await socket.message()
                if message["id"] != "known":
                    told.setdefault(message["id"], message["type"])
            assert {told[f"good {number}"] for number in range(12)} == {"next"}
            assert {told[f"bad {number}"] for number in range(12)} <= {"error", "next"}
        for step in range(60):  # completed at some moment of the opening
            await sockets[0].say(subscribe(f"late {step}", query=query, variables={"runId": run_id}))
            await asyncio.sleep(step / 5000)
            await sockets[0].say({"id": f"late {step}", "type": "complete"})
    async with websocket(world.server.port, init=owner.headers) as socket:
        await begun(socket, "after", run_id)


async def test_one_operation_never_disturbs_another(world: World) -> None:
    """Wrong ones, refused ones and completed ones come and go beside a stream, which misses nothing."""
    owner, member = world.caller("t_acme", "owner"), world.caller("t_acme", "member")
    run_id = await opened(member)
    append = 'mutation ($id: ID!) { appendRunLog(input: {runId: $id, text: "x"}) { entry { number } } }'
    forbidden = "{ members(first: 1) { edges { cursor } } }"
    async with websocket(world.server.port, init=member.headers) as socket:
        await begun(socket, "stream", run_id)
        sent = [
            subscribe("syntax", query="{"),
            subscribe("unknown", query="{ nothing }"),
            subscribe("forbidden", query=forbidden),
            subscribe("halves", query="{ viewer { role } members(first: 1) { edges { cursor } } }"),
            subscribe("no run", query=FOLLOW, variables={"runId": "run_" + "0" * 32}),
            subscribe("digest", query=None, extensions={"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}),
            subscribe("good", query=append, variables={"id": run_id}),
        ]
        await socket.send(b"".join(frame(json.dumps(each)) for each in sent))
        heard: dict[str, list[str]] = {}
        streamed = 0
        while len([each for each in heard.values() if each[-1] in ("error", "complete")]) < len(sent) or not streamed:
            message = await socket.message()
            check_message(message)
            if message["id"] == "stream":
                streamed += 1
            else:
                heard.setdefault(message["id"], []).append(message["type"])
        assert heard["good"] == ["next", "complete"]
        assert heard["syntax"] == heard["unknown"] == heard["digest"] == ["error"]
        assert set(map(tuple, (heard["forbidden"], heard["halves"], heard["no run"]))) <= {
            ("next", "complete"),
            ("error",),
        }
        await socket.say({"id": "stream", "type": "complete"})
        await socket.say({"type": "ping"})
        assert await socket.message() == {"type": "pong"}, "not a word of the stream any more"
    assert owner.ask(VIEWER)["viewer"]["role"] == "OWNER"


async def test_nothing_is_done_after_a_close(world: World) -> None:
    """What was sent behind a message that closes the socket is not looked at, a mutation least of all."""
    owner = world.caller("t_acme", "owner")
    titles = "{ runs(first: 100, filter: {kinds: [RESEARCH]}) { edges { node { ... on ResearchRun { title } } } } }"
    opening = subscribe("late", query='mutation { openRun(input: {title: "Too late"}) { run { id } } }')
    for last in ("{", {"type": "connection_init"}, subscribe("a", query=1)):
        async with websocket(world.server.port, init=owner.headers) as socket:
            more = bytes_of(owner, {"type": "complete", "id": "nobody"}) * 150  # time for what is begun to be done
            await socket.send(bytes_of(owner, last) + bytes_of(owner, opening) + more)
            assert (await socket.closed())[0] in (4400, 4429)
    assert "Too late" not in json.dumps(await asyncio.to_thread(owner.ask, titles))


@pytest.mark.parametrize("offered", [None, "graphql-ws", "graphql-transport-ws2", "soap, graphql-ws"])
async def test_no_other_protocol_is_spoken(world: World, offered: str | None) -> None:
    """The legacy one, an unknown one and none are closed with 4406, and not a word is said."""
    async with websocket(world.server.port, Sec_WebSocket_Protocol=offered) as socket:
        assert await socket.closed() == (4406, "Subprotocol not acceptable")


async def test_the_protocol_is_chosen_among_others(world: World) -> None:
    """A client that speaks both is answered in the current one."""
    owner = world.caller("t_acme", "owner")
    offered = "graphql-ws, graphql-transport-ws"
    async with websocket(world.server.port, init=owner.headers, Sec_WebSocket_Protocol=offered) as socket:
        await socket.say(subscribe())
        assert is_like(await socket.message(), answered("1")[0])
