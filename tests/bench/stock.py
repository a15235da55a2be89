"""Stock Strawberry over the same database: no tenant, no rights, no journal. Its caches for documents are on.

python tests/bench/stock.py PORT FOLDER
"""

from __future__ import annotations

import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path

import aiosqlite
import orjson
import strawberry
import uvicorn
from peer import PAGE
from starlette.applications import Starlette
from starlette.routing import Route
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache


@strawberry.type
class Card:
    """As ours, from the same row."""

    id: strawberry.ID
    key: str
    card_type: str
    version: int
    title: str | None
    digest: str
    labels: list[str]
    train_ok: bool
    published_at: datetime
    published_by: str


@strawberry.type
class Edge:
    """A node with its cursor."""

    cursor: str
    node: Card


@strawberry.type
class PageInfo:
    """Whether there is more."""

    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class Cards:
    """A page."""

    edges: list[Edge]
    page_info: PageInfo


class Database:
    """One connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: aiosqlite.Connection | None = None

    async def rows(self) -> list[sqlite3.Row]:
        """The rows of a page."""
        if self._connection is None:
            self._connection = await aiosqlite.connect(self._path)
            self._connection.row_factory = sqlite3.Row
        return list(await self._connection.execute_fetchall(PAGE))


database = Database(Path(sys.argv[2]) / "nexus-data" / "nexus.db")


@strawberry.type
class Query:
    """The one field."""

    @strawberry.field
    async def cards(self, first: int) -> Cards:
        """A page of cards."""
        edges = [Edge(cursor=row["card_id"], node=_card(row)) for row in await database.rows()]
        return Cards(edges=edges[:first], page_info=PageInfo(has_next_page=True, end_cursor=edges[-1].cursor))


def _card(row: sqlite3.Row) -> Card:
    return Card(
        id=strawberry.ID(row["card_id"]),
        key=row["key"],
        card_type="note",
        version=row["version"],
        title=row["title"],
        digest=row["digest"],
        labels=orjson.loads(row["labels"]),
        train_ok=bool(row["train_ok"]),
        published_at=datetime.fromtimestamp(row["created_at"] / 1_000_000, UTC),
        published_by=row["created_by"],
    )


def main() -> None:
    """Serve."""
    schema = strawberry.Schema(Query, extensions=[ParserCache, ValidationCache])
    app = Starlette(routes=[Route("/graphql", GraphQL[object, None](schema))])
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False)


if __name__ == "__main__":
    main()
