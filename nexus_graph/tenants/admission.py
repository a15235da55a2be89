"""Admission: from what a client presents to a Scope, or a refusal. Missing or doubtful means refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

from nexus_graph.safeguards.rates.refusals import Refusals, Told
from nexus_graph.scope.errors import Forbidden, Invalid, Unauthenticated
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.policy import Policy
from nexus_graph.scope.scope import Env, Principal, PrincipalKind, Role, Scope, Surface, env, tenant
from nexus_graph.stores.journal import RunKind
from nexus_graph.stores.work import Stores
from nexus_graph.tenants import keys, table
from nexus_graph.tenants.model import MemberStatus
from nexus_graph.tenants.tickets import Tickets
from nexus_graph.tenants.tokens import Verifier

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_RUN_ID = re.compile(r"run_[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Presented:
    """What came with a request or a websocket's `connection_init`. Nothing of it is believed yet."""

    authorization: str | None
    tenant: str | None
    env: str | None
    traceparent: str | None
    request_id: str | None
    run: str | None
    ticket: str | None = None


class Admission:
    """Turns presented credentials into a Scope and, on live streams, checks again that it still holds.

    Who is not let in is journalled by way of `refusals`: a stranger may knock as often as they like.
    """

    def __init__(
        self, stores: Stores, verifier: Verifier, policy: Policy, refusals: Refusals, tickets: Tickets
    ) -> None:
        self._stores = stores
        self._refusals = refusals
        self._verifier = verifier
        self.policy = policy
        self.tickets = tickets

    async def admit(self, presented: Presented) -> Scope:
        """A Scope for valid credentials of an active member or a live key.

        Raises Unauthenticated without proof of who asks, Invalid without a well-formed tenant and env, Forbidden
        (in the same words for every reason) without a place in that tenant.
        """
        now = self._stores.clock()
        if presented.ticket is not None:
            return await self._by_ticket(presented, presented.ticket, now)
        secret = _bearer(presented.authorization)
        key_id = keys.key_id(secret)
        claims = None if key_id else await self._verifier.verify(secret, now)
        tenant_id, where = _place(presented)
        system = _traced(Scope.system(tenant_id, where, "admission", surface=Surface.GRAPHQL), presented)
        if claims is None:
            return await self._agent(system, secret, now, presented)
        principal = Principal(PrincipalKind.USER, claims.subject)
        role = await self._role_of(system, claims.subject)
        if role is None or (claims.development and where is not Env.DEV):
            await self._refuse(system, principal)
        return self._scope(system, principal, role or Role.MEMBER, claims.expires_at, presented)

    async def renew(self, scope: Scope) -> Scope:
        """The scope with the rights of this moment. Raises Unauthenticated when expired, Forbidden when out."""
        now = self._stores.clock()
        if scope.expires_at is None or now >= scope.expires_at:
            hint = "Connect again with a new token."
            raise Unauthenticated("The credentials have expired.", hint=hint, expired=True)
        role = await self.role_of_now(scope)
        if role is None:
            raise _outside()
        if role is scope.role and self.policy.version == scope.policy_version:
            return scope
        return replace(scope, role=role, rights=self.policy.rights[role], policy_version=self.policy.version)

    async def role_of_now(self, scope: Scope) -> Role | None:
        """The role of a scope's principal at this moment; None for who has no place in the tenant and env any more."""
        question = ("role", scope.key, scope.principal)
        return await self._stores.shared.once(question, lambda: self._present_role(scope))

    async def _agent(self, system: Scope, secret: str, now: datetime, presented: Presented) -> Scope:
        async with self._stores.read(system) as read:
            key = await keys.proven_key(read, secret)
        if key is not None and not key.lives(now):  # somebody holds on to it: its tenant shall know
            await self._journal(system, Principal(PrincipalKind.AGENT, key.key_id), Unauthenticated.code)
        if key is None or not key.lives(now):
            raise Unauthenticated(
                "The API key is unknown here, expired or revoked.", hint="Ask an admin for a new key."
            )
        return self._scope(system, Principal(PrincipalKind.AGENT, key.key_id), Role.AGENT, key.expires_at, presented)

    async def _by_ticket(self, presented: Presented, text: str, now: datetime) -> Scope:
        """Whoever it was made for, where it was made, for as long as their credentials last."""
        if presented.authorization is not None:
            raise Invalid("A ticket stands alone.", hint="Send a ticket, or a token or API key, not both.")
        ticket = self.tickets.read(text, now)
        system = _traced(Scope.system(ticket.tenant_id, ticket.env, "admission", surface=Surface.GRAPHQL), presented)
        for stated, own in ((presented.tenant, ticket.tenant_id), (presented.env and env(presented.env), ticket.env)):
            if stated and stated != own:
                await self._refuse(system, ticket.principal)
        role = await self._present_role(replace(system, principal=ticket.principal))
        if role is None:
            await self._refuse(system, ticket.principal)
        return self._scope(system, ticket.principal, role or Role.MEMBER, ticket.credentials_end, presented)

    async def _present_role(self, scope: Scope) -> Role | None:
        if scope.principal.kind is PrincipalKind.USER:
            return await self._role_of(scope, scope.principal.id)
        async with self._stores.read(scope) as read:
            row = await read.row(table.FIND_KEY, key_id=scope.principal.id)
        return Role.AGENT if row is not None and row["revoked_at"] is None else None

    async def _role_of(self, scope: Scope, subject: str) -> Role | None:
        async with self._stores.read(scope) as read:
            row = await read.row(table.FIND_MEMBER, subject=subject)
        active = row is not None and row["status"] == MemberStatus.ACTIVE
        return Role(row["role"]) if row is not None and active else None

    async def _refuse(self, system: Scope, principal: Principal) -> None:
        async with self._stores.read(system) as read:
            known = await read.row(table.FIND_TENANT) is not None
        if known:  # a refusal is journalled where there is a journal: strangers open none
            await self._journal(system, principal, Forbidden.code)
        raise _outside()

    async def _journal(self, system: Scope, principal: Principal, code: str) -> None:
        told = Told("admission.refused", principal.kind.value, principal.id, code, RunKind.ADMIN)
        await self._refusals.tell(system, told)

    def _scope(
        self, system: Scope, principal: Principal, role: Role, expires_at: datetime, presented: Presented
    ) -> Scope:
        rights: frozenset[Permission] = self.policy.rights[role]
        return replace(
            system,
            principal=principal,
            role=role,
            rights=rights,
            policy_version=self.policy.version,
            run_id=_run(presented.run),
            expires_at=expires_at,
        )


