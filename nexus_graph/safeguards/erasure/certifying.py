"""Certify: no byte in any file, an entry in the ledger, and then the certificate.

It follows from the row alone, so that after a crash the same one is issued again.
"""

from __future__ import annotations

from typing import Any

import orjson

from nexus_graph.safeguards.erasure import table
from nexus_graph.safeguards.erasure.ledger import FORMAT, LedgerEntry
from nexus_graph.safeguards.erasure.model import UNHANDLED, Eraser
from nexus_graph.scope.canonical import Json, canonical, sha256
from nexus_graph.scope.clock import iso, moment
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Stores


async def certify(stores: Stores, eraser: Eraser, scope: Scope, row: Row) -> None:
    """Compact the files, write the ledger, and issue the certificate in the journal and in the erasure's row."""
    await stores.database.forget_deleted()
    doomed: Any = orjson.loads(row["doomed"])
    certificate = _certificate(scope, row, doomed)
    digest = sha256(certificate)
    entry = LedgerEntry(
        erasure_id=row["erasure_id"],
        tenant_id=scope.tenant_id,
        env=scope.env.value,
        kind=row["kind"],
        mentions=bool(row["mentions"]),
        subject=row["subject_digest"],
        key_id=eraser.pseudonyms.key_id,
        assets=tuple(doomed["ids"].get("assets", ())),
        cards=tuple(doomed["ids"].get("cards", ())),
        at=iso(moment(row["ended_at"])),
        certificate=digest,
    )
    await eraser.ledger.append(entry)
    async with stores.work(scope, RunKind.ERASE, run_id=row["run_id"]) as work:
        await work.write(
            table.CERTIFY,
            erasure_id=row["erasure_id"],
            certificate=certificate.decode(),
            certificate_digest=digest,
            doomed='{"ids":{},"objects":[]}',
            ledger_entry=entry.document().decode(),
        )
        detail: Json = {"output": {"certificate": digest, "subject": row["subject_digest"]}}
        work.record(Event("erasure.completed", "erasure", row["erasure_id"], redact(detail), UNHANDLED))


def _certificate(scope: Scope, row: Row, doomed: Any) -> bytes:
    """What was erased, where was looked afterwards, and that nothing was found. No name, no content."""
    return canonical(
        {
            "format": FORMAT,
            "erasureId": row["erasure_id"],
            "tenantId": scope.tenant_id,
            "env": scope.env.value,
            "kind": row["kind"],
            "subject": row["subject_digest"],
            "planDigest": row["digest"],
            "planned": orjson.loads(row["counts"]),
            "erased": {kind: len(ids) for kind, ids in doomed["ids"].items()},
            "confirmedAt": iso(moment(row["confirmed_at"])),
            "endedAt": iso(moment(row["ended_at"])),
            "looked": doomed["looked"],
            "findings": 0,
        }
    )
