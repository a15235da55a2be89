"""The tables as the server has them, the walls that should stand around them, and the statements that try these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nexus_graph.stores.whole import Reader

RIGHTS: Final = ("select", "insert", "update", "delete")
OFF: Final = "SET LOCAL row_security = off"
LEAK: Final = """create function pg_temp.nexus_leak(shown text, theirs boolean) returns boolean language plpgsql
  cost 0.0000001 as $$ begin if theirs then raise exception '%', shown; end if; return false; end $$"""
"""So cheap that the planner would ask it first, if it might before the wall."""
STATISTICS: Final = {
    "pg_stats": "select s::text from pg_stats s",
    "pg_stats_ext": "select s::text from pg_stats_ext s",
    "pg_stats_ext_exprs": "select s::text from pg_stats_ext_exprs s",
    "pg_stat_activity": "select query from pg_stat_activity",
}
SAMPLED: Final = (
    "select distinct s.tablename from pg_stats s join pg_class c on c.relname = s.tablename "
    "where s.schemaname = current_schema() and c.relnamespace = current_schema()::regnamespace and c.relrowsecurity"
)
_HERE: Final = "c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace and c.relname <> 'alembic_version'"
_TABLES: Final = (
    "select c.relname, quote_ident(c.relname) as quoted, c.relrowsecurity, c.relforcerowsecurity, "
    "array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 "
    "and not a.attisdropped order by a.attnum) as columns, "
    "array(select p.polname::text from pg_policy p where p.polrelid = c.oid order by 1) as policies "
    f"from pg_class c where {_HERE} order by 1"
)
_KEYS: Final = (
    "select c.relname, i.indexrelid::regclass::text as name, array(select a.attname::text from pg_attribute a "
    "where a.attrelid = c.oid and a.attnum = any (i.indkey)) as columns "
    f"from pg_index i join pg_class c on c.oid = i.indrelid where i.indisunique and {_HERE} order by 1, 2"
)
_REFERENCES: Final = (
    "select c.relname, k.conname as name, array(select a.attname::text from pg_attribute a "
    "where a.attrelid = c.oid and a.attnum = any (k.conkey)) as columns "
    f"from pg_constraint k join pg_class c on c.oid = k.conrelid where k.contype = 'f' and {_HERE} order by 1, 2"
)


@dataclass(frozen=True, slots=True)
class Laid:
    """A table of the server's. `quoted` is its name as SQL takes it."""

    name: str
    quoted: str
    columns: tuple[str, ...]
    walled: bool
    policies: tuple[str, ...]

    @property
    def has_env(self) -> bool:
        """Whether its rows are of an env."""
        return "env" in self.columns

    def of(self, tenant: str, env: str) -> dict[str, str]:
        """The columns that tell whose a row is, with somebody's values."""
        return {"tenant_id": tenant} | ({"env": env} if self.has_env else {})


async def tables(reader: Reader) -> list[Laid]:
    """Every table but the one that names the schema's revision."""
    return [
        Laid(
            row["relname"],
            row["quoted"],
            tuple(row["columns"]),
            row["relrowsecurity"] and row["relforcerowsecurity"],
            tuple(row["policies"]),
        )
        for row in await reader.rows(_TABLES, {})
    ]


async def compared(reader: Reader, tables: Sequence[Laid], doors: Mapping[str, str]) -> tuple[int, list[str]]:
    """What the catalogues say: that every wall stands, and that no key is compared across tenants.

    A key without the tenant would tell, by a unique or a foreign key that is violated, what another holds. Returns how
    much was compared, and what is wrong.
    """
    faults = []
    for table in tables:
        if not table.walled:
            faults.append(f"{table.name}: row-level security is not enabled and forced")
        wanted = {"owner", "wall"} | ({"doors"} if table.name in doors else set())
        faults += [f"{table.name}: the policy {name} is missing" for name in sorted(wanted - set(table.policies))]
        faults += [f"{table.name}: the policy {name} is nobody's" for name in sorted(set(table.policies) - wanted)]
    keys = [*await reader.rows(_KEYS, {}), *await reader.rows(_REFERENCES, {})]
    faults += [
        f"{row['relname']}: {row['name']} is compared across tenants, so that an error tells what another holds"
        for row in keys
        if "tenant_id" not in row["columns"]
    ]
    return len(tables) + len(keys), faults


def used(right: str, table: str, column: str) -> str:
    """A statement that needs a right at a column, and touches nothing."""
    return {
        "select": f"select {quoted_name(column)} from {table} where false",
        "insert": f"insert into {table} ({quoted_name(column)}) select null where false",
        "update": f"update {table} set {quoted_name(column)} = null where false",
        "delete": f"delete from {table} where false",
    }[right]


def at_a_table(table: str) -> list[str]:
    """What would take down the walls around a table, or go around them. The owner alone may."""
    return [
        f"truncate {table}",
        f"alter table {table} disable row level security",
        f"alter table {table} no force row level security",
        f"create policy hole on {table} using (true)",
        f"drop policy wall on {table}",
        f"alter policy wall on {table} using (true)",
        f"alter table {table} owner to current_user",
        f"alter table {table} add column hole text",
        f"create index hole on {table} (tenant_id)",
        f"drop table {table}",
    ]


def at_the_server(owner: str) -> list[str]:
    """What would make more of oneself."""
    return [
        f"set role {quoted_name(owner)}",
        f"set session authorization {quoted_name(owner)}",
        "alter role current_user bypassrls",
        "alter role nexus_doors bypassrls",
        f"grant {quoted_name(owner)} to current_user",
        "set session_replication_role = replica",
        "create table nexus_hole (held text)",
        "create view nexus_hole as select 1",
        "create function nexus_hole() returns integer language sql security definer as 'select 1'",
        "alter table alembic_version add column hole text",
        "delete from alembic_version",
        "select starelid from pg_statistic",
        "select rolname from pg_authid",
        "select pg_read_file('PG_VERSION')",
    ]


def quoted(text: str) -> str:
    """A text as SQL takes it."""
    return "'" + text.replace("'", "''") + "'"


def quoted_name(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'