def _bearer(authorization: str | None) -> str:
    scheme, _, secret = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated(
            "No credentials.", hint="Send 'Authorization: Bearer <token>' with a current token or an API key."
        )
    return secret.strip()


def _place(presented: Presented) -> tuple[str, Env]:
    if not presented.tenant:
        raise Invalid("No tenant.", hint="Send the header X-Nexus-Tenant, or the same key in connection_init.")
    if not presented.env:
        raise Invalid("No env.", hint="Send the header X-Nexus-Env: dev, staging or prod.")
    return tenant(presented.tenant), env(presented.env)


def _traced(scope: Scope, presented: Presented) -> Scope:
    trace = _TRACEPARENT.fullmatch(presented.traceparent or "")
    request = _REQUEST_ID.fullmatch(presented.request_id or "")
    return replace(
        scope,
        trace_id=trace[1] if trace else scope.trace_id,
        request_id=request[0] if request else scope.request_id,
    )


def _run(presented: str | None) -> str | None:
    if presented is None:
        return None
    if not _RUN_ID.fullmatch(presented):
        raise Invalid("The run id in X-Nexus-Run is malformed.", hint="Send the id that openRun answered with.")
    return presented


def _outside() -> Forbidden:
    return Forbidden("No access to this tenant and env.", hint="Ask an owner of the tenant for a membership.")
