"""Nobody comes in unproven: credentials, tenant and env are checked before all else, and nonsense stays harmless."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from journey_house import Caller, World, http, receive, subscription_error

from nexus_graph import config
from nexus_graph.administration.directory import development_token
from nexus_graph.config import Config
from nexus_graph.tenants.tokens import issue, new_development_key

VIEWER = "{ viewer { subject role tenantId env } }"
OWNER = "owner@t_acme"
FOREVER = {"iss": "nexus-graph-development", "aud": "nexus-graph", "sub": OWNER, "exp": 2**33}


@pytest.fixture(scope="module")
def settings(world: World) -> Config:
    """The world's own settings."""
    return config.load({}, world.server.installation.folder / "nexus.toml", embedder="hashing").config


@pytest.fixture(scope="module")
def key(settings: Config) -> OKPKey:
    """The installation's development key."""
    assert settings.development_key is not None
    [stored] = json.loads(settings.development_key.read_text())["keys"]
    return OKPKey.import_key(stored)


@pytest.fixture(autouse=True)
def still_alive(world: World) -> Iterator[None]:
    """After every story the server lives and answers those who are proven."""
    yield
    assert world.server.running
    assert world.caller("t_acme", "owner").ask(VIEWER)["viewer"]["subject"] == OWNER


def shaped(answer: httpx.Response, status: int, code: str) -> Any:
    """The one error of a response that is nothing but a well-formed refusal."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].split(";")[0] in ("application/json", "application/graphql-response+json")
    body = answer.json()
    assert set(body) - {"extensions"} == {"errors"}, body  # what it cost, once it is known who asks
    [error] = body["errors"]
    assert set(error) <= {"message", "locations", "path", "extensions"}
    assert {"code", "hint", "traceId"} <= set(error["extensions"])
    assert error["extensions"]["code"] == code, error
    assert error["message"]
    assert error["extensions"]["traceId"] == answer.headers["x-trace-id"]
    return error


async def close_code(caller: Caller) -> tuple[int | None, str]:
    """How the server closes the connection of somebody who is not let in."""
    async with caller.unacknowledged() as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": caller.headers}))
        await asyncio.wait_for(socket.wait_closed(), 10)
        return socket.close_code, (socket.close_reason or "").split(":")[0]


def signed(key: OKPKey, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token with the installation's claims, but for those that are given; None leaves one out."""
    now = int(datetime.now(UTC).timestamp())
    whole = {
        "iss": "nexus-graph-development",
        "aud": "nexus-graph",
        "sub": OWNER,
        "iat": now,
        "exp": now + 600,
    } | claims
    stated = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode({"alg": "Ed25519", "kid": key.kid} | (header or {}), stated, key, algorithms=["Ed25519"])


def unsigned(key: OKPKey) -> str:
    """A token of the algorithm none."""
    return f"{_part({'alg': 'none', 'kid': key.kid})}.{_part(FOREVER)}."


