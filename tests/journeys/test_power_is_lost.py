"""Power is lost: the process is killed again and again while clients write; nothing that was acknowledged is gone."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from journey_house import Caller, Furnished, Installation, Server, copied
from journey_steps import PUBLISH, RESERVE, SEAL, card, sending, sha256
from program import Program

pytestmark = pytest.mark.long

ROUNDS = 6
WRITERS = 4
ROUND_SECONDS = 30
QUIET_SECONDS = 60

OPEN = "mutation Open($input: OpenRunInput!) { openRun(input: $input) { run { id } userErrors { message } } }"
NOTE = """mutation Note($input: AppendRunLogInput!) {
  appendRunLog(input: $input) { entry { number } userErrors { message } } }"""
CLOSE = "mutation Close($input: CloseRunInput!) { closeRun(input: $input) { run { id } userErrors { message } } }"
PACK = "query Pack($ask: InfluencePackInput!) { influencePack(ask: $ask) { id } }"
ASSET = "query One($id: ID!) { asset(id: $id) { state sha256 downloadAddress } }"
ASSETS = "{ assets(first: 100, filter: { states: [%s] }) { edges { node { id } } pageInfo { hasNextPage } } }"
ONE_CARD = "query One($id: ID!) { card(id: $id) { text indexState versions(first: 5) { edges { node { version } } } } }"
PROOF = "query Proof($id: ID!) { node(id: $id) { ... on InfluencePack { verification { holds faults } } } }"
LOG = """query Log($id: ID!, $after: String) { run(id: $id) { log(first: 100, after: $after) {
  edges { node { number type payload } } pageInfo { hasNextPage endCursor } } } }"""
RUNNING = "{ runs(first: 100, filter: { statuses: [RUNNING] }) { edges { node { id kind } } } }"
PUBLISHED = """query Told($id: String!) {
  audit(first: 10, filter: { subject: $id, types: ["card.published"] }) { edges { node { seq } } } }"""


@dataclass(slots=True)
class Kept:
    """What the server has acknowledged, as the clients wrote it down."""

    assets: dict[str, bytes] = field(default_factory=dict)
    cards: dict[str, str] = field(default_factory=dict)
    packs: set[str] = field(default_factory=set)
    notes: dict[str, list[str]] = field(default_factory=dict)
    deeds: int = 0


class Writer:
    """A client that writes until the server is gone, and then says again what was not answered."""

    def __init__(self, name: str, headers: dict[str, str], kept: Kept, dice: random.Random) -> None:
        self._name = name
        self._headers = headers
        self._kept = kept
        self._dice = dice
        self._count = 0
        self._run = ""
        self._unanswered: Callable[[], Awaitable[None]] | None = None
        self.repeated = 0

    async def write(self, address: str) -> None:
        """Write until the connection breaks."""
        async with httpx.AsyncClient(base_url=address, headers=self._headers, timeout=30, trust_env=False) as http:
            self._http = http
            try:
                await self.repeat()
                while True:
                    self._count += 1
                    deed = self._dice.choice([self._asset, self._card, self._note, self._note, self._pack])
                    number = self._count
                    self._unanswered = lambda deed=deed, number=number: deed(number)
                    await self._unanswered()
                    self._unanswered = None
                    self._kept.deeds += 1
            except httpx.TransportError:
                return

    async def finish(self, address: str) -> None:
        """Say again what was not answered, and end the run."""
        async with httpx.AsyncClient(base_url=address, headers=self._headers, timeout=30, trust_env=False) as http:
            self._http = http
            await self.repeat()
            await self._ask(CLOSE, {"input": {"runId": self._run}})

    async def repeat(self) -> None:
        """The very request that was cut off, under the same idempotency key."""
        if self._unanswered is not None:
            await self._unanswered()
            self._unanswered = None
            self.repeated += 1

    async def _asset(self, number: int) -> None:
        data = f"# {self._name} {number}\n\nBytes that must not be lost.\n".encode() * 40
        declared = {"filename": f"{number}.md", "contentType": "text/markdown", "sizeBytes": len(data)}
        key = f"{self._name}-{number}"
        reserved = await self._ask(
            RESERVE, {"input": declared | {"sha256": sha256(data), "trainOk": True, "idempotencyKey": f"reserve-{key}"}}
        )
        if reserved["upload"] is not None:
            form = reserved["upload"]
            sent = await self._http.request(form["method"], form["address"], **sending(form, data))
            assert sent.status_code in (201, 204), sent.text
        sealed = await self._ask(SEAL, {"input": {"assetId": reserved["asset"]["id"], "idempotencyKey": f"seal-{key}"}})
        assert sealed["asset"]["state"] == "SEALED"
        self._kept.assets[sealed["asset"]["id"]] = data

    async def _card(self, number: int) -> None:
        text = card(None, f"The card {number} of {self._name}.", title=f"{self._name} {number}")
        key = f"publish-{self._name}-{number}"
        payload = await self._ask(PUBLISH, {"input": {"text": text, "trainOk": True, "idempotencyKey": key}})
        self._kept.cards[payload["card"]["id"]] = text

    async def _note(self, number: int) -> None:
        if not self._run:
            opened = await self._ask(OPEN, {"input": {"title": self._name, "idempotencyKey": f"open-{self._name}"}})
            self._run = opened["run"]["id"]
        text = f"{self._name} wrote {number}"
        await self._ask(NOTE, {"input": {"runId": self._run, "text": text, "idempotencyKey": text}})
        self._kept.notes.setdefault(self._run, []).append(text)

    async def _pack(self, number: int) -> None:
        ask = {"text": f"What must not be lost, {self._name} {number}?", "k": 3}
        self._kept.packs.add((await self._ask(PACK, {"ask": ask}))["id"])

    async def _ask(self, query: str, variables: dict[str, Any]) -> Any:
        answer = (await self._http.post("/graphql", json={"query": query, "variables": variables})).json()
        assert "errors" not in answer, answer
        [payload] = answer["data"].values()
        assert not payload.get("userErrors"), payload
        return payload


@pytest.fixture
def server(tmp_path: Path, furnished: Furnished) -> Iterator[Server]:
    """A server of the test's own, not yet started; it is gone afterwards, whatever happened."""
    with copied(furnished, tmp_path / "world", index_wait_seconds="0") as installation:
        made = Server(installation, processes=furnished[2].processes)
        yield made
        if made.running:
            made.stop(signal.SIGKILL)


