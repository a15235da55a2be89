"""Records of every kind to export, and a process that dies while it exports them.

As a script: `export_house.py FOLDER EXPORT STEP` writes an export in parts of one record and ends itself with SIGKILL
when it stores its object number STEP: before that, or after it where STEP ends with `+`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import orjson
from side_process import at

from nexus_graph import assets, cards, exports
from nexus_graph.assets import AssetRules, PartOf, Reservation
from nexus_graph.assets.consenting import ASSETS
from nexus_graph.atoms import RECIPES, Limits, deriving
from nexus_graph.atoms.consenting import ATOMS
from nexus_graph.atoms.model import collect
from nexus_graph.cards.consenting import CARDS
from nexus_graph.exports import Export, ExportKind, ExportRules, writing
from nexus_graph.packs.consenting import PACKS
from nexus_graph.scope.clock import system_clock
from nexus_graph.scope.resources import resource
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.blobs.base import ScopedBlobs, Stat
from nexus_graph.stores.blobs.files import FileBlobs
from nexus_graph.stores.signals.local import LocalSignals
from nexus_graph.stores.work import Stores

MANIFESTS = cards.Manifests.load(resource("core/manifests"))
RULES = AssetRules(largest=2**20, reservation_seconds=3600, address_seconds=300)
BOTH = (ExportKind.CARD, ExportKind.ATOM)
SMALL = ExportRules(records=2)
STEPS = (ASSETS, ATOMS, CARDS, PACKS)
Files = dict[str, bytes]


async def keep(
    stores: Stores, scope: Scope, text: str, *, train_ok: bool = True, found_in: str | None = None
) -> tuple[str, list[str]]:
    """Keep a file and its paragraphs, perhaps as a part of another; the ids of the asset and of its atoms."""
    data = text.encode()
    reservation = Reservation.of(data, filename="a.txt", content_type="text/plain", train_ok=train_ok)
    parent = None if found_in is None else (await assets.fetch(stores, scope, [found_in]))[found_in]
    part = None if parent is None else PartOf(parent, 0, "attachment 'a.txt'")
    asset, _ = await assets.keep(stores, RULES, scope, reservation, data, part=part)
    recipe = RECIPES["text.paragraphs"]
    params = recipe.complete({})
    opened = await deriving.open_asset(stores, scope, asset)
    derived = deriving._derived(opened, recipe, params, collect(recipe, data, params, Limits()), stores.clock())
    await deriving.keep(stores, scope, derived)
    return asset.asset_id, [str(row["atom_id"]) for row in derived.rows]


async def publish(
    stores: Stores, scope: Scope, key: str, body: str = "Body.\n", more: str = "", **options: Any
) -> cards.Card:
    """Publish a note under a key."""
    text = f"---\ncard_type: note\nkey: {key}\n{more}---\n{body}"
    options = {"train_ok": True} | options
    return (await cards.publish(stores, MANIFESTS, scope, text, **options)).card


async def fill(stores: Stores, scope: Scope) -> None:
    """Five cards and four atoms."""
    for number in range(5):
        await publish(stores, scope, f"key{number}", f"Mail {number} to zoe@example.com.\n")
    await keep(stores, scope, "One.\n\nTwo.\n\nThree.\n\nCall +49 30 901820.\n")


async def settle(stores: Stores, rules: ExportRules = SMALL) -> None:
    """Let the follower write whatever was asked for."""
    follower = exports.follower(rules)
    while await follower.catch_up(stores):
        pass


async def export(stores: Stores, scope: Scope, rules: ExportRules = SMALL, kinds: Any = BOTH) -> Export:
    """Start an export and have it written."""
    started = await exports.start(stores, scope, kinds)
    await settle(stores, rules)
    return await find(stores, scope, started.export_id)


async def find(stores: Stores, scope: Scope, export_id: str) -> Export:
    """An export as it is now."""
    return (await exports.fetch(stores, scope, [export_id]))[export_id]


async def files(stores: Stores, scope: Scope, export_id: str) -> Files:
    """All that lies in the object store of an export, by name."""
    blobs = ScopedBlobs(stores.blobs, scope)
    keys = [key async for key in blobs.keys(f"exports/{export_id}/")]
    return {key.rpartition("/")[2]: await blobs.read(key) for key in keys}


def manifest(found: Files) -> Any:
    """The manifest of an export."""
    return orjson.loads(found["manifest.json"])


def lines(found: Files) -> list[Any]:
    """The records of an export, over all parts."""
    parts = [found[name] for name in sorted(found) if name != "manifest.json"]
    return [orjson.loads(line) for line in b"".join(parts).splitlines()]


def excluded(found: Files) -> dict[str, str]:
    """The ids left out, with their reason and layer."""
    return {entry["id"]: f"{entry['reason']} {entry.get('layer', '')}".strip() for entry in manifest(found)["excluded"]}


async def _main(place: str, folder: Path, export_id: str, step: str) -> None:
    blobs = FileBlobs(folder / "objects", secret="s" * 32, address="http://127.0.0.1:8300", clock=system_clock)
    database = at(place)
    await database.open()
    put, seen = blobs.put, 0

    async def deadly(key: str, data: bytes) -> Stat:
        nonlocal seen
        seen += 1
        if seen == int(step.rstrip("+")):
            if step.endswith("+"):
                await put(key, data)
            os.kill(os.getpid(), signal.SIGKILL)
        return await put(key, data)

    blobs.put = deadly  # type: ignore[method-assign]
    scope = Scope.system("t_acme", Env.DEV, "follower:exports")
    await writing.write(Stores(database, blobs, LocalSignals()), ExportRules(records=1), scope, export_id)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))
