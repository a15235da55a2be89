"""Answers that are made once for many: the very bytes of the ordinary way, and never for who may be told otherwise."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from graphql import Executor, parse
from inside_house import TENANT, Inside, inside

from nexus_graph.api.context import Context
from nexus_graph.api.nodes.settings import SettingsHeartbeat
from nexus_graph.api.operations.broadcasting import Broadcast, Broadcasts, Encoded, ShortWay
from nexus_graph.api.operations.documents import meant
from nexus_graph.api.operations.execution import EVERY_KIND, LONGEST_ANSWER, Execution, Prepared
from nexus_graph.api.operations.operation import Operation
from nexus_graph.api.schema import built
from nexus_graph.api.transport.accepting import EVENT_STREAM
from nexus_graph.api.transport.events import FRAMINGS, AnswerStream
from nexus_graph.scope.scope import Env, Role, Scope

FOLLOW = """subscription Follow($run: ID!, $after: String, $whole: Boolean = true) {
  runLog(runId: $run, after: $after) { __typename
    ... on RunLogEntry { cursor entry { id number at type payload @include(if: $whole)
      actor { kind actorId } subject { kind subjectId } } }
    ... on RunLogHeartbeat { at seq } ... on RunLogGap { first last } ... on RunLogEnd { reason status } } }"""
APPEND = """mutation ($run: ID!) { appendRunLog(input: {runId: $run, text: "grüße ☃", data: {a: [1, null]}}) {
  entry { id } } }"""
CLOSE = "mutation ($run: ID!) { closeRun(input: {runId: $run, status: SUCCEEDED}) { run { id } } }"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Inside]:
    """A house of its own."""
    with inside(tmp_path) as made:
        yield made


def scope_in(house: Inside, env: Env = Env.DEV, tenant: str = TENANT) -> Scope:
    """The owner."""
    policy = house.house.admission.policy
    return replace(Scope.system(tenant, env, "test"), role=Role.OWNER, rights=policy.rights[Role.OWNER])


def prepared(house: Inside, document: Any, scope: Scope | None = None, **variables: Any) -> Prepared:
    """A subscription that was paid for."""
    context = Context(house.house, scope or scope_in(house))
    return Prepared(context, document, meant(document, None), variables, suggestions=False)


def joined(broadcasts: Broadcasts, house: Inside, document: Any, scope: Scope | None = None, **more: Any) -> Broadcast:
    """The broadcast."""
    execution = Execution(built(), house.house)
    found = broadcasts.join(prepared(house, document, scope, **more), execution.executor)
    assert found is not None
    return found


def test_only_who_asks_the_same_in_one_place_shares(house: Inside) -> None:
    """What a root is asked for does not matter below it; a document, a variable there, a tenant or an env does."""
    broadcasts, document = Broadcasts(built(), LONGEST_ANSWER), parse(FOLLOW)
    mine = joined(broadcasts, house, document, run="run_1", whole=True)
    assert joined(broadcasts, house, document, run="run_1", whole=True, after="c1") is mine
    others = [
        joined(broadcasts, house, parse(FOLLOW), run="run_1", whole=True),
        joined(broadcasts, house, document, run="run_1", whole=False),
        joined(broadcasts, house, document, run="run_1"),
        joined(broadcasts, house, document, scope_in(house, Env.PROD), run="run_1", whole=True),
        joined(broadcasts, house, document, scope_in(house, tenant="t_globex"), run="run_1", whole=True),
    ]
    assert len({id(each) for each in (mine, *others)}) == 6


def test_equal_frames_of_two_streams_are_told_apart(house: Inside) -> None:
    """A change of a card on two screens is the same frame with two cursors: each is bound to its own stream."""
    document = parse('subscription { settingsChanged(surface: "a") { ... on SettingsHeartbeat { cursor } } }')
    broadcast, frame = joined(Broadcasts(built(), LONGEST_ANSWER), house, document), object()
    at = datetime.now(UTC)
    told = [
        broadcast.answer(stream, frame, partial(lambda cursor, _: SettingsHeartbeat(at=at, cursor=cursor), stream))
        for stream in ("a", "b", "a")
    ]
    assert [each.cursor for each in told if each is not None] == ["a", "b", "a"]
    assert told[0] is told[2] is not None


def test_it_holds_nothing_of_who_came_first(house: Inside) -> None:
    """The broadcast lives on for others: the context of the first one goes when they go."""
    broadcasts, document = Broadcasts(built(), LONGEST_ANSWER), parse(FOLLOW)
    first = joined(broadcasts, house, document, run="run_1", whole=True)
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Context)]
    assert joined(broadcasts, house, document, run="run_1", whole=True) is first


def test_who_waits_holds_no_executor(house: Inside) -> None:
    """Ten streams at the tip have one among them, which answers all; a frame of the ordinary way has its own."""
    owner = house.caller("owner")
    run = owner.ask('mutation { openRun(input: {title: "x"}) { run { id } } }')["openRun"]["run"]["id"]
    execution = Execution(built(), house.house)
    scope = house.run(house.house.admission.admit(_presented(owner.headers)))
    frames = list[bytes]()

    def send(piece: bytes) -> bool:
        frames.append(piece)
        return True

    async def followed() -> None:
        operation = Operation.of({"query": FOLLOW, "variables": {"run": run}})
        prepared = await execution.prepare(Context(house.house, scope), operation, EVERY_KIND)
        way = ShortWay(lambda encoded, own, _: own or encoded.payload, send)
        async with aclosing(execution.stream(prepared, way)) as answers:
            async for _ in answers:
                raise AssertionError

    async def counted() -> int:
        tasks = [asyncio.create_task(followed()) for _ in range(10)]
        async with asyncio.timeout(20):
            while len(frames) < 10:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
        gc.collect()
        executors = len([each for each in gc.get_objects() if isinstance(each, Executor)])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return executors

    assert house.run(counted()) == 1


def test_what_a_resolver_answers_is_not_shared(house: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may look at who asks: such a document goes the ordinary way."""
    broadcasts, executor = Broadcasts(built(), LONGEST_ANSWER), Execution(built(), house.house).executor
    monkeypatch.setattr(broadcasts, "_resolved", {("Actor", "actorId")})
    assert broadcasts.join(prepared(house, parse(FOLLOW), run="run_1"), executor) is None
    plain = parse("subscription { runLog(runId: 1) { __typename } }")
    assert broadcasts.join(prepared(house, plain), executor) is not None


