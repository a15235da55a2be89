"""Documents: read from text within bounds, checked against the schema, and remembered while they are in use."""

from __future__ import annotations

from functools import lru_cache

from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)

from nexus_graph.api.errors import Flawed
from nexus_graph.api.extent import BoundedExtent
from nexus_graph.scope.errors import Invalid

MOST_TOKENS = 4000
CACHED = 128
"""Documents that stay parsed and validated; one of as many tokens takes two megabytes."""

_RULES: tuple[type[ASTValidationRule], ...] = (BoundedExtent, *specified_rules)


class Documents:
    """Reads documents of one schema. One that comes again, in the same words, is read once."""

    def __init__(self, graph: GraphQLSchema) -> None:
        self._graph = graph
        self._checked = lru_cache(CACHED)(self._check)

    def read(self, text: str, *, suggestions: bool) -> DocumentNode:
        """The document of a text. Raises Flawed; its errors suggest names of the schema only when told to."""
        found = self._checked(text, suggestions)
        if isinstance(found, DocumentNode):
            return found
        raise Flawed(found)

    def _check(self, text: str, suggestions: bool) -> DocumentNode | list[GraphQLError]:
        try:
            document = parse(text, max_tokens=MOST_TOKENS)
            return validate(self._graph, document, _RULES, hide_suggestions=not suggestions) or document
        except Invalid as error:  # too large for the other rules to look at
            return [GraphQLError(error.message, original_error=error)]
        except GraphQLError as error:
            return [error]


def meant(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """The operation of a document that is to be executed. Raises Invalid when that is not exactly one."""
    found = [
        each
        for each in document.definitions
        if isinstance(each, OperationDefinitionNode)
        and (name is None or (each.name is not None and each.name.value == name))
    ]
    if len(found) != 1:
        hint = "Name one operation of the document in operationName."
        raise Invalid(f"The document holds {len(found)} operations that can be meant.", hint=hint)
    return found[0]
