"""An owner keeps e-mail: what came with it becomes files of their own, and follows it in consent and erasure."""

from __future__ import annotations

import time
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from journey_house import WAIT_SECONDS, Caller, MakeWorld, World, http
from journey_steps import derive, kept, sha256

from nexus_graph import config
from nexus_graph.administration.directory import development_token

RAW = Path(__file__).parents[2] / "core" / "demo" / "acme" / "raw"
TABLE = b"\n".join((RAW / "orders-2026-09.csv").read_bytes().splitlines()[:-1])
REPORT = (RAW / "annual-review-2025.pdf").read_bytes() + b"% by mail\n"
"""Not the bytes that another story keeps in the same place."""
SUE = "sue.canary.7731"

LINEAGE = """query Lineage($id: ID!) { asset(id: $id) {
  id filename trainOk createdBy sha256 downloadAddress
  atoms(first: 50) { edges { node { kind text trainOk } } }
  parts(first: 9) { pageInfo { hasNextPage endCursor } edges { cursor node { place filename
    asset { id filename contentType sizeBytes sha256 state trainOk createdBy sourceRef downloadAddress
      atoms(first: 1) { edges { node { op trainOk } } }
      partOf(first: 9) { edges { node { place parent { id } } } } } } } }
  partOf(first: 9) { edges { node { place parent { id } } } } } }"""
PAGE = """query Page($id: ID!, $after: String) { asset(id: $id) {
  parts(first: 1, after: $after) { edges { cursor node { filename } } pageInfo { hasNextPage } } } }"""
TRAIN_OK = """mutation Set($input: SetTrainOkInput!) { setTrainOk(input: $input) {
  changed { assets atoms } userErrors { message } } }"""
MEMBER = "mutation Set($input: SetMemberInput!) { setMember(input: $input) { userErrors { code } } }"
PLAN = """mutation Plan($input: PlanErasureInput!) { planErasure(input: $input) {
  erasure { id plan { digest counts { store count } } } userErrors { message } } }"""
EXECUTE = "mutation Do($input: ExecuteErasureInput!) { executeErasure(input: $input) { userErrors { message } } }"
ERASURE = "query Erasure($id: ID!) { erasure(id: $id) { state findings { place } } }"


def mail(subject: str) -> bytes:
    """A message with a table and a report, as Python's own library writes it."""
    message = EmailMessage()
    message["From"], message["To"] = "Anna Möller <anna@example.org>", "bert@example.org"
    message["Subject"], message["Date"] = subject, "Tue, 02 Jun 2026 09:30:00 +0200"
    message.set_content("Dear Bert,\n\nthe orders and the review are attached.\n")
    message.add_attachment(TABLE, maintype="text", subtype="csv", filename="orders.csv")
    message.add_attachment(REPORT, maintype="application", subtype="pdf", filename="review.pdf")
    return message.as_bytes()


def lineage(caller: Caller, asset_id: str, parts: int) -> Any:
    """An asset and its parts, once they are derived."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        asset = caller.ask(LINEAGE, {"id": asset_id})["asset"]
        found = [edge["node"]["asset"] for edge in asset["parts"]["edges"]]
        if len(found) == parts and all(part["atoms"]["edges"] for part in found):
            return asset
        time.sleep(0.1)
    pytest.fail(f"not derived after {WAIT_SECONDS} s: {asset}")


def parts_of(asset: Any) -> list[Any]:
    """The assets that were found in one."""
    return [edge["node"]["asset"] for edge in asset["parts"]["edges"]]


def test_what_came_with_a_mail_is_kept_derived_and_leads_back(world: World) -> None:
    """The owner uploads one file and has three: each with its bytes, its atoms and its way back to the mail."""
    owner = world.caller("t_acme", "owner")
    asset_id = kept(owner, "orders.eml", "message/rfc822", mail("Orders of September"))
    asset = lineage(owner, asset_id, 2)
    texts = [edge["node"]["text"] for edge in asset["atoms"]["edges"]]
    assert "From: Anna Möller <anna@example.org>" in texts[0]
    assert "Subject: Orders of September" in texts[0]
    assert texts[1:] == ["Dear Bert,", "the orders and the review are attached.", "orders.csv", "review.pdf"]
    table, report = parts_of(asset)
    assert [(part["filename"], part["sha256"], part["state"]) for part in (table, report)] == [
        ("orders.csv", sha256(TABLE), "SEALED"),
        ("review.pdf", sha256(REPORT), "SEALED"),
    ]
    assert [part["atoms"]["edges"][0]["node"]["op"] for part in (table, report)] == ["csv.rows", "pdf.pages"]
    assert [part["createdBy"] for part in (table, report)] == ["owner@t_acme"] * 2
    assert table["sourceRef"] == "orders.eml: attachment 'orders.csv'"
    assert http("GET", report["downloadAddress"]).content == REPORT
    assert report["partOf"]["edges"] == [{"node": {"place": "attachment 'review.pdf'", "parent": {"id": asset_id}}}]
    assert asset["partOf"]["edges"] == []
    assert derive(owner, asset_id)["made"] == 0

    first = owner.ask(PAGE, {"id": asset_id})["asset"]["parts"]
    assert ([edge["node"]["filename"] for edge in first["edges"]], first["pageInfo"]["hasNextPage"]) == (
        ["orders.csv"],
        True,
    )
    second = owner.ask(PAGE, {"id": asset_id, "after": first["edges"][0]["cursor"]})["asset"]["parts"]
    assert [edge["node"]["filename"] for edge in second["edges"]] == ["review.pdf"]


def test_consent_for_a_mail_is_consent_for_what_came_with_it(world: World) -> None:
    """Withheld for the mail, it is gone for the attachments and their atoms; an attachment alone can be withheld."""
    owner = world.caller("t_globex", "owner")
    asset_id = kept(owner, "orders.eml", "message/rfc822", mail("Orders of October"))
    lineage(owner, asset_id, 2)

    def allowed() -> list[bool]:
        asset = owner.ask(LINEAGE, {"id": asset_id})["asset"]
        first = [part["atoms"]["edges"][0]["node"]["trainOk"] for part in parts_of(asset)]
        return [asset["trainOk"], *(part["trainOk"] for part in parts_of(asset)), *first]

    assert allowed() == [True] * 5
    payload = owner.ask(TRAIN_OK, {"input": {"id": asset_id, "trainOk": False}})["setTrainOk"]
    assert (payload["changed"]["assets"], payload["userErrors"]) == (3, [])
    assert allowed() == [False] * 5
    owner.ask(TRAIN_OK, {"input": {"id": asset_id, "trainOk": True}})
    assert allowed() == [True] * 5
    table = parts_of(owner.ask(LINEAGE, {"id": asset_id})["asset"])[0]["id"]
    owner.ask(TRAIN_OK, {"input": {"id": table, "trainOk": False}})
    assert allowed() == [True, False, True, False, True]


def test_two_tenants_with_the_same_mail_never_see_each_others_parts(own_world: MakeWorld) -> None:
    """The same bytes are two assets; the other's ids and cursors lead nowhere."""
    world = own_world()
    callers = [world.caller(tenant, "owner") for tenant in ("t_acme", "t_globex")]
    data = mail("Orders for everybody")
    found = [lineage(caller, kept(caller, "o.eml", "message/rfc822", data), 2) for caller in callers]
    ids = [{part["id"] for part in parts_of(asset)} for asset in found]
    assert ids[0].isdisjoint(ids[1])
    one, other = callers
    for stranger in (found[1]["id"], *sorted(ids[1])):
        assert one.ask(LINEAGE, {"id": stranger})["asset"] is None
    cursor = found[1]["parts"]["edges"][0]["cursor"]
    error = one.error(PAGE, {"id": found[0]["id"], "after": cursor})
    assert error["extensions"]["code"] == "INVALID"
    assert len(parts_of(other.ask(LINEAGE, {"id": found[1]["id"]})["asset"])) == 2


