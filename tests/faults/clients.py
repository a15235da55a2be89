"""Clients that go on until they are told to stop, and say again what was not answered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from journey_steps import DERIVE, PUBLISH, RESERVE, SEAL, card, sha256

from faults.ledger import Erased, Ledger

OPEN = "mutation Open($input: OpenRunInput!) { openRun(input: $input) { run { id } userErrors { code message } } }"
NOTE = """mutation Note($input: AppendRunLogInput!) {
  appendRunLog(input: $input) { entry { number } userErrors { code message } } }"""
CLOSE = "mutation Close($input: CloseRunInput!) { closeRun(input: $input) { run { id } userErrors { code message } } }"
PACK = "query Pack($ask: InfluencePackInput!) { influencePack(ask: $ask) { id } }"
START = """mutation Start($input: StartExportInput!) { startExport(input: $input) {
  export { id } userErrors { code message } } }"""
EXPORT = "query State($id: ID!) { export(id: $id) { state } }"
MEMBER = """mutation Set($input: SetMemberInput!) {
  setMember(input: $input) { member { role } userErrors { code message } } }"""
PLAN = """mutation Plan($input: PlanErasureInput!) { planErasure(input: $input) {
  erasure { id plan { digest } } userErrors { code message } } }"""
EXECUTE = """mutation Execute($input: ExecuteErasureInput!) { executeErasure(input: $input) {
  erasure { id } userErrors { code message } } }"""
ERASURE = "query Erasure($id: ID!) { erasure(id: $id) { state findings { place kind count } } }"

LONGEST_SECONDS = 600.0
"""After so long without an answer that can be used, something does not come to its end."""

_PAUSE_SECONDS = 0.15
_AWAY = {"UNAVAILABLE", "TIMED_OUT", "UNKNOWN"}
_AGAIN = {*_AWAY, "CONFLICT"}
_TAKEN = {200, 201, 204, 409, 412}  # it came, now or before

Deed = Callable[[str], Coroutine[Any, Any, None]]
Addresses = Callable[[], list[str]]


class Refused(Exception):
    """An answer that sending the same again does not change."""


@dataclass(slots=True)
class Client:
    """Somebody who works in a tenant, through whichever process is asked."""

    name: str
    headers: dict[str, str]
    addresses: Addresses
    ledger: Ledger
    dice: random.Random
    http: httpx.AsyncClient
    bulk: int = 0
    count: int = 0
    run: str = ""

    def _bulk(self) -> str:
        """Something that takes room."""
        return self.dice.randbytes(self.bulk // 2).hex()

    async def work(self, stop: asyncio.Event, deeds: Sequence[Deed]) -> None:
        """One deed after the other. What is under way when it is to stop comes to its end."""
        while not stop.is_set():
            self.count += 1
            key = f"{self.name}-{self.count}"
            try:
                async with asyncio.timeout(LONGEST_SECONDS):
                    await self.dice.choice(deeds)(key)
            except TimeoutError:
                self.ledger.fault(f"{key} came to no end in {LONGEST_SECONDS:.0f} s")
            except Refused as refusal:
                self.ledger.fault(f"{key} was refused: {refusal}")
        if self.run:
            await self.ask(CLOSE, {"runId": self.run, "idempotencyKey": f"close-{self.run}"})
            self.run = ""

    async def ask(self, document: str, given: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
        """The payload of a mutation, sent until it is answered. Raises Refused."""
        return await self._answered(document, {"input": given}, headers or self.headers)

    async def see(self, document: str, **variables: Any) -> Any:
        """What a query answers, sent until it is."""
        return await self._answered(document, variables, self.headers)

    async def _answered(self, document: str, variables: dict[str, Any], headers: dict[str, str]) -> Any:
        while True:
            code, told = await self._once(document, variables, headers)
            if code == "OK":
                self.ledger.answers["acknowledged"] += 1
                return told
            if code not in _AGAIN:
                raise Refused(f"{code}: {told}")
            await self._not_done(code, told)

    async def _not_done(self, code: str, told: Any) -> None:
        """Write down that it was not acknowledged, and wait a moment."""
        unknown = code == "UNKNOWN" or "did not say" in str(told)
        self.ledger.answers["unknown" if unknown else "refused"] += 1
        self.ledger.refusals[f"{code}: {told}"] += 1
        await asyncio.sleep(_PAUSE_SECONDS * (1 + self.dice.random()))

    async def _once(self, document: str, variables: dict[str, Any], headers: dict[str, str]) -> tuple[str, Any]:
        address = self.dice.choice(self.addresses())
        body = {"query": document, "variables": variables}
        try:
            response = await self.http.post(f"{address}/graphql", json=body, headers=headers)
        except httpx.TransportError as error:
            return "UNKNOWN", type(error).__name__
        try:
            answer = response.json()
        except ValueError:
            self.ledger.fault(f"an answer that is not JSON: {response.status_code} {response.text[:200]!r}")
            return "UNKNOWN", "not JSON"
        if errors := answer.get("errors"):
            return errors[0].get("extensions", {}).get("code", "none"), errors[0]["message"]
        [payload] = answer["data"].values()
        if isinstance(payload, dict) and (refusals := payload.get("userErrors")):
            return refusals[0]["code"], refusals[0]["message"]
        return "OK", payload

    async def publish(self, key: str) -> None:
        """A card of a text of its own."""
        with self.ledger.doing("publish"):
            text = card(None, f"The card {key} must not be lost.\n\n{self._bulk()}", title=key)
            payload = await self.ask(PUBLISH, {"text": text, "trainOk": True, "idempotencyKey": f"publish-{key}"})
            self.ledger.cards[payload["card"]["id"]] = text

    async def keep(self, key: str) -> None:
        """A file: reserved, sent, sealed; and sometimes derived by hand."""
        data = f"# {key}\n\nBytes that must not be lost, {key}.\n\nAnd once more.\n".encode() * 20
        data += self._bulk().encode()
        with self.ledger.doing("keep"):
            asset_id = await self._kept(key, data, self.headers)
            self.ledger.assets[asset_id] = data
        if self.dice.random() < 0.5:
            with self.ledger.doing("derive"):
                await self.ask(DERIVE, {"assetId": asset_id, "idempotencyKey": f"derive-{key}"})

    async def _kept(self, key: str, data: bytes, headers: dict[str, str]) -> str:
        declared = {"filename": f"{key}.md", "contentType": "text/markdown", "sizeBytes": len(data)}
        declared |= {"sha256": sha256(data), "trainOk": True, "idempotencyKey": f"reserve-{key}"}
        reserved = await self.ask(RESERVE, declared, headers)
        asset_id = str(reserved["asset"]["id"])
        if (upload := reserved["upload"]) is None:
            return asset_id
        for number in range(20):
            await self._sent(upload, data)
            try:
                await self.ask(SEAL, {"assetId": asset_id, "idempotencyKey": f"seal-{key}-{number}"}, headers)
            except Refused as refusal:  # what was sent is not there: it is sent again
                self.ledger.refusals[f"sealing: {refusal}"] += 1
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return asset_id
        raise Refused(f"{key} could not be sealed")

    async def _sent(self, upload: Any, data: bytes) -> None:
        fields = {item["name"]: item["value"] for item in upload["fields"]}
        headers = {item["name"]: item["value"] for item in upload["headers"]}
        address = upload["address"]
        while True:
            body: dict[str, Any] = {"data": fields, "files": {"file": data}} if fields else {"content": data}
            try:
                answer = await self.http.request(upload["method"], address, headers=headers, **body)
                if answer.status_code in _TAKEN:
                    return
                told = f"upload answered {answer.status_code}"
                if answer.status_code == 500:
                    self.ledger.fault(told)
            except httpx.TransportError as error:
                told = f"upload: {type(error).__name__}"
            self.ledger.refusals[told] += 1
            await asyncio.sleep(_PAUSE_SECONDS)

    async def note(self, key: str) -> None:
        """An entry of the client's own run."""
        with self.ledger.doing("note"):
            if not self.run:
                opened = await self.ask(OPEN, {"title": self.name, "idempotencyKey": f"open-{key}"})
                self.run = opened["run"]["id"]
            await self.ask(NOTE, {"runId": self.run, "text": key, "idempotencyKey": f"note-{key}"})
            self.ledger.notes.setdefault(self.run, []).append(key)

    async def pack(self, key: str) -> None:
        """An influence pack."""
        with self.ledger.doing("pack"):
            found = await self.see(PACK, ask={"text": f"What must not be lost, {key}?", "k": 3})
            self.ledger.packs[found["id"]] = key

    async def export(self, key: str) -> None:
        """An export, until it is there."""
        with self.ledger.doing("export"):
            started = await self.ask(START, {"kinds": ["CARD", "ATOM"], "idempotencyKey": f"export-{key}"})
            export_id = str(started["export"]["id"])
            self.ledger.exports.append(export_id)
            while (await self.see(EXPORT, id=export_id))["state"] == "RUNNING":  # noqa: ASYNC110 - as clients ask
                await asyncio.sleep(_PAUSE_SECONDS)

    async def erase(self, key: str, token: Callable[[str], str]) -> None:
        """Somebody comes, brings cards and a file, and is erased."""
        subject, word = f"sue-{key}", f"canary-{key}-words"
        with self.ledger.doing("furnish"):
            await self.ask(MEMBER, {"subject": subject, "role": "ADMIN", "idempotencyKey": f"member-{key}"})
            hers = self.headers | {"Authorization": f"Bearer {token(subject)}"}
            cards = []
            for number in range(2):
                text = card(None, f"{word} {number}\n", title=f"{word} {number}")
                given = {"text": text, "trainOk": True, "idempotencyKey": f"publish-{key}-{number}"}
                cards.append(str((await self.ask(PUBLISH, given, hers))["card"]["id"]))
            asset_id = await self._kept(key, f"# {word}\n\n{word} in a file.\n".encode() * 5, hers)
            await self.ask(DERIVE, {"assetId": asset_id, "idempotencyKey": f"derive-{key}"}, hers)
        with self.ledger.doing("erase"):
            erasure_id = await self._confirmed(key, subject)
            self.ledger.erasures[erasure_id] = Erased(word, cards, [asset_id])
            state = ""
            while state not in ("CERTIFIED", "FAILED"):
                await asyncio.sleep(_PAUSE_SECONDS)
                found = await self.see(ERASURE, id=erasure_id)
                state = found["state"]
            if state == "FAILED":
                self.ledger.fault(f"erasure {erasure_id} failed: {found['findings']}")

    async def _confirmed(self, key: str, subject: str) -> str:
        for number in range(20):
            planned = await self.ask(
                PLAN, {"kind": "SUBJECT", "subject": subject, "idempotencyKey": f"plan-{key}-{number}"}
            )
            erasure_id, digest = str(planned["erasure"]["id"]), planned["erasure"]["plan"]["digest"]
            given = {"erasureId": erasure_id, "digest": digest, "idempotencyKey": f"execute-{key}-{number}"}
            code, told = await self._once(EXECUTE, {"input": given}, self.headers)
            while code in _AWAY:
                await self._not_done(code, told)
                code, told = await self._once(EXECUTE, {"input": given}, self.headers)
            if code == "OK":
                self.ledger.answers["acknowledged"] += 1
                return erasure_id
            await self._not_done(code, told)  # what would go has changed meanwhile
        raise Refused(f"the erasure of {subject} could not be confirmed: {code}: {told}")
