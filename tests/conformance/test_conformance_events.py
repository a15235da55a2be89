"""Streams over HTTP: the graphql-sse protocol in distinct connections mode, and multipart subscriptions."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import httpx
import pytest
from conformance_answers import check_answer, check_response
from conformance_table import Figure
from journey_house import WAIT_SECONDS, Caller, MakeWorld, World, http

from nexus_graph import config
from nexus_graph.administration.directory import development_token

EVENTS, JSON, NEW = "text/event-stream", "application/json", "application/graphql-response+json"
PARTS = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0,application/json'
URQL = f"{NEW}, {JSON}, {EVENTS}, multipart/mixed"
ROLE = "{ viewer { role } }"
LINE = re.compile(rb"(:.*|event: (next|complete)|id: [!-~]+|data:( .*)?|)")


class Event(NamedTuple):
    """One event of a stream."""

    name: str
    id: str | None
    data: str

    @property
    def answer(self) -> Any:
        """The answer that it carries, which is well-formed."""
        answer = json.loads(self.data)
        check_answer(answer)
        return answer


def events(pieces: Iterator[bytes]) -> Iterator[Event]:
    """Read events as the standard for them says, and as strictly as the protocol allows."""
    fields: dict[str, str] = {}
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            assert LINE.fullmatch(line), line
            if line.startswith(b":"):
                continue
            if line:
                name, _, value = line.decode().partition(":")
                fields[name] = value.removeprefix(" ")
            elif fields:
                yield Event(fields["event"], fields.get("id"), fields["data"])
                fields = {}
    assert (rest, fields) == (b"", {})


@contextmanager
def opened(caller: Caller, query: str, accept: str = EVENTS, method: str = "POST", **more: Any) -> Iterator[Any]:
    """A response that is not read yet."""
    variables, headers = more.pop("variables", {}), caller.headers | {"Accept": accept} | more
    address = f"{caller.server.address}/graphql"
    sent: dict[str, Any] = {"json": {"query": query, "variables": variables}}
    if method == "GET":
        sent = {"params": {"query": query, "variables": json.dumps(variables)}}
    with (
        httpx.Client(timeout=WAIT_SECONDS, trust_env=False) as client,
        client.stream(method, address, headers=headers, **sent) as response,
    ):
        yield response


def told(caller: Caller, query: str, *arguments: str, **more: Any) -> list[Event]:
    """Every event of a stream that ends, `complete` as the last one."""
    with opened(caller, query, *arguments, **more) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"] == f"{EVENTS}; charset=utf-8"
        assert response.headers["x-accel-buffering"] == "no"
        assert "no-store" in response.headers["cache-control"]
        found = list(events(response.iter_bytes()))
    assert [event.name for event in found] == ["next"] * (len(found) - 1) + ["complete"]
    assert found[-1].data == ""
    return found[:-1]


def numbers(found: list[Event]) -> list[int]:
    """The numbers of the entries that a followed run told."""
    frames = [event.answer["data"]["runLog"] for event in found]
    return [frame["entry"]["number"] for frame in frames if frame["__typename"] == "RunLogEntry"]


def run(caller: Caller, world: World, entries: int, text: str = "noted", *, closed: bool = True) -> str:
    """A run with so many entries, its opening and its end among them."""
    run_id: str = caller.ask(world.document("agent/OpenRun"), {"title": "streamed"})["openRun"]["run"]["id"]
    for _ in range(entries - 1 - closed):
        caller.ask(world.document("agent/AppendRunLog"), {"runId": run_id, "text": text})
    if closed:
        caller.ask(world.document("agent/CloseRun"), {"runId": run_id, "status": "SUCCEEDED"})
    return run_id


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_subscription_is_streamed(world: World, method: str) -> None:
    """Each answer is a `next` with the cursor of its frame as id; `complete` is the last event."""
    caller = world.caller("t_acme", "member")
    follow, variables = world.document("dashboard/FollowRun"), {"runId": run(caller, world, 4)}
    for accept in (EVENTS, URQL):
        found = told(caller, follow, accept, method, variables=variables)
        assert numbers(found) == [1, 2, 3, 4]
        frames = [event.answer["data"]["runLog"] for event in found]
        assert frames[-1]["reason"] == "RUN_ENDED"
        assert [event.id for event in found[:4]] == [frame["cursor"] for frame in frames[:4]]


def test_a_stream_goes_on_after_the_last_event(world: World, figure: Figure) -> None:
    """After each event with an id nothing is missing and nothing comes twice; without one all of it comes."""
    caller = world.caller("t_acme", "member")
    follow, variables = world.document("dashboard/FollowRun"), {"runId": run(caller, world, 6)}
    found = told(caller, follow, variables=variables)
    places: list[tuple[str, int]] = [(event.id or "", numbers([event])[0]) for event in found[:6]]
    for last, number in [*places, ("", 0)]:
        rest = told(caller, follow, variables=variables, **{"Last-Event-ID": last})
        assert numbers(rest) == list(range(number + 1, 7))
    figure(3, "Resumed with Last-Event-ID", f"after {len(places)} of {len(places)} events, nothing lost or twice")


@pytest.mark.parametrize("last", ["nonsense", "0", "e" * 400])
def test_a_wrong_last_event_is_refused(world: World, last: str) -> None:
    """As data of the stream where only reading it shows."""
    caller = world.caller("t_acme", "member")
    variables = {"runId": run(caller, world, 2)}
    headers = {"Last-Event-ID": last}
    [event] = told(caller, world.document("dashboard/FollowRun"), variables=variables, **headers)
    assert event.answer["errors"][0]["extensions"]["code"] == "INVALID"


REFUSALS: list[tuple[str, dict[str, str], bytes, int, str]] = [
    ("no credentials", {"Authorization": ""}, b"{}", 401, "UNAUTHENTICATED"),
    ("another tenant", {"X-Nexus-Tenant": "t_globex"}, b"{}", 403, "FORBIDDEN"),
    ("no JSON", {}, b"nonsense", 400, "INVALID"),
    ("no request", {}, b"[]", 400, "INVALID"),
    ("another media type", {"Content-Type": "text/plain"}, b"{}", 415, "INVALID"),
    ("a place too long", {"Last-Event-ID": "e" * 600}, json.dumps({"query": ROLE}).encode(), 400, "INVALID"),
    ("a place in another script", {"Last-Event-ID": "\u00e9"}, json.dumps({"query": ROLE}).encode(), 400, "INVALID"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case[0])
def test_what_is_no_operation_is_refused_before_the_stream(world: World, case: Any) -> None:
    """With a status and in JSON, so that clients try again, or do not."""
    _, headers, body, status, code = case
    mine = world.caller("t_acme", "member").headers | {"Accept": EVENTS, "Content-Type": JSON}
    sent = {name.encode(): value.encode("latin-1") for name, value in (mine | headers).items()}
    answer = http("POST", f"{world.server.address}/graphql", headers=sent, content=body)
    assert answer.status_code == status
    assert check_response(status, answer.headers["content-type"], answer.content) == code
    assert answer.headers["content-type"] == f"{JSON}; charset=utf-8"


OPERATIONS: list[tuple[str, str]] = [
    (ROLE, "OK"),
    ('mutation { openRun(input: { title: "by events" }) { run { status } } }', "OK"),
    ("{", "INVALID"),
    ("{ nobodyKnowsThis }", "INVALID"),
    ("subscription { nobodyKnowsThis }", "INVALID"),
    ("query ($id: ID!) { node(id: $id) { id } }", "INVALID"),
    ('subscription { runLog(runId: "run_none") { __typename } }', "NOT_FOUND"),
    ("{ erasures(first: 1) { edges { cursor } } }", "FORBIDDEN"),
]


@pytest.mark.parametrize(("query", "code"), OPERATIONS)
def test_any_operation_is_told_as_events_to_who_takes_nothing_else(
    world: World, figure: Figure, query: str, code: str
) -> None:
    """A single answer is one `next`, and so is what is wrong with an operation: the protocol wants it."""
    [event] = told(world.caller("t_acme", "member"), query)
    assert check_answer(event.answer) == code
    if query == ROLE:
        figure(3, "Operations answered as events", len(OPERATIONS))


@pytest.mark.parametrize(("query", "status"), [(ROLE, 200), ("{", 400), ("subscription { nobodyKnowsThis }", 400)])
def test_a_query_is_json_where_that_is_acceptable(world: World, query: str, status: int) -> None:
    """Whatever else the client lists."""
    answer = world.caller("t_acme", "member").answer(query, Accept=URQL)
    assert (answer.status_code, answer.headers["content-type"]) == (status, f"{NEW}; charset=utf-8")


def test_parts_are_streamed_to_who_takes_them(world: World, figure: Figure) -> None:
    """A subscription as Apollo's clients want it, read by the rules for multipart."""
    caller = world.caller("t_acme", "member")
    variables = {"runId": run(caller, world, 3)}
    with opened(caller, world.document("dashboard/FollowRun"), PARTS, variables=variables) as response:
        assert response.headers["content-type"] == 'multipart/mixed; boundary="graphql"; subscriptionSpec="1.0"'
        preamble, *parts, end = response.read().split(b"\r\n--graphql")
    assert (preamble, end) == (b"", b"--\r\n")
    frames = []
    for part in parts:
        head, _, body = part.partition(b"\r\n\r\n")
        assert head == b"\r\nContent-Type: application/json; charset=utf-8"
        frames.append(json.loads(body)["payload"]["data"]["runLog"])
    assert [frame["__typename"] for frame in frames] == ["RunLogEntry"] * 3 + ["RunLogEnd"]
    figure(3, "Multipart subscription for Apollo", f"{len(frames)} of 4 frames as parts")


