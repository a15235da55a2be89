"""The policy: the frozen sets are what Casbin says, and a doubtful file stops the start."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path

import casbin
import pytest
from casbin.persist.adapters.string_adapter import StringAdapter

from nexus_graph.scope.errors import ConfigurationError
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.policy import GRANTABLE, Policy
from nexus_graph.scope.resources import resource
from nexus_graph.scope.scope import Role

MODEL = resource("casbin_model.conf")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped policy files."""
    copy = tmp_path / "policies"
    shutil.copytree(resource("policies"), copy)
    return copy


def load_with(folder: Path, *rows: str) -> Policy:
    """The policy with rows of one more file."""
    (folder / "zz_more.csv").write_text("\n".join(rows))
    return Policy.load(MODEL, folder)


def test_the_frozen_sets_are_what_casbin_decides(policy: Policy) -> None:
    """Every role, object and action, also combinations that are no permission, against a live enforcer."""
    text = "\n".join(file.read_text("utf-8").strip() for file in sorted(resource("policies").glob("*.csv")))
    enforcer = casbin.Enforcer(str(MODEL), StringAdapter(text))
    objects, actions = {right.object for right in Permission}, {right.action for right in Permission}
    for role, target, action in product([*Role, "nobody", ""], sorted(objects), sorted(actions)):
        held = {right.value for right in policy.rights.get(Role(role), ())} if role in [*Role] else set()
        assert enforcer.enforce(str(role), target, action) == (f"{target}:{action}" in held), (role, target, action)


def test_the_roles_of_the_house(policy: Policy) -> None:
    """Owner holds all of admin, admin all of member; an agent asks for packs, reads cards, writes to its own runs."""
    rights = policy.rights
    assert rights[Role.OWNER] >= rights[Role.ADMIN] > rights[Role.MEMBER]
    assert rights[Role.OWNER] == frozenset(Permission)
    assert {Permission.PACKS_REQUEST, Permission.CARDS_READ, Permission.RUNS_WRITE} <= rights[Role.AGENT]
    assert not {Permission.RUNS_READ_ALL, Permission.CARDS_PUBLISH, Permission.AUDIT_READ} & rights[Role.AGENT]
    assert Permission.CARDS_PUBLISH not in rights[Role.MEMBER]
    assert set(rights) == set(GRANTABLE)


@pytest.mark.parametrize("role", GRANTABLE)
def test_whoever_is_shown_content_by_another_way_may_read_it(policy: Policy, role: Role) -> None:
    """Search, packs and settings quote cards, and a card shows what it cites: no way around the right to read."""
    rights = policy.rights[role]
    quoting = {Permission.INDEX_SEARCH, Permission.PACKS_REQUEST, Permission.PACKS_READ, Permission.SETTINGS_READ}
    if rights & quoting:
        assert Permission.CARDS_READ in rights
    if rights & {Permission.CARDS_READ, Permission.ATOMS_READ, Permission.ASSETS_DOWNLOAD}:
        assert Permission.ASSETS_READ in rights
        assert Permission.ATOMS_READ in rights


def test_a_deny_overrides_every_allow(folder: Path) -> None:
    """For the role that it names and for all above it, whatever allows them."""
    policy = load_with(folder, "p, admin, cards, read, deny", "p, owner, cards, read, allow")
    assert Permission.CARDS_READ not in policy.rights[Role.ADMIN]
    assert Permission.CARDS_READ not in policy.rights[Role.OWNER]
    assert Permission.CARDS_READ in policy.rights[Role.MEMBER]


def test_each_revision_has_its_own_version(folder: Path, policy: Policy) -> None:
    """The version follows the content of the files, and the same content has the same one."""
    assert Policy.load(MODEL, folder).version == policy.version
    assert load_with(folder, "p, agent, settings, read, allow").version != policy.version


@pytest.mark.parametrize(
    "row",
    [
        "p, member, cards, fly, allow",
        "p, member, dragons, read, allow",
        "p, king, cards, read, allow",
        "p, system, cards, read, allow",
        "p, member, cards, read, perhaps",
        "p, member, cards, read",
        "p, member, cards, read, allow, twice",
        "P, member, cards, read, deny",
        "q, member, cards, read, deny",
        "member, cards, read, deny",
        "g, owner",
        "g, king, owner",
        "g, member, system",
        "deny everything",
    ],
)
def test_a_row_that_is_not_understood_stops_the_start(folder: Path, row: str) -> None:
    """A misspelt deny would otherwise be no deny."""
    with pytest.raises(ConfigurationError):
        load_with(folder, row)


def test_comments_and_blank_lines_are_fine(folder: Path, policy: Policy) -> None:
    """They change nothing but the version."""
    assert load_with(folder, "# p, member, cards, read, deny", "", "   ").rights == policy.rights


@pytest.mark.parametrize("right", Permission)
def test_a_permission_without_a_row_stops_the_start(folder: Path, right: Permission) -> None:
    """A new permission must be decided on, not forgotten."""
    for file in folder.glob("*.csv"):
        lines = file.read_text().splitlines()
        file.write_text("\n".join(line for line in lines if f", {right.object}, {right.action}, " not in line))
    with pytest.raises(ConfigurationError, match=f"No policy row for: {right}"):
        Policy.load(MODEL, folder)


def test_a_folder_without_policy_stops_the_start(tmp_path: Path) -> None:
    """Nothing is not a policy."""
    with pytest.raises(ConfigurationError):
        Policy.load(MODEL, tmp_path)