async def test_nothing_acknowledged_is_lost(server: Server, furnished: Furnished) -> None:
    """Killed amid writes, again and again: what was acknowledged is there once, and everything agrees with itself."""
    owner = Caller(server, "t_acme", furnished[1]["t_acme", "owner"])
    kept, dice = Kept(), random.Random(20261101)  # noqa: S311 - chance, not secrecy
    writers = [Writer(f"writer {n}", owner.headers, kept, random.Random(n)) for n in range(WRITERS)]  # noqa: S311
    for _ in range(ROUNDS):
        await asyncio.to_thread(server.start)
        writing = [asyncio.create_task(writer.write(server.address)) for writer in writers]
        enough = kept.deeds + dice.randint(8, 40)  # deeds, not seconds: as much is written on a slow machine
        async with asyncio.timeout(ROUND_SECONDS):
            while kept.deeds < enough:  # noqa: ASYNC110 - what is waited for is a number
                await asyncio.sleep(0.001)
        assert await asyncio.to_thread(server.stop, signal.SIGKILL) == -signal.SIGKILL
        await asyncio.gather(*writing)
    await asyncio.to_thread(server.start)
    for writer in writers:
        await writer.finish(server.address)
    await asyncio.to_thread(_check, server, owner, kept)
    assert sum(writer.repeated for writer in writers) >= ROUNDS  # each loss of power cut somebody off
    assert min(len(kept.assets), len(kept.cards), len(kept.packs), len(kept.notes)) >= WRITERS