def _part(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def symmetric(key: OKPKey) -> str:
    """A token signed with the public key as a shared secret."""
    public = key.as_pem(private=False)
    text = f"{_part({'alg': 'HS256', 'kid': key.kid})}.{_part(FOREVER)}"
    return f"{text}.{_base64(hmac.digest(public, text.encode(), 'sha256'))}"


def long_ago() -> int:
    """A time that has run out, leeway included."""
    return int((datetime.now(UTC) - timedelta(minutes=2)).timestamp())


UNPROVEN: dict[str, Callable[[OKPKey], str | None]] = {
    "no token": lambda key: None,
    "garbage": lambda key: "garbage",
    "three dots": lambda key: "...",
    "not ASCII": lambda key: "tökén",
    "huge": lambda key: "x" * 20_000,
    "another key": lambda key: signed(new_development_key()),
    "another key of the same id": lambda key: signed(new_development_key(), {"kid": key.kid}),
    "algorithm none": unsigned,
    "algorithm HS256": symmetric,
    "an unknown key id": lambda key: signed(key, {"kid": "another"}),
    "no key id": lambda key: f"{_part({'alg': 'Ed25519'})}.{signed(key).partition('.')[2]}",
    "bent signature": lambda key: signed(key)[:-6] + "AAAAAA",
    "wrong issuer": lambda key: signed(key, iss="https://elsewhere.example"),
    "no issuer": lambda key: signed(key, iss=None),
    "wrong audience": lambda key: signed(key, aud="another-product"),
    "no audience": lambda key: signed(key, aud=None),
    "no subject": lambda key: signed(key, sub=None),
    "odd subject": lambda key: signed(key, sub="owner @t_acme"),
    "expired": lambda key: signed(key, exp=long_ago()),
    "no expiry": lambda key: signed(key, exp=None),
    "odd expiry": lambda key: signed(key, exp="tomorrow"),
    "not yet": lambda key: signed(key, nbf=2**33),
    "unknown API key": lambda key: f"nxk_{'0' * 32}_{'A' * 43}",
    "malformed API key": lambda key: "nxk_1_2",
}


@pytest.mark.parametrize("case", UNPROVEN)
async def test_who_cannot_prove_who_they_are_stays_outside(world: World, key: OKPKey, case: str) -> None:
    """Over HTTP it is 401 with a hint; a websocket closes with 4401, or with 4403 for who may come back renewed."""
    token = UNPROVEN[case](key)
    caller = Caller(world.server, "t_acme", None)
    if token is not None:
        caller.headers["Authorization"] = f"Bearer {token}"
    raw = {name: value.encode() for name, value in caller.headers.items()}
    answer = http("POST", f"{world.server.address}/graphql", json={"query": VIEWER}, headers=raw)
    error = shaped(answer, 401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert error["extensions"]["hint"]
    assert token is None or token[:40] not in answer.text
    assert await close_code(caller) == (4403 if case == "expired" else 4401, "UNAUTHENTICATED")


@pytest.mark.parametrize("scheme", ["Basic b3duZXI6eA==", "Bearer", "Token x"])
def test_only_a_bearer_is_heard(world: World, scheme: str) -> None:
    """Another scheme, or none behind it, is no proof."""
    headers = {"Authorization": scheme, "X-Nexus-Tenant": "t_acme", "X-Nexus-Env": "dev"}
    shaped(
        http("POST", f"{world.server.address}/graphql", json={"query": VIEWER}, headers=headers), 401, "UNAUTHENTICATED"
    )


@pytest.mark.parametrize(
    ("tenant", "env"),
    [
        (None, "dev"),
        ("t_acme", None),
        ("acme", "dev"),
        ("T_ACME", "dev"),
        ("t_", "dev"),
        ("t_acme/../t_globex", "dev"),
        ("t_acme%00", "dev"),
        ("t_" + "a" * 63, "dev"),
        ("t_acme", "test"),
        ("t_acme", "DEV"),
        ("t_acme", "dev,prod"),
    ],
)
async def test_tenant_and_env_are_never_guessed(world: World, tenant: str | None, env: str | None) -> None:
    """Missing or malformed, they are refused: nothing is defaulted, cut or corrected."""
    caller = Caller(world.server, tenant, world.credentials["t_acme", "owner"], env)
    shaped(caller.answer(VIEWER), 400, "INVALID")
    assert await close_code(caller) == (4401, "INVALID")


def test_env_names_are_understood(world: World, key: OKPKey) -> None:
    """`development` is dev; `stage` and `production` are staging and prod, for which an agent's dev key is no good."""
    assert world.caller("t_acme", "owner", "development").ask(VIEWER)["viewer"]["env"] == "DEV"
    for env in ("stage", "staging", "production", "prod"):
        error = shaped(world.caller("t_acme", "agent", env).answer(VIEWER), 401, "UNAUTHENTICATED")
        assert "API key" in error["message"]


async def test_a_development_key_is_good_in_dev_only(world: World, key: OKPKey) -> None:
    """Its tokens are refused in staging and prod, even for an owner, and the refusal is journalled there."""
    for env in ("staging", "prod", "production"):
        caller = world.caller("t_acme", "owner", env)
        shaped(caller.answer(VIEWER), 403, "FORBIDDEN")
        assert await close_code(caller) == (4401, "FORBIDDEN")


async def test_an_unknown_tenant_and_a_foreign_one_answer_the_same(world: World, settings: Config) -> None:
    """Byte for byte, apart from the trace: nobody learns which tenants there are."""
    stranger = development_token(settings, "nobody", timedelta(hours=1))
    answers = []
    for credentials in (world.credentials["t_acme", "owner"], stranger):
        for tenant in ("t_globex", "t_no_such_tenant"):
            caller = Caller(world.server, tenant, credentials)
            answer = caller.answer(VIEWER)
            trace = shaped(answer, 403, "FORBIDDEN")["extensions"]["traceId"]
            kept = {name: value for name, value in answer.headers.items() if name not in ("date", "x-trace-id")}
            answers.append((answer.content.replace(trace.encode(), b""), kept, await close_code(caller)))
    assert all(each == answers[0] for each in answers)
    key_answers = []
    for tenant in ("t_globex", "t_no_such_tenant"):
        caller = Caller(world.server, tenant, world.credentials["t_acme", "agent"])
        answer = caller.answer(VIEWER)
        trace = shaped(answer, 401, "UNAUTHENTICATED")["extensions"]["traceId"]
        key_answers.append((answer.content.replace(trace.encode(), b""), await close_code(caller)))
    assert key_answers[0] == key_answers[1]


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"{query}",
    "half JSON": b'{"query": "{ viewer',
    "not UTF-8": b'{"query": "\xff"}',
    "half a surrogate": b'{"query": "{ viewer { role } }", "variables": {"a": "\\ud800"}}',
    "a list": b'[{"query": "{ viewer { role } }"}]',
    "a string": b'"{ viewer { role } }"',
    "null": b"null",
    "no query": b"{}",
    "blank query": b'{"query": "  "}',
    "query of another type": b'{"query": {"viewer": true}}',
    "variables of another type": b'{"query": "{ viewer { role } }", "variables": [1]}',
    "operation name of another type": b'{"query": "{ viewer { role } }", "operationName": 1}',
    "misspelt member": b'{"qeury": "{ viewer { role } }"}',
    "nested too deep": b'{"query": "x", "variables": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "infinite": b'{"query": "{ viewer { role } }", "variables": {"a": 1e999}}',
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_request_gets_a_well_formed_refusal(world: World, case: str) -> None:
    """400 and INVALID, whatever it was."""
    headers = world.caller("t_acme", "owner").headers | {"Content-Type": "application/json"}
    answer = http("POST", f"{world.server.address}/graphql", content=MALFORMED[case], headers=headers)
    shaped(answer, 400, "INVALID")


DOWN = "artifacts { ... on Atom { citedBy { "
WRONG: dict[str, str] = {
    "syntax": "{ viewer { ",
    "unknown field": "{ viewer { password } }",
    "unknown argument": '{ viewer(tenant: "t_globex") { role } }',
    "no selection": "{ viewer }",
    "unknown operation": "query A { viewer { role } } query B { viewer { role } }",
    "several operations": "{ viewer { role } } { viewer { env } }",
    "subscription over HTTP": 'subscription { settingsChanged(surface: "a") { __typename } }',
    "missing variable": "query ($id: ID!) { card(id: $id) { id } }",
    "too deep": "{ viewer { role } "
    + "node(id: 1) { ... on Atom { citedBy(first: 1) { edges { node { artifacts { " * 8
    + "__typename"
    + " } } } } } }" * 8
    + " }",
    "too many aliases": "{ " + " ".join(f"a{number}: viewer {{ role }}" for number in range(61)) + " }",
    "too many tokens": "{ viewer { " + "role " * 5000 + "} }",
    "fragment cycle": "{ viewer { ...a } } fragment a on Viewer { ...b } fragment b on Viewer { ...a }",
    "surrogate": '{ search(text: "\\uD800") { complete } }',
    "unknown directive": "{ viewer @admin { role } }",
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
def test_a_wrong_document_gets_graphql_errors(world: World, case: str, accept: str) -> None:
    """Nothing is executed; the errors have the one shape. The status follows the media type that was asked for."""
    answer = world.caller("t_acme", "owner").answer(WRONG[case], Accept=accept)
    assert answer.status_code == (200 if accept == "application/json" else 400), answer.text
    assert answer.headers["content-type"].startswith(accept)
    body = answer.json()
    assert body.get("data") is None
    assert body["errors"]
    for error in body["errors"]:
        assert error["extensions"]["code"] == "INVALID", error
        assert error["extensions"]["traceId"] == answer.headers["x-trace-id"]


DEEP = json.loads("[" * 900 + "]" * 900)
FAR, FIRST, NAIVE = "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-11-01T00:00:00"
APPEND = 'appendRunLog(input: {runId: "run_1", data: %s}) { userErrors { code } }'
DERIVE = 'deriveAtoms(input: {assetId: "asset_1", params: %s}) { userErrors { code } }'
RESERVE = """reserveAsset(input: {filename: "a", contentType: "text/plain", trainOk: true, %s}) {
  userErrors { code } }"""
HOSTILE_VALUES: dict[str, tuple[str, Any]] = {
    "deep data": ("mutation ($v: JSON) { " + APPEND % "$v" + " }", DEEP),
    "deep data with a key": ("mutation ($v: JSON) { " + APPEND % '$v, idempotencyKey: "deep"' + " }", DEEP),
    "deep parameters": ("mutation ($v: JSON) { " + DERIVE % "$v" + " }", {"a": DEEP}),
    "deep parameters with a key": (
        "mutation ($v: JSON) { " + DERIVE % '$v, idempotencyKey: "deep"' + " }",
        {"a": DEEP},
    ),
    "parameters that are a list": ("mutation ($v: JSON) { " + DERIVE % "$v" + " }", [1, 2]),
    "infinite literal": ("mutation { " + APPEND % "[1e999]" + " }", None),
    "huge literal": ("mutation { " + APPEND % f'{"9" * 300}, idempotencyKey: "huge"' + " }", None),
    "deep literal": ("mutation { " + APPEND % ("[" * 900 + "]" * 900) + " }", None),
    "size beyond 53 bits": (
        "mutation { " + RESERVE % f'sizeBytes: 9007199254740992, sha256: "{"0" * 64}"' + " }",
        None,
    ),
    "negative size": ("mutation { " + RESERVE % f'sizeBytes: -1, sha256: "{"0" * 64}"' + " }", None),
    "captured at a far time": (
        "mutation ($v: DateTime) { " + RESERVE % f'sizeBytes: 1, sha256: "{"0" * 64}", capturedAt: $v' + " }",
        FAR,
    ),
    "NUL in an id": ("query ($v: ID!) { card(id: $v) { id } asset(id: $v) { id } node(id: $v) { id } }", "card_\0"),
    "huge id": ("query ($v: ID!) { card(id: $v) { id } atom(id: $v) { id } run(id: $v) { id } }", "x" * 100_000),
    "SQL in an id": ("query ($v: ID!) { card(id: $v) { id } }", "' or 1=1 --"),
    "odd version in a node id": ("query ($v: ID!) { node(id: $v) { id } }", "card_1:²"),
    "too many nodes": ("query ($v: [ID!]!) { nodes(ids: $v) { id } }", ["card_1"] * 101),
    "control characters": ("query ($v: String!) { search(text: $v) { complete } }", "\0\u202e\ufeff"),
    "huge k": ('query { search(text: "x", k: 2147483647) { complete } }', None),
    "k beyond an Int": ('query { search(text: "x", k: 2147483648) { complete } }', None),
    "huge days": ('mutation { createKey(input: {name: "x", days: 2147483647}) { userErrors { code } } }', None),
    "many types": (
        "query ($v: [String!]) { audit(first: 1, filter: {types: $v}) { edges { cursor } } }",
        ["x"] * 40_000,
    ),
    "many kinds": (
        "query ($v: [RunKind!]) { runs(first: 1, filter: {kinds: $v}) { edges { cursor } } }",
        ["READ"] * 40_000,
    ),
    "many content types": (
        "query ($v: [String!]) { assets(first: 1, filter: {contentTypes: $v}) { edges { cursor } } }",
        ["text/plain"] * 40_000,
    ),
    "many states": (
        "query ($v: [AssetState!]) { assets(first: 1, filter: {states: $v}) { edges { cursor } } }",
        ["SEALED"] * 40_000,
    ),
    "many artifact kinds": (
        "query ($v: [ArtifactKind!]) { cards(first: 1, filter: {artifactKinds: $v}) { edges { cursor } } }",
        ["ATOM"] * 40_000,
    ),
    **{
        f"{name} from {time}": (
            f"query ($v: DateTime) {{ {name}(first: 1, filter: {{{field}: $v}}) {{ edges {{ cursor }} }} }}",
            time,
        )
        for name, field in (
            ("runs", "startedFrom"),
            ("audit", "atTo"),
            ("cards", "createdFrom"),
            ("assets", "importedTo"),
        )
        for time in (FAR, FIRST, NAIVE, "2026", "now", 7)
    },
}


@pytest.mark.parametrize("case", HOSTILE_VALUES)
def test_a_hostile_value_never_meets_a_defect(world: World, case: str) -> None:
    """An answer or a typed refusal, never INTERNAL."""
    owner = world.caller("t_acme", "owner")
    query, value = HOSTILE_VALUES[case]
    answer = owner.answer(query, {"v": value} if "$v" in query else {})
    assert answer.status_code in (200, 400), answer.text
    codes = [error["extensions"]["code"] for error in answer.json().get("errors", ())]
    assert "INTERNAL" not in codes, answer.text


def test_the_operation_that_is_named_is_the_one_that_runs(world: World) -> None:
    """Among several the name decides; a name that stands for none is refused, over HTTP and websocket alike."""
    owner = world.caller("t_acme", "owner")
    query = "query A { viewer { role } } query B { viewer { env } }"

    def named(name: str) -> httpx.Response:
        body = {"query": query, "operationName": name}
        return http("POST", f"{world.server.address}/graphql", json=body, headers=owner.headers)

    assert named("B").json()["data"] == {"viewer": {"env": "DEV"}}
    assert named("A").json()["data"] == {"viewer": {"role": "OWNER"}}
    for unknown in ("C", "", "a"):
        assert named(unknown).json()["errors"][0]["extensions"]["code"] == "INVALID"


def test_size_and_media_type_are_bounded(world: World) -> None:
    """A body over the limit, of another type or another method is refused; the neighbours notice nothing."""
    owner = world.caller("t_acme", "owner")
    address = f"{world.server.address}/graphql"
    huge = json.dumps({"query": VIEWER, "variables": {"x": "y" * (2 * 1024 * 1024)}}).encode()
    answer = http("POST", address, content=huge, headers=owner.headers | {"Content-Type": "application/json"})
    assert "larger than" in shaped(answer, 413, "INVALID")["message"]
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", None):
        stated = {} if media_type is None else {"Content-Type": media_type}
        body = json.dumps({"query": VIEWER}).encode()
        answer = http("POST", address, content=body, headers=owner.headers | stated)
        assert "media type" in shaped(answer, 415, "INVALID")["message"]
    good = http(
        "POST", address, content=body, headers=owner.headers | {"Content-Type": "Application/JSON; charset=utf-8"}
    )
    assert good.json()["data"]["viewer"]["subject"] == OWNER
    for method in ("PUT", "DELETE"):
        answer = http(method, f"{address}?query=%7Bviewer%7Brole%7D%7D", headers=owner.headers)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD, POST, OPTIONS"
    assert http("GET", f"{world.server.address}/nowhere").status_code == 404


async def test_nonsense_on_a_websocket_closes_that_connection_alone(world: World) -> None:
    """Close codes of graphql-transport-ws; a wrong operation is an error message on a connection that stays."""
    owner = world.caller("t_acme", "owner")
    for nonsense in (
        "{",
        '"x"',
        "[]",
        '{"type": 1}',
        '{"type": "unknown"}',
        '{"type": "connection_init", "payload": 1}',
        '{"id": "x", "type": "subscribe", "payload": {"query": 7}}',
    ):
        async with owner.unacknowledged() as socket:
            await socket.send(nonsense)
            await asyncio.wait_for(socket.wait_closed(), 10)
            assert socket.close_code == 4400, nonsense
    async with owner.unacknowledged() as socket:
        await socket.send(b"\x00\x01")
        await asyncio.wait_for(socket.wait_closed(), 10)
        assert socket.close_code == 4400
    async with owner.unacknowledged() as socket:
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": VIEWER}}))
        await asyncio.wait_for(socket.wait_closed(), 10)
        assert socket.close_code == 4401
    async with owner.socket() as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": owner.headers}))
        await asyncio.wait_for(socket.wait_closed(), 10)
        assert socket.close_code == 4429
    async with owner.socket() as socket:
        for number, query in enumerate(WRONG.values()):
            if query.startswith("subscription"):
                continue
            error = await subscription_error(socket, str(number), query)
            assert error["extensions"]["code"] == "INVALID", error
        await socket.send(json.dumps({"type": "ping"}))
        assert await receive(socket) == {"type": "pong"}
        await socket.send(json.dumps({"id": "y", "type": "subscribe", "payload": {"query": VIEWER}}))
        assert (await receive(socket))["payload"]["data"]["viewer"]["subject"] == OWNER


def test_a_token_signed_for_this_house_comes_in(world: World, key: OKPKey) -> None:
    """The permitted control of all these refusals: the same helpers, nothing changed."""
    token = issue(key, subject=OWNER, now=datetime.now(UTC), lifetime=timedelta(minutes=1))
    for good in (token, signed(key), signed(key, aud=["x", "nexus-graph"])):
        viewer = Caller(world.server, "t_acme", good).ask(VIEWER)["viewer"]
        assert viewer == {"subject": OWNER, "role": "OWNER", "tenantId": "t_acme", "env": "DEV"}
