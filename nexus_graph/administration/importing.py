"""`import`: files become cards (those with a card fence) or raw assets and atoms (all others)."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from nexus_graph import assets, atoms, cards
from nexus_graph.administration import console
from nexus_graph.administration.console import Ticker
from nexus_graph.administration.directory import existing
from nexus_graph.administration.following import catch_up, following
from nexus_graph.administration.imported import Fate, Report, fate, reason
from nexus_graph.administration.installing import AsJson
from nexus_graph.api.house import House
from nexus_graph.app import followers, open_house
from nexus_graph.assets import AssetPart, AtHand, Reservation
from nexus_graph.atoms.recipes.markdown import opens_front_matter
from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import Invalid, NexusError
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.paging import Window

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAY_BE_CARDS = frozenset({"text/markdown", "text/plain"})
_HEAD = 4096
_AT_ONCE = 64
_BYTES_AT_ONCE = 16 * 2**20
_UNSAFE = re.compile(r"[^a-z0-9._/-]+")


def import_files(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders; folders are walked, hidden names left out.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Tenant id, such as t_acme.")],
    env: Annotated[str, typer.Option("--env", help="dev, staging or prod.")],
    train_ok: Annotated[bool, typer.Option("--train-ok/--no-train-ok", help="Whether training on them is allowed.")],
    card_type: Annotated[
        str | None, typer.Option("--card-type", help="Card type for front matter that names none.")
    ] = None,
    each: Annotated[
        bool, typer.Option("--each", help="Print a line for every file, also for those read whole.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Keep files: those with a card fence as cards, all others as raw assets and atoms. Repeating changes nothing.

    A file whose text was not read, or only partly, is named with the reason.
    """

    async def deed() -> Report:
        async with open_house(console.settings().config) as house:
            scope = await existing(house.stores, tenant, env)
            with console.progress() as tick:
                return await import_paths(house, scope, paths, card_type, train_ok=train_ok, tick=tick)

    console.run(deed()).end(as_json=as_json, each=each)


async def import_paths(
    house: House, scope: Scope, paths: Sequence[Path], card_type: str | None, *, train_ok: bool, tick: Ticker
) -> Report:
    """Import every file below the paths, then derive and index what is new. One bad file does not stop the others.

    What an older recipe read is derived again.
    """
    files = [(root, path) for root in paths for path in _walk(root)]
    kept: list[tuple[Path, _Kept]] = []
    left = iter(files)
    deriving = replace(atoms.follower(house.sandbox), batch=_AT_ONCE)  # nobody else waits
    async with following(house, deriving):  # what is kept is derived meanwhile
        while some := await asyncio.to_thread(_read_some, left, house.config.largest_asset):
            kept += await _keep(house, scope, some, card_type, train_ok=train_ok)
            tick("Keeping files", total=len(files), advance=len(some))
    for follower in followers(house):
        await catch_up(house, scope, follower, tick)
    assets_kept = [each.asset_id for _, each in kept if each.asset_id is not None]
    await _renew(house, scope, assets_kept, tick)
    attached = await _attached(house, scope, assets_kept)
    inside = [part.asset_id for parts in attached.values() for part in parts]
    outcomes = await atoms.outcomes(house.stores, scope, [*dict.fromkeys([*assets_kept, *inside])])
    report = Report()
    for path, each in kept:
        if each.refused is not None:
            report.add(path, Fate.REFUSED, each.refused)
        elif each.asset_id is None:
            report.add(path, Fate.KEPT if each.changed else Fate.UNCHANGED)
        else:
            report.add(path, *fate(outcomes.get(each.asset_id), changed=each.changed))
            for part in attached.get(each.asset_id, ()):
                report.add(f"{path} > {part.filename}", *fate(outcomes.get(part.asset_id), changed=each.changed))
    return report


async def _attached(house: House, scope: Scope, asset_ids: Sequence[str]) -> dict[str, list[AssetPart]]:
    """What these assets hold as parts, and the parts of those: assets that no file here stands for."""
    found: dict[str, list[AssetPart]] = {}
    for asset_id in await assets.count_parts(house.stores, scope, asset_ids):
        held = found[asset_id] = list[AssetPart]()
        within, seen = [asset_id], {asset_id}
        while within:
            window: Window | None = Window(100)
            parent = within.pop()
            while window is not None:
                page = await assets.parts(house.stores, scope, parent, window)
                held += page.items
                within += [part.asset_id for part in page.items if part.asset_id not in seen]
                seen.update(part.asset_id for part in page.items)
                window = Window(100, after=page.keys[-1]) if page.has_next else None
    return found


