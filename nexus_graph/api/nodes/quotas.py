"""Quotas."""

from __future__ import annotations

import strawberry


@strawberry.type
class QuotaQuery:
    """Queries of the safeguard."""


@strawberry.type
class QuotaMutation:
    """Mutations of the safeguard."""
