"""The audit is complete: writes, reads of content and refusals, by whom and under which trace; and it can't be bent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from journey_house import Caller, Installation, MakeWorld, World, subscription_error
from journey_steps import PUBLISH, card, derive, kept, published, retire

AUDIT = """query Audit($first: Int, $after: String, $last: Int, $before: String, $filter: AuditFilterInput) {
  audit(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
    edges { cursor node { seq number at type severity actor { kind actorId } subject { kind subjectId } payload
      piiFlags trainOk surface traceId requestId runId hash } }
    pageInfo { hasNextPage endCursor } } }"""
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CANARY = "xylophonecanary"


def traced(number: int) -> dict[str, str]:
    """Headers of a request of its own in one trace."""
    return {"traceparent": f"00-{TRACE}-{SPAN}-01", "X-Request-Id": f"story-request-{number}"}


def entries(who: Caller, **filter: Any) -> list[Any]:
    """The newest hundred entries under a filter."""
    return [edge["node"] for edge in who.ask(AUDIT, {"first": 100, "filter": filter})["audit"]["edges"]]


def whole(who: Caller) -> list[Any]:
    """The whole journal, oldest first."""
    found: list[Any] = []
    after = None
    while True:
        page = who.ask(AUDIT, {"first": 100, "after": after})["audit"]
        found += [edge["node"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return found[::-1]


def test_every_deed_is_told_with_who_did_it_and_under_which_trace(world: World) -> None:
    """Publishing, reading, searching and being refused each leave an entry that the request's own ids lead to."""
    owner, agent = world.caller("t_acme", "owner"), world.caller("t_acme", "agent")
    agent_id = agent.ask("{ viewer { subject } }")["viewer"]["subject"]
    publish = """mutation Publish($text: String!) { publishCard(input: {text: $text, trainOk: true}) {
      card { id } userErrors { code } } }"""
    made = owner.ask(publish, {"text": card("audit/told", "For search.\n", labels=["audit-told"])}, **traced(1))
    card_id = made["publishCard"]["card"]["id"]
    agent.ask("query ($id: ID!) { card(id: $id) { text } }", {"id": card_id}, **traced(2))
    agent.ask('{ search(text: "search", filter: {labels: ["audit-told"]}) { complete } }', None, **traced(3))
    assert agent.error(publish, {"text": "x"}, **traced(4))["extensions"] | {"hint": ""} == {
        "code": "FORBIDDEN",
        "hint": "",
        "traceId": TRACE,
    }
    refused = owner.ask(publish, {"text": "no card"}, **traced(5))["publishCard"]["userErrors"]
    assert refused == [{"code": "INVALID"}]

    told = {entry["requestId"]: entry for entry in entries(owner) if entry["traceId"] == TRACE}
    assert set(told) == {f"story-request-{number}" for number in range(1, 6)}
    by = [(told[f"story-request-{number}"]["actor"], told[f"story-request-{number}"]["type"]) for number in range(1, 6)]
    user, machine = {"kind": "USER", "actorId": "owner@t_acme"}, {"kind": "AGENT", "actorId": agent_id}
    assert by == [
        (user, "card.published"),
        (machine, "cards.read"),
        (machine, "cards.searched"),
        (machine, "request.refused"),
        (user, "request.refused"),
    ]
    first = told["story-request-1"]
    assert (first["subject"], first["surface"]) == ({"kind": "card", "subjectId": card_id}, "graphql")
    assert first["payload"]["output"]["version"] == 1
    refusal = told["story-request-4"]
    assert refusal["severity"] == "WARNING"
    assert refusal["payload"]["input"] == {"field": "publishCard", "permission": "cards:publish"}
    assert refusal["payload"]["output"] == {"code": "FORBIDDEN"}


@pytest.mark.parametrize("trace", ["", "00-xyz", f"00-{'0' * 32}-{SPAN}-01", f"01-{TRACE}-{SPAN}-01"])
def test_a_malformed_trace_is_replaced(world: World, trace: str) -> None:
    """So is a malformed request id: what stands in the journal is always well-formed."""
    owner = world.caller("t_acme", "owner")
    answer = owner.answer("{ viewer { role } }", None, **{"traceparent": trace, "X-Request-Id": "a b\tc"})
    assert len(answer.headers["x-trace-id"]) == 32
    assert answer.headers["x-trace-id"] != TRACE


