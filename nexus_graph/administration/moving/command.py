"""`move`: a whole installation, or one tenant, to another installation, and the proof that both hold the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from nexus_graph import config as settings
from nexus_graph.administration import console
from nexus_graph.administration.console import Ticker
from nexus_graph.administration.installing import AsJson
from nexus_graph.administration.moving import places, standing
from nexus_graph.administration.moving.proof import Sum
from nexus_graph.administration.moving.standing import Head, Standing
from nexus_graph.administration.moving.tenant import Ends, MovedEnv, move_tenant
from nexus_graph.api.house import House
from nexus_graph.app import open_house
from nexus_graph.config import Config
from nexus_graph.scope.errors import ConfigurationError, NotFound
from nexus_graph.tenants import membership


@dataclass(slots=True)
class Moved:
    """What a move came to. `late` names what was written at the source before the last tenant was done."""

    envs: list[MovedEnv] = field(default_factory=list)
    late: list[str] = field(default_factory=list)

    @property
    def differences(self) -> list[str]:
        """Everything that is not the same on both sides."""
        proven = ((each, each.proof) for each in self.envs if each.proof is not None)
        return [f"{'/'.join(each.scope.key)}: {what}" for each, proof in proven for what in proof.differences]


def move(
    to: Annotated[Path, typer.Option("--to", help="Settings file of the target; NEXUS_* are those of the source.")],
    tenant: Annotated[str | None, typer.Option("--tenant", help="This tenant only.")] = None,
    as_json: AsJson = False,
) -> None:
    """Copy everything to another installation, on whatever engines, and prove that both hold the same.

    The source's servers must not run; while a tenant is copied, its writers wait. Interrupted, it goes on where it was
    when it is run again; run again after its end, it proves again and changes nothing. The source keeps everything.
    """
    source = console.settings().config

    async def deed() -> Moved:
        target = _target(to)
        places.require_two_ends(source, target)
        async with open_house(source) as here, _opened(to, target) as there:
            with console.progress() as tick:
                return await move_all(here, there, tenant, tick)

    moved = console.run(deed())
    if as_json:
        console.document(_document(moved))
    else:
        _say(moved)
    if moved.differences or moved.late:
        raise typer.Exit(console.REFUSED)


async def move_all(source: House, target: House, tenant: str | None, tick: Ticker) -> Moved:
    """Move every tenant, in order, or one. Raises NotFound for one that is not there; see `move_tenant` for others."""
    places.require_same_index(source, target)
    ends, moved = Ends(source, target), Moved()
    wanted = [each for each in await _tenants(source) if tenant in (None, each)]
    if tenant is not None and not wanted:
        raise NotFound("tenant")
    for place, tenant_id in enumerate(wanted, 1):
        tick(f"Moving {tenant_id}, tenant {place} of {len(wanted)}", advance=0)
        moved.envs += await move_tenant(ends, tenant_id, tick)
    moved.late = await _late(source, moved.envs)
    if tenant is None:
        moved.late += [f"{each} was made." for each in await _tenants(source) if each not in wanted]
    return moved


async def _tenants(house: House) -> list[str]:
    """Every tenant of an installation, also one of which an erasure left the journal alone."""
    named = {each.tenant_id for each in await membership.tenants(house.stores)}
    return sorted(named | {tenant_id for tenant_id, _, _ in await house.stores.heads()})


async def _late(source: House, moved: Sequence[MovedEnv]) -> list[str]:
    """What was written at the source after a tenant was copied: its journal tells."""
    late = []
    for each in moved:
        head = await standing.head(source.stores, each.scope)
        if head != each.found.source:
            late.append(f"{'/'.join(each.scope.key)} went on {_from(each.found.source)} {_until(head)}.")
    return late


def _from(head: Head | None) -> str:
    return "from nothing" if head is None else f"from entry {head.seq}"


def _until(head: Head | None) -> str:
    return "to nothing" if head is None else f"to entry {head.seq}"


def _target(file: Path) -> Config:
    try:
        return settings.load({}, file).config
    except ConfigurationError as error:
        raise _of_target(file, error) from error


@asynccontextmanager
async def _opened(file: Path, config: Config) -> AsyncIterator[House]:
    """The target, whose refusals name it."""
    entered = False
    try:
        async with open_house(config) as house:
            entered = True
            yield house
    except ConfigurationError as error:
        raise error if entered else _of_target(file, error) from error


def _of_target(file: Path, error: ConfigurationError) -> ConfigurationError:
    return ConfigurationError(f"The target, {file}: {error}")


_WORDS: Mapping[Standing, str] = {
    Standing.NOTHING: "nothing is there to be copied",
    Standing.NEW: "copied",
    Standing.BEGUN: "gone on with an earlier run",
    Standing.BEHIND: "copied anew, since the source went on after an earlier run",
    Standing.SAME: "copied before; nothing was changed",
    Standing.AHEAD: "copied before, and the target has gone on since; nothing was changed or compared",
}


def _say(moved: Moved) -> None:
    for each in moved.envs:
        if each.found.source is not None:
            _say_env(each, each.found.source)
    for line in (*moved.differences, *moved.late):
        console.say(line)
    proven = sum(each.proof is not None for each in moved.envs)
    console.say(f"{proven} scopes proven, {len(moved.differences)} differences.")
    if moved.late:
        console.say("The source was written to meanwhile. Stop its servers, and run the command again.")


def _say_env(each: MovedEnv, head: Head) -> None:
    anew = ", after rows of another time were removed" if each.rows.anew else ""
    console.say(f"{'/'.join(each.scope.key)}: {_WORDS[each.found.standing]}{anew}.")
    if each.proof is None:
        return
    told, kept = each.rows, each.objects
    console.say(f"  {told.written} rows written, {told.there} were there; {kept.written} objects, {kept.there} were.")
    console.say(f"  Journal: {head.seq} entries hold on both sides, the last is {head.hash}.")
    asked = each.proof.sums["packs asked again"][0].count
    console.say(f"  {each.proof.cards} card texts have their digest; {each.proof.packs} of {asked} packs came again.")
    rows = [[name, *_shown(*sums)] for name, sums in each.proof.sums.items() if sums[0].count or sums[1].count]
    console.table(["of", "count", "digest"], rows)


def _shown(theirs: Sum, ours: Sum) -> tuple[str, str]:
    if theirs == ours:
        return f"{theirs.count:,}", theirs.digest
    return f"{theirs.count:,} and {ours.count:,}", f"{theirs.digest} and {ours.digest}"


def _document(moved: Moved) -> dict[str, Any]:
    return {
        "scopes": [_env_document(each) for each in moved.envs if each.found.source is not None],
        "differences": moved.differences,
        "late": moved.late,
    }


def _env_document(each: MovedEnv) -> dict[str, Any]:
    tenant_id, env = each.scope.key
    head, proof = each.found.source, each.proof
    return {
        "tenantId": tenant_id,
        "env": env,
        "standing": each.found.standing.value,
        "entries": head.seq if head else 0,
        "head": head.hash if head else None,
        "rows": asdict(each.rows),
        "objects": asdict(each.objects),
        "erasures": each.erasures,
        "cards": proof.cards if proof else None,
        "packs": proof.packs if proof else None,
        "proof": None
        if proof is None
        else {name: {"source": asdict(theirs), "target": asdict(ours)} for name, (theirs, ours) in proof.sums.items()},
    }
