"""What every answer of the door must be, whatever it was asked: well-formed GraphQL, and not a word of our insides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

MEDIA_TYPES = ("application/json", "application/graphql-response+json")
MEMBERS = {"data", "errors", "extensions"}
CLOSED = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 4400, 4401, 4403, 4406, 4408, 4409, 4429}
"""Close codes that a hostile client has earned: never 1006 (dropped without a word), never 1011 (a defect)."""

_CODE = re.compile(r"[A-Z][A-Z_]+")
_INTERNAL = re.compile(
    r"Traceback|File \\?\"|object at 0x|<class '|NoneType|nexus_graph\.|keyword argument|positional argument"
    r"|\b(strawberry|starlette|uvicorn|orjson|graphql-core|sqlite3?|aiosqlite|sqlalchemy|asyncio|httptools)\b"
    r"|\b(GraphQL|GraphQLSyntax|Type|Key|Value|Attribute|Index|Name|Runtime|Recursion|Assertion|Overflow|Lookup|Nexus"
    r"|Unicode\w*|JSONDecode|Operational|Integrity|Programming|Timeout|Cancelled|NotImplemented)Error\b"
)


def check_response(status: int, content_type: str, body: bytes) -> str:
    """One HTTP answer of the application. Returns its first error's code, or OK."""
    shown = f"{status} {content_type}: {body[:400]!r}"
    assert 200 <= status < 500, shown
    media_type, _, parameters = content_type.partition(";")
    if media_type == "text/event-stream":
        return check_events(body.decode())
    if media_type == "multipart/mixed":
        return check_parts(body.decode())
    assert media_type.strip() in MEDIA_TYPES, shown
    assert parameters.strip().lower() in ("", "charset=utf-8"), shown
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise AssertionError(f"no strict JSON: {shown}") from error
    return check_answer(answer)


def check_events(text: str) -> str:
    """A whole stream of server-sent events, as graphql-sse has it in distinct connections. Returns its first code."""
    assert "\r" not in text, text[:400]
    *events, rest = text.split("\n\n")
    assert rest == "", text[:400]
    told = [dict(line.split(":", 1) for line in event.splitlines()) for event in events if event != ":"]
    assert [event["event"].strip() for event in told] == ["next"] * (len(told) - 1) + ["complete"], text[:400]
    codes = [check_answer(orjson.loads(event["data"])) for event in told[:-1]]
    return codes[0]


def check_parts(text: str) -> str:
    """A whole stream of parts, as Apollo reads them. Returns its first error's code, or OK."""
    first, *parts = text.split("\r\n--graphql")
    assert (first, parts[-1]) == ("", "--\r\n"), text[:400]
    told = [orjson.loads(part.partition("\r\n\r\n")[2]) for part in parts[:-1]]
    codes = [check_answer(part["payload"]) for part in told if part]
    return codes[0]


def check_answer(answer: Any) -> str:
    """One GraphQL answer, read. Returns its first error's code, or OK."""
    shown = f"{answer!r:.600}"
    assert isinstance(answer, dict), shown
    assert set(answer) <= MEMBERS, shown
    assert "data" in answer or "errors" in answer, shown
    assert isinstance(answer.get("data", {}), dict | None), shown
    assert isinstance(answer.get("extensions", {}), dict), shown
    if "errors" not in answer:
        return "OK"
    return check_errors(answer["errors"])


def check_errors(errors: Any) -> str:
    """The errors of an answer. Returns the first one's code."""
    shown = f"{errors!r:.600}"
    assert isinstance(errors, list), shown
    assert errors, shown
    for error in errors:
        assert isinstance(error, dict), shown
        assert isinstance(error.get("message"), str), shown
        assert error["message"], shown
        extensions = error.get("extensions")
        assert isinstance(extensions, dict), shown
        assert isinstance(extensions.get("code"), str), shown
        assert _CODE.fullmatch(extensions["code"]), shown
        assert extensions["code"] != "INTERNAL", shown
        assert isinstance(extensions["hint"], str | None), shown
        assert isinstance(extensions["traceId"], str), shown
        found = _INTERNAL.search(error["message"] + " " + (extensions["hint"] or ""))
        assert found is None, f"tells of {found[0]!r}: {shown}"
    return str(errors[0]["extensions"]["code"])


def check_message(message: Any) -> None:
    """One message of a websocket, read."""
    shown = f"{message!r:.600}"
    assert isinstance(message, Mapping), shown
    match message:
        case {"type": "connection_ack" | "ping" | "pong"}:
            assert set(message) <= {"type", "payload"}, shown
        case {"type": "next", "id": str(), "payload": payload}:
            check_answer(payload)
        case {"type": "error", "id": str(), "payload": payload}:
            check_errors(payload)
        case {"type": "complete", "id": str()}:
            assert set(message) == {"type", "id"}, shown
        case _:
            raise AssertionError(shown)
