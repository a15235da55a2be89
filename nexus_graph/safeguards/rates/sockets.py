"""How many websockets each actor holds open on this server."""

from __future__ import annotations

from collections import Counter

from nexus_graph.scope.limits import Limits
from nexus_graph.scope.scope import Scope

_Actor = tuple[str, str, str]


class Sockets:
    """Counts in the process: a connection lives and dies with it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: Counter[_Actor] = Counter()

    def enter(self, scope: Scope) -> bool:
        """Count one more; False, and nothing is counted, when the actor has as many as it may."""
        if self.count(scope) >= self._limits.actor_sockets:
            return False
        self._open[_actor(scope)] += 1
        return True

    def leave(self, scope: Scope) -> None:
        """One that was counted is closed."""
        actor = _actor(scope)
        self._open[actor] -= 1
        if self._open[actor] <= 0:
            del self._open[actor]

    def count(self, scope: Scope) -> int:
        """How many the actor holds open in this tenant and env."""
        return self._open.get(_actor(scope), 0)


def _actor(scope: Scope) -> _Actor:
    return (*scope.key, scope.principal.id)
