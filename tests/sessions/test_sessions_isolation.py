"""Session memory belongs to one principal in one tenant and env: nobody else ever sees, lists or erases it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from session_memory import contents, names, said

from nexus_graph import sessions
from nexus_graph.scope.errors import NotFound
from nexus_graph.scope.scope import Env, PrincipalKind, Role, Scope
from nexus_graph.sessions import NewEntry
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
Model = dict[tuple[int, str], tuple[list[str], float]]


@pytest.fixture
def principals(scope_of: MakeScope) -> list[Scope]:
    """Members, an owner and an admin of one tenant; the same person elsewhere; an agent with a person's name."""
    one = scope_of("t_acme", Role.MEMBER, who="one")
    return [
        one,
        scope_of("t_acme", Role.MEMBER, who="two"),
        scope_of("t_acme", Role.ADMIN, who="admin"),
        scope_of("t_acme", Role.OWNER, who="owner"),
        scope_of("t_acme", Role.AGENT, who="one"),
        replace(one, env=Env.PROD),
        scope_of("t_globex", Role.OWNER, who="one"),
    ]


async def test_nobody_else_sees_lists_or_erases(stores: Stores, principals: list[Scope]) -> None:
    """Not the owner, not the same person in another env, not an agent of the same name: as if it had never been."""
    mine, *others = principals
    await said(stores, mine, "chat", "a secret")
    for other in others:
        assert await sessions.fetch(stores, other, "chat") is None
        assert await names(stores, other) == []
        assert await contents(stores, other, "chat") == []
        refusals = []
        for session_id in ("chat", "unknown"):
            with pytest.raises(NotFound) as refused:
                await sessions.erase(stores, other, session_id)
            refusals.append((str(refused.value), refused.value.hint, refused.value.path))
        assert refusals[0] == refusals[1]
    assert principals[4].principal.kind is PrincipalKind.AGENT
    assert await contents(stores, mine, "chat") == ["a secret"]


@pytest.mark.parametrize("seed", [1, 2])
async def test_everybody_sees_just_what_they_wrote(
    stores: Stores, principals: list[Scope], clock: Any, seed: int
) -> None:
    """Random writing, replacing, erasing, waiting and sweeping against a dictionary: never a word of somebody else."""
    chance = random.Random(seed)  # noqa: S311 - a story, not a secret
    model: Model = {}
    for step in range(150):
        who, name = chance.randrange(len(principals)), chance.choice(["a", "b"])
        scope, now = principals[who], clock.now.timestamp()
        living = {key: value for key, value in model.items() if value[1] > now + 1e-3}
        before = living.get((who, name), ([], 0.0))[0]
        match chance.choice(["append", "append", "snapshot", "erase", "wait", "sweep"]):
            case "append":
                await said(stores, scope, name, f"{who} said {step}", seconds=100)
                model[who, name] = ([*before, f"{who} said {step}"], now + 100)
            case "snapshot":
                await sessions.put_snapshot(stores, scope, name, NewEntry(f"{who} kept {step}", True), seconds=50)
                model[who, name] = ([f"{who} kept {step}"], now + 50)
            case "erase":
                if before:
                    assert await sessions.erase(stores, scope, name) == len(before)
                    del model[who, name]
                else:
                    with pytest.raises(NotFound):
                        await sessions.erase(stores, scope, name)
            case "wait":
                clock.advance(seconds=chance.choice([1, 10, 40]))
            case "sweep":
                await sessions.sweep(stores)
        now = clock.now.timestamp()
        looker = chance.randrange(len(principals))
        for name in ("a", "b"):
            texts, ends = model.get((looker, name), ([], 0.0))
            expected = texts if ends > now + 1e-3 else []
            assert await contents(stores, principals[looker], name) == expected
        living_names = {name for (who, name), (_, ends) in model.items() if who == looker and ends > now + 1e-3}
        assert set(await names(stores, principals[looker])) == living_names
