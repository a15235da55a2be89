"""A strategic change needs a lock: refused, proposed, approved by a second person, applied, and used up."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from journey_house import WAIT_SECONDS, Caller, MakeWorld, World
from journey_steps import PROPOSE, allowing, approve, card, propose, publish, published, retire, with_lock

REFUSED = """mutation Publish($input: PublishCardInput!) { publishCard(input: $input) {
  card { id version } changeDigest difference { text }
  userErrors { __typename code message hint
    ... on BlockedError { changeDigest blockers { gate code unblock } } } } }"""
REINDEX = """mutation Reindex($input: ReindexInput!) { reindex(input: $input) {
  run { id kind status } userErrors { code hint ... on BlockedError { changeDigest } } } }"""
MEMBER = """mutation Set($input: SetMemberInput!) { setMember(input: $input) {
  member { subject role status } userErrors { code ... on BlockedError { changeDigest } } } }"""


def corridor(kpi: str, upper: float) -> str:
    """A corridor of a KPI: strategic."""
    return card(f"locks/{kpi}", "A band.\n", "kpi_corridor", title=kpi, kpi=kpi, window="FYTD", upper=upper)


def stated(text: str, version: int = 0) -> dict[str, Any]:
    """The arguments of a publication."""
    return {"text": text, "trainOk": True, "expectedVersion": version}


def tried(who: Caller, text: str, version: int = 0, **more: Any) -> Any:
    """The payload of publishCard with all that it says of a lock."""
    return who.ask(REFUSED, {"input": stated(text, version) | more})["publishCard"]


def reviewed(who: Caller, world: World, lock: Any) -> Any:
    """The lock as whoever decides sees it."""
    return who.ask(world.document("locks/ReviewLock"), {"id": lock["id"]})["lock"]


def code(payload: Any) -> str:
    """The code of the one refusal in a payload."""
    [error] = payload["userErrors"]
    return str(error["code"])


def test_from_a_refusal_to_a_used_lock(world: World) -> None:
    """The whole way of one change: each step that is not allowed is refused, each that is changes just what it says."""
    owner, admin, member = (world.caller("t_acme", who) for who in ("owner", "admin", "member"))
    text = corridor("mer", 6.0)
    refused = tried(owner, text)
    assert refused["card"] is None
    [error] = refused["userErrors"]
    assert (error["__typename"], error["code"]) == ("BlockedError", "LOCK_REQUIRED")
    assert "proposeLock(input: {change: {publishCard: ...}})" in error["hint"]
    assert [blocker["gate"] for blocker in error["blockers"]] == ["STRATEGY_LOCK"]

    rehearsed = tried(owner, text, dryRun=True)
    assert code(rehearsed) == "LOCK_REQUIRED"
    assert rehearsed["changeDigest"] == error["changeDigest"]
    assert rehearsed["difference"]["text"].splitlines()[-1] == "+A band."
    preview = member.ask(world.document("locks/PreviewLock"), {"change": {"publishCard": stated(text)}})["proposal"]
    assert (preview["changeDigest"], preview["strategic"]) == (error["changeDigest"], True)
    assert preview["difference"] == rehearsed["difference"]
    assert preview["approvers"] == ["OWNER", "ADMIN"]

    lock = propose(owner, {"publishCard": stated(text)})
    assert (lock["state"], lock["changeDigest"]) == ("DRAFT", error["changeDigest"])
    assert code(tried(owner, text)) == "LOCK_REQUIRED"
    seen = {"id": lock["id"], "revision": lock["revision"], "changeDigest": lock["changeDigest"]}
    for who in (owner, member, world.caller("t_acme", "agent")):
        answer = who.error(world.document("locks/ApproveLock"), seen)
        assert answer["extensions"]["code"] == "FORBIDDEN"
    shown = reviewed(admin, world, lock)
    assert (shown["text"], shown["difference"]["text"]) == (text, rehearsed["difference"]["text"])
    assert approve(admin, lock)["lock"]["state"] == "APPROVED"

    edited = owner.ask(
        world.document("locks/EditLock"),
        {"input": {"lockId": lock["id"], "revision": 1, "change": {"publishCard": stated(text)}, "reason": "Again."}},
    )["editLock"]["lock"]
    assert (edited["state"], edited["revision"], edited["changeDigest"]) == ("DRAFT", 2, lock["changeDigest"])
    assert code(tried(owner, text)) == "LOCK_REQUIRED"
    assert code(approve(admin, lock)) == "CONFLICT"
    assert approve(admin, edited)["lock"]["state"] == "APPROVED"

    assert tried(owner, corridor("mer", 7.0))["card"] is None, "another text is another change"
    assert tried(owner, text, dryRun=True)["userErrors"] == []
    assert published(owner, text)["version"] == 1
    now = reviewed(member, world, lock)
    assert (now["state"], now["uses"], now["mostUses"]) == ("USED", 1, 1)
    assert [edge["node"]["type"] for edge in now["history"]["edges"]] == [
        *("lock.proposed", "lock.approved", "lock.edited", "lock.approved", "lock.used")
    ]
    assert "A band." not in json.dumps(now["history"]), "the journal tells digests, no content"
    assert code(tried(owner, corridor("mer", 7.0), 1)) == "LOCK_REQUIRED"
    assert code(retire(owner, published(owner, text, expectedVersion=1)["id"], 1)) == "LOCK_REQUIRED"


def test_a_preview_is_a_read_of_the_card(world: World) -> None:
    """The difference shows the text of the card as it stands: whoever looks at it is told of in the audit."""
    owner, member = world.caller("t_acme", "owner"), world.caller("t_acme", "member")
    noted = published(owner, card("locks/preview", "Only for readers.\n"))
    audit = """query Audit($type: String!) { audit(first: 9, filter: {types: [$type]}) {
      edges { node { actor { actorId } subject { subjectId } } } } }"""

    def reads() -> int:
        found = owner.ask(audit, {"type": "cards.read"})["audit"]["edges"]
        of_card = [edge["node"] for edge in found if edge["node"]["subject"]["subjectId"] == noted["id"]]
        return sum(node["actor"]["actorId"] == "member@t_acme" for node in of_card)

    for change in (
        {"retireCard": {"cardId": noted["id"], "expectedVersion": 1}},
        {"publishCard": stated(card("locks/preview", "For nobody.\n"), 1)},
    ):
        before = reads()
        preview = member.ask(world.document("locks/PreviewLock"), {"change": change})["proposal"]
        assert "-Only for readers." in preview["difference"]["text"]
        assert reads() == before + 1
    fresh = {"publishCard": stated(card("locks/preview/fresh", "New.\n"))}
    assert member.ask(world.document("locks/PreviewLock"), {"change": fresh})["proposal"]["strategic"] is False
    assert reads() == 2


def test_a_lock_that_ended_allows_nothing(world: World) -> None:
    """Rejected, revoked by its proposer, revoked by an admin: for good. Reading never needs a lock."""
    owner, admin, member = (world.caller("t_acme", who) for who in ("owner", "admin", "member"))
    text = corridor("aoa", 9.0)
    rejected = propose(member, {"publishCard": stated(text)})
    document = world.document("locks/RejectLock")
    answer = admin.ask(document, {"id": rejected["id"], "revision": 1})["rejectLock"]
    assert answer["lock"]["state"] == "REJECTED"
    assert code(approve(owner, rejected)) == "CONFLICT"
    revoke = world.document("locks/RevokeLock")
    for who in (owner, admin):
        lock = with_lock(owner, admin, {"publishCard": stated(text)})
        assert member.error(revoke, {"id": lock["id"]})["extensions"]["code"] == "FORBIDDEN"
        assert who.ask(revoke, {"id": lock["id"]})["revokeLock"]["lock"]["state"] == "REVOKED"
        assert code(tried(owner, text)) == "LOCK_REQUIRED"
        assert code(approve(admin, lock)) == "CONFLICT"
    assert member.ask('{ cards(first: 1, filter: {types: ["kpi_corridor"]}) { edges { node { id } } } }')["cards"]


def test_what_needs_no_lock_gets_none(world: World) -> None:
    """A note is published at once, a lock for it is refused, and a new card without a key can't be bound."""
    owner = world.caller("t_acme", "owner")
    note = card("locks/note", "No strategy.\n")
    for text, words in ((note, "not strategic"), (corridor("growth", 1).replace('key: "locks/growth"\n', ""), "key")):
        payload = owner.ask(
            world.document("locks/ProposeLock"), {"input": {"change": {"publishCard": stated(text)}, "reason": "Why."}}
        )["proposeLock"]
        assert code(payload) == "INVALID"
        assert words in payload["userErrors"][0]["message"]
    assert published(owner, note)["version"] == 1
    both = {"reindex": True, "setMember": {"subject": "x", "role": "OWNER"}}
    for change in ({}, both, {"reindex": None}):
        error = owner.error(world.document("locks/PreviewLock"), {"change": change})
        assert re.search("LockChangeInput|non-null", error["message"])
    assert (
        code(owner.ask(PROPOSE, {"input": {"change": {"reindex": False}, "reason": "Why."}})["proposeLock"])
        == "INVALID"
    )


