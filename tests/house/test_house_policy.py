"""The pages that only repeat the code say what the code says."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest
from house_tree import DOCS

from nexus_graph.administration import documenting
from nexus_graph.api.schema import sdl
from nexus_graph.config import Config
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.policy import GRANTABLE, Policy
from nexus_graph.scope.resources import resource
from nexus_graph.scope.scope import Role

REFRESH = "run `python -m nexus_graph.administration.documenting` at the top of the checkout"


@pytest.mark.parametrize("name", ["permissions.md", "configuration.md", "formats.md"])
def test_a_rendered_page_is_current(name: str) -> None:
    """docs/ holds what the policy, the schema and the settings say now."""
    assert (DOCS / name).read_text("utf-8") == documenting.render()[name], REFRESH


def test_the_page_changes_with_the_policy(policy: Policy) -> None:
    """A right that a role loses, and a field that moves to another right, make another page."""
    fields = documenting.guarded_fields(sdl())
    page = documenting.permissions_page(policy, fields)
    fewer = {**policy.rights, Role.AGENT: policy.rights[Role.AGENT] - {Permission.PACKS_REQUEST}}
    assert documenting.permissions_page(replace(policy, rights=fewer), fields) != page
    assert documenting.permissions_page(policy, {**fields, "packs:request": []}) != page


def test_the_policy_is_the_file_read_by_hand(policy: Policy) -> None:
    """Casbin's answer over the whole grid is that of a second, simpler reading of the same rows."""
    files = sorted(resource("policies").glob("*.csv"))
    lines = [line for file in files for line in file.read_text("utf-8").splitlines() if line]
    rows = [[part.strip() for part in row] for row in csv.reader(lines)]
    stands_for = {role: {role.value} for role in GRANTABLE}
    for _ in GRANTABLE:
        for kind, senior, junior, *_rest in rows:
            if kind == "g":
                for roles in stands_for.values():
                    roles |= {junior} if senior in roles else set()
    for role in GRANTABLE:
        written = {(row[2], row[3], row[4]) for row in rows if row[0] == "p" and row[1] in stands_for[role]}
        allowed = {
            right
            for right in Permission
            if (right.object, right.action, "allow") in written and (right.object, right.action, "deny") not in written
        }
        assert policy.rights[role] == allowed, role


def test_every_permission_is_demanded_somewhere() -> None:
    """A right that nothing demands is a promise that nobody keeps; the one that a room looks up is named here."""
    by_rooms = {Permission.RUNS_READ_ALL.value}
    assert set(documenting.guarded_fields(sdl())) | by_rooms == {right.value for right in Permission}


def test_every_setting_is_described() -> None:
    """The page has a row with a text for each setting."""
    page = documenting.configuration_page()
    for name, field in Config.model_fields.items():
        assert field.description, name
        assert f"| `NEXUS_{name.upper()}` |" in page
