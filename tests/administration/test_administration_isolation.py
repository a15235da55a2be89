"""The proof of isolation finds the holes that are cut on purpose: by random operations, and by searching."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from engines import behind

from nexus_graph.administration.isolation import opening, operations, searching
from nexus_graph.administration.isolation.callers import Answer, Caller
from nexus_graph.administration.isolation.model import OPERATIONS, Tally
from nexus_graph.cards import table as cards
from nexus_graph.engines import open_whole
from nexus_graph.runs import table as runs
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.sessions import table as sessions
from nexus_graph.stores.statement import Statement

pytestmark = pytest.mark.long

PLACES = {
    ("t_proof_one", "dev"): "canaryaaaaaaaaaaaaaaaaaaaaaaaa",
    ("t_proof_one", "prod"): "canarybbbbbbbbbbbbbbbbbbbbbbbb",
    ("t_proof_two", "dev"): "canarycccccccccccccccccccccccc",
}
MOST = 20_000


async def proven(most: int, *, until_a_fault: bool) -> Tally:
    """A whole proof but for the walk, small."""
    tally = Tally()
    async with opening.opened(PLACES) as (world, house):
        await operations.run(world, 3, most, tally, lambda tally: not (until_a_fault and tally.faults))
        async with open_whole(house.config, house.stores) as whole:
            await searching.strays(world, whole, [house.config.data.parent], tally)
    return tally


def wide(sql: str) -> str:
    """A statement that looks into every tenant, though it names the caller's."""
    return re.sub(r"(\w+[.])?tenant_id = :tenant_id and (\w+[.])?env = :env", ":tenant_id <> :env", sql)


async def test_walls_that_stand_are_told_to_stand() -> None:
    """Without a hole there is no fault, and the operations were what they say: reads, writes and refusals."""
    tally = await proven(1500, until_a_fault=False)
    assert tally.faults == []
    assert tally.operations >= 1500
    assert all(tally.tried[kind] > 10 for kind in OPERATIONS)
    assert tally.tried[searching.TABLES] > 20
    assert tally.tried[searching.FILES] > 3


def forget_the_tenant_of_a_card(patch: pytest.MonkeyPatch) -> None:
    """Reading by id."""
    patch.setattr(cards, "FIND_MANY", Statement(wide(cards.FIND_MANY.sql)))


def list_the_cards_of_every_env(patch: pytest.MonkeyPatch) -> None:
    """A list of the right tenant, but of all its envs."""
    patch.setattr(cards, "CARDS", cards.CARDS.replace("card.env = :env", ":env <> ''"))


def read_sessions_by_their_name_alone(patch: pytest.MonkeyPatch) -> None:
    """An owner reads what a member's agent was told in confidence."""
    whose = "actor_kind = :actor_kind and actor_id = :actor_id"
    anybody = ":actor_kind <> '' and :actor_id <> ''"
    patch.setattr(sessions, "FIND", Statement(sessions.FIND.sql.replace(whose, anybody)))


def audit_every_tenant(patch: pytest.MonkeyPatch) -> None:
    """A journal that is read without its tenant."""
    patch.setattr(runs, "AUDIT", wide(runs.AUDIT))


def give_members_what_admins_hold(patch: pytest.MonkeyPatch) -> None:
    """A policy that is too kind."""
    may = Scope.may
    require = Scope.require
    patch.setattr(Scope, "may", lambda scope, right: scope.role is Role.MEMBER or may(scope, right))
    patch.setattr(Scope, "require", lambda scope, right: None if scope.role is Role.MEMBER else require(scope, right))


def log_what_is_asked(patch: pytest.MonkeyPatch) -> None:
    """A line that tells content."""
    ask = Caller.ask

    async def telling(self: Caller, document: str, variables: Any = None, **headers: str) -> Answer:
        structlog.get_logger("a.slip").warning("asked", variables=str(variables))
        return await ask(self, document, variables, **headers)

    patch.setattr(Caller, "ask", telling)


@pytest.mark.parametrize(
    ("cut", "most", "told"),
    [
        (
            forget_the_tenant_of_a_card,
            MOST,
            r"card.*(shows (the word|card_\w+) of t_proof|is not its own and was found)",
        ),
        (list_the_cards_of_every_env, MOST, r"cards: (shows|lists \[.*which it does not have)"),
        (read_sessions_by_their_name_alone, MOST, r"session: the session .* (is not its own and was found|remembers)"),
        (audit_every_tenant, MOST, r"audit.*: shows .*t_proof"),
        (give_members_what_admins_hold, MOST, r"member of .*expected FORBIDDEN"),
        (log_what_is_asked, 200, r"server\.log holds the word of"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
async def test_a_hole_that_is_cut_is_found(
    monkeypatch: pytest.MonkeyPatch, cut: Callable[[pytest.MonkeyPatch], None], most: int, told: str
) -> None:
    """A statement without its tenant, a list without its env, a line of log with content: each is a fault."""
    cut(monkeypatch)
    tally = await proven(most, until_a_fault=most == MOST)
    assert [fault for fault in tally.faults if re.search(told, fault)], tally.faults


async def test_what_lies_in_the_wrong_place_is_found() -> None:
    """A row and an object with another place's word are named; at home they are not."""
    tally = Tally()
    async with opening.opened(PLACES) as (world, house):
        one, _, two = world.places
        for place, word in ((one, one.word), (two, one.word)):
            tenant, env = place.tenant, place.env
            async with behind(house.stores) as connection:
                await connection.rows(
                    "insert into follower_checkpoints (tenant_id, env, follower, seq) values (:tenant, :env, :name, 0)",
                    {"tenant": tenant, "env": env, "name": word},
                )
            await house.stores.blobs.put(f"tenants/{tenant}/{env}/raw/a/b.txt", word.encode())
        async with open_whole(house.config, house.stores) as whole:
            await searching.strays(world, whole, [house.config.data.parent], tally)
    assert tally.faults == [
        "follower_checkpoints: a row of t_proof_two/dev holds the word of t_proof_one/dev",
        "nexus-data/objects/tenants/t_proof_two/dev/raw/a/b.txt holds the word of t_proof_one/dev",
    ]
