"""Budgets' rows, declared: a part of the schema of record."""

from __future__ import annotations

from sqlmodel import Field

from nexus_graph.stores.tables import ScopedRow


class BucketRow(ScopedRow, table=True):
    """The level of a token bucket. `env` is `*` and `actor_id` empty for the one that a whole tenant shares."""

    __tablename__ = "rate_buckets"
    budget: str = Field(primary_key=True)
    actor_id: str = Field(primary_key=True)
    level: int
    at: int
