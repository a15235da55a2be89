"""Sessions."""

from __future__ import annotations

import strawberry


@strawberry.type
class SessionQuery:
    """Queries of the safeguard."""


@strawberry.type
class SessionMutation:
    """Mutations of the safeguard."""
