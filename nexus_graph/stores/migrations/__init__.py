"""Alembic migrations: the only way in which the schema of a database changes."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from nexus_graph.scope.errors import ConfigurationError

_HERE = Path(__file__).resolve().parent


def migrate(database: Path) -> str:
    """Bring the SQLite file to the newest schema, making it if need be. Returns the revision that it is at now."""
    engine = create_engine(f"sqlite:///{database}")
    try:
        with engine.begin() as connection:
            alembic = _alembic()
            alembic.attributes["connection"] = connection
            command.upgrade(alembic, "head")
    finally:
        engine.dispose()
    return _newest()


def require_newest(database: Path) -> None:
    """Raises ConfigurationError unless the SQLite file has the newest schema."""
    if not database.exists():
        raise ConfigurationError(f"There is no database at {database}. Run `nexus-graph migrate` first.")
    engine = create_engine(f"sqlite:///{database}")
    try:
        with engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    if found != _newest():
        raise ConfigurationError(
            f"The database is at schema {found or 'none'}, this program needs {_newest()}. Run `nexus-graph migrate`."
        )


def _alembic() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    return config


def _newest() -> str:
    return ScriptDirectory.from_config(_alembic()).get_current_head() or "none"
