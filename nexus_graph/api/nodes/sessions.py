"""Session memory: a caller's own sessions, while they live."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from nexus_graph import sessions
from nexus_graph.api.context import Info
from nexus_graph.api.fields import change, read
from nexus_graph.api.idempotency import RepeatableInput, once
from nexus_graph.api.paging import After, Before, Connection, CursorList, First, Last
from nexus_graph.api.scalars import described
from nexus_graph.api.user_errors import UserError
from nexus_graph.scope.permission import Permission
from nexus_graph.sessions import EntryKind, NewEntry

described(
    EntryKind,
    "What an entry of a session is.",
    {"TURN": "One turn, appended.", "SNAPSHOT": "A state that stands for all that came before it."},
    name="SessionEntryKind",
)


@strawberry.type(description="Something that a session remembers.")
class SessionEntry:
    """An entry."""

    ordinal: int = strawberry.field(description="Its place in the session, from 1; replaced entries keep theirs.")
    kind: EntryKind = strawberry.field(description="A turn or a snapshot.")
    content: str = strawberry.field(description="The text, exactly as it was sent.")
    pii_flags: list[str] = strawberry.field(description="Kinds of personal data found in it.")
    train_ok: bool = strawberry.field(description="Whether one may train on it, every opt-out considered.")
    created_at: datetime = strawberry.field(description="When it was sent.")

    @classmethod
    def of(cls, entry: sessions.Entry) -> SessionEntry:
        """From the room's value."""
        return cls(
            ordinal=entry.ordinal,
            kind=entry.kind,
            content=entry.content,
            pii_flags=[*entry.handling.pii_flags],
            train_ok=entry.handling.train_ok,
            created_at=entry.created_at,
        )


@strawberry.type(description="A session of the caller's own. At the instant of its expiry it is gone as a whole.")
class Session:
    """A session."""

    session_id: str = strawberry.field(description="The name that the caller gave it.")
    entry_count: int = strawberry.field(description="How many entries it holds.")
    created_at: datetime = strawberry.field(description="When it began.")
    changed_at: datetime = strawberry.field(description="When it was last written to.")
    expires_at: datetime = strawberry.field(description="When it ends; each writing sets that anew.")

    @classmethod
    def of(cls, session: sessions.Session) -> Session:
        """From the room's value."""
        return cls(
            session_id=session.session_id,
            entry_count=session.entries,
            created_at=session.created_at,
            changed_at=session.changed_at,
            expires_at=session.expires_at,
        )

    @read(Permission.SESSIONS_USE, "What it remembers, oldest first.")
    async def entries(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[SessionEntry]:
        """A page of entries."""
        context = info.context
        cursors = _cursors(info, "session entries", self.session_id)
        window = cursors.window(first, after, last, before)
        found = await sessions.entries(context.house.stores, context.scope, self.session_id, window)
        return cursors.connection(found, SessionEntry.of)


def _cursors(info: Info, name: str, *more: str) -> CursorList:
    """Cursors of a list that is one principal's alone."""
    actor = info.context.scope.principal
    return info.context.house.cursors.list_of(info.context.scope, name, [actor.kind.value, actor.id, *more])


_TTL = "How many seconds the whole session lives from now; the installation's default when left out."


@strawberry.input(description="Something to remember.")
class SessionEntryInput:
    """An entry to append."""

    content: str = strawberry.field(description="Any text, such as JSON, of at most 256 KiB. Nobody here reads it.")
    train_ok: bool = strawberry.field(description="Whether one may train on it.")


@strawberry.input(description="Turns to append.")
class AppendSessionInput(RepeatableInput):
    """Input of appendSession."""

    session_id: str = strawberry.field(description="A name of your own: 1 to 100 of A-Z, a-z, 0-9, `.`, `_` and `-`.")
    entries: list[SessionEntryInput] = strawberry.field(description="1 to 100, in order.")
    ttl_seconds: int | None = strawberry.field(default=None, description=_TTL)


@strawberry.input(description="A state that stands for all that came before it.")
class PutSessionSnapshotInput(RepeatableInput):
    """Input of putSessionSnapshot."""

    session_id: str = strawberry.field(description="A name of your own: 1 to 100 of A-Z, a-z, 0-9, `.`, `_` and `-`.")
    content: str = strawberry.field(description="Any text, such as JSON, of at most 256 KiB. Nobody here reads it.")
    train_ok: bool = strawberry.field(description="Whether one may train on it.")
    ttl_seconds: int | None = strawberry.field(default=None, description=_TTL)


@strawberry.input(description="A session to erase.")
class EraseSessionInput(RepeatableInput):
    """Input of eraseSession."""

    session_id: str = strawberry.field(description="Its name.")


@strawberry.type(description="The session as it is now.")
class SessionPayload:
    """Payload of appendSession and putSessionSnapshot."""

    session: Session | None = strawberry.field(default=None, description="The session; null when refused.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.type(description="What was erased.")
class EraseSessionPayload:
    """Payload of eraseSession."""

    entries: int | None = strawberry.field(default=None, description="How many entries went; null when refused.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.type
class SessionQuery:
    """Queries of the room."""

    @read(Permission.SESSIONS_USE, "A session of your own; null when there is none any more. Nobody sees another's.")
    async def session(
        self, info: Info, id: Annotated[str, strawberry.argument(description="Its name.")]
    ) -> Session | None:
        """One session."""
        found = await sessions.fetch(info.context.house.stores, info.context.scope, id)
        return None if found is None else Session.of(found)

    @read(Permission.SESSIONS_USE, "Your own sessions, last written first.")
    async def sessions(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Session]:
        """A page of sessions."""
        context = info.context
        cursors = _cursors(info, "sessions")
        window = cursors.window(first, after, last, before)
        return cursors.connection(await sessions.list_sessions(context.house.stores, context.scope, window), Session.of)


@strawberry.type
class SessionMutation:
    """Mutations of the room."""

    @change(
        Permission.SESSIONS_USE,
        "Append turns to a session of your own; makes it where there is none. All of it lives as long as its newest.",
        locked=None,
    )
    async def append_session(
        self, info: Info, input: Annotated[AppendSessionInput, strawberry.argument(description="Where and what.")]
    ) -> SessionPayload:
        """Append turns."""
        session = await sessions.append(
            info.context.house.stores,
            info.context.scope,
            input.session_id,
            [NewEntry(entry.content, entry.train_ok) for entry in input.entries],
            seconds=input.ttl_seconds,
            once=once("appendSession", input),
        )
        return SessionPayload(session=Session.of(session))

    @change(
        Permission.SESSIONS_USE,
        "Put a snapshot in the place of all that a session of your own remembers.",
        locked=None,
    )
    async def put_session_snapshot(
        self, info: Info, input: Annotated[PutSessionSnapshotInput, strawberry.argument(description="Where and what.")]
    ) -> SessionPayload:
        """Put a snapshot."""
        session = await sessions.put_snapshot(
            info.context.house.stores,
            info.context.scope,
            input.session_id,
            NewEntry(input.content, input.train_ok),
            seconds=input.ttl_seconds,
            once=once("putSessionSnapshot", input),
        )
        return SessionPayload(session=Session.of(session))

    @change(Permission.SESSIONS_USE, "Erase a session of your own, at once and for good.", locked=None)
    async def erase_session(
        self, info: Info, input: Annotated[EraseSessionInput, strawberry.argument(description="Which.")]
    ) -> EraseSessionPayload:
        """Erase a session."""
        erased = await sessions.erase(
            info.context.house.stores, info.context.scope, input.session_id, once=once("eraseSession", input)
        )
        return EraseSessionPayload(entries=erased)
