"""A GraphQL request as HTTP brings it: parameters of an address, or a body. Read within bounds of time and size."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from nexus_graph.api.operations.operation import Operation
from nexus_graph.api.transport.accepting import JSON
from nexus_graph.api.transport.decoding import decode
from nexus_graph.scope.errors import Invalid

Deed = TypeVar("Deed")

METHODS = ("GET", "HEAD", "POST", "OPTIONS")
TICKET = "ticket"
_PARAMETERS = ("query", "operationName", "variables", "extensions", "documentId", TICKET)
_MAPS = ("variables", "extensions")
_MOST_PARAMETERS = 20


class Malformed(Invalid):
    """A request for whose fault HTTP has a status of its own. `headers` go with the answer."""

    def __init__(self, status: int, message: str, *, hint: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.headers = headers or {}


async def operation_of(request: Request, *, largest: int, seconds: float) -> Operation:
    """The operation that a request asks for: a body of so many bytes within so many seconds, or parameters.

    Raises Invalid, and ClientDisconnect when the client is gone before the end of its request.
    """
    if request.method != "POST":
        return Operation.of(_parameters(request.scope["query_string"]))
    _require_json(request.headers)
    try:
        async with asyncio.timeout(seconds):
            body = await _body(request, largest)
    except TimeoutError as error:
        message = f"The request did not arrive within {seconds:g} seconds."
        raise Malformed(408, message, hint="Send it again.", headers={"Connection": "close"}) from error
    return Operation.of(decode(body))


UNWATCHED_SECONDS: Final = 0.05
"""How long something may take before it is looked whether the client still waits for it."""


async def gone(receive: Receive) -> None:
    """Wait until the client of a request that was read is gone."""
    while (await receive())["type"] != "http.disconnect":
        continue


async def unless_gone(receive: Receive, deed: Coroutine[Any, Any, Deed]) -> Deed:
    """Do something for as long as the client waits for it. Raises ClientDisconnect when it does no more.

    Most deeds are done before it is worth looking whether anybody still waits.
    """
    me: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment] # whoever awaits is one
    watching = list[asyncio.Task[None]]()
    cancelled_before, left = me.cancelling(), False

    def watch() -> None:
        watching.append(asyncio.create_task(gone(receive)))
        watching[0].add_done_callback(leave)

    def leave(watch: asyncio.Task[None]) -> None:
        nonlocal left
        left = not watch.cancelled()
        if left:
            me.cancel()

    timer = asyncio.get_running_loop().call_later(UNWATCHED_SECONDS, watch)
    try:
        return await deed
    except asyncio.CancelledError as error:
        if left and me.uncancel() <= cancelled_before:
            raise ClientDisconnect from error
        raise
    finally:
        timer.cancel()
        for each in watching:
            each.remove_done_callback(leave)
            each.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


def _parameters(query: bytes) -> dict[str, object]:
    """The members of a request in an address. An empty one says nothing, by the specification."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS
        )
    except ValueError as error:
        hint = "Encode them as application/x-www-form-urlencoded, in UTF-8."
        raise Invalid("The parameters of the address can't be read.", hint=hint) from error
    found: dict[str, object] = {}
    for name, value in pairs:
        if name not in _PARAMETERS:
            known = ", ".join(_PARAMETERS)
            raise Invalid(f"The address has an unknown parameter {name[:40]!r}.", hint=f"Known: {known}.")
        if name in found:
            raise Invalid(f"The address has two parameters {name!r}.", hint="Send each parameter once.")
        found[name] = (_map(name, value) if name in _MAPS else value) if value else None
    return found


def _map(name: str, value: str) -> object:
    try:
        return decode(value)
    except Invalid as error:
        raise Invalid(f"The parameter {name!r}: {error}", hint="Send a JSON object, encoded for an address.") from error


def _require_json(headers: Headers) -> None:
    """Raises Malformed unless the body is said to be JSON in UTF-8, as it is."""
    said = headers.getlist("content-type")
    essence, _, parameters = (said[0] if len(said) == 1 else "").partition(";")
    if essence.strip().lower() != JSON:
        hint = f"Send Content-Type: {JSON}."
        raise Malformed(415, "The request's media type is not supported.", hint=hint, headers={"Accept": JSON})
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().lower().partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8"):
            raise Malformed(415, "The request's charset is not supported.", hint="Send UTF-8.")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        hint, plain = "Send the body as it is.", {"Accept-Encoding": "identity"}
        raise Malformed(415, "The request's encoding is not supported.", hint=hint, headers=plain)


async def _body(request: Request, largest: int) -> bytes:
    length = request.headers.get("content-length", "0")
    if len(length) > 18 or int(length) > largest:  # the server has checked that these are digits
        raise _too_large(largest)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > largest:
            raise _too_large(largest)
    return bytes(body)


def _too_large(largest: int) -> Malformed:
    return Malformed(413, f"The request is larger than {largest:,} bytes.", hint="Send less at once.")
