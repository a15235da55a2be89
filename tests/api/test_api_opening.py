"""A turn of openings ends before anything that waits for a client: who does not read holds up nobody who opens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inside_house import TENANT, Inside, inside

from nexus_graph.api.context import Context, from_headers
from nexus_graph.api.operations.execution import EVERY_KIND, Execution, Refused
from nexus_graph.api.operations.operation import Operation
from nexus_graph.api.operations.persisted import digest_of
from nexus_graph.api.schema import built
from nexus_graph.scope.scope import Scope

FOLLOW = "subscription ($run: ID!, $after: String) { runLog(runId: $run, after: $after) { __typename } }"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Inside]:
    """A house of its own."""
    with inside(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (FOLLOW, {}),
        (FOLLOW, {"run": None}),
        (FOLLOW, {"after": "no cursor"}),
        (FOLLOW, {"run": "run_" + "0" * 32}),
        ("subscription { nothing }", {}),
    ],
)
def test_it_is_over_before_the_first_answer(house: Inside, query: str, variables: dict[str, Any]) -> None:
    """And before a refusal, however early or late that comes."""
    owner = house.caller("owner")
    run = owner.ask('mutation { openRun(input: {title: "x"}) { run { id } } }')["openRun"]["run"]["id"]
    execution, pacing = Execution(built(), house.house), house.house.stores.pacing

    async def told(scope: Scope) -> None:
        context = Context(house.house, scope)
        context.opening = pacing.opening(scope)
        await context.opening.begin()
        asked = {"query": query, "variables": {"run": run, **variables}}
        try:
            prepared = await execution.prepare(context, Operation.of(asked), EVERY_KIND)
            async with aclosing(execution.stream(prepared)) as answers:
                async for _ in answers:
                    break
                await another(scope)
        except Refused:
            await another(scope)

    async def another(scope: Scope) -> None:
        async with asyncio.timeout(5), pacing.turn(scope):
            pass

    house.run(told(house.run(house.house.admission.admit(from_headers(lower(owner.headers))))))


def test_only_what_is_known_opens(house: Inside) -> None:
    """What was never run is read first; what comes with its digest is not remembered of whoever may send it."""
    owner = house.caller("owner")
    scope = house.run(house.house.admission.admit(from_headers(lower(owner.headers))))
    execution = Execution(built(), house.house)
    follow, query = (
        Operation.of({"query": FOLLOW, "variables": {"run": "run_1"}}),
        Operation.of({"query": "{ viewer { role } }"}),
    )
    assert not execution.opens(scope, follow)
    for operation in (follow, query):
        house.run(execution.prepare(Context(house.house, scope), operation, EVERY_KIND))
    assert execution.opens(scope, follow)
    assert not execution.opens(scope, query)
    assert not execution.opens(scope, replace(follow, digest=digest_of(FOLLOW)))
    assert not execution.opens(scope, replace(follow, name="Unknown"))
    assert scope.tenant_id == TENANT


def lower(headers: dict[str, str]) -> dict[str, str]:
    """As a server gives them."""
    return {name.lower(): value for name, value in headers.items()}
