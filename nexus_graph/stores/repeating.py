"""The repeated request: what a verb answered to an idempotency key is answered again, and nothing is done twice."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from nexus_graph.scope.canonical import Json, digest
from nexus_graph.scope.errors import Conflict
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement

FIND = Statement(
    "select request_digest, answer from idempotency_keys "
    "where tenant_id = :tenant_id and env = :env and actor_id = :actor_id and key = :key"
)
KEEP = Statement(
    "insert into idempotency_keys (tenant_id, env, actor_id, key, request_digest, answer, at) "
    "values (:tenant_id, :env, :actor_id, :key, :request_digest, :answer, :at)"
)


@dataclass(frozen=True, slots=True)
class Once:
    """An idempotency key and the request that it stands for. Equal key with another request is a Conflict."""

    key: str
    request: Json

    @property
    def request_digest(self) -> str:
        """The digest of the request."""
        return digest(self.request)

    def answer(self, row: Row | None) -> Json:
        """What the key was answered before, from its row, or None. Raises Conflict for another request."""
        if row is None:
            return None
        if row["request_digest"] != self.request_digest:
            raise Conflict(
                "The idempotency key was used for another request.",
                hint="Use a fresh key for a fresh request.",
                path=("input", "idempotencyKey"),
            )
        answer: Json = orjson.loads(row["answer"])
        return answer
