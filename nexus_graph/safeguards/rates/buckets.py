"""Where the levels of all buckets are kept: one row a bucket that somebody took from, counted by every process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from nexus_graph.safeguards.rates.model import EVERY_ENV, Bucket, Budget, Level, Rate
from nexus_graph.scope.clock import micros
from nexus_graph.stores.database.base import Connection
from nexus_graph.stores.statement import Statement, Value
from nexus_graph.stores.work import Read

_COLUMNS = "tenant_id, env, budget, actor_id, level, at"
_ROW = "(:tenant_id{0}, :env{0}, :budget{0}, :actor_id{0}, :level{0}, :at{0})"
_KEEP = Statement(
    "update rate_buckets set level = :level, at = :at "
    "where tenant_id = :tenant_id and env = :env and budget = :budget and actor_id = :actor_id"
)
_LOOK = Statement(
    "select budget, level, at from rate_buckets where tenant_id = :tenant_id "
    "and ((env = :env and actor_id = :actor_id) or (env = :every_env and actor_id = ''))"
)


async def hold(connection: Connection, wanted: Iterable[tuple[Bucket, Rate]], now: int) -> dict[Bucket, Level]:
    """The levels of these buckets, filled up to now and held until the transaction ends. In one order for everybody."""
    rates = dict(sorted(wanted, key=lambda each: each[0]))
    values: dict[str, Value] = {}
    for place, (bucket, rate) in enumerate(rates.items()):
        fresh = rate.full(now)
        columns = bucket._asdict() | {"level": fresh.content, "at": fresh.at}
        values |= {f"{name}{place or ''}": value for name, value in columns.items()}
    held = {}
    for row in await connection.rows(*_hold(len(rates)).bind(values)):
        bucket = Bucket(row["tenant_id"], row["env"], Budget(row["budget"]), row["actor_id"])
        held[bucket] = rates[bucket].filled(Level(row["level"], row["at"]), now)
    return held


@lru_cache(maxsize=64)
def _hold(count: int) -> Statement:
    """An update that changes nothing locks a row until the transaction ends, and answers with what it holds."""
    rows = ", ".join(_ROW.format(place or "") for place in range(count))
    return Statement(
        f"insert into rate_buckets ({_COLUMNS}) values {rows} "  # noqa: S608 - of the two constants above
        f"on conflict (tenant_id, env, budget, actor_id) do update set level = rate_buckets.level returning {_COLUMNS}"
    )


async def keep(connection: Connection, levels: Mapping[Bucket, Level]) -> None:
    """Write the new levels of buckets that are held."""
    rows = [bucket._asdict() | {"level": level.content, "at": level.at} for bucket, level in levels.items()]
    await connection.many(_KEEP.sql, rows)


async def levels(read: Read) -> dict[Budget, Level]:
    """How the budgets of the scope stand now: of its actor, its tenant, and its actor for introspection."""
    now = micros(read.now)
    rates = {budget: Rate.of(read.limits, budget) for budget in Budget}
    found = {budget: rate.full(now) for budget, rate in rates.items()}
    for row in await read.rows(_LOOK, actor_id=read.scope.principal.id, every_env=EVERY_ENV):
        budget = Budget(row["budget"])
        found[budget] = rates[budget].filled(Level(row["level"], row["at"]), now)
    return found
