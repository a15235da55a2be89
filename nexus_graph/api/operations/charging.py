"""Every operation is paid for before it runs; one that can't run is paid for as well, since reading it was work."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import orjson

from nexus_graph.api.context import Context
from nexus_graph.api.operations.operation import Operation
from nexus_graph.safeguards.rates import Bill, Budget, Price
from nexus_graph.scope.errors import Invalid, Throttled

FLAWED = Price(10)
"""What a request costs that is refused before it runs: no JSON, not of this schema, dearer than any budget."""


def identity(operation: Operation) -> Callable[[], bytes]:
    """Tells equal requests, when somebody asks: it takes a moment for large ones."""
    asked = [operation.query, operation.digest, operation.name, operation.variables]
    return lambda: hashlib.sha256(orjson.dumps(asked)).digest()


async def pay(context: Context, price: Price, request: Callable[[], bytes] | None = None) -> None:
    """Take a price. Raises Throttled, which is journalled then, or Invalid."""
    await _settle(context, await context.house.rates.take(context.scope, price, request))


async def look(context: Context, operation: Operation) -> None:
    """Raises Throttled for what is known to be too much, before it is parsed."""
    bill = context.house.rates.known_refusal(context.scope, identity(operation))
    if bill is not None:
        await _settle(context, bill)


async def pay_for_flaws(context: Context) -> None:
    """Take the price of a request that could not run, unless it is paid for already. Raises Throttled."""
    if context.bill is None or isinstance(context.bill.refusal, Invalid):
        await pay(context, FLAWED)


async def _settle(context: Context, bill: Bill) -> None:
    context.bill = bill
    context.observation.points = bill.price.points
    if isinstance(bill.refusal, Throttled):
        context.told = True
        await context.house.rates.refusals.tell(context.scope)
    if bill.refusal is not None:
        context.observation.refused(bill.refusal)
        raise bill.refusal


def cost(context: Context) -> dict[str, Any]:
    """`{"cost": ...}` for the extensions of an answer; nothing when no price is known."""
    if (bill := context.bill) is None:
        return {}
    shown: dict[str, Any] = {"points": bill.price.points}
    if bill.price.introspections:
        shown["introspections"] = bill.price.introspections
    for budget in Budget:
        if (standing := bill.budgets.get(budget)) is not None:
            shown[budget.value] = {
                "left": standing.left,
                "burst": standing.burst,
                "perSecond": standing.per_second,
            }
    return {"cost": shown}
