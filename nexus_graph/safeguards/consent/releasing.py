"""Release: from a record to something that may leave the house, if every layer of consent allows it.

`Exportable` is made here alone and holds only what redaction has passed, so to hold one is the proof of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from enum import StrEnum

from nexus_graph.safeguards.consent.table import TENANT_ALLOWS, user_allows
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Withheld
from nexus_graph.scope.redaction import Redacted, redact
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.work import Read

_made_by_release = object()


class Layer(StrEnum):
    """Who may withhold consent, from the whole to the single record."""

    INSTALLATION = "INSTALLATION"
    TENANT = "TENANT"
    USER = "USER"
    RECORD = "RECORD"
    ANCESTOR = "ANCESTOR"


def layers(author: str, declared: str, ancestors: str) -> str:
    """SQL columns with what the layers say of a row: its author's column, its declared value, all its ancestors."""
    return (
        f"{TENANT_ALLOWS} as tenant_allows, {user_allows(author)} as user_allows, "
        f"{declared} as record_allows, {ancestors} as ancestors_allow"
    )


def withheld_by(read: Read, row: Row) -> Layer | None:
    """The first layer that withholds a row with the columns of `layers`; None when all allow it."""
    if not read.limits.train_ok:
        return Layer.INSTALLATION
    columns = ("tenant_allows", Layer.TENANT), ("user_allows", Layer.USER), ("record_allows", Layer.RECORD)
    return next((layer for name, layer in (*columns, ("ancestors_allow", Layer.ANCESTOR)) if not row[name]), None)


@dataclass(frozen=True, slots=True)
class Exportable:
    """A record that may leave. Only `release` makes one.

    `facts` are ids, digests and counts, `content` is what somebody wrote, redacted; `pii_flags` tell what was in it.
    """

    facts: Mapping[str, Json]
    content: Redacted
    pii_flags: tuple[str, ...]
    made_by: InitVar[object]

    def __post_init__(self, made_by: object) -> None:
        if made_by is not _made_by_release:
            raise TypeError("Exportable is made by release() alone.")


def release(
    withheld: Layer | None, facts: Mapping[str, Json], content: Mapping[str, Json], pii_flags: tuple[str, ...]
) -> Exportable:
    """A record that no layer withholds, with its content redacted.

    Raises Withheld for any other, Invalid for content beyond the bounds of redaction.
    """
    if withheld is not None:
        raise Withheld(f"The {withheld.lower()} withholds consent to training.")
    redacted = redact(content)
    flags = tuple(sorted({*pii_flags, *redacted.pii_flags}))
    return Exportable(facts, redacted, flags, _made_by_release)
