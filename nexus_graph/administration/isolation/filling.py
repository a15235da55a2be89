"""Puts one of everything into a place, so that the others have something to ask for."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from graphql import GraphQLSchema

from nexus_graph.administration.isolation import steps
from nexus_graph.administration.isolation.callers import Caller
from nexus_graph.administration.isolation.model import Place
from nexus_graph.administration.isolation.places import SIZE, Filled, Probe, connections
from nexus_graph.administration.isolation.slots import HALTED, Unclassified, slots
from nexus_graph.scope.errors import Unavailable

ATOMS = "query Atoms($id: ID!) { asset(id: $id) { downloadAddress atoms(first: 9) { edges { node { id } } } } }"
EXPORTED = "query State($id: ID!) { export(id: $id) { state } }"
INDEXED = "query Indexed($id: ID!) { card(id: $id) { indexState } }"
PACK = "query Pack($ask: InfluencePackInput!) { influencePack(ask: $ask) { id refs { cardId } } }"
_FORWARDING = b"Subject: forwarded\r\nContent-Type: message/rfc822\r\n\r\n"
SETTINGS = """subscription Settings($surface: String!) {
  settingsChanged(surface: $surface) { ... on SettingsHeartbeat { cursor } } }"""


async def fill(place: Place, schema: GraphQLSchema) -> Filled:
    """Put one of everything into a place. Raises Unavailable when something is refused."""
    name = f"zanzibar{secrets.token_hex(6)}{place.tenant.removeprefix('t_').replace('_', '')}{place.env}"
    filled, caller, word = Filled(place, name), place.both, place.word
    data = _mail(name, f"The line stops when the {word} runs dry.")
    asset, atom = await _raw(filled, data)
    first = await _cards(filled, asset, atom)
    made = await steps.step(caller, "createKey", name=name, days=1)
    filled.agent, key_id = made["secret"], made["key"]["keyId"]
    agent = caller.with_key(filled.agent)
    pack = await agent.data(PACK, {"ask": {"text": f"When does the {name} stop?"}})
    member = f"{name}@people.example"
    await steps.set_member(caller, member)
    weights = steps.card(f"{name}/later", word, card_type="temperature_weights", title=word, weights={"mer": 1})
    lock = await steps.propose(caller, {"publishCard": {"text": weights, "trainOk": True}}, reason=word)
    run = await steps.open_run(caller, word)
    for slot in slots(schema):
        if slot.path[-1] == "idempotencyKey":
            await steps.open_run(caller, word, idempotencyKey=f"{slot.leaf} of {name}")
    await steps.step(caller, "appendRunLog", runId=run, text=word)
    switch = await steps.step(caller, "engageKillSwitch", target="ACTION", name=HALTED, reason=word)
    filled.ids = {
        "Asset": [asset],
        "Atom": [atom],
        "Card": [first],
        "CardVersion": [f"{first}:1"],
        "InfluencePack": [pack["id"]],
        "ResearchRun": [run],
        "LogEntry": ["entry_1"],
        "StrategyLock": [lock["id"]],
        "TrainingExport": [await _exported(caller, word)],
        "Session": [await steps.remember(caller, f"{name}.session", word)],
        "KillSwitch": [switch["killSwitch"]["id"]],
        "Erasure": [(await steps.plan(caller, member))["id"]],
    }
    texts = [
        Probe(asset, lambda ref: steps.card(None, "A body.", artifact_refs=[ref])),
        Probe(atom, lambda ref: steps.card(None, "A body.", artifact_refs=[ref])),
        Probe(f"{name}/card", lambda key: steps.card(key, "A body.")),
        Probe(first, lambda card_id: steps.card(None, "A body.", card_id=card_id)),
        Probe(place.tenant, lambda tenant: steps.card(None, "A body.", tenant_id=tenant)),
        Probe(steps.screen(name), lambda surface: steps.settings_card(surface, secrets.token_hex(16))),
    ]
    owner = place.people["owner"]
    filled.names = {
        "AssetFilterInput.contentTypes": [Probe(f"application/x-{name}")],
        "AuditFilterInput.actor": [Probe(key_id)],
        "AuditFilterInput.subject": [Probe(asset), Probe(first), Probe(run), Probe(key_id)],
        "CardFilterInput.labels": [Probe(name)],
        "CardFilterInput.types": [Probe(name)],
        "EraseSessionInput.sessionId": [Probe(f"{name}.session")],
        "FieldConditionInput.values": [Probe(name)],
        "PlanErasureInput.subject": [Probe(key_id)],
        "PublishCardChange.text": texts,
        "PublishCardInput.text": texts,
        "Query.locks.target": [Probe(lock["target"])],
        "Query.session.id": [Probe(f"{name}.session")],
        "Query.settings.surface": [Probe(steps.screen(name))],
        "ReserveAssetInput.sha256": [Probe(hashlib.sha256(data).hexdigest())],
        "RevokeKeyInput.keyId": [Probe(key_id)],
        "RevokeMemberChange.subject": [Probe(f"{owner.role}@{owner.tenant}")],
        "RevokeMemberInput.subject": [Probe(member)],
        "SetMemberChange.subject": [Probe(f"{owner.role}@{owner.tenant}")],
        "Subscription.settingsChanged.surface": [],  # a quiet surface and a foreign one never end: a step of its own
        "Viewer.can.target": [Probe(first)],
    }
    await collect_cursors(filled, schema)
    return filled


def _mail(name: str, words: str) -> bytes:
    """A message with a file in it."""
    file = f"--part\r\nContent-Disposition: attachment; filename={name}.txt\r\n\r\nThe file of {name}.\r\n--part--\r\n"
    head = f"Subject: {name}\r\nContent-Type: multipart/mixed; boundary=part\r\n\r\n--part\r\n\r\n{words}\r\n"
    return f"{head}{file}".encode().ljust(SIZE, b".")


async def _raw(filled: Filled, data: bytes) -> tuple[str, str]:
    """Raw assets in several states; one that is sealed, holds a file and was found in another, and an atom of it."""
    caller, name, word = filled.caller, filled.name, filled.place.word
    asset = await steps.keep(caller, f"{name}.eml", "message/rfc822", data, sourceRef=name)
    outer = await steps.keep(caller, f"{name}-outer.eml", "message/rfc822", _FORWARDING + data)
    await steps.keep(caller, f"{name}.bin", f"application/x-{name}", b"\0" + data, captureLocation=word)
    for asset_id in (asset, outer):
        await steps.step(caller, "deriveAtoms", assetId=asset_id)
    found = await caller.data(ATOMS, {"id": asset})
    filled.download = found["downloadAddress"]
    filled.upload = (await steps.reserve(caller, f"{name}-late.md", "text/markdown", data[::-1]))["upload"]
    return asset, found["atoms"]["edges"][0]["node"]["id"]


async def _cards(filled: Filled, asset: str, atom: str) -> str:
    """Cards of several types and versions; the id of one that cites and is found."""
    caller, name, word = filled.caller, filled.name, filled.place.word
    text = steps.card(
        f"{name}/card", f"The {word} runs dry.", title=name, labels=[name], topic=name, artifact_refs=[atom, asset]
    )
    first = str((await steps.publish(caller, text))["card"]["id"])
    await steps.publish(caller, text + "Again.", expectedVersion=1)
    await steps.publish(caller, steps.card(f"{name}/odd", f"An odd {word}.", card_type=name))
    await steps.publish_settings(caller, filled.place.approver, steps.screen(name), word)

    async def indexed() -> bool:
        return bool((await caller.data(INDEXED, {"id": first}))["indexState"] == "INDEXED")

    await steps.until(indexed, "A card in the index")
    return first


async def _exported(caller: Caller, word: str) -> str:
    """Export everything that may leave, with something that may not; the export's id."""
    await steps.publish(caller, steps.card(None, f"The {word} is not for training."), trainOk=False)
    export_id = str((await steps.step(caller, "startExport", kinds=["CARD", "ATOM"]))["export"]["id"])

    async def over() -> bool:
        return bool((await caller.data(EXPORTED, {"id": export_id}))["state"] != "RUNNING")

    await steps.until(over, "An export")
    return export_id


