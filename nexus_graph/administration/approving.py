"""The demo's people change settings: what is strategic takes two of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nexus_graph.administration import console
from nexus_graph.administration.client import Client
from nexus_graph.scope.errors import Unavailable

Card = dict[str, Any]
"""Input of publishCard."""


async def allow_settings(owner: Client, admin: Client, name: str, cards: Sequence[Card]) -> None:
    """Have those cards that are strategic and not there yet allowed together: by one lock for their types."""
    previews = [await owner.ask("locks/PreviewLock", {"change": {"publishCard": card}}) for card in cards]
    types = [each["change"]["cardType"] for each in previews if each["strategic"] and each["difference"]["text"]]
    if types:
        allowed = {"actions": ["PUBLISH_CARD"], "cardTypes": sorted(set(types)), "uses": len(types)}
        by = await _approved(owner, admin, {"anyOf": allowed}, "The first settings of the demo.")
        console.say(f"{name}: strategic cards: {len(types)}; the owner proposed one lock for them, {by} approved it")


async def change_settings(owner: Client, admin: Client, before: str, after: str) -> None:
    """Change a settings card: refused, proposed, approved by somebody else, applied. A second start finds it done."""
    first: Card = {"text": before, "trainOk": True}
    try:
        await allow_settings(owner, admin, "the goodwill screen", [first])
        made = await owner.ask("ingest/PublishCard", first)
    except Unavailable:  # it is at the later version
        console.say("the goodwill screen: its settings were changed at an earlier start")
        return
    second: Card = {"text": after, "trainOk": True, "expectedVersion": made["card"]["version"]}
    console.say("\nThe owner changes the settings of the goodwill screen:")
    try:
        await owner.ask("ingest/PublishCard", second)
    except Unavailable as error:
        console.say(f"  {error.message}\n  {error.hint}")
    change = {"publishCard": second}
    preview = await owner.ask("locks/PreviewLock", {"change": change})
    console.say("  proposed:")
    for line in preview["difference"]["text"].splitlines():
        console.say(f"    {line}")
    by = await _approved(owner, admin, change, "Colleagues ask for it.")
    published = await owner.ask("ingest/PublishCard", second)
    console.say(f"  approved by {by}, and applied: version {published['card']['version']}")


async def _approved(owner: Client, admin: Client, change: dict[str, Any], reason: str) -> str:
    """Propose as one, approve as the other what was seen. Returns who approved."""
    proposal = {"input": {"change": change, "reason": reason}}
    lock = (await owner.ask("locks/ProposeLock", proposal))["lock"]
    seen = {name: lock[name] for name in ("id", "revision", "changeDigest")}
    return str((await admin.ask("locks/ApproveLock", seen))["lock"]["decidedBy"])
