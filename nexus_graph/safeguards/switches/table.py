"""The kill switches' rows and their only SQL."""

from __future__ import annotations

from nexus_graph.safeguards.switches.model import Switch, Target
from nexus_graph.scope.clock import moment
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement

ENGAGED = Statement(
    "select * from kill_switches where tenant_id = :tenant_id and env = :env and released_at is null "
    "order by engaged_at, switch_id"
)
FIND = Statement("select * from kill_switches where tenant_id = :tenant_id and env = :env and switch_id = :switch_id")
FIND_ENGAGED = Statement(
    "select * from kill_switches where tenant_id = :tenant_id and env = :env and target = :target and name = :name "
    "and released_at is null"
)
ENGAGE = Statement(
    "insert into kill_switches (tenant_id, env, switch_id, target, name, reason, engaged_by, engaged_at) "
    "values (:tenant_id, :env, :switch_id, :target, :name, :reason, :by, :now) returning *"
)
RELEASE = Statement(
    "update kill_switches set released_by = :by, released_at = :now "
    "where tenant_id = :tenant_id and env = :env and switch_id = :switch_id and released_at is null returning *"
)
ALL = "select * from kill_switches where tenant_id = :tenant_id and env = :env"
ONLY_ENGAGED = f"{ALL} and released_at is null"


def switch(row: Row) -> Switch:
    """The switch in a row."""
    released_at = row["released_at"]
    return Switch(
        switch_id=row["switch_id"],
        target=Target(row["target"]),
        name=row["name"],
        reason=row["reason"],
        engaged_by=row["engaged_by"],
        engaged_at=moment(row["engaged_at"]),
        released_by=row["released_by"],
        released_at=None if released_at is None else moment(released_at),
    )
