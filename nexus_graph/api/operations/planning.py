"""What does not change from one run of a document to the next is worked out once: a plan.

Below a resolver most of an answer is plain: attributes of values that are there already. Such a part of a selection
becomes a function from the value to its piece of the answer. Whatever that does not expect - a null that may not be, a
value of another type - it leaves to the ordinary executor, which starts from the same value and tells what is wrong:
reading attributes twice does no harm. A document with directives has no plan, since what it asks for varies.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from graphql import (
    DocumentNode,
    GraphQLBoolean,
    GraphQLID,
    GraphQLInterfaceType,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
    TokenKind,
    is_leaf_type,
)

from nexus_graph.api.fields import link_of
from nexus_graph.api.operations.linking import Gap, Lead, Telling
from nexus_graph.api.strawberry_inside import attribute_of, declared, python_type_of
from nexus_graph.safeguards.rates import Price

Shape = Callable[[Any], Any]
"""From a value to its piece of the answer. Raises Unexpected, or whatever else, for what it does not expect."""

Key = tuple[str | None, bytes]
"""An operation's name, and a digest of what its price hangs on: nothing of what somebody sent is kept."""

MOST_PRICES: Final = 64
MOST_MEMBERS: Final = 64
"""Prices that a plan keeps, and values in the variables of an operation whose price is looked for."""

_TYPENAME: Final = "__typename"


class Unexpected(Exception):
    """A value that a shape leaves to the ordinary executor."""


class Selected(NamedTuple):
    """One field of a selection: what it is called in the answer, and how it is read, where it is plain.

    `nodes` are its places in the document, as the executor knows them.
    """

    name: str
    nodes: Any
    attribute: str | None
    shape: Shape | None


