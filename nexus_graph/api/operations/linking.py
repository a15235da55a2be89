"""Parts of an answer that lead on to other nodes, told in rounds: what many links lead to is found in one step.

A part is made of its value at once, with a gap for each link in it. Then what the gaps of one field lead to is loaded
and let through together (`api.fields.follow`), and told, with gaps of its own. Whatever is not expected - a refusal, a
null that may not be - is left to the ordinary executor, which starts from the same value and tells what is wrong: what
loaders have found they find again, so that nothing is read or journalled twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from nexus_graph.api.context import Context
from nexus_graph.api.fields import Link, follow, items

Telling = Callable[[Any, "list[Gap]"], Any]
"""From a value to its piece of the answer, and the gaps in it. Raises whatever for what it does not expect."""


class Lead(NamedTuple):
    """A link at one place of a document, and how what it leads to is told there."""

    link: Link
    tell: Telling


class Gap(NamedTuple):
    """Where something is still to be told: what `lead` shows of `source`, as `name` of a piece."""

    lead: Lead
    source: Any
    piece: dict[str, Any]
    name: str


async def told(tell: Telling, value: Any, context: Context) -> Any:
    """The piece of the answer that a value becomes, without gaps. Raises what was not expected, and counts nothing."""
    gaps: list[Gap] = []
    piece, taken = tell(value, gaps), 0
    try:
        while gaps:
            rounds: dict[int, list[Gap]] = {}
            for gap in gaps:
                rounds.setdefault(id(gap.lead), []).append(gap)
            gaps, groups = [], [*rounds.values()]
            shown = await asyncio.gather(
                *(follow(context, group[0].lead.link, [gap.source for gap in group]) for group in groups)
            )
            asked = sum(len(group) + sum(map(items, values)) for group, values in zip(groups, shown, strict=True))
            taken += asked
            context.take(asked)
            for group, values in zip(groups, shown, strict=True):
                for gap, found in zip(group, values, strict=True):
                    gap.piece[gap.name] = gap.lead.tell(found, gaps)
    except Exception:
        context.take(-taken)
        raise
    return piece
