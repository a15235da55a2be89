"""What stands before the first request: init, migrate, config, schema, and what is said when something is missing."""

from __future__ import annotations

import json
import sqlite3
import stat
from pathlib import Path

from command_line import Folder

from nexus_graph.config import Config


def test_init_makes_an_installation_once(empty: Folder) -> None:
    """`init` makes configuration, key and database for the owner's eyes only, and refuses to do it twice."""
    assert "tenant create" in empty.good("init")
    made = {path.relative_to(empty.path).as_posix() for path in empty.path.rglob("*") if path.is_file()}
    assert {"nexus.toml", "nexus-data/development-key.json", "nexus-data/nexus.db"} <= made
    for name in ("nexus.toml", "nexus-data/development-key.json"):
        assert stat.S_IMODE((empty.path / name).stat().st_mode) == 0o600
    before = (empty.path / "nexus.toml").read_bytes()
    assert "nexus.toml in this folder already" in empty.bad("init", status=2)
    assert (empty.path / "nexus.toml").read_bytes() == before


def test_init_touches_no_foreign_data(empty: Folder) -> None:
    """`init` refuses a folder whose data lost its configuration."""
    (empty.path / "nexus-data").mkdir()
    (empty.path / "nexus-data" / "nexus.db").write_text("precious")
    assert "is not empty but nexus.toml is missing" in empty.bad("init", status=2)
    assert (empty.path / "nexus-data" / "nexus.db").read_text() == "precious"
    assert not (empty.path / "nexus.toml").exists()


def test_migrate_makes_the_database_and_may_be_repeated(installed: Folder) -> None:
    """`migrate` makes a missing database; a second time it changes nothing."""
    (installed.path / "nexus-data" / "nexus.db").unlink()
    assert "Run `nexus-graph migrate` first" in installed.bad("tenant", "list", status=2)
    first = installed.json("migrate")
    assert installed.json("migrate") == first
    assert first["revision"] in installed.good("migrate")
    assert installed.json("tenant", "list") == []


def test_a_database_of_a_newer_version_is_left_alone(installed: Folder) -> None:
    """No command of this version starts on it or changes it, and each says so."""
    file = installed.path / "nexus-data" / "nexus.db"
    database = sqlite3.connect(file)
    with database:
        database.execute("update alembic_version set version_num = '9999'")
    database.close()
    before = file.read_bytes()
    for command in (("serve",), ("check",), ("tenant", "list"), ("migrate",)):
        assert "at schema 9999, which a newer version of this program made" in installed.bad(*command, status=2)
    assert file.read_bytes() == before


def test_every_command_asks_for_the_newest_schema(installed: Folder) -> None:
    """A database without the schema stops commands, which say what to run."""
    (installed.path / "nexus-data" / "nexus.db").write_bytes(b"")
    for command in (("tenant", "list"), ("check",), ("serve",)):
        assert "The database is at schema none" in installed.bad(*command, status=2)


def test_config_tells_values_and_sources_and_hides_secrets(installed: Folder) -> None:
    """Every setting is shown with where it came from, and secrets in neither form."""
    secret = (installed.path / "nexus.toml").read_text().rpartition("signing_secret = ")[2].strip().strip('"')
    plain = installed.run("config", port="8399", embedder_key="very-secret-key")
    told = installed.json("config", port="8399", embedder_key="very-secret-key")
    assert set(told) == {f"NEXUS_{name.upper()}" for name in Config.model_fields}
    assert told["NEXUS_PORT"] == {"value": "8399", "source": "environment"}
    assert told["NEXUS_DATA"] == {"value": "nexus-data", "source": "nexus.toml"}
    assert told["NEXUS_LOG_LEVEL"]["source"] == "default"
    assert told["NEXUS_SIGNING_SECRET"]["value"] == told["NEXUS_EMBEDDER_KEY"]["value"] == "********"
    for text in (plain.out, plain.err, json.dumps(told)):
        assert secret not in text
        assert "very-secret-key" not in text
    assert len(plain.out.splitlines()) == len(Config.model_fields)


def test_everything_that_is_missing_is_named_at_once(empty: Folder) -> None:
    """Without a configuration every command names all that is missing, in one go, and ends with status 2."""
    for command in (("config",), ("serve",), ("migrate",), ("check",), ("tenant", "list"), ("token", "somebody")):
        said = empty.bad(*command, status=2)
        for name in ("NEXUS_DATA", "NEXUS_ERASURE_LEDGER", "NEXUS_ISSUERS", "NEXUS_SIGNING_SECRET"):
            assert f"{name} is missing" in said
        assert "nexus-graph init" in said
    assert list(empty.path.iterdir()) == []


def test_unknown_and_wrong_settings_are_refused(installed: Folder) -> None:
    """An unknown name and every wrong value are named at once; a secret's wrong value is not repeated."""
    said = installed.bad(
        "config", status=2, foo="1", port="many", signing_secret="short", poll_seconds="0", public_url="foo"
    )
    assert "NEXUS_FOO is no setting" in said
    assert "NEXUS_PORT is wrong" in said
    assert "NEXUS_SIGNING_SECRET is wrong: must have at least 32 characters" in said
    assert "NEXUS_PUBLIC_URL is wrong: 'foo' is no address. Write https://api.example or" in said
    assert "NEXUS_POLL_SECONDS is wrong" in said
    assert "'short'" not in said


def test_a_missing_or_broken_configuration_file_is_told(installed: Folder) -> None:
    """NEXUS_CONFIG must name a file that exists and is TOML."""
    assert "There is no configuration file nowhere.toml" in installed.bad("config", status=2, config="nowhere.toml")
    Path(installed.path / "broken.toml").write_text("data = [")
    assert "broken.toml can't be read" in installed.bad("config", status=2, config="broken.toml")


def test_schema_prints_the_sdl(empty: Folder) -> None:
    """`schema` prints the very SDL that is shipped, without any configuration."""
    shipped = Path(__file__).parents[2] / "schema" / "nexus.graphql"
    assert empty.good("schema") == shipped.read_text("utf-8")


def test_wrong_usage_ends_with_two(empty: Folder) -> None:
    """No command, an unknown one, and a missing option end with status 2."""
    for command in ((), ("fly",), ("tenant", "create", "t_acme")):
        assert empty.run(*command).status == 2
