"""Names that hide: written as JSON writes them, or told to the journal when an erasure has already begun."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from engines import behind
from erasure_house import SUE, TOM, House, MakeScope, furnish, make

from nexus_graph.safeguards.erasure import ErasureState, Target, TargetKind, executing
from nexus_graph.safeguards.rates import refusals
from nexus_graph.safeguards.rates.refusals import THROTTLED, Refusals
from nexus_graph.stores.statement import Value
from nexus_graph.stores.work import Stores

WINDOWS = "CORP\\sue-canary"


@pytest.fixture
async def house(tmp_path: Path, stores: Stores, scope_of: MakeScope) -> House:
    """A furnished house."""
    made = await make(tmp_path, stores, scope_of)
    await furnish(made)
    return made


@pytest.mark.parametrize("subject", [SUE, WINDOWS, 'sue "the canary" jones', "süe|42", "100%_sue"])
def test_a_name_is_found_as_text_and_as_json(subject: str) -> None:
    """Also at the start of a line, which JSON writes as a letter; not as a part of a longer word."""
    name = Target.of(TargetKind.SUBJECT, subject, mentions=False).name
    for text in (subject, f"ask\n{subject}", f"it is\t{subject}.", f"\x01{subject}"):
        assert name.search(text)
        written = orjson.dumps([text]).decode()
        assert name.search(written)
        assert subject not in orjson.loads(name.sub("erased", written))[0]
    for text in (f"x{subject}", f"{subject}x"):
        assert not name.search(text)
        assert not name.search(orjson.dumps([text]).decode())


@pytest.mark.parametrize(("subject", "text"), [(WINDOWS, WINDOWS), (SUE, f"Ask\n{SUE}")])
async def test_a_name_that_json_writes_otherwise_goes_too(house: House, subject: str, text: str) -> None:
    """From columns that hold JSON, where a backslash is two, and a line begins with a letter."""
    async with behind(house.stores) as connection:
        own: dict[str, Value] = {"who": TOM, "answer": orjson.dumps([text]).decode()}
        await connection.rows(
            "insert into idempotency_keys (tenant_id, env, actor_id, key, request_digest, answer, at) "
            "values ('t_acme', 'dev', :who, 'some-key', 'x', :answer, 1)",
            own,
        )
    done = await house.erased(subject=subject)
    assert done.state is ErasureState.CERTIFIED
    assert house.left(subject, orjson.dumps(subject).decode()[1:-1]) == {}


async def test_what_was_gathered_of_the_subject_is_told_before_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refusals that the journal hears of a moment later are waited for, and erased like the others."""
    monkeypatch.setattr(refusals, "GATHER_SECONDS", 0.2)
    gathering = Refusals(house.stores)
    planned = await house.plan()
    patient = replace(house, eraser=replace(house.eraser, pause=0.4))
    for _ in range(3):
        await gathering.tell(house.sue)
    done = await patient.erased()
    assert planned.digest == done.digest
    await gathering.close()
    assert done.state is ErasureState.CERTIFIED
    assert house.left(SUE) == {}


async def test_who_still_does_something_is_erased_once_more(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was on its way when the door was shut and reached the journal after the names had gone is found."""
    erase, late = executing._Execution._erase_objects, [house.sue]

    async def slowly(self: Any) -> None:
        await erase(self)
        if late:
            await house.stores.record(late.pop(), THROTTLED.kind, THROTTLED.event(1))

    monkeypatch.setattr(executing._Execution, "_erase_objects", slowly)
    done = await house.erased()
    assert late == []
    assert done.state is ErasureState.CERTIFIED
    assert house.left(SUE) == {}
