"""One shape for every GraphQL error: `message`, `locations`, `path` and `extensions { code hint traceId }`.

What was raised on purpose is told; everything else is INTERNAL, masked here and logged with its trace id and the places
in our code, never with its text, which may carry content.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from graphql import ExecutionResult, GraphQLError, GraphQLSyntaxError

from nexus_graph.logs import places
from nexus_graph.scope.clock import iso
from nexus_graph.scope.errors import Halted, Invalid, NexusError, Throttled

log = structlog.get_logger("nexus_graph.api")

_STATUS = {
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "THROTTLED": 429,
    "HALTED": 503,
    "UNAVAILABLE": 503,
    "TIMED_OUT": 503,
}


class Flawed(Exception):
    """A document or variables that can't be executed, and why."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__(len(errors))
        self.errors = list(errors)


MOST_ERRORS = 100
MOST_FLAWS = 20
"""Errors that an answer lists: of its fields, and of a document that can't be executed. One more tells what is left."""


def formatted(errors: Sequence[GraphQLError], trace_id: str) -> list[dict[str, Any]]:
    """The errors as a response carries them: not all of them when there are very many."""
    most = MOST_ERRORS if any(error.path for error in errors) else MOST_FLAWS
    shown = [_format(error, trace_id) for error in errors[:most]]
    if more := len(errors) - len(shown):
        cut = Invalid(f"{more} more errors are not listed.", hint="Mend the first ones, or ask for less at once.")
        shown.append(_told(cut, trace_id))
    return shown


def refusal(error: NexusError, trace_id: str) -> dict[str, Any]:
    """A whole response for a request that was refused before anything was executed."""
    return {"errors": [_told(error, trace_id)]}


def _told(error: NexusError, trace_id: str) -> dict[str, Any]:
    return {"message": str(error), "extensions": _extensions(error, trace_id)}


def status_of(cause: Exception | None) -> int:
    """The HTTP status of what was refused before execution; what the library found wrong has no other cause."""
    if isinstance(cause, NexusError):
        return _STATUS.get(cause.code, 400)
    return 400 if cause is None or isinstance(cause, GraphQLError) else 500


def executed(result: ExecutionResult) -> bool:
    """Whether fields were asked for their values; else the document was refused as a whole."""
    errors = result.errors or ()
    return result.data is not None or not errors or any(error.path for error in errors)


def defect(error: BaseException, trace_id: str) -> dict[str, Any]:
    """What a caller is told of a defect of ours: nothing but where to ask. The log has its kind and its places."""
    log.error("request.defect", trace_id=trace_id, error=type(error).__name__, where=places(error))
    extensions = {"code": "INTERNAL", "hint": f"Report the trace id {trace_id}.", "traceId": trace_id}
    return {"message": "Something went wrong on our side.", "extensions": extensions}


def _format(error: GraphQLError, trace_id: str) -> dict[str, Any]:
    cause = error.original_error
    shown: dict[str, Any] = {"message": error.message}
    if error.locations:
        shown["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path is not None:
        shown["path"] = error.path
    if isinstance(cause, NexusError):
        shown["message"] = str(cause)
        shown["extensions"] = _extensions(cause, trace_id)
    elif cause is None or isinstance(cause, GraphQLError):
        hint = "Mend the document." if isinstance(error, GraphQLSyntaxError) else "Check the query against the schema."
        shown["extensions"] = {"code": "INVALID", "hint": hint, "traceId": trace_id}
    else:
        shown |= defect(cause, trace_id)
    return shown


def _extensions(error: NexusError, trace_id: str) -> dict[str, Any]:
    extensions: dict[str, Any] = {"code": error.code, "hint": error.hint, "traceId": trace_id}
    if error.line is not None:
        extensions |= {"line": error.line, "column": error.column}
    if isinstance(error, Throttled):
        extensions["retryAfter"] = error.retry_after
    if isinstance(error, Halted):
        extensions |= {"since": iso(error.since), "reason": error.reason}
    return extensions
