"""The composition root: Config -> stores -> equipment -> schema -> ASGI application, and what runs beside it.

The only place that chooses adapters. `open_house` is used by the server and by the command line alike.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nexus_graph import assets, atoms, exports, index, sessions
from nexus_graph.api import graphiql, objects, schema
from nexus_graph.api.errors import defect, refusal
from nexus_graph.api.house import House
from nexus_graph.api.metrics import MetricsEndpoint
from nexus_graph.api.observing import Watch
from nexus_graph.api.operations.execution import Execution
from nexus_graph.api.paging import Cursors
from nexus_graph.api.traces import open_traces
from nexus_graph.api.transport.browsers import Browsers, allowed_origins
from nexus_graph.api.transport.http import HttpEndpoint
from nexus_graph.api.transport.websocket import WebSocketEndpoint
from nexus_graph.assets import AssetRules
from nexus_graph.assets import erasing as assets_erasing
from nexus_graph.assets import reflagging as assets_reflagging
from nexus_graph.assets.consenting import ASSETS
from nexus_graph.atoms import Sandbox
from nexus_graph.atoms import erasing as atoms_erasing
from nexus_graph.atoms import reflagging as atoms_reflagging
from nexus_graph.atoms.consenting import ATOMS
from nexus_graph.cards import Manifests
from nexus_graph.cards import erasing as cards_erasing
from nexus_graph.cards import reflagging as cards_reflagging
from nexus_graph.cards.consenting import CARDS
from nexus_graph.config import Config
from nexus_graph.engines import open_copies, open_ledger, open_stores
from nexus_graph.exports import erasing as exports_erasing
from nexus_graph.index import Index
from nexus_graph.index import erasing as index_erasing
from nexus_graph.index.embedding import load_embedder
from nexus_graph.packs import erasing as packs_erasing
from nexus_graph.packs import reflagging as packs_reflagging
from nexus_graph.packs.consenting import PACKS
from nexus_graph.safeguards import erasure, rulesets
from nexus_graph.safeguards.consent import changing as consent
from nexus_graph.safeguards.consent.following import follower as consent_follower
from nexus_graph.safeguards.erasure import Eraser, Forgetting, Ledger, Pseudonyms, gates
from nexus_graph.safeguards.locks import reflagging as locks_reflagging
from nexus_graph.safeguards.quotas import Leases
from nexus_graph.safeguards.rates import Rates
from nexus_graph.safeguards.rates.refusals import GATHER_SECONDS
from nexus_graph.scope.errors import Invalid, NexusError, NotFound, Unavailable
from nexus_graph.scope.ids import NewId, new_id, new_trace_id
from nexus_graph.scope.policy import Policy
from nexus_graph.scope.resources import resource
from nexus_graph.scope.scope import Scope as Tenancy
from nexus_graph.sessions import erasing as sessions_erasing
from nexus_graph.sessions import reflagging as sessions_reflagging
from nexus_graph.stores.blobs.base import Blobs
from nexus_graph.stores.blobs.files import FileBlobs
from nexus_graph.stores.follower import Follower
from nexus_graph.stores.vectors.local import LocalVectors
from nexus_graph.tenants import erasing as tenants_erasing
from nexus_graph.tenants.admission import Admission
from nexus_graph.tenants.tickets import Tickets
from nexus_graph.tenants.tokens import Verifier

log = structlog.get_logger("nexus_graph.app")

ERASURE_STEPS = (
    assets_erasing.STEP,
    atoms_erasing.STEP,
    cards_erasing.STEP,
    index_erasing.STEP,
    packs_erasing.STEP,
    exports_erasing.STEP,
    sessions_erasing.STEP,
    gates.STEP,
    tenants_erasing.STEP,
)
"""In the order in which the river flows. Who may come in is looked at last, and shut out first."""

RULESET_STEPS = (
    atoms_reflagging.ATOMS,
    assets_reflagging.ASSETS,
    cards_reflagging.CARDS,
    packs_reflagging.PACKS,
    sessions_reflagging.SESSIONS,
    locks_reflagging.LOCKS,
)
"""What has flags, after what its flags come from: an asset has those of its atoms, a pack those of its cards."""

ERASURE_PAUSE = 1.5 * GATHER_SECONDS
"""Seconds between the shutting of the door and the erasing, where others are served meanwhile."""

_ROUTES = ("/graphql", "/graphiql", "/healthz", "/readyz", "/metrics", "/objects")
_SWEEP_SECONDS = 60.0
_OFFLOAD_SECONDS = 3600.0


@asynccontextmanager
async def open_house(config: Config, *, any_embedder: bool = False, new_id: NewId = new_id) -> AsyncIterator[House]:
    """Open the stores and load everything that the rooms need. Raises ConfigurationError for what is missing.

    Scopes that another embedder indexed are refused too, unless `any_embedder`: the way in for `reindex`.
    """
    policy = Policy.load(resource("casbin_model.conf"), resource("policies"))
    manifests = Manifests.load(resource("core") / "manifests")
    embedder = load_embedder(
        config.embedder,
        model_directory=config.embedder_model,
        address=config.embedder_address,
        model=config.embedder_openai_model,
        key=config.embedder_key.get_secret_value() if config.embedder_key else None,
        dimensions=config.embedder_dimensions,
    )
    sandbox = Sandbox(
        config.derive_workers,
        atoms.Limits(
            input_bytes=config.largest_asset, seconds=config.derive_seconds, memory_bytes=config.derive_memory
        ),
    )
    verifier = Verifier(config.issuers, config.development_key)
    await verifier.load()
    traces = open_traces(config.traces_address)
    async with open_stores(config, new_id) as stores, AsyncExitStack() as held:
        rates = Rates(stores)
        tickets = Tickets(config.signing_secret.get_secret_value(), config.ticket_seconds)
        copies = await held.enter_async_context(open_copies(config, stores))
        ledger = await held.enter_async_context(open_ledger(config))
        vectors = Index(embedder, manifests, LocalVectors(config.vectors_memory), copies)
        forgetting: list[Callable[[Tenancy], None]] = [vectors.forget, verifier.forget]

        def forget(scope: Tenancy) -> None:
            for each in forgetting:
                each(scope)

        try:
            house = House(
                config=config,
                stores=stores,
                admission=Admission(stores, verifier, policy, rates.refusals, tickets),
                cursors=Cursors(config.signing_secret.get_secret_value()),
                asset_rules=AssetRules(config.largest_asset, config.reservation_seconds, config.address_seconds),
                sandbox=sandbox,
                manifests=manifests,
                index=vectors,
                eraser=eraser(config, ledger, forget, ERASURE_PAUSE, vectors.erase),
                forgetting=forgetting,
                consent_steps=(ASSETS, ATOMS, CARDS, PACKS),
                leases=Leases(stores),
                rates=rates,
                watch=Watch(traces=traces),
            )
            await erasure.require_agreement(stores, ledger)
            await _require_fit(stores.blobs)
            if not any_embedder:
                await index.require_definition(stores, house.index)
            yield house
        finally:
            await traces.close()
            await rates.close()
            await sandbox.close()
            await embedder.close()


async def _require_fit(blobs: Blobs) -> None:
    """An object server that is away stops no start: what needs no object goes on without it."""
    try:
        await blobs.require_fit()
    except Unavailable:
        log.warning("store.unavailable", store="objects")


def eraser(
    config: Config,
    ledger: Ledger,
    forget: Callable[[Tenancy], None],
    pause: float,
    erase_copies: Callable[[Tenancy], Awaitable[None]],
) -> Eraser:
    """What an erasure needs; `forget` lets go of what this process holds of a scope; see `Eraser` for the others."""
    secret = config.signing_secret.get_secret_value()
    return Eraser(ERASURE_STEPS, ledger, Pseudonyms(secret), forget, pause, erase_copies)


def followers(house: House) -> list[Follower]:
    """The stages that pull: atoms from sealed assets, index entries from published cards."""
    copies = house.index.copies
    return [
        atoms.follower(house.sandbox),
        index.follower(house.index),
        index.rebuilder(house.index),
        *([] if copies is None else [index.keeper(house.index, copies)]),
        consent_follower(house.consent_steps),
        erasure.follower(house.eraser),
        exports.follower(),
    ]


@asynccontextmanager
async def following(house: House) -> AsyncIterator[None]:
    """Run the followers, the sweepers, the renewal of leases and a new ruleset beside whatever happens inside."""
    await consent.settle(house.stores, house.consent_steps)
    house.watch.metrics.followers = followers(house)
    copies = house.index.copies
    deeds = [
        *(follower.run(house.stores, house.config.poll_seconds) for follower in house.watch.metrics.followers),
        assets.sweep_forever(house.stores, _SWEEP_SECONDS),
        sessions.sweep_forever(house.stores, _SWEEP_SECONDS),
        house.leases.renew_forever(),
        Forgetting(house.stores, house.eraser).run(house.config.poll_seconds),
        rulesets.follow(house.stores, RULESET_STEPS),
        *([] if copies is None else [index.offload_forever(house.stores, house.index, copies, _OFFLOAD_SECONDS)]),
    ]
    tasks = [asyncio.create_task(deed) for deed in deeds]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def application(house: House) -> ASGIApp:
    """The ASGI application over an open house."""
    execution = Execution(schema.built(), house)
    house.forgetting.append(execution.forget)
    http, websocket = HttpEndpoint(execution, house), WebSocketEndpoint(execution, house)
    routes: list[BaseRoute] = [
        Route("/graphql", http),
        WebSocketRoute("/graphql", websocket.answer),
        Route("/healthz", _alive),
        Route("/readyz", _readiness(house)),
        Route("/metrics", MetricsEndpoint(house.watch.metrics, house.stores, house.config.metrics_token).answer),
    ]
    routes += graphiql.routes(house.config)
    if isinstance(house.stores.blobs, FileBlobs):  # its addresses lead back here; those of an object server do not
        routes += objects.routes(house.stores.blobs, objects.guard(house.stores))
    answering = Starlette(routes=routes, exception_handlers={HTTPException: _not_answered, Exception: _not_answered})
    answering.router.redirect_slashes = False
    encrypted = house.config.address.startswith("https:")
    origins = allowed_origins(house.config)
    return _AccessLog(Browsers(answering, origins, house.watch.metrics, encrypted=encrypted))


async def _not_answered(_: Request, error: Exception) -> JSONResponse:
    """For an address or a method that is not answered, and for a defect there: JSON, as everything else."""
    trace_id = new_trace_id()
    if not isinstance(error, HTTPException):
        return JSONResponse({"errors": [defect(error, trace_id)]}, 500)
    if error.status_code == 405:
        wrong: NexusError = Invalid("This method is not answered here.", hint="The header Allow names those that are.")
    else:
        wrong = NotFound("address")
        wrong.hint = "GraphQL is at /graphql."
    return JSONResponse(refusal(wrong, trace_id), error.status_code, error.headers)


async def _alive(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


def _readiness(house: House) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def ready(_: Request) -> JSONResponse:
        states = {
            "database": await _state(house.stores.database.ready()),
            "objects": await _state(house.stores.blobs.ready()),
        }
        good = all(state == "ok" for state in states.values())
        if (copies := house.index.copies) is not None:  # without it rows answer: no reason to be taken out of service
            states["vectors"] = await _state(copies.vectors.ready())
        return JSONResponse({"status": "ok" if good else "unavailable", "stores": states}, 200 if good else 503)

    return ready


async def _state(check: Awaitable[None]) -> str:
    try:
        async with asyncio.timeout(2):
            await check
    except Exception as error:  # a damaged file has words of its own
        log.warning("store.unavailable", error=type(error).__name__)
        return "unavailable"
    return "ok"


def _route(path: str) -> str:
    """The part of a path that is ours. What a stranger or a slip of the pen put there is not for the log."""
    first = "/" + path.lstrip("/").partition("/")[0]
    return first if first in _ROUTES else "other"


class _AccessLog:
    """One line a request: method, route, status, milliseconds, trace. Never a query, header or signed address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, seen = time.perf_counter(), {"status": 500, "trace": None}

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                headers = {name.lower(): value for name, value in message["headers"]}
                seen["trace"] = headers.get(b"x-trace-id", b"").decode() or None
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            log.info(
                "http.request",
                method=scope["method"],
                route=_route(scope["path"]),
                status=seen["status"],
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
                trace_id=seen["trace"],
            )
