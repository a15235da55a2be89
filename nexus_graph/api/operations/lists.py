"""How long a list may be that is sent as an argument, in a variable. In a document its literals are counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    type_from_ast,
)

from nexus_graph.api.operations.extent import MOST_LISTED
from nexus_graph.scope.errors import Invalid


def require_bounded_lists(
    graph: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any] | None
) -> None:
    """Raises Invalid when a variable holds too long a list, of its own or in a member. Free JSON is one value."""
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        waiting: list[tuple[Any, Any]] = [(type_from_ast(graph, definition.type), (variables or {}).get(name))]
        while waiting:
            kind, value = waiting.pop()
            kind = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
            if isinstance(kind, GraphQLList) and isinstance(value, list):
                if len(value) > MOST_LISTED:
                    message = f"Variable '${name}' holds a list of {len(value):,} items; it may have {MOST_LISTED:,}."
                    raise Invalid(message, hint="Send them in parts.")
                waiting += [(kind.of_type, item) for item in value]
            elif isinstance(kind, GraphQLInputObjectType) and isinstance(value, dict):
                waiting += [(field.type, value[member]) for member, field in kind.fields.items() if member in value]
