"""The attack at the database: what somebody gets who holds a connection of the application's role.

Whoever holds it may name any tenant and env, as the application does. What is proven here is that a statement gets no
further than the scope that its transaction names, whatever it says; that without a whole scope it gets nothing; that
nexus_doors has the listed rights and no others; and that this role can't take the walls down. Each attempt is a
transaction that is taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nexus_graph.administration.console import Ticker
from nexus_graph.administration.isolation import laying
from nexus_graph.administration.isolation.laying import Laid, quoted
from nexus_graph.administration.isolation.model import Place, Tally, World
from nexus_graph.scope.scope import Env
from nexus_graph.stores.whole import Attacker, Attempt, Walls, Whole

WALLS: Final = "walls around tables compared with what is promised"
SCOPED: Final = "statements at the database beyond the scope that is named"
UNSCOPED: Final = "statements at the database without a whole scope"
DOORS: Final = "rights of nexus_doors tried"
TAKING: Final = "attempts to take the walls down"
HINTS: Final = "statistics and errors of the database searched"

REFUSED: Final = "42501"
"""Insufficient privilege: also what a row is refused with that lies beyond a wall."""
_TOLD: Final = "P0001"  # a function raised what it was shown
_NOT_WITH_WALLS: Final = "0A000"  # COPY FROM, where a table has row-level security
_BECOME: Final = "SET LOCAL ROLE nexus_doors"


@dataclass(frozen=True, slots=True)
class Named:
    """The settings of a transaction: a tenant and an env, or less. `told` is how a fault speaks of them."""

    told: str
    tenant: str | None
    env: str | None

    @property
    def statements(self) -> tuple[str, ...]:
        """What names them."""
        said = {"tenant_id": self.tenant, "env": self.env}
        return tuple(f"SET LOCAL nexus.{name} = {quoted(value)}" for name, value in said.items() if value is not None)

    def beyond(self, table: Laid) -> str:
        """Rows of a table that lie beyond the wall, with these settings."""
        tenant, env = (None if value is None else quoted(value) for value in (self.tenant, self.env))
        mine = f"tenant_id = {tenant or 'null'}"
        if table.has_env:
            mine += f" and (env = {env or 'null'} or env = '*')"
        return f"not coalesce({mine}, false)"


@dataclass(frozen=True, slots=True)
class _Attack:
    bare: Attacker
    walls: Walls
    world: World
    tables: Sequence[Laid]
    tally: Tally

    def judge(self, kind: str, *faults: str | None) -> None:
        self.tally.tried[kind] += 1
        self.tally.faults += [fault for fault in faults if fault]

    def tell(self, attempt: Attempt, but: Place | None) -> str | None:
        """What an error's words show of a place, other than the one that asks."""
        shown = [place.name for place in self.world.places if place is not but and place.word in attempt.said]
        return f"an error shows the word of {' and '.join(shown)}: {attempt.said:.200}" if shown else None

    async def refused(self, kind: str, what: str, sql: str, *before: str, code: str = REFUSED) -> None:
        """A statement that must be refused, with this code."""
        found = await self.bare.attempt(sql, *before)
        self.judge(kind, None if found.code == code else f"{what}: {_answered(found)}", self.tell(found, None))

    async def scope(self, kind: str, table: Laid, named: Named, own: Place | None, other: Place) -> None:
        """Everything that reads, changes or brings rows of a table, with some settings."""
        if named.tenant == other.tenant and not table.has_env:
            return  # it belongs to all envs of the tenant alike
        beyond, who = named.beyond(table), f"{table.name} with {named.told}"
        place = table.of(other.tenant, other.env)
        theirs = " and ".join(f"t.{column} = {quoted(value)}" for column, value in place.items())
        leak = f"pg_temp.nexus_leak(t::text, {theirs} or strpos(t::text, {quoted(other.word)}) > 0)"
        tries = {
            "reads rows of others": f"select 1 from {table.quoted} where {beyond} limit 1",
            "locks rows of others": f"select 1 from {table.quoted} where {beyond} limit 1 for update",
            "changes rows of others": f"update {table.quoted} set tenant_id = tenant_id where {beyond} returning 1",
            "deletes rows of others": f"delete from {table.quoted} where {beyond} returning 1",
        }
        for does, sql in tries.items():
            found = await self.bare.attempt(sql, *named.statements)
            hole = f"{who} {does}: {_answered(found)}" if found.rows or found.code else None
            self.judge(kind, hole, self.tell(found, own))
        sql = f"select 1 from {table.quoted} t where {leak} limit 1"
        found = await self.bare.attempt(sql, *named.statements, laying.LEAK)
        hole = f"{who} shows rows of others to a function: {_answered(found)}" if found.code == _TOLD else None
        self.judge(kind, hole)
        await self._brought(kind, table, named, own, other)
        found = await self.bare.attempt(f"select 1 from {table.quoted}", *named.statements, laying.OFF)
        hole = f"{who} may be read with row_security off: {_answered(found)}" if found.code != REFUSED else None
        self.judge(kind, hole)
        begin = [("\n" + "\t".join(place.values()) + "\t").encode()] if table.columns[: len(place)] == (*place,) else []
        copied, shown = await self.bare.copied_out(table.name, [other.word.encode(), *begin], *named.statements)
        hole = f"{who} is copied out with rows of {other.name}" if shown else None
        self.judge(kind, hole, f"{who} can't be copied out: {_answered(copied)}" if copied.code else None)

    async def _brought(self, kind: str, table: Laid, named: Named, own: Place | None, other: Place) -> None:
        """Rows that are put, or moved, into another's place."""
        who, place = f"{table.name} with {named.told}", table.of(other.tenant, other.env)
        values = ", ".join(quoted(value) for value in place.values())
        columns = ", ".join(place)
        found = await self.bare.attempt(
            f"insert into {table.quoted} ({columns}) values ({values}) returning 1", *named.statements
        )
        hole = f"{who} takes a row for {other.name}: {_answered(found)}" if found.code != REFUSED else None
        self.judge(kind, hole, self.tell(found, own))
        moved = ", ".join(f"{column} = {quoted(value)}" for column, value in place.items())
        found = await self.bare.attempt(f"update {table.quoted} set {moved} returning 1", *named.statements)
        well = found.code == REFUSED or (found.code is None and not found.rows)
        hole = None if well else f"{who} moves a row to {other.name}: {_answered(found)}"
        self.judge(kind, hole, self.tell(found, own))
        found = await self.bare.copied_in(table.name, [*place], [*place.values()], *named.statements)
        well = found.code in (REFUSED, _NOT_WITH_WALLS)
        hole = None if well else f"{who} takes a copied row for {other.name}: {_answered(found)}"
        self.judge(kind, hole, self.tell(found, own))

    async def doors(self, table: Laid) -> None:
        """Every right of nexus_doors at a table and its columns, against the list."""
        for right, columns in _listed(self.walls.doors.get(table.name, ""), table.columns).items():
            for column in table.columns if right != "delete" else table.columns[:1]:
                found = await self.bare.attempt(laying.used(right, table.quoted, column), _BECOME)
                if column in columns:
                    hole = f"may not {right} {table.name}.{column}, which is listed: {_answered(found)}"
                    self.judge(DOORS, f"nexus_doors {hole}" if found.code else None)
                else:
                    hole = f"may {right} {table.name}.{column}, which is not listed: {_answered(found)}"
                    self.judge(DOORS, f"nexus_doors {hole}" if found.code != REFUSED else None)

    async def taking_down(self, tables: Iterable[Laid], owner: str) -> None:
        """The walls themselves, as the application and as nexus_doors."""
        for who, become in (("the application", ()), ("nexus_doors", (_BECOME,))):
            for table in tables:
                for sql in laying.at_a_table(table.quoted):
                    await self.refused(TAKING, f"{who} may: {sql}", sql, *become)
            for sql in laying.at_the_server(owner):
                await self.refused(TAKING, f"{who} may: {sql}", sql, *become)

    async def hints(self) -> None:
        """What statistics show to this role: samples of values, and what others ask at this moment."""
        await self.walls.sample()
        for who, become in (("the application", ()), ("nexus_doors", (_BECOME,))):
            for view, sql in laying.STATISTICS.items():
                found = await self.bare.attempt(sql, *become)
                told = " ".join(str(value) for row in found.rows for value in tuple(row))
                shown = [place.name for place in self.world.places if place.word in told]
                self.judge(HINTS, f"{view} shows {who} the word of {' and '.join(shown)}" if shown else None)
            found = await self.bare.attempt(laying.SAMPLED, *become)
            self.judge(HINTS, *[f"pg_stats shows {who} samples of {row[0]}" for row in found.rows])


