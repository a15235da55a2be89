"""Files lie in a bucket of an object server: uploaded by a form, read, exported, and erased in all versions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from journey_house import START_SECONDS, WAIT_SECONDS, MakeWorld, World, free_port, http
from journey_steps import SEAL, card, derive, kept, published, reserve, seal, upload
from program import Program
from servers.seaweedfs import SECRET_KEY, SeaweedFS, bucket_settings

DATA = b"# Returns\n\nReturns rose in the third quarter.\n"
ASSET = "query Asset($id: ID!) { asset(id: $id) { state filename downloadAddress derivation { state } } }"
START = """mutation Start($input: StartExportInput!) { startExport(input: $input) {
  export { id } userErrors { message } } }"""
EXPORT = """query Export($id: ID!) { export(id: $id) {
  state manifest { sizeBytes downloadAddress } parts(first: 5) { edges { node { sizeBytes downloadAddress } } } } }"""
EXPORT_STATE = "query Export($id: ID!) { export(id: $id) { state } }"
PLAN = """mutation Plan($input: PlanErasureInput!) { planErasure(input: $input) {
  erasure { id plan { digest } } userErrors { message } } }"""
EXECUTE = """mutation Execute($input: ExecuteErasureInput!) { executeErasure(input: $input) {
  erasure { id } userErrors { message } } }"""


@pytest.fixture
def bucket(s3_server: SeaweedFS) -> Iterator[str]:
    """A bucket that keeps versions."""
    with s3_server.bucket(versions="Enabled") as bucket:
        yield bucket


@pytest.fixture
def ledger_bucket(s3_server: SeaweedFS) -> Iterator[str]:
    """A bucket for the ledger of erasures."""
    with s3_server.bucket(versions="Enabled") as bucket:
        yield bucket


def stored(server: SeaweedFS, bucket: str, prefix: str = "") -> list[str]:
    """The keys of all versions that the owner of the bucket finds below a prefix."""
    found = server.client().list_object_versions(Bucket=bucket, Prefix=f"house/{prefix}")
    return [entry["Key"] for entry in [*found.get("Versions", ()), *found.get("DeleteMarkers", ())]]


def until(world: World, who: str, query: str, name: str, answer: Any, **variables: str) -> Any:
    """What a query answers, once its `state` is this."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        found = world.caller("t_acme", who).ask(query, variables)[name]
        if found["state"] == answer:
            return found
        time.sleep(0.1)
    pytest.fail(f"still {found}")


