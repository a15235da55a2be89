"""Every root field is asked what the schema allows, and what it all but allows, and answers properly."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from conformance_answers import check_message, check_response
from conformance_fuzzing import Fuzzed, megabytes
from conformance_operations import Root, inhabited, operations, roots, streams
from conformance_table import Figure
from graphql import GraphQLSchema, build_schema
from hypothesis import note
from hypothesis import strategies as st
from journey_house import WAIT_SECONDS, receive, subscribe

pytestmark = pytest.mark.long

EXAMPLES = 4
"""Operations of each root field in the bounded run."""

ACCEPTED = ("application/json", "application/graphql-response+json", "application/graphql-response+json, */*;q=0.1")


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    """The released graph."""
    return build_schema((Path(__file__).parents[2] / "schema" / "nexus.graphql").read_text("utf-8"))


@pytest.fixture(scope="module")
def ids(fuzzed: Fuzzed) -> list[str]:
    """What there is to be asked for."""
    return inhabited(fuzzed.world.caller("t_acme", "owner"))


def tenant_of(root: Root) -> str:
    """Who asks for it. What halts everything halts the other tenant: this one is to be asked on."""
    return "t_globex" if root.name == "engageKillSwitch" else "t_acme"


def test_every_root_field_is_asked(fuzzed: Fuzzed, schema: GraphQLSchema, ids: list[str], figure: Figure) -> None:
    """Valid, lively and faulty operations over HTTP: a well-formed answer to each, and a server as it was."""
    fields = roots(schema)
    address = f"{fuzzed.world.server.address}/graphql"
    with httpx.Client(timeout=WAIT_SECONDS, trust_env=False) as client, fuzzed.unharmed():

        def asking(root: Root, examples: int, share: float) -> None:
            headers = fuzzed.owner(tenant_of(root))

            def ask(asked: tuple[str, str]) -> None:
                document, accept = asked
                note(document)
                answer = client.post(address, json={"query": document}, headers={**headers, "Accept": accept})
                code = check_response(answer.status_code, answer.headers["content-type"], answer.content)
                fuzzed.answers[code] += 1

            documents = st.tuples(operations(schema, root, ids), st.sampled_from(ACCEPTED))
            fuzzed.explore(documents, ask, examples, share)

        for root in fields:
            asking(root, 1, 0)  # warm
        with fuzzed.flat() as growth:
            for root in fields:
                asking(root, EXAMPLES, 1 / len(fields))
    assert fuzzed.answers["OK"] > len(fields)  # they reach the resolvers
    figure(10, "root fields of Query and Mutation that were asked generated operations", len(fields))
    figure(10, "operations generated for them, each answered properly", fuzzed.answers.total())
    figure(10, "memory that the warm server grew by meanwhile", megabytes(growth[0]))


def test_every_subscription_is_followed(fuzzed: Fuzzed, schema: GraphQLSchema, ids: list[str], figure: Figure) -> None:
    """Begun over a websocket; the first message is proper, and completing it leaves the connection as it was."""
    caller = fuzzed.world.caller("t_acme", "owner")
    fields, followed = streams(schema), 0

    async def follow(documents: list[str]) -> None:
        nonlocal followed
        async with caller.socket() as socket:
            for number, document in enumerate(documents):
                await subscribe(socket, str(number), document, None)
            waiting = {str(number) for number in range(len(documents))}
            while waiting:
                message = await receive(socket)
                check_message(message)
                if message.get("id") in waiting:
                    waiting.discard(message["id"])
                    await socket.send(json.dumps({"type": "complete", "id": message["id"]}))
            await subscribe(socket, "last", "{ viewer { role } }", None)
            while (message := await receive(socket)) != {"id": "last", "type": "complete"}:
                check_message(message)
        followed += len(documents)

    with fuzzed.unharmed(), asyncio.Runner() as runner:
        for root in fields:
            documents = st.lists(operations(schema, root, ids), min_size=1, max_size=10)
            fuzzed.explore(documents, lambda each: runner.run(follow(each)), EXAMPLES, 1 / len(fields))
    figure(10, "subscription fields that were followed by generated operations", len(fields))
    figure(10, "subscriptions generated for them, each begun and completed properly", followed)