async def test_refusals_of_every_kind_are_told(world: World) -> None:
    """Of queries, mutations, streams and admission; what was asked for stands there as the field's name alone."""
    owner, member, agent = (world.caller("t_acme", role) for role in ("owner", "member", "agent"))

    def last(actor: str, kind: str) -> Any:
        return entries(owner, actor=actor, types=[kind])[0]

    agent_id = agent.ask("{ viewer { subject } }")["viewer"]["subject"]
    assert member.error(AUDIT, {"first": 1})["extensions"]["code"] == "FORBIDDEN"
    assert last("member@t_acme", "request.refused")["payload"]["input"]["field"] == "audit"
    assert agent.error('{ settings(surface: "x") { surface } }')["extensions"]["code"] == "FORBIDDEN"
    assert last(agent_id, "request.refused")["payload"]["input"]["field"] == "settings"
    async with agent.socket() as socket:
        stream = 'subscription { settingsChanged(surface: "x") { __typename } }'
        assert (await subscription_error(socket, "1", stream))["extensions"]["code"] == "FORBIDDEN"
        assert last(agent_id, "request.refused")["payload"]["input"]["field"] == "settingsChanged"
        stream = 'subscription { runLog(runId: "run_1") { __typename } }'
        assert (await subscription_error(socket, "2", stream))["extensions"]["code"] == "NOT_FOUND"
        assert last(agent_id, "request.refused")["payload"]["output"]["code"] == "NOT_FOUND"
    stranger = Caller(world.server, "t_acme", world.credentials["t_globex", "owner"])
    assert stranger.error("{ viewer { role } }")["extensions"]["code"] == "FORBIDDEN"
    refused = entries(owner, subject="owner@t_globex", types=["admission.refused"])[0]
    assert refused["actor"] == {"kind": "SYSTEM", "actorId": "admission"}
    assert (refused["severity"], refused["payload"]["output"]) == ("WARNING", {"code": "FORBIDDEN"})


def test_the_audit_is_filtered_and_is_for_owners_and_admins(world: World) -> None:
    """By type, actor, subject and time; looking is told too; members and agents don't look."""
    owner, admin = world.caller("t_acme", "owner"), world.caller("t_acme", "admin")
    made = published(admin, card("audit/filtered"))
    assert retire(admin, made["id"], 1)["userErrors"] == []
    types = [entry["type"] for entry in entries(owner, subject=made["id"])]
    assert [each for each in types if not each.endswith("indexed")][:2] == ["card.retired", "card.published"]
    [retired] = entries(owner, subject=made["id"], types=["card.retired"])
    assert retired["actor"]["actorId"] == "admin@t_acme"
    assert entries(owner, subject=made["id"], types=["card.retired"], actor="owner@t_acme") == []
    assert entries(owner, subject=made["id"], types=["card.retired"], atTo=retired["at"]) == []
    assert entries(owner, subject=made["id"], types=["card.retired"], atFrom=retired["at"]) == [retired]
    looked = entries(admin, types=["audit.read"])[0]
    assert looked["actor"]["actorId"] == "owner@t_acme"
    for role in ("member", "agent"):
        error = world.caller("t_acme", role).error(AUDIT, {"first": 1})
        assert (error["extensions"]["code"], error["path"]) == ("FORBIDDEN", ["audit"])
    assert made["id"] not in json.dumps(entries(world.caller("t_globex", "owner")))


