"""How much one installation gives to each tenant, unless the tenant's own quota says otherwise.

Set by the operator, carried by the stores, so that every unit of work knows it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Quotas of one tenant and env, the speed of its actors, and whether this installation may train at all.

    Budgets are token buckets: `burst` points when full, filled by `per_second`. An actor's default burst is what
    the largest operation costs that the door answers.
    """

    stored_bytes: int = 10 * 1024**3
    assets: int = 100_000
    cards: int = 100_000
    index_writes: int = 1_000_000
    live_streams: int = 1_000
    actor_burst: int = 20_000
    actor_per_second: int = 1_000
    tenant_burst: int = 80_000
    tenant_per_second: int = 4_000
    introspection_burst: int = 20
    introspection_per_second: float = 0.2
    actor_streams: int = 200
    actor_sockets: int = 100
    lock_seconds: int = 30 * 86_400
    session_seconds: int = 86_400
    longest_session_seconds: int = 30 * 86_400
    train_ok: bool = True
