"""What migrates: Alembic, and the libraries that it stands on. They take long to import, and a start needs none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DatabaseError

from nexus_graph.scope.errors import ConfigurationError

_HERE = Path(__file__).resolve().parent


def upgrade(connection: Connection, require_known: Callable[[str | None], None]) -> None:
    """Bring what is connected to the newest schema, unless `require_known` refuses the one that it has."""
    require_known(revision(connection))
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def revision(connection: Connection) -> str | None:
    """The revision of what is connected; None for a database without a schema."""
    return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def engine(database: Path) -> Iterator[Engine]:
    """An engine of its own. Raises ConfigurationError for a file that is no sound database."""
    made = create_engine(f"sqlite:///{database}")
    try:
        yield made
    except DatabaseError as error:
        raise ConfigurationError(f"{database} can't be used as a database: {error.orig}.") from error
    finally:
        made.dispose()