def _check(server: Server, owner: Caller, kept: Kept) -> None:
    _until_quiet(owner)
    for asset_id, data in kept.assets.items():
        asset = owner.ask(ASSET, {"id": asset_id})["asset"]
        assert (asset["state"], asset["sha256"]) == ("SEALED", sha256(data))
        assert httpx.get(asset["downloadAddress"], trust_env=False).content == data
    for card_id, text in kept.cards.items():
        found = owner.ask(ONE_CARD, {"id": card_id})["card"]
        assert (found["text"], found["indexState"]) == (text, "INDEXED")
        assert len(found["versions"]["edges"]) == 1
        assert len(owner.ask(PUBLISHED, {"id": card_id})["audit"]["edges"]) == 1
    for pack_id in kept.packs:
        assert owner.ask(PROOF, {"id": pack_id})["node"]["verification"] == {"holds": True, "faults": []}
    for run_id, notes in kept.notes.items():
        entries = _log(owner, run_id)
        assert [entry["number"] for entry in entries] == list(range(1, len(entries) + 1))
        assert [e["payload"]["input"]["text"] for e in entries if e["type"] == "run.noted"] == notes
    assert server.stop() == 0, server.log.read_text()
    query = server.installation.query
    states = Counter(state for (state,) in query("select state from assets"))
    [(cards,)] = query("select count(*) from cards")
    packs = dict(query("select pack_id, content from packs"))
    served = {pack for (pack,) in query("select subject_id from journal_events where action = 'pack.served'")}
    assert states == {"SEALED": len(kept.assets)}
    assert cards == len(kept.cards)
    # A pack whose answer the kill cut off is kept too, and asking again after others wrote gives another one.
    assert set(packs) >= set(kept.packs)
    assert len(packs) <= len(kept.packs) + ROUNDS * WRITERS
    assert {f"pack_{sha256(content.encode())}" for content in packs.values()} == set(packs) == served
    _agrees(server.installation)


def _agrees(installation: Installation) -> None:
    assert installation.json("check")["faults"] == []
    assert all(journal["firstBadSeq"] is None for journal in installation.json("audit", "verify"))


def _log(caller: Caller, run_id: str) -> list[Any]:
    found: list[Any] = []
    after = None
    while True:
        log = caller.ask(LOG, {"id": run_id, "after": after})["run"]["log"]
        found += [edge["node"] for edge in log["edges"]]
        if not log["pageInfo"]["hasNextPage"]:
            return found
        after = log["pageInfo"]["endCursor"]


def _until_quiet(caller: Caller) -> None:
    """Wait until the followers have ended every run."""
    deadline = time.monotonic() + QUIET_SECONDS
    while running := caller.ask(RUNNING)["runs"]["edges"]:
        assert time.monotonic() < deadline, running
        time.sleep(0.1)


CARDS, FILES = 80, 20


@pytest.fixture
def installation(tmp_path: Path, furnished: Furnished) -> Iterator[Installation]:
    """A furnished installation that nobody serves."""
    with copied(furnished, tmp_path / "world") as copy:
        yield copy


def test_an_interrupted_import_is_finished_by_the_next(installation: Installation, tmp_path: Path) -> None:
    """An import that is killed three times, early and late, is completed by the fourth, with nothing kept twice."""
    material = tmp_path / "material"
    material.mkdir()
    for n in range(CARDS):
        (material / f"card-{n:03}.md").write_text(card(None, f"The card number {n}.", title=f"Number {n}"))
    for n in range(FILES):
        (material / f"file-{n:03}.md").write_text(f"# File {n}\n\nOne paragraph.\n")
    command = ("import", str(material), "--tenant", "t_acme", "--env", "dev", "--train-ok")
    for moment in ("Keeping files: 20 of", "Keeping files: 90 of", "Following: "):
        _killed_at(installation, moment, *command)
    finished = installation.json(*command)
    assert finished["refused"] == []
    assert finished["kept"] + finished["unchanged"] == CARDS + FILES
    again = installation.json(*command)
    assert [again[fate] for fate in ("kept", "unchanged", "partlyRead", "unread", "refused")] == [
        0,
        CARDS + FILES,
        [],
        [],
        [],
    ]
    assert installation.query("select count(*), max(version) from card_versions") == [(CARDS, 1)]
    sealed = "select count(distinct sha256), count(*) from assets where state = 'SEALED'"
    assert installation.query(sealed) == [(FILES, FILES)]
    assert installation.query("select count(distinct asset_id) from atoms") == [(FILES,)]
    _agrees(installation)


def _killed_at(installation: Installation, moment: str, *arguments: str) -> None:
    """Run a command and kill it as soon as its progress tells of a moment; it may be through by then."""
    said = installation.folder / "said"
    said.unlink(missing_ok=True)
    process = Program(installation.folder, installation.environment, *arguments, out=said, err=said)
    while process.poll() is None and not (said.exists() and moment in said.read_text()):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait(ROUND_SECONDS)
