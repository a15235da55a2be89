"""Two or more places (a tenant and an env) filled with one of everything, each with a word that nobody else may see."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from foreign_slots import KNOWN_IDS, Prober, Slot, Unclassified, slots
from graphql import GraphQLObjectType, GraphQLSchema, build_client_schema, get_introspection_query
from journey_house import WAIT_SECONDS, Caller
from journey_steps import allowing, card, derive, kept, propose, publish, published, reserve, sha256

TENANT_WIDE = {"RevokeMemberChange.subject", "RevokeMemberInput.subject", "SetMemberChange.subject"}
"""Members belong to all envs of their tenant."""

OPEN = "mutation Open($input: OpenRunInput!) { openRun(input: $input) { run { id } } }"
NOTE = (
    "mutation Note($input: AppendRunLogInput!) { appendRunLog(input: $input) { entry { id } userErrors { message } } }"
)
PACK = "query Pack($ask: InfluencePackInput!) { influencePack(ask: $ask) { id digest refs { cardId } } }"
ATOMS = "query Atoms($id: ID!) { asset(id: $id) { downloadAddress atoms(first: 9) { edges { node { id } } } } }"
NEW_KEY = "mutation Key { createKey(input: { name: %s, days: 1 }) { key { keyId } secret } }"
EXPORT = """mutation Start($input: StartExportInput!) { startExport(input: $input) {
  export { id } userErrors { message } } }"""
EXPORTED = "query State($id: ID!) { export(id: $id) { state } }"
SESSION = """mutation Append($input: AppendSessionInput!) {
  appendSession(input: $input) { session { id } userErrors { message } } }"""
PLAN = "mutation Plan($input: PlanErasureInput!) { planErasure(input: $input) { erasure { id } } }"
HALT = """mutation Halt($reason: String!) { engageKillSwitch(input: {
  target: PROVIDER, name: "openai", reason: $reason }) { killSwitch { id } } }"""
LOCK = "query Lock($id: ID!) { lock(id: $id) { target } }"
MEMBER = "mutation Set($input: SetMemberInput!) { setMember(input: $input) { member { subject } } }"


SETTINGS = """subscription Settings($surface: String!) {
  settingsChanged(surface: $surface) { ... on SettingsHeartbeat { cursor } } }"""


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
class Place:
    """What there is in one tenant and env."""

    caller: Caller
    other: Caller
    word: str
    ids: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, list[Probe]] = field(default_factory=dict)
    cursors: dict[str, str] = field(default_factory=dict)
    upload: dict[str, Any] = field(default_factory=dict)
    download: str = ""
    agent: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Tenant and env."""
        return self.caller.headers["X-Nexus-Tenant"], self.caller.headers["X-Nexus-Env"]

    @property
    def canaries(self) -> set[str]:
        """What no answer outside this place may hold."""
        found = {item for ids in self.ids.values() for item in ids if len(item) > 20}
        return found | {self.word, self.agent} | set(self.cursors.values())

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
            return [Probe(f"{slot.leaf} of {self.word}")]
        if slot.leaf in self.names:
            return self.names[slot.leaf]
        if slot.type_name == "ID" and slot.path[-1] in KNOWN_IDS:
            return [Probe(item) for ids in self.ids.values() for item in ids]
        raise Unclassified(f"{slot.name} ({slot.leaf}: {slot.type_name}) has no value here: name one, or call it free.")

    def own(self, place: str) -> Any:
        """A valid value for a required argument, fresh where using it changes something."""
        fresh = secrets.token_hex(16)
        match place.rpartition(".")[2]:
            case "runId" if place.startswith("Subscription."):
                return self.ids["ResearchRun"][0]
            case "runId":
                return self.caller.ask(OPEN, {"input": {"title": "a run"}})["openRun"]["run"]["id"]
            case "assetId":
                return self.ids["Asset"][0]
            case "cardId":
                return publish(self.caller, card(None, fresh))["card"]["id"]
            case "subject" if place == "RevokeMemberInput.subject":
                self.caller.ask(MEMBER, {"input": {"subject": fresh, "role": "MEMBER"}})
                return fresh
            case "id" if place == "SetTrainOkInput.id":
                return self.ids["Asset"][0]
            case "sessionId":
                return remember(self.caller, fresh, fresh)
            case "lockId" if place in ("RevokeLockInput.lockId", "RejectLockInput.lockId"):  # it is no draft afterwards
                return propose(self.caller, {"reindex": True})["id"]
            case "lockId":
                return self.ids["StrategyLock"][0]
            case "revision" if place == "EditLockInput.revision":  # never the right one: the lock stays what it is
                return 0
            case "erasureId":
                return self.ids["Erasure"][0]
            case "kind" if place == "PlanErasureInput.kind":
                return "SUBJECT"
            case "digest" if place == "ExecuteErasureInput.digest":  # never the right one
                return fresh + fresh
            case "switchId":
                return self.ids["KillSwitch"][0]
            case "sha256":
                return fresh + fresh
            case "text" if place in ("PublishCardInput.text", "PublishCardChange.text"):
                return card(None, fresh)
        return {
            "text": "What stops the line?",
            "title": "a run",
            "content": "a turn",
            "reason": "It is time.",
            "target": "PROVIDER",
            "revision": 1,
            "changeDigest": fresh + fresh,
            "resource": "CARDS",
            "optOut": False,
            "kinds": ["CARD"],
            "action": "retireCard",
            "filename": "a.txt",
            "contentType": "text/plain",
            "sizeBytes": self.size,
            "trainOk": True,
            "expectedVersion": 1,
            "subject": "somebody@people.example",
            "role": "MEMBER",
            "name": "a key",
            "days": 1,
            "surface": f"{self.word}_screen",
            "field": "topic",
            "comparison": "EQUALS",
            "values": ["x"],
            "keyId": "0" * 32,
        }[place.rpartition(".")[2]]

    @property
    def size(self) -> int:
        """Bytes of every file in every place, so that a declared size tells nothing."""
        return 400


