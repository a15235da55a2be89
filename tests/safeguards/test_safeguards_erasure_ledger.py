"""The ledger of erasures: a file or a bucket, complete at every start; and what other processes hold in memory."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from engines import behind, beside
from erasure_house import SUE, TOM, House, MakeScope, furnish, make
from servers.seaweedfs import SeaweedFS

from nexus_graph.safeguards import erasure
from nexus_graph.safeguards.erasure import BucketLedger, FileLedger, Forgetting, Ledger, LedgerEntry
from nexus_graph.scope.clock import system_clock
from nexus_graph.scope.errors import ConfigurationError, Unavailable
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.blobs.files import FileBlobs
from nexus_graph.stores.blobs.s3 import S3Blobs
from nexus_graph.stores.work import Stores

ROOT = Path(__file__).parents[2]
WRITER = """
import asyncio, sys
from pathlib import Path
from nexus_graph.safeguards.erasure import FileLedger, LedgerEntry
async def write():
    for number in range(50):
        name = f"erasure_{sys.argv[2]}_{number}"
        entry = LedgerEntry(name, "t_acme", "dev", "SUBJECT", False, "ab", "cd", (), (), "now", "ef")
        await FileLedger(Path(sys.argv[1])).append(entry)
asyncio.run(write())
"""


def entry(erasure_id: str, at: str = "2026-01-01", tenant_id: str = "t_acme") -> LedgerEntry:
    """An entry of nobody."""
    return LedgerEntry(erasure_id, tenant_id, "dev", "SUBJECT", False, "ab", "cd", ("asset_1",), (), at, "ef")


@pytest.fixture
async def house(tmp_path: Path, stores: Stores, scope_of: MakeScope) -> House:
    """A furnished house."""
    made = await make(tmp_path, stores, scope_of)
    await furnish(made)
    return made


@pytest.fixture(params=["file", "objects", "s3"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    """One of each kind; that of a bucket also over a folder, which keeps the same promises."""
    if request.param == "file":
        yield FileLedger(tmp_path / "erasures.jsonl")
        return
    if request.param == "objects":
        blobs = FileBlobs(tmp_path / "ledger", secret="x" * 32, address="http://x", clock=system_clock)
        yield BucketLedger(blobs, "s3://ledger/kept")
        return
    server: SeaweedFS = request.getfixturevalue("s3_server")
    with server.bucket(versions="Enabled") as bucket:
        kept = S3Blobs(server.server(bucket), clock=system_clock, prefix="kept")
        await kept.open()
        yield BucketLedger(kept, f"s3://{bucket}/kept")
        await kept.close()


async def test_every_ledger_keeps_entries_once(ledger: Ledger) -> None:
    """The oldest first, each once, all or those that are asked for."""
    assert (await ledger.keys(), await ledger.entries()) == (frozenset(), [])
    later, first, other = entry("erasure_1", "2026-02-01"), entry("erasure_2"), entry("erasure_1", tenant_id="t_globex")
    for each in (later, first, other, later, replace(first, certificate="another")):
        await ledger.append(each)
    assert await ledger.keys() == {later.key, first.key, other.key}
    assert await ledger.entries() == [first, other, later]
    assert await ledger.entries({later.key}) == [later]
    assert await ledger.entries([]) == []


async def test_what_is_no_entry_is_named(tmp_path: Path) -> None:
    """Whatever lies in the bucket and is no entry stops whoever reads it."""
    blobs = FileBlobs(tmp_path, secret="x" * 32, address="http://x", clock=system_clock)
    ledger = BucketLedger(blobs, "s3://ledger")
    await blobs.put("t_acme/dev/erasure_1.json", b"{}")
    assert await ledger.keys() == {("t_acme", "dev", "erasure_1")}
    with pytest.raises(ConfigurationError, match=r"s3://ledger/t_acme/dev/erasure_1\.json is no entry"):
        await ledger.entries()
    await blobs.put("holiday.jpg", b"")
    with pytest.raises(ConfigurationError, match=r"s3://ledger/holiday\.jpg is no entry"):
        await ledger.keys()


async def test_a_ledger_that_is_away_is_named(s3_server: SeaweedFS) -> None:
    """Reading it stops a start; writing it is tried again."""
    nowhere = S3Blobs(s3_server.server("nothing-there", seconds=1), clock=system_clock)
    await nowhere.open()
    ledger = BucketLedger(nowhere, "s3://nothing-there")
    with pytest.raises(
        ConfigurationError, match=r"The erasure ledger s3://nothing-there can't be read: .*NoSuchBucket"
    ):
        await ledger.keys()
    with pytest.raises(Unavailable):
        await ledger.append(entry("erasure_1"))
    await nowhere.close()


async def test_processes_share_a_file(tmp_path: Path) -> None:
    """Two that append at once lose no line of each other."""
    file = tmp_path / "erasures.jsonl"
    writers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, str(file), name, cwd=ROOT) for name in "ab"
    ]
    assert [await writer.wait() for writer in writers] == [0, 0]
    assert len(await FileLedger(file).entries()) == 100


async def test_a_start_completes_the_ledger(house: House) -> None:
    """The rows keep every entry: a ledger that was lost, or is another machine's, is told what it lacks."""
    done = await house.erased()
    (kept,) = await house.eraser.ledger.entries()
    empty = FileLedger(house.folder / "another-machine.jsonl")
    assert await erasure.require_agreement(house.stores, empty) == 1
    assert await empty.entries() == [kept]
    assert await erasure.require_agreement(house.stores, empty) == 0
    assert kept.erasure_id == done.erasure_id
    async with behind(house.stores) as connection:
        (row,) = await connection.rows("select ledger_entry from erasures", {})
    assert SUE not in row["ledger_entry"]


async def test_other_processes_let_go_too(house: House, clock: Any) -> None:
    """A process that erased nothing hears of it once, for that tenant and env, and of nothing from before its start."""
    await house.erased()
    async with beside(house.stores) as stores:
        heard: list[Scope] = []
        forgetting = Forgetting(stores, replace(house.eraser, forget=heard.append))
        await forgetting.look()
        assert heard == []
        clock.now -= timedelta(days=3)  # that of whoever erases is far behind
        await house.erased(subject=TOM)
        await forgetting.look()
        await forgetting.look()
        assert [scope.key for scope in heard] == [("t_acme", "dev")]