@dataclass(frozen=True, slots=True)
class _Kept:
    """A file as it was kept: the asset, None for a card and for what was refused; and whether it is new."""

    asset_id: str | None = None
    changed: bool = False
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class _File:
    """A file and its bytes, or why they can't be read."""

    root: Path
    path: Path
    data: bytes = b""
    refused: str | None = None


def _read_some(files: Iterator[tuple[Path, Path]], largest: int) -> list[_File]:
    """The next files, as many as are kept together; none at the end."""
    some: list[_File] = []
    size = 0
    for root, path in files:
        try:
            some.append(_File(root, path, _read(path, largest)))
        except NexusError as error:
            some.append(_File(root, path, refused=reason(error)))
        except OSError as error:
            some.append(_File(root, path, refused=error.strerror or "can't be read"))
        size += len(some[-1].data)
        if len(some) == _AT_ONCE or size >= _BYTES_AT_ONCE:
            break
    return some


async def _keep(
    house: House, scope: Scope, files: Sequence[_File], card_type: str | None, *, train_ok: bool
) -> list[tuple[Path, _Kept]]:
    """Keep files, in order: cards one by one, all others together."""
    came_to: list[_Kept | AtHand] = []
    for file in files:
        if file.refused is not None:
            came_to.append(_Kept(refused=file.refused))
        elif _is_card(file.data, file.path.name):
            came_to.append(await _keep_card(house, scope, file, card_type, train_ok=train_ok))
        else:
            came_to.append(_at_hand(file, train_ok=train_ok))
    kept = iter(await _keep_assets(house, scope, [each for each in came_to if isinstance(each, AtHand)]))
    return [
        (file.path, next(kept) if isinstance(each, AtHand) else each) for file, each in zip(files, came_to, strict=True)
    ]


async def _keep_assets(house: House, scope: Scope, files: Sequence[AtHand]) -> list[_Kept]:
    try:
        came_to = await assets.keep_all(house.stores, house.asset_rules, scope, files)
    except NexusError as error:
        return [_Kept(refused=reason(error))] * len(files)
    return [
        _Kept(refused=reason(each)) if isinstance(each, NexusError) else _Kept(each[0].asset_id, each[1])
        for each in came_to
    ]


async def _renew(house: House, scope: Scope, asset_ids: Sequence[str], tick: Ticker) -> None:
    """Derive again what an older recipe read."""
    known = await atoms.outcomes(house.stores, scope, asset_ids)
    outdated = [asset_id for asset_id, outcome in known.items() if outcome.outdated]
    async for _ in atoms.renew(house.stores, house.sandbox, scope, outdated):
        tick("Deriving again", total=len(outdated))


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


def _is_card(data: bytes, name: str) -> bool:
    """Whether a file begins as a card does. How it breaks the rules of a card is for the card's reader to say."""
    if not data[:8].lstrip(_BYTE_ORDER_MARK).startswith(b"---"):
        return False
    lines = data[:_HEAD].removeprefix(_BYTE_ORDER_MARK).decode("latin-1").splitlines()
    opens = opens_front_matter(lines) and lines[0].startswith("---")
    return opens and atoms.kind_of(data, name, atoms.content_type_of(name)).media_type in _MAY_BE_CARDS


def _at_hand(file: _File, *, train_ok: bool) -> AtHand:
    reservation = Reservation.of(
        file.data,
        filename=file.path.name,
        content_type=atoms.content_type_of(file.path.name),
        train_ok=train_ok,
        source_ref=_relative(file.root, file.path),
    )
    return AtHand(reservation, file.data)


async def _keep_card(house: House, scope: Scope, file: _File, card_type: str | None, *, train_ok: bool) -> _Kept:
    try:
        return _Kept(changed=await _publish(house, scope, file, card_type, train_ok=train_ok))
    except NexusError as error:
        return _Kept(refused=reason(error))


async def _publish(house: House, scope: Scope, file: _File, card_type: str | None, *, train_ok: bool) -> bool:
    try:
        text = file.data.decode()
    except UnicodeDecodeError as error:
        raise Invalid("A card is UTF-8 text, and this file is not.") from error
    if card_type is not None:
        text = cards.declare(text, card_type)
    key = cards.parse(text).key or _key(_relative(file.root, file.path))
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


def _relative(root: Path, path: Path) -> str:
    return path.name if root == path else path.relative_to(root).as_posix()


def _key(relative: str) -> str:
    """A card key for a path: itself where it can be one, else a readable form with a digest, so that none collide."""
    safe = _UNSAFE.sub("-", relative.lower()).strip("./-")[:150]
    return safe if safe == relative else f"{safe or 'card'}-{sha256(relative.encode())[:12]}"
