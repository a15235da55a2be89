"""The chain: every gate, in one order, for every verb. What a screen is told beforehand is what enforces afterwards.

    decide    which gates refuse a deed, all of them; changes nothing
    enforce   the same, inside the transaction of the deed: raises, or uses up what the deed takes

The door asks the kill switch, the rate and the role before a resolver runs, when amounts and contents are not known
yet; here they are. A new gate is one more function in `_GATES`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from nexus_graph.safeguards import consent, locks, quotas, rates, switches
from nexus_graph.safeguards.model import Decision, Deed, Refusal
from nexus_graph.scope.decision import Gate
from nexus_graph.scope.errors import (
    Forbidden,
    Halted,
    LockRequired,
    NexusError,
    QuotaExceeded,
    Throttled,
    Withheld,
)
from nexus_graph.scope.handling import Handling
from nexus_graph.stores.work import Read, Work


async def _role(read: Read, deed: Deed) -> NexusError | None:
    """The policy, and what it can't say: whose something is."""
    try:
        read.scope.require(deed.permission)
    except Forbidden as error:
        return error
    return deed.barred


_GATES: tuple[tuple[Gate, type[NexusError], Callable[[Read, Deed], Awaitable[NexusError | None]]], ...] = (
    (Gate.KILL_SWITCH, Halted, switches.refusal),
    (Gate.RATE, Throttled, rates.refusal),
    (Gate.QUOTA, QuotaExceeded, quotas.refusal),
    (Gate.ROLE, Forbidden, _role),
    (Gate.STRATEGY_LOCK, LockRequired, locks.refusal),
    (Gate.CONSENT, Withheld, consent.refusal),
)
ORDER: Mapping[Gate, str] = {gate: error.code for gate, error, _ in _GATES}
"""The gates that can refuse, in the order in which they are asked, each with the code that it refuses with."""


async def decide(read: Read, deed: Deed) -> Decision:
    """Ask every gate about a deed. Nothing is changed or used up."""
    answers = [(gate, await refusal(read, deed)) for gate, _, refusal in _GATES]
    return Decision(deed.action, tuple(Refusal(gate, error) for gate, error in answers if error is not None))


async def enforce(work: Work, deed: Deed) -> Handling:
    """Let a deed pass inside its own transaction, or raise what the first gate that refuses has to say.

    Takes what the deed uses up from the quotas and counts one use of the lock that allows it. Returns the handling of
    what is kept: as its author declared it, as restrictive as the opt-outs that concern it.
    """
    decision = await decide(work, deed)
    decision.require()
    await quotas.take(work, deed.takes)
    await locks.use(work, deed)
    return await consent.effective(work, deed.handling)
