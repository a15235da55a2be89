"""What was acknowledged is looked for; what is half done must have come to its end."""

from __future__ import annotations

import time
from typing import Any

import httpx
from journey_house import Caller, http
from journey_steps import sha256

from faults.ledger import Ledger
from faults.places import Place

SETTLE_SECONDS = 600.0
"""Long after the last start, followers must have ended everything."""

ONE_CARD = "query One($id: ID!) { card(id: $id) { text indexState versions(first: 5) { edges { node { version } } } } }"
CARD = "query One($id: ID!) { card(id: $id) { id } }"
PUBLISHED = """query Told($id: String!) {
  audit(first: 10, filter: { subject: $id, types: ["card.published"] }) { edges { node { seq } } } }"""
ASSET = "query One($id: ID!) { asset(id: $id) { state sha256 downloadAddress derivation { state atoms } } }"
ASSET_HERE = "query One($id: ID!) { asset(id: $id) { id } }"
PROOF = "query Proof($id: ID!) { node(id: $id) { ... on InfluencePack { erased verification { holds faults } } } }"
LOG = """query Log($id: ID!, $after: String) { run(id: $id) { status log(first: 100, after: $after) {
  edges { node { number type payload } } pageInfo { hasNextPage endCursor } } } }"""
RUNNING = "{ runs(first: 100, filter: { statuses: [RUNNING] }) { edges { node { id kind } } } }"
EXPORT = """query Export($id: ID!) { export(id: $id) {
  state parts(first: 50) { edges { node { sizeBytes digest downloadAddress } } } } }"""
ERASURE = "query Erasure($id: ID!) { erasure(id: $id) { state run { status } certificate { digest content } } }"


