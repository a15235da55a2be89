"""GraphQL over HTTP, sentence by sentence: github.com/graphql/graphql-over-http, and RFC 9110 where it is quoted."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from conformance_answers import check_response
from conformance_table import Figure
from journey_house import WAIT_SECONDS, World

Headers = dict[str, str | None]

NEW, OLD = "application/graphql-response+json", "application/json"
ROLE = "{ viewer { role } }"
NAMED = "query A { viewer { role } } query B { viewer { env } }"
OPEN = 'mutation { openRun(input: { title: "never opened" }) { run { id } } }'
FOLLOW = 'subscription { settingsChanged(surface: "a") { __typename } }'
VARIED = "query ($n: ID!) { node(id: $n) { id } }"
PARTIAL = '{ viewer { role } audit(first: 1, after: "nonsense") { edges { cursor } } }'
NO_STRINGS: tuple[Any, ...] = ({}, 0, False, [])
NO_MAPS: tuple[Any, ...] = ("a", 0, False, [])
TAKES_NEW: Headers = {"Accept": NEW}
TAKES_OLD: Headers = {"Accept": OLD}


class Row(NamedTuple):
    """A sentence of the specification, a request, and what is answered: status, media type and code."""

    sentence: str
    method: str
    headers: Headers
    sent: Any
    status: int
    media_type: str | None
    code: str | None


def post(sentence: str, headers: Headers, body: Any, status: int, media_type: str, code: str = "INVALID") -> Row:
    """A body by POST: JSON, unless it is bytes already."""
    return Row(sentence, "POST", headers, body, status, media_type, code)


def get(sentence: str, headers: Headers, query: Any, status: int, media_type: str, code: str = "INVALID") -> Row:
    """Parameters in an address."""
    return Row(sentence, "GET", headers, query, status, media_type, code)


def asked(**members: Any) -> dict[str, Any]:
    """A good request with other members."""
    return {"query": ROLE} | members


MEDIA_TYPES = [
    post("MUST support the new media type", TAKES_NEW, asked(), 200, NEW, "OK"),
    post("MUST support JSON", TAKES_OLD, asked(), 200, OLD, "OK"),
    post("MUST respect the highest priority", {"Accept": f"{OLD};q=0.1, {NEW}"}, asked(), 200, NEW, "OK"),
    post("MUST respect quality above order", {"Accept": f"{NEW};q=0.1, {OLD}"}, asked(), 200, OLD, "OK"),
    post("SHOULD serve what clients send first", {"Accept": f"{NEW}, {OLD};q=0.9"}, asked(), 200, NEW, "OK"),
    post("a wildcard takes anything", {"Accept": "*/*"}, asked(), 200, OLD, "OK"),
    post("without Accept: the server's choice", {"Accept": None}, asked(), 200, OLD, "OK"),
    post("Java's own client leaves out a 0", {"Accept": "text/html, image/jpeg, *; q=.2, */*; q=.2"}, asked(), 200, OLD,
         "OK"),
    post("SHOULD answer 406 when nothing suits", {"Accept": "text/html"}, asked(), 406, OLD),
    post("RFC 9110: a quality of 0 is a refusal", {"Accept": f"{OLD};q=0"}, asked(), 406, OLD),
    post("urql lists streams too: a query is JSON", {"Accept": f"{NEW}, text/event-stream"}, asked(), 200, NEW, "OK"),
    post("MUST assume UTF-8", {}, json.dumps(asked(query="{viewer{role}} #\u00e9"), ensure_ascii=False).encode(), 200,
         OLD, "OK"),
    post("MUST accept UTF-8 that is named", {"Content-Type": f"{OLD}; charset=UTF-8"}, asked(), 200, OLD, "OK"),
    post("types are told without regard to case", {"Content-Type": "Application/Json"}, asked(), 200, OLD, "OK"),
    post("SHOULD answer 415 to other charsets", {"Content-Type": f"{OLD}; charset=utf-16"}, asked(), 415, OLD),
    post("SHOULD refuse a missing Content-Type", {"Content-Type": None}, asked(), 415, OLD),
    post("SHOULD answer 415 to other types", {"Content-Type": "text/plain"}, asked(), 415, OLD),
    post("a form needs no preflight: refused", {"Content-Type": "application/x-www-form-urlencoded"}, b"query=%7Ba%7D",
         415, OLD),
    post("a form needs no preflight: refused", {"Content-Type": "multipart/form-data; boundary=x"}, b"--x--", 415, OLD),
    post("RFC 9110: 415 to an unknown encoding", {"Content-Encoding": "gzip"}, gzip.compress(b"{}"), 415, OLD),
    post("RFC 9110: identity is no encoding", {"Content-Encoding": "identity"}, asked(), 200, OLD, "OK"),
]  # fmt: skip
PARAMETERS = [
    post("MAY answer 400 without {query}", TAKES_NEW, {}, 400, NEW),
    post("a misspelt {query} is none", TAKES_NEW, {"qeury": ROLE}, 400, NEW),
    *[post("{query} is a string", TAKES_NEW, asked(query=wrong), 400, NEW) for wrong in (*NO_STRINGS, None)],
    *[post("{variables} is a map", TAKES_OLD, asked(variables=wrong), 400, OLD) for wrong in NO_MAPS],
    *[post("{operationName} is a string", TAKES_OLD, asked(operationName=wrong), 400, OLD) for wrong in NO_STRINGS],
    *[post("{extensions} is a map", TAKES_OLD, asked(extensions=wrong), 400, OLD) for wrong in NO_MAPS],
    *[
        post("null is the same as nothing", TAKES_NEW, asked(**{name: None}), 200, NEW, "OK")
        for name in ("variables", "operationName", "extensions")
    ],
    post("MUST ignore properties not understood", TAKES_NEW, asked(tenant="t_globex"), 200, NEW, "OK"),
    post("{extensions} are for implementers", TAKES_NEW, asked(extensions={"some": "value"}), 200, NEW, "OK"),
    post("{operationName} chooses", TAKES_NEW, asked(query=NAMED, operationName="B"), 200, NEW, "OK"),
    post("a batch is no request", TAKES_NEW, [asked()], 400, NEW),
    post("a batch is no request", TAKES_OLD, [], 400, OLD),
    *[post("a request is one object", TAKES_NEW, body, 400, NEW) for body in (b"null", b'"x"', b"7", b"true")],
]
BODIES = [
    post("SHOULD answer 400 to what is no JSON", TAKES_NEW, b"NONSENSE", 400, NEW),
    post("SHOULD answer 400 to what is no JSON", TAKES_OLD, b'{"query":', 400, OLD),
    post("400 without a body", TAKES_OLD, b"", 400, OLD),
    post("400 without a body", TAKES_OLD, None, 400, OLD),
    post("a byte order mark is forgiven", TAKES_NEW, b"\xef\xbb\xbf" + json.dumps(asked()).encode(), 200, NEW, "OK"),
    post("no UTF-8", TAKES_NEW, b'{"query": "\xff"}', 400, NEW),
    post("UTF-16", TAKES_NEW, json.dumps(asked()).encode("utf-16"), 400, NEW),
    post("half a surrogate", TAKES_NEW, b'{"query": "\\ud800"}', 400, NEW),
    post("NaN is no JSON", TAKES_NEW, b'{"query": "{a}", "variables": {"a": NaN}}', 400, NEW),
    post("a member twice", TAKES_NEW, b'{"query": "{ viewer { role } }", "query": "{ viewer { env } }"}', 400, NEW),
    post("20,000 levels", TAKES_NEW, b'{"query": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", 400, NEW),
    post(
        "a number of 5,000 digits", TAKES_NEW, b'{"query": "{a}", "variables": {"a": ' + b"9" * 5000 + b"}}", 400, NEW
    ),
    post("SHOULD answer 413 when it is too large", TAKES_NEW, b" " * (2 * 1024 * 1024 + 1), 413, NEW),
    post("SHOULD answer 413 when it is too large", TAKES_OLD, iter([b" " * 1024 * 1024] * 3), 413, OLD),
]
OPERATIONS = [
    post("SHOULD answer 400 when it can't be parsed", TAKES_NEW, asked(query="{"), 400, NEW),
    post("old clients: 200 when it can't be parsed", TAKES_OLD, asked(query="{"), 200, OLD),
    post("SHOULD answer 400 when it is not valid", TAKES_NEW, asked(query="{ nobodyKnowsThis }"), 400, NEW),
    post("old clients: 200 when it is not valid", TAKES_OLD, asked(query="{ nobodyKnowsThis }"), 200, OLD),
    post("SHOULD answer 400 to wrong variables", TAKES_NEW, asked(query=VARIED, variables={"n": None}), 400, NEW),
    post("old clients: 200 to wrong variables", TAKES_OLD, asked(query=VARIED, variables={"n": None}), 200, OLD),
    post("SHOULD answer 400 to an operation in doubt", TAKES_NEW, asked(query=NAMED), 400, NEW),
    post("SHOULD answer 400 to an unknown operation", TAKES_NEW, asked(query=NAMED, operationName="C"), 400, NEW),
    post("MUST answer 2xx with partial data", TAKES_NEW, asked(query=PARTIAL), 200, NEW),
    post("MUST answer 2xx with partial data", TAKES_OLD, asked(query=PARTIAL), 200, OLD),
    post("a subscription needs a stream", TAKES_NEW, asked(query=FOLLOW), 400, NEW),
    post("SHOULD answer 401 to who is unknown", {"Authorization": "Bearer x", **TAKES_NEW}, asked(), 401, NEW,
         "UNAUTHENTICATED"),
    post("SHOULD answer 401 to who is unknown", {"Authorization": None}, b"NONSENSE", 401, OLD, "UNAUTHENTICATED"),
    post("SHOULD answer 403 to who may not", {"X-Nexus-Tenant": "t_globex"}, asked(), 403, OLD, "FORBIDDEN"),
    post("MAY forbid for any reason", {"X-Nexus-Env": None}, asked(), 400, OLD),
]  # fmt: skip
BY_GET = [
    get("MAY accept GET", TAKES_NEW, {"query": ROLE}, 200, NEW, "OK"),
    get("MAY accept GET", TAKES_OLD, {"query": ROLE}, 200, OLD, "OK"),
    get("{variables} are JSON in a string", TAKES_NEW, {"query": VARIED, "variables": '{"n": "card_1"}'}, 200, NEW,
        "OK"),
    get("{operationName} is a string", TAKES_NEW, {"query": NAMED, "operationName": "B"}, 200, NEW, "OK"),
    get("{extensions} are JSON in a string", TAKES_NEW, {"query": ROLE, "extensions": "{}"}, 200, NEW, "OK"),
    get("the empty string says nothing", TAKES_NEW, {"query": ROLE, "variables": "", "operationName": "",
                                                     "extensions": ""}, 200, NEW, "OK"),
    get("+ is a space", TAKES_NEW, b"query=query+A%7Bviewer%7Brole%7D%7D", 200, NEW, "OK"),
    get("MUST NOT execute mutations", TAKES_NEW, {"query": OPEN}, 405, NEW),
    get("MUST NOT execute mutations", TAKES_OLD, {"query": OPEN}, 405, OLD),
    get("MUST NOT execute mutations", {"Accept": "text/event-stream"}, {"query": OPEN}, 405, OLD),
    get("MUST NOT execute mutations that are named", TAKES_NEW, {"query": f"query A {ROLE} mutation B {OPEN[9:]}",
                                                                 "operationName": "B"}, 405, NEW),
    get("a subscription needs a stream", TAKES_NEW, {"query": FOLLOW}, 400, NEW),
    get("400 without {query}", TAKES_NEW, {}, 400, NEW),
    get("400 with an empty {query}", TAKES_NEW, {"query": ""}, 400, NEW),
    get("SHOULD answer 400 when it can't be parsed", TAKES_NEW, {"query": "{"}, 400, NEW),
    get("{variables} are JSON", TAKES_NEW, {"query": ROLE, "variables": "nonsense"}, 400, NEW),
    get("{variables} are a map", TAKES_NEW, {"query": ROLE, "variables": "[1]"}, 400, NEW),
    get("{extensions} are a map", TAKES_NEW, {"query": ROLE, "extensions": '"x"'}, 400, NEW),
    get("each once", TAKES_NEW, b"query=%7Bviewer%7Brole%7D%7D&query=%7Bviewer%7Benv%7D%7D", 400, NEW),
    get("none that is unknown", TAKES_NEW, {"query": ROLE, "tenant": "t_globex"}, 400, NEW),
    get("not very many", TAKES_NEW, b"query=%7Bviewer%7Brole%7D%7D" + b"&a=1" * 30, 400, NEW),
    get("UTF-8", TAKES_NEW, b"query=%ff", 400, NEW),
]  # fmt: skip
METHODS = [
    *[
        Row("SHOULD answer 405 to other methods", method, TAKES_NEW, asked(), 405, NEW, "INVALID")
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "PROPFIND")
    ],
    Row("OPTIONS tells the methods", "OPTIONS", {}, None, 204, None, None),
    Row("HEAD is GET without content", "HEAD", TAKES_NEW, {"query": ROLE}, 200, NEW, None),
    Row("HEAD changes nothing", "HEAD", TAKES_NEW, {"query": OPEN}, 405, NEW, None),
]
ROWS = [*MEDIA_TYPES, *PARAMETERS, *BODIES, *OPERATIONS, *BY_GET, *METHODS]


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[httpx.Client]:
    """An owner on a connection that is kept."""
    headers = world.caller("t_acme", "owner").headers | {"Content-Type": OLD}
    with httpx.Client(base_url=world.server.address, headers=headers, timeout=WAIT_SECONDS, trust_env=False) as one:
        yield one


def answered(client: httpx.Client, row: Row) -> httpx.Response:
    """What the server answers."""
    query: Any = row.sent if row.method in ("GET", "HEAD") else None
    content = row.sent if query is None else None
    if isinstance(content, dict | list):
        content = json.dumps(content).encode()
    address = client.base_url.copy_with(path="/graphql")
    address = address.copy_with(query=query) if isinstance(query, bytes) else address.copy_merge_params(query or {})
    request = client.build_request(row.method, address, content=content)
    for name, value in row.headers.items():
        request.headers.pop(name, None)
        if value is not None:
            request.headers[name] = value
    if content is None and "POST" not in row.method:
        del request.headers["Content-Type"]
    return client.send(request)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method} {row.sentence}")
def test_a_request_is_answered_as_the_specification_wants(client: httpx.Client, row: Row) -> None:
    """Its status, its media type and its code; always well-formed, never a word of our insides."""
    answer = answered(client, row)
    assert answer.status_code == row.status, answer.text
    if row.media_type is None:
        assert answer.content == b""
    else:
        assert answer.headers["content-type"] == f"{row.media_type}; charset=utf-8"
    if row.code is not None:
        assert row.code == check_response(answer.status_code, answer.headers["content-type"], answer.content)
        assert ("data" in answer.json()) == (row.code == "OK" or row.sent == asked(query=PARTIAL))
    if row.status in (204, 405):
        changes = "mutation" in str(row.sent)
        assert answer.headers["allow"] == ("POST" if changes else "GET, HEAD, POST, OPTIONS")
    if row.status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
    assert row.method == "OPTIONS" or answer.headers["x-trace-id"]


def test_nothing_was_opened(client: httpx.Client, figure: Figure) -> None:
    """No mutation of the rows above was executed."""
    body = {"query": "{ runs(first: 100) { edges { node { title } } } }"}
    edges = client.post("/graphql", json=body).json()["data"]["runs"]["edges"]
    assert "never opened" not in [edge["node"]["title"] for edge in edges]
    figure(1, "Requests answered as the specification wants", len(ROWS))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("POST", "/", 404), ("GET", "/graphql/", 404), ("POST", "/healthz", 405),
     ("DELETE", "/metrics", 405), ("POST", "/objects/x", 405), ("GET", "/objects", 404)],
)  # fmt: skip
def test_other_addresses_answer_in_json_too(client: httpx.Client, method: str, path: str, status: int) -> None:
    """What is not there, and methods that are not answered."""
    answer = client.request(method, path)
    assert answer.status_code == status
    code = check_response(answer.status_code, answer.headers["content-type"], answer.content)
    assert code == ("INVALID" if status == 405 else "NOT_FOUND")
    assert ("allow" in answer.headers) == (status == 405)
