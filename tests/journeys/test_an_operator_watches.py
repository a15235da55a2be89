"""An operator watches: a scraper reads /metrics, a collector receives spans, and neither learns what was said."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from journey_house import MakeWorld, Server, World, http
from journey_steps import card, published
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

TOKEN = "a-token-of-the-scraper"
CANARY = "canarybird"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ASKED = f"query {CANARY}Name($key: ID!) {{ {CANARY}Alias: viewer {{ role }} card(id: $key) {{ id }} }}"
FOLLOW = 'subscription { settingsChanged(surface: "overview") { __typename } }'
CREATE = 'mutation { createKey(input: {name: "k", days: 1}) { secret userErrors { code } } }'


class Collector(BaseHTTPRequestHandler):
    """Keeps what is posted to it."""

    received: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        """One export."""
        self.received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """The address of a collector, and what it receives."""
    received: list[tuple[str, bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Kept", (Collector,), {"received": received}))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", received
    server.shutdown()
    thread.join()
    server.server_close()


def page(server: Server) -> str:
    """The page that a scraper reads."""
    answer = http("GET", f"{server.address}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.text


def sample(text: str, name: str, **labels: str) -> float:
    """One value of the page; 0 when it is not there yet."""
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            if each.name == name and each.labels == labels:
                return each.value
    return 0.0


async def until(server: Server, name: str, value: float, **labels: str) -> None:
    """Wait until a value is reached."""
    for _ in range(200):
        if sample(await asyncio.to_thread(page, server), name, **labels) == value:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"{name} does not become {value}")


async def story(world: World) -> str:
    """Two who are served, one who is refused by each of role, admission and grammar, and a stream.

    Returns the trace id that the one refused by role was told.
    """
    owner, member = world.caller("t_acme", "owner"), world.caller("t_acme", "member")
    found = published(owner, card(f"{CANARY}-key", f"The {CANARY} sings.\n"))
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "request-of-a-screen"}
    answer = owner.answer(ASKED, {"key": found["id"]}, **headers)
    assert answer.json()["data"]["card"] == {"id": found["id"]}
    assert answer.headers["x-trace-id"] == TRACE
    refused = member.answer(CREATE)
    assert "FORBIDDEN" in refused.text
    assert member.error(f"{{ {CANARY}Unknown }}")["extensions"]["code"] == "INVALID"
    assert world.caller("t_acme", "owner", env="prod").error("{ viewer { role } }")
    async with member.stream(FOLLOW):
        await until(world.server, "nexus_live_streams", 1)
        await until(world.server, "nexus_websockets", 1)
    await until(world.server, "nexus_live_streams", 0)
    await until(world.server, "nexus_websockets", 0)
    return refused.headers["x-trace-id"]


async def test_counts_rise_and_spans_arrive_without_content(
    own_world: MakeWorld, collector: tuple[str, list[tuple[str, bytes]]]
) -> None:
    """The page counts by type, outcome and gate and names nobody; the spans carry ids, the client's trace, no text."""
    address, received = collector
    world = own_world(1, metrics_token=TOKEN, traces_address=address)  # each process counts for itself
    server = world.server
    for wrong in ({}, {"Authorization": f"Bearer {TOKEN}x"}):
        assert http("GET", f"{server.address}/metrics", headers=wrong).status_code == 401
    before = page(server)
    told_trace = await story(world)
    await until(server, "nexus_follower_waiting", 0, follower="index")
    after = page(server)

    def rise(name: str, **labels: str) -> float:
        return sample(after, name, **labels) - sample(before, name, **labels)

    assert rise("nexus_operations_total", type="query", outcome="OK") == 1
    assert rise("nexus_operations_total", type="mutation", outcome="OK") == 1
    assert rise("nexus_operations_total", type="mutation", outcome="FORBIDDEN") == 1
    assert rise("nexus_operations_total", type="unknown", outcome="INVALID") == 1
    assert rise("nexus_operations_total", type="unknown", outcome="FORBIDDEN") == 1
    assert rise("nexus_operations_total", type="subscription", outcome="OK") == 1
    assert rise("nexus_operation_seconds_count", type="mutation") == 2
    assert rise("nexus_refusals_total", gate="ROLE", code="FORBIDDEN") == 2
    assert rise("nexus_journal_entries") >= 3
    for word in (CANARY, "acme", "globex", "owner@", "member", "viewer", "createKey", "publishCard"):
        assert word not in after, word

    assert server.stop() == 0  # what waits is sent
    assert {path for path, _ in received} == {"/v1/traces"}
    raw = b"".join(body for _, body in received)
    for word in (CANARY, "sings", "key: $key", "owner@", world.credentials["t_acme", "owner"], TOKEN):
        assert word.encode() not in raw, word
    spans = [span for _, body in received for span in spans_of(body)]
    (asked,) = [span for span in spans if span.name == "query card viewer"]
    assert (asked.trace_id.hex(), asked.parent_span_id.hex()) == (TRACE, PARENT)
    told = attributes(asked)
    points = told.pop("nexus.cost.points")
    assert points >= 1
    assert told == {
        "nexus.tenant": "t_acme",
        "nexus.env": "dev",
        "nexus.principal.kind": "user",
        "nexus.role": "owner",
        "nexus.request.id": "request-of-a-screen",
        "nexus.outcome": "OK",
        "graphql.operation.type": "query",
    }
    (refused,) = [span for span in spans if span.name == "mutation createKey"]
    assert attributes(refused)["nexus.outcome"] == "FORBIDDEN"
    assert (refused.trace_id.hex(), refused.parent_span_id) == (told_trace, b"")
    assert {span.name for span in spans} >= {"unknown", "mutation publishCard", "subscription settingsChanged"}


def spans_of(body: bytes) -> list[Any]:
    """The spans of an export."""
    request = ExportTraceServiceRequest.FromString(body)
    return [span for of in request.resource_spans for scope in of.scope_spans for span in scope.spans]


def attributes(span: Any) -> dict[str, Any]:
    """A span's attributes."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}
