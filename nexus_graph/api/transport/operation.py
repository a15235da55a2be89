"""One GraphQL request as it comes from outside, checked before anything else looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from nexus_graph.scope.errors import Invalid

LONGEST_DOCUMENT = 64 * 1024
_KNOWN = {"query", "variables", "operationName", "extensions"}


@dataclass(frozen=True, slots=True)
class Operation:
    """A document or its digest (SHA-256, hexadecimal), which of its operations to run, and the variables."""

    query: str | None
    variables: dict[str, Any] | None = None
    name: str | None = None
    digest: str | None = None

    @classmethod
    def of(cls, value: object) -> Operation:
        """Read a decoded request. Raises Invalid that names the wrong member."""
        if not isinstance(value, Mapping):
            raise Invalid("A GraphQL request is one JSON object.", hint='Send {"query": "...", "variables": {...}}.')
        if unknown := sorted(set(value) - _KNOWN):
            raise Invalid(
                f"A GraphQL request has no member {unknown[0]!r}.", hint=f"Known: {', '.join(sorted(_KNOWN))}."
            )
        query, variables, name = value.get("query"), value.get("variables"), value.get("operationName")
        if not isinstance(query, str) or not query.strip():
            raise Invalid("`query` must be a GraphQL document.", hint='For example {"query": "{ viewer { role } }"}.')
        if len(query) > LONGEST_DOCUMENT:
            hint = "Send long texts as variables."
            raise Invalid(f"`query` has {len(query):,} characters; it may have {LONGEST_DOCUMENT:,}.", hint=hint)
        if variables is not None and not isinstance(variables, dict):
            raise Invalid("`variables` must be an object or null.")
        if name is not None and not isinstance(name, str):
            raise Invalid("`operationName` must be a string or null.")
        return cls(query, variables, name)


def decode(body: bytes | str) -> object:
    """The value of a JSON text. Raises Invalid for anything that is not strict JSON."""
    try:
        return orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise Invalid("The request is no JSON.", hint="Send UTF-8 JSON with Content-Type: application/json.") from error
