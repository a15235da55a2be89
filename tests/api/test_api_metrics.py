"""Metrics and traces without a server: who may read the page, which gate a refusal counts for, and dead collectors."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event, Thread
from threading import enumerate as enumerate_threads
from typing import Any

import httpx
import pytest
from graphql import OperationDefinitionNode, parse
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Route

from nexus_graph.api import traces
from nexus_graph.api.metrics import Metrics, MetricsEndpoint, gate_of
from nexus_graph.api.observing import Watch, root_fields
from nexus_graph.api.traces import NoTraces, Span, open_traces
from nexus_graph.scope.errors import (
    ConfigurationError,
    Conflict,
    Forbidden,
    Halted,
    Invalid,
    LockRequired,
    NexusError,
    QuotaExceeded,
    Throttled,
    Withheld,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SPAN = Span("query viewer", "0af7651916cd43dd8448eb211c80319c", None, NOW, NOW, {"nexus.outcome": "OK"}, failed=False)


class NoStores:
    """Stores without a journal."""

    async def heads(self) -> list[Any]:
        """None."""
        return []


async def scrape(metrics: Metrics, token: str | None, **headers: str | bytes) -> httpx.Response:
    """What /metrics answers."""
    stores: Any = NoStores()
    endpoint = MetricsEndpoint(metrics, stores, None if token is None else SecretStr(token))
    app = Starlette(routes=[Route("/metrics", endpoint.answer)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        return await client.get("/metrics", headers=[(name.encode(), _bytes(value)) for name, value in headers.items()])


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


async def test_there_is_no_page_without_the_setting() -> None:
    """404, a message that names the setting, and no token opens it."""
    for presented in ("", "Bearer ", "Bearer None"):
        answer = await scrape(Metrics(), None, Authorization=presented)
        assert answer.status_code == 404
        assert "NEXUS_METRICS_TOKEN" in answer.json()["message"]


async def test_only_the_token_opens_the_page() -> None:
    """The right one does; none, another, a longer and a mistyped one answer 401."""
    token = "0123456789abcdef"
    assert (await scrape(Metrics(), token, Authorization=f"Bearer {token}")).status_code == 200
    for wrong in (
        b"",
        token.encode(),
        b"bearer 0123456789abcdef",
        b"Bearer 0123456789abcdef0",
        b"Bearer 0123456789abcde\xe9",
    ):
        answer = await scrape(Metrics(), token, Authorization=wrong)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert (await scrape(Metrics(), token)).status_code == 401


@pytest.mark.parametrize(
    ("error", "gate"),
    [
        (Halted("x", since=NOW, reason="y"), "KILL_SWITCH"),
        (Throttled("x", retry_after=1), "RATE"),
        (QuotaExceeded("x"), "QUOTA"),
        (Forbidden("x"), "ROLE"),
        (LockRequired("x", change_digest="y"), "STRATEGY_LOCK"),
        (Withheld("x"), "CONSENT"),
        (Invalid("x"), "NONE"),
        (Conflict("x"), "NONE"),
    ],
    ids=lambda each: getattr(each, "code", each),
)
def test_a_refusal_counts_for_its_gate(error: NexusError, gate: str) -> None:
    """And for none when no safeguard refused."""
    assert gate_of(error) == gate


def test_an_operation_counts_once_however_it_ends() -> None:
    """Also when an exception ends it; the first code is its outcome, and a stream has no latency."""
    watch = Watch()
    value = watch.metrics.registry.get_sample_value
    with watch.operation(None) as observation:
        observation.kind = "query"
        observation.refused(Invalid("x"))
        observation.refused(Forbidden("x"))
    with suppress(RuntimeError), watch.operation(None) as observation:
        observation.kind = "subscription"
        raise RuntimeError
    assert value("nexus_operations_total", {"type": "query", "outcome": "INVALID"}) == 1
    assert value("nexus_operations_total", {"type": "subscription", "outcome": "OK"}) == 1
    assert value("nexus_operation_seconds_count", {"type": "query"}) == 1
    assert value("nexus_operation_seconds_count", {"type": "subscription"}) is None
    assert value("nexus_refusals_total", {"gate": "ROLE", "code": "FORBIDDEN"}) == 1


def test_root_fields_are_named_once_and_without_aliases() -> None:
    """Through fragments as well, and a fragment that spreads itself ends."""
    document = parse("{ secret: b ...F ... { a other: a } } fragment F on Query { c { inner } ...F }")
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    assert root_fields(document, operation.selection_set) == ["a", "b", "c"]


def test_without_an_address_nothing_is_loaded() -> None:
    """Spans go nowhere."""
    assert isinstance(open_traces(None), NoTraces)


def test_a_missing_package_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the setting and the extra."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigurationError, match=r"NEXUS_TRACES_ADDRESS.*nexus-graph\[traces\]"):
        open_traces("http://127.0.0.1:1")


@pytest.fixture
def silent_collector() -> Iterator[str]:
    """The address of somebody who accepts every connection and never answers."""
    over, held = Event(), []

    def accept(listening: socket.socket) -> None:
        listening.settimeout(0.1)
        while not over.is_set():
            try:
                held.append(listening.accept()[0])
            except TimeoutError:
                continue

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=accept, args=(listening,))
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        over.set()
        thread.join()
        for connection in held:
            connection.close()
        for sender in enumerate_threads():
            if sender.name == "traces":
                sender.join(20)


async def test_a_silent_collector_holds_nothing_up(silent_collector: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Telling is done at once, thousands of times, and closing ends although the sender is still at it."""
    monkeypatch.setattr(traces, "FLUSH_SECONDS", 0.2)
    monkeypatch.setattr(traces, "_SEND_SECONDS", 1)
    monkeypatch.setattr(logging.getLogger("opentelemetry"), "disabled", True)
    collector = open_traces(silent_collector)
    for _ in range(5000):
        collector.tell(SPAN)
    await collector.close()
    assert "traces" in {thread.name for thread in enumerate_threads()}, "It waited until everything was sent."
