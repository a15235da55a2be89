"""Consent."""

from __future__ import annotations

import strawberry


@strawberry.type
class ConsentQuery:
    """Queries of the safeguard."""


@strawberry.type
class ConsentMutation:
    """Mutations of the safeguard."""
