"""GraphQL over HTTP, by POST and GET, with one answer or a stream of them. Spec: graphql.github.io/graphql-over-http.

Where that draft differs from the audits that its ecosystem checks servers with, the audits decide (ADR 0024).
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

import orjson
import structlog
from graphql import OperationType
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from nexus_graph.api.context import Context, from_headers
from nexus_graph.api.errors import defect, refusal, status_of
from nexus_graph.api.house import House
from nexus_graph.api.observing import Observation
from nexus_graph.api.operations.broadcasting import ShortWay
from nexus_graph.api.operations.execution import Answer, Execution, NotCarried, Prepared, Refused
from nexus_graph.api.transport.accepting import EVENT_STREAM, GRAPHQL_RESPONSE, JSON, Accepted, accepted
from nexus_graph.api.transport.events import FRAMINGS, AnswerStream
from nexus_graph.api.transport.receiving import METHODS, TICKET, Malformed, operation_of, unless_gone
from nexus_graph.scope.errors import Invalid, NexusError
from nexus_graph.scope.ids import new_trace_id

log = structlog.get_logger("nexus_graph.api")

CLIENT_GONE = 499
"""The status that the log tells of an answer that nobody waited for."""

LONGEST_EVENT_ID = 512
_OF_THE_OPERATION = (400, 403)
"""Statuses of refusals that a client would not mend by trying again: a stream tells them as its only event."""


class HttpEndpoint:
    """An ASGI application that answers `/graphql`."""

    def __init__(self, execution: Execution, house: House) -> None:
        self._execution = execution
        self._house = house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit, execute, answer. Whatever happens the answer is a well-formed GraphQL response."""
        request = Request(scope, receive, send)
        if request.method == "OPTIONS":
            await Response(None, 204, {"Allow": ", ".join(METHODS)})(scope, receive, send)
            return
        with self._house.watch.operation(request.headers.get("traceparent")) as observation:
            with self._house.stores.pacing.answering():
                answer = await self._admit(request, observation)
            await answer(scope, receive, send)

    async def _admit(self, request: Request, observation: Observation) -> ASGIApp:
        trace_id = new_trace_id()
        suits = accepted(", ".join(request.headers.getlist("accept")))
        media_type = suits.answer or JSON
        if request.method not in METHODS:
            wrong = Invalid("This method is not answered here.", hint="Send the request by POST.")
            observation.refused(wrong)
            return _response(refusal(wrong, trace_id), 405, media_type, trace_id, {"Allow": ", ".join(METHODS)})
        try:
            ticket = request.query_params.get(TICKET) if request.method != "POST" else None
            scope = await self._house.admission.admit(from_headers(request.headers, ticket))
            trace_id = scope.trace_id
            return await self._answer(request, Context(self._house, scope, observation), suits)
        except NexusError as error:
            observation.refused(error)
            log.warning("request.refused", code=error.code, trace_id=trace_id)
            return _response(refusal(error, trace_id), status_of(error), media_type, trace_id)
        except ClientDisconnect:
            observation.ended_as("GONE")
            return Response(status_code=CLIENT_GONE)
        except Exception as error:
            observation.ended_as("INTERNAL")
            return _response({"errors": [defect(error, trace_id)]}, 500, media_type, trace_id)

    async def _answer(self, request: Request, context: Context, suits: Accepted) -> ASGIApp:
        config, trace_id, media_type = self._house.config, context.scope.trace_id, suits.answer or JSON
        try:
            _require_acceptable(suits)
            operation = await operation_of(request, largest=config.largest_request, seconds=config.request_seconds)
            context.resume_after = _last_event_id(request.headers)
        except NexusError as error:
            refused = await self._execution.refuse(context, error, malformed=True)
            return _refused(refused, error, media_type, trace_id)
        try:
            prepared = await self._execution.prepare(context, operation, _carried(request.method, suits))
            if prepared.streams:
                return self._streamed(lambda way: self._followed(prepared, way), suits, trace_id)
            answer = await self._executed(prepared, request.receive)
        except Refused as refused:
            safely = isinstance(refused.__cause__, NotCarried)  # and was asked to do more
            if suits.answer is not None or safely or refused.status not in _OF_THE_OPERATION:
                return _refused(refused, refused.__cause__, media_type, trace_id)
            answer = Answer(refused.body)
        if suits.answer is None:
            return self._streamed(lambda _: _alone(answer), suits, trace_id)
        return _response(answer.body, 200, suits.answer, trace_id)

    async def _executed(self, prepared: Prepared, receive: Receive) -> Answer:
        """A query ends with the wish for its answer; a mutation that has begun is brought to its end."""
        deed = self._execution.execute(prepared)
        return await (unless_gone(receive, deed) if prepared.operation.operation is OperationType.QUERY else deed)

    async def _followed(self, prepared: Prepared, way: ShortWay) -> AsyncGenerator[Answer, None]:
        """A stream whose refusal is its last answer."""
        try:
            async with aclosing(self._execution.stream(prepared, way)) as answers:
                async for answer in answers:
                    yield answer
        except Refused as refused:
            yield Answer(refused.body)

    def _streamed(
        self, answers: Callable[[ShortWay], AsyncGenerator[Answer, None]], suits: Accepted, trace_id: str
    ) -> AnswerStream:
        return AnswerStream(
            answers,
            FRAMINGS[suits.stream or EVENT_STREAM],
            {**_headers(trace_id), "Cache-Control": "no-store, no-transform"},
            pulse_seconds=self._house.config.heartbeat_seconds,
        )


