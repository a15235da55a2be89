"""The rows of quotas and stream leases, and their SQL."""

from __future__ import annotations

from nexus_graph.stores.statement import Statement

OWN_LIMITS = Statement(
    "select resource, upper_limit from quotas "
    "where tenant_id = :tenant_id and env = :env and resource in (:resources...)"
)
USAGE = Statement(
    "select resource, period, used, reserved from quota_usage "
    "where tenant_id = :tenant_id and env = :env and resource in (:resources...) and period in (:periods...)"
)
SET_LIMIT = Statement(
    "insert into quotas (tenant_id, env, resource, upper_limit, changed_by, changed_at) "
    "values (:tenant_id, :env, :resource, :upper_limit, :changed_by, :changed_at) "
    "on conflict (tenant_id, env, resource) do update "
    "set upper_limit = :upper_limit, changed_by = :changed_by, changed_at = :changed_at"
)
RESET_LIMIT = Statement("delete from quotas where tenant_id = :tenant_id and env = :env and resource = :resource")
# One statement, so that two who ask at once can't both have the last place.
TAKE = Statement(
    "insert into quota_usage (tenant_id, env, resource, period, used, reserved) "
    "values (:tenant_id, :env, :resource, :period, :used, :reserved) "
    "on conflict (tenant_id, env, resource, period) do update "
    "set used = quota_usage.used + :used, reserved = quota_usage.reserved + :reserved "
    "where quota_usage.used + quota_usage.reserved + :used + :reserved <= :upper_limit returning used"
)
SETTLE = Statement(
    "update quota_usage set used = used + :amount, "
    "reserved = case when reserved > :amount then reserved - :amount else 0 end "
    "where tenant_id = :tenant_id and env = :env and resource = :resource and period = :period"
)
GIVE_BACK = Statement(
    "update quota_usage set used = case when used > :used then used - :used else 0 end, "
    "reserved = case when reserved > :reserved then reserved - :reserved else 0 end "
    "where tenant_id = :tenant_id and env = :env and resource = :resource and period = :period"
)
SET_USAGE = Statement(
    "insert into quota_usage (tenant_id, env, resource, period, used, reserved) "
    "values (:tenant_id, :env, :resource, :period, :used, :reserved) "
    "on conflict (tenant_id, env, resource, period) do update set used = :used, reserved = :reserved"
)

# Leases

# Whoever counts streams in order to add one writes this row first: the next one waits until that is committed.
HOLD_STREAMS = Statement(
    "insert into quota_usage (tenant_id, env, resource, period, used, reserved) "
    "values (:tenant_id, :env, 'LIVE_STREAMS', '', 0, 0) "
    "on conflict (tenant_id, env, resource, period) do update set used = 0"
)
OPEN_STREAMS = Statement(
    "select count(*) as of_scope, coalesce(sum(case when actor_kind = :actor_kind and actor_id = :actor_id "
    "then 1 else 0 end), 0) as of_actor from stream_leases "
    "where tenant_id = :tenant_id and env = :env and expires_at > :now"
)
ADD_LEASE = Statement(
    "insert into stream_leases (tenant_id, env, lease_id, actor_kind, actor_id, expires_at) "
    "values (:tenant_id, :env, :lease_id, :actor_kind, :actor_id, :expires_at)"
)
RENEW_LEASE = Statement(
    "update stream_leases set expires_at = :expires_at "
    "where tenant_id = :tenant_id and env = :env and lease_id = :lease_id"
)
END_LEASE = Statement("delete from stream_leases where tenant_id = :tenant_id and env = :env and lease_id = :lease_id")
FORGET_LEASES = Statement(
    "delete from stream_leases where tenant_id = :tenant_id and env = :env and expires_at <= :long_ago"
)
