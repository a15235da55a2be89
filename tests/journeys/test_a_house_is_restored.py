"""A house burns down: rows, objects and vectors come back to one point, by the commands of docs/deploy/backup.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from journey_house import Caller, Installation, Server
from journey_steps import card, kept, published
from servers.postgres import PostgresServer, ordinary_user, postgres_over, postgres_server, programs
from servers.process import program
from servers.seaweedfs import ACCESS_KEY, SECRET_KEY, SeaweedFS, bucket_settings
from servers.weaviate import WeaviateServer, weaviate_server

from nexus_graph import config
from nexus_graph.administration.directory import development_token

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"
PAGE = (DEPLOY / "backup.md").read_text("utf-8")
SUE, CANARY = "sue.canary.4481", "canary-of-sue"
SECONDS = 120

MEMBER = "mutation Set($input: SetMemberInput!) { setMember(input: $input) { member { role } userErrors { code } } }"
PLAN = """mutation Plan($input: PlanErasureInput!) { planErasure(input: $input) {
  erasure { id plan { digest } } userErrors { code message } } }"""
EXECUTE = """mutation Execute($input: ExecuteErasureInput!) { executeErasure(input: $input) {
  erasure { id } userErrors { code message } } }"""
STATE = "query State($id: ID!) { erasure(id: $id) { state } }"
PROOF = """query Proof($id: ID!) { node(id: $id) { ... on InfluencePack {
  verification { holds faults } replay { same differences { kind } } } } }"""
TITLES = "{ cards(first: 100) { edges { node { title } } } }"


def blocks(heading: str) -> list[str]:
    """The shell blocks below a heading of the page."""
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the database's user can use too, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="nexus-restored-"))
    for name in ("", "archive", "backups", "before", "after", "after/data"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name).chmod(0o700 if name.endswith("data") else 0o755)
        if (user := ordinary_user()) is not None:
            os.chown(folder / name, user.pw_uid, user.pw_gid)
    for script in DEPLOY.glob("*.sh"):
        shutil.copy(script, folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def shell(text: str, place: Path, s3: SeaweedFS, **given: str) -> str:
    """Run commands of the page as the database's user; returns what they print."""
    program("rclone", "deploy", "/usr/bin/rclone")
    [once] = blocks("Once")
    environment = {
        "PATH": f"{programs()}:{os.environ['PATH']}",
        "HOME": str(place),
        "BACKUPS": str(place / "backups"),
        "ARCHIVE": str(place / "archive"),
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }
    user = ordinary_user()
    who: dict[str, Any] = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", once.replace("https://objects.example", s3.address) + text],
        cwd=place,
        env=environment | given,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        **who,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def settings(rows: PostgresServer, s3: SeaweedFS, bucket: str, vectors: WeaviateServer) -> dict[str, str]:
    """Where a house keeps everything."""
    database = rows.place("nexus")
    return {
        "postgres": database.address,
        "postgres_owner": database.owner or "",
        **bucket_settings(s3, bucket),
        **vectors.settings("Nexus"),
    }


@contextmanager
def serving(installation: Installation) -> Iterator[Server]:
    """Two processes behind one port, which end well."""
    server = Server(installation, 2)
    server.start()
    try:
        yield server
    finally:
        status = server.stop()
    assert status == 0, server.log.read_text()
    server.check_log()


def caller(server: Server, subject: str) -> Caller:
    """Somebody of the demo's tenant."""
    loaded = config.load({}, server.installation.folder / "nexus.toml", embedder="hashing").config
    return Caller(server, "t_acme", development_token(loaded, subject, timedelta(hours=1)))


def sue_comes(owner: Caller, server: Server) -> Caller:
    """Sue, an admin who has written a card and brought a file in."""
    assert owner.ask(MEMBER, {"input": {"subject": SUE, "role": "ADMIN"}})["setMember"]["userErrors"] == []
    sue = caller(server, SUE)
    published(sue, card("sues", f"What Sue wrote, {CANARY}.\n", title="Of Sue"))
    kept(sue, "sues.txt", "text/plain", f"A file of Sue, {CANARY}.\n".encode())
    return sue


