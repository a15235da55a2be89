"""Keyset paging against a plain Python list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from itertools import product
from typing import Any

import pytest

from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.paging import Key, Page, Window, page
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Read, Stores

ScopeOf = Callable[..., Scope]
SELECT = "select changed_at, subject from members where tenant_id = :tenant_id and cast(:env as text) is not null"
ADD = Statement(
    "insert into members (tenant_id, subject, role, status, changed_at) "
    "values (:tenant_id, :subject, 'member', 'ACTIVE', :at)",
    tenant_wide=True,
)
KEYS = [(1, "a"), (1, "b"), (2, "a2"), (2, "b2"), (2, "c2"), (3, "z")]  # with ties in the first column


@pytest.fixture
async def read(stores: Stores, scope_of: ScopeOf) -> AsyncIterator[Read]:
    """Six members, written out of order, and as many of another tenant."""
    for tenant in ("t_acme", "t_globex"):
        async with stores.work(scope_of(tenant), RunKind.ADMIN) as work:
            await work.write_many(ADD, [{"subject": subject, "at": at} for at, subject in KEYS[::-1]])
            work.record(Event("member.changed", "member", "m", redact({}), Handling((), train_ok=False)))
    async with stores.read(scope_of()) as read:
        yield read


def build(row: Row) -> tuple[Any, ...]:
    """The item is its key."""
    return (row["changed_at"], row["subject"])


def expected(window: Window, *, descending: bool) -> Page[tuple[Any, ...]]:
    """What a window of the list means."""
    items = sorted(KEYS, reverse=descending)
    if window.after is not None:
        items = [item for item in items if (item < window.after if descending else item > window.after)]
    if window.before is not None:
        items = [item for item in items if (item > window.before if descending else item < window.before)]
    cut = items[: window.size] if window.forward else items[len(items) - min(window.size, len(items)) :]
    more = len(items) > len(cut)
    return Page(
        items=tuple(cut),
        keys=tuple(cut),
        has_next=more if window.forward else window.before is not None,
        has_previous=window.after is not None if window.forward else more,
    )


async def test_every_window_equals_the_model(read: Read) -> None:
    """All sizes, both directions, both orders, every pair of bounds, also between and outside the keys."""
    bounds: list[Key | None] = [None, *KEYS, (0, ""), (2, "b"), (9, "")]
    for size, forward, after, before, descending in product(range(1, 8), (True, False), bounds, bounds, (True, False)):
        window = Window(size, forward, after, before)
        found = await page(read, SELECT, ("changed_at", "subject"), window, build, descending=descending)
        assert found == expected(window, descending=descending), (window, descending)


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3, 6, 7])
async def test_walking_page_by_page_visits_each_item_once(
    read: Read, size: int, descending: bool, forward: bool
) -> None:
    """From either end, until there is no more."""
    seen: list[tuple[Any, ...]] = []
    window, more = Window(size, forward), True
    while more:
        found = await page(read, SELECT, ("changed_at", "subject"), window, build, descending=descending)
        seen = [*seen, *found.items] if forward else [*found.items, *seen]
        more = found.has_next if forward else found.has_previous
        if more and forward:
            window = Window(size, after=found.keys[-1])
        elif more:
            window = Window(size, forward=False, before=found.keys[0])
    assert seen == sorted(KEYS, reverse=descending)


async def test_bounds_of_the_caller_and_of_the_window_do_not_mix(read: Read) -> None:
    """A filter of the caller's narrows what is paged."""
    window = Window(2, after=(1, "b"))
    select = f"{SELECT} and changed_at < :below"
    found = await page(read, select, ("changed_at", "subject"), window, build, descending=False, below=3)
    assert (found.items, found.has_next) == (((2, "a2"), (2, "b2")), True)