async def attack(world: World, whole: Whole, walls: Walls, tally: Tally, tick: Ticker) -> None:
    """Try the walls of the database. Faults and counts go into the tally."""
    async with whole.rows() as reader:
        tables = await laying.tables(reader)
        owner = str((await reader.rows("select current_user as owner", {}))[0]["owner"])
        compared, faults = await laying.compared(reader, tables, walls.doors)
    tally.tried[WALLS] += compared
    tally.faults += faults
    async with walls.attacker() as bare:
        attack = _Attack(bare, walls, world, tables, tally)
        for table in tables:
            tick("Attacking the database", total=len(tables))
            for here, there in _pairs(world.places):
                for kind, named, own in _settings(here, there):
                    await attack.scope(kind, table, named, own, there)
            await attack.doors(table)
        await attack.taking_down(tables, owner)
        await attack.hints()


def _pairs(places: Sequence[Place]) -> list[tuple[Place, Place]]:
    """Each place with the next: between all others is a wall of the same kind."""
    return list(zip(places, [*places[1:], *places[:1]], strict=True))


def _settings(here: Place, there: Place) -> list[tuple[str, Named, Place | None]]:
    env = next(each.value for each in Env if each.value != there.env)
    return [
        (UNSCOPED, Named("no scope named", None, None), None),
        (UNSCOPED, Named(f"the tenant {here.tenant} alone", here.tenant, None), here),
        (UNSCOPED, Named(f"the env {there.env} alone", None, there.env), None),
        (UNSCOPED, Named("an empty scope", "", ""), None),
        (SCOPED, Named(here.name, here.tenant, here.env), here),
        (SCOPED, Named(f"{there.tenant}/{env}", there.tenant, env), None),
    ]


def _listed(rights: str, columns: Sequence[str]) -> Mapping[str, frozenset[str]]:
    """Which columns each right is listed for: read from what is granted, such as `select (a, b)`."""
    every = frozenset(columns)
    found = dict.fromkeys(laying.RIGHTS, frozenset[str]())
    named, _, some = rights.partition("(")
    for right in filter(None, (each.strip() for each in named.split(","))):
        found[right] = frozenset(each.strip(" )") for each in some.split(",")) if some else every
    return found


def _answered(found: Attempt) -> str:
    return f"{found.code} {found.message:.200}" if found.code else f"done, {len(found.rows)} rows"
