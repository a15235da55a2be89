"""What ships with the product and many tests use: read once, also for the programs that are forked."""

from __future__ import annotations

from nexus_graph.cards import Manifests
from nexus_graph.scope.policy import Policy
from nexus_graph.scope.resources import resource

MANIFESTS = Manifests.load(resource("core/manifests"))
POLICY = Policy.load(resource("casbin_model.conf"), resource("policies"))