async def collect_cursors(filled: Filled, schema: GraphQLSchema) -> None:
    """Take a cursor of every list and of every stream. Raises Unclassified for a list that holds nothing."""
    caller = filled.caller
    nodes = {each.name for each in schema.get_possible_types(schema.get_type("Node"))}  # type: ignore[arg-type]
    if unknown := sorted(nodes - set(filled.ids)):
        raise Unclassified(f"There is no {unknown[0]} at hand: make one in every place.")
    for owner, field in connections(schema):
        call = await filled.prober(schema).connection(owner, field)
        answer = await caller.ask(call.document, call.variables)
        cursor = _first_cursor(answer.data)
        if answer.errors or not cursor:
            raise Unclassified(f"{owner.name}.{field} gives no cursor: {answer.text:.500}")
        filled.cursors[f"{owner.name}.{field}"] = cursor
    filled.cursors["Subscription.runLog"] = filled.cursors["ResearchRun.log"]
    async with caller.stream(SETTINGS, {"surface": steps.screen(filled.name)}) as frames:
        async for frame in frames:
            filled.cursors["Subscription.settingsChanged"] = str(frame["cursor"])
            return
    raise Unavailable("A stream of settings ended before its first frame.")


def _first_cursor(value: Any) -> str:
    """The cursor of the first edge, wherever it lies."""
    if isinstance(value, dict):
        if value.get("edges"):
            return str(value["edges"][0]["cursor"])
        for item in value.values():
            if found := _first_cursor(item):
                return found
    return ""
