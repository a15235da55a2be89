"""Every right that a field may demand, written `object:action` as in the policy files."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """An object and an action. A role holds a permission when the Casbin policy allows it."""

    VIEWER_READ = "viewer:read"
    SCHEMA_INTROSPECT = "schema:introspect"
    ASSETS_READ = "assets:read"
    ASSETS_WRITE = "assets:write"
    ASSETS_DOWNLOAD = "assets:download"
    ATOMS_READ = "atoms:read"
    ATOMS_DERIVE = "atoms:derive"
    CARDS_READ = "cards:read"
    CARDS_PUBLISH = "cards:publish"
    CARDS_RETIRE = "cards:retire"
    SETTINGS_READ = "settings:read"
    INDEX_SEARCH = "index:search"
    PACKS_REQUEST = "packs:request"
    PACKS_READ = "packs:read"
    PACKS_LIST = "packs:list"
    RUNS_READ = "runs:read"
    RUNS_READ_ALL = "runs:read_all"
    RUNS_WRITE = "runs:write"
    AUDIT_READ = "audit:read"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    LOCKS_READ = "locks:read"
    LOCKS_PROPOSE = "locks:propose"
    LOCKS_APPROVE = "locks:approve"
    SWITCHES_READ = "switches:read"
    SWITCHES_ENGAGE = "switches:engage"
    SWITCHES_RELEASE = "switches:release"
    BUDGET_READ = "budget:read"
    QUOTAS_READ = "quotas:read"
    QUOTAS_WRITE = "quotas:write"
    INDEX_REBUILD = "index:rebuild"
    CONSENT_READ = "consent:read"
    CONSENT_WRITE = "consent:write"
    CONSENT_WRITE_OWN = "consent:write_own"
    EXPORTS_READ = "exports:read"
    EXPORTS_WRITE = "exports:write"
    ERASURES_READ = "erasures:read"
    ERASURES_WRITE = "erasures:write"
    SESSIONS_USE = "sessions:use"

    @property
    def object(self) -> str:
        """What is touched: `cards`."""
        return self.value.partition(":")[0]

    @property
    def action(self) -> str:
        """What is done to it: `publish`."""
        return self.value.partition(":")[2]
