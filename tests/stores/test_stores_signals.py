"""Wake-ups inside a process: remembered from the moment of listening, by scope, and nothing left behind."""

from __future__ import annotations

import asyncio

from nexus_graph.stores.signals.local import LocalSignals

ACME, GLOBEX = ("t_acme", "dev"), ("t_globex", "dev")
LONG = 1000.0


async def test_a_wake_up_before_the_wait_is_remembered_once() -> None:
    """It ends the next wait at once, and only that one; several before a wait are one."""
    signals = LocalSignals()
    async with asyncio.timeout(10):
        with signals.listen(ACME) as listener:
            signals.wake(ACME)
            signals.wake(ACME)
            await listener.wait(LONG)
            second = asyncio.create_task(listener.wait(LONG))
            await asyncio.sleep(0.01)
            assert not second.done()
            signals.wake(ACME)
            await second


async def test_only_the_scope_and_those_who_listen_to_all_are_woken() -> None:
    """Another tenant and another env sleep on."""
    signals = LocalSignals()
    async with asyncio.timeout(10):
        with signals.listen(ACME) as acme, signals.listen(GLOBEX) as globex, signals.listen(None) as everything:
            sleeping = asyncio.create_task(globex.wait(LONG))
            signals.wake(ACME)
            await acme.wait(LONG)
            await everything.wait(LONG)
            await asyncio.sleep(0)
            assert not sleeping.done()
            sleeping.cancel()
            await asyncio.gather(sleeping, return_exceptions=True)


async def test_a_wait_ends_without_any_signal() -> None:
    """The slow poll: a wake-up that nobody sent costs time, not an entry."""
    signals = LocalSignals()
    async with asyncio.timeout(10):
        with signals.listen(ACME) as listener:
            await listener.wait(0.001)
            await listener.wait(0)


async def test_all_listeners_of_a_scope_are_woken_and_none_is_left() -> None:
    """A hundred listeners wake together; when their contexts close, nothing of them stays."""
    signals = LocalSignals()

    async def listen() -> None:
        with signals.listen(ACME) as listener:
            await listener.wait(LONG)

    tasks = [asyncio.create_task(listen()) for _ in range(100)]
    async with asyncio.timeout(10):
        await asyncio.sleep(0)
        assert len(signals._listeners[ACME]) == 100
        tasks[0].cancel()
        signals.wake(ACME)
        await asyncio.gather(*tasks, return_exceptions=True)
    assert signals._listeners == {}
    signals.wake(ACME)


async def test_a_cancellation_that_comes_with_a_wake_up_is_not_lost() -> None:
    """A follower that is told to end at the very moment of a wake-up ends."""
    signals = LocalSignals()

    async def follow() -> None:
        with signals.listen(None) as listener:
            while True:
                await listener.wait(60)

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    signals.wake(("t_acme", "dev"))
    await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=1)
    assert done, "it goes on"


async def test_who_listens_to_some_actions_sleeps_through_others() -> None:
    """A reader's entry wakes no follower of publications; what could be anything wakes everybody."""
    signals = LocalSignals()
    with signals.listen(None, ("card.published",)) as follower, signals.listen(ACME) as stream:

        async def woken(actions: tuple[str, ...] | None) -> tuple[bool, bool]:
            signals.wake(ACME, actions)
            found = [listener._event.is_set() for listener in (follower, stream)]
            for listener in (follower, stream):
                await listener.wait(0)
            return found[0], found[1]

        assert await woken(("cards.read",)) == (False, True)
        assert await woken(("cards.read", "card.published")) == (True, True)
        assert await woken(()) == (False, True)
        assert await woken(None) == (True, True)
