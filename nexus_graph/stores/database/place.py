"""Where a database is: the file of an embedded installation, or a Postgres server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, SecretStr, field_validator


class PostgresSettings(BaseModel):
    """What names a Postgres server, as part of the settings of a process."""

    postgres: SecretStr | None = Field(
        None,
        description="Address of a Postgres database with the application's role, postgresql://ROLE:PASSWORD@HOST/NAME; "
        "the file nexus.db in the data folder when unset.",
    )
    postgres_owner: SecretStr | None = Field(
        None, description="The same database with the role that owns the tables: for `migrate`, and to erase."
    )
    postgres_signals: SecretStr | None = Field(
        None, description="The same database around a pooler, for LISTEN; NEXUS_POSTGRES when unset."
    )
    postgres_connections: int = Field(10, ge=2, le=1000, description="Connections of one server to Postgres.")
    postgres_seconds: float = Field(
        10.0, gt=0, description="How long a statement, a lock or a free connection is waited for."
    )
    postgres_prepared: bool = Field(
        True, description="Whether statements are prepared; false behind a pooler that can't keep them."
    )

    @field_validator("postgres", "postgres_owner", "postgres_signals")
    @classmethod
    def _of_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("is no address. Write postgresql://ROLE:PASSWORD@HOST/NAME")
        return value


@dataclass(frozen=True, slots=True)
class PostgresPlace:
    """A database on a Postgres server, as connection strings of libpq.

    `address` is for the application's role, which owns nothing; `owner` for the role that owns the tables, None where
    this process is not to change them; `signals` leads around a pooler, which can't listen. At most `connections` are
    open at once; a statement, a lock or a free connection is waited for up to `seconds`; not every pooler can keep
    `prepared` statements.
    """

    address: str = field(repr=False)
    owner: str | None = field(default=None, repr=False)
    signals: str | None = field(default=None, repr=False)
    connections: int = 10
    seconds: float = 10.0
    prepared: bool = True

    @classmethod
    def of(cls, settings: PostgresSettings) -> Self:
        """The place that the settings name. Raises ValueError when they name none."""
        if settings.postgres is None:
            raise ValueError("NEXUS_POSTGRES is missing")
        return cls(
            settings.postgres.get_secret_value(),
            None if settings.postgres_owner is None else settings.postgres_owner.get_secret_value(),
            (settings.postgres_signals or settings.postgres).get_secret_value(),
            settings.postgres_connections,
            settings.postgres_seconds,
            settings.postgres_prepared,
        )


Place = Path | PostgresPlace
