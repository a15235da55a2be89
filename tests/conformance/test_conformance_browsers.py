"""Browsers at the door: which pages may call, what an answer may do in a page, and GraphiQL in a real one."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import devtools
import httpx
import node_packages
import pytest
from conformance_table import Figure
from journey_house import PROTOCOL, Caller, MakeWorld, World, http
from journey_steps import reserve, upload
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from nexus_graph.api import graphiql
from nexus_graph.api.transport.browsers import allowed_origins
from nexus_graph.config import Config
from nexus_graph.scope.errors import ConfigurationError

ROLE = {"query": "{ viewer { role } }"}
GUARDS = {
    "content-security-policy": "default-src 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
NEEDED = (
    "graphiql/graphiql.min.css",
    "react/umd/react.production.min.js",
    "react-dom/umd/react-dom.production.min.js",
    "graphiql/graphiql.min.js",
)
APP = "https://app.example"


def ask(world: World, method: str, path: str, *headers: tuple[str, str], **request: Any) -> httpx.Response:
    """One request of the owner of t_acme; a header may be there twice."""
    given = [*world.caller("t_acme", "owner").headers.items(), *headers]
    return http(method, f"{world.server.address}{path}", headers=given, **request)


def foreign(world: World) -> list[str]:
    """Origins that are not this server's, some of them close to it."""
    port = world.server.port
    return [
        "https://evil.example",
        "null",
        "*",
        "",
        f"https://127.0.0.1:{port}",
        f"http://127.0.0.1:{port + 1}",
        "http://127.0.0.1",
        f"http://127.0.0.1:{port}.evil.example",
        f"http://evil.example:{port}",
        f"http://127.0.0.1:{port}/",
        f"http://127.0.0.1:{port} https://evil.example",
    ]


def own(world: World) -> list[str]:
    """The origins of this server's own pages."""
    return [world.server.address, f"http://localhost:{world.server.port}"]


def configured(folder: Path, **settings: Any) -> Config:
    """Settings of a server that is not started."""
    required = {
        "data": folder / "data",
        "erasure_ledger": str(folder / "erasures.jsonl"),
        "signing_secret": "a signing secret for tests only, 32+",
    }
    return Config(**{**required, **settings})


def test_a_foreign_page_is_refused_before_anything_else(world: World, figure: Figure) -> None:
    """Whatever it asks for: 403, GraphQL's shape, nothing that its script may read. Own pages and programs may ask."""
    refused = [[("origin", origin)] for origin in foreign(world)]
    refused.append([("origin", own(world)[0]), ("origin", "https://evil.example")])
    preflight = ("access-control-request-method", "POST")
    asked: list[tuple[str, str, tuple[tuple[str, str], ...], dict[str, Any]]] = [
        ("POST", "/graphql", (), {"json": ROLE}),
        ("GET", "/graphql", (), {"params": ROLE}),
        ("OPTIONS", "/graphql", (preflight,), {}),
        ("GET", "/readyz", (), {}),
    ]
    for headers in refused:
        for method, path, more, request in asked:
            answer = ask(world, method, path, *headers, *more, **request)
            assert answer.status_code == 403, (headers, method)
            assert answer.headers["content-type"].startswith("application/json")
            assert [name for name in answer.headers if name.startswith("access-control")] == []
            [error] = answer.json()["errors"]
            assert error["extensions"] == {
                "code": "FORBIDDEN",
                "hint": "An operator allows it in NEXUS_ORIGINS.",
                "traceId": answer.headers["x-trace-id"],
            }
    for origin in own(world):
        answer = ask(world, "POST", "/graphql", ("origin", origin), json=ROLE)
        assert answer.json()["data"] == {"viewer": {"role": "OWNER"}}
    assert ask(world, "POST", "/graphql", json=ROLE).status_code == 200
    figure(7, "Foreign, forged and doubled origins refused with 403", f"{len(refused)} of {len(refused)}")


