"""`check`, `reindex`, `audit verify`: proof that what is kept agrees with itself, and the means to mend it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from nexus_graph import assets, atoms, cards, index, runs, sessions
from nexus_graph.administration import console
from nexus_graph.administration.console import Ticker
from nexus_graph.administration.directory import Env, Tenant, existing
from nexus_graph.administration.following import catch_up
from nexus_graph.administration.installing import AsJson
from nexus_graph.api.house import House
from nexus_graph.app import followers, open_house
from nexus_graph.engines import open_stores
from nexus_graph.index import IndexReport
from nexus_graph.safeguards import quotas
from nexus_graph.scope.clock import system_clock
from nexus_graph.scope.errors import Unavailable
from nexus_graph.scope.scope import Env as EnvName
from nexus_graph.scope.scope import Scope, Surface

audit = typer.Typer(help="Prove the journal.", no_args_is_help=True)

_HELD = (assets.held, cards.held, sessions.held)
"""What each room's rows add up to, for the quotas."""

_JOURNAL = "journal"
"""Begins what is said of a broken chain."""

_VECTOR_SERVER = "vector server"
"""Begins what is said of it as a whole, in the place of a tenant and env."""

Found = dict[str, list[str]]
"""Faults by `tenant/env`, and of the vector server, where there is one."""


