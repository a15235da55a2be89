"""Consent's rows, declared: a part of the schema of record."""

from __future__ import annotations

from sqlmodel import Field

from nexus_graph.stores.tables import ScopedRow


class OptOutRow(ScopedRow, table=True):
    """Somebody withholds consent. `kind` is INSTALLATION, TENANT or USER; the subject is empty but for a user.

    A row of kind INSTALLATION says that the labels of this scope were made to follow an installation that withholds it.
    """

    __tablename__ = "opt_outs"
    kind: str = Field(primary_key=True)
    subject_id: str = Field(primary_key=True)
    subject_kind: str = Field(primary_key=True)
    changed_by: str
    changed_at: int