def introspect(caller: Caller) -> GraphQLSchema:
    """The schema as the server tells it."""
    return build_client_schema(caller.ask(get_introspection_query(descriptions=False)))


async def fill(caller: Caller, other: Caller, schema: GraphQLSchema) -> Place:
    """Put one of everything into a place; the other approves what needs a lock."""
    word = "zanzibar" + "".join(caller.headers[name].removeprefix("t_") for name in ("X-Nexus-Tenant", "X-Nexus-Env"))
    place = Place(caller, other, word)
    data = f"# {word}\n\nThe line stops when the {word} runs dry.\n".encode().ljust(place.size, b".")
    asset = kept(caller, f"{word}.md", "text/markdown", data, sourceRef=word)
    kept(caller, f"{word}.bin", f"application/x-{word}", b"\0" + data, captureLocation=word)
    derive(caller, asset)
    found = caller.ask(ATOMS, {"id": asset})["asset"]
    atom = found["atoms"]["edges"][0]["node"]["id"]
    place.download = found["downloadAddress"]
    place.upload = reserve(caller, f"{word}-late.md", "text/markdown", data[::-1])["upload"]
    text = card(
        f"{word}/card", f"The {word} runs dry.", title=word, labels=[word], topic=word, artifact_refs=[atom, asset]
    )
    first = published(caller, text)
    published(caller, text + "Again.", expectedVersion=1)
    published(caller, card(f"{word}/odd", f"An odd {word}.", card_type=word))
    surface = f"{word}_screen"
    publish_settings(place, surface, word)
    made = caller.ask(NEW_KEY % json.dumps(word))["createKey"]
    place.agent, key_id = made["secret"], made["key"]["keyId"]
    agent = Caller(caller.server, caller.headers["X-Nexus-Tenant"], place.agent, caller.headers["X-Nexus-Env"])
    pack = agent.ask(PACK, {"ask": {"text": f"When does the {word} stop?"}})["influencePack"]
    member = f"{word}@people.example"
    caller.ask(MEMBER, {"input": {"subject": member, "role": "MEMBER"}})
    later = card(f"{word}/later", word, card_type="temperature_weights", title=word, weights={"mer": 1})
    lock = propose(caller, {"publishCard": {"text": later, "trainOk": True}}, reason=word)
    target = caller.ask(LOCK, {"id": lock["id"]})["lock"]["target"]
    switch = caller.ask(HALT, {"reason": word})["engageKillSwitch"]["killSwitch"]  # of what nothing here needs
    run = caller.ask(OPEN, {"input": {"title": word}})["openRun"]["run"]["id"]
    for slot in slots(schema):
        if slot.path[-1] == "idempotencyKey":
            caller.ask(OPEN, {"input": {"title": word, "idempotencyKey": f"{slot.leaf} of {word}"}})
    caller.ask(NOTE, {"input": {"runId": run, "text": word}})
    place.ids = {
        "Asset": [asset],
        "Atom": [atom],
        "Card": [first["id"]],
        "CardVersion": [f"{first['id']}:1"],
        "InfluencePack": [pack["id"]],
        "ResearchRun": [run],
        "LogEntry": ["entry_1"],
        "StrategyLock": [lock["id"]],
        "KillSwitch": [switch["id"]],
        "TrainingExport": [exported(caller)],
        "Erasure": [planned_erasure(caller, member)],
        "Session": [remember(caller, f"{word}.session", word)],
    }
    texts = [
        Probe(asset, lambda ref: card(None, "A body.", artifact_refs=[ref])),
        Probe(atom, lambda ref: card(None, "A body.", artifact_refs=[ref])),
        Probe(f"{word}/card", lambda key: card(key, "A body.")),
        Probe(first["id"], lambda card_id: card(None, "A body.", card_id=card_id)),
        Probe(caller.headers["X-Nexus-Tenant"], lambda tenant: card(None, "A body.", tenant_id=tenant)),
        Probe(surface, lambda name: settings_card(name, secrets.token_hex(16))),
    ]
    their_owner = f"owner@{caller.headers['X-Nexus-Tenant']}"
    place.names = {
        "AssetFilterInput.contentTypes": [Probe(f"application/x-{word}")],
        "AuditFilterInput.actor": [Probe(key_id)],
        "AuditFilterInput.subject": [Probe(asset), Probe(first["id"]), Probe(run), Probe(key_id)],
        "CardFilterInput.labels": [Probe(word)],
        "CardFilterInput.types": [Probe(word)],
        "FieldConditionInput.values": [Probe(word)],
        "PlanErasureInput.subject": [Probe(member), Probe(key_id)],
        "PublishCardInput.text": texts,
        "PublishCardChange.text": texts,
        "Query.locks.target": [Probe(target)],
        "SetMemberChange.subject": [Probe(their_owner)],
        "RevokeMemberChange.subject": [Probe(their_owner)],
        "EraseSessionInput.sessionId": [Probe(f"{word}.session")],
        "Query.session.id": [Probe(f"{word}.session")],
        "Query.settings.surface": [Probe(surface)],
        "Subscription.settingsChanged.surface": [],  # a quiet surface and a foreign one never end: a story of its own
        "ReserveAssetInput.sha256": [Probe(sha256(data))],
        "ReleaseKillSwitchInput.switchId": [Probe(switch["id"])],
        "RevokeKeyInput.keyId": [Probe(key_id)],
        "RevokeMemberInput.subject": [Probe(member)],
        "Viewer.can.target": [Probe(first["id"])],
    }
    nodes = {each.name for each in schema.get_possible_types(schema.get_type("Node"))}  # type: ignore[arg-type]
    if unknown := sorted(nodes - set(place.ids)):
        raise Unclassified(f"There is no {unknown[0]} at hand: make one in every place.")
    for owner, name in connections(schema):
        call = place.prober(schema).connection(owner, name)
        answer = caller.answer(call.document, call.variables).json()
        assert "errors" not in answer, answer
        place.cursors[f"{owner.name}.{name}"] = _first_cursor(answer)
    place.cursors["Subscription.runLog"] = place.cursors["ResearchRun.log"]
    place.cursors["Subscription.settingsChanged"] = await _settings_cursor(caller, surface)
    return place


