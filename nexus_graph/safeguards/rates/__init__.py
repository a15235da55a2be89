"""Rate and cost: how many points somebody may spend, and how fast.

In: the price of an operation, computed before it runs.
Out: a bill with what is left, or how long to wait.
Never: a take that counts in one process alone, a refusal that costs a write, an actor who empties another's budget.

An actor has a budget in each tenant and env, all actors of a tenant share a wider one, and introspection has a small
one of its own. `model` is the arithmetic, `buckets` keeps the levels, `taking` takes from them and `refusals` tells the
journal; `sockets` counts connections.
"""

from nexus_graph.safeguards.rates.buckets import levels
from nexus_graph.safeguards.rates.deciding import refusal
from nexus_graph.safeguards.rates.model import Bill, Budget, Level, Price, Rate, Standing
from nexus_graph.safeguards.rates.taking import Rates

__all__ = ["Bill", "Budget", "Level", "Price", "Rate", "Rates", "Standing", "levels", "refusal"]
