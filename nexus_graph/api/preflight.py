"""Preflight: what a screen is told before a button is pressed, by the very gates that enforce it afterwards.

Gates are asked, states are not: closing a run that has ended is allowed, and answers that it has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nexus_graph import safeguards
from nexus_graph.api.deeds import Question, deed_of
from nexus_graph.safeguards import Decision
from nexus_graph.scope.errors import Invalid, NexusError, NotFound
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.remembering import Remembering

if TYPE_CHECKING:
    from nexus_graph.api.house import House


async def decisions(house: House, scope: Scope, questions: Sequence[Question]) -> dict[Question, Decision | NexusError]:
    """The decision on each question, all in one state of the scope; no gate asks for the same thing twice.

    NotFound for a target that is not here, Invalid for a target where the action has none.
    """
    answers: dict[Question, Decision | NexusError] = {}
    async with house.stores.read(scope) as read:
        remembering = Remembering(read)
        for question in questions:
            try:
                deed = await deed_of(house, remembering, question)
                answers[question] = await safeguards.decide(remembering, deed)
            except (NotFound, Invalid) as error:
                answers[question] = error
    return answers
