"""Admission: from what is presented to a Scope, or to a refusal that tells strangers nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OKPKey
from token_house import AUDIENCE, ISSUER, KEY, trusted, write_keys

from nexus_graph.safeguards.rates.refusals import Refusals
from nexus_graph.scope.errors import Forbidden, Invalid, NexusError, Unauthenticated
from nexus_graph.scope.policy import Policy
from nexus_graph.scope.scope import Env, PrincipalKind, Role, Scope
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores
from nexus_graph.tenants.admission import Admission, Presented
from nexus_graph.tenants.keys import create_key, revoke_key
from nexus_graph.tenants.membership import create_tenant, revoke_member, set_member
from nexus_graph.tenants.tickets import Tickets
from nexus_graph.tenants.tokens import Verifier, issue, new_development_key

ScopeOf = Callable[..., Scope]
SECRET = "a signing secret for tests only, 32+"
DEVELOPMENT = new_development_key()
EVENTS = Statement("select * from journal_events where tenant_id = :tenant_id and env = :env and action = :action")


def system(tenant: str = "t_acme", env: Env = Env.DEV) -> Scope:
    """The engine."""
    return Scope.system(tenant, env, "test")


@pytest.fixture
async def refusals(stores: Stores) -> AsyncIterator[Refusals]:
    """Tells the journal who was not let in."""
    made = Refusals(stores)
    yield made
    await made.close()


@pytest.fixture
async def admission(stores: Stores, policy: Policy, tmp_path: Path, refusals: Refusals) -> Admission:
    """Two tenants; in Acme ada owns, mia is a member, pat is pending; in Globex gus owns."""
    issuer = trusted(write_keys(tmp_path / "jwks.json", KEY))
    development = write_keys(tmp_path / "development.json", DEVELOPMENT)
    for tenant in ("t_acme", "t_globex"):
        await create_tenant(stores, system(tenant), tenant)
    await set_member(stores, system(), "ada", "owner")
    await set_member(stores, system(), "mia", "member")
    await set_member(stores, system(), "pat", "admin", pending=True)
    await set_member(stores, system("t_globex"), "gus", "owner")
    return Admission(stores, Verifier([issuer], development), policy, refusals, Tickets(SECRET, 60))


@pytest.fixture
def token(clock: Any) -> Callable[..., str]:
    """Makes tokens for a subject."""

    def make(subject: str, key: OKPKey = KEY, seconds: int = 3600) -> str:
        lifetime = timedelta(seconds=seconds)
        if key is DEVELOPMENT:
            return issue(key, subject=subject, now=clock.now, lifetime=lifetime)
        return issue(key, issuer=ISSUER, audience=AUDIENCE, subject=subject, now=clock.now, lifetime=lifetime)

    return make


def presented(secret: str | None, tenant: str | None = "t_acme", env: str | None = "prod", **more: str) -> Presented:
    """What a request brings."""
    authorization = None if secret is None else f"Bearer {secret}"
    return Presented(authorization, tenant, env, more.get("traceparent"), more.get("request_id"), more.get("run"))


@pytest.mark.parametrize(("subject", "role"), [("ada", Role.OWNER), ("mia", Role.MEMBER)])
async def test_a_member_gets_the_rights_of_the_role_in_the_store(
    admission: Admission, token: Callable[..., str], policy: Policy, subject: str, role: Role
) -> None:
    """Tenant and env from the request, role from the store, rights from the policy, the end from the token."""
    scope = await admission.admit(presented(token(subject), env="production"))
    assert (scope.key, scope.principal.kind, scope.principal.id) == (("t_acme", "prod"), PrincipalKind.USER, subject)
    assert (scope.role, scope.rights, scope.policy_version) == (role, policy.rights[role], policy.version)
    assert scope.expires_at is not None
    assert scope.run_id is None


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Token x", "nxk_x"])
async def test_no_credentials_are_refused(admission: Admission, authorization: str | None) -> None:
    """Nothing, another scheme and a bare word are nobody."""
    with pytest.raises(Unauthenticated):
        await admission.admit(replace(presented("x"), authorization=authorization))


PLACES: list[tuple[str | None, str | None]] = [
    (None, "dev"),
    ("", "dev"),
    ("acme", "dev"),
    ("t_Acme", "dev"),
    ("t_acme\n", "dev"),
    ("t_../x", "dev"),
    ("t_" + "a" * 63, "dev"),
    ("t_acme", None),
    ("t_acme", ""),
    ("t_acme", "test"),
    ("t_acme", "DEV"),
    ("t_acme", "dev "),
]


@pytest.mark.parametrize(("tenant", "env"), PLACES)
async def test_tenant_and_env_are_never_guessed(
    admission: Admission, token: Callable[..., str], tenant: str | None, env: str | None
) -> None:
    """Missing, malformed and unknown ones are Invalid for a known caller; a stranger learns not even that."""
    with pytest.raises(Invalid):
        await admission.admit(presented(token("ada"), tenant, env))
    with pytest.raises(Unauthenticated):
        await admission.admit(presented("garbage", tenant, env))


async def test_everybody_without_a_place_hears_the_same_words(
    admission: Admission, stores: Stores, token: Callable[..., str]
) -> None:
    """Unknown tenant, another's tenant, no member, pending and revoked: one message, one hint."""
    await revoke_member(stores, system(), "mia")
    heard = set()
    for subject, tenant in [
        ("ada", "t_unknown"),
        ("ada", "t_globex"),
        ("nobody", "t_acme"),
        ("pat", "t_acme"),
        ("mia", "t_acme"),
    ]:
        with pytest.raises(Forbidden) as refused:
            await admission.admit(presented(token(subject), tenant))
        heard.add((refused.value.message, refused.value.hint, refused.value.path))
    assert len(heard) == 1