class Plan:
    """What is worked out of one document, as it is needed."""

    def __init__(self, graph: GraphQLSchema) -> None:
        self._graph = graph
        self._shapes: dict[tuple[object, ...], Shape | None] = {}
        self._tellings: dict[tuple[object, ...], Telling | None] = {}
        self._fields: dict[tuple[object, ...], tuple[Selected, ...]] = {}
        self.collected: dict[tuple[object, ...], Any] = {}
        self._prices: OrderedDict[Key, Price] = OrderedDict()

    @classmethod
    def of(cls, graph: GraphQLSchema, document: DocumentNode) -> Plan | None:
        """An empty plan for a document, unless it has directives."""
        token = document.loc.start_token if document.loc else None
        while token is not None:
            if token.kind is TokenKind.AT:
                return None
            token = token.next
        return cls(graph)

    def price(self, key: Key | None) -> Price | None:
        """What an operation was found to cost, being bounded."""
        if key is None or (found := self._prices.get(key)) is None:
            return None
        self._prices.move_to_end(key)
        return found

    def keep(self, key: Key | None, price: Price) -> None:
        """Keep what an operation costs, which is bounded."""
        if key is not None:
            self._prices[key] = price
            if len(self._prices) > MOST_PRICES:
                self._prices.popitem(last=False)

    def shape(self, kind: GraphQLOutputType, nodes: Sequence[Any], collect: Collect) -> Shape | None:
        """How a value of a type is told with what is selected of it; None where a resolver has a say in it.

        `nodes` are the places in the document where it is selected, `collect` finds what is selected of an object.
        """
        key = (kind, *(id(each.node) for each in nodes))
        if key not in self._shapes:
            self._shapes[key] = None  # while it is being made: nothing plain leads to itself
            self._shapes[key] = self._shaped(kind, nodes, collect)
        return self._shapes[key]

    def telling(self, kind: GraphQLOutputType, nodes: Sequence[Any], collect: Collect) -> Telling | None:
        """How a value of a type is told when nothing but links has a say in it; None where another resolver has."""
        key = (kind, *(id(each.node) for each in nodes))
        if key not in self._tellings:
            self._tellings[key] = None  # while it is being made
            self._tellings[key] = self._linked(kind, nodes, collect)
        return self._tellings[key]

    def fields(self, kind: GraphQLObjectType, selected: Mapping[str, Any], collect: Collect) -> tuple[Selected, ...]:
        """The fields that are selected of an object, in their order, with the shapes of those that are plain."""
        key = (kind, *(tuple(id(each.node) for each in nodes) for nodes in selected.values()))
        if (found := self._fields.get(key)) is None:
            found = self._fields[key] = tuple(
                Selected(name, nodes, *self._plainly(kind, nodes, collect)) for name, nodes in selected.items()
            )
        return found

    def _plainly(
        self, kind: GraphQLObjectType, nodes: Sequence[Any], collect: Collect
    ) -> tuple[str | None, Shape | None]:
        field = kind.fields.get(nodes[0].node.name.value)
        attribute = None if field is None else attribute_of(field)
        if field is None or attribute is None:
            return None, None
        return attribute, self.shape(field.type, nodes, collect)

    def _shaped(self, kind: GraphQLOutputType, nodes: Sequence[Any], collect: Collect) -> Shape | None:
        if isinstance(kind, GraphQLNonNull):
            if is_leaf_type(kind.of_type):
                return _leaf(kind.of_type, _refused)
            inner = self._shaped(kind.of_type, nodes, collect)
            return None if inner is None else _never_null(inner)
        if isinstance(kind, GraphQLList):
            inner = self.shape(kind.of_type, nodes, collect)
            return None if inner is None else _each(inner)
        if isinstance(kind, GraphQLObjectType):
            return self._object(kind, nodes, collect)
        if isinstance(kind, (GraphQLInterfaceType, GraphQLUnionType)):
            return self._one_of(kind, nodes, collect)
        return _leaf(kind, _as_it_is)

    def _object(self, kind: GraphQLObjectType, nodes: Sequence[Any], collect: Collect) -> Shape | None:
        read: list[tuple[str, Callable[[Any], Any], Shape]] = []
        for name, places in collect(kind, nodes).items():
            field_name = places[0].node.name.value
            if field_name == _TYPENAME:
                read.append((name, _constant(kind.name), _as_it_is))
                continue
            attribute, shape = self._plainly(kind, places, collect)
            if attribute is None or shape is None:
                return None
            read.append((name, attrgetter(attribute), shape))
        if kind.is_type_of is None:
            return _told(tuple(read), None)
        known = python_type_of(kind)
        return None if known is None else _told(tuple(read), known)

    def _one_of(
        self, kind: GraphQLInterfaceType | GraphQLUnionType, nodes: Sequence[Any], collect: Collect
    ) -> Shape | None:
        shapes: dict[type, Shape] = {}
        for possible in self._graph.get_possible_types(kind):
            known, shape = python_type_of(possible), self._object(possible, nodes, collect)
            if known is None or shape is None or known in shapes:
                return None
            shapes[known] = shape

        def one_of(value: Any) -> Any:
            if value is None:
                return None
            if (shape := shapes.get(type(value))) is None:
                raise Unexpected
            return shape(value)

        return one_of

    def _linked(self, kind: GraphQLOutputType, nodes: Sequence[Any], collect: Collect) -> Telling | None:
        """As `_shaped`, where links may stand between what is plain."""
        if (shape := self.shape(kind, nodes, collect)) is not None:
            return lambda value, _: shape(value)
        if isinstance(kind, (GraphQLNonNull, GraphQLList)):
            inner = self._linked(kind.of_type, nodes, collect)
            around = _never_null_with_gaps if isinstance(kind, GraphQLNonNull) else _each_with_gaps
            return None if inner is None else around(inner)
        if isinstance(kind, GraphQLObjectType):
            known = None if kind.is_type_of is None else python_type_of(kind)
            told = None if kind.is_type_of is not None and known is None else self._pieces(kind, nodes, collect)
            return None if told is None else _of_types({known: told})
        if isinstance(kind, (GraphQLInterfaceType, GraphQLUnionType)):
            pieces = dict[type | None, Pieces]()
            for possible in self._graph.get_possible_types(kind):
                known, told = python_type_of(possible), self._pieces(possible, nodes, collect)
                if known is None or told is None or known in pieces:
                    return None
                pieces[known] = told
            return _of_types(pieces)
        return None

    def _pieces(self, kind: GraphQLObjectType, nodes: Sequence[Any], collect: Collect) -> Pieces | None:
        """What is selected of an object: how each is read and told, or where it leads."""
        pieces: list[tuple[str, Callable[[Any], Any], Telling | None, Lead | None]] = []
        for name, places in collect(kind, nodes).items():
            field_name = places[0].node.name.value
            if field_name == _TYPENAME:
                pieces.append((name, _constant(kind.name), _as_it_is_without_gaps, None))
                continue
            field = kind.fields.get(field_name)
            found = None if field is None else declared(field)
            telling = None if field is None else self.telling(field.type, places, collect)
            if field is None or found is None or telling is None:
                return None
            if (attribute := attribute_of(field)) is not None:
                pieces.append((name, attrgetter(attribute), telling, None))
            elif (link := link_of(found)) is not None:
                pieces.append((name, _as_it_is, None, Lead(link, telling)))
            else:
                return None
        return tuple(pieces)


