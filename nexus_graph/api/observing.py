"""What an operator sees of each operation: one count, one time, one span, made in one place when it is over.

    with watch.operation(traceparent) as observation:      # the door does this, once an operation
        observation.context = context                      # once it is admitted

Its type and root fields are added once it is found to be valid (`operations.execution`); refusals are noted where they
are told. Nothing that a client wrote is kept, but for the ids that admission found well-formed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionSetNode,
)

from nexus_graph.api.metrics import Metrics
from nexus_graph.api.traces import NoTraces, Span, Traces
from nexus_graph.scope.clock import system_clock
from nexus_graph.scope.errors import NexusError
from nexus_graph.scope.scope import Scope

OK = "OK"
UNKNOWN = "unknown"
STREAM = "subscription"
_OURS = ("INTERNAL", "UNAVAILABLE")
_MOST_NAMES = 5


@dataclass(slots=True)
class Observation:
    """One operation: its type and root fields once it is known to be valid, its scope once it is admitted.

    `outcome` is the first code that it was answered with: of an error, or of a refusal among the data.
    """

    metrics: Metrics
    kind: str = UNKNOWN
    fields: Sequence[str] = ()
    outcome: str = OK
    scope: Scope | None = None
    points: int | None = None

    def refused(self, error: NexusError) -> None:
        """Somebody was told no."""
        self.metrics.refused(error)
        self.ended_as(error.code)

    def answered(self, errors: Sequence[Mapping[str, Any]] | None) -> None:
        """The errors of an answer, as it carries them."""
        for error in errors or ():
            self.ended_as(error["extensions"]["code"])

    def ended_as(self, code: str) -> None:
        """The first code stays."""
        if self.outcome == OK:
            self.outcome = code

    @property
    def name(self) -> str:
        """The type and the root fields, as the schema names them."""
        more = ("...",) if len(self.fields) > _MOST_NAMES else ()
        return " ".join((self.kind, *self.fields[:_MOST_NAMES], *more))


@dataclass(slots=True)
class Watch:
    """The instruments of one process, and where its spans go."""

    metrics: Metrics = field(default_factory=Metrics)
    traces: Traces = field(default_factory=NoTraces)
    clock: Callable[[], datetime] = system_clock

    def operation(self, traceparent: str | None) -> Watching:
        """Watch one operation until it is over, however it ends."""
        return Watching(self, traceparent)


class Watching:
    """One operation for as long as a block lasts."""

    __slots__ = ("_observation", "_since", "_started", "_traceparent", "_watch")

    def __init__(self, watch: Watch, traceparent: str | None) -> None:
        self._watch, self._traceparent = watch, traceparent
        self._observation = Observation(watch.metrics)

    def __enter__(self) -> Observation:
        self._started, self._since = self._watch.clock(), time.perf_counter()
        return self._observation

    def __exit__(self, *_: object) -> None:
        watch, seen = self._watch, self._observation
        watch.metrics.operations.labels(seen.kind, seen.outcome).inc()
        if seen.kind != STREAM:
            watch.metrics.seconds.labels(seen.kind).observe(time.perf_counter() - self._since)
        if seen.scope is not None:
            watch.traces.tell(_span(seen, seen.scope, self._traceparent, self._started, watch.clock()))


def _span(observation: Observation, scope: Scope, traceparent: str | None, started: datetime, ended: datetime) -> Span:
    attributes: dict[str, str | int] = {
        "nexus.tenant": scope.tenant_id,
        "nexus.env": scope.env.value,
        "nexus.principal.kind": scope.principal.kind.value,
        "nexus.role": scope.role.value,
        "nexus.request.id": scope.request_id,
        "nexus.outcome": observation.outcome,
        "graphql.operation.type": observation.kind,
    }
    if scope.run_id is not None:
        attributes["nexus.run.id"] = scope.run_id
    if observation.points is not None:
        attributes["nexus.cost.points"] = observation.points
    failed = observation.outcome in _OURS
    return Span(observation.name, scope.trace_id, traceparent, started, ended, attributes, failed)


def root_fields(document: DocumentNode, selected: SelectionSetNode) -> list[str]:
    """The names of the fields at the root of an operation, each once, sorted; aliases are the client's own words."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    names: set[str] = set()
    waiting = [selected]
    while waiting:
        for selection in waiting.pop().selections:
            if isinstance(selection, FieldNode):
                names.add(selection.name.value)
            elif isinstance(selection, InlineFragmentNode):
                waiting.append(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value in fragments:
                waiting.append(fragments.pop(selection.name.value).selection_set)  # once: it may stand there often
    return sorted(names)
