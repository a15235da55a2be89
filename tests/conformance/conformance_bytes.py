"""What can arrive at the endpoint that no client would send: bodies, members, heads, and requests that are none."""

from __future__ import annotations

import gzip
import json
from typing import Any

from hypothesis import strategies as st

QUERY = "{ viewer { role } }"
VALID = json.dumps({"query": QUERY, "variables": {}}).encode()

NUMBERS = st.sampled_from([0, -0.0, 1e308, float("nan"), float("inf"), -float("inf"), 2**53, 2**64, -(2**63) - 1])
TEXTS = st.text(max_size=20) | st.sampled_from(["", "\x00", "\ud800", "a\udfffb", "\U0001f600" * 40, "x" * 70_000])
SCALARS: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers() | st.floats() | NUMBERS | TEXTS
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)
DOCUMENTS = st.text(alphabet='{}()[]:$!@".# \n\ufeffaeiouqry_0-', max_size=60) | st.sampled_from(
    [QUERY, "{ viewer { rolle } }", "subscription { settingsChanged(surface: 1) { __typename } }", "{", "#", "{" * 9999]
)
DIGEST = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
MEMBERS = {
    "query": DOCUMENTS | VALUES,
    "variables": st.dictionaries(st.sampled_from(["a", "id", "\x00", ""]), VALUES, max_size=3) | VALUES,
    "operationName": TEXTS | VALUES,
    "extensions": VALUES
    | st.dictionaries(st.just("persistedQuery"), VALUES, min_size=1)
    | st.fixed_dictionaries(
        {"persistedQuery": st.fixed_dictionaries({}, optional={"version": VALUES, "sha256Hash": TEXTS})}
    )
    | st.just(DIGEST),
}
REQUESTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries({}, optional=MEMBERS)
ASKING: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"query": st.just(QUERY)}, optional={name: values for name, values in MEMBERS.items() if name != "query"}
)
"""Requests that would be answered, but for one of their other members."""

MONSTERS = [
    b"",
    b"null",
    b"0",
    b'"query"',
    b"[]",
    b"[" + VALID + b"," + VALID + b"]",
    b"[" * 20_000,
    b'{"variables":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    b'{"query":"{ viewer { role } }","variables":' + b'{"a":' * 9000 + b"1" + b"}" * 9000 + b"}",
    b'{"query":"{ viewer { role } }","variables":{"a":' + b"9" * 5000 + b"}}",
    b'{"query":"{ viewer { role } }","variables":{"a":1e' + b"9" * 5000 + b"}}",
    b'{"query":"{ viewer { role } }","variables":{"a":NaN}}',
    b'{"query":"{ viewer { role } }","variables":{"a":-Infinity}}',
    b'{"query":"{ viewer { role } }","query":1}',
    b'{"query":1,"query":"{ viewer { role } }"}',
    b'{"query":"{ viewer { role } }","operationName":"\\ud800"}',
    b'{"query":"\\udc00"}',
    b'{"query":"{ search(text: \\"\\ud83d\\") { complete } }"}',
    b'{"query":"{ viewer { role } }"}{"query":"{ viewer { role } }"}',
    b"\xef\xbb\xbf" + VALID,
    VALID.decode().encode("utf-16"),
    VALID.decode().encode("utf-32"),
    gzip.compress(VALID),
    b"\xff\xfe\xfd",
    b'{"query":"\xff"}',
    b"\x00" * 1000,
    b" " * 100_000 + VALID,
    b"{" + b",".join(b'"a%d":1' % number for number in range(20_000)) + b"}",
    b'{"query":"' + b"a" * 100_000 + b'"}',
    b'{"query":"' + b"{a" * 30_000 + b'"}',
    b'{"query":"{ viewer { role } }","variables":{"a":"' + b"x" * 1_000_000 + b'"}}',
    b'{"query":"' + b"x" * 2_200_000 + b'"}',
    b"query=%7B+viewer+%7B+role+%7D+%7D",
    QUERY.encode(),
]


def written(value: Any) -> bytes:
    """A value as JSON or nearly so: NaN stays NaN, half a character stays half."""
    return json.dumps(value).encode()


BODIES = (
    st.sampled_from(MONSTERS)
    | st.binary(max_size=200)
    | VALUES.map(written)
    | REQUESTS.map(written)
    | ASKING.map(written)
)

CONTENT_TYPES = st.sampled_from(
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=utf-16",
        "application/json; charset=",
        "application/json; charset=latin-1; charset=utf-8",
        "APPLICATION/JSON",
        "application/graphql",
        "application/graphql-response+json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/html",
        "*/*",
        "application/json, text/plain",
        ";",
        "",
        "\xff",
    ]
)
ACCEPTED = st.sampled_from(
    [
        "*/*",
        "",
        "application/json",
        "application/graphql-response+json",
        "application/graphql-response+json;q=0, */*",
        "text/event-stream",
        "application/graphql-response+json, application/json, text/event-stream, multipart/mixed",
        "text/plain",
        "text/*;q=nan",
        "application/*;q=2",
        ",,;;=",
        "x" * 3000,
        "\xe9",
    ]
)
METHODS = st.sampled_from(
    ["GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY", "M-SEARCH", "PURGE"]
)
OURS = [
    "Authorization",
    "X-Nexus-Tenant",
    "X-Nexus-Env",
    "X-Nexus-Run",
    "X-Request-Id",
    "Traceparent",
    "Content-Encoding",
    "Cookie",
    "Origin",
    "Referer",
    "Sec-Fetch-Site",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
    "Last-Event-ID",
    "X-GraphQL-Event-Stream-Token",
    "Apollo-Require-Preflight",
    "If-None-Match",
    "Range",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-HTTP-Method-Override",
    "Accept-Encoding",
    "Accept-Language",
    "TE",
]
TOKENS = st.text("abcxyz-_.!#$%&'*+^`|~019", min_size=1, max_size=12)
LINES = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(OURS) | TOKENS.map(lambda name: f"x{name}"),
        LINES
        | st.sampled_from(["gzip", "identity", "null", "https://elsewhere.example", "Bearer ", "Bearer x.y.z", "0"]),
    ),
    max_size=5,
)
PARAMETERS = st.lists(
    st.tuples(
        st.sampled_from(["query", "variables", "operationName", "extensions", "query[]", "token", ""]),
        st.text("{}[]%&=+;\"'aeq0$:", max_size=20).map(lambda text: text.replace(" ", "+"))
        | st.sampled_from(["%7B+viewer+%7B+role+%7D+%7D", "%FF%FE", "%", "%u0041", "null", "%7B%22a%22%3ANaN%7D"]),
    ),
    max_size=4,
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))