async def test_a_foreign_page_opens_no_websocket(world: World, figure: Figure) -> None:
    """The handshake is refused with 403 and the reason as JSON; own pages and programs get through."""
    address = world.server.address.replace("http", "ws") + "/graphql"
    for origin in foreign(world):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(address, additional_headers={"Origin": origin}, proxy=None):
                pytest.fail(f"opened for {origin!r}")
        response = refused.value.response
        assert response.status_code == 403
        assert json.loads(response.body or b"")["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    for origin in own(world):
        async with connect(address, origin=Origin(origin), subprotocols=[PROTOCOL], proxy=None):
            pass
    async with world.caller("t_acme", "owner").socket():
        pass
    figure(7, "Foreign origins refused at the websocket's handshake", f"{len(foreign(world))} of {len(foreign(world))}")


def test_no_simple_request_changes_anything(world: World, figure: Figure) -> None:
    """What a page may send across origins without asking first does nothing, even with somebody's credentials."""
    title = "forged in another's browser"
    mutation = f'mutation {{ openRun(input: {{ title: "{title}" }}) {{ run {{ id }} }} }}'
    body = json.dumps({"query": mutation}).encode()
    form = {"query": mutation}
    site = ("sec-fetch-site", "cross-site")
    vectors: dict[str, tuple[int, httpx.Response]] = {
        "a form": (415, ask(world, "POST", "/graphql", site, data=form)),
        "a form with a file": (415, ask(world, "POST", "/graphql", site, files={"map": b"{}"}, data=form)),
        "a form as text": (415, ask(world, "POST", "/graphql", ("content-type", "text/plain"), content=body)),
        "no media type": (415, ask(world, "POST", "/graphql", site, content=body)),
        "a media type that only begins well": (
            415,
            ask(world, "POST", "/graphql", ("content-type", "application/jsonp"), content=body),
        ),
        "two media types": (
            415,
            ask(world, "POST", "/graphql", ("content-type", "text/plain, application/json"), content=body),
        ),
        "JSON in a parameter": (
            415,
            ask(world, "POST", "/graphql", ("content-type", "text/plain; a=application/json"), content=body),
        ),
        "an image's address": (405, ask(world, "GET", "/graphql", site, params=form)),
        "an address asked for its head": (405, ask(world, "HEAD", "/graphql", params=form)),
        "a beacon": (415, ask(world, "POST", "/graphql", ("content-type", "application/octet-stream"), content=body)),
        "a report": (415, ask(world, "POST", "/graphql", ("content-type", "application/csp-report"), content=body)),
        "a mutation in the address of a POST": (415, ask(world, "POST", "/graphql", params=form)),
    }
    for name, (status, answer) in vectors.items():
        assert answer.status_code == status, (name, answer.status_code)
        if answer.request.method != "HEAD":
            assert "data" not in answer.json(), name
    owner = world.caller("t_acme", "owner")
    assert title not in json.dumps(titles(owner))
    owner.ask(mutation)
    assert title in json.dumps(titles(owner))
    figure(7, "Kinds of requests without a preflight that change nothing", f"{len(vectors)} of {len(vectors)}")


def titles(caller: Caller) -> Any:
    """What the log of the latest runs tells."""
    return caller.ask("{ runs(first: 20) { edges { node { title } } } }")


def test_every_answer_is_guarded(world: World, figure: Figure) -> None:
    """Good and bad ones, of every address, with or without an origin."""
    asked = [
        ask(world, "POST", "/graphql", json=ROLE),
        ask(world, "POST", "/graphql", ("origin", own(world)[0]), json=ROLE),
        ask(world, "POST", "/graphql", content=b"{"),
        ask(world, "PATCH", "/graphql"),
        ask(world, "GET", "/graphql", ("origin", "https://evil.example")),
        http("POST", f"{world.server.address}/graphql", json=ROLE),
        *(ask(world, "GET", path) for path in ("/healthz", "/readyz", "/metrics", "/graphiql", "/objects/x", "/none")),
    ]
    for answer in asked:
        for name, value in GUARDS.items():
            assert answer.headers[name].startswith(value), (answer.url, name)
        assert "Origin" in answer.headers["vary"], answer.url
        assert "strict-transport-security" not in answer.headers
        assert not answer.headers.get("content-type", "").startswith("text/plain"), answer.url
    statuses = sorted({answer.status_code for answer in asked})
    figure(
        7, "Headers that guard every answer", f"{len(GUARDS)}, on answers with status {', '.join(map(str, statuses))}"
    )


def test_a_raw_file_is_never_shown_in_place(world: World) -> None:
    """A page of somebody's is downloaded as bytes, in a sandbox, whatever it was declared to be."""
    owner = world.caller("t_acme", "owner")
    reserved = reserve(owner, "page.html", "text/html", data := b"<script>alert(1)</script>")
    assert upload(reserved["upload"], data).status_code == 201
    seal = "mutation Seal($id: ID!) { sealAsset(input: { assetId: $id }) { asset { downloadAddress } } }"
    address = owner.ask(seal, {"id": reserved["asset"]["id"]})["sealAsset"]["asset"]["downloadAddress"]
    answer = http("GET", address)
    assert (answer.status_code, answer.content) == (200, data)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stands in for an installed GraphiQL: the files' names, and a word in each."""
    folder = tmp_path_factory.mktemp("node_modules")
    for name in NEEDED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"/* {name} */", "utf-8")
    return folder


