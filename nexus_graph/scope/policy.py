"""The access policy: Casbin decides once per revision, requests look the answer up in frozen sets.

Source of truth: `casbin_model.conf` and `policies/*.csv`. One `enforce()` costs tens of microseconds, a lookup none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import casbin
from casbin.persist.adapters import StringAdapter

from nexus_graph.scope.errors import ConfigurationError
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Role

GRANTABLE = (Role.OWNER, Role.ADMIN, Role.MEMBER, Role.AGENT)


@dataclass(frozen=True, slots=True)
class Policy:
    """What each role may do, for one revision of the policy files."""

    version: str
    rights: Mapping[Role, frozenset[Permission]]

    @classmethod
    def load(cls, model: Path, policies: Path) -> Policy:
        """Compile the policy.

        Raises ConfigurationError for a permission without a row, a row without a permission, an unknown role or effect.
        """
        files = sorted(policies.glob("*.csv"))
        if not files:
            raise ConfigurationError(f"No policy: {policies} holds no .csv file.")
        return _compiled(model.read_text("utf-8"), "\n".join(file.read_text("utf-8").strip() for file in files))


@cache
def _compiled(model: str, rows: str) -> Policy:
    """The policy of these texts: a process that asks again does not wait for Casbin again."""
    _check_rows(rows)
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=model), StringAdapter(rows))
    rights = {
        role: frozenset(right for right in Permission if enforcer.enforce(role.value, right.object, right.action))
        for role in GRANTABLE
    }
    revision = hashlib.sha256(f"{model}\0{rows}".encode()).hexdigest()[:12]
    return Policy(f"policy-{revision}", MappingProxyType(rights))


def _check_rows(text: str) -> None:
    roles, known, written = {role.value for role in GRANTABLE}, {right.value for right in Permission}, set()
    for line in text.splitlines():
        match [part.strip() for part in line.split(",")]:
            case ["p", role, target, action, "allow" | "deny"] if role in roles:
                written.add(f"{target}:{action}")
            case ["g", senior, junior] if {senior, junior} <= roles:
                continue
            case [first, *_] if not line.strip() or first.startswith("#"):
                continue
            case _:  # Casbin itself passes over what it does not know: a misspelt deny would be no deny
                raise ConfigurationError(
                    f"The policy row '{line}' is neither 'p, role, object, action, allow|deny' nor 'g, role, role'."
                )
    if unknown := sorted(written - known):
        raise ConfigurationError(f"The policy names permissions that do not exist: {', '.join(unknown)}.")
    if missing := sorted(known - written):
        raise ConfigurationError(f"No policy row for: {', '.join(missing)}. Add one to policies/grants.csv.")