def request(method: str, target: str, headers: list[tuple[str, str]], body: bytes, *, close: bool = True) -> bytes:
    """A request that is HTTP, whatever else it may be. Its connection ends with it, so that its answer ends too."""
    ours = [("Host", "127.0.0.1"), ("Content-Length", str(len(body)))] + ([("Connection", "close")] if close else [])
    head = "".join(f"{name}: {value}\r\n" for name, value in [*ours, *headers])
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """A request with a few bytes taken out, put in or repeated."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["remove", "insert", "repeat", "end"])):
            case "remove":
                del data[at : at + draw(st.integers(1, 8))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=4) | st.sampled_from([b"\r\n", b"\x00", b":", b" "]))
            case "repeat":
                data[at:at] = data[max(0, at - 20) : at]
            case "end":
                del data[at:]
    return bytes(data)


UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"
)


def garbage(valid: bytes, head: bytes) -> st.SearchStrategy[list[bytes]]:
    """Pieces on one connection that are no request, half of one, or several. `head`: credentials, as header lines."""
    chunked = b"POST /graphql HTTP/1.1\r\nHost: x\r\n" + head + b"Content-Type: application/json\r\n"
    coding = b"Transfer-Encoding: chunked\r\n\r\n"
    made = [
        [b"\r\n"],
        [b"GET /graphql\r\n\r\n"],
        [b"GET /graphql HTTP/9.9\r\n\r\n"],
        [b"POST /graphql HTTP/1.1\r\nContent-Length: -1\r\n\r\n"],
        [b"POST /graphql HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n{}"],
        [b"POST /graphql HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"],
        [b"POST /graphql HTTP/1.1\r\nContent-Length: 2\r\n" + coding + b"2\r\n{}\r\n0\r\n\r\n"],
        [chunked + coding + b"zz\r\n{}\r\n0\r\n\r\n"],
        [chunked + coding + b"fffffffffffffffff\r\n{}\r\n"],
        [chunked + coding + b"2;" + b"x" * 9000 + b"\r\n{}\r\n0\r\n\r\n"],
        [chunked + coding + b"%x\r\n" % len(VALID) + VALID + b"\r\n0\r\nTrailer: x\r\n\r\n"],
        [chunked + coding + b"%x\r\n" % len(VALID) + VALID[:9], VALID[9:] + b"\r\n", b"0\r\n\r\n"],
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
        [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
        [b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"],
        [b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n"],
        [b"GET /graphql HTTP/1.1\r\n" + b"x: y\r\n" * 20_000],
        [b"GET /graphql?" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n"],
        [b"GET /graphql HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"\r\n"],
        [b"GET /graphql?\xff%ff HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"Origin: \xff\r\n\r\n"],
        [b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n" + UPGRADE + b"\r\n{}"],
        [b"GET /graphql HTTP/1.1\r\nHost: x\r\n" + UPGRADE.replace(b"13", b"7") + b"\r\n"],
        [b"GET /graphql HTTP/1.1\r\nHost: x\r\n" + UPGRADE.replace(b"==", b"") + b"\r\n"],
        [b"GET /graphql HTTP/1.1\r\nHost: x\r\n" + UPGRADE.replace(b"graphql-", b"") + b"\r\n"],
        [b"GET http://elsewhere.example/graphql HTTP/1.1\r\nHost: x\r\n\r\n"],
        [b"GET //graphql/../graphql%00 HTTP/1.1\r\nHost: x\r\n\r\n"],
        [b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n"],
        [b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"],
        [valid * 20],
        [valid + b"garbage" + valid],
        [valid[: len(valid) // 2], valid[len(valid) // 2 :]],
    ]
    cuts = st.integers(0, len(valid)).map(lambda at: [valid[:at]])
    return (
        st.sampled_from(made)
        | cuts
        | mutated(valid).map(lambda data: [data])
        | st.binary(max_size=64).map(lambda b: [b])
    )
