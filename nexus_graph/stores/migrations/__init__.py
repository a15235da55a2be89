"""Alembic migrations: the only way in which the schema of a database changes. One history for every engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DatabaseError

from nexus_graph.scope.errors import ConfigurationError
from nexus_graph.stores.database.place import Place, PostgresPlace

_HERE = Path(__file__).resolve().parent


def migrate(place: Place) -> str:
    """Bring the database to the newest schema, making what is missing. Returns the revision that it is at now.

    Of several at once, one migrates and the others wait. Raises ConfigurationError for a database that can't be used,
    or that a newer version of the program has migrated.
    """
    if isinstance(place, PostgresPlace):
        _walls().migrate(place, _upgrade)
    else:
        with _engine(place) as engine, engine.begin() as connection:
            _upgrade(connection)
    return newest()


def require_newest(place: Place) -> None:
    """Raises ConfigurationError unless the database has the newest schema, and on Postgres the walls around it."""
    if isinstance(place, PostgresPlace):
        found = _walls().examine(place, _revision)
    elif not place.exists():
        raise ConfigurationError(f"There is no database at {place}. Run `nexus-graph migrate` first.")
    else:
        with _engine(place) as engine, engine.connect() as connection:
            found = _revision(connection)
    _require_known(found)
    if found != newest():
        raise ConfigurationError(
            f"The database is at schema {found or 'none'}, this program needs {newest()}. Run `nexus-graph migrate`."
        )


def newest() -> str:
    """The newest revision."""
    return _history().get_current_head() or "none"


def _walls() -> ModuleType:
    """What is about Postgres, whose driver is there only where it was chosen. Raises ConfigurationError without it."""
    try:
        from nexus_graph.stores.migrations import walls
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"NEXUS_POSTGRES needs the package {error.name}. Run `pip install 'nexus-graph[postgres]'`."
        ) from error
    return walls


def _require_known(found: str | None) -> None:
    """A server that goes on after a newer version has migrated is not hindered; one that starts is told why not."""
    if found is not None and found not in {each.revision for each in _history().walk_revisions()}:
        raise ConfigurationError(
            f"The database is at schema {found}, which a newer version of this program made; this one knows it up to "
            f"{newest()}. Start the newer version, or restore a backup that this one made."
        )


def _upgrade(connection: Connection) -> None:
    _require_known(_revision(connection))
    alembic = _alembic()
    alembic.attributes["connection"] = connection
    command.upgrade(alembic, "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


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


@cache
def _history() -> ScriptDirectory:
    """All revisions. Reading them takes as long as many a command: it is done once."""
    return ScriptDirectory.from_config(_alembic())


def _alembic() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    return config