def test_a_stream_ends_with_its_client_and_with_the_server(own_world: MakeWorld, figure: Figure) -> None:
    """Who leaves, who does not read, whose credentials run out and who is there at the end: none leaves a trace."""
    world = own_world(send_seconds="0.5", heartbeat_seconds="0.3")
    caller, owner = world.caller("t_acme", "member"), world.caller("t_acme", "owner")
    follow, variables = world.document("dashboard/FollowRun"), {"runId": run(caller, world, 2, closed=False)}

    def live(expected: int) -> bool:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            found = owner.ask("{ quotas { resource used } }")["quotas"]
            if {"resource": "LIVE_STREAMS", "used": expected} in found:
                return True
            time.sleep(0.05)
        return False

    settings = config.load({}, world.server.installation.folder / "nexus.toml", embedder="hashing").config
    short = Caller(world.server, "t_globex", development_token(settings, "member@t_globex", timedelta(seconds=2)))
    theirs = {"runId": run(world.caller("t_globex", "member"), world, 2, closed=False)}
    with opened(short, follow, variables=theirs) as expiring:
        with opened(caller, follow, variables=variables) as response:
            seen = events(response.iter_raw())
            assert next(seen).id
            assert live(1)
        assert live(0)
        long_stream = _LONG_STREAM % run(caller, world, 20, "x" * 16_000)
        for number, (query, accept) in enumerate(((long_stream, EVENTS), (_LONG_PAGE, JSON))):
            unread = _unread(owner, query, accept)
            deadline = time.monotonic() + WAIT_SECONDS
            while world.server.log.read_text().count("connection.stalled") == number and time.monotonic() < deadline:
                time.sleep(0.05)
            assert world.server.log.read_text().count("connection.stalled") == number + 1
            assert live(0)
            rest = _rest(unread)
            assert b"HTTP/1.1 200" in rest
            assert len(rest) < 8 * 1024 * 1024
        *_, end, complete = events(expiring.iter_raw())
        assert (end.answer["data"]["runLog"]["reason"], complete.name) == ("EXPIRED", "complete")

    with opened(caller, follow, variables=variables) as response:
        seen = events(response.iter_raw())
        assert next(seen).id
        assert world.server.process is not None
        world.server.process.send_signal(signal.SIGTERM)
        *_, end, complete = seen
        assert (end.answer["data"]["runLog"]["reason"], complete.name) == ("SHUTDOWN", "complete")
    assert world.server.process.wait(WAIT_SECONDS) == 0
    world.server.check_log()
    figure(3, "Ends of a stream as promised", "4 of 4: client gone, stalled, credentials expired, shutdown")


_ALIASES = " ".join(f"p{number}: payload" for number in range(40))
_LONG_STREAM = f'subscription {{ runLog(runId: "%s") {{ ... on RunLogEntry {{ entry {{ {_ALIASES} }} }} }} }}'
_LONG_PAGE = f"{{ audit(first: 40) {{ edges {{ node {{ {_ALIASES} }} }} }} }}"
"""More than the system keeps for a client that does not read."""


def _unread(caller: Caller, query: str, accept: str) -> socket.socket:
    """A client with a small buffer that asks for megabytes and reads none."""
    body = json.dumps({"query": query}).encode()
    headers = caller.headers | {"Accept": accept, "Content-Type": JSON, "Content-Length": str(len(body))}
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(WAIT_SECONDS)
    connection.connect(("127.0.0.1", caller.server.port))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    connection.sendall(f"POST /graphql HTTP/1.1\r\nHost: here\r\n{lines}\r\n".encode() + body)
    return connection


def _rest(connection: socket.socket) -> bytes:
    """What can still be read of it."""
    found = b""
    with connection:
        try:
            while piece := connection.recv(65_536):
                found += piece
        except ConnectionResetError:
            pass
    return found
