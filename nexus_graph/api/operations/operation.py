"""One GraphQL request as it comes from outside, checked before anything else looks at it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nexus_graph.scope.errors import Invalid

LONGEST_DOCUMENT = 64 * 1024
_KNOWN = {"query", "documentId", "variables", "operationName", "extensions"}
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PREFIX = "sha256:"


@dataclass(frozen=True, slots=True)
class Operation:
    """A document or its digest (SHA-256, hexadecimal), which of its operations to run, and the variables."""

    query: str | None
    variables: dict[str, Any] | None = None
    name: str | None = None
    digest: str | None = None

    @classmethod
    def of(cls, value: object) -> Operation:
        """Read a decoded request. Members that it has beside are ignored, as the specification wants it.

        Raises Invalid that names the wrong member.
        """
        if isinstance(value, list):
            raise Invalid("Several requests in one are not answered.", hint="Send each by itself.")
        if not isinstance(value, Mapping):
            raise Invalid("A GraphQL request is one JSON object.", hint='Send {"query": "...", "variables": {...}}.')
        query, variables, name = value.get("query"), value.get("variables"), value.get("operationName")
        digest = _digest(value)
        if not isinstance(query, str | None) or (digest is None and not (query or "").strip()):
            raise Invalid("`query` must be a GraphQL document.", hint=_hint(value))
        if query is not None and len(query) > LONGEST_DOCUMENT:
            hint = "Send long texts as variables."
            raise Invalid(f"`query` has {len(query):,} characters; it may have {LONGEST_DOCUMENT:,}.", hint=hint)
        if variables is not None and not isinstance(variables, dict):
            raise Invalid("`variables` must be an object or null.")
        if name is not None and not isinstance(name, str):
            raise Invalid("`operationName` must be a string or null.")
        return cls(query or None, variables, name, digest)


def _digest(value: Mapping[str, Any]) -> str | None:
    """The digest that a request names its document by: with automatic persisted queries, or by `documentId`."""
    extensions, document_id = value.get("extensions"), value.get("documentId")
    if extensions is not None and not isinstance(extensions, Mapping):
        raise Invalid("`extensions` must be an object or null.")
    digests = set()
    if (persisted := (extensions or {}).get("persistedQuery")) is not None:
        version = persisted.get("version") if isinstance(persisted, Mapping) else None
        if version != 1 or not isinstance(version, int) or isinstance(version, bool):
            hint = 'Send {"version": 1, "sha256Hash": "..."}.'
            raise Invalid("`extensions.persistedQuery` must be an object of version 1.", hint=hint)
        digests.add(_read(persisted.get("sha256Hash"), "extensions.persistedQuery.sha256Hash"))
    if document_id is not None:
        known = isinstance(document_id, str) and document_id.startswith(_PREFIX)
        digests.add(_read(document_id.removeprefix(_PREFIX) if known else None, "documentId", f" `{_PREFIX}` and"))
    if len(digests) > 1:
        raise Invalid("The request names two documents.", hint="Send one digest.")
    return next(iter(digests), None)


def _read(digest: object, member: str, after: str = "") -> str:
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        hint = "Send the SHA-256 of the document in lower-case hexadecimal."
        raise Invalid(f"`{member}` must be{after} 64 hexadecimal digits.", hint=hint)
    return digest


def _hint(value: Mapping[str, Any]) -> str:
    unknown = sorted(set(value) - _KNOWN)
    misspelt = f" {unknown[0][:40]!r} is not known." if unknown else ""
    return f'For example {{"query": "{{ viewer {{ role }} }}"}}.{misspelt}'
