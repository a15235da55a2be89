"""Where we reach into graphql-core beyond what it documents. Read in graphql-core 3.3.2.

Its rules of validation are bounded from within: the one that compares fields with each other has an account of its own,
and the end of a validation is an error of its own kind.
"""

from __future__ import annotations

from graphql import (
    ASTValidationRule,
    GraphQLError,
    OverlappingFieldsCanBeMergedRule,
    ValidationContext,
    ValuesOfCorrectTypeRule,
)
from graphql.validation.validate import ValidationAbortedError

__all__ = ("Enough", "ValidationAbortedError", "few_comparisons", "few_wrong_values")

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
