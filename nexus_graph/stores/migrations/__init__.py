"""Alembic migrations: the only way in which the schema of a database changes. One history for every engine.

Whether a database has the newest schema is seen without Alembic: each revision is a file that begins with its name, and
their order is that of the names.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from types import ModuleType

from nexus_graph.scope.errors import ConfigurationError
from nexus_graph.stores.database.place import Place, PostgresPlace

_VERSIONS = Path(__file__).resolve().parent / "versions"


def migrate(place: Place) -> str:
    """Bring the database to the newest schema, making what is missing. Returns the revision that it is at now.

    Of several at once, one migrates and the others wait. Raises ConfigurationError for a database that can't be used,
    or that a newer version of the program has migrated.
    """
    from nexus_graph.stores.migrations import upgrading

    upgrade = partial(upgrading.upgrade, require_known=_require_known)
    if isinstance(place, PostgresPlace):
        _walls().migrate(place, upgrade)
    else:
        with upgrading.engine(place) as engine, engine.begin() as connection:
            upgrade(connection)
    return newest()


def require_newest(place: Place) -> None:
    """Raises ConfigurationError unless the database has the newest schema, and on Postgres the walls around it."""
    found = _walls().examine(place) if isinstance(place, PostgresPlace) else _revision(place)
    _require_known(found)
    if found != newest():
        raise ConfigurationError(
            f"The database is at schema {found or 'none'}, this program needs {newest()}. Run `nexus-graph migrate`."
        )


def newest() -> str:
    """The newest revision."""
    return revisions()[-1]


@cache
def revisions() -> tuple[str, ...]:
    """All revisions that this program knows, from the first one on."""
    return tuple(sorted(path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*.py")))


def _revision(database: Path) -> str | None:
    if not database.exists():
        raise ConfigurationError(f"There is no database at {database}. Run `nexus-graph migrate` first.")
    try:
        with closing(sqlite3.connect(database)) as connection:
            if not connection.execute("select 1 from sqlite_master where name = 'alembic_version'").fetchone():
                return None
            found = connection.execute("select version_num from alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(f"{database} can't be used as a database: {error}.") from error
    return None if found is None else str(found[0])


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
    if found is not None and found not in revisions():
        raise ConfigurationError(
            f"The database is at schema {found}, which a newer version of this program made; this one knows it up to "
            f"{newest()}. Start the newer version, or restore a backup that this one made."
        )