def check(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
    metrics: Annotated[
        Path | None, typer.Option(help="Write the result to this file too, as Prometheus reads it (*.prom).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove that journal, runs, objects, atoms, cards, index, quotas agree everywhere. Fails while a fault is left."""

    async def deed() -> tuple[Found, Found]:
        async with open_house(console.settings().config) as house:
            with console.progress() as tick:
                found = await check_all(house, repair=repair, tick=tick)
                left = await check_all(house, repair=False, tick=tick) if repair else found
                return found, left

    found, left = console.run(deed())
    faults, lasting = _lines(found), _lines(left)
    scopes = sum(place != _VECTOR_SERVER for place in found)
    if metrics is not None:
        _write_metrics(metrics, scopes, lasting)
    if as_json:
        console.document({"scopes": scopes, "faults": faults, "left": lasting, "repaired": repair})
    else:
        remaining = set(lasting)
        for fault in dict.fromkeys([*faults, *lasting]):
            console.say(f"{fault}{'' if fault in remaining else ' (mended)'}")
        console.say(f"{scopes} scopes checked, {len(faults)} faults found, {len(lasting)} left.")
    if lasting:
        raise typer.Exit(console.REFUSED)


def _write_metrics(file: Path, scopes: int, faults: Sequence[str]) -> None:
    """The result as gauges, in the place of that of the last time. Ends the command where the file can't be written."""
    registry = CollectorRegistry()
    told = {
        "nexus_check_scopes": ("Tenants times envs that the last check looked at.", scopes),
        "nexus_check_faults": ("Faults that it left.", len(faults)),
        "nexus_check_broken_journals": ("Journals among them whose chain is broken.", sum(map(_of_journal, faults))),
        "nexus_check_time_seconds": ("When it ended, in seconds since 1970.", system_clock().timestamp()),
    }
    for name, (text, value) in told.items():
        Gauge(name, text, registry=registry).set(value)
    try:
        write_to_textfile(str(file), registry)
    except OSError as error:
        console.fail(f"{file} can't be written: {error.strerror}.", hint="Name a file in a folder that is there.")


def _of_journal(fault: str) -> bool:
    return fault.partition(": ")[2].startswith(_JOURNAL)


def _lines(found: Found) -> list[str]:
    return [f"{place}: {fault}" for place, faults in found.items() for fault in faults]


async def check_all(house: House, *, repair: bool, tick: Ticker) -> Found:
    """The faults of every scope. With `repair`, mend them room by room, as the river flows.

    Runs come first, since mending the others adds entries; then followers take what is late, not lost.
    """
    scopes = [
        Scope.system(tenant_id, EnvName(env), "check", surface=Surface.COMMAND_LINE)
        for tenant_id, env, _ in await house.stores.heads()
    ]
    found: Found = {"/".join(scope.key): [] for scope in scopes}
    for scope in scopes:
        found["/".join(scope.key)] += await _log(house, scope, repair, tick)
    if repair:
        for follower in followers(house):
            with suppress(Unavailable) if follower.name == index.KEEPER else nullcontext():  # told below
                for scope in scopes:
                    await catch_up(house, scope, follower, tick)
    for scope in scopes:
        found["/".join(scope.key)] += await _rooms(house, scope, repair, tick)
    if house.index.copies is not None:
        found[_VECTOR_SERVER] = await _vector_server(house, repair, tick)
    return found


async def _vector_server(house: House, repair: bool, tick: Ticker) -> list[str]:
    """Faults of the vector server as a whole: that it is away, and what nobody here owns."""
    tick("Checking the vector server", advance=0)
    try:
        names = await index.orphaned(house.stores, house.index, repair=repair)
    except Unavailable as error:
        return [f"UNAVAILABLE: {error.message} {error.hint}"]
    return [f"{name} belongs to no tenant, env and embedder of this installation" for name in names]


def _looked(tick: Ticker, scope: Scope, what: str) -> Callable[[int], None]:
    return lambda more: tick(f"Checking {'/'.join(scope.key)}: {what}", advance=more)


async def _log(house: House, scope: Scope, repair: bool, tick: Ticker) -> list[str]:
    """Faults of the journal and its runs. Runs are mended where the chain holds: only there are entries the truth."""
    looked = _looked(tick, scope, "runs")
    looked(0)
    async with house.stores.read(scope) as read:
        _, fault = await read.verify_journal()
    _, faults = await runs.rebuild_check(house.stores, scope, repair=repair and fault is None, looked=looked)
    broken = [f"{_JOURNAL}, seq {fault.seq}: {fault.reason}"] if fault else []
    return [*broken, *(f"run {run.run_id}: {run.reason}" for run in faults)]


async def _rooms(house: House, scope: Scope, repair: bool, tick: Ticker) -> list[str]:
    """Faults of what stands in the rooms, each mended before the next one looks at it."""
    stores = house.stores

    def looked(what: str) -> Callable[[int], None]:
        return _looked(tick, scope, what)

    return [
        *await assets.check(stores, scope, looked=looked("assets")),
        *await atoms.check(stores, house.sandbox, scope, repair=repair, looked=looked("atoms")),
        *await cards.check(stores, house.manifests, scope, repair=repair, looked=looked("cards")),
        *_index(await index.check(stores, house.index, scope, repair=repair, looked=looked("index"))),
        *await quotas.recount(stores, scope, _HELD, repair=repair),
    ]


def _index(report: IndexReport) -> list[str]:
    lists = {
        "not in the index": report.missing,
        "in the index at another version or text": report.stale,
        "vectors of no card": report.orphaned,
        "its vectors are not those that were indexed": report.damaged,
    }
    faults = [f"card {card_id}: {what}" for what, ids in lists.items() for card_id in ids]
    if not report.state_holds:
        faults.append("index: its state is not that of its rows")
    if report.copy_fault is not None:
        faults.append(f"index: the copy on the vector server {report.copy_fault}")
    if report.copy_unseen is not None:
        faults.append(f"index: the copy on the vector server was not compared: {report.copy_unseen}")
    return faults


@audit.command("verify")
def audit_verify(
    tenant: Annotated[str | None, typer.Option("--tenant", help="This tenant only.")] = None,
    env: Annotated[str | None, typer.Option("--env", help="This env only.")] = None,
    as_json: AsJson = False,
) -> None:
    """Walk every journal's hash chain; name the first bad seq of each that is broken."""

    async def deed() -> list[dict[str, Any]]:
        found = []
        async with open_stores(console.settings().config) as stores:
            for tenant_id, env_name, _ in await stores.heads():
                if tenant in (None, tenant_id) and env in (None, env_name):
                    scope = console.operator(tenant_id, env_name)
                    async with stores.read(scope) as read:
                        good, fault = await read.verify_journal()
                    found.append(
                        {
                            "tenantId": tenant_id,
                            "env": env_name,
                            "entries": good,
                            "firstBadSeq": fault.seq if fault else None,
                            "reason": fault.reason if fault else None,
                        }
                    )
        return found

    found = console.run(deed())
    if as_json:
        console.document(found)
    for item in [] if as_json else found:
        place = f"{item['tenantId']}/{item['env']}"
        if item["firstBadSeq"] is None:
            console.say(f"{place}: {item['entries']} entries hold.")
        else:
            console.say(f"{place}: broken at seq {item['firstBadSeq']}: {item['reason']}.")
    if not found:
        console.fail("There is no journal here yet.", hint="Check --tenant and --env.")
    if any(item["firstBadSeq"] is not None for item in found):
        raise typer.Exit(console.REFUSED)


def reindex(tenant: Tenant, env: Env) -> None:
    """Build the index anew beside the old one, with the configured embedder, and switch to it."""

    async def deed() -> int:
        async with open_house(console.settings().config, any_embedder=True) as house:
            scope = await existing(house.stores, tenant, env)
            with console.progress() as tick:
                before = 0

                def progress(done: int, total: int) -> None:
                    nonlocal before
                    tick("Indexing", total=total, advance=done - before)
                    before = done

                return await index.reindex(house.stores, house.index, scope, progress)

    console.say(f"{console.run(deed())} cards indexed.")
