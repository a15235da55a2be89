"""The clients that front ends bring along, as npm has them, in a Node process each, over the real server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import node_packages
import pytest
from conformance_table import Figure
from journey_house import STORY_SECONDS, WAIT_SECONDS, Caller, MakeWorld, World

from nexus_graph import config
from nexus_graph.administration.directory import development_token

FOLDER = Path(__file__).parent / "clients"
OPERATIONS = Path(__file__).parents[2] / "schema" / "operations"
LOCK = FOLDER / "package-lock.json"

# Each check of each script, so that a failing one has a name, and a forgotten one is missed.
CHECKS = {
    "graphql_ws": [
        "a query",
        "a mutation",
        "several operations on one socket",
        "a document that is wrong",
        "ping and pong",
        "a subscription that is completed by the client",
        "a subscription that resumes",
        "a token that has expired is replaced",
        "a token that expires while it streams",
        "a token that is refused is fatal",
    ],
    "graphql_sse": [
        "a query",
        "a mutation",
        "a document that is wrong",
        "a token that is refused",
        "a subscription that is left early",
        "several subscriptions at once",
        "a subscription that resumes",
    ],
    "apollo": [
        "a query",
        "a query by GET",
        "a mutation",
        "a document that is wrong",
        "a token that is refused",
        "an error with errorPolicy none",
        "an error with errorPolicy all",
        "an error with errorPolicy ignore",
        "a persisted operation",
        "a persisted mutation",
        "an operation that is persisted by its first use",
        "a query by websocket",
        "an error by websocket",
        "a subscription by websocket that resumes",
        "a subscription by multipart that resumes",
    ],
    "urql": [
        "a query by GET, as by default",
        "a query by POST",
        "a mutation",
        "a document that is wrong",
        "a right that is lacking",
        "a token that is refused",
        "a subscription by websocket that resumes",
        "a subscription by events that resumes",
    ],
}
PACKAGES = {"graphql_ws": "graphql-ws", "graphql_sse": "graphql-sse", "apollo": "@apollo/client", "urql": "@urql/core"}

Told = Callable[[str], Any]


@pytest.fixture(scope="module")
def told(world: World) -> Told:
    """What a script prints about the door; each is run once."""
    packages = node_packages.install(FOLDER)
    settings = config.load({}, world.server.installation.folder / "nexus.toml", embedder="hashing").config
    answers: dict[str, Any] = {}

    def lasting(seconds: float) -> str:
        return f"Bearer {development_token(settings, 'owner@t_acme', timedelta(seconds=seconds))}"

    def tell(script: str) -> Any:
        if script not in answers:
            door = {
                "address": f"{world.server.address}/graphql",
                "headers": world.caller("t_acme", "owner").headers,
                "member": world.caller("t_acme", "member").headers,
                "unknown": "Bearer nobody.gave.this",
                "expired": lasting(-3600),
                "expiring": lasting(3),
                "operations": str(OPERATIONS),
            }
            try:
                answers[script] = node_packages.run(packages, f"{script}.mjs", DOOR=json.dumps(door))
            except pytest.fail.Exception as failure:
                answers[script] = failure  # for each of its checks, without running it again
        if isinstance(answers[script], pytest.fail.Exception):
            raise answers[script]
        return answers[script]

    return tell


@pytest.mark.parametrize(
    ("client", "check"),
    [pytest.param(client, check, id=f"{client}-{check}") for client, checks in CHECKS.items() for check in checks],
)
def test_a_client_of_the_ecosystem_works(told: Told, client: str, check: str) -> None:
    """It finds the door as its protocol promises."""
    assert told(client)[check] is None, told(client)[check]


@pytest.mark.parametrize("client", CHECKS)
def test_every_check_of_a_client_is_named(told: Told, figure: Figure, client: str) -> None:
    """What its script checks is what is asked above, and a client is told with the version that was installed."""
    seen = told(client)
    assert sorted(seen) == sorted(CHECKS[client])
    version = json.loads(LOCK.read_text("utf-8"))["packages"][f"node_modules/{PACKAGES[client]}"]["version"]
    passed = sum(failure is None for failure in seen.values())
    figure(8, f"{PACKAGES[client]} {version}", f"{passed} of {len(seen)} checks passed")


def test_the_audits_of_the_specification_pass(told: Told, figure: Figure) -> None:
    """All MUST and SHOULD audits of graphql-http; of the MAY ones, those that fail are named."""
    audits = told("audits")
    assert len(audits) >= 61
    failed = [audit for audit in audits if audit["status"] != "ok"]
    assert [audit for audit in failed if not audit["name"].startswith("MAY")] == []
    for word in ("MUST", "SHOULD", "MAY"):
        some = [audit for audit in audits if audit["name"].startswith(word)]
        left = ", ".join(audit["id"] for audit in some if audit in failed)
        passed = sum(audit not in failed for audit in some)
        figure(
            1, f"{word} audits of graphql-http", f"{passed} of {len(some)} passed" + (f"; not {left}" if left else "")
        )


async def test_a_client_outlives_a_restart(own_world: MakeWorld, figure: Figure) -> None:
    """graphql-ws is told that the service restarts, comes back by itself, and sees every entry once."""
    packages = await asyncio.to_thread(node_packages.install, FOLDER)
    world = own_world()
    caller = world.caller("t_acme", "owner")
    run_id = caller.ask(world.document("agent/OpenRun"), {"title": "outlives"})["openRun"]["run"]["id"]
    door = {"address": f"{world.server.address}/graphql", "headers": caller.headers, "operations": str(OPERATIONS)}
    script = asyncio.create_task(
        asyncio.to_thread(node_packages.run, packages, "restart.mjs", run_id, DOOR=json.dumps(door))
    )
    async with asyncio.timeout(STORY_SECONDS):
        await asyncio.to_thread(await_follower, caller, run_id)
        assert await asyncio.to_thread(world.server.stop) == 0
        await asyncio.to_thread(world.server.start)
        caller.ask(world.document("agent/CloseRun"), {"runId": run_id, "status": "SUCCEEDED"})
        seen = await script
    assert seen["numbers"] == [1, 2, 3]
    assert seen["closes"][0] == 1012
    figure(8, "graphql-ws, a restart of the server", "closed with 1012, 3 of 3 entries once")


def await_follower(caller: Caller, run_id: str) -> None:
    """Wait until the client has noted in the run that it follows."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if caller.ask("query Entries($id: ID!) { run(id: $id) { entries } }", {"id": run_id})["run"]["entries"] == 2:
            return
        time.sleep(0.05)
    pytest.fail(f"nobody follows after {WAIT_SECONDS} s")


def test_the_lock_names_no_registry() -> None:
    """Packages are known by the digest of their content, from wherever they come."""
    packages = json.loads(LOCK.read_text("utf-8"))["packages"]
    packages.pop("")
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if not package["integrity"].startswith("sha512-")] == []
