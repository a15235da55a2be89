"""One execution and one encoding of a frame for all who asked the same of it.

A subscription whose selection holds nothing but what stands in its frames has the same answer for everybody who is
handed the same frame: no resolver below its root looks at who asks. Such a frame is executed once for each document and
what its variables mean below the root, encoded once, and given to each connection that can take it at once. All else
goes the ordinary way: another selection, an answer with errors or one that is too long, a connection that is behind.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary, finalize

import orjson
from graphql import (
    SKIP,
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    ExecutionResult,
    Executor,
    FieldNode,
    GraphQLInterfaceType,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    Visitor,
    VisitorAction,
    execute_subscription_event,
    visit,
)

from nexus_graph.api.operations.charging import cost
from nexus_graph.api.operations.costing import characters
from nexus_graph.api.strawberry_inside import fields, has_resolver
from nexus_graph.stores.pacing import SLICE_SECONDS

if TYPE_CHECKING:
    from nexus_graph.api.context import Context
    from nexus_graph.api.operations.execution import Prepared
    from nexus_graph.api.operations.planning import Plan
    from nexus_graph.api.schema import Schema

MOST_KEPT: Final = 8 * 1024 * 1024
"""Bytes of the answers that stay encoded while somebody may come to ask for them."""
_BESIDE: Final = 1024  # bytes that one takes beside its texts
LARGEST_PIECE: Final = 32 * 1024
"""Bytes after which a piece is written: what a connection is behind is known again then."""
MOST_FRAMED: Final = 4
"""Ways of framing one answer that are kept: clients give their operations few names."""

_ROOT = "Subscription"
_PLACES = (FieldNode, DirectiveNode, ArgumentNode)


@dataclass(frozen=True, slots=True)
class ShortWay:
    """Into a connection. `frame` makes the bytes of an answer, or of another payload in its place, that a
    stream goes on after with a cursor; `send` writes some.

    `send` says False when the connection can't take them now.
    """

    frame: Callable[[Encoded, bytes | None, str | None], bytes]
    send: Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Nobody:
    """The context of what is executed for everybody: the plan of the document, and nothing of who asks."""

    plan: Plan | None


class Encoded:
    """The answer to a frame: its payload, and the cursor that a stream can go on after, where it has one."""

    __slots__ = ("_framed", "cursor", "data", "payload")

    def __init__(self, data: bytes, cursor: str | None) -> None:
        self.data = data
        self.payload = b'{"data":%b}' % data
        self.cursor = cursor
        self._framed: dict[Hashable, bytes] = {}

    def framed(self, way: Hashable, frame: Callable[[bytes], bytes]) -> bytes:
        """The payload as a connection sends it: made once for all that frame it in one way."""
        if (found := self._framed.get(way)) is None:
            found = frame(self.payload)
            if len(self._framed) < MOST_FRAMED:
                self._framed[way] = found
        return found


class Kept:
    """Answers that somebody may come to ask for again: the newest ones of a process, up to so many bytes."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._answers: OrderedDict[Hashable, tuple[object, Encoded | None]] = OrderedDict()
        self._size = 0

    def answer(self, stream: Hashable, frame: object, answer: Callable[[], Encoded | None]) -> Encoded | None:
        """The answer to a frame, made now or known: what is equal, word by word, is answered equally."""
        key = stream, getattr(frame, "cursor", None)
        if (found := self._answers.get(key)) is not None:
            if found[0] is frame or found[0] == frame:
                return found[1]
            self._drop(key)
        made = answer()
        self._answers[key] = frame, made
        self._size += _size(made)
        while self._size > self._most:
            self._drop(next(iter(self._answers)))
        return made

    def _drop(self, key: Hashable) -> None:
        _, answer = self._answers.pop(key)
        self._size -= _size(answer)

    def forget(self) -> None:
        """Let go of them all."""
        self._answers.clear()
        self._size = 0


def _size(answer: Encoded | None) -> int:
    return _BESIDE + (0 if answer is None else len(answer.payload) * (2 + MOST_FRAMED))  # data, payload and frames


class Broadcast:
    """The answers of one document, with variables of one meaning, to the frames of one tenant and env."""

    def __init__(self, document: DocumentNode, executor: Executor[Any], kept: Kept, most_characters: int) -> None:
        self.document = document  # whose identity names the broadcast
        self._executor = executor
        self._kept = kept
        self._most_characters = most_characters
        self._me = object()

    def answer(self, stream: Hashable, frame: object, show: Callable[[Any], object]) -> Encoded | None:
        """The answer to a frame of a stream, which `show` makes an object of the graph as it is shown in that stream.

        None when it must go the ordinary way.
        """
        return self._kept.answer((self._me, stream), frame, lambda: self._answer(show(frame)))

    def _answer(self, shown: object) -> Encoded | None:
        result = execute_subscription_event(self._executor.build_per_event_executor(shown))
        if not isinstance(result, ExecutionResult):
            raise TypeError("A selection without resolvers is answered at once.")
        if result.errors or characters(result.data, self._most_characters) > self._most_characters:
            return None
        return Encoded(orjson.dumps(result.data, option=orjson.OPT_NON_STR_KEYS), getattr(shown, "cursor", None))