def test_another_tenant_sees_no_lock(world: World) -> None:
    """Not by id, not in a list, and its deeds on it are NOT_FOUND; nor does a lock there allow anything here."""
    owner, admin = world.caller("t_acme", "owner"), world.caller("t_acme", "admin")
    text = corridor("returns_rate", 0.2)
    lock = with_lock(owner, admin, {"publishCard": stated(text)})
    for stranger in (world.caller("t_globex", "owner"), world.caller("t_globex", "admin")):
        assert reviewed(stranger, world, lock) is None
        assert stranger.ask("query ($id: ID!) { node(id: $id) { id } }", {"id": lock["id"]})["node"] is None
        listed = stranger.ask(world.document("locks/OpenLocks"), {"first": 50})["locks"]["edges"]
        assert lock["id"] not in [edge["node"]["id"] for edge in listed]
        assert code(approve(stranger, lock)) == "NOT_FOUND"
        assert code(tried(stranger, text)) == "LOCK_REQUIRED"
    assert owner.ask("query ($id: ID!) { node(id: $id) { id } }", {"id": lock["id"]})["node"] == {"id": lock["id"]}
    published(owner, text)


def test_a_class_allows_so_many_and_no_others(world: World) -> None:
    """Two corridors, not three, and no definition; what is left of it is gone when it is revoked."""
    owner, admin = world.caller("t_globex", "owner"), world.caller("t_globex", "admin")
    change = {"anyOf": {"actions": ["PUBLISH_CARD"], "cardTypes": ["kpi_corridor"], "uses": 2}}
    with_lock(owner, admin, change)
    definition = card("locks/kpi", "Said.\n", "kpi_definition", title="MER", kpi="mer", definition="as I like it")
    assert code(tried(owner, definition)) == "INVALID", "the meaning of a KPI is locked, whoever approves"
    definition = definition.replace("as I like it", "net sales / total marketing spend")
    assert code(tried(owner, definition)) == "LOCK_REQUIRED"
    published(owner, corridor("mer", 1))
    published(owner, corridor("aoa", 1))
    assert code(tried(owner, corridor("growth", 1))) == "LOCK_REQUIRED"
    with allowing(owner, admin, "kpi_definition"):
        published(owner, definition)
    assert code(tried(owner, definition.replace("Said.", "Said so."), 1)) == "LOCK_REQUIRED"


