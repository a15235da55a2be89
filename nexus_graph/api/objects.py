"""The addresses of the embedded object store: an upload is a PUT, a download a GET, the token in the path the right.

No tenant headers and no bearer token here: an address is handed out by the GraphQL door, binds one object, and expires.
Nothing of an object is ever logged, and no browser shows one in place: a download is an attachment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as Exchanged

from nexus_graph.safeguards import switches
from nexus_graph.scope.canonical import Json, canonical
from nexus_graph.scope.clock import iso
from nexus_graph.scope.errors import Conflict, Forbidden, Halted, Invalid, NexusError, NotFound, Unavailable
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.blobs.attachments import disposition, inert_type
from nexus_graph.stores.blobs.base import Download, Exchange
from nexus_graph.stores.work import Stores

_STATUS: dict[type[NexusError], int] = {
    Forbidden: 403,
    Invalid: 400,
    NotFound: 404,
    Conflict: 409,
    Halted: 503,
    Unavailable: 503,
}
_GUARDS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


Guard = Callable[[str, str], Awaitable[None]]
"""Raises Halted where a tenant's and env's objects are halted."""


def guard(stores: Stores) -> Guard:
    """Asks the kill switch of the tenant and env to which an address leads."""

    async def require_running(tenant_id: str, env: str) -> None:
        await switches.require(stores, Scope.system(tenant_id, Env(env), "objects"), None, switches.OBJECTS)

    return require_running


def routes(blobs: Exchange, require_running: Guard) -> list[Route]:
    """The routes for `/objects/{token}`.

    PUT answers 201 for a stored object and 204 for one that was there already. GET and HEAD answer 200. Refusals are
    400 (size or checksum), 403 (address wrong or expired), 404, 409, 411 (no Content-Length), 413 (more than declared)
    and 503 (halted, or unavailable), with `{"error": {"code", "hint", "message"}}`.
    """

    async def answer(request: Request) -> Response:
        token = request.path_params["token"]
        try:
            await require_running(*blobs.place(token, "PUT" if request.method == "PUT" else "GET"))
            if request.method == "PUT":
                return await _take(blobs, token, request)
            return _give(await blobs.send(token), body=request.method == "GET")
        except NexusError as error:
            return _refuse(error, _STATUS.get(type(error), 400))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it

    return [Route("/objects/{token}", answer, methods=["GET", "PUT"])]


async def _take(blobs: Exchange, token: str, request: Request) -> Response:
    expected = blobs.expected(token)
    length = request.headers.get("content-length")
    if length is None:
        return _refuse(Invalid("The size is missing.", hint="Send a Content-Length header."), 411)
    if int(length) > expected:  # the server has checked that these are digits
        message = f"{length} bytes are announced where {expected} were declared."
        return _refuse(Invalid(message, hint="Reserve the size of the file."), 413)
    stored = await blobs.receive(token, request.stream())
    return Response(status_code=201 if stored else 204, headers=_GUARDS)


def _give(download: Download, *, body: bool) -> Response:
    headers = {
        **_GUARDS,
        "Content-Disposition": disposition(download.filename),
        "Content-Length": str(download.size),
        "Content-Type": inert_type(download.content_type),
    }
    if body:
        return _Attachment(download, headers)
    download.close()
    return Response(headers=headers)


class _Attachment(StreamingResponse):
    """A download that is closed in every case, also when the client hangs up."""

    def __init__(self, download: Download, headers: dict[str, str]) -> None:
        super().__init__(download.chunks, headers=headers)
        self._download = download

    async def __call__(self, scope: Exchanged, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except ClientDisconnect:
            return
        finally:
            self._download.close()


def _refuse(error: NexusError, status: int) -> Response:
    told: dict[str, Json] = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, Halted):
        told |= {"since": iso(error.since), "reason": error.reason}
    return Response(canonical({"error": told}), status, _GUARDS, "application/json")
