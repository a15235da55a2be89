"""Canary words where they don't belong: in rows and objects of another place, in any log, in any other file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import Table
from sqlmodel import SQLModel

from nexus_graph.administration.isolation.model import Place, Tally, World
from nexus_graph.stores.database.base import Database

TABLES, FILES = "tables searched", "files searched"
_PIECE = 1 << 20


async def strays(world: World, database: Database, roots: Sequence[Path], tally: Tally) -> None:
    """Look through every row of every table, and through every file that is or lies below one of the roots."""
    for _, table in sorted(SQLModel.metadata.tables.items()):
        tally.tried[TABLES] += 1
        for place in world.places:
            tally.faults += await _rows(database, table, place)
    for root in roots:
        tried, found = await asyncio.to_thread(_files, world, database, root)
        tally.tried[FILES] += tried
        tally.faults += found


async def _rows(database: Database, table: Table, place: Place) -> list[str]:
    """Rows of others that hold a place's word. The database looks for it, so that large tables stay where they are."""
    columns = table.columns.keys()
    whose = [name if name in columns else "null" for name in ("tenant_id", "env")]
    held = " or ".join(f"cast({name} as text) like :word" for name in columns)
    sql = f"select distinct {whose[0]} as tenant_id, {whose[1]} as env from {table.name} where {held}"  # noqa: S608 - names of our own schema
    async with database.reading(None) as connection:
        rows = await connection.rows(sql, {"word": f"%{place.word}%"})
    return [
        f"{table.name}: a row of {row['tenant_id']}/{row['env']} holds the word of {place.name}"
        for row in rows
        if row["tenant_id"] != place.tenant or row["env"] not in (None, place.env)
    ]


def _files(world: World, database: Database, root: Path) -> tuple[int, list[str]]:
    paths = sorted(root.rglob("*")) if root.is_dir() else [root]
    # The database's own files are left out: its rows are looked at.
    searched = [path for path in paths if path.is_file() and not database.keeps(path)]
    return len(searched), [fault for path in searched for fault in _file(world, root, path)]


def _file(world: World, root: Path, path: Path) -> list[str]:
    name = str(path.relative_to(root)) if root.is_dir() else path.name
    at_home = {place.name: f"tenants/{place.tenant}/{place.env}/" for place in world.places}
    return [
        f"{name} holds the word of {place.name}"
        for place in _held(world.places, path)
        if at_home[place.name] not in str(path)
    ]


def _held(places: Sequence[Place], path: Path) -> Iterator[Place]:
    """The places whose words a file holds; read in pieces that overlap by a word."""
    words = {place.name: place.word.encode() for place in places}
    longest = max(len(word) for word in words.values())
    seen: set[str] = set()
    try:
        with path.open("rb") as file:
            before = b""
            while piece := file.read(_PIECE):
                seen |= {name for name, word in words.items() if word in before + piece}
                before = piece[-longest:]
    except FileNotFoundError:
        return  # a temporary file of the running server's
    yield from (place for place in places if place.name in seen)
