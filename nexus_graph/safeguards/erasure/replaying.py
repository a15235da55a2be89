"""Replay: a restore brings back what was erased; the ledger knows, and it is erased again.

A subject is found in the restored database by its keyed digest: every value of every column that could be a name is put
under the key and compared. An erasure that the database knows is left alone, and so is whatever came after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from nexus_graph.safeguards.erasure import table
from nexus_graph.safeguards.erasure.columns import rows, tables
from nexus_graph.safeguards.erasure.executing import execute
from nexus_graph.safeguards.erasure.ledger import ErasureKey, Ledger, LedgerEntry
from nexus_graph.safeguards.erasure.model import (
    LONGEST_SUBJECT,
    UNHANDLED,
    Doomed,
    Eraser,
    ErasureState,
    Target,
    TargetKind,
)
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import ConfigurationError
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope, Surface
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Read, Stores

log = structlog.get_logger("nexus_graph.safeguards.erasure")

_KNOWN = frozenset({ErasureState.CONFIRMED.value, ErasureState.ERASED.value, ErasureState.CERTIFIED.value})


@dataclass(frozen=True, slots=True)
class Replayed:
    """An erasure of the ledger that was done again. `found`: its subject was in the database."""

    entry: LedgerEntry
    found: bool
    state: ErasureState


async def require_agreement(stores: Stores, ledger: Ledger) -> int:
    """For the start of a process: the ledger is given the entries that it lacks and the database has.

    Returns how many. Raises ConfigurationError when the ledger names what the database does not know.
    """
    told, known, kept = await _compare(stores, ledger)
    if missing := sorted(told - known):
        shown = ", ".join(f"{erasure_id} of {tenant_id}/{env}" for tenant_id, env, erasure_id in missing[:5])
        raise ConfigurationError(
            f"The erasure ledger {ledger.name} names {len(missing)} erasures that this database does not know "
            f"({shown}): it was restored from an older copy. Run `nexus-graph erasure replay` first."
        )
    lacking = sorted(kept - told)
    for key in lacking:
        async with stores.read(_scope(key)) as read:
            row = await read.row(table.FIND, erasure_id=key[2])
        if row is not None:
            await ledger.append(LedgerEntry.read(row["ledger_entry"]))
            log.warning("erasure.ledger_completed", erasure=key[2], tenant=key[0], env=key[1])
    return len(lacking)


async def replay(stores: Stores, eraser: Eraser) -> list[Replayed]:
    """Do every erasure of the ledger again that the database does not know, oldest first.

    Raises ConfigurationError for entries under another signing secret, before anything is done.
    """
    told, known, _ = await _compare(stores, eraser.ledger)
    missing = await eraser.ledger.entries(told - known)
    for entry in missing:
        if entry.subject is not None and entry.key_id != eraser.pseudonyms.key_id:
            raise ConfigurationError(
                f"The erasure {entry.erasure_id} was entered under another NEXUS_SIGNING_SECRET (key {entry.key_id}). "
                "Replay with that secret."
            )
    return [await _again(stores, eraser, _scope(entry.key), entry) for entry in missing]


async def _compare(
    stores: Stores, ledger: Ledger
) -> tuple[frozenset[ErasureKey], frozenset[ErasureKey], frozenset[ErasureKey]]:
    """Which erasures the ledger tells of, which the database knows, and of which it keeps the entry."""
    told = await ledger.keys()
    rows = await stores.across(table.STATES)
    known = [row for row in rows if row["state"] in _KNOWN]
    return told, frozenset(map(_key, known)), frozenset(_key(row) for row in known if row["told"])


def _key(row: Row) -> ErasureKey:
    return row["tenant_id"], row["env"], row["erasure_id"]


def _scope(key: ErasureKey) -> Scope:
    return Scope.system(key[0], Env(key[1]), "erasure", surface=Surface.COMMAND_LINE)


async def _again(stores: Stores, eraser: Eraser, scope: Scope, entry: LedgerEntry) -> Replayed:
    kind = TargetKind(entry.kind)
    async with stores.read(scope) as read:
        subject = None if entry.subject is None else await _named(read, eraser, entry.subject)
    doomed = Doomed(Target(kind, subject, entry.mentions))
    doomed.add("assets", entry.assets)
    doomed.add("cards", entry.cards)
    async with stores.work(scope, RunKind.ERASE, run_id=stores.new_id("run")) as work:
        await work.write(
            table.RESTORE,
            erasure_id=entry.erasure_id,
            kind=kind.value,
            subject=subject,
            mentions=entry.mentions,
            subject_digest=entry.subject,
            doomed=doomed.text(),
            planned_by=scope.principal.id,
            now=micros(work.now),
            run_id=work.run_id,
        )
        detail = redact({"input": {"certificate": entry.certificate}})
        work.record(Event("erasure.replayed", "erasure", entry.erasure_id, detail, UNHANDLED, ends=None))
    await execute(stores, eraser, scope, entry.erasure_id)
    async with stores.read(scope) as read:
        (row,) = await read.rows(table.FIND, erasure_id=entry.erasure_id)
    return Replayed(entry, kind is TargetKind.TENANT_ENV or subject is not None, ErasureState(row["state"]))


async def _named(read: Read, eraser: Eraser, pseudonym: str) -> str | None:
    """The subject that goes by this name, wherever in the scope it is."""
    seen: set[str] = set()
    for columns in await tables():
        async for row in rows(read, columns, columns.texts):
            for name in columns.texts:
                value = row[name]
                if isinstance(value, str) and len(value) <= LONGEST_SUBJECT and value not in seen:
                    seen.add(value)
                    if eraser.pseudonyms.of(read.scope.tenant_id, value) == pseudonym:
                        return value
    return None
