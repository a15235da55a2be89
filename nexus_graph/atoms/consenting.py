"""The atoms' part in consent: nothing is declared of an atom, it follows its asset."""

from __future__ import annotations

from nexus_graph.safeguards.consent.changing import Step
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Work

_REEVALUATE = Statement(
    "update atoms set train_ok = not train_ok where tenant_id = :tenant_id and env = :env "
    "and train_ok <> (select asset.train_ok from assets asset where asset.tenant_id = atoms.tenant_id "
    "and asset.env = atoms.env and asset.asset_id = atoms.asset_id) returning atom_id"
)


async def reevaluate(work: Work) -> int:
    """Make every atom's effective consent that of its asset. Returns how many changed."""
    return len(await work.write(_REEVALUATE))


ATOMS = Step("atoms", reevaluate)
