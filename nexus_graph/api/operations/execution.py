"""How an operation is run, whichever way it came: found, read, checked, priced, paid for, executed, told.

    prepared = await execution.prepare(context, operation, carried)     # raises Refused
    answer = await execution.execute(prepared)                          # a query or mutation
    async for answer in execution.stream(prepared): ...                 # a subscription

A transport frames what comes back, and decides nothing. Whoever is refused has paid for it and finds it journalled.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    create_source_event_stream,
    execute_root_selection_set,
    execute_subscription_event,
)

from nexus_graph.api.context import Context
from nexus_graph.api.errors import MOST_FLAWS, Flawed, executed, formatted, status_of
from nexus_graph.api.graphql_core_inside import planned_executor
from nexus_graph.api.house import House
from nexus_graph.api.observing import root_fields
from nexus_graph.api.operations import introspection, trusted
from nexus_graph.api.operations.broadcasting import Broadcasts, Outlet, ShortWay
from nexus_graph.api.operations.charging import cost, identity, look, pay, pay_for_flaws
from nexus_graph.api.operations.costing import characters
from nexus_graph.api.operations.documents import Documents, Known, meant
from nexus_graph.api.operations.lists import require_bounded_lists
from nexus_graph.api.operations.operation import Operation
from nexus_graph.api.operations.persisted import PersistedOperations
from nexus_graph.api.operations.planning import price_key
from nexus_graph.api.schema import Schema
from nexus_graph.api.strawberry_inside import executor_class, is_awaitable
from nexus_graph.safeguards.rates import Price
from nexus_graph.scope.errors import Invalid, NexusError, Throttled, TimedOut
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import RunKind

EVERY_KIND = frozenset(OperationType)
LONGEST_ANSWER = 16 * 1024 * 1024
"""Characters of the texts in one answer: a text that is asked for often is held once, and written as often."""
_ENDED = (
    "Ask for less at once. What was committed stays done: repeat a mutation with its idempotencyKey to learn of it."
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """An operation that is valid and paid for."""

    context: Context
    document: DocumentNode
    operation: OperationDefinitionNode
    variables: dict[str, Any]
    suggestions: bool

    @property
    def name(self) -> str | None:
        """What it is called, if it is."""
        return self.operation.name.value if self.operation.name else None

    @property
    def streams(self) -> bool:
        """Whether it is a subscription."""
        return self.operation.operation is OperationType.SUBSCRIPTION


class NotCarried(Invalid):
    """An operation of a kind that can't be sent this way."""

    def __init__(self, kind: OperationType) -> None:
        hint = "Send a mutation by POST, follow a subscription live: Accept: text/event-stream, or a websocket."
        super().__init__(f"A {kind.value} can't be sent this way.", hint=hint)
        self.kind = kind


class Answer(NamedTuple):
    """A GraphQL response, and the cursor that its stream can go on after, where it has one."""

    body: dict[str, Any]
    cursor: str | None = None


class Refused(Exception):
    """An operation whose fields were not asked for their values: a whole response, and its HTTP status.

    `malformed` says that it was no GraphQL request at all; `retry_after` are the seconds after which it may be tried
    again, where that is known.
    """

    def __init__(self, body: dict[str, Any], status: int, *, malformed: bool, retry_after: float | None) -> None:
        super().__init__(status)
        self.body = body
        self.status = status
        self.malformed = malformed
        self.retry_after = retry_after


