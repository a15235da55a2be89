"""Tenants, memberships and API keys as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.scope import Role

LONGEST_SUBJECT = 320
"""Characters: the 255 of OpenID Connect, and the prefix of an issuer."""
USER_ROLES = (Role.OWNER, Role.ADMIN, Role.MEMBER)


class MemberStatus(StrEnum):
    """Whether a membership counts. Only `ACTIVE` gives rights."""

    ACTIVE = "ACTIVE"
    PENDING = "PENDING"
    REVOKED = "REVOKED"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant, since when."""

    tenant_id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """A subject's role in a tenant, in all its envs."""

    tenant_id: str
    subject: str
    role: Role
    status: MemberStatus
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An agent's key for one tenant and env. The secret itself is shown once and never kept."""

    key_id: str
    name: str
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None

    def lives(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and now < self.expires_at


def subject(value: str) -> str:
    """A well-formed token subject, or Invalid. What can't be seen could make one look like another."""
    if not (0 < len(value) <= LONGEST_SUBJECT and value.isprintable() and " " not in value):
        raise Invalid(f"The subject must be 1 to {LONGEST_SUBJECT} visible characters without spaces.")
    return value


def user_role(value: str) -> Role:
    """A role that a user can hold, or Invalid."""
    if value not in {role.value for role in USER_ROLES}:
        raise Invalid("The role is unknown.", hint="Use owner, admin or member.")
    return Role(value)
