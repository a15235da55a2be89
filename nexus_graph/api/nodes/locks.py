"""Locks."""

from __future__ import annotations

import strawberry


@strawberry.type
class LockQuery:
    """Queries of the safeguard."""


@strawberry.type
class LockMutation:
    """Mutations of the safeguard."""
