"""Who may look at the schema itself, and so be helped with its names: by right and by env.

`__typename` is no introspection. Whoever may not still has `schema/nexus.graphql`, which comes with the installation.
"""

from __future__ import annotations

from nexus_graph.api.context import Context
from nexus_graph.scope.errors import Forbidden
from nexus_graph.scope.permission import Permission

_HINT = "Read schema/nexus.graphql instead; `nexus-graph schema` prints it."


def allowed(context: Context) -> bool:
    """Whether the caller may introspect in this env."""
    scope = context.scope
    return Permission.SCHEMA_INTROSPECT in scope.rights and scope.env in context.house.config.introspecting


def require(context: Context) -> None:
    """Raises Forbidden for a caller who may not introspect in this env."""
    scope = context.scope
    if scope.env not in context.house.config.introspecting:
        raise Forbidden(f"The schema can't be introspected in env {scope.env}.", hint=_HINT)
    if not allowed(context):
        raise Forbidden(f"The role {scope.role} lacks the right {Permission.SCHEMA_INTROSPECT}.", hint=_HINT)