def test_an_owner_is_made_and_the_index_rebuilt_under_locks(world: World) -> None:
    """Both are refused first with what a lock would bind, and done once it is approved; the rebuilding is a run."""
    owner, admin = world.caller("t_globex", "owner"), world.caller("t_globex", "admin")
    someone = {"subject": "someone@t_globex", "role": "OWNER"}
    refused = owner.ask(MEMBER, {"input": someone})["setMember"]
    assert code(refused) == "LOCK_REQUIRED"
    lock = with_lock(admin, owner, {"setMember": someone})
    assert lock["changeDigest"] == refused["userErrors"][0]["changeDigest"]
    assert owner.ask(MEMBER, {"input": someone})["setMember"]["member"]["role"] == "OWNER"
    again = someone | {"role": "MEMBER"}  # other stories count on one owner
    with_lock(admin, owner, {"setMember": again})
    assert owner.ask(MEMBER, {"input": again})["setMember"]["member"]["role"] == "MEMBER"

    published(owner, card("locks/indexed", "Found again.\n"))
    refused = owner.ask(REINDEX, {"input": {}})["reindex"]
    assert (code(refused), refused["run"]) == ("LOCK_REQUIRED", None)
    lock = with_lock(admin, owner, {"reindex": True})
    assert lock["changeDigest"] == refused["userErrors"][0]["changeDigest"]
    assert owner.ask(REINDEX, {"input": {"dryRun": True}})["reindex"] == {"run": None, "userErrors": []}
    run = owner.ask(REINDEX, {"input": {"idempotencyKey": "once"}})["reindex"]["run"]
    assert (run["kind"], owner.ask(REINDEX, {"input": {"idempotencyKey": "once"}})["reindex"]["run"]["id"]) == (
        "INDEX",
        run["id"],
    )
    log = "query ($id: ID!) { run(id: $id) { status log(first: 50) { edges { node { type } } } } }"
    found: dict[str, Any] = {"status": "RUNNING"}
    deadline = time.monotonic() + WAIT_SECONDS
    while found["status"] == "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.05)
        found = owner.ask(log, {"id": run["id"]})["run"]
    assert found["status"] == "SUCCEEDED"
    types = [edge["node"]["type"] for edge in found["log"]["edges"]]
    assert (types[:2], types[-1]) == (["lock.used", "index.rebuild_requested"], "index.rebuilt")
    assert code(owner.ask(REINDEX, {"input": {}})["reindex"]) == "LOCK_REQUIRED"


