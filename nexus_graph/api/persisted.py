"""Persisted operations: documents that clients name by their digest."""

from __future__ import annotations

from nexus_graph.api.transport.operation import Operation
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.scope import Scope


class PersistedOperations:
    """Finds the text of an operation."""

    def text(self, scope: Scope, operation: Operation) -> str:
        """The document to run. Raises Invalid when there is none."""
        if operation.query is None:
            raise Invalid("`query` must be a GraphQL document.", hint='For example {"query": "{ viewer { role } }"}.')
        return operation.query
