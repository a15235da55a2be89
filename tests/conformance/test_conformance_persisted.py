"""Persisted operations, on real servers: one that runs any document, and one that runs trusted ones alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import node_packages
import pytest
from conformance_table import Figure
from graphql import OperationDefinitionNode, parse
from journey_house import WAIT_SECONDS, Caller, Installation, MakeWorld, World, http, receive
from websockets.asyncio.client import ClientConnection

from nexus_graph.api.operations.persisted import digest_of

OPERATIONS = Path(__file__).parents[2] / "schema" / "operations"
TEXTS = {path.relative_to(OPERATIONS).as_posix(): path.read_text("utf-8") for path in OPERATIONS.rglob("*.graphql")}
EVENTS = {"accept": "text/event-stream"}
ROLE = "query Role { viewer { role } }"
OURS = "query OfTheOperator { viewer { role role } }"
INPUTS = {
    "ReserveAsset": {
        "filename": "a.txt",
        "contentType": "text/plain",
        "sizeBytes": 1,
        "sha256": "0" * 64,
        "trainOk": True,
    },
    "EditLock": {"lockId": "unknown", "revision": 1, "reason": "It is time.", "change": {"reindex": True}},
    "ProposeLock": {"reason": "It is time.", "change": {"reindex": True}},
}
VALUES: dict[str, Any] = {
    "ask": {"text": "a card"},
    "change": {"reindex": True},
    "changeDigest": "0" * 64,
    "first": 1,
    "id": "unknown",
    "revision": 1,
    "status": "SUCCEEDED",
    "surface": "cards",
    "text": "noted",
    "title": "A run.",
    "trainOk": True,
}


def ways(text: str, variables: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """The requests for a document: by its text, and twice by its digest."""
    digest, given = digest_of(text), {"variables": variables or {}}
    return {
        "text": {"query": text, **given},
        "digest": {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}}, **given},
        "documentId": {"documentId": f"sha256:{digest}", **given},
    }


def shipped(text: str, run_id: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """The kind of a shipped operation, and the requests for it with values that suit its variables."""
    [node] = [each for each in parse(text).definitions if isinstance(each, OperationDefinitionNode)]
    known = VALUES | {"runId": run_id, "input": INPUTS.get(node.name.value if node.name else "")}
    named = [each.variable.name.value for each in node.variable_definitions or ()]
    return node.operation.value, ways(text, {name: known[name] for name in named if name in known})


def post(caller: Caller, body: Any, **headers: str) -> httpx.Response:
    """One request."""
    return http("POST", f"{caller.server.address}/graphql", json=body, headers=caller.headers | headers)


def get(caller: Caller, body: dict[str, Any], **headers: str) -> httpx.Response:
    """The same by GET."""
    parameters = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
    return http("GET", f"{caller.server.address}/graphql", params=parameters, headers=caller.headers | headers)


def executed(answer: Any) -> bool:
    """Whether fields were asked for their values."""
    return "data" in answer


def first_event(caller: Caller, body: dict[str, Any]) -> Any:
    """The answer in the first `next` event of a stream."""
    address, headers = f"{caller.server.address}/graphql", caller.headers | EVENTS
    with httpx.stream("POST", address, json=body, headers=headers, timeout=WAIT_SECONDS, trust_env=False) as response:
        assert response.headers["content-type"].startswith("text/event-stream"), response.read()
        for line in response.iter_lines():
            if line.startswith("data: "):
                return json.loads(line.removeprefix("data: "))
    pytest.fail("the stream ended without an event")


async def by_socket(socket: ClientConnection, name: str, body: dict[str, Any]) -> Any:
    """The first answer of an operation on a socket; it is not followed any further."""
    await socket.send(json.dumps({"id": name, "type": "subscribe", "payload": body}))
    while (message := await receive(socket)).get("id") != name or message["type"] == "complete":
        continue
    await socket.send(json.dumps({"id": name, "type": "complete"}))
    return message["payload"] if message["type"] == "next" else {"errors": message["payload"]}


def refused(answer: Any) -> tuple[str, str]:
    """Message and code of the one error of a request that was not run."""
    assert not executed(answer), answer
    [error] = answer["errors"]
    assert set(error["extensions"]) == {"code", "hint", "traceId"}
    return error["message"], error["extensions"]["code"]


@pytest.fixture
def strict(own_world: MakeWorld, tmp_path: Path) -> World:
    """A server that runs trusted documents alone, one of the operator's among them."""
    (tmp_path / "operations").mkdir()
    (tmp_path / "operations" / "ours.graphql").write_text(OURS, "utf-8")
    return own_world(documents="trusted", operations=str(tmp_path / "operations"))