class Outlet:
    """Where the frames of one subscription leave ready for its connection."""

    __slots__ = ("_broadcast", "_context", "_frame", "_send")

    def __init__(self, broadcast: Broadcast, context: Context, way: ShortWay) -> None:
        self._broadcast, self._context, self._frame, self._send = broadcast, context, way.frame, way.send

    def take(self, stream: Hashable, show: Callable[[Any], object], frames: Sequence[object]) -> int:
        """Hand frames to the connection, in few pieces, for as long as a slice. How many it took.

        When it took none, the first one must go the ordinary way.
        """
        context, broadcast = self._context, self._broadcast
        taken, size, cursor, ends = 0, 0, context.cursor, perf_counter() + SLICE_SECONDS
        piece = list[bytes]()
        for count, frame in enumerate(frames, 1):
            encoded = broadcast.answer(stream, frame, show)
            if encoded is not None:
                own = _with(encoded.data, cost(context)) if context.first and count == 1 else None
                cursor = encoded.cursor or cursor
                piece.append(self._frame(encoded, own, cursor))
                size += len(piece[-1])
            late = perf_counter() > ends
            if piece and (encoded is None or size > LARGEST_PIECE or late or count == len(frames)):
                if not self._send(piece[0] if len(piece) == 1 else b"".join(piece)):
                    return taken
                taken, size, context.first, context.cursor = taken + len(piece), 0, False, cursor
                piece = []
            if encoded is None or late:
                return taken
        return taken


def _with(data: bytes, extensions: dict[str, Any]) -> bytes:
    return b'{"data":%b,"extensions":%b}' % (data, orjson.dumps(extensions))


class Broadcasts:
    """The broadcasts of one process: each lives as long as somebody follows it."""

    def __init__(self, schema: Schema, most_characters: int) -> None:
        self._graph = schema.graph
        self._most_characters = most_characters
        self._resolved = {(owner, name) for owner, name, field in fields(schema) if has_resolver(field)}
        self._looked: dict[int, tuple[set[str] | None]] = {}
        self._open: WeakValueDictionary[Hashable, Broadcast] = WeakValueDictionary()
        self._kept = Kept()

    def join(self, prepared: Prepared, build: Callable[[Prepared, object], Any]) -> Broadcast | None:
        """The broadcast of a subscription; None when it has none. `build` makes its executor, with a context."""
        document, variables = prepared.document, prepared.variables
        if (looked := self._looked.get(id(document))) is None:
            looked = self._looked[id(document)] = (_below(self._graph, document, self._resolved),)
            finalize(document, self._looked.pop, id(document), None)
        (below,) = looked
        if below is None:
            return None
        meant = orjson.dumps({name: variables[name] for name in sorted(below) if name in variables})
        key = (id(document), prepared.name, meant, prepared.context.scope.key)
        if (found := self._open.get(key)) is None:
            executor = build(prepared, Nobody(prepared.context.plan))
            if isinstance(executor, list):
                return None
            found = self._open[key] = Broadcast(document, executor, self._kept, self._most_characters)
        return found

    def forget(self) -> None:
        """Let go of what was encoded: it is of people, too."""
        self._kept.forget()


def _below(graph: GraphQLSchema, document: DocumentNode, resolved: set[tuple[str, str]]) -> set[str] | None:
    """The variables that mean something below the root fields; None when a resolver does, or when that is unsure."""
    types = TypeInfo(graph)
    looked = _Looked(types, resolved)
    visit(document, TypeInfoVisitor(types, looked))
    return looked.below if looked.plain else None


class _Looked(Visitor):
    """Looks a document over: each field that has a resolver, and each variable, except for those of the roots."""

    def __init__(self, types: TypeInfo, resolved: set[tuple[str, str]]) -> None:
        super().__init__()
        self.plain = True
        self.below: set[str] = set()
        self._types = types
        self._resolved = resolved
        self._names = {name for _, name in resolved}
        self._roots: set[int] = set()

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        """A field, which is a root's or stands below one."""
        parent, name = self._types.get_parent_type(), node.name.value
        if parent is not None and parent.name == _ROOT:
            self._roots.add(id(node))
            return
        unsure = isinstance(parent, GraphQLInterfaceType) and name in self._names
        if parent is None or unsure or (parent.name, name) in self._resolved:
            self.plain = False

    def enter_variable_definition(self, *_: Any) -> VisitorAction:
        """Where a variable is declared, it means nothing yet."""
        return SKIP

    def enter_variable(self, node: VariableNode, _key: Any, parent: Any, _path: Any, ancestors: list[Any]) -> None:
        """Where it is used. What a root field is asked for decides which frames there are, not what is told of them."""
        places = [place for place in (*ancestors, parent) if isinstance(place, _PLACES)]
        owner = places[-2] if len(places) > 1 and isinstance(places[-1], ArgumentNode) else None
        if id(owner) not in self._roots:
            self.below.add(node.name.value)
