"""Stream tickets: what one says, who may use it, for how long; and everything that is none."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from engines import behind
from joserfc import jwt
from joserfc.jwk import OctKey

from nexus_graph.scope.errors import Unauthenticated
from nexus_graph.scope.scope import Env, PrincipalKind, Role, Scope
from nexus_graph.tenants.tickets import LONGEST_TICKET, Tickets, create_ticket

SECRET = "a signing secret for tests only, 32+"
MakeScope = Callable[..., Scope]


@pytest.fixture
def tickets() -> Tickets:
    """Tickets that open streams for a minute."""
    return Tickets(SECRET, 60)


@pytest.mark.parametrize("role", [Role.OWNER, Role.MEMBER, Role.AGENT])
async def test_a_ticket_names_who_made_it(
    tickets: Tickets, stores: Any, scope_of: MakeScope, clock: Any, role: Role
) -> None:
    """Principal, kind, tenant, env and the end of the credentials; it lives for a minute, no longer."""
    scope = scope_of("t_acme", role, Env.STAGING)
    text, expires_at = await create_ticket(stores, scope, tickets)
    ticket = tickets.read(text, clock.now)
    assert (ticket.principal, ticket.tenant_id, ticket.env) == (scope.principal, "t_acme", Env.STAGING)
    assert ticket.credentials_end == scope.expires_at
    assert timedelta(seconds=58) <= expires_at - clock.now <= timedelta(seconds=60)
    clock.advance(seconds=58)
    tickets.read(text, clock.now)
    clock.advance(seconds=4)
    with pytest.raises(Unauthenticated) as refused:
        tickets.read(text, clock.now)
    assert refused.value.expired


def test_a_ticket_never_outlives_the_credentials(tickets: Tickets, scope_of: MakeScope, clock: Any) -> None:
    """Of somebody who has ten seconds left it is good for ten seconds."""
    end = clock.now + timedelta(seconds=10)
    scope = replace(scope_of(), expires_at=end)
    text, expires_at = tickets.write(scope, "ticket_1", clock.now)
    assert expires_at <= end
    clock.advance(seconds=8)
    tickets.read(text, clock.now)
    clock.advance(seconds=3)
    with pytest.raises(Unauthenticated) as refused:
        tickets.read(text, clock.now)
    assert refused.value.expired


def test_nobody_makes_a_ticket_with_credentials_that_have_run_out(
    tickets: Tickets, scope_of: MakeScope, clock: Any
) -> None:
    """Not in the moment either, in which a token still counts for a query."""
    scope = replace(scope_of(), expires_at=clock.now)
    with pytest.raises(Unauthenticated) as refused:
        tickets.write(scope, "ticket_1", clock.now)
    assert refused.value.expired


async def test_the_journal_tells_of_a_ticket_and_not_the_ticket(
    tickets: Tickets, stores: Any, scope_of: MakeScope
) -> None:
    """One entry, with the ticket's id; a rehearsal leaves none."""
    scope = scope_of()
    text, _ = await create_ticket(stores, scope, tickets)
    await create_ticket(stores, replace(scope, rehearsal=True), tickets)
    async with behind(stores) as connection:
        rows = await connection.rows("select * from journal_events where action = 'ticket.created'", {})
    [row] = rows
    assert row["subject_id"].startswith("ticket_")
    assert text.rpartition(".")[2] not in str(dict(row))


def signed(secret: str = SECRET, purpose: bytes = b"nexus-graph stream ticket", **changed: Any) -> str:
    """A ticket by hand, with some claims changed; None leaves one out, `typ` changes the type."""
    header = {"alg": "HS256", "typ": changed.pop("typ", "nexus-stream-ticket+jwt")}
    whole = {
        "aud": "nexus-graph stream ticket",
        "jti": "ticket_1",
        "sub": "ada",
        "kind": "user",
        "tenant": "t_acme",
        "env": "dev",
        "until": 2**52,
        "exp": 2**32,
    } | changed
    claims = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(header, claims, OctKey.import_key(hmac.digest(secret.encode(), purpose, "sha256")))


FORGED: dict[str, str] = {
    "nothing": "",
    "a word": "sesame",
    "three dots": "...",
    "not ASCII": "tïcket.é.x",
    "too long": "x" * (LONGEST_TICKET + 1),
    "another secret": signed("another signing secret for tests, 32+"),
    "the key of cursors": signed(purpose=b"nexus-graph cursor"),
    "another audience": signed(aud="nexus-graph"),
    "no audience": signed(aud=None),
    "another type": signed(typ="JWT"),
    "no expiry": signed(exp=None),
    "an odd expiry": signed(exp="tomorrow"),
    "no end of the credentials": signed(until=None),
    "an odd end of the credentials": signed(until="x"),
    "no subject": signed(sub=None),
    "no tenant": signed(tenant=None),
    "an unknown env": signed(env="test"),
    "an unknown kind": signed(kind="somebody"),
    "a bent signature": signed()[:-4] + "AAAA",
}


@pytest.mark.parametrize("case", FORGED)
def test_what_is_no_ticket_is_refused(tickets: Tickets, clock: Any, case: str) -> None:
    """Unauthenticated, not as expired, without a word of what was sent."""
    with pytest.raises(Unauthenticated) as refused:
        tickets.read(FORGED[case], clock.now)
    assert not refused.value.expired
    assert FORGED[case][:20] not in str(refused.value) or not FORGED[case]


def test_a_ticket_by_hand_is_read(tickets: Tickets, clock: Any) -> None:
    """The permitted control of the forged ones: nothing changed."""
    assert tickets.read(signed(), clock.now).principal.kind is PrincipalKind.USER
