"""A scope in which something of every kind is kept and flagged, and a way to leave it as an older version did."""

from __future__ import annotations

from typing import Any

from engines import behind
from lineage_house import RULES, derive
from lock_steps import proposed
from shipped import MANIFESTS

from nexus_graph import assets, cards, sessions
from nexus_graph.assets import Reservation
from nexus_graph.packs import table
from nexus_graph.packs.model import Ask, Contents, seal
from nexus_graph.safeguards import Change
from nexus_graph.safeguards.model import StrategicAction
from nexus_graph.scope.canonical import canonical
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import pii_flags, redact
from nexus_graph.scope.scope import Scope
from nexus_graph.sessions import NewEntry
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Stores

TABLES = {
    "atoms": "atom_id",
    "assets": "asset_id",
    "card_versions": "card_id || '@' || version",
    "packs": "pack_id",
    "session_entries": "session_id || '#' || ordinal",
    "strategy_locks": "lock_id",
}
DATA = b"Call +49 30 901820.\n\nWrite to anna@example.com.\n\nNothing here.\n"


async def add_asset(
    stores: Stores, scope: Scope, filename: str, data: bytes, op: str = "text.paragraphs"
) -> assets.Asset:
    """Bring a file in, or once more, with its atoms."""
    reservation = Reservation.of(data, filename=filename, content_type="text/plain", train_ok=True)
    asset, new = await assets.keep(stores, RULES, scope, reservation, data)
    if new:
        await derive(stores, scope, asset, data, op)
    return asset


async def add_pack(stores: Stores, scope: Scope, text: str, card: cards.Card) -> str:
    """Keep a pack that answers a question with a card, as `packs.request` does once it has found it."""
    pack_id, content = seal(Contents(Ask(text), "definition", "policy", "state", (), complete=True, exact=True))
    flags = Handling((*pii_flags(text), *card.handling.pii_flags), train_ok=True).pii_flags
    async with stores.work(scope, RunKind.PACK) as work:
        await work.write(
            table.KEEP,
            pack_id=pack_id,
            content=content,
            pii_flags=canonical([*flags]).decode(),
            train_ok=True,
            now=0,
            by=scope.principal.id,
        )
        await work.write(table.QUOTE, pack_id=pack_id, card_id=card.card_id, version=card.version)
        work.record(Event("pack.served", "pack", pack_id, redact({}), Handling((), train_ok=False)))
    return pack_id


async def furnish(stores: Stores, scope: Scope) -> None:
    """Assets with atoms, two versions of a card, a pack that quotes one, turns of a session, a proposed lock."""
    await add_asset(stores, scope, "for anna@example.com.txt", DATA)
    await add_asset(stores, scope, "plain.txt", b"IBAN DE89 3704 0044 0532 0130 00\n\npassword: Fjord!2024x\n")
    text = "---\ncard_type: note\nkey: plan\n---\nServer 10.20.30.40.\n"
    card = (await cards.publish(stores, MANIFESTS, scope, text, train_ok=True)).card
    second = text.replace("10.20.30.40", "of nobody")
    await cards.publish(stores, MANIFESTS, scope, second, train_ok=True, expected_version=1)
    await add_pack(stores, scope, "who is b@c.de?", card)
    turns = ("My number is 212-555-0177.", "Nothing.", '{"mail": "a\\u0040b.co"}')
    await sessions.append(stores, scope, "talk", [NewEntry(turn, True) for turn in turns])
    await proposed(stores, scope, Change(StrategicAction.RETIRE_CARD, card.card_id, {}, "note"))


async def flags(stores: Stores, scope: Scope) -> dict[str, dict[str, str]]:
    """The flags of everything, as the rows have them, by table and record."""
    found = {}
    for name, key in TABLES.items():
        rows = await rows_of(stores, scope, f"select {key} as id, pii_flags from {name} where true")  # noqa: S608
        found[name] = {row["id"]: row["pii_flags"] for row in rows}
    return found


async def rows_of(stores: Stores, scope: Scope, sql: str) -> Any:
    """The scope's rows that an open SELECT answers with."""
    own: dict[str, Any] = {"tenant_id": scope.tenant_id, "env": scope.env.value}
    async with behind(stores) as connection:
        return await connection.rows(f"{sql} and tenant_id = :tenant_id and env = :env", own)


async def change(stores: Stores, scope: Scope, sql: str, **values: Any) -> None:
    """Run an open UPDATE or DELETE over the scope's rows, past every rule."""
    own: dict[str, Any] = {"tenant_id": scope.tenant_id, "env": scope.env.value, **values}
    async with behind(stores) as connection:
        await connection.rows(f"{sql} and tenant_id = :tenant_id and env = :env", own)


async def age(stores: Stores, scope: Scope, ruleset: str | None = "pii-1") -> None:
    """Leave the scope as a version with another ruleset would: it saw nothing but social security numbers."""
    for name in TABLES:
        await change(stores, scope, f"""update {name} set pii_flags = '["us_ssn"]' where true""")  # noqa: S608
    if ruleset is None:
        await change(stores, scope, "delete from rulesets where true")
    else:
        await change(stores, scope, "update rulesets set ruleset = :ruleset where true", ruleset=ruleset)
