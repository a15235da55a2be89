"""Where we reach into graphql-core beyond what it documents. Read in graphql-core 3.3.2.

Its rules of validation are bounded from within: the one that compares fields with each other has an account of its own,
and the end of a validation is an error of its own kind. Its executor, as Strawberry extends it, takes from the plan of
the document what is plain: whole parts of an answer, the plain fields of others, and what is selected where.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

import strawberry
from graphql import (
    ASTValidationRule,
    GraphQLError,
    GraphQLObjectType,
    OverlappingFieldsCanBeMergedRule,
    ValidationContext,
    ValuesOfCorrectTypeRule,
)
from graphql.validation.validate import ValidationAbortedError

from nexus_graph.api.operations.linking import Telling, told
from nexus_graph.api.operations.planning import Plan
from nexus_graph.api.strawberry_inside import executor_class

__all__ = ("Enough", "ValidationAbortedError", "few_comparisons", "few_wrong_values", "planned_executor")

_UNITS = 2
"""What the comparing of a pair costs in the rule's own account; other steps of it cost one."""


class Enough(ValidationAbortedError):
    """More is wrong, and need not be known."""


def few_comparisons(most: int) -> type[ASTValidationRule]:
    """The rule that compares so many fields with each other, and ends the validation when there are more."""

    class FewComparisons(OverlappingFieldsCanBeMergedRule):
        def __init__(self, context: ValidationContext) -> None:
            super().__init__(context)
            self.rule_context.remaining_complexity_budget = _UNITS * most

    return FewComparisons


def few_wrong_values(most: int) -> type[ASTValidationRule]:
    """The rule that tells so many wrong values: every message repeats its value, which takes long for a large one."""

    class FewWrongValues(ValuesOfCorrectTypeRule):
        told = 0

        def report_error(self, error: GraphQLError) -> None:
            self.told += 1
            if self.told > most:
                raise Enough("")
            super().report_error(error)

    return FewWrongValues


@lru_cache(maxsize=4)
def planned_executor(schema: strawberry.Schema) -> type[Any]:
    """What executes operations over a schema by the plan that their context names."""
    ordinary = executor_class(schema)

    class Planned(ordinary):  # type: ignore[misc, valid-type]
        """An executor with the plan of its document."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.plan: Plan = self.context_value.plan

        def collect_subfields(self, return_type: GraphQLObjectType, field_details_list: Sequence[Any]) -> Any:
            """What is selected of an object: worked out once."""
            collected, key = self.plan.collected, (return_type, *(id(each.node) for each in field_details_list))
            if (found := collected.get(key)) is None:
                found = collected[key] = super().collect_subfields(return_type, field_details_list)
            return found

        def selected(self, return_type: GraphQLObjectType, field_details_list: Sequence[Any]) -> Mapping[str, Any]:
            """What is selected of an object, by the names in the answer."""
            grouped: Mapping[str, Any] = self.collect_subfields(return_type, field_details_list)[0]
            return grouped

        def complete_value(
            self, return_type: Any, field_details_list: Any, info: Any, path: Any, result: Any, position_context: Any
        ) -> Any:
            """What is plain as a whole, by its shape; what holds links besides, in rounds."""
            shape = self.plan.shape(return_type, field_details_list, self.selected)
            if shape is not None:
                with suppress(Exception):  # the ordinary way tells what is wrong
                    return shape(result)
            elif (tell := self.plan.telling(return_type, field_details_list, self.selected)) is not None:
                ordinary = partial(super().complete_value, return_type, field_details_list, info, path)
                return self._told_in_rounds(tell, result, partial(ordinary, result, position_context))
            return super().complete_value(return_type, field_details_list, info, path, result, position_context)

        async def _told_in_rounds(self, tell: Telling, value: Any, ordinary: Callable[[], Any]) -> Any:
            try:
                return await told(tell, value, self.context_value)
            except Exception:  # the ordinary way tells what is wrong
                completed = ordinary()
                return await completed if self.is_awaitable(completed) else completed

        def execute_fields(
            self, parent_type: Any, source_value: Any, path: Any, grouped_field_set: Any, position_context: Any
        ) -> Any:
            """The plain fields first, by their shapes; those that are left, and what is wrong, in the ordinary way."""
            selected = self.plan.fields(parent_type, grouped_field_set, self.selected)
            told, left = {}, {}
            for name, nodes, attribute, shape in selected:
                if shape is not None and attribute is not None:
                    try:
                        told[name] = shape(getattr(source_value, attribute))
                    except Exception:
                        return super().execute_fields(
                            parent_type, source_value, path, grouped_field_set, position_context
                        )
                else:
                    left[name] = nodes
            if not told:
                return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
            rest = super().execute_fields(parent_type, source_value, path, left, position_context)
            if not self.is_awaitable(rest):
                return self._in_order(grouped_field_set, told, rest)

            async def in_order() -> dict[str, Any]:
                return self._in_order(grouped_field_set, told, await rest)

            return in_order()

        def _in_order(self, names: Mapping[str, Any], told: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
            return {name: told[name] if name in told else rest[name] for name in names if name in told or name in rest}

    return Planned
