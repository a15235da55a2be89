"""What ships with the product and many tests use: read once."""

from __future__ import annotations

from nexus_graph.cards import Manifests
from nexus_graph.scope.resources import resource

MANIFESTS = Manifests.load(resource("core/manifests"))