def erased(owner: Caller) -> None:
    """Sue goes, with a certificate."""
    planned = owner.ask(PLAN, {"input": {"kind": "SUBJECT", "subject": SUE}})["planErasure"]
    assert planned["userErrors"] == [], planned
    erasure = planned["erasure"]
    confirmed = {"erasureId": erasure["id"], "digest": erasure["plan"]["digest"]}
    assert owner.ask(EXECUTE, {"input": confirmed})["executeErasure"]["userErrors"] == []
    deadline = time.monotonic() + SECONDS
    while owner.ask(STATE, {"id": erasure["id"]})["erasure"]["state"] != "CERTIFIED":
        assert time.monotonic() < deadline
        time.sleep(0.2)


def held(rows: PostgresServer, s3: SeaweedFS, bucket: str) -> bool:
    """Whether any row or object holds a word of Sue."""
    dump = [programs() / "pg_dump", "--data-only", "--dbname", rows.address("nexus", "postgres")]
    text = subprocess.run([str(part) for part in dump], check=True, capture_output=True).stdout
    client = s3.client()
    keys = [each["Key"] for each in client.list_objects_v2(Bucket=bucket).get("Contents", ())]
    objects = [client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
    assert objects
    return any(word.encode() in each for each in (text, *objects) for word in (SUE, CANARY))


def titles(who: Caller) -> set[str]:
    """The titles of all cards."""
    return {edge["node"]["title"] for edge in who.ask(TITLES)["cards"]["edges"]}


def test_everything_comes_back_to_one_point(tmp_path: Path, place: Path, s3_server: SeaweedFS) -> None:
    """What was at the point is there and sound, what came later is not, and who was erased later stays erased."""
    (tmp_path / "house").mkdir()
    archive = f"archive_command=test ! -f {place}/archive/%f && cp %p {place}/archive/%f"
    with (
        s3_server.bucket() as bucket,
        weaviate_server(tmp_path / "weaviate") as vectors,
        postgres_server(place / "before", "archive_mode=on", archive) as rows,
    ):
        rows.create("nexus")
        house = Installation(tmp_path / "house", **settings(rows, s3_server, bucket, vectors))
        [digest] = re.findall(r"^pack digest (\w+)$", house.run("demo", "--once"), re.MULTILINE)
        with serving(house) as server:
            owner = caller(server, "owner@acme.example")
            sue_comes(owner, server)
            at_the_point = titles(owner)
            assert "Of Sue" in at_the_point
            where = {"ROWS": rows.address("nexus", "postgres"), "OBJECTS": f"objects:{bucket}"}
            [backup] = blocks("Back up")
            point = shell(backup, place, s3_server, **where).strip()
            published(owner, card("later", "Written after the point.\n", title="Later"))
            kept(owner, "later.txt", "text/plain", b"A file after the point.\n")
            assert held(rows, s3_server, bucket)
            erased(owner)
            assert not held(rows, s3_server, bucket)
        rows.sql("select pg_switch_wal()")

    to_rows, to_objects, to_house = blocks("Restore")
    shell(to_rows, place, s3_server, POINT=point, PGDATA=str(place / "after" / "data"))
    with (
        s3_server.bucket() as bucket,
        weaviate_server(tmp_path / "other weaviate") as vectors,
        postgres_over(place / "after") as rows,
    ):
        while rows.sql("select pg_is_in_recovery()") == "t":
            time.sleep(0.1)
        shell(to_objects, place, s3_server, OBJECTS=f"objects:{bucket}")
        house = Installation(tmp_path / "house", **settings(rows, s3_server, bucket, vectors))
        assert held(rows, s3_server, bucket)
        refused = " ".join(house.run("serve", "--port", "0", status=2).split())
        assert "names 1 erasures that this database does not know" in refused
        said = [house.run(*line.split()[1:]) for line in to_house.splitlines()]
        assert said[0].endswith("1 erasures replayed.\n")
        assert re.search(r"^\d+ scopes checked, 0 faults found, 0 left\.$", said[-1], re.MULTILINE)
        assert not held(rows, s3_server, bucket)
        assert all(journal["firstBadSeq"] is None for journal in house.json("audit", "verify"))
        with serving(house) as server:
            owner = caller(server, "owner@acme.example")
            assert titles(owner) == at_the_point - {"Of Sue"}
            assert caller(server, SUE).error("{ viewer { role } }")["extensions"]["code"] == "FORBIDDEN"
            proof = owner.ask(PROOF, {"id": f"pack_{digest}"})["node"]
            assert proof["verification"] == {"holds": True, "faults": []}
            published(owner, card("anew", "The house goes on.\n"))
