"""One story, every engine: ids, digests, pages, orders, scores, packs, exports and refusals are the same bytes.

What every engine has to answer lies in `one_story.json`; what is drawn by chance, or is a time, is told by its place.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from journey_house import WAIT_SECONDS, Caller, MakeWorld, http
from journey_steps import PUBLISH, RETIRE, card, derive, kept, published, sha256

EXPECTED = Path(__file__).with_name("one_story.json")

ATOMS = """query Atoms($id: ID!, $first: Int!, $after: String) { asset(id: $id) {
  state sha256 sizeBytes derivation { state op opVersion atoms leftOut { what places count } }
  atoms(first: $first, after: $after) { edges { node { id op opVersion ordinal kind text digest stale
    span { start end page line endLine row pointer } asset { id sha256 } } }
    pageInfo { hasNextPage hasPreviousPage endCursor } } } }"""
CARDS = """query Cards($first: Int, $after: String, $last: Int, $before: String, $filter: CardFilterInput) {
  cards(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
    edges { node { id key version digest title labels text trainOk piiFlags publishedBy
      versions(first: 5) { edges { node { version digest text } } } artifacts { __typename ... on Atom { id } } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
SEARCH = """query Search($text: String!, $k: Int!, $filter: CardFilterInput) {
  search(text: $text, k: $k, filter: $filter) {
    complete exact hits { rank score version { id digest } } } }"""
PACK = """query Pack($ask: InfluencePackInput!) { influencePack(ask: $ask) {
  id digest content request complete exact trainOk piiFlags refs { rank score cardId excerpt { text start end } }
  verification { holds faults } replay { same differences { kind cardId before after } } } }"""
REPLAY = """query Replay($id: ID!) { node(id: $id) { ... on InfluencePack {
  verification { holds faults } replay { same differences { kind cardId } } } } }"""
NODE = "query Node($id: ID!) { node(id: $id) { id } }"
OPEN = 'mutation { openRun(input: { title: "A run" }) { run { id status } userErrors { code } } }'
APPEND = """mutation Append($input: AppendRunLogInput!) { appendRunLog(input: $input) {
  entry { number type payload } userErrors { code message path } } }"""
LOG = "query Log($id: ID!) { run(id: $id) { status log(first: 9) { edges { node { number type payload } } } } }"
START = """mutation Start($input: StartExportInput!) { startExport(input: $input) {
  export { id } userErrors { message } } }"""
EXPORT = """query Export($id: ID!) { export(id: $id) {
  state counts { covered decided included excluded }
  parts(first: 9) { edges { node { records downloadAddress } } } } }"""

MATERIAL = {
    "tents.md": b"# Tents\n\nA wet tent is dried before packing.\n\n## Boots\n\nThey are waxed, zoe@example.com.\n",
    "orders.csv": 'number,what\n1,Zelt\n2,Kocher für draußen\n3,"a rope, long"\n'.encode(),
}
QUESTIONS: tuple[dict[str, Any], ...] = (
    {"text": "How do I dry a wet tent?", "k": 4},
    {"text": "Leder 🥾 imprägnieren", "k": 2, "excerpt": {"rule": "FIRST_CHARACTERS", "characters": 9}},
    {"text": "rope", "k": 9, "filter": {"labels": ["outdoors"], "types": ["note"]}},
)


class Story:
    """What is asked and answered, in order."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self._seen: dict[str, str] = {}

    def ask(self, who: Caller, document: str, **variables: Any) -> Any:
        """The data of an answer; it is told, errors and all."""
        answer = who.answer(document, variables).json()
        self.tell(answer.get("data"), answer.get("errors"))
        return answer.get("data")

    def tell(self, *what: Any) -> None:
        """Remember, with a name for whatever is drawn by chance."""
        self.told.append([self._plain(each) for each in what])

    def _plain(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: value[name] and "..." if name.endswith(("Cursor", "Address")) else self._plain(value[name])
                for name in value
                if name != "traceId"
            }
        if isinstance(value, list):
            return [self._plain(each) for each in value]
        if isinstance(value, str):
            value = re.sub(r"\b20\d\d-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "a time", value)
            return re.sub(r"\b(asset|run|export)_[0-9a-f]{32}\b", lambda found: self._named(found[1], found[0]), value)
        return value

    def _named(self, kind: str, drawn: str) -> str:
        return self._seen.setdefault(drawn, f"{kind}_{len(self._seen)}")


def walk(story: Story, who: Caller, first: int, **more: Any) -> None:
    """All cards, page by page."""
    after = None
    while True:
        page = story.ask(who, CARDS, first=first, after=after, **more)["cards"]["pageInfo"]
        if not page["hasNextPage"]:
            return
        after = page["endCursor"]


def write(story: Story, owner: Caller) -> str:
    """Files, their atoms, and cards in several versions; the id of one that is retired."""
    atoms = []
    for name, data in MATERIAL.items():
        asset = kept(owner, name, "text/plain", data)
        derive(owner, asset)
        after, more = None, True
        while more:
            page = story.ask(owner, ATOMS, id=asset, first=2, after=after)["asset"]["atoms"]
            atoms += [edge["node"]["id"] for edge in page["edges"]]
            after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    texts = [
        card("tents", "Dry a wet tent before packing it away.\n", labels=["outdoors"], artifact_refs=atoms[:2]),
        card("boots", "Leather boots are waxed. Ask zoe@example.com.\n", labels=["outdoors", "leather"]),
        card("stoves", "A gas stove needs a windshield.\n", topic="stoves", noted_on="2026-01-10"),
        card("ropes", "Ein Seil, naß: länger. 🪢\n", labels=["outdoors"], title="Seile"),
        card("twin", "A gas stove needs a windshield.\n"),
    ]
    for text in texts:
        story.ask(owner, PUBLISH, input={"text": text, "trainOk": True, "expectedVersion": 0})
    revised = texts[0].replace("wet", "very wet")
    for version in (1, 1, 2):
        story.ask(owner, PUBLISH, input={"text": revised, "trainOk": True, "expectedVersion": version})
    return str(published(owner, card("gone", "A wet tent, for a while.\n"))["id"])


def refusals(story: Story, owner: Caller, agent: Caller, stranger: Caller, known: str) -> None:
    """Wrong cards, wrong filters, wrong rights and the other tenant."""
    for text in ("no header", card("Ä/ü"), card("bad", card_type="No Type"), card("bad/ref", artifact_refs=["atom_0"])):
        story.ask(owner, PUBLISH, input={"text": text, "trainOk": True})
    story.ask(owner, RETIRE, input={"cardId": known, "expectedVersion": 7})
    story.ask(owner, CARDS, first=0)
    story.ask(owner, CARDS, first=3, after="nobody's")
    story.ask(owner, CARDS, first=3, filter={"fields": [{"field": "colour", "comparison": "EQUALS", "values": ["x"]}]})
    story.ask(agent, START, input={"kinds": ["CARD"]})
    story.ask(stranger, NODE, id=known)
    story.ask(stranger, PACK, ask=QUESTIONS[0])
    story.ask(owner, "{ nothing }")


def exported(story: Story, owner: Caller) -> None:
    """The bytes of an export."""
    export = owner.ask(START, {"input": {"kinds": ["CARD", "ATOM"]}})["startExport"]["export"]["id"]
    deadline = time.monotonic() + WAIT_SECONDS
    while owner.ask("query State($id: ID!) { export(id: $id) { state } }", {"id": export})["export"]["state"] != "DONE":
        if time.monotonic() > deadline:
            pytest.fail("the export does not end")
        time.sleep(0.1)
    found = story.ask(owner, EXPORT, id=export)["export"]
    for part in found["parts"]["edges"]:
        lines = [json.loads(line) for line in http("GET", part["node"]["downloadAddress"]).content.splitlines()]
        story.tell([{name: line[name] for name in ("kind", "id", "content", "piiFlags")} for line in lines])


def test_one_story_on_every_engine(own_world: MakeWorld, tmp_path: Path) -> None:
    """Files, cards, pages, searches, packs before and after a change, refusals, a run and an export."""
    world, story = own_world(), Story()
    owner, agent = world.caller("t_acme", "owner"), world.caller("t_acme", "agent")
    stranger = world.caller("t_globex", "owner")
    gone = write(story, owner)
    walk(story, owner, 4)
    story.ask(owner, CARDS, last=3)
    story.ask(owner, CARDS, first=9, filter={"labels": ["outdoors"], "artifactKinds": ["ATOM"]})
    packs = [story.ask(agent, PACK, ask=ask)["influencePack"] for ask in QUESTIONS]
    for pack in packs:
        assert sha256(pack["content"].encode()) == pack["digest"]
    for text in ("wet", "a gas stove", "waxed boots"):
        story.ask(agent, SEARCH, text=text, k=5)
    story.ask(owner, RETIRE, input={"cardId": gone, "expectedVersion": 1})
    published(
        owner, card("tents", "Tents are dry now.\n"), expectedVersion=2
    )  # what is retired is out of the index too
    for pack in packs:
        story.ask(agent, REPLAY, id=pack["id"])
    story.ask(agent, PACK, ask=QUESTIONS[0])
    walk(story, owner, 5, filter={"includeRetired": True})
    refusals(story, owner, agent, stranger, gone)
    run = story.ask(agent, OPEN)["openRun"]["run"]["id"]
    for text in ("One.", "Write to zoe@example.com.", "x" * 20_000):
        story.ask(agent, APPEND, input={"runId": run, "text": text})
    story.ask(agent, LOG, id=run)
    exported(story, owner)

    found = json.dumps(story.told, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    (tmp_path / EXPECTED.name).write_text(found, "utf-8")
    assert found == EXPECTED.read_text("utf-8"), f"{tmp_path / EXPECTED.name} is what was told"