def test_the_journal_is_gapless_redacted_and_the_log_holds_no_content(own_world: MakeWorld) -> None:
    """After a busy day: seq from 1 on, personal data as kinds only, and nothing that people wrote in the server log."""
    world = own_world(log_level="debug")
    owner, agent = world.caller("t_acme", "owner"), world.caller("t_acme", "agent")
    asset_id = kept(owner, f"{CANARY}.md", "text/markdown", f"# {CANARY}\n\nzoe@example.com\n".encode())
    derive(owner, asset_id)
    made = published(owner, card("audit/canary", f"{CANARY}\n", title=CANARY, mail="zoe@example.com"))
    ask = {"ask": {"text": f"{CANARY} zoe@example.com", "k": 1}}
    agent.ask(world.document("agent/RequestPack"), ask)
    agent.ask("query ($text: String!) { search(text: $text) { complete } }", {"text": f"{CANARY} zoe@example.com"})
    opened = agent.ask(world.document("agent/OpenRun"), {"title": f"{CANARY} zoe@example.com"})["openRun"]
    entry = {"runId": opened["run"]["id"], "text": f"{CANARY} zoe@example.com"}
    agent.ask(world.document("agent/AppendRunLog"), entry)
    odd = {"X-Request-Id": CANARY * 9, "X-Nexus-Run": CANARY, "traceparent": CANARY}
    assert owner.answer("{ viewer { role } }", None, **odd).status_code == 400
    for wrong in (f"{{ {CANARY} }}", f'{{ card(id: "{CANARY}") {{ {CANARY} }} }}', f"{{ viewer {{ {CANARY}"):
        owner.answer(wrong)
    owner.answer(PUBLISH, {"input": {"text": CANARY, "trainOk": True}})
    Caller(world.server, f"t_{CANARY}", world.credentials["t_acme", "owner"]).answer("{ viewer { role } }")
    Caller(world.server, "t_acme", f"{CANARY}.{CANARY}.{CANARY}").answer("{ viewer { role } }")
    assert retire(owner, made["id"], 1)["userErrors"] == []

    journal = whole(owner)
    assert [entry["seq"] for entry in journal] == list(range(1, len(journal) + 1))
    assert len({entry["hash"] for entry in journal}) == len(journal)
    assert "zoe@example.com" not in json.dumps(journal)
    noted = next(entry for entry in journal if entry["type"] == "run.noted")
    assert noted["payload"]["input"]["text"] == f"{CANARY} [email]"
    assert next(entry for entry in journal if entry["type"] == "card.published")["piiFlags"] == ["email"]
    runs: dict[str, list[int]] = {}
    for entry in journal:
        runs.setdefault(entry["runId"], []).append(entry["number"])
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in runs.values())

    assert world.server.stop() == 0
    log = world.server.log.read_text()
    assert "http.request" in log
    for secret in (CANARY, "zoe@", "Bearer", *world.credentials.values()):
        assert secret not in log, secret


def tampered(installation: Installation, statement: str, seq: int) -> None:
    """Change an entry behind the engine's back."""
    assert len(installation.query(f"{statement} returning seq", seq=seq)) == 1


def test_a_bent_journal_is_found_at_its_first_bad_entry(own_world: MakeWorld) -> None:
    """`nexus-graph audit verify` holds on an untouched journal, and names the first seq that was changed or removed."""
    world = own_world()
    owner = world.caller("t_acme", "owner")
    for number in range(3):
        published(owner, card(f"audit/bent-{number}"))
    assert world.server.stop() == 0
    installation = world.server.installation
    place = ("--tenant", "t_acme", "--env", "dev")
    where = "where tenant_id = 't_acme' and env = 'dev' and seq = :seq"

    def verified(status: int) -> Any:
        said = installation.run("audit", "verify", *place, "--json", status=status)
        [report] = json.loads(said[: said.rindex("]") + 1])
        return report

    count = verified(0)["entries"]
    assert count >= 9
    tampered(installation, f"update journal_events set actor_id = 'somebody else' {where}", count - 1)  # noqa: S608
    bent = verified(1)
    assert (bent["firstBadSeq"], bent["entries"]) == (count - 1, count - 2)
    assert "actor, subject, payload or labels" in bent["reason"]
    tampered(installation, f"update journal_events set request_id = 'another' {where}", count - 3)  # noqa: S608
    assert verified(1)["firstBadSeq"] == count - 3
    tampered(installation, f"delete from journal_events {where}", count - 5)  # noqa: S608
    said = installation.run("audit", "verify", status=1)
    assert f"t_acme/dev: broken at seq {count - 5}: " in said
    assert "t_globex/dev: " in said
    assert " entries hold." in said
