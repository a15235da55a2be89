"""`erasure`: what the ledger tells of erasures, and doing them again after a restore."""

from __future__ import annotations

from dataclasses import asdict

import typer

from nexus_graph.administration import console
from nexus_graph.administration.installing import AsJson
from nexus_graph.app import eraser
from nexus_graph.engines import open_copies, open_ledger, open_stores
from nexus_graph.safeguards import erasure
from nexus_graph.safeguards.erasure import ErasureState, LedgerEntry, Replayed
from nexus_graph.scope.scope import Scope

erasures = typer.Typer(help="Look at the erasure ledger, and replay it after a restore.", no_args_is_help=True)


@erasures.command("ledger")
def erasure_ledger(as_json: AsJson = False) -> None:
    """List every erasure that the ledger tells of."""
    config = console.settings().config

    async def read() -> list[LedgerEntry]:
        async with open_ledger(config) as ledger:
            return await ledger.entries()

    entries = console.run(read())
    if as_json:
        console.document([asdict(entry) for entry in entries])
    else:
        console.table(
            ["erasure", "tenant", "env", "kind", "at", "certificate"],
            [[one.erasure_id, one.tenant_id, one.env, one.kind, one.at, one.certificate] for one in entries],
        )


@erasures.command("replay")
def erasure_replay(as_json: AsJson = False) -> None:
    """Erase again whatever the ledger tells of and the restored database does not know. The server must not run."""
    config = console.settings().config

    async def deed() -> list[Replayed]:
        async with open_stores(config) as stores, open_copies(config, stores) as copies, open_ledger(config) as ledger:

            async def erase_copies(scope: Scope) -> None:
                if copies is not None:
                    await copies.vectors.erase(*scope.key)

            return await erasure.replay(stores, eraser(config, ledger, lambda _: None, 0.0, erase_copies))

    done = console.run(deed())
    if as_json:
        console.document(
            [{"erasureId": one.entry.erasure_id, "found": one.found, "state": one.state.value} for one in done]
        )
    else:
        for one in done:
            what = "" if one.found else ", whose subject is not in this database"
            console.say(f"{one.entry.erasure_id} of {one.entry.tenant_id}/{one.entry.env}{what}: {one.state.value}")
        console.say(f"{len(done)} erasures replayed.")
    if any(one.state is not ErasureState.CERTIFIED for one in done):
        raise typer.Exit(console.REFUSED)
