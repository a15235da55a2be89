"""GraphQL over HTTP: a JSON object by POST, a JSON object back. Spec: graphql.github.io/graphql-over-http."""

from __future__ import annotations

import math
from typing import Any

import orjson
import structlog
from graphql import OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nexus_graph.api.context import Context, from_headers
from nexus_graph.api.errors import defect, refusal, status_of
from nexus_graph.api.execution import Execution, Refused
from nexus_graph.api.house import House
from nexus_graph.api.observing import Observation
from nexus_graph.api.transport.operation import Operation, decode
from nexus_graph.scope.errors import Invalid, NexusError
from nexus_graph.scope.ids import new_id

log = structlog.get_logger("nexus_graph.api")

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
CARRIED = frozenset({OperationType.QUERY, OperationType.MUTATION})


class HttpEndpoint:
    """An ASGI application that answers `/graphql`."""

    def __init__(self, execution: Execution, house: House) -> None:
        self._execution = execution
        self._house = house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit, execute, answer. Whatever happens the answer is a well-formed GraphQL response."""
        request = Request(scope, receive, send)
        with self._house.watch.operation(request.headers.get("traceparent")) as observation:
            response = await self._admit(request, observation)
            await response(scope, receive, send)

    async def _admit(self, request: Request, observation: Observation) -> Response:
        trace_id = new_id("trace").removeprefix("trace_")
        media_type = GRAPHQL_RESPONSE if GRAPHQL_RESPONSE in request.headers.get("accept", "") else JSON
        if request.method != "POST":
            wrong = Invalid(f"{request.method} is not answered here.", hint="Send the request by POST.")
            observation.refused(wrong)
            return _response(refusal(wrong, trace_id), 405, media_type, trace_id)
        try:
            scope = await self._house.admission.admit(from_headers(request.headers))
            trace_id = scope.trace_id
            return await self._answer(request, Context(self._house, scope, observation), media_type)
        except NexusError as error:
            observation.refused(error)
            log.warning("request.refused", code=error.code, trace_id=trace_id)
            return _response(refusal(error, trace_id), status_of(error), media_type, trace_id)
        except Exception as error:
            observation.ended_as("INTERNAL")
            return _response({"errors": [defect(error, trace_id)]}, 500, media_type, trace_id)

    async def _answer(self, request: Request, context: Context, media_type: str) -> Response:
        trace_id = context.scope.trace_id
        try:
            operation = Operation.of(decode(await self._body(request)))
        except NexusError as error:
            refused = await self._execution.refuse(context, error, malformed=True)
            return _refused(refused, media_type, trace_id)
        try:
            prepared = await self._execution.prepare(context, operation, CARRIED)
            answer = await self._execution.execute(prepared)
        except Refused as refused:
            return _refused(refused, media_type, trace_id)
        return _response(answer.body, 200, media_type, trace_id)

    async def _body(self, request: Request) -> bytes:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise Invalid("The request's media type is not supported.", hint=f"Send Content-Type: {JSON}.")
        largest = self._house.config.largest_request
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > largest:
                    raise Invalid(f"The request is larger than {largest} bytes.", hint="Ask for less at once.")
        except ClientDisconnect as error:
            raise Invalid("The request ended early.") from error
        return bytes(body)


def _refused(refused: Refused, media_type: str, trace_id: str) -> Response:
    status = 200 if refused.status == 400 and not refused.malformed and media_type == JSON else refused.status
    response = _response(refused.body, status, media_type, trace_id)
    if refused.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(refused.retry_after)))
    return response


def _response(answer: dict[str, Any], status: int, media_type: str, trace_id: str) -> Response:
    headers = {"X-Trace-Id": trace_id, "Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 405:
        headers["Allow"] = "POST"
    body = orjson.dumps(answer, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, status, headers, f"{media_type}; charset=utf-8")
