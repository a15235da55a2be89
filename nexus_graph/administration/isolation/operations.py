"""Random operations over tenants, envs and roles, each compared with the model. The same seed asks the same.

Several operations of one principal go into one document under aliases, which is how a greedy client would send them and
the reason why a hundred thousand fit into minutes. What is expected to be refused goes alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from nexus_graph.administration.client import send
from nexus_graph.administration.isolation.asking import Ask, Turn
from nexus_graph.administration.isolation.callers import Answer, Caller
from nexus_graph.administration.isolation.model import MAY, READ, REFUSED, ROLES, WRITTEN, Place, Tally, World
from nexus_graph.administration.isolation.reads import READS
from nexus_graph.administration.isolation.writes import WRITES

MOST_FAULTS = 20
_BATCH = 20
_SHAPES = 20
_IDS = re.compile(r"\b(?:asset|atom|card|erasure|export|lock|run)_[0-9a-f]{32,64}\b")
_VARIABLE = re.compile(r"\$(\w+)")


async def run(world: World, seed: int, most: int, tally: Tally, go_on: Callable[[Tally], bool]) -> None:
    """Try up to `most` operations, while `go_on` says so. Ends early when twenty faults were found."""
    random = Random(seed)  # noqa: S311 - a repeatable walk, nothing secret
    known = len(tally.faults)
    while tally.operations < most and len(tally.faults) < known + MOST_FAULTS and go_on(tally):
        place = random.choice(world.places)
        turn = Turn(world, random, place, random.choice(ROLES))
        if place.uploads and random.random() < 0.5:
            await _upload(place)
        await _send(turn, place.people[turn.role], _asks(turn), tally)


def _asks(turn: Turn) -> Sequence[Ask]:
    """A document's worth: reads that are allowed together, or one write, or one refusal."""
    random, chance = turn.random, turn.random.random()
    if chance < 0.4:
        ask = random.choice(WRITES)(turn)
        return [ask if turn.role in MAY[ask.action] else replace(ask, code="FORBIDDEN")]
    if chance < 0.5:
        refused = [make for make in READS if turn.role not in MAY[make.__name__]]
        if refused:
            return [replace(random.choice(refused)(turn), code="FORBIDDEN")]
    makers = [make for make in READS if turn.role in MAY[make.__name__]]
    shape = Random(random.randrange(_SHAPES))  # noqa: S311 - so that the server has read most documents before
    return [make(turn) for make in shape.choices(makers, k=_BATCH)]


async def _upload(place: Place) -> None:
    upload = place.uploads.pop()
    if (await send(place.both.http, upload.told, upload.data)).status_code == 201:
        place.uploaded.append(upload.asset_id)


async def _send(turn: Turn, caller: Caller, asks: Sequence[Ask], tally: Tally) -> None:
    kind = "mutation" if asks[0].mutation else "query"
    fields: list[str] = []
    declared: list[str] = []
    values: dict[str, Any] = {}
    for number, ask in enumerate(asks):
        text = _VARIABLE.sub(rf"$\1_{number}", ask.selection)
        fields.append(f"a{number}: {text}")
        for name, (type_name, value) in ask.variables.items():
            declared.append(f"${name}_{number}: {type_name}")
            values[f"{name}_{number}"] = value
    head = f"{kind} Try({', '.join(declared)})" if declared else f"{kind} Try"
    answer = await caller.ask(f"{head} {{ {' '.join(fields)} }}", values)
    sent = frozenset(_IDS.findall(str(values)))
    where = f"{caller.name}, {', '.join(sorted({ask.action for ask in asks}))}"
    for stray in turn.world.strays(turn.place, answer.text, sent, _IDS.findall(answer.text)):
        tally.faults.append(f"{where}: {stray}")
    for number, ask in enumerate(asks):
        tally.tried[REFUSED if ask.code else WRITTEN if ask.mutation else READ] += 1
        if fault := _judge(ask, f"a{number}", answer):
            tally.faults.append(f"{caller.name}, {ask.action}: {fault}")


def _judge(ask: Ask, alias: str, answer: Answer) -> str | None:
    codes = answer.codes(alias)
    value = (answer.data or {}).get(alias)
    if ask.mutation and value:
        codes += [error["code"] for error in value["userErrors"]]
    if ask.code is not None:
        return None if ask.code in codes else f"expected {ask.code}, but it was answered with {codes or 'data'}"
    if codes or answer.data is None:
        return f"was refused: {codes or answer.status}"
    if fault := ask.check(value):
        return fault
    ask.learn(value)
    return None
