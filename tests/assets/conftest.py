"""What the tests of assets start from: rules, a clock to move, an upload that takes no detour over a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest
from engines import behind

from nexus_graph.assets import AssetRules, Reservation, Reserved
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.blobs.files import FileBlobs
from nexus_graph.stores.work import Stores

Journal = Callable[[Scope], Awaitable[list[dict[str, Any]]]]
Send = Callable[[Reserved, bytes], Awaitable[bool]]


@pytest.fixture
def rules() -> AssetRules:
    """A megabyte, an hour to upload, five minutes to download."""
    return AssetRules(largest=1_000_000, reservation_seconds=3600, address_seconds=300)


@pytest.fixture
def advance(clock: Any) -> Callable[..., None]:
    """Moves the clock on by `timedelta(**amount)`."""
    return cast("Callable[..., None]", clock.advance)


@pytest.fixture
def declare() -> Callable[..., Reservation]:
    """Makes a reservation for bytes; any part can be given."""

    def make(data: bytes = b"Net sales rose.", **given: Any) -> Reservation:
        return Reservation.of(
            data, **{"filename": "report.txt", "content_type": "text/plain", "train_ok": True, **given}
        )

    return make


@pytest.fixture
def send(stores: Stores) -> Send:
    """Uploads bytes to the address of a reservation."""

    async def deliver(reserved: Reserved, data: bytes) -> bool:
        async def chunks() -> AsyncIterator[bytes]:
            yield data

        if reserved.upload is None:
            raise ValueError("nothing is to be uploaded")
        blobs = cast("FileBlobs", stores.blobs)
        return await blobs.receive(reserved.upload.address.rpartition("/")[2], chunks())

    return deliver


@pytest.fixture
def journal(stores: Stores) -> Journal:
    """Reads a scope's journal: all rows, in order."""

    async def rows(scope: Scope) -> list[dict[str, Any]]:
        async with behind(stores) as connection:
            found = await connection.rows(
                "select * from journal_events where tenant_id = :tenant_id and env = :env order by seq",
                {"tenant_id": scope.tenant_id, "env": scope.env.value},
            )
        return [dict(row) for row in found]

    return rows