def test_who_leaves_takes_along_what_came_with_their_mail(own_world: MakeWorld) -> None:
    """Sue's mail and its report go; the table, which the owner's mail has as well, is the owner's from then on."""
    world = own_world()
    owner = world.caller("t_acme", "owner")
    assert owner.ask(MEMBER, {"input": {"subject": SUE, "role": "ADMIN"}})["setMember"]["userErrors"] == []
    settings = config.load({}, world.server.installation.folder / "nexus.toml", embedder="hashing").config
    sue = Caller(world.server, "t_acme", development_token(settings, SUE, timedelta(hours=1)))
    hers = lineage(sue, kept(sue, "hers.eml", "message/rfc822", mail("canary words")), 2)
    message = EmailMessage()
    message["Subject"] = "Only the table"
    message.set_content("Here it is.\n")
    message.add_attachment(TABLE, maintype="text", subtype="csv", filename="orders.csv")
    ours = lineage(owner, kept(owner, "ours.eml", "message/rfc822", message.as_bytes()), 1)
    table, report = parts_of(hers)
    assert (parts_of(ours)[0]["id"], parts_of(ours)[0]["createdBy"]) == (table["id"], SUE)

    planned = owner.ask(PLAN, {"input": {"kind": "SUBJECT", "subject": SUE}})["planErasure"]
    assert planned["userErrors"] == []
    plan = planned["erasure"]
    counts = {one["store"]: one["count"] for one in plan["plan"]["counts"]}
    assert (counts["objects"], counts["assets"]) == (2, 3), "two go; the third names her and will name the owner"
    asked = {"erasureId": plan["id"], "digest": plan["plan"]["digest"]}
    assert owner.ask(EXECUTE, {"input": asked})["executeErasure"]["userErrors"] == []
    deadline = time.monotonic() + WAIT_SECONDS
    while (found := owner.ask(ERASURE, {"id": plan["id"]})["erasure"])["state"] != "CERTIFIED":
        assert time.monotonic() < deadline, found
        assert found["state"] in ("CONFIRMED", "ERASED"), found
        time.sleep(0.1)
    for gone in (hers["id"], report["id"]):
        assert owner.ask(LINEAGE, {"id": gone})["asset"] is None
    left = owner.ask(LINEAGE, {"id": table["id"]})["asset"]
    assert (left["createdBy"], left["partOf"]["edges"]) == (
        "owner@t_acme",
        [{"node": {"place": "attachment 'orders.csv'", "parent": {"id": ours["id"]}}}],
    )
    assert http("GET", left["downloadAddress"]).content == TABLE


def test_a_folder_with_mail_is_imported_once(own_world: MakeWorld, tmp_path: Path) -> None:
    """The command keeps what came with a mail as well; doing it again changes nothing, and the check finds no fault."""
    installation = own_world().server.installation
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "orders.eml").write_bytes(mail("Orders by command"))
    command = ("import", str(tmp_path / "mail"), "--tenant", "t_acme", "--env", "dev", "--train-ok")
    first = installation.json(*command)
    assert [Path(each["path"]).name for each in first["files"]] == [
        "orders.eml",
        *(f"orders.eml > {name}" for name in ("orders.csv", "review.pdf")),
    ]
    assert first["kept"] == 3
    assert installation.json(*command)["unchanged"] == 3
    assert installation.json("check")["faults"] == []
