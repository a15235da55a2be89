"""Session memory as values: sessions, their entries, and what may be kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import orjson

from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.limits import Limits
from nexus_graph.scope.redaction import pii_flags

LARGEST_CONTENT: Final = 256 * 1024
MOST_AT_ONCE: Final = 100
MOST_ENTRIES: Final = 10_000
MOST_SESSIONS: Final = 1_000

_SESSION_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")


class EntryKind(StrEnum):
    """What an entry is: one turn of a conversation, or a state that stands for all before it."""

    TURN = "TURN"
    SNAPSHOT = "SNAPSHOT"


@dataclass(frozen=True, slots=True)
class NewEntry:
    """Something to remember. `content` is text that nobody here reads; `train_ok` whether one may train on it."""

    content: str
    train_ok: bool


@dataclass(frozen=True, slots=True)
class Examined:
    """An entry that may be kept: its content, its size in bytes of UTF-8, and its labels."""

    content: str
    size: int
    handling: Handling


@dataclass(frozen=True, slots=True)
class Entry:
    """What is remembered. `ordinal` counts from 1 over the life of the session, snapshots and what they replaced."""

    ordinal: int
    kind: EntryKind
    content: str
    handling: Handling
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A session of one principal, under the name that its client gave it. At `expires_at` it is gone as a whole."""

    session_id: str
    entries: int
    last_ordinal: int
    size: int
    created_at: datetime
    changed_at: datetime
    expires_at: datetime


def session_id(value: str) -> str:
    """A well-formed name of a session, or Invalid."""
    if not _SESSION_ID.fullmatch(value):
        raise Invalid("A session id is 1 to 100 of A-Z, a-z, 0-9, `.`, `_` and `-`.", path=("input", "sessionId"))
    return value


def expiry(now: datetime, seconds: int | None, limits: Limits) -> datetime:
    """When a session expires that is written to now. Raises Invalid for no time at all and more than is allowed."""
    longest = limits.longest_session_seconds
    if seconds is None:
        seconds = min(limits.session_seconds, longest)
    if not 1 <= seconds <= longest:
        raise Invalid(f"A session lives 1 to {longest} seconds, not {seconds}.", path=("input", "ttlSeconds"))
    return now + timedelta(seconds=seconds)


def examine(entries: Sequence[NewEntry]) -> list[Examined]:
    """Look for personal data in what is to be kept. Takes time: a megabyte a second. Raises Invalid."""
    if not 1 <= len(entries) <= MOST_AT_ONCE:
        raise Invalid(f"1 to {MOST_AT_ONCE} entries at once, not {len(entries)}.", path=("input", "entries"))
    return [_examined(entry, place) for place, entry in enumerate(entries)]


def _examined(entry: NewEntry, place: int) -> Examined:
    path = ("input", "entries", place, "content")
    try:
        size = len(entry.content.encode())
    except UnicodeEncodeError:
        raise Invalid("The content is not Unicode text.", path=path) from None
    if not 1 <= size <= LARGEST_CONTENT:
        raise Invalid(f"{size} bytes; an entry has 1 to {LARGEST_CONTENT}.", path=path)
    if "\0" in entry.content:
        raise Invalid("The content holds a NUL character.", hint="Encode binary data as Base64.", path=path)
    return Examined(entry.content, size, Handling(flags(entry.content), entry.train_ok))


def flags(content: str) -> tuple[str, ...]:
    """The kinds of personal data in a text, and in the strings of a JSON text that escapes some characters."""
    found = pii_flags(content)
    if "\\" in content:
        with suppress(ValueError, RecursionError, Invalid):  # no JSON, or deeper than anybody looks
            found += pii_flags(orjson.loads(content))
    return found