async def test_trusted_documents_run_every_way_and_nothing_else(strict: World, figure: Figure) -> None:
    """Each shipped one by text, digest and documentId, over HTTP and the socket; what differs by a blank does not."""
    owner = strict.caller("t_acme", "owner")
    run_id = owner.ask(TEXTS["agent/OpenRun.graphql"], {"title": "To be followed."})["openRun"]["run"]["id"]
    answered = 0
    async with owner.socket() as socket:
        for name, text in sorted(TEXTS.items()):
            kind, bodies = shipped(text, run_id)
            answers = [await by_socket(socket, f"{name} {how}", body) for how, body in bodies.items()]
            for body in bodies.values():
                if kind == "subscription":
                    answers.append(await asyncio.to_thread(first_event, owner, body))
                    continue
                answers.append(post(owner, body).json())
                if kind == "query":
                    answers.append(get(owner, body).json())
                else:
                    assert get(owner, body).status_code == 405
            assert [each for each in answers if not executed(each)] == [], name
            answered += len(answers)
    assert executed(post(owner, ways(OURS)["digest"]).json())
    figure(4, "Shipped operations run where only trusted documents are", f"{len(TEXTS)} of {len(TEXTS)}")
    figure(4, "Ways in which they were sent: text, digest, documentId; POST, GET, events, websocket", answered)

    wrong = {
        "another text": ROLE,
        "a blank more": OURS + " ",
        "no GraphQL at all, which nobody has parsed": "{ ( [",
        "introspection": "{ __schema { queryType { name } } }",
    }
    for text in wrong.values():
        for body in ways(text).values():
            answer = post(owner, body)
            assert (answer.status_code, refused(answer.json())[1]) == (403, "FORBIDDEN")
            assert refused(get(owner, body).json())[0].startswith("Only trusted documents")
    assert http("GET", f"{strict.server.address}/graphiql").status_code == 404
    figure(4, "Kinds of other documents refused there, unread", f"{len(wrong)} of {len(wrong)}")


def test_a_document_is_learnt_from_a_client_and_its_digest_is_enough(world: World, figure: Figure) -> None:
    """Unknown, then sent with its text, then known: to the same tenant in the same env alone."""
    owner, stranger = world.caller("t_acme", "owner"), world.caller("t_globex", "owner")
    by_digest = ways(text := "query LearntFromAClient { viewer { role } }")["digest"]
    for ask in (post, get):
        answer = ask(owner, by_digest)
        assert refused(answer.json()) == ("PersistedQueryNotFound", "NOT_FOUND")
        assert (answer.status_code, answer.json()["extensions"]["cost"]["points"]) == (200, 10)
    learnt = post(owner, by_digest | {"query": text}).json()
    assert learnt["data"] == {"viewer": {"role": "OWNER"}}
    assert [ask(owner, by_digest).json()["data"] for ask in (post, get)] == [learnt["data"]] * 2
    assert post(world.caller("t_acme", "member"), by_digest).json()["data"] == {"viewer": {"role": "MEMBER"}}
    assert refused(post(stranger, by_digest).json())[0] == "PersistedQueryNotFound"
    figure(4, "Points that an unknown digest costs", 10)
    figure(4, "Other tenants that a learnt document is known to", 0)


def test_a_digest_of_another_document_is_refused(world: World) -> None:
    """And nothing is learnt by it: neither text is known under either digest afterwards."""
    owner = world.caller("t_acme", "owner")
    mine, other = "query Mine { viewer { role } }", "query Other { viewer { role } }"
    answer = post(owner, ways(mine)["digest"] | {"query": other}, accept="application/graphql-response+json")
    assert (answer.status_code, refused(answer.json())[1]) == (400, "INVALID")
    for text in (mine, other):
        assert refused(post(owner, ways(text)["digest"]).json())[0] == "PersistedQueryNotFound"


async def test_a_digest_is_enough_on_a_socket(world: World) -> None:
    """A shipped subscription by digest alone; an unknown digest ends its operation, not the socket."""
    owner = world.caller("t_acme", "owner")
    follow = ways(TEXTS["settings/SettingsChanged.graphql"], {"surface": "cards"})
    async with owner.socket() as socket:
        lost = await by_socket(socket, "lost", ways("query Lost { viewer { role } }")["digest"])
        assert refused(lost)[0] == "PersistedQueryNotFound"
        assert executed(await by_socket(socket, "found", follow["digest"]))


def test_the_command_tells_the_digests_that_clients_hash(world: World, figure: Figure) -> None:
    """For each shipped file those of its bytes, of graphql-js's print and of Apollo Client's."""
    told = {each["file"]: each for each in world.server.installation.json("operations")}
    assert {f"operations/{name}" for name in TEXTS} == set(told)
    packages = node_packages.install(Path(__file__).parent / "clients")
    for name, digests in node_packages.run(packages, "digests.mjs", str(OPERATIONS)).items():
        named = told[f"operations/{name}"]["digests"]
        assert named[0] == digests["file"]
        assert set(digests.values()) <= set(named), name
    figure(4, "Digests of shipped operations equal to those of graphql-js and Apollo Client", 2 * len(TEXTS))


def test_a_bad_document_of_the_operators_stops_the_start(world: World, tmp_path: Path) -> None:
    """Status 2; the message names the file and its error."""
    (tmp_path / "bad.graphql").write_text("query Bad { nobody }", "utf-8")
    installation = world.server.installation
    told = Installation(installation.folder, operations=str(tmp_path)).run("serve", "--port", "0", status=2)
    assert "bad.graphql, line 1: Cannot query field 'nobody'" in told
