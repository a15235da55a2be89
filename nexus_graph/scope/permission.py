"""Every right that a field may demand, written `object:action` as in the policy files."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """An object and an action. A role holds a permission when the Casbin policy allows it."""

    VIEWER_READ = "viewer:read"
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

    @property
    def object(self) -> str:
        """What is touched: `cards`."""
        return self.value.partition(":")[0]

    @property
    def action(self) -> str:
        """What is done to it: `publish`."""
        return self.value.partition(":")[2]
