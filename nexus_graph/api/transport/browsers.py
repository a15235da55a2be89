"""What a browser is told, whatever it asks for: which pages may call, and how little an answer may do in a page.

Only this server's own pages and those of the configured origins may call: a request of any other page is refused before
anything looks at it, a websocket's handshake as well. Without an `Origin` it is no page's cross-origin call, or one
whose answer no page can read. There are no cookies here, so credentials never travel by themselves.

Spec: fetch.spec.whatwg.org (CORS). Starlette's middleware for it runs what a foreign page asks for, refuses preflights
in plain text, and does not look at websockets.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

import orjson
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nexus_graph.api.errors import refusal
from nexus_graph.api.metrics import Metrics
from nexus_graph.api.transport.accepting import JSON, accepted
from nexus_graph.config import Config
from nexus_graph.scope.errors import ConfigurationError, Forbidden
from nexus_graph.scope.ids import new_trace_id

log = structlog.get_logger("nexus_graph.api")

GUARDS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer, unless it brings its own."""

_ENCRYPTED = "max-age=31536000"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT",
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, Last-Event-ID, Traceparent, X-Nexus-Env, "
    "X-Nexus-Run, X-Nexus-Tenant, X-Request-Id",
    "Access-Control-Max-Age": "7200",
    "Vary": "Access-Control-Request-Method, Access-Control-Request-Headers",
}
_EXPOSED = "Retry-After, X-Trace-Id"
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")  # a name, in Punycode where it is not ASCII, or a number
_PORTS = {"http": 80, "https": 443}
_LOOPBACK = ("127.0.0.1", "::1")


def allowed_origins(config: Config) -> frozenset[str]:
    """The origins whose pages may call: this server's own, and the configured ones.

    Raises ConfigurationError that names an origin which is none.
    """
    given = [part.strip() for part in config.origins.split(",") if part.strip()]
    wrong = [origin for origin in given if _origin(origin) != origin]
    if wrong:
        raise ConfigurationError(
            f"NEXUS_ORIGINS is wrong: {wrong[0]!r} is no origin. Write https://app.example or http://localhost:3000: "
            "scheme, host in lower case and port unless it is the usual one; no path, no *."
        )
    own = [_origin(config.address)]
    if config.public_url is None and config.host in _LOOPBACK:
        own.append(f"http://localhost:{config.port}")  # the same machine under the name that people type
    return frozenset(given).union(origin for origin in own if origin is not None)


def _origin(address: str) -> str | None:
    """The origin of an address as browsers write it, or nothing when it has none."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or parts.hostname is None or not _HOST.fullmatch(parts.hostname):
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if port in (None, _PORTS[parts.scheme]) else f":{port}")


class Browsers:
    """ASGI, for http and websocket: refuses pages of other origins, answers preflights, guards every answer."""

    def __init__(self, app: ASGIApp, origins: Collection[str], metrics: Metrics, *, encrypted: bool) -> None:
        self._app = app
        self._origins = origins
        self._metrics = metrics
        guards = GUARDS | ({"Strict-Transport-Security": _ENCRYPTED} if encrypted else {})
        self._guards = [(name.lower().encode(), value.encode()) for name, value in guards.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        named = headers.getlist("origin")
        allowed = all(origin in self._origins for origin in named)

        async def guarded(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                self._guard(message, named if allowed else [])
            await send(message)

        if not allowed:
            await self._refused(headers)(scope, receive, guarded)
        elif named and scope.get("method") == "OPTIONS" and "access-control-request-method" in headers:
            await Response(status_code=204, headers=_PREFLIGHT)(scope, receive, guarded)
        else:
            await self._app(scope, receive, guarded)

    def _guard(self, message: Message, allowed: list[str]) -> None:
        headers = MutableHeaders(scope=message)
        own = {name.lower() for name, _ in headers.raw}
        headers.raw.extend(guard for guard in self._guards if guard[0] not in own)
        headers.add_vary_header("Origin")
        for origin in allowed:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = _EXPOSED

    def _refused(self, headers: Headers) -> Response:
        error = Forbidden("Pages of this origin may not call here.", hint="An operator allows it in NEXUS_ORIGINS.")
        trace_id = new_trace_id()
        self._metrics.refused(error)
        log.warning("request.refused", code=error.code, trace_id=trace_id)
        media_type = accepted(", ".join(headers.getlist("accept"))).answer or JSON
        return Response(
            orjson.dumps(refusal(error, trace_id)),
            403,
            {"Cache-Control": "no-store", "X-Trace-Id": trace_id},
            f"{media_type}; charset=utf-8",
        )
