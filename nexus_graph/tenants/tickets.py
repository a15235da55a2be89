"""Stream tickets: short-lived proofs for those who can't send headers, such as a browser's EventSource.

A ticket is a JSON Web Token (RFC 7519), signed with a key for this purpose alone, of a type and an audience of its own:
no ticket is a bearer token, and no bearer token a ticket. It names a principal in one tenant and env, and when the
credentials end that it was made with. It carries no rights: these are looked up when it is used, as always.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from joserfc import jwt
from joserfc.errors import ExpiredTokenError
from joserfc.jwk import OctKey

from nexus_graph import safeguards
from nexus_graph.safeguards import Deed
from nexus_graph.scope.clock import micros, moment
from nexus_graph.scope.errors import Forbidden, Unauthenticated
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Principal, PrincipalKind, Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Stores
from nexus_graph.tenants.membership import DIRECTORY

LONGEST_TICKET = 2048
_ALGORITHM = "HS256"
_TYPE = "nexus-stream-ticket+jwt"
_AUDIENCE = "nexus-graph stream ticket"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket says. `credentials_end` is when the credentials end that it was made with."""

    principal: Principal
    tenant_id: str
    env: Env
    credentials_end: datetime


class Tickets:
    """Writes and reads tickets, signed with a key of their own derived from the installation's secret."""

    def __init__(self, secret: str, seconds: int) -> None:
        self._key = OctKey.import_key(hmac.digest(secret.encode(), b"nexus-graph stream ticket", "sha256"))
        self._life = timedelta(seconds=seconds)

    def write(self, scope: Scope, ticket_id: str, now: datetime) -> tuple[str, datetime]:
        """A ticket for a scope, and when it ends: never later than the scope's credentials."""
        if scope.expires_at is None:
            raise Forbidden("Nobody's credentials make no ticket.")
        if scope.expires_at <= now:  # a token counts for a little longer, so that clocks may differ; no stream does
            raise _refused("The credentials have expired.", expired=True)
        seconds = int(min(now + self._life, scope.expires_at).timestamp())
        claims = {
            "aud": _AUDIENCE,
            "jti": ticket_id,
            "sub": scope.principal.id,
            "kind": scope.principal.kind.value,
            "tenant": scope.tenant_id,
            "env": scope.env.value,
            "until": micros(scope.expires_at),
            "exp": seconds,
        }
        text = jwt.encode({"alg": _ALGORITHM, "typ": _TYPE}, claims, self._key, algorithms=[_ALGORITHM])
        return text, moment(seconds * 1_000_000)

    def read(self, text: str, now: datetime) -> Ticket:
        """What a ticket says. Raises Unauthenticated for anything else, marked as expired for one that ran out."""
        if len(text) > LONGEST_TICKET:
            raise _refused("The ticket is too long.")
        registry = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()), aud={"essential": True, "value": _AUDIENCE}, exp={"essential": True}
        )
        try:
            token = jwt.decode(text, self._key, algorithms=[_ALGORITHM])
            registry.validate(token.claims)
            if token.header.get("typ") != _TYPE:
                raise ValueError("of another type")
            principal = Principal(PrincipalKind(token.claims["kind"]), token.claims["sub"])
            ticket = Ticket(principal, token.claims["tenant"], Env(token.claims["env"]), moment(token.claims["until"]))
        except ExpiredTokenError as error:
            raise _refused("The ticket has expired.", expired=True) from error
        except Exception as error:  # joserfc's own and, for odd texts and claims, plain errors
            raise _refused("The ticket is not valid.") from error
        if now >= ticket.credentials_end:
            raise _refused("The credentials of the ticket have expired.", expired=True)
        return ticket


async def create_ticket(stores: Stores, scope: Scope, tickets: Tickets) -> tuple[str, datetime]:
    """Make a ticket for whoever asks. Returns it and when it ends; it is kept nowhere."""
    scope.require(Permission.VIEWER_READ)
    async with stores.work(scope, RunKind.ADMIN) as work:
        await safeguards.enforce(work, Deed("createStreamTicket", Permission.VIEWER_READ))
        ticket_id = work.new_id("ticket")
        text, expires_at = tickets.write(scope, ticket_id, work.now)
        work.record(Event("ticket.created", "ticket", ticket_id, redact({}), DIRECTORY))
    return text, expires_at


def _refused(message: str, *, expired: bool = False) -> Unauthenticated:
    return Unauthenticated(message, hint="Ask createStreamTicket for a new one.", expired=expired)
