"""Budgets."""

from __future__ import annotations

import strawberry


@strawberry.type
class BudgetQuery:
    """Queries of the safeguard."""