def test_allowed_pages_are_told_so_and_graphiql_is_served(
    own_world: MakeWorld, node_modules: Path, figure: Figure
) -> None:
    """A server with allowed origins, reached by https, with GraphiQL beside it."""
    origins = f"{APP}, http://localhost:3000"
    world = own_world(origins=origins, public_url="https://api.example", graphiql=str(node_modules))
    for origin in (APP, "http://localhost:3000", "https://api.example"):
        asking = [("origin", origin), ("access-control-request-method", "POST")]
        preflight = ask(world, "OPTIONS", "/graphql", *asking)
        assert (preflight.status_code, preflight.content) == (204, b"")
        assert preflight.headers["access-control-allow-origin"] == origin
        assert preflight.headers["access-control-allow-methods"] == "GET, POST, PUT"
        taken = preflight.headers["access-control-allow-headers"].lower().split(", ")
        read = {"authorization", "content-type", "x-nexus-tenant", "x-nexus-env", "x-nexus-run", "x-request-id"}
        assert read | {"traceparent", "last-event-id", "accept"} == set(taken)
        assert int(preflight.headers["access-control-max-age"]) >= 600
        answer = ask(world, "POST", "/graphql", ("origin", origin), json=ROLE)
        assert answer.json()["data"] == {"viewer": {"role": "OWNER"}}
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-expose-headers"] == "Retry-After, X-Trace-Id"
        for each in (preflight, answer):
            assert "access-control-allow-credentials" not in each.headers
            assert "Origin" in each.headers["vary"]
            assert each.headers["strict-transport-security"].startswith("max-age=")
    for origin in (world.server.address, f"{APP}.evil.example", f"{APP}:8443", "http://app.example"):
        assert ask(world, "POST", "/graphql", ("origin", origin), json=ROLE).status_code == 403

    page = http("GET", f"{world.server.address}/graphiql")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = dict(each.split(" ", 1) for each in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert (policy["script-src"], policy["connect-src"], policy["frame-ancestors"]) == ("'self'", "'self'", "'none'")
    files = re.findall(r'(?:src|href)="(graphiql/[^"]+)"', page.text)
    assert re.findall(r'(?:src|href)="([^"]+)"', page.text) == ["data:,", *files]
    assert re.search(r"<script(?![^>]* src=)|\son\w+=|<style", page.text) is None
    assert [name.rpartition("/")[2] for name in files] == [
        "graphiql.min.css",
        "page.css",
        "react.production.min.js",
        "react-dom.production.min.js",
        "graphiql.min.js",
        "page.js",
    ]
    for name in files:
        answer = http("GET", f"{world.server.address}/{name}")
        assert hashlib.sha256(answer.content).hexdigest().startswith(name.split("/")[1])
        assert answer.headers["content-type"] in ("text/css; charset=utf-8", "text/javascript; charset=utf-8")
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    for path in ("graphiql/", "graphiql/page.js", f"graphiql/{'0' * 32}/page.js", "graphiql/..%2F..%2Fconfig.py"):
        assert http("GET", f"{world.server.address}/{path}").status_code == 404
    figure(7, "Files of the GraphiQL page, all from this server, under addresses that hold their digests", len(files))


def test_without_graphiql_the_page_says_what_it_needs(world: World) -> None:
    """And loads nothing but a style of our own."""
    page = http("GET", f"{world.server.address}/graphiql")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert graphiql.INSTALL in page.text
    assert "NEXUS_GRAPHIQL" in page.text
    assert "<script" not in page.text
    [style] = re.findall(r'href="(graphiql/[^"]+)"', page.text)
    assert http("GET", f"{world.server.address}/{style}").status_code == 200


@pytest.mark.parametrize("settings", [{"documents": "trusted"}, {"introspection_envs": ""}], ids=str)
def test_where_nobody_may_introspect_there_is_no_page(
    tmp_path: Path, node_modules: Path, settings: dict[str, str]
) -> None:
    """Not even one that says what it needs; otherwise there is one."""
    for installed in (None, node_modules):
        assert graphiql.routes(configured(tmp_path, graphiql=installed, **settings)) == []
        assert graphiql.routes(configured(tmp_path, graphiql=installed)) != []


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_file_of_graphiql_stops_the_start(tmp_path: Path, name: str) -> None:
    """The message names it and tells how it is installed."""
    for other in set(NEEDED) - {name}:
        (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / other).write_text("", "utf-8")
    with pytest.raises(ConfigurationError, match=rf"{re.escape(name)}.*npm install graphiql@3") as told:
        graphiql.routes(configured(tmp_path, graphiql=tmp_path))
    assert "NEXUS_GRAPHIQL" in str(told.value)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https://*.example",
        "app.example",
        "https://app.example/",
        "https://app.example/path",
        "https://App.example",
        "https://app.example:443",
        "https://app.example:70000",
        "https://me@app.example",
        "https://bücher.example",
        "https://",
        "ftp://app.example",
        "null",
    ],
)
def test_what_is_no_origin_stops_the_start(tmp_path: Path, origin: str) -> None:
    """The message names the wrong one, though another is right."""
    with pytest.raises(ConfigurationError, match=f"NEXUS_ORIGINS is wrong: {re.escape(repr(origin))}"):
        allowed_origins(configured(tmp_path, origins=f"{APP}, {origin}"))
    right = f"{APP},http://[::1]:3000, http://web_app:3000,"
    allowed = allowed_origins(configured(tmp_path, origins=right, public_url="https://api.example:8443/base"))
    assert allowed == {APP, "http://[::1]:3000", "http://web_app:3000", "https://api.example:8443"}


