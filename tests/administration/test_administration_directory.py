"""Who may come in: tenants, members, keys and tokens from the command line."""

from __future__ import annotations

import re

from command_line import PLACE, Folder


def test_tenants_are_made_and_listed(installed: Folder) -> None:
    """A tenant is made once, under a well-formed id, and listed."""
    assert installed.json("tenant", "create", "t_globex", "--env", "dev", "--name", "Globex") == {
        "tenantId": "t_globex",
        "name": "Globex",
    }
    assert installed.good("tenant", "list").split("\n")[1].startswith("t_globex\tGlobex\t")
    assert {item["tenantId"] for item in installed.json("tenant", "list")} == {"t_acme", "t_globex"}
    assert "exists already" in installed.bad("tenant", "create", "t_globex", "--env", "dev")
    assert "tenant" in installed.bad("tenant", "create", "globex", "--env", "dev")
    assert "env" in installed.bad("tenant", "create", "t_third", "--env", "moon")
    assert len(installed.json("tenant", "list")) == 2


def test_members_come_and_go(installed: Folder) -> None:
    """A role is given, changed and taken; wrong roles, strangers and the last owner are refused with reasons."""
    assert installed.json("member", "set", "ann", *PLACE, "--role", "owner") == {"subject": "ann", "role": "owner"}
    assert installed.good("member", "set", "bob", *PLACE, "--role", "member") == "bob is member of t_acme.\n"
    installed.good("member", "set", "bob", *PLACE, "--role", "admin")
    assert installed.json("member", "revoke", "bob", *PLACE)["status"] == "REVOKED"
    assert installed.good("member", "list", *PLACE) == "ann\towner\tACTIVE\nbob\tadmin\tREVOKED\n"
    assert "last owner" in installed.bad("member", "revoke", "ann", *PLACE)
    assert "No such member" in installed.bad("member", "revoke", "carl", *PLACE)
    for role in ("agent", "system", "king"):
        assert "owner, admin" in installed.bad("member", "set", "carl", *PLACE, "--role", role)
    nowhere = ("--tenant", "t_nobody", "--env", "dev")
    for command in (("member", "set", "ann", "--role", "owner"), ("member", "list"), ("key", "create", "agent")):
        assert "No such tenant" in installed.bad(*command, *nowhere)
    assert [item["subject"] for item in installed.json("member", "list", *PLACE)] == ["ann", "bob"]


def test_keys_are_made_and_ended(installed: Folder) -> None:
    """A key's text is printed once; unknown keys and impossible lives are refused."""
    made = installed.json("key", "create", "research agent", *PLACE, "--days", "7")
    assert made["secret"].startswith(f"nxk_{made['keyId']}_")
    assert installed.good("key", "create", "another", *PLACE).startswith("nxk_")
    assert installed.json("key", "revoke", made["keyId"], *PLACE) == {"keyId": made["keyId"]}
    assert "No such key" in installed.bad("key", "revoke", "0" * 32, *PLACE)
    assert "1 to 366 days" in installed.bad("key", "create", "eternal", *PLACE, "--days", "1000")


def test_tokens_are_made_in_development_only(installed: Folder) -> None:
    """`token` signs with the development key, and says what is missing without one."""
    token = installed.json("token", "ann")["token"]
    assert token.count(".") == 2
    assert installed.good("token", "ann", "--hours", "1").count(".") == 2
    assert installed.run("token", "ann", "--hours", "0").status == 2
    assert "no development key" in installed.bad("token", "ann", status=2, development_key="nexus.toml")
    config = installed.path / "nexus.toml"
    config.write_text(re.sub("development_key.*", "", config.read_text()))
    issuers = '[{"issuer": "here", "audience": "here", "keys": "keys.json"}]'
    assert "NEXUS_DEVELOPMENT_KEY is not set" in installed.bad("token", "ann", status=2, issuers=issuers)
