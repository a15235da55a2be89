"""Whatever bytes arrive at the endpoint, whoever sends them gets a well-formed answer, or none to what is no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from conformance_answers import check_response
from conformance_bytes import (
    ACCEPTED,
    BODIES,
    CONTENT_TYPES,
    HEADERS,
    METHODS,
    MONSTERS,
    PARAMETERS,
    VALID,
    garbage,
    request,
)
from conformance_exchange import Answer, answers, exchange
from conformance_fuzzing import Fuzzed, megabytes
from conformance_table import Figure
from hypothesis import strategies as st

pytestmark = pytest.mark.long

EXAMPLES = 300
TOGETHER = 30
"""Connections that are open at once, where each waits a while."""


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all examples of a test."""
    with asyncio.Runner() as runner:
        yield runner


def check(answer: Answer) -> str:
    """An answer that may have no body, where HTTP wants none, or be the page for people. Returns what it was."""
    if not answer.body:
        assert answer.status in (101, 200, 204, 304, 400, 401, 403, 404, 405, 406, 413, 415, 426, 501), answer
        return str(answer.status)
    if answer.content_type.startswith("text/html"):
        assert answer.status == 200, answer
        return "HTML"
    return check_response(*answer)


def credentials(fuzzed: Fuzzed) -> list[tuple[str, str]]:
    """The owner's headers."""
    return list(fuzzed.owner().items())


def test_any_body_is_answered(fuzzed: Fuzzed, runner: asyncio.Runner, figure: Figure) -> None:
    """Arbitrary bytes, JSON and GraphQL requests, with the right media type, by somebody who may ask."""
    headers = [*credentials(fuzzed), ("Content-Type", "application/json")]

    def send(body: bytes, accept: str = "*/*") -> None:
        told = request("POST", "/graphql", [*headers, ("Accept", accept)], body)
        [answer] = answers(runner.run(exchange(fuzzed.port, told)))
        fuzzed.answers[check(answer)] += 1

    with fuzzed.unharmed():
        before = fuzzed.answers.total()
        for body in MONSTERS:
            send(body)  # each of them; and warm
        with fuzzed.flat() as growth:
            fuzzed.explore(st.tuples(BODIES, ACCEPTED), lambda drawn: send(*drawn), EXAMPLES)
    figure(10, "arbitrary bodies by POST, each answered properly", fuzzed.answers.total() - before)
    figure(10, "memory that the warm server grew by meanwhile", megabytes(growth[0]))


def test_any_head_is_answered(fuzzed: Fuzzed, runner: asyncio.Runner, figure: Figure) -> None:
    """Arbitrary methods, parameters, media types and headers, with credentials and without."""
    known, told = credentials(fuzzed), 0

    def send(
        method: str,
        parameters: str,
        headers: list[tuple[str, str]],
        content_type: str,
        accept: str,
        body: bytes,
        knows: bool,
    ) -> None:
        nonlocal told
        named = [("Content-Type", content_type), ("Accept", accept), *headers, *(known if knows else [])]
        target = "/graphql" + (f"?{parameters}" if parameters else "")
        said = runner.run(exchange(fuzzed.port, request(method, target, named, body)))
        [answer] = answers(said, [method])
        check(answer)
        told += 1

    drawn = st.tuples(
        METHODS,
        PARAMETERS,
        HEADERS,
        CONTENT_TYPES,
        ACCEPTED,
        st.sampled_from([VALID, b"", b"null", b"query=%7Ba%7D"]),
        st.booleans(),
    )
    with fuzzed.unharmed():
        fuzzed.explore(drawn, lambda each: send(*each), EXAMPLES)
    figure(10, "arbitrary heads of requests, each answered properly", told)


def test_what_is_no_request_does_no_harm(fuzzed: Fuzzed, runner: asyncio.Runner, figure: Figure) -> None:
    """Garbage, halves, wrong lengths, chunks that are none, requests in a row: answered properly, or not at all."""
    known, told = credentials(fuzzed), 0
    lines = "".join(f"{name}: {value}\r\n" for name, value in known).encode()
    valid = request("POST", "/graphql", [*known, ("Content-Type", "application/json")], VALID, close=False)

    async def send(connections: list[list[bytes]]) -> None:
        nonlocal told
        said = await asyncio.gather(*(exchange(fuzzed.port, *pieces, complete=False) for pieces in connections))
        for pieces, each in zip(connections, said, strict=True):
            for answer in answers(each, ["HEAD"] if pieces[0].startswith(b"HEAD") else []):
                check(answer)
        told += len(connections)

    with fuzzed.unharmed():
        several = st.lists(garbage(valid, lines), min_size=TOGETHER, max_size=TOGETHER)
        fuzzed.explore(several, lambda each: runner.run(send(each)), EXAMPLES // TOGETHER)
    figure(10, "connections with what is no request, or half of one, or many", told)