def test_both_ways_tell_the_same_bytes(house: Inside) -> None:
    """Replay, live, a heartbeat's place and the price in the first answer: whichever way a frame goes."""
    owner = house.caller("owner")
    run = owner.ask('mutation { openRun(input: {title: "x"}) { run { id } } }')["openRun"]["run"]["id"]
    for _ in range(3):
        owner.ask(APPEND, {"run": run})
    execution = Execution(built(), house.house)
    scope = house.run(house.house.admission.admit(_presented(owner.headers)))

    async def told(taken: int) -> tuple[list[bytes], int]:
        found, pieces = list[bytes](), list[bytes]()

        def send(piece: bytes) -> bool:
            if len(pieces) >= taken:
                return False
            pieces.append(piece)
            found.append(piece)
            return True

        def frame(encoded: Encoded, own: bytes | None, _: str | None) -> bytes:
            return (own or encoded.payload) + b"\n"

        context = Context(house.house, scope)
        operation = Operation.of({"query": FOLLOW, "variables": {"run": run}})
        prepared = await execution.prepare(context, operation, EVERY_KIND)
        async with aclosing(execution.stream(prepared, ShortWay(frame, send))) as answers:
            async for answer in answers:
                found.append(orjson.dumps(answer.body, option=orjson.OPT_NON_STR_KEYS) + b"\n")
        return b"".join(found).splitlines(), len(pieces)

    owner.ask(CLOSE, {"run": run})
    ordinary, none = house.run(told(0))
    short, some = house.run(told(1000))
    assert (none, some) != (0, 0)
    assert len(ordinary) == 6
    assert ordinary[1:] == short[1:]
    assert orjson.loads(ordinary[0])["data"] == orjson.loads(short[0])["data"]
    assert orjson.loads(short[0])["extensions"]["cost"]["points"] == 10


def _presented(headers: dict[str, str]) -> Any:
    from nexus_graph.api.context import from_headers

    return from_headers({name.lower(): value for name, value in headers.items()})


async def test_events_keep_their_order_and_a_client_that_is_behind_is_refused() -> None:
    """Ready answers leave before those that follow them the ordinary way; no more are kept than may wait."""
    sent, reads = list[bytes](), asyncio.Event()
    refused = list[bool]()

    async def answers(way: ShortWay) -> Any:
        made = Encoded(b'{"a":1}', "c1")
        assert way.send(way.frame(made, None, "c1"))
        await asyncio.sleep(0.05)
        for _ in range(1000):
            if not way.send(b"x" * 1000):
                refused.append(True)
                break
        reads.set()
        yield type("A", (), {"body": {"data": 2}, "cursor": None})()

    async def send(message: Any) -> None:
        await asyncio.sleep(0)
        sent.append(message.get("body", b""))

    async def receive() -> Any:
        await asyncio.Event().wait()

    async with asyncio.timeout(10):
        await AnswerStream(answers, FRAMINGS[EVENT_STREAM], {}, pulse_seconds=60)({"type": "http"}, receive, send)
    whole = b"".join(sent)
    assert whole.startswith(b':\n\nevent: next\nid: c1\ndata: {"data":{"a":1}}\n\n')
    assert whole.endswith(b'xevent: next\ndata: {"data":2}\n\nevent: complete\ndata:\n\n')
    assert refused == [True]
    assert whole.count(b"x" * 1000) == 66
