"""Who may look at the schema itself, and so be helped with its names."""

from __future__ import annotations

from nexus_graph.api.context import Context


def allowed(context: Context) -> bool:
    """Whether the caller may introspect in this env."""
    return True
