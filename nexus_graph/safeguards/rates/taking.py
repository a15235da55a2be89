"""Taking points: exact over all processes, in few transactions, and without any for who is known to have too little.

Takes that wait together share one transaction, in the order in which they came. What a bucket held is remembered: until
it can have filled up far enough nobody asks the database again, so a flood of refusals writes nothing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from nexus_graph.safeguards.rates import buckets
from nexus_graph.safeguards.rates.model import Bill, Bucket, Budget, Level, Price, Rate, bill, taken
from nexus_graph.safeguards.rates.refusals import Refusals
from nexus_graph.safeguards.rates.sockets import Sockets
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Throttled
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database.base import Connection
from nexus_graph.stores.work import Stores

MOST_REMEMBERED = 10_000
MOST_TOGETHER = 256
MOST_NEW = 5
"""Requests of one actor, none like the other, that are priced and refused within a second. Then nothing new is looked
at until the second is over: finding out a price is work too."""
_SECOND = 1_000_000

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Take:
    scope: Scope
    price: Price
    done: asyncio.Future[Bill]

    def bucket(self, budget: Budget) -> Bucket:
        return Bucket.of(self.scope, budget)


@dataclass(frozen=True, slots=True)
class _Refused:
    """How many new requests of an actor were refused since a moment."""

    since: int
    count: int


class Rates:
    """The budgets of everybody who asks this process, and what is counted beside them."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self.refusals = Refusals(stores)
        self.sockets = Sockets(stores.limits)
        self._waiting: list[_Take] = []
        self._task: asyncio.Task[None] | None = None
        self._levels: OrderedDict[Bucket, Level] = OrderedDict()  # never less than what the buckets hold
        self._refused: OrderedDict[Bucket, _Refused] = OrderedDict()
        self._prices: OrderedDict[tuple[Bucket, bytes], Price] = OrderedDict()  # of requests that were refused

    async def take(self, scope: Scope, price: Price, request: Callable[[], bytes] | None = None) -> Bill:
        """Take a price from all its budgets, or nothing from any: then the bill says why.

        `request` identifies what is paid for, so that `known_refusal` recognises it. Raises Unavailable when the
        database does not answer: nothing passes uncounted.
        """
        answer = self._foreseen(scope, price)
        if answer.refusal is None:
            answer = await self._queued(scope, price)
        if isinstance(answer.refusal, Throttled) and request is not None:
            self._learn(Bucket.of(scope, Budget.ACTOR), request(), price)
        return answer

    def known_refusal(self, scope: Scope, request: Callable[[], bytes]) -> Bill | None:
        """What memory alone refuses, before a request is looked at more closely; None when it has to be.

        The same request again, before the budget can have filled up for it; or a new one of an actor of whom `MOST_NEW`
        were refused in this second.
        """
        actor = Bucket.of(scope, Budget.ACTOR)
        refused = self._refused.get(actor)
        if refused is None:
            return None
        if price := self._prices.get((actor, request())):
            foreseen = self._foreseen(scope, price)
            return foreseen if foreseen.refusal is not None else None
        wait = refused.since + _SECOND - self._now()
        if wait <= 0 or refused.count < MOST_NEW:
            return None
        error = Throttled(
            f"The budget was too small for {MOST_NEW} other operations in this second; no new one is looked at.",
            retry_after=-(-wait // 1000) / 1000,
            hint="Wait as long as an answer with the code THROTTLED says.",
        )
        foreseen = self._foreseen(scope, Price(0))
        return Bill(foreseen.price, foreseen.budgets, error)

    async def close(self) -> None:
        """Tell the journal what it has not been told yet. Before the stores close."""
        await self.refusals.close()

    def _learn(self, actor: Bucket, request: bytes, price: Price) -> None:
        if (actor, request) not in self._prices:
            now, refused = self._now(), self._refused.get(actor)
            if refused is None or now >= refused.since + _SECOND:
                refused = _Refused(now, 0)
            _remember(self._refused, actor, replace(refused, count=refused.count + 1))
        _remember(self._prices, (actor, request), price)

    def _foreseen(self, scope: Scope, price: Price) -> Bill:
        """The bill as it would be at best: others may have taken what this process does not know of."""
        now, limits = self._now(), self._stores.limits
        levels = {}
        for budget in price.amounts:
            rate, known = Rate.of(limits, budget), self._levels.get(Bucket.of(scope, budget))
            levels[budget] = rate.full(now) if known is None else rate.filled(known, now)
        return bill(limits, price, levels)

    async def _queued(self, scope: Scope, price: Price) -> Bill:
        take = _Take(scope, price, asyncio.get_running_loop().create_future())
        self._waiting.append(take)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return await take.done

    async def _drain(self) -> None:
        """While one transaction is on its way to the disk, the next takes gather."""
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
            try:
                answers: Sequence[Bill | Exception] = await self._settled(batch)
            except Exception as error:
                answers = [error] * len(batch)
            for take, answer in zip(batch, answers, strict=True):
                if take.done.done():
                    continue
                if isinstance(answer, Bill):
                    take.done.set_result(answer)
                else:
                    take.done.set_exception(answer)

    async def _settled(self, batch: Sequence[_Take]) -> list[Bill]:
        limits = self._stores.limits
        wanted = {take.bucket(budget): Rate.of(limits, budget) for take in batch for budget in take.price.amounts}

        async def settle(connection: Connection) -> tuple[list[Bill], dict[Bucket, Level]]:
            levels, answers = await buckets.hold(connection, wanted.items(), self._now()), list[Bill]()
            before = dict(levels)
            for take in batch:
                amounts = take.price.amounts
                answer = bill(limits, take.price, {budget: levels[take.bucket(budget)] for budget in amounts})
                if answer.refusal is None:
                    levels |= {
                        take.bucket(budget): taken(levels[take.bucket(budget)], amounts[budget]) for budget in amounts
                    }
                    left = {budget: levels[take.bucket(budget)] for budget in amounts}
                    answer = Bill(take.price, bill(limits, Price(0, urgent=take.price.urgent), left).budgets, None)
                answers.append(answer)
            await buckets.keep(connection, {key: level for key, level in levels.items() if level != before[key]})
            return answers, levels

        answers, levels = await self._stores.count(settle)
        for bucket, level in levels.items():
            _remember(self._levels, bucket, level)
        return answers

    def _now(self) -> int:
        return micros(self._stores.clock())


def _remember(what: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    what[key] = value
    what.move_to_end(key)
    if len(what) > MOST_REMEMBERED:
        what.popitem(last=False)
