"""What comes over a bare connection: heads without end, requests that never arrive, what is no HTTP, hostile JSON."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPResponse

import orjson
import pytest
from conformance_answers import check_response
from journey_house import WAIT_SECONDS, MakeWorld, World, http

from nexus_graph.api.transport.decoding import decode
from nexus_graph.scope.errors import Invalid

Figure = Callable[[int, str, str | int], None]

GET = b"GET /graphql?query=%7Bviewer%7Brole%7D%7D"
HOST = b" HTTP/1.1\r\nHost: here\r\n"
POST = b"POST /graphql" + HOST
CHUNKED = POST + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"

HEADS = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "the second version of it": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "no method": (b"nonsense\r\n\r\n", 400),
    "an unknown method": (b"BREW /graphql" + HOST + b"\r\n", 400),
    "a proxy's method": (b"CONNECT here:80" + HOST + b"\r\n", 400),
    "a header without a name": (POST + b": x\r\n\r\n", 400),
    "a line break in a header": (POST + b"X-A: a\rb\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "a length below nothing": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "a length beyond any": (POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n", 400),
    "a length and chunks": (CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n", 400),
    "an address too long": (GET + b"&variables=" + b"a" * 33_000 + HOST + b"\r\n", 414),
    "101 headers": (POST + b"X-A: a\r\n" * 100 + b"\r\n", 431),
    "a header too large": (POST + b"X-A: " + b"a" * 66_000 + b"\r\n\r\n", 431),
    "headers too large": (POST + (b"X-A: " + b"a" * 1000 + b"\r\n") * 70 + b"\r\n", 431),
}


def connected(world: World) -> socket.socket:
    """A bare connection."""
    return socket.create_connection(("127.0.0.1", world.server.port), timeout=WAIT_SECONDS)


def credentials(world: World) -> bytes:
    """The headers of an owner."""
    return b"".join(
        b"%s: %s\r\n" % (k.encode(), v.encode()) for k, v in world.caller("t_acme", "owner").headers.items()
    )


def answer_of(connection: socket.socket, method: str = "POST") -> tuple[int, str, HTTPResponse]:
    """Status and code of the next answer, which is well-formed."""
    response = HTTPResponse(connection, method=method)
    response.begin()
    body = response.read()
    code = check_response(response.status, response.headers["content-type"], body)
    return response.status, code, response


@pytest.mark.parametrize("case", HEADS)
def test_a_wrong_head_is_refused_in_json(world: World, case: str) -> None:
    """400, 414 or 431, and the connection is closed; who asks well is answered."""
    sent, status = HEADS[case]
    with connected(world) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        told, code, response = answer_of(connection)
        assert (told, code) == (status, "INVALID")
        assert response.headers["connection"] == "close"
    assert http("GET", f"{world.server.address}/healthz").status_code == 200


ODD = {
    "no path": (b"OPTIONS *" + HOST, 404, "NOT_FOUND"),
    "another path": (b"GET //graphql" + HOST, 404, "NOT_FOUND"),
    "an offer of another protocol": (GET + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n", 401, "UNAUTHENTICATED"),
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_head_is_answered_in_json(world: World, case: str) -> None:
    """What is HTTP reaches the application."""
    sent, status, code = ODD[case]
    with connected(world) as connection:
        connection.sendall(sent + b"\r\n")
        assert answer_of(connection)[:2] == (status, code)


def test_trailers_are_bounded_like_heads(world: World, figure: Figure) -> None:
    """Headers after a body without end are not kept."""
    with connected(world) as connection:
        connection.sendall(CHUNKED + credentials(world) + b"\r\n1\r\n{\r\n0\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            connection.sendall(b"X-A: " + b"a" * 20_000_000)
    figure(1, "Wrong heads refused in JSON", len(HEADS))


def test_a_body_too_large_is_not_waited_for(world: World) -> None:
    """Who announces it is refused before sending it, and is not asked to go on."""
    with connected(world) as connection:
        head = b"Content-Type: application/json\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(POST + credentials(world) + head)
        assert answer_of(connection)[:2] == (413, "INVALID")


def test_a_body_of_nobody_is_not_read(world: World) -> None:
    """Without credentials the answer comes before any of it."""
    with connected(world) as connection:
        connection.sendall(POST + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n")
        assert answer_of(connection)[:2] == (401, "UNAUTHENTICATED")


def test_requests_on_one_connection_are_answered_in_turn(world: World) -> None:
    """Also when they come at once; the answer to HEAD has no body."""
    with connected(world) as connection:
        head = credentials(world) + b"\r\n"
        connection.sendall((GET + HOST + head) + (b"HEAD" + GET[3:] + HOST + head) + (GET + HOST + head))
        for method in ("GET", "HEAD", "GET"):
            response = HTTPResponse(connection, method=method)
            response.begin()
            assert response.status == 200
            assert int(response.headers["content-length"]) > 0
            assert bool(response.read()) == (method == "GET")


def test_what_does_not_arrive_in_time_is_given_up(own_world: MakeWorld) -> None:
    """A head or a body that comes by drops ends with 408, a connection on which nothing is said without a word."""
    world = own_world(request_seconds="0.5")
    with connected(world) as silent, connected(world) as head, connected(world) as body, connected(world) as late:
        head.sendall(POST + b"X-A: ")
        body.sendall(POST + credentials(world) + b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n")
        late.sendall(GET + HOST + credentials(world) + b"\r\n")
        assert answer_of(late)[:2] == (200, "OK")
        late.sendall(b"GET /gra")
        for slow in (head, body):
            slow.sendall(b"{")
        for slow in (head, body, late):
            assert answer_of(slow)[:2] == (408, "INVALID")
            assert slow.recv(1) == b""
        assert silent.recv(1) == b""


def hostile(size: int) -> dict[str, bytes]:
    """Bodies of the largest size that are made to be slow."""
    return {
        "quotes": b'"' * size,
        "escapes": b'"' + b"\\" * (size - 1),
        "short strings": b"[" + b'"",' * (size // 3 - 1) + b'""]',
        "numbers": b"[" + b"0," * (size // 2 - 1) + b"0]",
        "lists": b"[" + b"[]," * (size // 3 - 1) + b"[]]",
        "objects": b"[" + b'{"a":{}},' * (size // 9 - 1) + b"[]]",
        "opened": b"[" * size,
        "opened and closed": b"[" * (size // 2) + b"]" * (size // 2),
        "digits": b"1" * size,
        "short numbers": b"-1" * (size // 2),
        "colons": b":" * size,
        "lines": b"\n" * (size - 1) + b"x",
        "members": b"{" + b",".join(b'"%030d":1' % i for i in range(49_000)) + b',"%030d":1}' % 1,
    }


def test_hostile_json_is_refused_about_as_fast_as_it_is_parsed(figure: Figure) -> None:
    """No body of the largest size takes much longer than a parse of the slowest one takes."""
    seconds: dict[str, float] = {}
    longest = 0.0
    for what, body in hostile(2 * 1024 * 1024).items():
        started = time.perf_counter()
        with pytest.raises(Invalid):
            decode(body)
        refused = time.perf_counter()
        with suppress(orjson.JSONDecodeError):
            orjson.loads(body)
        seconds[what] = refused - started
        longest = max(longest, time.perf_counter() - refused)
    slowest = max(seconds, key=seconds.__getitem__)
    ratio, took = seconds[slowest] / longest, seconds[slowest] * 1000
    figure(
        1,
        f"Slowest refusal of {len(seconds)} hostile bodies of 2 MB",
        f"measured: {took:.0f} ms ({slowest}), {ratio:.1f} times the slowest plain parse",
    )
