"""Documents: read from text within bounds, checked against the schema, and remembered while they are in use.

What a check costs is bounded three times: the document is measured first, the one rule that compares fields with each
other does so a limited number of times, and what is wrong is listed up to a number.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import NamedTuple

from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OverlappingFieldsCanBeMergedRule,
    ValuesOfCorrectTypeRule,
    parse,
    specified_rules,
    validate,
)

from nexus_graph.api.errors import MOST_FLAWS, Flawed, more_is_wrong
from nexus_graph.api.graphql_core_inside import Enough, ValidationAbortedError, few_comparisons, few_wrong_values
from nexus_graph.api.operations.extent import require_bounded
from nexus_graph.api.operations.planning import Plan
from nexus_graph.scope.errors import Invalid

MOST_TOKENS = 4000
MOST_COMPARED = 10_000
"""Pairs of fields with one name at one place that are compared: the same leaf may stand there 141 times."""
MOST_CACHED = 32 * 1024 * 1024
"""Bytes of the documents that stay parsed and validated: eight of the largest, hundreds of ordinary ones."""

_WRONG_VALUES = 3
_BYTES_OF_A_TOKEN = 1024
_BYTES_OF_PRICES = 4096


_BOUNDED: dict[type[ASTValidationRule], type[ASTValidationRule]] = {
    OverlappingFieldsCanBeMergedRule: few_comparisons(MOST_COMPARED),
    ValuesOfCorrectTypeRule: few_wrong_values(_WRONG_VALUES),
}
_RULES = tuple(_BOUNDED.get(rule, rule) for rule in specified_rules)


class Known(NamedTuple):
    """A good document, and what is worked out of it as it is used; None where that would vary."""

    document: DocumentNode
    plan: Plan | None


class Documents:
    """Reads documents of one schema. A good one that comes again, in the same words, is not checked again."""

    def __init__(self, graph: GraphQLSchema, most_cached: int = MOST_CACHED) -> None:
        self._graph = graph
        self._most_cached = most_cached
        self._good: OrderedDict[str, tuple[Known, int]] = OrderedDict()
        self._cached = 0

    def known(self, text: str) -> Known | None:
        """The document of a text, if it is remembered."""
        if (found := self._good.get(text)) is None:
            return None
        self._good.move_to_end(text)
        return found[0]

    def read(self, text: str, *, suggestions: bool) -> Known:
        """The document of a text. Raises Flawed; its errors suggest names of the schema only when told to."""
        if (found := self.known(text)) is not None:
            return found
        document = self._check(text, suggestions)
        known = Known(document, Plan.of(self._graph, document))
        self._keep(text, known)
        return known

    def forget(self) -> None:
        """Let go of all documents: whose they are is not known."""
        self._good.clear()
        self._cached = 0

    def _check(self, text: str, suggestions: bool) -> DocumentNode:
        try:
            document = parse(text, max_tokens=MOST_TOKENS)
            require_bounded(document)
        except Invalid as error:
            raise Flawed([GraphQLError(error.message, original_error=error)]) from error
        except GraphQLError as error:
            raise Flawed([error]) from error
        errors = validate(self._graph, document, _RULES, max_errors=MOST_FLAWS, hide_suggestions=not suggestions)
        if errors:
            raise Flawed([*errors[:-1], _last(errors)])
        return document

    def _keep(self, text: str, known: Known) -> None:
        """Only what is good: what is refused must not take its place."""
        size = sys.getsizeof(text) + known.document.token_count * _BYTES_OF_A_TOKEN + _BYTES_OF_PRICES
        self._good[text] = known, size
        self._cached += size
        while self._cached > self._most_cached:
            self._cached -= self._good.popitem(last=False)[1][1]


def _last(errors: list[GraphQLError]) -> GraphQLError:
    """The last error of a validation, which may tell that it was ended early."""
    last = errors[-1]
    if not isinstance(last, ValidationAbortedError):
        return last
    if isinstance(last, Enough) or len(errors) > MOST_FLAWS:
        early = more_is_wrong()
    else:
        hint = "Ask for each field once, and spread fewer fragments."
        early = Invalid("The document asks for the same things too often to be checked.", hint=hint)
    return GraphQLError(early.message, original_error=early)


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