def exported(caller: Caller) -> str:
    """Export everything that may leave, with something that may not; the export's id."""
    published(caller, card(None, "Not for training."), trainOk=False)
    payload = caller.ask(EXPORT, {"input": {"kinds": ["CARD", "ATOM"]}})["startExport"]
    assert payload["userErrors"] == [], payload
    export_id = str(payload["export"]["id"])
    deadline = time.monotonic() + WAIT_SECONDS
    while caller.ask(EXPORTED, {"id": export_id})["export"]["state"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return export_id


def planned_erasure(caller: Caller, subject: str) -> str:
    """Plan an erasure that nobody carries out; its id."""
    return str(caller.ask(PLAN, {"input": {"kind": "SUBJECT", "subject": subject}})["planErasure"]["erasure"]["id"])


def remember(caller: Caller, session_id: str, text: str) -> str:
    """Append to the caller's own session memory; the session's name."""
    entries = [{"content": text, "trainOk": True}]
    payload = caller.ask(SESSION, {"input": {"sessionId": session_id, "entries": entries}})["appendSession"]
    assert payload["userErrors"] == [], payload
    return session_id


def settings_card(surface: str, title: str) -> str:
    """The settings of a surface."""
    sections = [{"section": "one", "title": "One"}]
    return card(None, "A screen.", card_type="surface_settings", title=title, surface=surface, sections=sections)


def publish_settings(place: Place, surface: str, title: str) -> None:
    """Publish settings of a surface for the first time, under a class lock since their text names no key."""
    with allowing(place.caller, place.other, "surface_settings"):
        payload = publish(place.caller, settings_card(surface, title))
    assert payload["userErrors"] == [], payload


def connections(schema: GraphQLSchema) -> list[tuple[GraphQLObjectType, str]]:
    """Every list with cursors."""
    found = {
        (slot.owner.name, slot.field): slot.owner
        for slot in slots(schema)
        if slot.path == ("after",) and "first" in slot.owner.fields[slot.field].args
    }
    return [(owner, name) for (_, name), owner in found.items()]


def _first_cursor(value: Any) -> str:
    """The cursor of the first edge, wherever it lies."""
    if isinstance(value, dict):
        if value.get("edges"):
            return str(value["edges"][0]["cursor"])
        for item in value.values():
            if found := _first_cursor(item):
                return found
    return ""


async def _settings_cursor(caller: Caller, surface: str) -> str:
    async with caller.stream(SETTINGS, {"surface": surface}) as frames:
        async for frame in frames:
            return str(frame["settingsChanged"]["cursor"])
    raise AssertionError("the stream ended")
