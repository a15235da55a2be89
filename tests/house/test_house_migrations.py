"""What the rooms declare, what the migrations make, and walls inside every key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from engines import OnPostgres
from house_tree import PACKAGE
from sqlalchemy import Table, UniqueConstraint, create_engine, inspect
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from nexus_graph.stores.migrations import migrate, newest, revisions
from nexus_graph.stores.tables import schema_of_record

SCOPE = ["tenant_id", "env"]
TENANT_WIDE = {
    "tenants": "the directory itself, read before a scope exists",
    "members": "somebody belongs to a tenant, in all its envs",
}


def tables() -> dict[str, Table]:
    """Every table that any room declares."""
    return dict(schema_of_record().tables)


@pytest.fixture
def migrated(tmp_path: Path, empty_database: bytes) -> Iterator[Connection]:
    """A connection to a migrated database."""
    (tmp_path / "nexus.db").write_bytes(empty_database)
    engine = create_engine(f"sqlite:///{tmp_path / 'nexus.db'}")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_migrations_make_what_the_rooms_declare(migrated: Connection) -> None:
    """Alembic finds no difference: tables, columns, types, indexes, constraints, foreign keys."""
    declared = tables()
    assert len(declared) > 15
    context = MigrationContext.configure(migrated, opts={"compare_type": True})
    assert compare_metadata(context, schema_of_record()) == []
    found = inspect(migrated)
    for name, table in declared.items():
        columns = {column["name"]: column["nullable"] for column in found.get_columns(name)}
        assert columns == {column.name: column.nullable for column in table.columns}, name
        assert found.get_pk_constraint(name)["constrained_columns"] == [key.name for key in table.primary_key], name


def test_migrations_make_the_same_on_postgres(on_postgres: OnPostgres, tmp_path: Path) -> None:
    """One history for both engines: no difference there either, and text in the order of its bytes."""
    declared, place = tables(), on_postgres.fresh(tmp_path)

    def compare(connection: Connection) -> tuple[list[object], list[str]]:
        found = compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True}), schema_of_record()
        )
        texts = "select table_name || '.' || column_name from information_schema.columns "
        unordered = (
            f"{texts} where table_schema = 'public' and data_type = 'text' and collation_name is distinct from 'C'"
        )
        return [*found], [row[0] for row in connection.exec_driver_sql(unordered)]

    async def compared() -> tuple[list[object], list[str]]:
        engine = create_async_engine((place.owner or "").replace("postgresql://", "postgresql+asyncpg://"))
        async with engine.connect() as connection:
            answer = await connection.run_sync(compare)
        await engine.dispose()
        return answer

    assert asyncio.run(compared()) == ([], [])
    assert len(declared) > 15
    on_postgres.discard(place)


def test_a_difference_would_be_seen(migrated: Connection) -> None:
    """A column that a migration forgot is found."""
    declared = tables()
    migrated.exec_driver_sql("alter table cards drop column changed_at")
    differences = compare_metadata(MigrationContext.configure(migrated), schema_of_record())
    assert [(one[0], one[2], one[3].name) for one in differences] == [("add_column", "cards", "changed_at")]
    assert "changed_at" in declared["cards"].columns


def test_every_key_begins_with_the_scope() -> None:
    """Primary keys, unique constraints, indexes and foreign keys: tenant and env first, so no key tells of another."""
    for name, table in tables().items():
        begin = ["tenant_id"] if name in TENANT_WIDE else SCOPE
        keys = [[column.name for column in table.primary_key]]
        keys += [[column.name for column in index.columns] for index in table.indexes]
        keys += [
            [column.name for column in constraint.columns]
            for constraint in table.constraints
            if isinstance(constraint, UniqueConstraint)
        ]
        keys += [[*foreign.column_keys] for foreign in table.foreign_key_constraints]
        assert [key for key in keys if key[: len(begin)] != begin] == [], name
    assert set(TENANT_WIDE) <= set(tables())


def test_foreign_keys_stay_inside_the_scope() -> None:
    """A row refers to rows of its own tenant and env: the first columns refer to the same columns."""
    for name, table in tables().items():
        for foreign in table.foreign_key_constraints:
            target = [element.column.name for element in foreign.elements]
            assert target[:2] == foreign.column_keys[:2] == SCOPE, name


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    """`nexus-graph migrate` can be repeated."""
    revision = migrate(tmp_path / "nexus.db")
    before = (tmp_path / "nexus.db").read_bytes()
    assert migrate(tmp_path / "nexus.db") == revision
    assert (tmp_path / "nexus.db").read_bytes() == before


def test_a_start_knows_the_history_without_alembic() -> None:
    """The names of the files tell all revisions, in their order."""
    config = Config()
    config.set_main_option("script_location", str(PACKAGE / "stores" / "migrations"))
    history = [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()]
    assert [*revisions()] == history[::-1]
    assert newest() == history[0]
