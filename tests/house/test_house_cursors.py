"""Cursors: what the door hands out it takes back, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nexus_graph.api.paging import CursorList, Cursors
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.scope import Env, Scope

ScopeOf = Callable[..., Scope]
SECRET = "a signing secret for tests only, 32+"
KEY = (1_793_523_600_000_000, "card_0a", None, 0.5)


def refused(cursors: CursorList, cursor: str) -> str:
    """The words with which a cursor is refused."""
    with pytest.raises(Invalid) as caught:
        cursors.read(cursor, "after")
    assert caught.value.path == ("after",)
    return str(caught.value)


def test_a_cursor_is_good_for_its_own_list_alone(scope_of: ScopeOf) -> None:
    """Another list, filter, tenant, env or installation refuses it, all in the same words."""
    conditions: Json = {"types": ["note"]}
    mine = Cursors(SECRET).list_of(scope_of(), "cards", conditions)
    cursor = mine.write(KEY)
    assert mine.read(cursor, "after") == KEY
    assert Cursors(SECRET).list_of(scope_of(), "cards", conditions).read(cursor, "after") == KEY
    others = [
        Cursors(SECRET).list_of(scope_of(), "assets", conditions),
        Cursors(SECRET).list_of(scope_of(), "cards", {"types": ["persona"]}),
        Cursors(SECRET).list_of(scope_of(), "cards"),
        Cursors(SECRET).list_of(scope_of("t_globex"), "cards", conditions),
        Cursors(SECRET).list_of(scope_of(env=Env.PROD), "cards", conditions),
        Cursors(SECRET + "!").list_of(scope_of(), "cards", conditions),
    ]
    assert {refused(other, cursor) for other in others} == {"`after` is no cursor of this list."}


def test_a_damaged_cursor_is_refused(scope_of: ScopeOf) -> None:
    """Every single character counts, and no text whatever gets further than the check."""
    mine = Cursors(SECRET).list_of(scope_of(), "cards")
    cursor = mine.write(KEY)
    damaged = [cursor[:at] + ("B" if cursor[at] == "A" else "A") + cursor[at + 1 :] for at in range(len(cursor) - 1)]
    odd = ["", "=", "A", "%%%", "\N{SNOWMAN}", cursor[:-4], cursor + "AAAA", cursor * 50, "A" * 1_000_000, "\x00"]
    assert len({refused(mine, one) for one in [*damaged, *odd]}) == 1


@pytest.mark.parametrize(
    ("first", "last", "path"),
    [
        (None, None, ("first",)),
        (1, 1, ("first",)),
        (0, None, ("first",)),
        (101, None, ("first",)),
        (None, -1, ("last",)),
    ],
)
def test_a_page_has_one_size(scope_of: ScopeOf, first: int | None, last: int | None, path: tuple[str]) -> None:
    """Exactly one of first and last, from 1 to 100."""
    cursors = Cursors(SECRET).list_of(scope_of(), "cards")
    with pytest.raises(Invalid) as caught:
        cursors.window(first, None, last, None)
    assert caught.value.path == path
    assert cursors.window(100, None, None, None).size == cursors.window(None, None, 100, None).size == 100
