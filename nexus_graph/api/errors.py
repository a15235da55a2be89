"""One shape for every GraphQL error: `message`, `locations`, `path` and `extensions { code hint traceId }`.

What was raised on purpose is told, and what the library finds wrong with a document or its variables, in our words;
everything else is INTERNAL, masked here and logged with its trace id and the places in our code, never with its text,
which may carry content. `hint` is a text, or null where the message says it all. Every part of an error is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from graphql import ExecutionResult, GraphQLError

from nexus_graph.api.operations import flaws
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
LONGEST_TEXT = 1000
MOST_LOCATIONS = 10
"""Characters of a message or hint, and places in the document that an error names."""

_OF_ARGUMENTS = "Argument '"
_OF_A_SCALAR = ", but encountered error '"


def formatted(errors: Sequence[GraphQLError], trace_id: str) -> list[dict[str, Any]]:
    """The errors as a response carries them: not all of them when there are very many."""
    of_fields = any(error.path for error in errors)
    shown = [_format(error, trace_id) for error in errors[: MOST_ERRORS if of_fields else MOST_FLAWS]]
    if more := len(errors) - len(shown):
        hint = "Mend the first ones, or ask for less at once."
        cut = Invalid(f"{more} more errors are not listed.", hint=hint) if of_fields else more_is_wrong()
        shown.append(_told(cut, trace_id))
    return shown


def more_is_wrong() -> Invalid:
    """The last of many flaws."""
    return Invalid("More is wrong than is listed.", hint="Mend what is listed first.")


def refusal(error: NexusError, trace_id: str) -> dict[str, Any]:
    """A whole response for a request that was refused before anything was executed."""
    return {"errors": [_told(error, trace_id)]}


def _told(error: NexusError, trace_id: str) -> dict[str, Any]:
    return {"message": _text(str(error)), "extensions": _extensions(error, trace_id)}


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
    cause = _cause(error)
    shown: dict[str, Any] = {"message": ""}
    if error.locations:
        places_in_it = error.locations[:MOST_LOCATIONS]
        shown["locations"] = [{"line": place.line, "column": place.column} for place in places_in_it]
    if error.path is not None:
        shown["path"] = [_text(step) if isinstance(step, str) else step for step in error.path]
    if isinstance(cause, NexusError):
        value, of_a_scalar, _ = error.message.partition(_OF_A_SCALAR)
        shown["message"] = _text(f"{value}: {cause}" if of_a_scalar else str(cause))
        shown["extensions"] = _extensions(cause, trace_id)
        if of_a_scalar and cause.hint is None:
            shown["extensions"]["hint"] = flaws.hint(value)
    elif cause is None and (error.path is None or error.message.startswith(_OF_ARGUMENTS)):
        message = flaws.plain(error.message)
        shown["message"] = _text(message)
        shown["extensions"] = {"code": "INVALID", "hint": _text(flaws.hint(shown["message"])), "traceId": trace_id}
    else:  # also what the library says of an answer of ours: it names our types and values
        shown |= defect(cause or error, trace_id)
    return shown


def _cause(error: GraphQLError) -> Exception | None:
    """What was raised in the first place; the library wraps its own errors, too."""
    cause: Exception | None = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def _text(value: str) -> str:
    """A text that any encoder takes, of bounded length."""
    cut = value if len(value) <= LONGEST_TEXT else f"{value[: LONGEST_TEXT - 1]}\u2026"
    return cut.encode("utf-8", "replace").decode()


def _extensions(error: NexusError, trace_id: str) -> dict[str, Any]:
    hint = _text(error.hint) if error.hint else None
    extensions: dict[str, Any] = {"code": error.code, "hint": hint, "traceId": trace_id}
    if error.line is not None:
        extensions |= {"line": error.line, "column": error.column}
    if isinstance(error, Throttled):
        extensions["retryAfter"] = error.retry_after
    if isinstance(error, Halted):
        extensions |= {"since": iso(error.since), "reason": _text(error.reason)}
    return extensions
