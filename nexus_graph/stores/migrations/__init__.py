"""Alembic migrations: the only way in which the schema of a database changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DatabaseError

from nexus_graph.scope.errors import ConfigurationError

_HERE = Path(__file__).resolve().parent


def migrate(database: Path) -> str:
    """Bring the SQLite file to the newest schema, making it if need be. Returns the revision that it is at now.

    Raises ConfigurationError for a file that is no sound database.
    """
    with _engine(database) as engine, engine.begin() as connection:
        alembic = _alembic()
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, "head")
    return _newest()


def require_newest(database: Path) -> None:
    """Raises ConfigurationError unless the SQLite file has the newest schema."""
    if not database.exists():
        raise ConfigurationError(f"There is no database at {database}. Run `nexus-graph migrate` first.")
    with _engine(database) as engine, engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found != _newest():
        raise ConfigurationError(
            f"The database is at schema {found or 'none'}, this program needs {_newest()}. Run `nexus-graph migrate`."
        )


@contextmanager
def _engine(database: Path) -> Iterator[Engine]:
    """An engine of its own. Raises ConfigurationError for a file that is no sound database."""
    engine = create_engine(f"sqlite:///{database}")
    try:
        yield engine
    except DatabaseError as error:
        raise ConfigurationError(f"{database} can't be used as a database: {error.orig}.") from error
    finally:
        engine.dispose()


def _alembic() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    return config


def _newest() -> str:
    return ScriptDirectory.from_config(_alembic()).get_current_head() or "none"
