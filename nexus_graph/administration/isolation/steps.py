"""What somebody does to fill a place: each step raises Unavailable when it is refused."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

from nexus_graph.administration.client import send
from nexus_graph.administration.isolation.callers import WAIT_SECONDS, Caller
from nexus_graph.scope.errors import Unavailable

UPLOAD = "address method headers { name value } fields { name value }"
"""What has to be known of an upload to send it."""

_ERRORS = "userErrors { message }"
_DOCUMENTS = {
    name: f"mutation Step($input: {name[0].upper()}{name[1:]}Input!) {{"
    f" {name}(input: $input) {{ {asked} {_ERRORS} }} }}"
    for name, asked in {
        "appendRunLog": "entry { id }",
        "appendSession": "session { sessionId }",
        "approveLock": "lock { id state }",
        "createKey": "key { keyId } secret",
        "deriveAtoms": "atoms",
        "engageKillSwitch": "killSwitch { id }",
        "openRun": "run { id }",
        "planErasure": "erasure { id }",
        "proposeLock": "lock { id target revision changeDigest }",
        "publishCard": "card { id version }",
        "reserveAsset": f"asset {{ id }} upload {{ {UPLOAD} }}",
        "revokeLock": "lock { id }",
        "sealAsset": "asset { id state }",
        "setMember": "member { subject }",
        "startExport": "export { id }",
    }.items()
}


async def step(caller: Caller, name: str, /, **given: Any) -> Any:
    """The payload of a mutation."""
    return await caller.data(_DOCUMENTS[name], {"input": given})


async def until(done: Callable[[], Awaitable[Any]], what: str) -> Any:
    """What `done` gives as soon as it is something. Raises Unavailable when that takes too long."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                if found := await done():
                    return found
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise Unavailable(f"{what} was waited for in vain, for {WAIT_SECONDS} seconds.") from None


def card(key: str | None, body: str, card_type: str = "note", **header: Any) -> str:
    """A card's text; the header's values are written as JSON, which is YAML too."""
    stated = ({"key": key} if key else {}) | {"card_type": card_type} | header
    lines = "".join(f"{name}: {json.dumps(value)}\n" for name, value in stated.items())
    return f"---\n{lines}---\n{body}"


def screen(name: str) -> str:
    """The surface of a place."""
    return f"{name}_screen"


def settings_card(surface: str, title: str) -> str:
    """The settings of a surface."""
    sections = [{"section": "one", "title": "One"}]
    return card(None, "A screen.", card_type="surface_settings", title=title, surface=surface, sections=sections)


async def publish(caller: Caller, text: str, **more: Any) -> Any:
    """Publish a card."""
    return await step(caller, "publishCard", **{"text": text, "trainOk": True} | more)


async def open_run(caller: Caller, title: str, **more: Any) -> str:
    """Open a run; its id."""
    return str((await step(caller, "openRun", title=title, **more))["run"]["id"])


async def set_member(caller: Caller, subject: str) -> None:
    """Let somebody in."""
    await step(caller, "setMember", subject=subject, role="MEMBER")


async def remember(caller: Caller, session_id: str, text: str) -> str:
    """Append to the caller's own session memory; the session's name."""
    await step(caller, "appendSession", sessionId=session_id, entries=[{"content": text, "trainOk": True}])
    return session_id


async def plan(caller: Caller, subject: str) -> Any:
    """Plan an erasure of somebody."""
    return (await step(caller, "planErasure", kind="SUBJECT", subject=subject))["erasure"]


async def propose(caller: Caller, change: Any, reason: str = "It is time.") -> Any:
    """Propose a lock."""
    return (await step(caller, "proposeLock", change=change, reason=reason))["lock"]


async def withdraw(caller: Caller, kept: Collection[str]) -> None:
    """Take back every open proposal but some: somebody may have a hundred at a time."""
    found = await caller.data("{ locks(first: 100, states: [DRAFT]) { edges { node { id } } } }")
    for lock_id in (edge["node"]["id"] for edge in found["edges"]):
        if lock_id not in kept:
            await step(caller, "revokeLock", lockId=lock_id)


@asynccontextmanager
async def allowing(proposer: Caller, approver: Caller, *card_types: str) -> AsyncIterator[None]:
    """Inside, cards of these types may be published; nothing of the lock is left afterwards."""
    change = {"anyOf": {"actions": ["PUBLISH_CARD", "RETIRE_CARD"], "cardTypes": list(card_types), "uses": 1000}}
    lock = await propose(proposer, change)
    seen = {"revision": lock["revision"], "changeDigest": lock["changeDigest"]}
    await step(approver, "approveLock", lockId=lock["id"], **seen)
    try:
        yield
    finally:
        await step(proposer, "revokeLock", lockId=lock["id"])


async def publish_settings(caller: Caller, approver: Caller, surface: str, title: str) -> None:
    """Publish settings of a surface for the first time, under a class lock since their text names no key."""
    async with allowing(caller, approver, "surface_settings"):
        await publish(caller, settings_card(surface, title))


async def reserve(caller: Caller, filename: str, content_type: str, data: bytes, **more: Any) -> Any:
    """Reserve room for bytes."""
    declared = {"filename": filename, "contentType": content_type, "sizeBytes": len(data)}
    digest = hashlib.sha256(data).hexdigest()
    return await step(caller, "reserveAsset", **declared | {"sha256": digest, "trainOk": True} | more)


async def keep(caller: Caller, filename: str, content_type: str, data: bytes, **more: Any) -> str:
    """Reserve, upload and seal; the asset's id."""
    reserved = await reserve(caller, filename, content_type, data, **more)
    if (status := (await send(caller.http, reserved["upload"], data)).status_code) != 201:
        raise Unavailable(f"An upload was answered with {status}.")
    return str((await step(caller, "sealAsset", assetId=reserved["asset"]["id"]))["asset"]["id"])