class Execution:
    """Runs the operations of admitted callers."""

    def __init__(self, schema: Schema, house: House) -> None:
        self._schema = schema
        self._graph = schema.graph
        self._house = house
        self._documents = Documents(self._graph)
        self._broadcasts = Broadcasts(schema, LONGEST_ANSWER)
        known = trusted.texts(trusted.trusted(self._documents, house.config.operations))
        self._persisted = PersistedOperations(known, only=house.config.documents == "trusted")

    def forget(self, scope: Scope) -> None:
        """Let go of the documents that a tenant sent: people write values into them, too."""
        self._documents.forget()
        self._broadcasts.forget()
        self._persisted.forget(scope)

    def opens(self, scope: Scope, operation: Operation) -> bool:
        """Whether an operation is known to be a subscription: one whose document was run before, and is remembered."""
        if operation.query is not None and operation.digest is not None:  # to be remembered of whoever may send it
            return False
        with suppress(NexusError):
            known = self._documents.known(self._persisted.text(scope, operation))
            return known is not None and meant(known.document, operation.name).operation is OperationType.SUBSCRIPTION
        return False

    async def prepare(self, context: Context, operation: Operation, carried: Collection[OperationType]) -> Prepared:
        """Take an operation, of a kind that the transport carries, as far as it costs nothing to give it up.

        Raises Refused.
        """
        try:
            await look(context, operation)
            suggestions = introspection.allowed(context)
            known = self._documents.read(self._persisted.text(context.scope, operation), suggestions=suggestions)
            node = meant(known.document, operation.name)
            _require_carried(node, carried)
            context.plan = known.plan
            context.observation.kind = node.operation.value
            context.observation.fields = root_fields(known.document, node.selection_set)
            price = self._price(known, node, operation)
            if price.introspections:
                introspection.require(context)
            if node.operation is OperationType.SUBSCRIPTION and context.opening is None:
                async with self._house.stores.pacing.turn(context.scope):
                    await pay(context, price, identity(operation))
            else:
                await pay(context, price, identity(operation))
        except (NexusError, Flawed) as error:
            raise await self.refuse(context, error) from error
        return Prepared(context, known.document, node, operation.variables or {}, suggestions)

    async def execute(self, prepared: Prepared) -> Answer:
        """Run a query or mutation. Raises Refused, also when it takes longer than an operation may."""
        context, seconds = prepared.context, self._house.config.operation_seconds
        try:
            async with asyncio.timeout(seconds):
                executor = self.executor(prepared, context)
                if isinstance(executor, list):
                    result = ExecutionResult(None, executor)
                else:
                    told = execute_root_selection_set(executor)
                    result = await told if inspect.isawaitable(told) else told
        except TimeoutError as error:
            late = TimedOut(f"The operation took longer than {seconds:g} seconds.", hint=_ENDED)
            raise await self.refuse(context, late) from error
        return await self._told(context, result, first=True)

    async def stream(self, prepared: Prepared, short_way: ShortWay | None = None) -> AsyncGenerator[Answer, None]:
        """Follow a subscription until it ends. Raises Refused, also in its midst: then it is over.

        What goes the short way, encoded for all who asked the same, is no answer here.
        """
        context = prepared.context
        try:
            if short_way and (broadcast := self._broadcasts.join(prepared, self.executor)) is not None:
                context.outlet = Outlet(broadcast, context, short_way)
            executor = self.executor(prepared, context)
            found = ExecutionResult(None, executor) if isinstance(executor, list) else await _source(executor)
            if isinstance(found, ExecutionResult):
                yield await self._told(context, found, first=True)
                return
            if context.outlet is not None:
                executor = None  # hardly anything goes another way than that
            async with aclosing(found) as frames:
                async for frame in frames:
                    executor = executor or self.executor(prepared, context)
                    result = execute_subscription_event(executor.build_per_event_executor(frame))
                    result = await result if inspect.isawaitable(result) else result
                    answer = await self._told(context, result, first=context.first)
                    context.first = False
                    yield answer
        except (Refused, asyncio.CancelledError, GeneratorExit):
            raise
        except Exception as error:  # what the source of the stream raises comes as it is
            raise await self.refuse(context, error) from error

    async def refuse(self, context: Context, error: Exception, *, malformed: bool = False) -> Refused:
        """Charge for what could not be run, journal it unless that is done, and make its response."""
        context.opened()
        trace_id = context.scope.trace_id
        causes = error.errors if isinstance(error, Flawed) else [_wrapped(error)]
        if not isinstance(error, Throttled):
            try:
                await pay_for_flaws(context)
            except Throttled as late:
                causes = [_wrapped(late)]
        errors = formatted(causes, trace_id)
        context.observation.answered(errors)
        if not context.told:
            await context.journal_refusal(RunKind.READ, "request", None, errors[0]["extensions"]["code"])
        cause = causes[0].original_error
        status = status_of(cause)
        retry_after = cause.retry_after if isinstance(cause, Throttled) else None
        body = {"errors": errors, "extensions": cost(context)}
        return Refused(body, status, malformed=malformed, retry_after=retry_after)

    def _price(self, known: Known, node: OperationDefinitionNode, operation: Operation) -> Price:
        """The price of an operation that is bounded, once worked out or known. Raises Invalid for one that is not."""
        plan, variables = known.plan, operation.variables
        key = None if plan is None else price_key(operation.name, variables)
        if plan is not None and (price := plan.price(key)) is not None:
            return price
        require_bounded_lists(self._graph, node, variables)
        self._schema.prices.require_bounded(known.document, node, variables)
        price = self._schema.prices.price(known.document, node, variables)
        if plan is not None:
            plan.keep(key, price)
        return price

    async def _told(self, context: Context, result: ExecutionResult, *, first: bool) -> Answer:
        context.opened()
        if not executed(result):
            raise await self.refuse(context, Flawed(result.errors or []))
        if characters(result.data, LONGEST_ANSWER) > LONGEST_ANSWER:
            much = Invalid(f"The answer has more than {LONGEST_ANSWER:,} characters.", hint=_ENDED)
            raise await self.refuse(context, much)
        body: dict[str, Any] = {"data": result.data}
        if result.errors:
            body["errors"] = formatted(result.errors, context.scope.trace_id)
            context.observation.answered(body["errors"])
        if first:
            body["extensions"] = cost(context)
        return Answer(body, context.cursor)

    def executor(self, prepared: Prepared, context: object) -> Any:
        """What executes an operation, whose resolvers are given a context; or what is wrong with its variables."""
        kind = (executor_class if prepared.context.plan is None else planned_executor)(self._schema)
        return kind.build(
            self._graph,
            prepared.document,
            context_value=context,
            raw_variable_values=prepared.variables,
            operation_name=prepared.name,
            is_awaitable=is_awaitable,
            hide_suggestions=not prepared.suggestions,
            max_coercion_errors=MOST_FLAWS,
        )


async def _source(executor: Any) -> Any:
    """The frames of a subscription, or the result that it comes to instead."""
    found = create_source_event_stream(executor)
    return await found if inspect.isawaitable(found) else found


def _wrapped(error: Exception) -> GraphQLError:
    return error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)


def _require_carried(operation: OperationDefinitionNode, carried: Collection[OperationType]) -> None:
    if operation.operation not in carried:
        raise NotCarried(operation.operation)
