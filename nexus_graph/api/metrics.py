"""What Prometheus scrapes: counts and times of this process, in a registry of our own.

Labels come from short closed lists: operation types, codes, gates, followers. No tenant, user, operation name or other
text of a client is ever a label: pages that anybody can lengthen are no metrics.
"""

from __future__ import annotations

import hmac
import platform
from importlib import metadata

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from nexus_graph.scope.decision import Gate
from nexus_graph.scope.errors import Forbidden, Halted, LockRequired, NexusError, QuotaExceeded, Throttled, Withheld
from nexus_graph.scope.redaction import RULESET
from nexus_graph.stores.follower import Follower
from nexus_graph.stores.work import Stores

NO_GATE = "NONE"
"""The gate of a refusal that no safeguard made: malformed, unproven, not found, overtaken, unavailable."""

_GATES: dict[type[NexusError], Gate] = {
    Halted: Gate.KILL_SWITCH,
    Throttled: Gate.RATE,
    QuotaExceeded: Gate.QUOTA,
    Forbidden: Gate.ROLE,
    LockRequired: Gate.STRATEGY_LOCK,
    Withheld: Gate.CONSENT,
}


def gate_of(error: NexusError) -> str:
    """The name of the gate that refused, or `NONE`."""
    gate = error.blockers[0].gate if error.blockers else _GATES.get(type(error))
    return gate.value if gate else NO_GATE


class Metrics:
    """The instruments of one process. `followers` are those that run here; their lag is asked at each scrape."""

    def __init__(self) -> None:
        registry = CollectorRegistry(auto_describe=True)
        self.registry = registry
        self.followers: list[Follower] = []
        self.operations = Counter(
            "nexus_operations", "Operations answered, by type and outcome code.", ["type", "outcome"], registry=registry
        )
        self.seconds = Histogram(
            "nexus_operation_seconds",
            "Time from request to answer; streams are not in it.",
            ["type"],
            registry=registry,
        )
        self.refusals = Counter(
            "nexus_refusals", "Refusals told to callers, by gate and code.", ["gate", "code"], registry=registry
        )
        self.sockets = Gauge("nexus_websockets", "Open websockets.", registry=registry)
        self.streams = Gauge("nexus_live_streams", "Live streams.", registry=registry)
        self._waiting = Gauge(
            "nexus_follower_waiting",
            "Journal entries that a follower has still to take, over all scopes.",
            ["follower"],
            registry=registry,
        )
        self._entries = Gauge("nexus_journal_entries", "Journal entries, over all scopes.", registry=registry)
        self._scopes = Gauge("nexus_scopes", "Tenants times envs that have a journal.", registry=registry)
        build = Info("nexus_build", "What is running.", registry=registry)
        build.info({"version": _version(), "python": platform.python_version(), "ruleset": RULESET})
        ProcessCollector(registry=registry)

    def refused(self, error: NexusError) -> None:
        """Count a refusal."""
        self.refusals.labels(gate_of(error), error.code).inc()

    async def page(self, stores: Stores) -> bytes:
        """The page that a scraper reads; what has to be looked up is looked up now."""
        heads = await stores.heads()
        self._entries.set(sum(seq for _, _, seq in heads))
        self._scopes.set(len(heads))
        for follower in self.followers:
            self._waiting.labels(follower.name).set(await follower.lag(stores))
        return generate_latest(self.registry)


class MetricsEndpoint:
    """Answers `GET /metrics` to who holds the token of the setting. Without the setting there is no such page."""

    def __init__(self, metrics: Metrics, stores: Stores, token: SecretStr | None) -> None:
        self._metrics = metrics
        self._stores = stores
        self._expected = None if token is None else f"Bearer {token.get_secret_value()}".encode()

    async def answer(self, request: Request) -> Response:
        """The page, 401 with a wrong token or none, 404 when no token is set."""
        if self._expected is None:
            told = "There are no metrics here. Set NEXUS_METRICS_TOKEN, and send it as a bearer token."
            return JSONResponse({"message": told}, 404)
        presented = request.headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(presented, self._expected):
            told = "Send 'Authorization: Bearer <NEXUS_METRICS_TOKEN>'."
            return JSONResponse({"message": told}, 401, {"WWW-Authenticate": "Bearer"})
        page = await self._metrics.page(self._stores)
        return Response(page, headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})


def _version() -> str:
    try:
        return metadata.version("nexus-graph")
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return "unknown"
