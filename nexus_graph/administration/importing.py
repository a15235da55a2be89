"""`import`: files become cards (those with a card fence) or raw assets and atoms (all others)."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from nexus_graph import assets, atoms, cards, runs
from nexus_graph.administration import console
from nexus_graph.administration.console import Ticker
from nexus_graph.administration.directory import existing
from nexus_graph.administration.installing import AsJson
from nexus_graph.api.house import House
from nexus_graph.app import followers, open_house
from nexus_graph.assets import Asset, Reservation
from nexus_graph.runs import AuditFilter
from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import Invalid, NexusError
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.follower import Follower
from nexus_graph.stores.paging import Window

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FENCES = (b"---\n", b"---\r\n")  # the card parser refuses the second, and a byte order mark, with a hint
_UNSAFE = re.compile(r"[^a-z0-9._/-]+")


@dataclass(slots=True)
class Summary:
    """What became of every file."""

    kept: int = 0
    unchanged: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


def import_files(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders; folders are walked, hidden names left out.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Tenant id, such as t_acme.")],
    env: Annotated[str, typer.Option("--env", help="dev, staging or prod.")],
    train_ok: Annotated[bool, typer.Option("--train-ok/--no-train-ok", help="Whether training on them is allowed.")],
    card_type: Annotated[
        str | None, typer.Option("--card-type", help="Card type for front matter that names none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep files: those with a card fence as cards, all others as raw assets and atoms. Repeating changes nothing."""

    async def deed() -> Summary:
        async with open_house(console.settings().config) as house:
            scope = await existing(house.stores, tenant, env)
            with console.progress() as tick:
                return await import_paths(house, scope, paths, card_type, train_ok=train_ok, tick=tick)

    summary = console.run(deed())
    if as_json:
        refused = [{"path": path, "reason": reason} for path, reason in summary.refused]
        console.document({"kept": summary.kept, "unchanged": summary.unchanged, "refused": refused})
    else:
        for path, reason in summary.refused:
            console.err.print(f"refused {path}: {reason}", markup=False)
        console.say(f"{summary.kept} kept, {summary.unchanged} unchanged, {len(summary.refused)} refused.")
    if summary.refused:
        raise typer.Exit(console.REFUSED)


async def import_paths(
    house: House, scope: Scope, paths: Sequence[Path], card_type: str | None, *, train_ok: bool, tick: Ticker
) -> Summary:
    """Import every file below the paths, then derive and index what is new. One bad file does not stop the others."""
    summary, sealed = Summary(), list[tuple[str, str, bool]]()
    files = [(root, path) for root in paths for path in _walk(root)]
    for root, path in files:
        tick("Keeping files", total=len(files))
        try:
            data = await asyncio.to_thread(_read, path, house.config.largest_asset)
            if data[:8].lstrip(_BYTE_ORDER_MARK).startswith(_FENCES):
                changed = await _keep_card(house, scope, root, path, data, card_type, train_ok=train_ok)
            else:
                asset, changed = await _keep_asset(house, scope, root, path, data, train_ok=train_ok)
                sealed.append((asset.asset_id, str(path), changed))
        except NexusError as error:
            summary.refused.append((str(path), str(error)))
        except OSError as error:
            summary.refused.append((str(path), error.strerror or "can't be read"))
        else:
            summary.kept += changed
            summary.unchanged += not changed
    for follower in followers(house):
        await _catch_up(house, scope, follower, tick)
    reasons = await _underivable(house, scope, {asset_id for asset_id, _, _ in sealed})
    for asset_id, refused, new in sealed:
        if asset_id in reasons:
            summary.kept -= new
            summary.unchanged -= not new
            summary.refused.append((refused, reasons[asset_id]))
    return summary


def _walk(root: Path) -> Iterator[Path]:
    if not root.is_dir():
        yield root
        return
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _read(path: Path, largest: int) -> bytes:
    if not path.is_file():
        raise Invalid("There is no such file." if not path.exists() else "It is no regular file.")
    if path.stat().st_size > largest:
        raise Invalid(f"It is larger than {largest} bytes.", hint="Raise NEXUS_LARGEST_ASSET.")
    return path.read_bytes()


async def _keep_asset(
    house: House, scope: Scope, root: Path, path: Path, data: bytes, *, train_ok: bool
) -> tuple[Asset, bool]:
    reservation = Reservation.of(
        data,
        filename=path.name,
        content_type=atoms.content_type_of(path.name),
        train_ok=train_ok,
        source_ref=_relative(root, path),
    )
    return await assets.keep(house.stores, house.asset_rules, scope, reservation, data)


async def _keep_card(
    house: House, scope: Scope, root: Path, path: Path, data: bytes, card_type: str | None, *, train_ok: bool
) -> bool:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Invalid("A card is UTF-8 text, and this file is not.") from error
    if card_type is not None:
        text = cards.declare(text, card_type)
    key = cards.parse(text).key or _key(_relative(root, path))
    card_id = cards.card_id_of(scope, key)
    current = (await cards.fetch(house.stores, scope, [card_id], record=False)).get(card_id)
    published = await cards.publish(
        house.stores,
        house.manifests,
        scope,
        text,
        train_ok=train_ok,
        key=key,
        expected_version=current.version if current else 0,
    )
    return published.changed


async def _underivable(house: House, scope: Scope, asset_ids: set[str]) -> dict[str, str]:
    """Those of the assets that no recipe could read when it was tried last, and why: now, or in an earlier import."""
    suspects: set[str] = set()
    window: Window | None = Window(100)
    while window is not None:
        page = await runs.audit(house.stores, scope, AuditFilter(actions=("atoms.refused",)), window)
        suspects |= asset_ids & {item.subject_id for item in page.items}
        window = Window(100, after=page.keys[-1]) if page.has_next else None
    reasons = {}
    for asset_id in sorted(suspects):
        chosen = AuditFilter(actions=("atoms.derived", "atoms.refused"), subject=asset_id)
        [last] = (await runs.audit(house.stores, scope, chosen, Window(1))).items
        if last.action == "atoms.refused":
            reasons[asset_id] = str((last.payload or {}).get("output", {}).get("message"))
    return reasons


def _relative(root: Path, path: Path) -> str:
    return path.name if root == path else path.relative_to(root).as_posix()


def _key(relative: str) -> str:
    """A card key for a path: itself where it can be one, else a readable form with a digest, so that none collide."""
    safe = _UNSAFE.sub("-", relative.lower()).strip("./-")[:150]
    return safe if safe == relative else f"{safe or 'card'}-{sha256(relative.encode())[:12]}"


async def _catch_up(house: House, scope: Scope, follower: Follower, tick: Ticker) -> None:
    """Let a follower take everything that waits, of this scope."""
    waiting = await follower.waiting(house.stores, scope)
    while left := await follower.waiting(house.stores, scope):
        if not await follower.catch_up(house.stores):
            break
        now = await follower.waiting(house.stores, scope)
        tick(f"Following: {follower.name}", total=waiting, advance=left - now)
