"""Everything that a field can call: the stores, the door's own tools and each room's equipment. Made once, in `app`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from nexus_graph.api.observing import Watch
from nexus_graph.api.paging import Cursors
from nexus_graph.assets import AssetRules
from nexus_graph.atoms import Sandbox
from nexus_graph.cards import Manifests
from nexus_graph.config import Config
from nexus_graph.index import Index
from nexus_graph.safeguards.consent.changing import Steps
from nexus_graph.safeguards.erasure import Eraser
from nexus_graph.safeguards.quotas import Leases
from nexus_graph.safeguards.rates import Rates
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.feeds import Manner
from nexus_graph.stores.pacing import Pacing
from nexus_graph.stores.work import Stores
from nexus_graph.tenants.admission import Admission


@dataclass(frozen=True, slots=True)
class House:
    """The equipment of one running process. `stopping` is set when the process begins to go down.

    Each of `forgetting` lets go of what the process holds of a scope: an erasure calls them. In the turns of `starting`
    begins what is asked on websockets, however much arrives at once.
    """

    config: Config
    stores: Stores
    admission: Admission
    cursors: Cursors
    asset_rules: AssetRules
    sandbox: Sandbox
    manifests: Manifests
    index: Index
    consent_steps: Steps
    leases: Leases
    rates: Rates
    eraser: Eraser
    forgetting: list[Callable[[Scope], None]] = field(default_factory=list)
    watch: Watch = field(default_factory=Watch)
    starting: Pacing = field(default_factory=Pacing)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def manner(self) -> Manner:
        """How live streams wait here."""
        return Manner(self.config.poll_seconds, self.config.heartbeat_seconds, self.stopping)
