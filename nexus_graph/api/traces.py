"""One OpenTelemetry span for each operation, sent by OTLP over HTTP when `NEXUS_TRACES_ADDRESS` is set.

A span carries ids and codes: never a query, a variable, an argument or content. Its trace is that of the scope, so that
the journal, the log and the spans of one request are found under one id. A collector that does not answer costs spans,
never a request: they wait in a bounded queue and are sent by a thread of their own.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import structlog

from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import ConfigurationError

log = structlog.get_logger("nexus_graph.traces")

FLUSH_SECONDS = 3.0
_QUEUE, _BATCH, _PAUSE_MILLISECONDS, _SEND_SECONDS = 4096, 512, 1000, 5
_PARENT = re.compile(r"00-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Span:
    """An operation that is over. `traceparent` is what the client sent; `failed` means that the fault is ours."""

    name: str
    trace_id: str
    traceparent: str | None
    started: datetime
    ended: datetime
    attributes: Mapping[str, str | int]
    failed: bool


class Traces(Protocol):
    """Where spans go."""

    def tell(self, span: Span) -> None:
        """Take a span. Returns at once and never raises."""

    async def close(self) -> None:
        """Send what is waiting, within a few seconds."""


class NoTraces:
    """Spans that nobody wants."""

    def tell(self, span: Span) -> None:
        """Nothing."""

    async def close(self) -> None:
        """Nothing."""


def open_traces(address: str | None) -> Traces:
    """Where spans go: to the collector at `address`, or nowhere. Raises ConfigurationError without OpenTelemetry."""
    if address is None:
        return NoTraces()
    try:
        return _Collector(address.rstrip("/") + "/v1/traces")
    except ImportError as error:
        raise ConfigurationError(
            "NEXUS_TRACES_ADDRESS is set, but OpenTelemetry is not installed. "
            "Install the extra: pip install 'nexus-graph[traces]'."
        ) from error


class _Collector:
    """Spans by OTLP over HTTP. Everything is set here: the library reads settings of its own from the environment."""

    def __init__(self, endpoint: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

        class Told(OTLPSpanExporter):
            """An exporter whose failures are told by us, in one line and without text."""

            def export(self, spans: Sequence[Any]) -> SpanExportResult:
                result = super().export(spans)
                if result is not SpanExportResult.SUCCESS:
                    log.warning("traces.unsent", spans=len(spans))
                return result

        class Ids(RandomIdGenerator):
            """The trace of the next span without a parent is the one of its scope."""

            trace_id = 0

            def generate_trace_id(self) -> int:
                return self.trace_id

        self._ids = Ids()
        self._provider = TracerProvider(
            sampler=ParentBased(ALWAYS_ON),
            resource=Resource({"service.name": "nexus-graph"}),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        self._exporter: Any = Told(endpoint=endpoint, timeout=_SEND_SECONDS)
        self._provider.add_span_processor(
            BatchSpanProcessor(self._exporter, _QUEUE, _PAUSE_MILLISECONDS, _BATCH, _SEND_SECONDS * 1000)
        )
        self._tracer = self._provider.get_tracer("nexus_graph")

    def tell(self, span: Span) -> None:
        """Put a span into the queue; a full one drops the oldest."""
        from opentelemetry.trace import SpanKind, StatusCode

        self._ids.trace_id = int(span.trace_id, 16)
        told = self._tracer.start_span(
            span.name,
            context=_parent(span),
            kind=SpanKind.SERVER,
            attributes=dict(span.attributes),
            start_time=micros(span.started) * 1000,
        )
        if span.failed:
            told.set_status(StatusCode.ERROR)
        told.end(micros(span.ended) * 1000)

    async def close(self) -> None:
        """Send what is waiting; a collector that does not answer in time loses it."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, FLUSH_SECONDS)
        if ending.is_alive():
            self._exporter.shutdown()  # no more attempts


def _parent(span: Span) -> Any:
    """The client's own span, when it named one in the trace of the scope; else the span is the first of its trace."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    match = _PARENT.fullmatch(span.traceparent or "")
    if match is None or match["trace"] != span.trace_id:
        return Context()
    parent = SpanContext(
        int(match["trace"], 16), int(match["span"], 16), is_remote=True, trace_flags=TraceFlags(int(match["flags"], 16))
    )
    return set_span_in_context(NonRecordingSpan(parent), Context())
