"""The only ways to declare a resolver: `read`, `link`, `change`, `stream`. Each demands its gates, printed in the SDL.

    @read(Permission.CARDS_READ, "A card by its id.")
    async def card(self, info: Info, id: strawberry.ID) -> Card | None: ...

    @link(Permission.CARDS_READ, "The card as it stands now.", lambda loaders: loaders.cards, lambda own: own.card_id)
    def current(self, found: cards.Card | None) -> Card | None: ...

    @change(Permission.CARDS_RETIRE, "Retire a card.", locked="the card's type is strategic")
    async def retire_card(self, info: Info, input: RetireCardInput) -> RetireCardPayload: ...

The gates that need no amounts stand in one place, `_Gate`: the kill switch and the role; the rate is taken before
execution, from the declared prices. The others are asked inside the deed's own transaction. A refusal is journalled
under the request's scope before it is answered.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

import strawberry
from strawberry.extensions import FieldExtension
from strawberry.schema_directive import Location

from nexus_graph.api.context import Context, Info
from nexus_graph.api.loaders import Loader, Loaders
from nexus_graph.api.paging import Connection
from nexus_graph.api.strawberry_inside import BaseSchema, StrawberryField, fields, has_resolver
from nexus_graph.api.user_errors import expected, user_error
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import NexusError
from nexus_graph.scope.permission import Permission
from nexus_graph.stores.journal import RunKind

Resolver = TypeVar("Resolver", bound=Callable[..., Any])
Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")

_KINDS = {
    Permission.ASSETS_WRITE: RunKind.INGEST,
    Permission.ATOMS_DERIVE: RunKind.DERIVE,
    Permission.CARDS_PUBLISH: RunKind.PUBLISH,
    Permission.CARDS_RETIRE: RunKind.PUBLISH,
    Permission.INDEX_SEARCH: RunKind.SEARCH,
    Permission.PACKS_REQUEST: RunKind.PACK,
    Permission.RUNS_WRITE: RunKind.RESEARCH,
    Permission.MEMBERS_WRITE: RunKind.ADMIN,
    Permission.KEYS_WRITE: RunKind.ADMIN,
    Permission.ERASURES_WRITE: RunKind.ERASE,
    Permission.CONSENT_WRITE: RunKind.ADMIN,
    Permission.CONSENT_WRITE_OWN: RunKind.ADMIN,
    Permission.EXPORTS_WRITE: RunKind.EXPORT,
    Permission.SESSIONS_USE: RunKind.SESSION,
    Permission.LOCKS_PROPOSE: RunKind.ADMIN,
    Permission.LOCKS_APPROVE: RunKind.ADMIN,
    Permission.INDEX_REBUILD: RunKind.INDEX,
}


_ROOTS = ("Query", "Mutation", "Subscription")

CHEAP, DEAR = 1, 10
"""Points of a field that only reads rows, and of one that writes, searches or opens a stream."""


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="guard",
    description="The right that a caller must hold to use the field.",
)
class Guard:
    """Printed into the SDL: `@guard(permission: "cards:publish")`."""

    permission: str = strawberry.field(description="Object and action, as in the policy.")


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="cost",
    description="What the field costs, in points of the budget. Lists multiply what is asked of their items.",
)
class Cost:
    """Printed into the SDL: `@cost(points: 10)`."""

    points: int = strawberry.field(description="Points for each time that the field is asked for.")


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="locked",
    description="The field needs an approved Strategy Lock.",
)
class Locked:
    """Printed into the SDL: `@locked(when: "the card's type is strategic")`."""

    when: str = strawberry.field(description="When the field needs one.")


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="unstoppable",
    description="No kill switch halts the field: it is needed to release one, or takes rights away.",
)
class Unstoppable:
    """Printed into the SDL: `@unstoppable`."""


def read(
    permission: Permission, description: str, *, points: int = CHEAP, unstoppable: bool = False
) -> Callable[[Resolver], Any]:
    """A field that reads."""
    return lambda resolver: strawberry.field(
        resolver,
        description=description,
        directives=_directives(permission, points, None, unstoppable),
        extensions=[_Gate(permission, unstoppable=unstoppable)],
    )


@dataclass(frozen=True, slots=True)
class Link:
    """A field that leads to one thing more: by which key of its own a value knows it, and how it is shown.

    Without a key there is nothing to load. What many values lead to is loaded and let through in one step.
    """

    permission: Permission
    loader: Callable[[Loaders], Loader[Any, Any]]
    key: Callable[[Any], Hashable | None]
    show: Callable[[Any, Any], Any]


def link(
    permission: Permission,
    description: str,
    loader: Callable[[Loaders], Loader[Key, Item]],
    key: Callable[[Any], Key | None],
    *,
    points: int = CHEAP,
) -> Callable[[Callable[[Any, Any], Any]], Any]:
    """A field without arguments that a loader answers. The method shows what was found, and waits for nothing."""

    def declare(show: Callable[[Any, Any], Any]) -> Any:
        leads = Link(permission, loader, key, show)

        async def resolver(self: Any, info: Info) -> Any:
            own = key(self)
            return show(self, None if own is None else await loader(info.context.loaders).load(own))

        resolver.__name__, resolver.__doc__, resolver.__module__ = show.__name__, show.__doc__, show.__module__
        resolver.__annotations__["return"] = show.__annotations__["return"]
        return strawberry.field(
            resolver,
            description=description,
            directives=_directives(permission, points, None, unstoppable=False),
            extensions=[_Gate(permission, link=leads)],
        )

    return declare


def change(
    permission: Permission, description: str, *, locked: str | None, points: int = DEAR, unstoppable: bool = False
) -> Callable[[Resolver], Any]:
    """A mutation. Its payload has only optional fields and `userErrors`, which tells the expected refusals as data.

    `locked` says when it needs a Strategy Lock, None that it never does. Its input has `dry_run`: then the deed is done
    and taken back.
    """

    def declare(resolver: Resolver) -> Any:
        payload = get_type_hints(resolver)["return"]
        return strawberry.mutation(
            resolver,
            description=description,
            directives=_directives(permission, points, locked, unstoppable),
            extensions=[_Gate(permission, payload, unstoppable=unstoppable)],
        )

    return declare


def stream(permission: Permission, description: str, *, points: int = DEAR) -> Callable[[Resolver], Any]:
    """A subscription. Its resolver checks the right again whenever rights may have changed, through `Context.renew`.

    One that takes `after` goes on where a transport's own means of resuming says, and tells the `cursor` of its frames.
    """
    return lambda resolver: strawberry.subscription(
        resolver,
        description=description,
        directives=_directives(permission, points, None, unstoppable=False),
        extensions=[_Gate(permission, resumable="after" in inspect.signature(resolver).parameters)],
    )


def _directives(permission: Permission, points: int, locked: str | None, unstoppable: bool) -> list[object]:
    declared: list[object] = [Guard(permission=permission.value), Cost(points=points)]
    if locked is not None:
        declared.append(Locked(when=locked))
    return [*declared, Unstoppable()] if unstoppable else declared


class _Gate(FieldExtension):
    """Stands before every resolver: lets it pass, or refuses and journals the refusal."""

    def __init__(
        self,
        permission: Permission,
        payload: type[Any] | None = None,
        *,
        unstoppable: bool = False,
        resumable: bool = False,
        link: Link | None = None,
    ) -> None:
        self.permission = permission
        self.link = link
        self.unstoppable = unstoppable
        self._resumable = resumable
        self._payload = payload

    async def resolve_async(self, next_: Callable[..., Any], source: Any, info: Info, **arguments: Any) -> Any:
        """Any field; what a subscription answers with is a stream, which is watched for refusals as well."""
        context: Context = info.context
        if self._payload is not None:
            context.forget()
            if arguments["input"].dry_run:
                with context.rehearsing():
                    return await self._answer(context, next_, source, info, arguments)
        return await self._answer(context, next_, source, info, arguments)

    async def _answer(
        self, context: Context, next_: Callable[..., Any], source: Any, info: Info, arguments: dict[str, Any]
    ) -> Any:
        try:
            if not self.unstoppable and info.path.prev is None:  # what lies below runs inside an allowed field
                await context.require_running(info.field_name)
            context.scope.require(self.permission)
            context.take(1)
            if self._resumable and context.resume_after is not None:
                arguments["after"] = context.resume_after
            answer = next_(source, info, **arguments)
            answer = await answer if inspect.isawaitable(answer) else answer
            if isinstance(answer, AsyncGenerator):
                context.streaming = info.field_name
                return self._guarded(answer, context, info.field_name)
            context.take(items(answer))
            return answer
        except NexusError as error:
            told = (info.field_name, error.code)
            if self._payload is not None or told not in context.refused:  # a page of equal refusals is told once
                context.refused |= {told}
                await _journal_refusal(context, info.field_name, self.permission, error)
            if self._payload is not None and expected(error):
                return self._payload(user_errors=[user_error(error)])
            raise

    async def _guarded(self, frames: AsyncGenerator[Any, None], context: Context, field: str) -> AsyncIterator[Any]:
        try:
            async with context.house.leases.held(context.scope), aclosing(frames):
                context.opened()
                with context.house.watch.metrics.streams.track_inprogress():
                    async for frame in frames:
                        context.cursor = getattr(frame, "cursor", context.cursor)
                        yield frame
        except NexusError as error:
            await _journal_refusal(context, field, self.permission, error)
            raise


def link_of(field: StrawberryField) -> Link | None:
    """Where a field leads, if it is a link."""
    return next((each.link for each in field.extensions if isinstance(each, _Gate)), None)


async def follow(context: Context, link: Link, values: Sequence[Any]) -> list[Any]:
    """What a link shows of each of many values, which its gate lets through as it would let each through.

    Raises Forbidden without the right, which is journalled nowhere here, and what the loader raises.
    """
    context.scope.require(link.permission)
    keys = [link.key(value) for value in values]
    wanted = [key for key in keys if key is not None]
    found = iter(await link.loader(context.loaders).load_many(wanted) if wanted else ())
    return [link.show(value, None if key is None else next(found)) for value, key in zip(values, keys, strict=True)]


def items(answer: Any) -> int:
    """How many items a resolver's answer has, if it is a list or a page."""
    listed = answer.edges if isinstance(answer, Connection) else answer
    return len(listed) if isinstance(listed, list) else 0


async def _journal_refusal(context: Context, field: str, permission: Permission, error: NexusError) -> None:
    context.observation.refused(error)
    asked: Json = {"field": field, "permission": permission.value}
    await context.journal_refusal(_KINDS.get(permission, RunKind.READ), field, asked, error.code)


def unguarded(schema: strawberry.Schema) -> list[str]:
    """Every field with a resolver of its own that declares no permission. The server starts only when there is none."""
    return sorted(f"{owner}.{name}" for owner, name, gate in _resolvers(schema) if gate is None)


def stoppable(schema: BaseSchema) -> frozenset[str]:
    """The fields of the root types that a kill switch can halt."""
    return frozenset(
        name
        for owner, name, gate in _resolvers(schema)
        if owner in _ROOTS and gate is not None and not gate.unstoppable
    )


def _resolvers(schema: BaseSchema) -> Iterator[tuple[str, str, _Gate | None]]:
    """Type, name and gate of every field with a resolver of its own."""
    for owner, name, field in fields(schema):
        if has_resolver(field):
            gates = [extension for extension in field.extensions if isinstance(extension, _Gate)]
            yield owner, name, gates[0] if gates else None
