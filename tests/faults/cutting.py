"""Each server is cut off in a network of its own: no packet goes through, and nobody is told. Then the wire is healed.

    python -m tests.faults.cutting

While it is cut, every request must be answered within its bound: with UNAVAILABLE where it needs that server, as if
nothing had happened where it doesn't. Afterwards clients and a stream go on where they were, and all that was
acknowledged is there.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import httpx
from journey_house import Caller, http
from journey_steps import DERIVE, PUBLISH, RESERVE, SEAL, card, sha256, upload
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from faults.away import enclose, run
from faults.checking import Checker
from faults.clients import CLOSE, NOTE, OPEN, PACK, Client, Deed
from faults.ledger import Ledger
from faults.places import Place, production

SECONDS = 2.0
"""What a statement, a call of the object server, and a free connection may take here; the settings' default is 10."""

BOUNDS = {"postgres": 2 * SECONDS + 4, "seaweedfs": 3 * SECONDS + 2, "weaviate": 1.0 + 4}
"""Within which a request is answered: what we promise, and some seconds for a machine that has much to do.

Postgres: a free connection, and a statement. The object server: a call, tried again. Weaviate: a second.
"""

_CUT_SECONDS = 12.0
_QUIET_SECONDS = 30.0
_WORKERS = 2
_LOG = """subscription Log($run: ID!, $after: String) { runLog(runId: $run, after: $after) {
  __typename ... on RunLogEntry { cursor entry { number } } } }"""


@dataclass(slots=True)
class Measured:
    """Requests that were sent while a server was cut off."""

    longest: float = 0.0
    codes: dict[str, int] = field(default_factory=dict)

    def add(self, code: str, seconds: float) -> None:
        """One more."""
        self.longest = max(self.longest, seconds)
        self.codes[code] = self.codes.get(code, 0) + 1


@contextmanager
def cut(*ports: int) -> Iterator[None]:
    """Nothing comes from these ports, or to them."""
    ends = [(which, str(port)) for port in ports for which in ("--dport", "--sport")]
    rules = [("INPUT", "-p", "tcp", *end, "-j", "DROP") for end in ends]
    for rule in rules:
        run("iptables", "-A", *rule)
    try:
        yield
    finally:
        for rule in rules:
            run("iptables", "-D", *rule)


class Stream:
    """Somebody who follows a run's log, and goes on from the last cursor whenever the stream ends."""

    def __init__(self, place: Place, run_id: str) -> None:
        self._caller, self._run = place.owner, run_id
        self._after: str | None = None
        self.numbers: list[int] = []
        self.opened = 0

    async def follow(self) -> None:
        """Until it is cancelled."""
        while True:
            with suppress(OSError, WebSocketException, TimeoutError):
                await self._once()
            await asyncio.sleep(0.2)

    async def _once(self) -> None:
        address = self._caller.server.address.replace("http", "ws") + "/graphql"
        async with connect(address, subprotocols=["graphql-transport-ws"], proxy=None, close_timeout=1) as socket:  # type: ignore[list-item]
            await socket.send(json.dumps({"type": "connection_init", "payload": self._caller.headers}))
            await socket.recv()
            body = {"query": _LOG, "variables": {"run": self._run, "after": self._after}}
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": body}))
            self.opened += 1
            async for message in socket:
                told = json.loads(message)
                if told["type"] in ("error", "complete"):
                    return
                frame = ((told.get("payload") or {}).get("data") or {}).get("runLog") or {}
                if frame.get("__typename") == "RunLogEntry":
                    self._after = frame["cursor"]
                    self.numbers.append(frame["entry"]["number"])


