"""Switches."""

from __future__ import annotations

import strawberry


@strawberry.type
class SwitchQuery:
    """Queries of the safeguard."""


@strawberry.type
class SwitchMutation:
    """Mutations of the safeguard."""
