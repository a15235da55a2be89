"""Relay connections: opaque, signed cursors over the rooms' keyset pages.

A cursor names a position in one list of one scope under one filter; used anywhere else it is refused.
See the Relay Cursor Connections Specification (relay.dev/graphql/connections.htm).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from typing import Annotated, Generic, TypeVar

import orjson
import strawberry

from nexus_graph.scope.canonical import Json, canonical
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.paging import Key, Page, Window

LARGEST_PAGE = 100

Node = TypeVar("Node")
Value = TypeVar("Value")

First = Annotated[int | None, strawberry.argument(description="How many from the front: 1 to 100.")]
After = Annotated[str | None, strawberry.argument(description="A cursor of this list: only what comes after it.")]
Last = Annotated[int | None, strawberry.argument(description="How many from the back: 1 to 100.")]
Before = Annotated[str | None, strawberry.argument(description="A cursor of this list: only what comes before it.")]


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    """Relay page information."""

    has_next_page: bool = strawberry.field(description="Whether more follows after this page.")
    has_previous_page: bool = strawberry.field(description="Whether something comes before this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first edge; null for an empty page.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last edge; null for an empty page.")


@strawberry.type(description="An item of a page, and its place in the list.")
class Edge(Generic[Node]):
    """A node with its cursor."""

    node: Node = strawberry.field(description="The item.")
    cursor: str = strawberry.field(description="The item's place, to page on from.")


@strawberry.type(description="One page of a list.")
class Connection(Generic[Node]):
    """Edges and where they lie."""

    edges: list[Edge[Node]] = strawberry.field(description="The items of this page, in list order.")
    page_info: PageInfo = strawberry.field(description="Where this page lies in the list.")


class Cursors:
    """Makes and reads cursors, signed with a key of their own derived from the installation's secret."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"nexus-graph cursor", "sha256")

    def list_of(self, scope: Scope, name: str, conditions: Json = None) -> CursorList:
        """The cursors of one list: its name and the filter it is under, in one scope."""
        bound = canonical([scope.tenant_id, scope.env.value, name, conditions])
        return CursorList(hmac.digest(self._key, hashlib.sha256(bound).digest(), "sha256"))


class CursorList:
    """The cursors of one list under one filter in one scope."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, key: Key) -> str:
        """The cursor of an item with this key."""
        body = orjson.dumps(key)
        return base64.urlsafe_b64encode(self._mac(body) + body).decode().rstrip("=")

    def read(self, cursor: str, argument: str) -> Key:
        """The key that a cursor stands for. Raises Invalid for anything but a cursor of this very list."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        mac, body = raw[:16], raw[16:]
        if not body or len(cursor) > 1024 or not hmac.compare_digest(mac, self._mac(body)):
            raise Invalid(
                f"`{argument}` is no cursor of this list.",
                hint="Use a cursor that this field gave for the same tenant, env and filter.",
                path=(argument,),
            )
        return tuple(orjson.loads(body))

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[:16]

    def window(self, first: int | None, after: str | None, last: int | None, before: str | None) -> Window:
        """The window that the Relay arguments ask for. Raises Invalid unless exactly one size, 1 to 100, is given."""
        name, size = ("first", first) if first is not None else ("last", last)
        if size is None or (first is not None and last is not None):
            raise Invalid("Give either `first` or `last`.", hint="For example first: 20.", path=("first",))
        if not 1 <= size <= LARGEST_PAGE:
            raise Invalid(f"`{name}` must be 1 to {LARGEST_PAGE}, not {size}.", path=(name,))
        return Window(
            size=size,
            forward=first is not None,
            after=None if after is None else self.read(after, "after"),
            before=None if before is None else self.read(before, "before"),
        )

    def connection(self, page: Page[Value], build: Callable[[Value], Node]) -> Connection[Node]:
        """A room's page as a Relay connection."""
        cursors = [self.write(key) for key in page.keys]
        return Connection(
            edges=[Edge(node=build(item), cursor=at) for item, at in zip(page.items, cursors, strict=True)],
            page_info=PageInfo(
                has_next_page=page.has_next,
                has_previous_page=page.has_previous,
                start_cursor=cursors[0] if cursors else None,
                end_cursor=cursors[-1] if cursors else None,
            ),
        )
