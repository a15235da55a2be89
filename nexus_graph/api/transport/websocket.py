"""Websockets at `/graphql`: who is let in to a conversation in `graphql-transport-ws`, and who is not.

Spec: github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md. The legacy protocol `graphql-ws` is not spoken.
"""

from __future__ import annotations

import structlog
from starlette.websockets import WebSocket

from nexus_graph.api.house import House
from nexus_graph.api.operations.execution import Execution
from nexus_graph.api.transport.conversation import Conversation, close
from nexus_graph.api.transport.vigil import Vigil

log = structlog.get_logger("nexus_graph.api")

PROTOCOL = "graphql-transport-ws"


class WebSocketEndpoint:
    """Answers websockets at `/graphql`."""

    def __init__(self, execution: Execution, house: House) -> None:
        self._execution = execution
        self._house = house
        self._vigil = Vigil(house)
        self._open = 0

    async def answer(self, websocket: WebSocket) -> None:
        """Speak the protocol until either side closes."""
        spoken = PROTOCOL in websocket.scope.get("subprotocols", ())
        await websocket.accept(PROTOCOL if spoken else None)
        if not spoken:
            await close(websocket, 4406, "Subprotocol not acceptable")
        elif self._house.stopping.is_set():
            await close(websocket, 1012, "The server goes down")
        elif self._open >= self._house.config.sockets:
            log.warning("connection.refused", code="UNAVAILABLE")
            await close(websocket, 1013, "Too many connections to this server")
        else:
            await self._converse(websocket)

    async def _converse(self, websocket: WebSocket) -> None:
        self._open += 1
        try:
            with self._house.watch.metrics.sockets.track_inprogress():
                await Conversation(self._execution, self._house, self._vigil, websocket).hold()
        finally:
            self._open -= 1
