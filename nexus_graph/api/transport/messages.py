"""The messages of `graphql-transport-ws`, read strictly: what the protocol does not specify is malformed.

Spec: github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nexus_graph.api.transport.decoding import decode
from nexus_graph.scope.errors import Invalid

LONGEST_ID = 128
LONGEST_REASON = 123
"""Bytes of the reason in a close frame (RFC 6455, 5.5.1)."""

_HEARD = ("connection_init", "ping", "pong", "subscribe", "complete")
_NUMBERED = ("subscribe", "complete")
_MEMBERS: Mapping[str, type] = {"query": str, "operationName": str, "variables": dict, "extensions": dict}


class Malformed(Exception):
    """No message of the protocol. Its text may be told to the client."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a client. `operation` is the id in those that have one, else empty."""

    kind: str
    operation: str
    payload: Mapping[str, Any] | None


def read(text: str | None) -> Message:
    """The message of a frame, None for a binary one. Raises Malformed, which never repeats what came."""
    if text is None:
        raise Malformed("A message is text")
    try:
        value = decode(text)
    except Invalid as error:
        raise Malformed("A message is JSON") from error
    if not isinstance(value, Mapping):
        raise Malformed("A message is an object")
    kind, operation, payload = value.get("type"), value.get("id"), value.get("payload")
    if kind not in _HEARD:
        raise Malformed(f"The type is one of {', '.join(_HEARD)}")
    if kind not in _NUMBERED:
        operation = ""
    elif not isinstance(operation, str) or not 1 <= len(operation) <= LONGEST_ID:
        raise Malformed(f"The id is a text of 1 to {LONGEST_ID} characters")
    if kind == "complete":
        payload = None
    elif payload is not None and not isinstance(payload, Mapping):
        raise Malformed("The payload is an object")
    if kind == "subscribe":
        _check_request(payload)
    return Message(kind, operation, payload)


def _check_request(payload: Mapping[str, Any] | None) -> None:
    """The types of what is there; whether it can be run, the execution finds out and tells under the id."""
    if payload is None:
        raise Malformed("The payload is an object")
    for name, kind in _MEMBERS.items():
        if payload.get(name) is not None and not isinstance(payload[name], kind):
            raise Malformed(f"The payload's {name} is {'a text' if kind is str else 'an object'}")
    if all(payload.get(name) is None for name in ("query", "extensions", "documentId")):
        raise Malformed("The payload holds a query")


def reason(text: str) -> str:
    """A text as long as the reason of a close may be, whole characters only."""
    return text.encode()[:LONGEST_REASON].decode(errors="ignore")