async def test_a_refusal_is_journalled_where_there_is_a_tenant(
    admission: Admission, stores: Stores, token: Callable[..., str]
) -> None:
    """The tenant can see who knocked; a tenant that does not exist gets no journal."""
    for tenant in ("t_globex", "t_unknown"):
        with pytest.raises(Forbidden):
            await admission.admit(presented(token("ada"), tenant))
    async with stores.read(system("t_globex", Env.PROD)) as read:
        (told,) = await read.rows(EVENTS, action="admission.refused")
    assert (told["subject_kind"], told["subject_id"], told["ends"]) == ("user", "ada", "REFUSED")
    assert "t_unknown" not in {tenant for tenant, _, _ in await stores.heads()}


async def test_who_knocks_all_day_fills_no_journal(
    admission: Admission, refusals: Refusals, stores: Stores, token: Callable[..., str]
) -> None:
    """The first refusal of a second is told at once, the others as one number; everybody has their own."""
    for subject, times in (("gus", 40), ("ada", 1)):
        for _ in range(times):
            with pytest.raises(Forbidden):
                await admission.admit(
                    presented(token(subject, DEVELOPMENT), "t_acme" if subject == "gus" else "t_globex")
                )
    await refusals.close()
    for tenant, subject, counts in (("t_acme", "gus", [1, 39]), ("t_globex", "ada", [1])):
        async with stores.read(system(tenant, Env.PROD)) as read:
            rows = await read.rows(EVENTS, action="admission.refused")
        assert {row["subject_id"] for row in rows} == {subject}
        assert [json.loads(row["payload"])["input"]["count"] for row in rows] == counts


@pytest.mark.parametrize("env", ["staging", "prod"])
async def test_a_development_token_is_good_in_dev_alone(
    admission: Admission, token: Callable[..., str], env: str
) -> None:
    """Even for an owner."""
    secret = token("ada", DEVELOPMENT)
    assert (await admission.admit(presented(secret, env="dev"))).role is Role.OWNER
    with pytest.raises(Forbidden):
        await admission.admit(presented(secret, env=env))


async def test_a_key_admits_an_agent(admission: Admission, stores: Stores, policy: Policy) -> None:
    """The principal is the key's id, the rights are the agent's, the end is the key's."""
    key, secret = await create_key(stores, system(), "agent", 30)
    scope = await admission.admit(presented(secret, env="dev"))
    assert (scope.principal.kind, scope.principal.id) == (PrincipalKind.AGENT, key.key_id)
    assert (scope.role, scope.rights, scope.expires_at) == (Role.AGENT, policy.rights[Role.AGENT], key.expires_at)


