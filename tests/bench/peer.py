"""The barest server that could do the same: no tenant, no rights, no journal, no GraphQL. Reads the same database."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from pathlib import Path
from typing import Any

import aiosqlite
import numpy as np
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from nexus_graph.index.embedding import load_embedder

PAGE = (
    "select card.card_id, card.key, version.* from cards card join card_versions version "
    "on version.tenant_id = card.tenant_id and version.env = card.env and version.card_id = card.card_id "
    "and version.version = card.current_version where card.tenant_id = 't_bench' and card.env = 'dev' "
    "order by card.created_at desc, card.card_id desc limit 20"
)
TEXTS = "select card_id, version, text, digest from card_versions where card_id in ({})"


class Peer:
    """Three routes and a broadcast."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "nexus-data" / "nexus.db"
        self._listeners: set[asyncio.Queue[str]] = set()
        self._embedder = load_embedder(
            "hashing", model_directory=None, address=None, model=None, key=None, dimensions=None
        )
        with sqlite3.connect(self._path) as database:
            rows = database.execute("select card_id, vector from index_vectors").fetchall()
        self._ids = [row[0] for row in rows]
        self._matrix = np.stack([np.frombuffer(row[1], dtype="<f4") for row in rows])
        self._database: aiosqlite.Connection | None = None

    async def database(self) -> aiosqlite.Connection:
        """One connection."""
        if self._database is None:
            self._database = await aiosqlite.connect(self._path)
            self._database.row_factory = sqlite3.Row
        return self._database

    async def page(self, request: Request) -> Response:
        """A page of cards."""
        rows = await (await self.database()).execute_fetchall(PAGE)
        return _json({"edges": [{"node": dict(row)} for row in rows]})

    async def search(self, request: Request) -> Response:
        """The best ten."""
        (vector,) = await self._embedder.embed([request.query_params["text"]])
        scores = self._matrix @ vector
        best: dict[str, float] = {}
        for row in np.argsort(-scores):
            best.setdefault(self._ids[row], float(scores[row]))
            if len(best) == 10:
                break
        sql = TEXTS.format(", ".join("?" * len(best)))
        rows = {row["card_id"]: row for row in await (await self.database()).execute_fetchall(sql, list(best))}
        return _json({"refs": [{"score": score, "card": dict(rows[card_id])} for card_id, score in best.items()]})

    async def append(self, request: Request) -> Response:
        """To all."""
        text = (await request.body()).decode()
        for listener in self._listeners:
            listener.put_nowait(text)
        return _json({"ok": True})

    async def broadcast(self, websocket: WebSocket) -> None:
        """One listener."""
        await websocket.accept("graphql-transport-ws")
        mine: asyncio.Queue[str] = asyncio.Queue()
        self._listeners.add(mine)
        try:
            while True:
                await websocket.send_text(await mine.get())
        except (WebSocketDisconnect, RuntimeError):
            return
        finally:
            self._listeners.discard(mine)


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


def main() -> None:
    """Serve."""
    peer = Peer(Path(sys.argv[2]))
    routes = [
        Route("/page", peer.page),
        Route("/search", peer.search),
        Route("/append", peer.append, methods=["POST"]),
        WebSocketRoute("/broadcast", peer.broadcast),
    ]
    uvicorn.run(
        Starlette(routes=routes),
        port=int(sys.argv[1]),
        log_level="error",
        access_log=False,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
    )


if __name__ == "__main__":
    main()
