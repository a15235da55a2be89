"""GraphQL over HTTP: a JSON object by POST, a JSON object back. Spec: graphql.github.io/graphql-over-http."""

from __future__ import annotations

import math
from typing import Any

import orjson
import strawberry
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from strawberry.types.graphql import OperationType

from nexus_graph.api.charging import cost, look, pay_for_flaws
from nexus_graph.api.context import Context, from_headers
from nexus_graph.api.errors import defect, executed, formatted, refusal, status_of, throttled
from nexus_graph.api.house import House
from nexus_graph.api.observing import Observation
from nexus_graph.api.transport.operation import Operation, decode
from nexus_graph.scope.errors import Invalid, NexusError, Throttled
from nexus_graph.scope.ids import new_id
from nexus_graph.stores.journal import RunKind

log = structlog.get_logger("nexus_graph.api")

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
CARRIED = (OperationType.QUERY, OperationType.MUTATION)


class HttpEndpoint:
    """Answers `POST /graphql`."""

    def __init__(self, schema: strawberry.Schema, house: House) -> None:
        self._schema = schema
        self._house = house

    async def answer(self, request: Request) -> Response:
        """Admit, execute, answer. Whatever happens the answer is a well-formed GraphQL response."""
        with self._house.watch.operation(request.headers.get("traceparent")) as observation:
            return await self._admit(request, observation)

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
            await look(context, operation)
        except Throttled as error:
            return _refused(error, context, media_type)
        except NexusError as error:
            return await self._flawed(error, context, media_type)
        result = await self._schema.execute(
            operation.query,
            variable_values=operation.variables,
            context_value=context,
            operation_name=operation.name,
            allowed_operation_types=CARRIED,
        )
        answer: dict[str, Any] = {}
        if result.errors:
            answer["errors"] = formatted(result.errors, trace_id)
            context.observation.answered(answer["errors"])
        answer["extensions"] = cost(context)
        if executed(result):
            return _response(answer | {"data": result.data}, 200, media_type, trace_id)
        if (late := throttled(result.errors)) is not None:
            return _refused(late, context, media_type)
        try:
            await pay_for_flaws(context)
        except Throttled as error:
            return _refused(error, context, media_type)
        answer["extensions"] = cost(context)
        if not context.told:
            await context.journal_refusal(RunKind.READ, "request", None, answer["errors"][0]["extensions"]["code"])
        return _response(answer, 200 if media_type == JSON else 400, media_type, trace_id)

    async def _flawed(self, error: NexusError, context: Context, media_type: str) -> Response:
        try:
            await pay_for_flaws(context)
        except Throttled as late:
            return _refused(late, context, media_type)
        context.observation.refused(error)
        await context.journal_refusal(RunKind.READ, "request", None, error.code)
        return _refused(error, context, media_type)

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


def _refused(error: NexusError, context: Context, media_type: str) -> Response:
    answer = refusal(error, context.scope.trace_id) | {"extensions": cost(context)}
    response = _response(answer, status_of(error), media_type, context.scope.trace_id)
    if isinstance(error, Throttled):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return response


def _response(answer: dict[str, Any], status: int, media_type: str, trace_id: str) -> Response:
    headers = {"X-Trace-Id": trace_id, "Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 405:
        headers["Allow"] = "POST"
    body = orjson.dumps(answer, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, status, headers, f"{media_type}; charset=utf-8")
