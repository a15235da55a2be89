"""`derive`: after an upgrade, read again what an older recipe read, or nothing read before."""

from __future__ import annotations

from typing import Annotated

import typer

from nexus_graph import assets, atoms
from nexus_graph.administration import console
from nexus_graph.administration.directory import Env, Tenant, existing
from nexus_graph.administration.following import catch_up
from nexus_graph.administration.imported import Report, fate
from nexus_graph.administration.installing import AsJson
from nexus_graph.app import followers, open_house

_NAMED_AT_ONCE = 1000


def derive(
    tenant: Tenant,
    env: Env,
    every: Annotated[bool, typer.Option("--every", help="Also what the present recipes read.")] = False,
    as_json: AsJson = False,
) -> None:
    """Derive again what an older version of a recipe read: its atoms go stale, and new ones take their place.

    A file whose text is not read, or only partly, is named with the reason. Repeating changes nothing.
    """

    async def deed() -> Report:
        async with open_house(console.settings().config) as house:
            scope = await existing(house.stores, tenant, env)
            report = Report()
            with console.progress() as tick:
                for follower in followers(house):
                    await catch_up(house, scope, follower, tick)
                wanted = await atoms.outdated(house.stores, scope, every=every)
                async for _ in atoms.renew(house.stores, house.sandbox, scope, wanted):
                    tick("Deriving again", total=len(wanted))
            for start in range(0, len(wanted), _NAMED_AT_ONCE):
                part = wanted[start : start + _NAMED_AT_ONCE]
                outcomes = await atoms.outcomes(house.stores, scope, part)
                for asset_id, asset in (await assets.fetch(house.stores, scope, part)).items():
                    name = asset.source_ref or asset.filename
                    report.add(name, *fate(outcomes.get(asset_id), changed=True))
            return report

    console.run(deed()).end(as_json=as_json)
