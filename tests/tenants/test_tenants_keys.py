"""API keys: shown once, kept as a hash, bounded, revocable."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from engines import everything_in

from nexus_graph.scope.errors import Forbidden, Invalid, NotFound
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.paging import Window
from nexus_graph.stores.work import Stores
from nexus_graph.tenants.keys import create_key, key_id, keys, revoke_key

ScopeOf = Callable[..., Scope]


async def test_the_secret_is_nowhere_in_the_database(stores: Stores, scope_of: ScopeOf) -> None:
    """Neither the key's row nor the journal holds it; its id does not give it away."""
    key, secret = await create_key(stores, scope_of(), " reporting ", 30)
    assert (key.name, key_id(secret), key.expires_at - key.created_at) == ("reporting", key.key_id, timedelta(days=30))
    random_part = secret.removeprefix(f"nxk_{key.key_id}_")
    assert len(random_part) == 43
    kept = await everything_in(stores)
    assert random_part not in kept
    assert key.key_id in kept


@pytest.mark.parametrize(("name", "days"), [("", 1), ("  ", 1), ("x" * 101, 1), ("ok", 0), ("ok", -1), ("ok", 367)])
async def test_a_key_has_a_name_and_an_end(stores: Stores, scope_of: ScopeOf, name: str, days: int) -> None:
    """1 to 100 characters, 1 to 366 days."""
    with pytest.raises(Invalid):
        await create_key(stores, scope_of(), name, days)


async def test_keys_are_listed_newest_first_without_secrets(stores: Stores, scope_of: ScopeOf) -> None:
    """Only those of the tenant and env."""
    made = [(await create_key(stores, scope_of(), f"key {place}", 1))[0] for place in range(3)]
    await create_key(stores, scope_of("t_globex"), "else", 1)
    await create_key(stores, scope_of(env=Env.PROD), "else", 1)
    found = await keys(stores, scope_of(), Window(2))
    assert found.items == (made[2], made[1])
    assert found.has_next
    assert not hasattr(found.items[0], "secret_sha256")


async def test_revoking_is_final_and_happens_once(stores: Stores, scope_of: ScopeOf) -> None:
    """A second revocation changes nothing of the time."""
    key, _ = await create_key(stores, scope_of(), "key", 1)
    first = await revoke_key(stores, scope_of(), key.key_id)
    assert first.revoked_at is not None
    assert (await revoke_key(stores, scope_of(), key.key_id)).revoked_at == first.revoked_at


async def test_keys_elsewhere_are_not_found(stores: Stores, scope_of: ScopeOf) -> None:
    """Unknown, another tenant's and another env's key in the same words."""
    key, _ = await create_key(stores, scope_of(), "key", 1)
    heard = set()
    for scope, wanted in [(scope_of("t_globex"), key.key_id), (scope_of(env=Env.PROD), key.key_id), (scope_of(), "x")]:
        with pytest.raises(NotFound) as refused:
            await revoke_key(stores, scope, wanted)
        heard.add(str(refused.value))
    assert len(heard) == 1


@pytest.mark.parametrize("role", [Role.MEMBER, Role.AGENT])
async def test_keys_take_an_admin(stores: Stores, scope_of: ScopeOf, role: Role) -> None:
    """Members and agents neither make, revoke nor see keys."""
    scope = scope_of(role=role)
    with pytest.raises(Forbidden):
        await create_key(stores, scope, "key", 1)
    with pytest.raises(Forbidden):
        await revoke_key(stores, scope, "x")
    with pytest.raises(Forbidden):
        await keys(stores, scope, Window(1))
