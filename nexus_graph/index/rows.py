"""The index's rows, declared: a part of the schema of record."""

from __future__ import annotations

from sqlalchemy import Index
from sqlmodel import Field

from nexus_graph.stores.tables import ScopedRow


class IndexCopyRow(ScopedRow, table=True):
    """The copy of a definition's vectors on a server: `generation` is that of the rows which it holds for certain.

    `offloaded_at` is 0 for one that is on the server; `contents` is a digest of what an offloaded one is in the bucket.
    """

    __tablename__ = "index_copies"
    definition_id: str = Field(primary_key=True)
    epoch: int
    generation: int
    used_at: int
    offloaded_at: int
    contents: str


class IndexActiveRow(ScopedRow, table=True):
    """The definition that searches of a scope use."""

    __tablename__ = "index_active"
    definition_id: str
    changed_at: int


class IndexDefinitionRow(ScopedRow, table=True):
    """A definition (the embedder's id): how far its rows are, and the state that they add up to."""

    __tablename__ = "index_definitions"
    definition_id: str = Field(primary_key=True)
    dimensions: int
    generation: int
    state: str


class IndexEntryRow(ScopedRow, table=True):
    """Where a card stands in a definition: the version that was taken in, with the digests of its text and chunks."""

    __tablename__ = "index_entries"
    __table_args__ = (Index("index_entries_by_generation", "tenant_id", "env", "definition_id", "generation"),)
    definition_id: str = Field(primary_key=True)
    card_id: str = Field(primary_key=True)
    version: int
    digest: str
    state: str
    chunks: int
    chunks_digest: str
    generation: int


class IndexVectorRow(ScopedRow, table=True):
    """A chunk of an indexed version: its characters in the card's text, and its vector, float32 little endian."""

    __tablename__ = "index_vectors"
    definition_id: str = Field(primary_key=True)
    card_id: str = Field(primary_key=True)
    ordinal: int = Field(primary_key=True)
    start_at: int
    end_at: int
    vector: bytes