async def test_a_key_that_does_not_hold_is_refused_in_the_same_words(
    admission: Admission, stores: Stores, clock: Any
) -> None:
    """Wrong secret, unknown id, other tenant, other env, revoked, expired."""
    key, secret = await create_key(stores, system(), "agent", 1)
    revoked, revoked_secret = await create_key(stores, system(), "revoked", 30)
    await revoke_key(stores, system(), revoked.key_id)
    wrong = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    unknown = secret.replace(key.key_id, "0" * 32)
    heard = set()

    async def refused(secret: str, tenant: str = "t_acme", env: str = "dev") -> None:
        with pytest.raises(Unauthenticated) as error:
            await admission.admit(presented(secret, tenant, env))
        heard.add((error.value.message, error.value.hint))

    await refused(wrong)
    await refused(unknown)
    await refused(revoked_secret)
    await refused(secret, tenant="t_globex")
    await refused(secret, tenant="t_unknown")
    await refused(secret, env="prod")
    clock.advance(days=1)
    await refused(secret)
    assert len(heard) == 1
    async with stores.read(system()) as read:
        told = [row["subject_id"] for row in await read.rows(EVENTS, action="admission.refused")]
    assert told == [revoked.key_id, key.key_id], "who proves a key that has ended is told to its tenant, nobody else"


@pytest.mark.parametrize("secret", ["nxk_", "nxk_x_y", f"nxk_{'0' * 32}_{'a' * 42}", f"nxk_{'0' * 32}_{'a' * 44}"])
async def test_a_malformed_key_is_no_credential(admission: Admission, secret: str) -> None:
    """Neither a key nor a token."""
    with pytest.raises(Unauthenticated):
        await admission.admit(presented(secret))


async def test_trace_and_request_ids_are_taken_when_well_formed_and_made_otherwise(
    admission: Admission, token: Callable[..., str]
) -> None:
    """W3C traceparent and a plain request id; anything else is replaced, never refused, never kept."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    good = presented(token("ada"), traceparent=f"00-{trace}-b7ad6b7169203331-01", request_id="request.id-01")
    scope = await admission.admit(good)
    assert (scope.trace_id, scope.request_id) == (trace, "request.id-01")
    for bad in (f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-{trace.upper()}-b7ad6b7169203331-01", "x", "", trace):
        scope = await admission.admit(presented(token("ada"), traceparent=bad, request_id="bad id\n"))
        assert scope.trace_id != trace
        assert len(scope.trace_id) == 32
        assert scope.request_id.startswith("req_")


async def test_a_run_id_must_be_well_formed(admission: Admission, token: Callable[..., str]) -> None:
    """It is taken as it is, or refused."""
    run = f"run_{'a' * 32}"
    assert (await admission.admit(presented(token("ada"), run=run))).run_id == run
    for bad in ("run_1", "", "run_" + "A" * 32, run + "\n"):
        with pytest.raises(Invalid):
            await admission.admit(presented(token("ada"), run=bad))


async def test_renewing_follows_the_membership(
    admission: Admission, stores: Stores, token: Callable[..., str], policy: Policy
) -> None:
    """A new role counts at once, a pending or revoked membership ends it; the rest of the scope stays."""
    scope = await admission.admit(presented(token("mia"), run=f"run_{'a' * 32}"))
    await set_member(stores, system(), "mia", "admin")
    renewed = await admission.renew(scope)
    assert renewed == replace(scope, role=Role.ADMIN, rights=policy.rights[Role.ADMIN])
    await set_member(stores, system(), "mia", "admin", pending=True)
    with pytest.raises(Forbidden):
        await admission.renew(scope)
    await set_member(stores, system(), "mia", "member")
    assert (await admission.renew(renewed)).role is Role.MEMBER
    await revoke_member(stores, system(), "mia")
    with pytest.raises(Forbidden):
        await admission.renew(renewed)


async def test_renewing_ends_with_the_credentials(
    admission: Admission, stores: Stores, token: Callable[..., str], clock: Any
) -> None:
    """A token and a key that have run out are Unauthenticated; a revoked key is Forbidden."""
    _, secret = await create_key(stores, system(), "agent", 1)
    revoked, revoked_secret = await create_key(stores, system(), "revoked", 1)
    user = await admission.admit(presented(token("ada", seconds=60)))
    agent = await admission.admit(presented(secret, env="dev"))
    cut = await admission.admit(presented(revoked_secret, env="dev"))
    assert (await admission.renew(agent)).role is Role.AGENT
    await revoke_key(stores, system(), revoked.key_id)
    with pytest.raises(Forbidden):
        await admission.renew(cut)
    clock.advance(seconds=61)
    with pytest.raises(Unauthenticated):
        await admission.renew(user)
    await admission.renew(agent)
    clock.advance(days=1)
    with pytest.raises(Unauthenticated):
        await admission.renew(agent)


async def test_the_engine_itself_cannot_be_renewed(admission: Admission) -> None:
    """A scope without an end never came through admission."""
    with pytest.raises(NexusError):
        await admission.renew(system())
