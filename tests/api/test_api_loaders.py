"""Loaders gather what many fields ask for, and nobody's end takes the answer from the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from nexus_graph.api.loaders import MOST_TOGETHER, Loader
from nexus_graph.scope.errors import NotFound


async def test_one_cancelled_field_leaves_the_others_their_answer() -> None:
    """Two fields wait for one key; the first is cancelled, as the siblings of a failed field are."""
    go_on = asyncio.Event()

    async def load(keys: Sequence[str]) -> dict[str, str]:
        await go_on.wait()
        return {key: key.upper() for key in keys}

    loader = Loader(load)
    leaving, staying = (asyncio.create_task(loader.load("a")) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    go_on.set()
    assert await asyncio.wait_for(staying, 5) == "A"
    assert await asyncio.wait_for(loader.load_many(["a", "b"]), 5) == ["A", "B"]


async def test_who_asks_at_the_same_time_shares_a_call_and_none_asks_twice() -> None:
    """Fields that wait for others first are in it as well; what there is none of is known, too."""
    calls: list[Sequence[int]] = []

    async def load(keys: Sequence[int]) -> dict[int, str]:
        calls.append(keys)
        return {key: str(key) for key in keys if key < 5}

    loader = Loader(load)

    async def later(key: int) -> str | None:
        await asyncio.sleep(0)
        return await loader.load(key)

    one, several, last = await asyncio.gather(loader.load(1), loader.load_many([2, 1, 9]), later(3))
    assert (one, several, last) == ("1", ["2", "1", None], "3")
    assert calls == [[1, 2, 9, 3]]
    assert await loader.load_many([9, 3, 4]) == [None, "3", "4"]
    assert calls[1:] == [[4]]


async def test_a_call_has_so_many_keys() -> None:
    """More are several calls."""
    calls: list[int] = []

    async def load(keys: Sequence[int]) -> dict[int, int]:
        calls.append(len(keys))
        return {key: -key for key in keys}

    keys = [*range(1, MOST_TOGETHER + 11)]
    assert await Loader(load).load_many(keys) == [-key for key in keys]
    assert calls == [MOST_TOGETHER, 10]


async def test_what_a_call_fails_with_is_told_to_all_who_asked_and_who_ask_later() -> None:
    """It is not tried again: it was journalled once."""
    calls = 0

    async def load(_: Sequence[str]) -> dict[str, str]:
        nonlocal calls
        calls += 1
        raise NotFound("thing")

    loader = Loader(load)
    found = await asyncio.gather(loader.load("a"), loader.load_many(["b", "a"]), return_exceptions=True)
    assert [type(each) for each in found] == [NotFound, NotFound]
    with pytest.raises(NotFound):
        await loader.load("b")
    assert calls == 1
