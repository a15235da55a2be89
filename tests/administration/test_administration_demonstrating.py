"""`demo`: the whole river in an empty folder, and the same again on the same data."""

from __future__ import annotations

import re
import signal
import sqlite3
import time
from pathlib import Path

import httpx
import pytest
from command_line import Folder, free_port
from servers.postgres import PostgresServer
from servers.seaweedfs import SeaweedFS, bucket_settings
from servers.weaviate import WeaviateServer

TABLES = ("assets", "atoms", "cards", "card_versions", "packs", "members", "tenants", "index_vectors", "strategy_locks")


def digest(told: str) -> str:
    """The pack's digest, as the demo prints it."""
    [found] = re.findall(r"^pack digest ([0-9a-f]{64})$", told, re.MULTILINE)
    return str(found)


def counts(folder: Folder) -> dict[str, int]:
    """How many rows each table holds."""
    database = sqlite3.connect(folder.path / "nexus-data" / "nexus.db")
    with database:
        found = {name: database.execute(f"select count(*) from {name}").fetchone()[0] for name in TABLES}  # noqa: S608
    database.close()
    return found


def test_demo_tells_the_story_and_serves_the_same_again(empty: Folder) -> None:
    """From an empty folder the pack is served, printed and verified; a second start makes the same and nothing new.

    Without `--once` it serves on: the printed tokens open the printed address until it is interrupted.
    """
    first = empty.run("demo", "--once")
    assert first.status == 0, first
    assert "verified: yes; asked twice, the same pack: True" in first.out
    assert re.search(r"live +\d+ .*pack\.served", first.out)
    assert "the run ended: SUCCEEDED" in first.out
    for recipe in ("markdown", "html", "csv", "json", "pdf", "docx", "txt"):
        assert recipe in first.out.lower(), recipe
    assert "curl -s http://127.0.0.1:" in first.out
    assert {"t_acme owner", "t_globex agent"} <= set(re.findall(r"^(t_\w+ \w+): \S+$", first.out, re.MULTILINE))
    assert "one lock for them, admin@globex.example approved it" in first.out
    assert "ingest/PublishCard was refused: PUBLISH_CARD needs an approved Strategy Lock." in first.out
    assert "+A colleague may give up to EUR 40 without asking, and says why." in first.out
    assert "approved by admin@acme.example, and applied: version 2" in first.out
    held = counts(empty)
    assert held["tenants"] == 2
    assert held["members"] == 6
    second = served_until_interrupted(empty)
    assert "refused" not in second
    assert digest(second) == digest(first.out)
    assert second.count(", 0 of them new") == 2
    assert counts(empty) == held
    assert empty.json("check")["faults"] == []


def test_demo_ends_in_the_same_pack_on_every_engine(
    empty: Folder, tmp_path: Path, postgres: PostgresServer, s3_server: SeaweedFS, weaviate: WeaviateServer
) -> None:
    """One digest, whatever keeps rows, objects and vectors; and where the demo was before."""
    embedded = empty.run("demo", "--once")
    (tmp_path / "there").mkdir()
    postgres.create("demonstration")
    place = postgres.place("demonstration")
    rows = {"postgres": place.address, "postgres_owner": place.owner or ""}
    vectors = weaviate.settings("Demonstration")
    with s3_server.bucket() as bucket:
        there = Folder(tmp_path / "there", **rows, **vectors, **bucket_settings(s3_server, bucket))
        for _ in range(2):
            done = there.run("demo", "--once")
            assert done.status == 0, done
            assert digest(done.out) == digest(embedded.out)
        assert {path.name for path in (tmp_path / "there" / "nexus-data").iterdir()} == {"development-key.json"}
        assert there.json("check")["faults"] == []


def served_until_interrupted(folder: Folder) -> str:
    """What the demo prints while it serves, which is tried with a token that it printed."""
    port = free_port()
    process = folder.start("demo", "--port", str(port))
    deadline = time.monotonic() + 60
    try:
        while "Serving. Press Ctrl-C to stop." not in (text := folder.log.read_text()):
            assert process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
        token = re.search(r"^t_globex member: (\S+)$", text, re.MULTILINE)
        assert token is not None
        answer = httpx.post(
            f"http://127.0.0.1:{port}/graphql",
            json={"query": "{ viewer { role } cards(first: 1) { edges { node { title } } } }"},
            headers={"Authorization": f"Bearer {token[1]}", "X-Nexus-Tenant": "t_globex", "X-Nexus-Env": "dev"},
            trust_env=False,
        ).json()
        assert answer["data"]["viewer"] == {"role": "MEMBER"}
        assert answer["data"]["cards"]["edges"]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        told = folder.log.read_text()
        assert "Traceback" not in told
        return told
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(20)


@pytest.mark.long
def test_demo_once_with_the_model(empty: Folder) -> None:
    """The default embedder, without any setting, serves a verified pack too."""
    pytest.importorskip("onnxruntime", reason="the on-machine model comes with the extra `local`")
    pytest.importorskip("tokenizers", reason="the on-machine model comes with the extra `local`")
    done = empty.run("demo", "--once", embedder=None)
    assert done.status == 0, done
    assert len(digest(done.out)) == 64
    assert "verified: yes" in done.out
