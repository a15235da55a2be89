"""Cards' rows, declared: a part of the schema of record."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, Index
from sqlmodel import Field

from nexus_graph.stores.tables import ScopedRow

_CARD = ["tenant_id", "env", "card_id"]
_VERSION = [*_CARD, "version"]


class CardRow(ScopedRow, table=True):
    """A card. `singleton_key` is null when its type allows any number, and once it is retired."""

    __tablename__ = "cards"
    __table_args__ = (
        Index("cards_by_key", "tenant_id", "env", "key", unique=True),
        Index("cards_by_singleton", "tenant_id", "env", "singleton_key", unique=True),
        Index("cards_by_creation", "tenant_id", "env", "created_at", "card_id"),
    )
    card_id: str = Field(primary_key=True)
    key: str
    card_type: str
    singleton_key: str | None
    current_version: int
    created_at: int
    changed_at: int
    retired_at: int | None


class CardVersionRow(ScopedRow, table=True):
    """One immutable version. `text` is the truth; the body begins at its character `body_start`."""

    __tablename__ = "card_versions"
    __table_args__ = (ForeignKeyConstraint(_CARD, [f"cards.{name}" for name in _CARD]),)
    card_id: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    text: str
    body_start: int
    digest: str
    title: str | None
    header: str
    labels: str
    artifact_refs: str
    pii_flags: str
    declared_train_ok: bool
    train_ok: bool
    created_at: int
    created_by: str


class CardLabelRow(ScopedRow, table=True):
    """A label of a card's current version."""

    __tablename__ = "card_labels"
    __table_args__ = (
        ForeignKeyConstraint(_CARD, [f"cards.{name}" for name in _CARD]),
        Index("card_labels_by_label", "tenant_id", "env", "label", "card_id"),
    )
    card_id: str = Field(primary_key=True)
    label: str = Field(primary_key=True)


class CardFieldRow(ScopedRow, table=True):
    """A value of a filterable header field of a card's current version; exactly one of the three values is set."""

    __tablename__ = "card_fields"
    __table_args__ = (
        ForeignKeyConstraint(_CARD, [f"cards.{name}" for name in _CARD]),
        Index("card_fields_by_text", "tenant_id", "env", "field", "text_value"),
        Index("card_fields_by_number", "tenant_id", "env", "field", "number_value"),
    )
    card_id: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    field: str
    text_value: str | None
    number_value: float | None
    boolean_value: bool | None


class CardArtifactRow(ScopedRow, table=True):
    """An asset or atom that a version cites. `artifact_kind` is ASSET or ATOM."""

    __tablename__ = "card_artifacts"
    __table_args__ = (
        ForeignKeyConstraint(_VERSION, [f"card_versions.{name}" for name in _VERSION]),
        Index("card_artifacts_by_artifact", "tenant_id", "env", "artifact_id"),
    )
    card_id: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    position: int = Field(primary_key=True)
    artifact_kind: str
    artifact_id: str