class Cutting:
    """Clients at work while each server is cut off in turn."""

    def __init__(self, place: Place, say: Callable[[str], None]) -> None:
        self._place = place
        self._say = say
        self.ledger = Ledger()
        self._owner = Caller(place.servers[0], "t_acme", place.credentials["t_acme", "owner"])

    async def all(self) -> None:
        """Every server, one after the other; then look for everything."""
        place = self._place
        assert place.postgres is not None
        assert place.objects is not None
        assert place.vectors is not None
        wires = {
            "postgres": (place.postgres.port,),
            "seaweedfs": tuple(place.objects.ports),
            "weaviate": (place.vectors.http, place.vectors.grpc),
        }
        run_id = self._owner.ask(OPEN, {"input": {"title": "watched"}})["openRun"]["run"]["id"]
        stream, stop = Stream(place, run_id), asyncio.Event()
        following = asyncio.create_task(stream.follow())
        noted = 0
        async with httpx.AsyncClient(timeout=40, trust_env=False) as client:
            working = [asyncio.create_task(work) for work in self._working(client, stop)]
            for name, ports in wires.items():
                await asyncio.sleep(3)
                noted = await self._noted(client, run_id, noted, 5)
                await self._cut(client, name, ports)
                noted = await self._noted(client, run_id, noted, 5)
            stop.set()
            await asyncio.gather(*working)
        deadline = time.monotonic() + _QUIET_SECONDS
        while len(stream.numbers) < noted + 1 and time.monotonic() < deadline:  # noqa: ASYNC110 - a number
            await asyncio.sleep(0.1)
        following.cancel()
        if stream.numbers != [*range(1, noted + 2)]:
            self.ledger.fault(f"the stream brought {stream.numbers}, of {noted + 1} entries")
        self._say(f"stream: {len(stream.numbers)} entries, each once and in order, opened {stream.opened} times")
        self._owner.ask(CLOSE, {"input": {"runId": run_id}})
        checker = Checker(place, self.ledger)
        looked = await asyncio.to_thread(checker.look)
        await asyncio.to_thread(checker.prove)
        self._say(f"looked for {looked} acknowledged things; {len(self.ledger.faults)} faults")

    def _client(self, client: httpx.AsyncClient, name: str) -> Client:
        dice = random.Random(name)  # noqa: S311 - chance, not secrecy
        return Client(name, self._owner.headers, self._place.addresses, self.ledger, dice, client)

    def _working(self, http_client: httpx.AsyncClient, stop: asyncio.Event) -> Iterator[Any]:
        for number in range(_WORKERS):
            client = self._client(http_client, f"cut-{number}")
            deeds: list[Deed] = [client.publish, client.keep, client.note, client.pack]
            yield client.work(stop, deeds)

    async def _noted(self, http_client: httpx.AsyncClient, run_id: str, before: int, more: int) -> int:
        client = self._client(http_client, "notes")
        for number in range(before, before + more):
            await client.ask(NOTE, {"runId": run_id, "text": str(number), "idempotencyKey": f"watched-{number}"})
        return before + more

    async def _cut(self, client: httpx.AsyncClient, name: str, ports: tuple[int, ...]) -> None:
        """Ask for as long as it is cut; then wait until everything works again."""
        prepared = await asyncio.to_thread(self._prepared, name)
        measured: dict[str, Measured] = {}
        with cut(*ports):
            deadline, number = time.monotonic() + _CUT_SECONDS, 0
            while time.monotonic() < deadline:
                number += 1
                asked = self._requests(f"{name}-{number}", prepared)
                for each, (code, seconds) in zip(
                    asked, await asyncio.gather(*(self._asked(client, *asked[each]) for each in asked)), strict=True
                ):
                    measured.setdefault(each, Measured()).add(code, seconds)
        healed = time.monotonic()
        while any(http("GET", f"{address}/readyz").status_code != 200 for address in self._place.addresses()):
            if time.monotonic() > healed + _QUIET_SECONDS:
                self.ledger.fault(f"{name}: not ready {_QUIET_SECONDS:.0f} s after the wire was healed")
                break
            await asyncio.sleep(0.1)
        for each, seen in measured.items():
            self._say(f"{name} cut: {each} {seen.codes}, longest {seen.longest:.1f} s, bound {BOUNDS[name]:.0f} s")
            self._judge(name, each, seen)
        self._say(f"{name} healed: ready after {time.monotonic() - healed:.1f} s")

    def _judge(self, name: str, what: str, seen: Measured) -> None:
        if seen.longest > BOUNDS[name]:
            self.ledger.fault(f"{name} cut: {what} took {seen.longest:.1f} s")
        allowed = {"postgres": {"UNAVAILABLE"}, "weaviate": {"OK"}}.get(name)
        if allowed is None:
            allowed = {"UNAVAILABLE"} if what in ("seal", "derive") else {"OK"}
        if set(seen.codes) - allowed:
            self.ledger.fault(f"{name} cut: {what} was answered {seen.codes}")

    def _prepared(self, name: str) -> tuple[str, str]:
        """An asset that is uploaded and not sealed, and one that is sealed."""
        ids = []
        for each in ("open", "sealed"):
            data = f"# {name} {each}\n\nBytes.\n".encode()
            declared = {"filename": f"{name}-{each}.md", "contentType": "text/markdown", "sizeBytes": len(data)}
            given = {"input": declared | {"sha256": sha256(data), "trainOk": True}}
            reserved = self._owner.ask(RESERVE, given)["reserveAsset"]
            upload(reserved["upload"], data)
            ids.append(str(reserved["asset"]["id"]))
        assert not self._owner.ask(SEAL, {"input": {"assetId": ids[1]}})["sealAsset"]["userErrors"]
        return ids[0], ids[1]

    def _requests(self, key: str, prepared: tuple[str, str]) -> dict[str, tuple[str, dict[str, Any]]]:
        given = {"text": card(None, f"Published while it was cut, {key}.", title=key), "trainOk": True}
        return {
            "publish": (PUBLISH, {"input": given | {"idempotencyKey": key}}),
            "pack": (PACK, {"ask": {"text": key, "k": 3}}),
            "seal": (SEAL, {"input": {"assetId": prepared[0]}}),
            "derive": (DERIVE, {"input": {"assetId": prepared[1]}}),
        }

    async def _asked(self, client: httpx.AsyncClient, document: str, variables: dict[str, Any]) -> tuple[str, float]:
        began = time.monotonic()
        body = {"query": document, "variables": variables}
        try:
            address = f"{self._owner.server.address}/graphql"
            answer = (await client.post(address, json=body, headers=self._owner.headers)).json()
        except httpx.TransportError as error:
            return type(error).__name__, time.monotonic() - began
        took = time.monotonic() - began
        if answer.get("errors"):
            return str(answer["errors"][0]["extensions"]["code"]), took
        [payload] = answer["data"].values()
        refusals = payload.get("userErrors")
        return (str(refusals[0]["code"]) if refusals else "OK"), took


def main() -> int:
    """Cut every wire; the exit status."""
    if (ended := enclose("tests.faults.cutting", sys.argv[1:])) is not None:
        return ended
    folder = Path(tempfile.mkdtemp(prefix="nexus-faults-"))
    folder.chmod(0o755)  # Postgres is run by another user
    seconds = str(SECONDS)

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    try:
        with production(folder, postgres_seconds=seconds, s3_seconds=seconds, index_wait_seconds="0") as place:
            cutting = Cutting(place, say)
            asyncio.run(cutting.all())
    finally:
        if "--keep" in sys.argv:
            say(f"left in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    for fault in cutting.ledger.faults:
        say(f"FAULT {fault}")
    return 1 if cutting.ledger.faults else 0


if __name__ == "__main__":
    sys.exit(main())
