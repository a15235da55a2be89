"""Names and whole scopes: what needs no room, since the schema of record tells where it can stand.

A row whose key names the subject goes; a text that names the subject names `erased` from then on. Texts that digests
are made of are the rooms' business and are left to them: `SEALED`. A table that is added later is covered as it is.
"""

from __future__ import annotations

import re
from typing import Final

from nexus_graph.safeguards.erasure import table
from nexus_graph.safeguards.erasure.columns import JOURNAL, OWN, Columns, tables
from nexus_graph.safeguards.erasure.entries import (
    ERASE_ALL,
    ERASE_ENTRY,
    ERASE_RUNS,
    ERASE_RUNS_OF,
    HEAD_SEQ,
    LATER_ENTRIES,
)
from nexus_graph.safeguards.erasure.model import ERASED, Doomed
from nexus_graph.scope.clock import micros
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Value
from nexus_graph.stores.work import Work

SEALED: Final = frozenset({"assets", "atoms", "card_fields", "card_labels", "cards", "index_vectors", "packs"})
"""Tables whose texts a digest or a key depends on: their rooms erase what names the subject, or it is a finding."""

_NAMED: Final = {"assets": ("created_by",), "card_versions": ("created_by",), "packs": ("first_served_by",)}
"""Columns of such tables that are names and nothing else."""

STAYS: Final = JOURNAL | {
    OWN,
    "follower_checkpoints",
    "follower_turns",
    "index_copies",
    "index_definitions",
    "index_entries",
    "quota_usage",
}
"""What stays of an erased tenant and env: the chain without its content, what tells of the erasure, how far followers
are, how much is held (nothing), and retired index entries without vectors: copies in other processes learn from them
that their cards are gone. And which names of copies on a server are used up."""

_ID = re.compile(r"\w+")


async def erase_names(work: Work, doomed: Doomed, erasure_id: str) -> int:
    """Take the subject's name out of every column of the scope, and out of the tenant's members. Returns the rows."""
    count = 0
    for columns in await tables():
        if columns.name not in JOURNAL and columns.name != OWN:
            count += await _erase_names(work, columns, doomed)
    await _forget_plans(work, doomed, erasure_id, everybody=False)
    return count


async def _erase_names(work: Work, columns: Columns, doomed: Doomed) -> int:
    names = columns.texts
    if columns.name in SEALED or columns.name in _NAMED:
        names = _NAMED.get(columns.name, ())
    if not names:
        return 0
    wanted = ", ".join(dict.fromkeys((*columns.key, *names)))
    like = " or ".join(f"{name} like :like escape '\\'" for name in names)
    select = columns.statement("select", wanted, "from", columns.name, "where", columns.here, f"and ({like})")
    found = await work.rows(select, like=doomed.target.like)
    count = 0
    for row in found:
        held = [name for name in names if isinstance(row[name], str) and doomed.target.name.search(row[name])]
        if held:
            await _erase_name(work, columns, row, held, doomed)
            count += 1
    return count


async def _erase_name(work: Work, columns: Columns, row: Row, held: list[str], doomed: Doomed) -> None:
    key: dict[str, Value] = {f"key_{name}": row[name] for name in columns.key}
    named = [f"{name} = :key_{name}" for name in columns.key]
    if set(held) & set(columns.key):
        await work.write(columns.delete(*named), **key)
        return
    values: dict[str, Value] = {f"new_{name}": doomed.target.name.sub(ERASED, row[name]) for name in held}
    changes = ", ".join(f"{name} = :new_{name}" for name in held)
    here = " and ".join((columns.here, *named))
    await work.write(columns.statement("update", columns.name, "set", changes, "where", here), **key, **values)


async def erase_entries(work: Work, doomed: Doomed) -> int:
    """Erase what the journal tells of the subject and of all that goes. Returns the last entry that was looked at.

    An entry concerns the subject when it acts or is acted upon, or when the entry's payload names the subject or
    something that goes.
    """
    subject, ids = doomed.target.subject, doomed.every_id()
    horizon = await work.value(HEAD_SEQ) or 0
    after = 0
    while found := await work.rows(LATER_ENTRIES, after=after):
        sets: list[dict[str, Value]] = []
        for row in found:
            gone = {subject} | ids
            payload = row["payload"] or ""
            named = doomed.target.name.search(payload) or not ids.isdisjoint(_ID.findall(payload))
            if named or row["actor_id"] == subject or row["subject_id"] in gone:
                actor = ERASED if row["actor_id"] == subject else row["actor_id"]
                about = ERASED if row["subject_id"] in gone else row["subject_id"]
                sets.append({"seq": row["seq"], "actor_id": actor, "subject_id": about})
        await work.write_many(ERASE_ENTRY, sets)
        after = found[-1]["seq"]
    await work.write(ERASE_RUNS_OF, subject=subject, erased=ERASED)
    return int(horizon)


async def empty(work: Work, columns: Columns) -> None:
    """Remove every row that a table has in the scope."""
    await work.write(columns.delete())


async def erase_journal(work: Work, doomed: Doomed, erasure_id: str) -> int:
    """Leave the chain of the scope and nothing of what it tells. Returns its last entry."""
    horizon = await work.value(HEAD_SEQ) or 0
    await work.write(ERASE_ALL, until=horizon, erased=ERASED)
    await work.write(ERASE_RUNS, erased=ERASED)
    await _forget_plans(work, doomed, erasure_id, everybody=True)
    return int(horizon)


async def _forget_plans(work: Work, doomed: Doomed, erasure_id: str, *, everybody: bool) -> None:
    own: dict[str, Value] = {"subject": doomed.subject, "everybody": int(everybody)}
    await work.write(table.FORGET_PLANS, erasure_id=erasure_id, now=micros(work.now), **own)
    await work.write(table.FORGET_PLANNER, erased=ERASED, **own)