Pieces = tuple[tuple[str, Callable[[Any], Any], Telling | None, Lead | None], ...]
"""By its name each field of an object: what is read, and either how that is told or where it leads."""

Collect = Callable[[GraphQLObjectType, Sequence[Any]], Mapping[str, Any]]
"""What is selected of an object of a type at these places of the document: by the names in the answer."""


def price_key(name: str | None, variables: Mapping[str, Any] | None) -> Key | None:
    """What a plan knows the price of an operation by: numbers, names, and how long texts and lists are.

    None for many values. Which text it was changes nothing.
    """
    said: list[object] = []
    waiting: list[Any] = [variables]
    for each in waiting:  # and what is put behind it meanwhile
        if isinstance(each, str):
            said += ("text", len(each))
        elif isinstance(each, dict):
            said += ("members", len(each), *each)
            waiting.extend(each.values())
        elif isinstance(each, list):
            said += ("items", len(each))
            waiting.extend(each)
        else:
            said.append(each)
        if len(waiting) > MOST_MEMBERS:
            return None
    return name, hashlib.sha256(repr(said).encode(errors="surrogatepass")).digest()


def _never_null(inner: Shape) -> Shape:
    def never_null(value: Any) -> Any:
        told = inner(value)
        if told is None:
            raise Unexpected
        return told

    return never_null


def _each(inner: Shape) -> Shape:
    def each(value: Any) -> Any:
        if type(value) is list or type(value) is tuple:
            return [inner(item) for item in value]
        if value is None:
            return None
        raise Unexpected

    return each


def _never_null_with_gaps(inner: Telling) -> Telling:
    def never_null(value: Any, gaps: list[Gap]) -> Any:
        told = inner(value, gaps)
        if told is None:
            raise Unexpected
        return told

    return never_null


def _each_with_gaps(inner: Telling) -> Telling:
    def each(value: Any, gaps: list[Gap]) -> Any:
        if type(value) is list or type(value) is tuple:
            return [inner(item, gaps) for item in value]
        if value is None:
            return None
        raise Unexpected

    return each


def _of_types(pieces: Mapping[type | None, Pieces]) -> Telling:
    """Objects by their types; that of None may be any."""
    any_type = pieces.get(None)

    def of_types(value: Any, gaps: list[Gap]) -> Any:
        if value is None:
            return None
        if (told := any_type or pieces.get(type(value))) is None:
            raise Unexpected
        piece: dict[str, Any] = {}
        for name, read, tell, lead in told:
            if tell is not None:
                piece[name] = tell(read(value), gaps)
            elif lead is not None:
                piece[name] = None
                gaps.append(Gap(lead, value, piece, name))
        return piece

    return of_types


def _as_it_is_without_gaps(value: Any, _: list[Gap]) -> Any:
    return value


def _told(read: tuple[tuple[str, Callable[[Any], Any], Shape], ...], known: type | None) -> Shape:
    def told(value: Any) -> Any:
        if value is None:
            return None
        if known is not None and type(value) is not known:
            raise Unexpected
        return {name: shape(get(value)) for name, get, shape in read}

    return told


def _constant(value: str) -> Callable[[Any], str]:
    return lambda _: value


def _as_it_is(value: Any) -> Any:
    return value


def _refused(_: Any) -> Any:
    raise Unexpected


def _leaf(kind: GraphQLLeafType, null: Shape) -> Shape:
    coerce: Shape = kind.coerce_output_value
    exact = _EXACT.get(kind.name) if kind in (GraphQLString, GraphQLID, GraphQLBoolean) else None

    def leaf(value: Any) -> Any:
        if type(value) is exact:
            return value
        if value is None:
            return null(value)
        if isinstance(value, Exception):
            raise Unexpected
        told = coerce(value)
        if told is None:
            raise Unexpected
        return told

    return leaf


_EXACT: Final[Mapping[str, type]] = {"String": str, "ID": str, "Boolean": bool}
"""Scalars whose values of that very type are told as they are."""
