"""`redaction`: making the flags of what is kept follow the ruleset of this version."""

from __future__ import annotations

import typer

from nexus_graph.administration import console
from nexus_graph.administration.installing import AsJson
from nexus_graph.app import RULESET_STEPS
from nexus_graph.engines import open_stores
from nexus_graph.safeguards import rulesets
from nexus_graph.safeguards.rulesets import Changed, Standing
from nexus_graph.scope.redaction import RULESET

redaction = typer.Typer(help="Flags of what is kept, and the ruleset that they follow.", no_args_is_help=True)


@redaction.command("reevaluate")
def reevaluate(as_json: AsJson = False) -> None:
    """Look again at what is kept where its flags follow another ruleset. A server does so by itself when it starts."""

    async def deed() -> dict[tuple[str, str], Changed]:
        async with open_stores(console.settings().config) as stores:
            return await rulesets.settle(stores, RULESET_STEPS)

    changed = console.run(deed())
    if as_json:
        scopes = [
            {"tenantId": tenant, "env": env, "changed": dict(counts)} for (tenant, env), counts in changed.items()
        ]
        console.document({"ruleset": RULESET, "scopes": scopes})
        return
    for (tenant, env), counts in changed.items():
        told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "nothing"
        console.say(f"{tenant}/{env}: {told} flagged otherwise.")
    console.say(f"{len(changed)} scopes looked at again; all follow {RULESET}.")


@redaction.command("list")
def list_rulesets(as_json: AsJson = False) -> None:
    """Tell the ruleset that made the flags of each tenant and env."""

    async def deed() -> dict[tuple[str, str], Standing]:
        async with open_stores(console.settings().config) as stores:
            return await rulesets.standings(stores)

    standings = console.run(deed())
    if as_json:
        scopes = [
            {"tenantId": tenant, "env": env, "ruleset": each.ruleset, "target": each.target}
            for (tenant, env), each in standings.items()
        ]
        console.document({"ruleset": RULESET, "scopes": scopes})
        return
    rows = [[*key, each.ruleset or "older than pii-3", each.target or ""] for key, each in standings.items()]
    console.table(["tenant", "env", "flags follow", "and move to"], rows)