class Checker:
    """Looks for all that the ledger tells; what was found once is looked for again in the end alone."""

    def __init__(self, place: Place, ledger: Ledger) -> None:
        self._place = place
        self._ledger = ledger
        self._seen: set[str] = set()

    def look(self, *, everything: bool = False) -> int:
        """Wait until all is settled, and look. How much was looked for."""
        owner, ledger = self._place.owner, self._ledger
        self._settled(owner)
        if everything:
            self._seen.clear()
        kinds: list[tuple[Any, dict[str, Any] | list[str]]] = [
            (self._card, ledger.cards),
            (self._asset, ledger.assets),
            (self._pack, ledger.packs),
            (self._notes, ledger.notes),
            (self._export, dict.fromkeys(ledger.exports)),
            (self._erasure, ledger.erasures),
        ]
        looked = 0
        for look, of in kinds:
            for each in [each for each in of if each not in self._seen]:
                try:
                    told = look(owner, each)
                except (AssertionError, httpx.HTTPError, TypeError, KeyError) as error:
                    told = f"could not be looked at: {error!r}"
                if told:
                    ledger.fault(f"{look.__name__[1:]} {each}: {told}")
                self._seen.add(each)
                looked += 1
        return looked

    def prove(self) -> None:
        """With every process ended well: journal, runs, objects, atoms, cards, index, quotas and copies agree."""
        for server in self._place.servers:
            if (status := server.stop()) != 0:
                self._ledger.fault(f"{server.log.name}: a process ended with {status}")
        place = self._place.installation
        for fault in place.json("check")["faults"]:
            self._ledger.fault(f"check: {fault}")
        for journal in place.json("audit", "verify"):
            if journal["firstBadSeq"] is not None:
                self._ledger.fault(f"audit verify: {journal}")
        for server in self._place.servers:
            told = [line for line in server.log.read_text().splitlines() if "Traceback" in line or "defect" in line]
            for line in told[:3]:
                self._ledger.fault(f"{server.log.name}: {line[:300]}")

    def left(self) -> None:
        """No word of anybody who was erased is in any file of the database, or any object."""
        held = self._place.installation.held()
        for erasure_id, erased in self._ledger.erasures.items():
            if erased.word.encode() in held:
                self._ledger.fault(f"erasure {erasure_id}: its word {erased.word} is still there")

    def _settled(self, owner: Caller) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            running = owner.ask(RUNNING)["runs"]["edges"]
            if not running:
                break
            if time.monotonic() > deadline:
                self._ledger.fault(f"runs that do not end: {[edge['node'] for edge in running]}")
                break
            time.sleep(0.1)
        for each in [card for card in self._ledger.cards if card not in self._seen]:
            while time.monotonic() < deadline:
                found = owner.ask(ONE_CARD, {"id": each})["card"]
                if found is None or found["indexState"] == "INDEXED":
                    break
                time.sleep(0.1)
        for each in [asset for asset in self._ledger.assets if asset not in self._seen]:
            while time.monotonic() < deadline:
                found = owner.ask(ASSET, {"id": each})["asset"]
                if found is None or found["derivation"]["state"] != "NOT_ASKED":
                    break
                time.sleep(0.1)

    def _card(self, owner: Caller, card_id: str) -> str | None:
        found = owner.ask(ONE_CARD, {"id": card_id})["card"]
        if found is None:
            return "lost"
        if found["text"] != self._ledger.cards[card_id]:
            return "its text is another"
        if found["indexState"] != "INDEXED":
            return f"its index state is {found['indexState']}"
        if len(found["versions"]["edges"]) != 1:
            return f"has {len(found['versions']['edges'])} versions"
        told = len(owner.ask(PUBLISHED, {"id": card_id})["audit"]["edges"])
        return None if told == 1 else f"the journal tells {told} times that it was published"

    def _asset(self, owner: Caller, asset_id: str) -> str | None:
        found, data = owner.ask(ASSET, {"id": asset_id})["asset"], self._ledger.assets[asset_id]
        if found is None:
            return "lost"
        if (found["state"], found["sha256"]) != ("SEALED", sha256(data)):
            return f"is {found['state']}, with SHA-256 {found['sha256']}"
        if found["derivation"]["state"] != "DONE":
            return f"its derivation is {found['derivation']}"
        answer = http("GET", found["downloadAddress"])
        return None if answer.content == data else f"its bytes are others: {answer.status_code}"

    def _pack(self, owner: Caller, pack_id: str) -> str | None:
        found = owner.ask(PROOF, {"id": pack_id})["node"]
        if found is None:
            return "lost"
        proof = found["verification"]
        return None if proof["holds"] or found["erased"] else f"does not verify: {proof}"

    def _notes(self, owner: Caller, run_id: str) -> str | None:
        entries: list[Any] = []
        after, more = None, True
        while more:
            run = owner.ask(LOG, {"id": run_id, "after": after})["run"]
            if run is None:
                return "lost"
            entries += [edge["node"] for edge in run["log"]["edges"]]
            more, after = run["log"]["pageInfo"]["hasNextPage"], run["log"]["pageInfo"]["endCursor"]
        if [entry["number"] for entry in entries] != [*range(1, len(entries) + 1)]:
            return "its log has gaps"
        notes = [entry["payload"]["input"]["text"] for entry in entries if entry["type"] == "run.noted"]
        expected = self._ledger.notes[run_id]
        return None if notes == expected else f"its log tells {len(notes)} notes, {len(expected)} were acknowledged"

    def _export(self, owner: Caller, export_id: str) -> str | None:
        found = owner.ask(EXPORT, {"id": export_id})["export"]
        if found is None:
            return "lost"
        if found["state"] == "ERASED":
            return None
        if found["state"] != "DONE":
            return f"is {found['state']}"
        for edge in found["parts"]["edges"]:
            part = edge["node"]
            content = http("GET", part["downloadAddress"]).content
            if (sha256(content), len(content)) != (part["digest"], part["sizeBytes"]):
                return "a part has other bytes than its digest says"
        return None

    def _erasure(self, owner: Caller, erasure_id: str) -> str | None:
        found, erased = owner.ask(ERASURE, {"id": erasure_id})["erasure"], self._ledger.erasures[erasure_id]
        if found is None or found["state"] != "CERTIFIED" or found["certificate"] is None:
            return f"is not certified: {found and found['state']}"
        if sha256(found["certificate"]["content"].encode()) != found["certificate"]["digest"]:
            return "its certificate is not that of its digest"
        if found["run"]["status"] != "SUCCEEDED":
            return f"its run is {found['run']['status']}"
        back = [each for each in erased.cards if owner.ask(CARD, {"id": each})["card"] is not None]
        back += [each for each in erased.assets if owner.ask(ASSET_HERE, {"id": each})["asset"] is not None]
        return f"{back} are still there" if back else None
