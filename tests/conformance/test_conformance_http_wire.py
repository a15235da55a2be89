"""What comes over a bare connection: heads without end, requests that never arrive, what is no HTTP, hostile JSON."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from http.client import HTTPResponse

import orjson
import pytest
from conformance_answers import check_response
from conformance_table import Figure
from journey_house import WAIT_SECONDS, MakeWorld, World, http

from nexus_graph.api.transport.decoding import decode
from nexus_graph.scope.errors import Invalid

LARGEST = 2 * 1024 * 1024
"""Bytes of the largest request."""

GET = b"GET /graphql?query=%7Bviewer%7Brole%7D%7D"
HOST = b" HTTP/1.1\r\nHost: here\r\n"
POST = b"POST /graphql" + HOST
CHUNKED = POST + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"

H2C = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
WEBSOCKET = HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
FOLLOW = b'{"query": "subscription { settingsChanged(surface: \\"a\\") { __typename } }"}'

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
    "a coding and chunks": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 400),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "two hosts": (POST + b"Host: there\r\n\r\n", 400),
    "two credentials": (POST + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400),
    "two tenants": (POST + b"X-Nexus-Tenant: t_acme\r\nX-Nexus-Tenant: t_globex\r\n\r\n", 400),
    "a body behind a websocket": (b"POST /graphql" + WEBSOCKET + b"Content-Length: 99\r\n\r\n" + GET, 400),
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
    "an offer of another protocol": (GET + HOST + H2C, 401, "UNAUTHENTICATED"),
    "the first version of it": (GET + b" HTTP/1.0\r\n", 401, "UNAUTHENTICATED"),
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_head_is_answered_in_json(world: World, case: str) -> None:
    """What is HTTP reaches the application."""
    sent, status, code = ODD[case]
    with connected(world) as connection:
        connection.sendall(sent + b"\r\n")
        assert answer_of(connection)[:2] == (status, code)


def test_an_offer_of_another_protocol_is_declined(world: World) -> None:
    """The request behind it, body and all, is answered as if nothing had been offered, and so is the next one."""
    body = b'{"query": "{ viewer { role } }"}'
    json = credentials(world) + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    settings = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
    with connected(world) as connection:
        connection.sendall(POST + settings + json + body + POST + settings + json)
        assert answer_of(connection)[:2] == (200, "OK")
        connection.sendall(body)
        assert answer_of(connection)[:2] == (200, "OK")


def test_a_wrong_parameter_is_named(world: World) -> None:
    """Of two that are JSON, the one that is not."""
    address = f"{world.server.address}/graphql?query=%7B__typename%7D&extensions=%7B%7D&variables=%7B"
    [error] = http("GET", address, headers=world.caller("t_acme", "owner").headers).json()["errors"]
    assert error["message"].startswith("The parameter 'variables': ")


def test_a_wrong_head_that_asks_for_a_head_gets_no_more(world: World) -> None:
    """Also what is refused before the application sees it; and it is guarded as every answer is."""
    status, _, rest = said_to(world, b"HEAD /healthz HTTP/1.1\r\n\r\n").partition(b"\r\n")
    assert b" 400 " in status
    assert b"x-content-type-options: nosniff\r\n" in rest
    assert rest.partition(b"\r\n\r\n")[2] == b""


def test_trailers_are_bounded_like_heads(world: World, figure: Figure) -> None:
    """Headers after a body without end are not kept, and never taken for those before it."""
    with connected(world) as connection:
        connection.sendall(CHUNKED + b"\r\n2\r\n{}\r\n0\r\n" + credentials(world) + b"\r\n")
        assert answer_of(connection)[:2] == (401, "UNAUTHENTICATED")
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


def test_who_asks_on_and_on_without_reading_is_let_go(world: World) -> None:
    """A hundred requests may wait for their turn. More are not kept; neither is a stream behind which one upgrades."""
    one, last = b"GET /healthz" + HOST + b"\r\n", b"GET /healthz" + HOST + b"Connection: close\r\n\r\n"
    assert said_to(world, one * 100 + last).count(b'{"status":"ok"}') == 101
    assert said_to(world, one * 1000).count(b'{"status":"ok"}') < 1000
    head = b"Content-Type: application/json\r\nAccept: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(FOLLOW)
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    said = said_to(world, POST + credentials(world) + head + FOLLOW, b"GET /graphql" + WEBSOCKET + key)
    assert b" 101 " not in said


def said_to(world: World, *pieces: bytes) -> bytes:
    """Everything that is said until the connection ends; each further piece is sent when something was said."""
    said = b""
    with connected(world) as connection, suppress(ConnectionResetError):
        for piece in pieces:
            connection.sendall(piece)
            said += connection.recv(65536)
        while more := connection.recv(65536):
            said += more
    return said


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
    """None of the largest size is accepted; how long the slowest takes is told beside a parse of ordinary JSON."""
    seconds: dict[str, float] = {}
    for what, body in hostile(LARGEST).items():
        started = time.perf_counter()
        with pytest.raises(Invalid):
            decode(body)
        seconds[what] = time.perf_counter() - started
    ordinary = orjson.dumps([{"name": "x" * 30, "value": place} for place in range(LARGEST // 64)])
    started = time.perf_counter()
    assert orjson.loads(ordinary)
    parse = time.perf_counter() - started
    slowest = max(seconds, key=seconds.__getitem__)
    figure(
        1,
        f"Slowest refusal of {len(seconds)} hostile bodies of 2 MB",
        f"measured: {seconds[slowest] * 1000:.0f} ms ({slowest}), where a parse of 2 MB of objects takes "
        f"{parse * 1000:.0f} ms",
    )
