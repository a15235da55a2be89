"""The assets' part in consent: what was declared of each, and the effective value that follows from it.

An asset that was found inside others follows them too, and they those that they were found in, however deep.
"""

from __future__ import annotations

from nexus_graph.assets import table
from nexus_graph.safeguards.consent.changing import Step
from nexus_graph.scope.errors import NotFound
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Work

_DECLARE = Statement(
    "update assets set declared_train_ok = :train_ok "
    "where tenant_id = :tenant_id and env = :env and asset_id = :asset_id"
)


async def reevaluate(work: Work) -> int:
    """Make every asset's effective consent follow from its layers. Returns how many changed."""
    return len(await work.write(table.REEVALUATE, installation=work.limits.train_ok))


async def declare(work: Work, asset_id: str, train_ok: bool) -> bool:
    """Set what is declared of one asset. Raises NotFound; returns whether it changed."""
    row = await work.row(table.FIND, asset_id=asset_id)
    if row is None or row["state"] == "PURGED":
        raise NotFound("asset or card", path=("input", "id"))
    if bool(row["declared_train_ok"]) == train_ok:
        return False
    await work.write(_DECLARE, asset_id=asset_id, train_ok=train_ok)
    return True


ASSETS = Step("assets", reevaluate, "asset_", declare)
