"""Erasures."""

from __future__ import annotations

import strawberry


@strawberry.type
class ErasureQuery:
    """Queries of the safeguard."""


@strawberry.type
class ErasureMutation:
    """Mutations of the safeguard."""