def test_a_lock_expires_and_the_operator_needs_none(own_world: MakeWorld) -> None:
    """A lock of a second is soon worth nothing; what the command line does without one is told to the owners."""
    world = own_world(lock_seconds="1")
    owner, admin = world.caller("t_acme", "owner"), world.caller("t_acme", "admin")
    text = corridor("mer", 6.0)
    lock = with_lock(owner, admin, {"publishCard": stated(text)})
    while reviewed(owner, world, lock)["state"] != "EXPIRED":
        pass
    assert code(tried(owner, text)) == "LOCK_REQUIRED"
    assert owner.ask(world.document("locks/OpenLocks"), {"first": 9})["locks"]["edges"] == []
    late = {"change": {"reindex": True}, "reason": "Why.", "expiresAt": "2126-01-01T00:00:00Z"}
    assert code(owner.ask(world.document("locks/ProposeLock"), {"input": late})["proposeLock"]) == "INVALID"
    installation = world.server.installation
    (installation.folder / "corridor.md").write_text(text)
    installation.run("import", "corridor.md", "--tenant", "t_acme", "--env", "dev", "--no-train-ok")
    audit = '{ audit(first: 1, filter: {types: ["lock.waived"]}) { edges { node { payload } } } }'
    [waived] = owner.ask(audit)["audit"]["edges"]
    assert waived["node"]["payload"]["input"]["cardType"] == "kpi_corridor"


def test_temperature_is_written_record_by_record(world: World) -> None:
    """A lock for one of the three records allows no other, and no record takes a key of another."""
    owner, admin = world.caller("t_acme", "owner"), world.caller("t_acme", "admin")
    bodies: dict[str, dict[str, Any]] = {
        "temperature_floors": {"performance": {"mer": 3}, "cadence": {"stories": 1}},
        "temperature_ceilings": {"ceilings": {"returns_rate": 0.12}},
        "temperature_weights": {"weights": {"mer": 1.5}},
    }
    texts = {name: card(f"locks/{name}", "Said.\n", name, title=name, **body) for name, body in bodies.items()}
    left = dict(texts)
    while left:
        name, text = left.popitem()
        foreign = next(body for other, body in bodies.items() if other != name)
        assert code(publish(owner, card(None, "Said.\n", name, title=name, **bodies[name], **foreign))) == "INVALID"
        assert code(tried(owner, text)) == "LOCK_REQUIRED"
        with allowing(owner, admin, name):
            published(owner, text)
            assert [code(tried(owner, other)) for other in left.values()] == ["LOCK_REQUIRED"] * len(left)
