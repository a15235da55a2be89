"""`prove isolation`: try to find a hole in the walls, and say what was tried."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from nexus_graph.administration import console
from nexus_graph.administration.installing import AsJson
from nexus_graph.administration.isolation import against, opening
from nexus_graph.administration.isolation.model import Tally
from nexus_graph.administration.isolation.people import KEEPER
from nexus_graph.administration.isolation.proof import Proof
from nexus_graph.engines import open_whole
from nexus_graph.scope.scope import Env

prove = typer.Typer(help="Prove what is promised.", no_args_is_help=True)


@prove.command("isolation")
def isolation(
    most: Annotated[int, typer.Option("--operations", min=0, help="How many random operations to try.")] = 100_000,
    seconds: Annotated[float, typer.Option(min=0, help="Stop trying random operations after so many seconds.")] = 120,
    seed: Annotated[int, typer.Option(help="The same seed asks the same.")] = 1,
    only: Annotated[str, typer.Option(help="Walk only arguments with this in their names, such as Query.card.")] = "",
    addresses: Annotated[
        list[str] | None,
        typer.Option("--against", help="A running server of this folder, instead of one of its own; again for more."),
    ] = None,
    logs: Annotated[
        list[Path] | None,
        typer.Option(
            "--log", exists=True, dir_okay=False, help="A running server's log, to be searched too; again for more."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Try to see from one tenant or env what is another's. Ends with 1 when a hole is found, and names it.

    Somebody of every role asks at random, and every answer is compared with a small model. Then every argument of the
    schema that the server tells is given another's ids, cursors, idempotency keys and names; credentials, run headers
    and object addresses are tried where they don't belong. At last the words that each place alone was told are looked
    for in every row, object and line of log.

    Without --against it brings a server and an empty data folder of its own, on the embedded engines. With it, two new
    tenants are made on the engines of this configuration, in env dev only, since tokens of NEXUS_DEVELOPMENT_KEY are
    good nowhere else. On Postgres the walls are then tried with the application's connection too, and every row is
    searched with that of NEXUS_POSTGRES_OWNER. In the end nobody of the tenants may come in any more. To erase what
    they hold, make a token with `nexus-graph token keeper@proof.example`, and call planErasure (kind TENANT_ENV) and
    executeErasure with it.
    """
    proof = Proof(most, seconds, seed, only)
    tenants = against.fresh() if addresses else opening.TENANTS
    served = [address.rstrip("/") for address in addresses or ()]
    tally, engines = console.run(_against(proof, served, tenants, logs or []) if served else _alone(proof))
    if as_json:
        told = {"seed": seed, "engines": [*engines], "tenants": [*tenants], "operations": tally.operations}
        console.document(told | {"tried": dict(tally.tried), "faults": tally.faults})
    else:
        for fault in tally.faults:
            console.say(f"hole: {fault}")
        console.table(["tried", "times"], [[kind, f"{count:,}"] for kind, count in tally.tried.items()])
        console.say(f"Tried on {', '.join(engines)}.")
        if "Postgres" not in engines:
            console.say("The attack at the database itself is about Postgres, and does not apply here.")
        if served:
            console.say(f"Nobody but {KEEPER} may come into {' and '.join(tenants)} any more; what they hold is kept.")
        console.say(f"{len(tally.faults) or 'No'} hole{'' if len(tally.faults) == 1 else 's'} found, with seed {seed}.")
    if tally.faults:
        raise typer.Exit(console.REFUSED)


async def _alone(proof: Proof) -> tuple[Tally, Sequence[str]]:
    words = {(tenant, env.value): _word() for tenant in opening.TENANTS for env in Env}
    with console.progress() as tick:
        async with (
            opening.opened(words) as (world, house),
            open_whole(house.config, house.stores) as whole,
        ):
            return await proof.of(world, whole, [house.config.data.parent], tick), whole.engines


async def _against(
    proof: Proof, addresses: Sequence[str], tenants: tuple[str, str], logs: Sequence[Path]
) -> tuple[Tally, Sequence[str]]:
    config = console.settings(log_level="warning").config
    words = {(tenant, against.ENV): _word() for tenant in tenants}
    with console.progress() as tick:
        async with against.visited(config, addresses, words) as (world, whole):
            return await proof.of(world, whole, [config.data, *logs], tick), whole.engines


def _word() -> str:
    return f"canary{secrets.token_hex(12)}"