EDITOR = "document.querySelector('.graphiql-query-editor .CodeMirror').CodeMirror"
CONNECT = """(() => {{
  const form = document.getElementById('credentials');
  for (const [name, value] of Object.entries({given})) form.elements[name].value = value;
  form.requestSubmit();
  return true;
}})()"""
STORED = "JSON.stringify([{...localStorage}, location.href, document.cookie])"


async def run(page: devtools.Page, document: str) -> None:
    """Write a document as a developer would, and run it once the editor has understood it."""
    name = document.split()[1]
    await page.evaluate(f"{EDITOR}.setValue({json.dumps(document)})")
    await page.until(f"{EDITOR}.documentAST.definitions[0].name.value === '{name}'")
    await page.evaluate("document.querySelector('.graphiql-execute-button').click()")


@pytest.mark.long
async def test_graphiql_works_in_a_real_browser(own_world: MakeWorld, tmp_path: Path, figure: Figure) -> None:
    """A query, a stream, the schema's documentation; nothing from elsewhere, no violation of the policy."""
    devtools.chromium()
    packages = node_packages.install(Path(__file__).parent / "page")
    world = own_world(graphiql=str(packages / "node_modules"))
    token = world.credentials["t_acme", "owner"]
    given = {"token": token, "tenant": "t_acme", "env": "dev"}
    shown = "document.querySelector('.result-window').innerText"
    async with devtools.opened(f"{world.server.address}/graphiql", tmp_path / "browser") as page:
        await page.until("document.readyState === 'complete' && window.GraphiQL")
        await page.evaluate(CONNECT.format(given=json.dumps(given)))
        await page.until("document.querySelector('.graphiql-execute-button')")
        await run(page, "query Role { viewer { role } }")
        await page.until(f"{shown}.includes('OWNER')")
        await run(page, 'subscription Follow { settingsChanged(surface: "cards") { __typename } }')
        await page.until(f"{shown}.includes('SettingsHeartbeat')")
        await page.evaluate("document.querySelector('[aria-label=\"Show Documentation Explorer\"]').click()")
        await page.until("document.querySelector('.graphiql-doc-explorer').innerText.includes('StrategyLock')")
        stored = await page.evaluate(STORED)
        asked = {address for address in page.asked if not address.startswith("data:")}
        assert page.said == []
    assert token not in stored
    assert {address for address in asked if not address.startswith(world.server.address)} == set()
    figure(7, "Requests of GraphiQL in Chromium to other servers", 0)
    figure(7, "Complaints on its console: query, subscription and documentation", 0)