async def _alone(answer: Answer) -> AsyncGenerator[Answer, None]:
    yield answer


def _require_acceptable(suits: Accepted) -> None:
    if suits.answer is None and suits.stream is None:
        hint = f"Accept {GRAPHQL_RESPONSE}."
        raise Malformed(406, "Nothing that is sent here is acceptable to the client.", hint=hint)


def _carried(method: str, suits: Accepted) -> frozenset[OperationType]:
    """What may be asked: no change by a method that is safe by HTTP, no stream of a client that takes none."""
    carried = {OperationType.QUERY}
    if method == "POST":
        carried.add(OperationType.MUTATION)
    if suits.stream is not None and method != "HEAD":
        carried.add(OperationType.SUBSCRIPTION)
    return frozenset(carried)


def _last_event_id(headers: Headers) -> str | None:
    """The cursor of the last event that a client has seen of a stream that it comes back to."""
    given = headers.get("last-event-id")
    if given and (len(given) > LONGEST_EVENT_ID or not given.isascii()):
        raise Invalid("Last-Event-ID is no cursor.", hint="Send the id of an event as it came, or none.")
    return given or None


def _refused(refused: Refused, cause: BaseException | None, media_type: str, trace_id: str) -> Response:
    """Clients of `application/json` alone are told of a wrong document with status 200, as they were in its day."""
    status, headers = refused.status, dict[str, str]()
    if status == 400:
        if isinstance(cause, Malformed):
            status, headers = cause.status, dict(cause.headers)
        elif isinstance(cause, NotCarried) and cause.kind is OperationType.MUTATION:
            status, headers = 405, {"Allow": "POST"}
        elif media_type == JSON and not refused.malformed:
            status = 200
    if refused.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(refused.retry_after)))
    return _response(refused.body, status, media_type, trace_id, headers)


def _response(
    answer: dict[str, Any], status: int, media_type: str, trace_id: str, more: Mapping[str, str] | None = None
) -> Response:
    headers = {**_headers(trace_id), **(more or {})}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = orjson.dumps(answer, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, status, headers, f"{media_type}; charset=utf-8")


def _headers(trace_id: str) -> dict[str, str]:
    return {"X-Trace-Id": trace_id, "Cache-Control": "no-store", "Vary": "Accept"}