def test_from_a_form_to_an_erasure(own_world: MakeWorld, s3_server: SeaweedFS, bucket: str, ledger_bucket: str) -> None:
    """No byte of an object goes through the server or lies in its folder, and in the end the bucket holds none.

    What was erased stands in a bucket of its own, and a server that starts again reads it there.
    """
    ledger = f"s3://{ledger_bucket}/house"
    world = own_world(**bucket_settings(s3_server, bucket), erasure_ledger=ledger)
    owner, other = world.caller("t_acme", "owner"), world.caller("t_globex", "owner")
    folder = world.server.installation.folder

    reserved = reserve(owner, "returns.md", "text/markdown", DATA)
    form = reserved["upload"]
    assert form["method"] == "POST"
    assert form["address"].startswith(s3_server.address)
    for wrong in (DATA[:-1], DATA + b"!", DATA[::-1]):
        assert upload(form, wrong).is_client_error
    assert seal(owner, reserved["asset"]["id"])["userErrors"][0]["message"] == "Nothing was uploaded yet."
    assert upload(form, DATA).status_code == 201
    assert upload(form, DATA).status_code == 201, "a client that lost the answer sends again"
    asset = seal(owner, reserved["asset"]["id"])["asset"]
    assert asset["state"] == "SEALED"
    assert derive(owner, asset["id"])["atoms"]
    kept(other, "theirs.txt", "text/plain", b"Of somebody else.")
    assert len(stored(s3_server, bucket, "tenants/t_acme/dev/raw/")) == 2, "two versions of one object"

    found = owner.ask(ASSET, {"id": asset["id"]})["asset"]
    answer = http("GET", found["downloadAddress"])
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["content-disposition"].startswith('attachment; filename="returns.md"')
    assert http("GET", f"{world.server.address}/objects/anything").status_code == 404
    assert not (folder / "nexus-data" / "objects").exists()

    (folder / "material").mkdir()
    for number in range(3):
        (folder / "material" / f"{number}.txt").write_text(f"Imported, number {number}.\n")
    place = ("--tenant", "t_acme", "--env", "dev")
    assert "3" in world.server.installation.run("import", "material", *place, "--train-ok")
    assert len(set(stored(s3_server, bucket, "tenants/t_acme/dev/raw/"))) == 4

    published(owner, card("returns", "What was returned.\n"))
    export = owner.ask(START, {"input": {"kinds": ["CARD", "ATOM"]}})["startExport"]["export"]["id"]
    until(world, "owner", EXPORT_STATE, "export", "DONE", id=export)  # there are no addresses before
    done = owner.ask(EXPORT, {"id": export})["export"]
    for file in (done["manifest"], *(edge["node"] for edge in done["parts"]["edges"])):
        assert len(http("GET", file["downloadAddress"]).content) == file["sizeBytes"]
    assert world.server.installation.json("check")["faults"] == []

    planned = owner.ask(PLAN, {"input": {"kind": "TENANT_ENV"}})["planErasure"]["erasure"]
    confirmed = {"erasureId": planned["id"], "digest": planned["plan"]["digest"]}
    assert owner.ask(EXECUTE, {"input": confirmed})["executeErasure"]["userErrors"] == []
    deadline = time.monotonic() + WAIT_SECONDS
    while not world.server.installation.json("erasure", "ledger"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert stored(s3_server, bucket, "tenants/t_acme/") == []
    (entry,) = stored(s3_server, ledger_bucket)
    assert entry == f"house/t_acme/dev/{planned['id']}.json"
    assert not (folder / "erasures.jsonl").exists()
    assert world.server.stop() == 0
    world.server.start()
    assert len(stored(s3_server, bucket, "tenants/t_globex/")) == 1
    log = world.server.log.read_text()
    for word in (SECRET_KEY, bucket, s3_server.address, "X-Amz", "returns.md"):
        assert word not in log


def test_what_the_bucket_lacks_stops_the_start(own_world: MakeWorld, s3_server: SeaweedFS, bucket: str) -> None:
    """A wrong secret is named by the command that starts, and nothing listens."""
    world = own_world(**bucket_settings(s3_server, bucket))
    assert world.server.stop() == 0
    world.server.installation.environment["NEXUS_S3_SECRET_KEY"] = "wrong"
    said = world.server.installation.run("serve", "--port", "0", status=2)
    assert "SignatureDoesNotMatch" in said
    assert "wrong" not in said


def test_a_bucket_that_is_away_holds_up_nothing_else(own_world: MakeWorld) -> None:
    """The server starts without it, says so, answers what needs no object, and UNAVAILABLE where one is needed."""
    world = own_world()
    assert world.server.stop() == 0
    nowhere = {"objects": "s3", "s3_endpoint": f"http://127.0.0.1:{free_port()}", "s3_bucket": "b", "s3_region": "r"}
    nowhere |= {"s3_access_key": "a", "s3_secret_key": "b", "s3_seconds": "1"}
    place = world.server.installation
    place.environment |= {f"NEXUS_{name.upper()}": value for name, value in nowhere.items()}
    command = ("serve", "--port", str(world.server.port))
    world.server.process = Program(
        place.folder, place.environment, *command, out=world.server.log, err=world.server.log
    )
    status, stores = until_ready(world)
    assert (status, stores["database"], stores["objects"]) == (503, "ok", "unavailable")
    owner = world.caller("t_acme", "owner")
    assert published(owner, card("here", "Needs no object.\n"))
    reserved = reserve(owner, "returns.md", "text/markdown", DATA)
    assert reserved["upload"]["fields"], "signed here, without asking"
    with pytest.raises(httpx.ConnectError):
        upload(reserved["upload"], DATA)
    refused = owner.error(SEAL, {"input": {"assetId": reserved["asset"]["id"]}})
    assert refused["extensions"]["code"] == "UNAVAILABLE"


def until_ready(world: World) -> tuple[int, Any]:
    """What the server says of its stores, once it says something."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            answer = http("GET", f"{world.server.address}/readyz")
            return answer.status_code, answer.json()["stores"]
        time.sleep(0.1)
    pytest.fail(world.server.log.read_text())
