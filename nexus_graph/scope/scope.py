"""Who asks, for which tenant and env, and with which rights: the capability that opens every store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from nexus_graph.scope.errors import Forbidden, Invalid
from nexus_graph.scope.ids import new_id, new_trace_id
from nexus_graph.scope.permission import Permission

TENANT_ID = re.compile(r"t_[a-z0-9][a-z0-9_-]{0,61}")


class Env(StrEnum):
    """The three separate worlds of a tenant."""

    DEV = "dev"
    STAGING = "staging"
    PROD = "prod"


_ENV_NAMES = {
    "dev": Env.DEV,
    "development": Env.DEV,
    "staging": Env.STAGING,
    "stage": Env.STAGING,
    "prod": Env.PROD,
    "production": Env.PROD,
}


class Role(StrEnum):
    """What a principal is in a tenant. `SYSTEM` is the engine itself and never comes from outside."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    AGENT = "agent"
    SYSTEM = "system"


class PrincipalKind(StrEnum):
    """What stands behind a request."""

    USER = "user"
    AGENT = "agent"
    SYSTEM = "system"


class Surface(StrEnum):
    """The door through which a request came."""

    GRAPHQL = "graphql"
    COMMAND_LINE = "command_line"
    FOLLOWER = "follower"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated somebody: a user's token subject, an agent's key id, or a part of the engine."""

    kind: PrincipalKind
    id: str


@dataclass(frozen=True, slots=True)
class Scope:
    """Tenant, env, principal and rights of one request. Nothing is stored or read without one.

    Made in two places only: `tenants.admit`, from verified credentials, and `Scope.system`. `run_id` is the open run
    that the client named, or None; `expires_at` is when the credentials end, or None for the engine itself.
    A `rehearsal` does all that the deed would do, and takes it back: a dry run.
    """

    tenant_id: str
    env: Env
    principal: Principal
    role: Role
    rights: frozenset[Permission]
    policy_version: str
    surface: Surface
    trace_id: str
    request_id: str
    run_id: str | None
    expires_at: datetime | None
    rehearsal: bool = False

    @classmethod
    def system(cls, tenant_id: str, env: Env, reason: str, *, surface: Surface = Surface.FOLLOWER) -> Scope:
        """The engine acting for itself in one tenant and env; `reason` is the actor that the journal names."""
        return cls(
            tenant_id=tenant(tenant_id),
            env=env,
            principal=Principal(PrincipalKind.SYSTEM, reason),
            role=Role.SYSTEM,
            rights=frozenset(Permission),
            policy_version="system",
            surface=surface,
            trace_id=new_trace_id(),
            request_id=new_id("req"),
            run_id=None,
            expires_at=None,
        )

    @property
    def key(self) -> tuple[str, str]:
        """Tenant and env: the pair under which everything is kept."""
        return self.tenant_id, self.env.value

    def may(self, permission: Permission) -> bool:
        """Whether this scope holds the right."""
        return permission in self.rights

    def require(self, permission: Permission) -> None:
        """Raises Forbidden without the right."""
        if permission not in self.rights:
            raise Forbidden(
                f"The role {self.role} lacks the right {permission}.",
                hint="Ask an owner of the tenant for a role that holds it.",
            )


def tenant(value: str) -> str:
    """A well-formed tenant id, or Invalid."""
    if not TENANT_ID.fullmatch(value):
        raise Invalid(
            "The tenant id is malformed.",
            hint="A tenant id is t_ and up to 62 of a-z, 0-9, _ and -, for example t_acme.",
        )
    return value


def env(value: str) -> Env:
    """The env that a name means, or Invalid."""
    known = _ENV_NAMES.get(value)
    if known is None:
        raise Invalid("The env is unknown.", hint="Use dev, staging or prod.")
    return known
