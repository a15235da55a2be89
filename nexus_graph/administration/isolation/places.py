"""What a place holds that the other's callers try: ids, names, cursors and keys, each with the calls it fits into."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLObjectType, GraphQLSchema, build_client_schema, get_introspection_query

from nexus_graph.administration.isolation import steps
from nexus_graph.administration.isolation.callers import Caller
from nexus_graph.administration.isolation.model import Place
from nexus_graph.administration.isolation.slots import KNOWN_IDS, Prober, Slot, Unclassified, slots

TENANT_WIDE = {"RevokeMemberChange.subject", "RevokeMemberInput.subject", "SetMemberChange.subject"}
"""Members belong to all envs of their tenant."""

SIZE = 400
"""Bytes of every file in every place, so that a declared size tells nothing."""

REQUIRED: Mapping[str, Any] = {
    "text": "What stops the line?",
    "title": "a run",
    "content": "a turn",
    "reason": "It is time.",
    "revision": 1,
    "resource": "CARDS",
    "optOut": False,
    "kind": "SUBJECT",
    "kinds": ["CARD"],
    "target": "ACTION",
    "action": "retireCard",
    "filename": "a.txt",
    "contentType": "text/plain",
    "sizeBytes": SIZE,
    "trainOk": True,
    "expectedVersion": 1,
    "subject": "somebody@people.example",
    "role": "MEMBER",
    "name": "a key",
    "days": 1,
    "field": "topic",
    "comparison": "EQUALS",
    "values": ["x"],
    "keyId": "0" * 32,
}
"""Values for arguments that must be given and say nothing about a place."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Something of one place, and the value in which it is put into an argument."""

    token: str
    form: Callable[[str], Any] = lambda token: token
    at: int = -1

    def other(self) -> Probe:
        """The same with a token of the same form that means nothing anywhere: another character at `at`."""
        head, colon, version = self.token.partition(":")
        letters = list(head)
        letters[self.at] = "b" if letters[self.at] == "a" else "a"
        return Probe(f"{''.join(letters)}{colon}{version}", self.form)


@dataclass(slots=True)
class Filled:
    """A place with one of everything. `name` is what callers of other places try; its word is what they never say."""

    place: Place
    name: str
    ids: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, list[Probe]] = field(default_factory=dict)
    cursors: dict[str, str] = field(default_factory=dict)
    upload: dict[str, Any] = field(default_factory=dict)
    download: str = ""
    agent: str = ""

    @property
    def caller(self) -> Caller:
        """The owner of all tenants, calling this place."""
        return self.place.both

    @property
    def canaries(self) -> set[str]:
        """What no answer outside this place may hold."""
        found = {item for ids in self.ids.values() for item in ids if len(item) > 20}
        return found | {self.place.word, self.name, self.agent} | set(self.cursors.values())

    def prober(self, schema: GraphQLSchema) -> Prober:
        """Makes calls in which everything but the probed value is of this place."""
        return Prober(schema, self.own, {name: ids[0] for name, ids in self.ids.items()})

    def probes(self, slot: Slot) -> list[Probe]:
        """What of this place can be put into an argument. Raises Unclassified when that was never thought about."""
        if slot.path[-1] in ("after", "before"):
            where = f"{slot.owner.name}.{slot.field}"
            if where not in self.cursors:
                raise Unclassified(f"There is no cursor of {where}.")
            return [Probe(self.cursors[where], at=0)]  # the last character may hold bits that do not count
        if slot.path[-1] == "idempotencyKey":
            return [Probe(f"{slot.leaf} of {self.name}")]
        if slot.leaf in self.names:
            return self.names[slot.leaf]
        if slot.type_name == "ID" and slot.path[-1] in KNOWN_IDS:
            return [Probe(item) for ids in self.ids.values() for item in ids]
        raise Unclassified(f"{slot.name} ({slot.leaf}: {slot.type_name}) has no value here: name one, or call it free.")

    async def own(self, place: str) -> Any:
        """A valid value for a required argument, fresh where using it changes something."""
        fresh, caller = secrets.token_hex(16), self.caller
        match place.rpartition(".")[2]:
            case "runId" if place.startswith("Subscription."):
                return self.ids["ResearchRun"][0]
            case "runId":
                return await steps.open_run(caller, "a run")
            case "assetId":
                return self.ids["Asset"][0]
            case "cardId":
                return (await steps.publish(caller, steps.card(None, fresh)))["card"]["id"]
            case "subject" if place == "RevokeMemberInput.subject":
                await steps.set_member(caller, fresh)
                return fresh
            case "id" if place == "SetTrainOkInput.id":
                return self.ids["Asset"][0]
            case "sessionId":
                return await steps.remember(caller, fresh, fresh)
            case "erasureId":
                return (await steps.plan(caller, fresh))["id"]
            case "switchId":
                return self.ids["KillSwitch"][0]
            case "lockId" if place in ("EditLockInput.lockId", "RevokeLockInput.lockId", "RejectLockInput.lockId"):
                return (await steps.propose(caller, {"reindex": True}))["id"]  # it is another lock afterwards
            case "lockId":
                return self.ids["StrategyLock"][0]
            case "sha256" | "changeDigest" | "digest":
                return fresh + fresh
            case "surface":
                return steps.screen(self.name)
            case "text" if place in ("PublishCardInput.text", "PublishCardChange.text"):
                return steps.card(None, fresh)
            case name if name in REQUIRED:
                return REQUIRED[name]
        raise Unclassified(f"{place} must be given, and there is no value of one's own for it.")


async def introspect(caller: Caller) -> GraphQLSchema:
    """The schema as the server tells it."""
    answer = await caller.ask(get_introspection_query(descriptions=False))
    if answer.data is None:
        raise Unclassified("The server does not tell its schema, so that nothing can be walked.")
    return build_client_schema(answer.data)  # type: ignore[arg-type]


def connections(schema: GraphQLSchema) -> list[tuple[GraphQLObjectType, str]]:
    """Every list with cursors."""
    found = {
        (slot.owner.name, slot.field): slot.owner
        for slot in slots(schema)
        if slot.path == ("after",) and "first" in slot.owner.fields[slot.field].args
    }
    return [(owner, name) for (_, name), owner in found.items()]
