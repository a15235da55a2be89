"""The directory's rows and its SQL. Tenants are the one table that is read before a scope exists."""

from __future__ import annotations

from nexus_graph.scope.clock import moment
from nexus_graph.scope.scope import Role
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement
from nexus_graph.tenants.model import ApiKey, Member, MemberStatus, Tenant

FIND_TENANT = Statement("select * from tenants where tenant_id = :tenant_id", tenant_wide=True)
ADD_TENANT = Statement(
    "insert into tenants (tenant_id, name, created_at) values (:tenant_id, :name, :now) "
    "on conflict (tenant_id) do nothing returning tenant_id",
    tenant_wide=True,
)
FIND_MEMBER = Statement("select * from members where tenant_id = :tenant_id and subject = :subject", tenant_wide=True)
SET_MEMBER = Statement(
    "insert into members (tenant_id, subject, role, status, changed_at) "
    "values (:tenant_id, :subject, :role, :status, :now) on conflict (tenant_id, subject) "
    "do update set role = :role, status = :status, changed_at = :now returning *",
    tenant_wide=True,
)
COUNT_OTHER_OWNERS = Statement(
    "select count(*) from members where tenant_id = :tenant_id and role = 'owner' and status = 'ACTIVE' "
    "and subject <> :subject",
    tenant_wide=True,
)
FIND_KEY = Statement("select * from api_keys where tenant_id = :tenant_id and env = :env and key_id = :key_id")
ADD_KEY = Statement(
    "insert into api_keys (tenant_id, env, key_id, name, secret_sha256, created_by, created_at, expires_at) "
    "values (:tenant_id, :env, :key_id, :name, :secret_sha256, :created_by, :now, :expires_at) returning *"
)
REVOKE_KEY = Statement(
    "update api_keys set revoked_at = coalesce(revoked_at, :now) "
    "where tenant_id = :tenant_id and env = :env and key_id = :key_id returning *"
)
MEMBERS = "select * from members where tenant_id = :tenant_id and cast(:env as text) is not null"
KEYS = "select * from api_keys where tenant_id = :tenant_id and env = :env"


def tenant(row: Row) -> Tenant:
    """The tenant in a row."""
    return Tenant(row["tenant_id"], row["name"], moment(row["created_at"]))


def member(row: Row) -> Member:
    """The membership in a row."""
    return Member(
        row["tenant_id"], row["subject"], Role(row["role"]), MemberStatus(row["status"]), moment(row["changed_at"])
    )


def api_key(row: Row) -> ApiKey:
    """The API key in a row, without its secret."""
    revoked = row["revoked_at"]
    return ApiKey(
        key_id=row["key_id"],
        name=row["name"],
        created_by=row["created_by"],
        created_at=moment(row["created_at"]),
        expires_at=moment(row["expires_at"]),
        revoked_at=None if revoked is None else moment(revoked),
    )
