"""Replay: a restore brings back what was erased; the ledger knows, and it is erased again.

A subject is found in the restored database by its keyed digest: every value of every column that could be a name is put
under the key and compared. An erasure that the database knows is left alone, and so is whatever came after it.
"""

from __future__ import annotations

from dataclasses import dataclass

from nexus_graph.safeguards.erasure import table
from nexus_graph.safeguards.erasure.columns import rows, tables
from nexus_graph.safeguards.erasure.executing import execute
from nexus_graph.safeguards.erasure.ledger import Ledger, LedgerEntry
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
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Read, Stores

_KNOWN = frozenset({ErasureState.CONFIRMED.value, ErasureState.ERASED.value, ErasureState.CERTIFIED.value})


@dataclass(frozen=True, slots=True)
class Replayed:
    """An erasure of the ledger that was done again. `found`: its subject was in the database."""

    entry: LedgerEntry
    found: bool
    state: ErasureState


async def require_replayed(stores: Stores, ledger: Ledger) -> None:
    """For the start of a process: raises ConfigurationError when the ledger names what the database does not know."""
    if missing := await _missing(stores, ledger):
        told = ", ".join(f"{entry.erasure_id} of {entry.tenant_id}/{entry.env}" for entry, _ in missing[:5])
        raise ConfigurationError(
            f"The erasure ledger {ledger.path} names {len(missing)} erasures that this database does not know "
            f"({told}): it was restored from an older copy. Run `nexus-graph erasure replay` first."
        )


async def replay(stores: Stores, eraser: Eraser) -> list[Replayed]:
    """Do every erasure of the ledger again that the database does not know, oldest first.

    Raises ConfigurationError for entries under another signing secret, before anything is done.
    """
    missing = await _missing(stores, eraser.ledger)
    for entry, _ in missing:
        if entry.subject is not None and entry.key_id != eraser.pseudonyms.key_id:
            raise ConfigurationError(
                f"The erasure {entry.erasure_id} was entered under another NEXUS_SIGNING_SECRET (key {entry.key_id}). "
                "Replay with that secret."
            )
    return [await _again(stores, eraser, scope, entry) for entry, scope in missing]


async def _missing(stores: Stores, ledger: Ledger) -> list[tuple[LedgerEntry, Scope]]:
    found = []
    for entry in ledger.entries():
        scope = Scope.system(entry.tenant_id, Env(entry.env), "erasure", surface=Surface.COMMAND_LINE)
        async with stores.read(scope) as read:
            row = await read.row(table.FIND, erasure_id=entry.erasure_id)
        if row is None or row["state"] not in _KNOWN:
            found.append((entry, scope))
    return found


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
    for columns in tables():
        async for row in rows(read, columns, columns.texts):
            for name in columns.texts:
                value = row[name]
                if isinstance(value, str) and len(value) <= LONGEST_SUBJECT and value not in seen:
                    seen.add(value)
                    if eraser.pseudonyms.of(read.scope.tenant_id, value) == pseudonym:
                        return value
    return None
