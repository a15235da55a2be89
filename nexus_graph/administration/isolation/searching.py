"""Canary words where they don't belong: in rows, objects and copies of another place, in any log, in any other file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path

from sqlalchemy import LargeBinary, Table

from nexus_graph.administration.isolation.model import Place, Tally, World
from nexus_graph.scope.errors import NotFound
from nexus_graph.stores.blobs.base import Blobs
from nexus_graph.stores.tables import schema_of_record
from nexus_graph.stores.whole import EveryCopy, Reader, Whole

TABLES, FILES = "tables searched", "files searched"
OBJECTS, COPIES = "objects searched", "rows of copies of vectors searched"
_PIECE = 1 << 20


async def strays(world: World, whole: Whole, roots: Sequence[Path], tally: Tally) -> None:
    """Look through every row, every object and copy, and through every file that is or lies below one of the roots.

    A place of which no row is found at home is a fault, too: whoever looked saw too little.
    """
    at_home: set[str] = set()
    # Postgres casts bytes to hexadecimal digits, in which no word would be found.
    bytes_as = "cast({} as text)" if whole.walls is None else "encode({}, 'escape')"
    async with whole.rows() as reader:
        for _, table in sorted(schema_of_record().tables.items()):
            tally.tried[TABLES] += 1
            for place in world.places:
                tally.faults += await _rows(reader, table, place, at_home, bytes_as)
        tally.faults += [
            f"no row of {place.name} holds its word, so that the search of rows proves nothing"
            for place in world.places
            if place.name not in at_home
        ]
        if whole.copies is not None:
            await _copies(world, reader, whole.copies, tally)
    if whole.blobs is not None:
        await _objects(world, whole.blobs, tally)
    for root in roots:
        tried, found = await asyncio.to_thread(_files, world, whole, root)
        tally.tried[FILES] += tried
        tally.faults += found


async def _rows(reader: Reader, table: Table, place: Place, at_home: set[str], bytes_as: str) -> list[str]:
    """Rows of others that hold a place's word. The database looks for it, so that large tables stay where they are."""
    columns = table.columns.keys()
    whose = [name if name in columns else "null" for name in ("tenant_id", "env")]
    texts = [
        (bytes_as if isinstance(column.type, LargeBinary) else "cast({} as text)").format(name)
        for name, column in table.columns.items()
    ]
    held = " or ".join(f"{text} like :word" for text in texts)
    sql = f"select distinct {whose[0]} as tenant_id, {whose[1]} as env from {table.name} where {held}"  # noqa: S608 - names of our own schema
    rows = await reader.rows(sql, {"word": f"%{place.word}%"})
    strange = [row for row in rows if row["tenant_id"] != place.tenant or row["env"] not in (None, place.env)]
    if len(strange) < len(rows):
        at_home.add(place.name)
    return [f"{table.name}: a row of {row['tenant_id']}/{row['env']} holds the word of {place.name}" for row in strange]


async def _copies(world: World, reader: Reader, copies: EveryCopy, tally: Tally) -> None:
    """A copy bears the name of a tenant and env, and holds rows of their cards alone."""
    held = {place.name: await _cards(reader, place) for place in world.places}
    begins = {place.name: copies.begin_of(place.tenant, place.env) for place in world.places}
    async for copy, groups in copies.everything():
        tally.tried[COPIES] += len(groups)
        for place in world.places:
            if copy.startswith(begins[place.name]):
                strange = set(groups) - held[place.name]
                tally.faults += [f"the copy of {place.name} holds {card}, which is not its own" for card in strange]
            else:
                stray = held[place.name].intersection(groups)
                tally.faults += [f"the copy {copy} holds {card} of {place.name}" for card in stray]


async def _cards(reader: Reader, place: Place) -> set[str]:
    sql = "select card_id from cards where tenant_id = :tenant_id and env = :env"
    rows = await reader.rows(sql, {"tenant_id": place.tenant, "env": place.env})
    return {row["card_id"] for row in rows}


async def _objects(world: World, blobs: Blobs, tally: Tally) -> None:
    async for key in blobs.keys(""):
        tally.tried[OBJECTS] += 1
        try:
            async with blobs.reading(key) as pieces:
                found = await _held(world.places, key, pieces)
        except NotFound:
            continue  # removed meanwhile
        tally.faults += _out_of_place(world, key, key, found)


def _files(world: World, whole: Whole, root: Path) -> tuple[int, list[str]]:
    paths = sorted(root.rglob("*")) if root.is_dir() else [root]
    # The database's own files are left out: its rows are looked at.
    searched = [path for path in paths if path.is_file() and not whole.keeps(path)]
    return len(searched), [fault for path in searched for fault in _file(world, root, path)]


def _file(world: World, root: Path, path: Path) -> list[str]:
    name = str(path.relative_to(root)) if root.is_dir() else path.name
    found = asyncio.run(_held(world.places, name, _pieces(path)))
    return _out_of_place(world, name, str(path), found)


def _out_of_place(world: World, name: str, where: str, found: Collection[str]) -> list[str]:
    return [
        f"{name} holds the word of {place.name}"
        for place in world.places
        if place.name in found and f"tenants/{place.tenant}/{place.env}/" not in where
    ]


async def _held(places: Sequence[Place], name: str, pieces: AsyncIterator[bytes]) -> set[str]:
    """The places whose words a name or what follows holds; looked through in pieces that overlap by a word."""
    words = {place.name: place.word.encode() for place in places}
    longest = max(len(word) for word in words.values())
    before, seen = b"", {place.name for place in places if place.word in name}
    async for piece in pieces:
        seen |= {place for place, word in words.items() if word in before + piece}
        before = (before + piece)[-longest:]
    return seen


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
    except FileNotFoundError:
        return  # a temporary file of the running server's
