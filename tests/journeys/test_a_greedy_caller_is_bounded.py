"""A greedy caller is bounded: what one request may cost does not depend on how cleverly it is written."""

from __future__ import annotations

from typing import Any

from journey_house import World, receive, subscribe

from nexus_graph.api.context import MOST_ITEMS
from nexus_graph.api.operations.operation import LONGEST_DOCUMENT

OPEN = 'mutation { openRun(input: {title: "Looking around"}) { run { id } } }'
APPEND = "mutation Append($input: AppendRunLogInput!) { appendRunLog(input: $input) { userErrors { code } } }"
RUN = "query Run($id: ID!) { run(id: $id) { status entries } }"
REFUSED = """{ audit(first: 100, filter: {types: ["request.refused"]}) {
  edges { node { subject { subjectId } traceId runId } } } }"""


def opened(caller: Any) -> str:
    """A research run of the caller's own."""
    run_id: str = caller.ask(OPEN)["openRun"]["run"]["id"]
    return run_id


async def test_fragments_that_double_cost_nothing(world: World) -> None:
    """Forty of them, which would be 2^40 fields, are refused over HTTP and on a socket, which lives on."""
    links = " ".join(f"fragment F{at} on Query {{ ...F{at + 1} ...F{at + 1} }}" for at in range(40))
    bomb = f"{{ ...F0 }} {links} fragment F40 on Query {{ viewer {{ role }} }}"
    agent = world.caller("t_acme", "agent")
    assert agent.error(bomb)["extensions"]["code"] == "INVALID"
    async with agent.socket() as socket:
        await subscribe(socket, "1", bomb, None)
        message = await receive(socket)
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "INVALID")
        await subscribe(socket, "2", "{ viewer { role } }", None)
        assert (await receive(socket))["payload"]["data"] == {"viewer": {"role": "AGENT"}}


def test_a_document_has_a_longest(world: World) -> None:
    """Documents are kept to be found again; a long text belongs into the variables."""
    member = world.caller("t_acme", "member")
    document = "{ viewer { role } } #"
    assert member.ask(document.ljust(LONGEST_DOCUMENT, "x"))["viewer"]["role"] == "MEMBER"
    error = member.error(document.ljust(LONGEST_DOCUMENT + 1, "x"))
    assert error["extensions"]["code"] == "INVALID"
    assert "variables" in error["extensions"]["hint"]


def test_pages_within_pages_end(world: World) -> None:
    """An operation is answered with so many items at most; what is beyond is refused, and journalled once a field."""
    agent = world.caller("t_globex", "agent")
    ids = [opened(agent)] * 100
    fields = "... on ResearchRun { counts { type } sources { subjectId } }"
    pages = " ".join(f"a{place}: nodes(ids: $ids) {{ {fields} }}" for place in range(51))
    document = f"query Much($ids: [ID!]!) {{ {pages} }}"
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = agent.answer(document, {"ids": ids}, traceparent=f"00-{trace}-b7ad6b7169203331-01").json()
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"INVALID"}
    assert f"{MOST_ITEMS:,}" in answer["errors"][0]["message"]
    entries = [edge["node"] for edge in world.caller("t_globex", "owner").ask(REFUSED)["audit"]["edges"]]
    told = [entry["subject"]["subjectId"] for entry in entries if entry["traceId"] == trace]
    assert 1 <= len(told) == len(set(told)), told


def test_a_refusal_does_not_end_the_run_that_the_client_named(world: World) -> None:
    """A slip in one request leaves a research run open; the refusal stands in its log."""
    agent = world.caller("t_acme", "agent")
    run_id = opened(agent)
    payload = agent.ask(APPEND, {"input": {"runId": run_id}}, **{"X-Nexus-Run": run_id})["appendRunLog"]
    assert [error["code"] for error in payload["userErrors"]] == ["INVALID"]
    assert agent.ask(RUN, {"id": run_id})["run"] == {"status": "RUNNING", "entries": 2}
    payload = agent.ask(APPEND, {"input": {"runId": run_id, "text": "On we go."}}, **{"X-Nexus-Run": run_id})
    assert payload["appendRunLog"]["userErrors"] == []
    elsewhere = {"X-Nexus-Run": "run_" + "0" * 32}  # a run that can't take it: the refusal is a run of its own
    error = agent.error("{ members(first: 1) { edges { node { subject } } } }", None, **elsewhere)
    assert error["extensions"]["code"] == "FORBIDDEN"
