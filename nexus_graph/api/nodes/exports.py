"""Exports."""

from __future__ import annotations

import strawberry


@strawberry.type
class ExportQuery:
    """Queries of the safeguard."""


@strawberry.type
class ExportMutation:
    """Mutations of the safeguard."""
