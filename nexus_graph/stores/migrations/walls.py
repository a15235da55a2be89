"""What Postgres needs around the tables: their owner, the rights of who works with them, and walls between tenants.

Three roles, made by whoever runs the server (docs/operations.md):

    the owner         owns every table, migrates, and sees all
    the application   owns nothing; reads and writes rows of the tenant and env that its transaction names
    nexus_doors       what the application becomes where it crosses tenants: a few tables, a few rights, listed here

Row-level security is forced on every table. A transaction that names no tenant sees nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

import asyncpg
from sqlalchemy import Connection, String, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import NullPool

from nexus_graph.scope.errors import ConfigurationError
from nexus_graph.stores.database.place import PostgresPlace

Result = TypeVar("Result")

OLDEST: Final = 150_000
"""The oldest version of the server."""

DOORS: Final[Mapping[str, str]] = {
    "tenants": "select",
    "journal_heads": "select",
    "erasures": "select (tenant_id, env, erasure_id, state, ended_at, ledger_entry)",
    "rate_buckets": "select, insert, update",
    "stream_leases": "select, insert, update, delete",
    "journal_events": "select (tenant_id, env, seq, action)",
    "follower_checkpoints": "select",
    "index_active": "select",
    "index_copies": "select (tenant_id, env, definition_id, generation, used_at, offloaded_at)",
    "opt_outs": "select (tenant_id, env, kind)",
    "rulesets": "select (tenant_id, env, ruleset, target)",
    "assets": "select (tenant_id, env, state, expires_at)",
    "sessions": "select (tenant_id, env, expires_at)",
    "quotas": "select",
    "quota_usage": "select, insert, update",
}
"""What may be done across tenants, by table: with all columns, or with those that are named."""

_LOCK_SECONDS = 5
"""How long a migration waits for a table: whoever comes to that table after it waits as long."""
_IN_USE: Final = ("55P03", "40P01")
"""What Postgres says of a table that was not to be had, and of two that waited for each other."""
_MIGRATING = 7_305_240_112  # one lock, for all who migrate this database
_SETTING = "current_setting('nexus.{}', true)"
_OF_TENANT = f"tenant_id = {_SETTING.format('tenant_id')}"
_OF_SCOPE = f"{_OF_TENANT} and (env = {_SETTING.format('env')} or env = '*')"  # '*': what all envs share


@compiles(String, "postgresql")
def _ordered_by_bytes(*_: Any, **__: Any) -> str:
    """Text of any length, in the order that SQLite and Python have."""
    return 'TEXT COLLATE "C"'


def migrate(place: PostgresPlace, upgrade: Callable[[Connection], None]) -> None:
    """Upgrade with the owner's role, then build the walls anew, in one transaction. Raises ConfigurationError."""
    if place.owner is None:
        raise ConfigurationError(
            "NEXUS_POSTGRES_OWNER is missing: the address with the role that owns the tables, which alone may migrate."
        )
    application = _run(_role(place.address))

    def deed(connection: Connection) -> None:
        connection.execute(text(f"select pg_advisory_xact_lock({_MIGRATING})"))
        connection.execute(text(f"set local lock_timeout = '{_LOCK_SECONDS}s'"))
        upgrade(connection)
        _build(connection, application)

    _run(_with(place.owner, deed))


def examine(place: PostgresPlace) -> str | None:
    """The revision of the schema, seen with the role of the application, which must own nothing and bypass nothing."""

    def deed(connection: Connection) -> str | None:
        role = connection.execute(
            text(
                "select rolname, rolsuper or rolbypassrls as above, "
                "exists (select 1 from pg_class where relowner = pg_roles.oid) as owns, "
                "exists (select 1 from pg_roles doors where doors.rolname = 'nexus_doors') as doors "
                "from pg_roles where rolname = current_user"
            )
        ).one()
        if role.above or role.owns:
            raise ConfigurationError(
                f"NEXUS_POSTGRES leads in as {role.rolname}, who could pass the walls between tenants. Use a role that "
                "owns nothing and has neither SUPERUSER nor BYPASSRLS; docs/operations.md shows how to make it."
            )
        if connection.execute(text("select to_regclass('alembic_version')")).scalar() is None:
            return None
        found = connection.execute(text("select version_num from alembic_version")).scalar()
        return None if found is None else str(found)

    return _run(_with(place.address, deed))


def _build(connection: Connection, application: str) -> None:
    def run(sql: str) -> None:
        connection.execute(text(sql.replace(":", r"\:")))

    quoted = connection.dialect.identifier_preparer.quote
    owner = connection.execute(text("select current_user")).scalar_one()
    if not connection.execute(text("select 1 from pg_roles where rolname = 'nexus_doors'")).scalar():
        raise ConfigurationError(
            "The role nexus_doors is missing on the server; docs/operations.md shows how to make it."
        )
    scoped = connection.execute(
        text(
            "select c.relname, exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'env') "
            "from pg_class c where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace "
            "and c.relname <> 'alembic_version' order by c.relname".replace("::", r"\:\:")
        )
    ).all()
    run(f"grant usage on schema {quoted(_schema(connection))} to {quoted(application)}, nexus_doors")
    run(f"grant select on alembic_version to {quoted(application)}")
    for name, has_env in scoped:
        table = quoted(name)
        run(f"alter table {table} enable row level security")
        run(f"alter table {table} force row level security")
        walls = {
            "wall": ("public", _OF_SCOPE if has_env else _OF_TENANT),
            "owner": (quoted(owner), f"current_user = '{owner}'"),
            "doors": ("nexus_doors", "current_user = 'nexus_doors'" if name in DOORS else ""),
        }
        for policy, (role, condition) in walls.items():
            run(f"drop policy if exists {policy} on {table}")
            if condition:
                run(f"create policy {policy} on {table} to {role} using ({condition}) with check ({condition})")
        run(f"revoke all on {table} from {quoted(application)}, nexus_doors")
        run(f"grant select, insert, update, delete on {table} to {quoted(application)}")
        if name in DOORS:
            run(f"grant {DOORS[name]} on {table} to nexus_doors")


def _schema(connection: Connection) -> str:
    return str(connection.execute(text("select current_schema()")).scalar_one())


async def _role(address: str) -> str:
    """Who the application is on the server."""

    def deed(connection: Connection) -> str:
        return str(connection.execute(text("select current_user")).scalar_one())

    return await _with(address, deed)


async def _with(address: str, deed: Callable[[Connection], Result]) -> Result:
    async def connect() -> Any:
        return await asyncpg.connect(address, timeout=10, statement_cache_size=0)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_require_new_enough)
            return await connection.run_sync(deed)
    except (DBAPIError, asyncpg.PostgresError, OSError, TimeoutError) as error:
        cause = getattr(error, "orig", None) or error
        if getattr(cause, "sqlstate", None) in _IN_USE:
            raise ConfigurationError(
                f"A table was in use for more than {_LOCK_SECONDS} seconds, and nothing was changed. Run it again."
            ) from error
        raise ConfigurationError(f"The Postgres database can't be used: {cause}.") from error
    finally:
        await engine.dispose()


def _require_new_enough(connection: Connection) -> None:
    number = int(connection.execute(text("show server_version_num")).scalar_one())
    if number < OLDEST:
        raise ConfigurationError(f"The Postgres server has version {number // 10_000}; 15 or newer is needed.")


def _run(deed: Coroutine[Any, Any, Result]) -> Result:
    """Run it to its end, in a thread of its own: the caller's may run an event loop already."""
    came_to: list[Result] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            came_to.append(asyncio.run(deed))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return came_to[0]
