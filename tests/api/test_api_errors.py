"""An answer lists so many errors, and says how many it leaves out."""

from __future__ import annotations

import pytest
from graphql import GraphQLError

from nexus_graph.api.errors import MOST_ERRORS, MOST_FLAWS, formatted
from nexus_graph.scope.errors import NotFound, Throttled


@pytest.mark.parametrize(("path", "most"), [(["cards", 0], MOST_ERRORS), (None, MOST_FLAWS)])
def test_errors_are_cut_at_a_number(path: list[str | int] | None, most: int) -> None:
    """Of fields and of flawed documents: the most is listed in full, one more is counted in a last error."""
    errors = [GraphQLError("No.", path=path, original_error=NotFound("card"))] * (most + 7)
    whole, cut = formatted(errors[:most], "trace"), formatted(errors, "trace")
    assert len(whole) == most
    assert cut[:most] == whole
    assert len(cut) == most + 1
    assert cut[-1]["message"] == "7 more errors are not listed."
    assert set(cut[-1]["extensions"]) == {"code", "hint", "traceId"}


def test_being_too_fast_tells_when_to_come_back() -> None:
    """In seconds."""
    wait = Throttled("Too fast.", retry_after=1.5)
    assert formatted([GraphQLError("Wait.", original_error=wait)], "trace")[0]["extensions"]["retryAfter"] == 1.5
