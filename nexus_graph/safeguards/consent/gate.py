"""The gate: consent labels what is kept and blocks no writing; only an export has nothing left to do without it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nexus_graph.safeguards.consent import table
from nexus_graph.safeguards.model import Deed
from nexus_graph.scope.errors import NexusError, Withheld
from nexus_graph.scope.handling import Handling
from nexus_graph.stores.work import Read

EXPORT = "startExport"


@dataclass(frozen=True, slots=True)
class Consent:
    """Whether the installation, the tenant and the viewer allow training on what the viewer brings in."""

    installation: bool
    tenant: bool
    own: bool

    @property
    def effective(self) -> bool:
        """The most restrictive of them."""
        return self.installation and self.tenant and self.own


async def standing(read: Read) -> Consent:
    """What the layers above any record say to the principal of this scope."""
    rows = await read.rows(table.ALLOWS, subject_id=read.scope.principal.id)
    return Consent(read.limits.train_ok, bool(rows[0]["tenant"]), bool(rows[0]["own"]))


async def refusal(read: Read, deed: Deed) -> NexusError | None:
    """What an opt-out has against a deed: an export needs the installation's and the tenant's consent."""
    if deed.action != EXPORT:
        return None
    found = await standing(read)
    if not found.installation:
        return Withheld("This installation withholds its consent to training.", hint="Its operator may change that.")
    if not found.tenant:
        hint = "An owner or admin may take the tenant's opt-out back."
        return Withheld("The tenant withholds its consent to training in this env.", hint=hint)
    return None


async def effective(read: Read, handling: Handling) -> Handling:
    """A declared handling, as restrictive as the installation, the tenant and the author: this scope's principal."""
    if handling.train_ok and not (await standing(read)).effective:
        return replace(handling, train_ok=False)
    return handling
