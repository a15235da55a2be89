"""Loaders gather what many fields ask for, and nobody's end takes the answer from the others."""

from __future__ import annotations

import asyncio

import pytest

from nexus_graph.api.loaders import Loader


async def test_one_cancelled_field_leaves_the_others_their_answer() -> None:
    """Two fields wait for one key; the first is cancelled, as the siblings of a failed field are."""
    go_on = asyncio.Event()

    async def load(keys: list[str]) -> list[str]:
        await go_on.wait()
        return [key.upper() for key in keys]

    loader = Loader(load_fn=load)
    leaving, staying = (asyncio.create_task(loader.load("a")) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    go_on.set()
    assert await asyncio.wait_for(staying, 5) == "A"
    assert await asyncio.wait_for(loader.load_many(["a", "b"]), 5) == ["A", "B"]
