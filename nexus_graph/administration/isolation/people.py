"""Somebody of every role in every place, and two owners of all tenants; and how they are sent away again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from itertools import cycle
from typing import TypeVar

import httpx

from nexus_graph.administration import console
from nexus_graph.administration.isolation.callers import Caller
from nexus_graph.administration.isolation.model import AGENT, OWNER, ROLES, Place, World
from nexus_graph.stores.paging import Page, Window
from nexus_graph.stores.work import Stores
from nexus_graph.tenants import keys, membership
from nexus_graph.tenants.model import MemberStatus

Item = TypeVar("Item")

BOTH, APPROVER, KEEPER = "both@proof.example", "approver@proof.example", "keeper@proof.example"


async def settle(
    stores: Stores,
    http: httpx.AsyncClient,
    addresses: Sequence[str],
    words: Mapping[tuple[str, str], str],
    token: Callable[[str], str],
) -> World:
    """Make the tenants and everybody in them, each of whom calls one of the addresses.

    `words`: each place's canary word; `token`: a subject's bearer token.
    """
    turns = cycle(addresses)
    known = {one.tenant_id for one in await membership.tenants(stores)}
    places = []
    for (tenant, env), word in words.items():
        scope = console.operator(tenant, env)
        if tenant not in known:
            await membership.create_tenant(stores, scope, tenant)
            known.add(tenant)
        next(turns)  # the next place begins with another
        credentials = {}
        for role in ROLES:
            if role == AGENT:
                key, credentials[role] = await keys.create_key(stores, scope, f"agent of {word}", 1)
            else:
                await membership.set_member(stores, scope, f"{role}@{tenant}", role)
                credentials[role] = token(f"{role}@{tenant}")
        for subject in (BOTH, APPROVER):
            await membership.set_member(stores, scope, subject, OWNER)
        callers = {role: Caller(http, next(turns), tenant, env, role, text) for role, text in credentials.items()}
        both, approver = (Caller(http, next(turns), tenant, env, who, token(who)) for who in (BOTH, APPROVER))
        places.append(Place(tenant, env, word, callers, both, approver, key_ids={key.key_id}))
    return World(places)


async def dismiss(stores: Stores, world: World) -> None:
    """Take every right from everybody in these tenants, and end every key.

    A tenant keeps an owner, for whom no token was made: with one, its places can be erased.
    """
    for tenant in sorted({place.tenant for place in world.places}):
        scope = next(console.operator(place.tenant, place.env) for place in world.places if place.tenant == tenant)
        await membership.set_member(stores, scope, KEEPER, OWNER)
        async for member in _all(lambda window, scope=scope: membership.members(stores, scope, window)):  # type: ignore[misc]
            if member.subject != KEEPER and member.status is not MemberStatus.REVOKED:
                await membership.revoke_member(stores, scope, member.subject)
    for place in world.places:
        scope = console.operator(place.tenant, place.env)
        async for key in _all(lambda window, scope=scope: keys.keys(stores, scope, window)):  # type: ignore[misc]
            if key.revoked_at is None:
                await keys.revoke_key(stores, scope, key.key_id)


async def _all(page: Callable[[Window], Awaitable[Page[Item]]]) -> AsyncIterator[Item]:
    window = Window(100)
    while True:
        found = await page(window)
        for item in found.items:
            yield item
        if not found.has_next:
            return
        window = Window(100, after=found.keys[-1])
