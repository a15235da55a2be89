"""API keys for agents: `nxk_<key id>_<secret>`, for one tenant and env, with an expiry, shown once, kept as a hash.

The secret has 256 random bits, so a plain SHA-256 is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import timedelta

from nexus_graph import safeguards
from nexus_graph.safeguards import Deed
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Invalid, NotFound
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.paging import Page, Window, page
from nexus_graph.stores.work import Read, Stores
from nexus_graph.tenants import table
from nexus_graph.tenants.membership import DIRECTORY
from nexus_graph.tenants.model import ApiKey

_PRESENTED = re.compile(r"nxk_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")
LONGEST_DAYS = 366


async def create_key(stores: Stores, scope: Scope, name: str, days: int) -> tuple[ApiKey, str]:
    """Make a key that expires after `days`. Returns it with the secret text, which can't be had again."""
    scope.require(Permission.KEYS_WRITE)
    if not 1 <= days <= LONGEST_DAYS:
        raise Invalid(f"A key lives 1 to {LONGEST_DAYS} days, not {days}.", path=("input", "days"))
    if not 1 <= len(name.strip()) <= 100:
        raise Invalid("A key needs a name of 1 to 100 characters.", path=("input", "name"))
    secret = secrets.token_urlsafe(32)
    async with stores.work(scope, RunKind.ADMIN) as work:
        await safeguards.enforce(work, Deed("createKey", Permission.KEYS_WRITE))
        key_id = work.new_id("key").removeprefix("key_")
        rows = await work.write(
            table.ADD_KEY,
            key_id=key_id,
            name=name.strip(),
            secret_sha256=_hash(secret),
            created_by=scope.principal.id,
            now=micros(work.now),
            expires_at=micros(work.now + timedelta(days=days)),
        )
        detail: Json = {"input": {"name": name.strip(), "days": days}}
        work.record(Event("key.created", "key", key_id, redact(detail), DIRECTORY))
    return table.api_key(rows[0]), f"nxk_{key_id}_{secret}"


async def revoke_key(stores: Stores, scope: Scope, key_id: str) -> ApiKey:
    """End a key at once. Raises NotFound."""
    scope.require(Permission.KEYS_WRITE)
    async with stores.work(scope, RunKind.ADMIN) as work:
        await safeguards.enforce(work, Deed("revokeKey", Permission.KEYS_WRITE))
        rows = await work.write(table.REVOKE_KEY, key_id=key_id, now=micros(work.now))
        if not rows:
            raise NotFound("key")
        work.record(Event("key.revoked", "key", key_id, redact({}), DIRECTORY))
    return table.api_key(rows[0])


async def keys(stores: Stores, scope: Scope, window: Window) -> Page[ApiKey]:
    """The keys of this tenant and env, newest first."""
    scope.require(Permission.KEYS_READ)
    async with stores.read(scope) as read:
        return await page(read, table.KEYS, ("created_at", "key_id"), window, table.api_key)


async def proven_key(read: Read, presented: str) -> ApiKey | None:
    """The key that the presented text proves in the handle's tenant and env, or None. It need not live any more."""
    if not (match := _PRESENTED.fullmatch(presented)):
        return None
    row = await read.row(table.FIND_KEY, key_id=match[1])
    held = row["secret_sha256"] if row else _hash("")
    return table.api_key(row) if hmac.compare_digest(held, _hash(match[2])) and row is not None else None


def key_id(presented: str) -> str | None:
    """The id inside a presented key, proven or not."""
    match = _PRESENTED.fullmatch(presented)
    return match[1] if match else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
