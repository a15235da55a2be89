"""A new ruleset from the outside: the command, and the server that does the same beside its work."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing

import pytest
from command_line import PLACE, Folder, free_port, until_answered

from nexus_graph.scope.redaction import RULESET

SECONDS = 30


def asked(folder: Folder, statement: str) -> list[tuple[str, ...]]:
    """The rows of a statement, run behind the program's back."""
    with closing(sqlite3.connect(folder.path / "nexus-data" / "nexus.db")) as database, database:
        return database.execute(statement).fetchall()


@pytest.fixture
def older(installed: Folder) -> Folder:
    """A folder with a file that was kept under a ruleset that saw an order number for a phone, and no phone."""
    (installed.path / "letter.txt").write_text("Call +49 30 901820.\n\nOrder 12.\n")
    installed.good("import", "letter.txt", *PLACE, "--train-ok")
    asked(installed, """update atoms set pii_flags = case when text like 'Order%' then '["phone"]' else '[]' end""")
    asked(installed, "update rulesets set ruleset = 'pii-1'")
    return installed


def phones(folder: Folder) -> list[tuple[str, ...]]:
    """The texts that are flagged as phones."""
    return asked(folder, """select text from atoms where pii_flags = '["phone"]'""")


def test_the_command_makes_flags_follow(older: Folder) -> None:
    """It tells what changed, and has nothing to do the second time; `list` tells the ruleset before and after."""
    assert phones(older) == [("Order 12.",)]
    place = {"tenantId": "t_acme", "env": "dev"}
    assert older.json("redaction", "list")["scopes"] == [place | {"ruleset": "pii-1", "target": None}]
    assert "pii-1" in older.good("redaction", "list")
    counts = {"atoms": 2, "assets": 0, "cards": 0, "packs": 0, "sessions": 0, "locks": 0}
    done = older.json("redaction", "reevaluate")
    assert done == {"ruleset": RULESET, "scopes": [place | {"changed": counts}]}
    assert phones(older) == [("Call +49 30 901820.",)]
    assert older.good("redaction", "reevaluate") == f"0 scopes looked at again; all follow {RULESET}.\n"
    assert older.json("redaction", "list")["scopes"] == [place | {"ruleset": RULESET, "target": None}]
    assert older.good("check") == "1 scopes checked, 0 faults found, 0 left.\n"


def test_the_command_tells_of_each_scope(older: Folder) -> None:
    """A line for each scope, with the kinds that changed; of an older installation `list` says that nobody knows."""
    asked(older, "delete from rulesets")
    assert "older than pii-3" in older.good("redaction", "list")
    told = older.good("redaction", "reevaluate")
    assert told == f"t_acme/dev: 2 atoms flagged otherwise.\n1 scopes looked at again; all follow {RULESET}.\n"


def test_a_server_that_starts_makes_flags_follow(older: Folder) -> None:
    """Nobody has to do anything."""
    port = str(free_port())
    server = older.start("serve", "--port", port)
    try:
        until_answered(f"http://127.0.0.1:{port}", server, older.log)
        until = time.monotonic() + SECONDS
        while asked(older, "select ruleset from rulesets") != [(RULESET,)] and time.monotonic() < until:
            time.sleep(0.1)
        assert phones(older) == [("Call +49 30 901820.",)], older.log.read_text()
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
