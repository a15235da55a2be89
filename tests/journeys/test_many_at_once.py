"""Many do the same thing at the same moment, to one server or to several processes: one wins, the others are told.

Nothing comes out that two could not have done one after the other, and nobody is told of a defect.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from typing import Any

import pytest
from journey_house import Caller, MakeWorld, World
from journey_steps import PUBLISH, RESERVE, RETIRE, card, published, with_lock

MANY = 16
ENGAGE = "mutation E($input: EngageKillSwitchInput!) { engageKillSwitch(input: $input) { userErrors { code } } }"
RELEASE = "mutation R($input: ReleaseKillSwitchInput!) { releaseKillSwitch(input: $input) { userErrors { code } } }"
SWITCHES = "{ killSwitches(first: 50) { edges { node { id target name releasedAt } } } }"
MEMBER = "mutation S($input: SetMemberInput!) { setMember(input: $input) { userErrors { code } } }"
REVOKE = "mutation R($input: RevokeMemberInput!) { revokeMember(input: $input) { userErrors { code } } }"
MEMBERS = "{ members(first: 50) { edges { node { subject role status } } } }"
APPEND = "mutation A($input: AppendSessionInput!) { appendSession(input: $input) { userErrors { code } } }"
FORGET = "mutation F($input: EraseSessionInput!) { eraseSession(input: $input) { userErrors { code } } }"
SESSION = "query S($id: String!) { session(id: $id) { entryCount entries(first: 50) { edges { node { ordinal } } } } }"
OPEN = "mutation O($input: OpenRunInput!) { openRun(input: $input) { run { id } userErrors { code } } }"
LOG = "mutation L($input: AppendRunLogInput!) { appendRunLog(input: $input) { userErrors { code } } }"
CLOSE = "mutation C($input: CloseRunInput!) { closeRun(input: $input) { userErrors { code } } }"
RUN = "query R($id: ID!) { run(id: $id) { status entries } }"
CARD = "query C($id: ID!) { card(id: $id) { version retiredAt } }"


@pytest.fixture(scope="module")
def racing(world: World) -> World:
    """Where they race."""
    return world


def at_once(deeds: Iterable[Callable[[], Any]]) -> list[Any]:
    """What each comes to, all begun at the same moment."""
    waiting = [*deeds]
    with ThreadPoolExecutor(len(waiting)) as threads:
        return [future.result() for future in [threads.submit(deed) for deed in waiting]]


def told(caller: Caller, document: str, **given: Any) -> str:
    """OK, or the code of the one error that a mutation answers."""
    answer = caller.answer(document, {"input": given}).json()
    errors = answer.get("errors") or next(iter(answer["data"].values()))["userErrors"]
    return "OK" if not errors else str(errors[0].get("code") or errors[0]["extensions"]["code"])


def raced(caller: Caller, document: str, *givens: dict[str, Any]) -> Counter[str]:
    """How often each outcome came, of one request for each set of arguments."""
    return Counter(at_once([partial(told, caller, document, **given) for given in givens]))


def test_one_version_is_won_once(racing: World) -> None:
    """Of many who publish the next version, and of many who retire it, one does; the others are in conflict."""
    owner = racing.caller("t_acme", "owner")
    card_id = published(owner, card("race/plan"))["id"]
    texts = [
        {"text": card("race/plan", f"By {place}.\n"), "trainOk": True, "expectedVersion": 1} for place in range(MANY)
    ]
    assert raced(owner, PUBLISH, *texts) == {"OK": 1, "CONFLICT": MANY - 1}
    assert owner.ask(CARD, {"id": card_id})["card"]["version"] == 2
    retired = raced(owner, RETIRE, *[{"cardId": card_id, "expectedVersion": 2}] * MANY)
    assert retired["OK"] >= 1
    assert set(retired) <= {"OK", "CONFLICT"}
    assert owner.ask(CARD, {"id": card_id})["card"]["retiredAt"]


def test_a_new_card_is_made_once(racing: World) -> None:
    """Many keys at once are many cards; one key at once is one card."""
    owner = racing.caller("t_acme", "owner")
    given = {"text": card("race/new"), "trainOk": True, "expectedVersion": 0}
    assert raced(owner, PUBLISH, *[given] * MANY)["INTERNAL"] == 0
    each = [{"text": card(f"race/new-{place}"), "trainOk": True, "expectedVersion": 0} for place in range(MANY)]
    assert raced(owner, PUBLISH, *each) == {"OK": MANY}


def test_an_idempotency_key_is_one_deed(racing: World) -> None:
    """The same request under the same key: all have the one answer. Another request under it: a conflict."""
    owner = racing.caller("t_acme", "owner")

    def run(title: str) -> Any:
        return owner.ask(OPEN, {"input": {"title": title, "idempotencyKey": "race-one"}})["openRun"]

    answers = at_once([lambda: run("one")] * MANY)
    assert [answer["userErrors"] for answer in answers] == [[]] * MANY
    assert len({answer["run"]["id"] for answer in answers}) == 1
    others = [{"title": f"{place}", "idempotencyKey": "race-two"} for place in range(MANY)]
    mixed = raced(owner, OPEN, *others)
    assert mixed == {"OK": 1, "CONFLICT": MANY - 1}


def test_a_file_is_sealed_once(racing: World) -> None:
    """Many reserve the same bytes at once: each has its reservation, and none a defect."""
    owner = racing.caller("t_acme", "owner")
    data = b"raced for"
    declared = {
        "filename": "race.txt",
        "contentType": "text/plain",
        "sizeBytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "trainOk": True,
    }
    assert raced(owner, RESERVE, *[declared] * MANY) == {"OK": MANY}


def test_a_switch_is_engaged_once_and_released_once(racing: World) -> None:
    """However many pull it."""
    owner = racing.caller("t_globex", "owner")
    given = {"target": "ACTION", "name": "reindex", "reason": "It burns."}
    engaged = raced(owner, ENGAGE, *[given] * MANY)
    assert set(engaged) <= {"OK", "CONFLICT"}
    assert engaged["OK"] >= 1

    def live() -> list[str]:
        nodes = [edge["node"] for edge in owner.ask(SWITCHES)["killSwitches"]["edges"]]
        return [node["id"] for node in nodes if node["name"] == "reindex" and node["releasedAt"] is None]

    [switch_id] = live()
    with_lock(owner, racing.caller("t_globex", "admin"), {"releaseKillSwitch": {"switchId": switch_id}})
    released = raced(owner, RELEASE, *[{"switchId": switch_id}] * MANY)
    assert released["OK"] >= 1
    assert set(released) <= {"OK", "CONFLICT", "LOCK_REQUIRED"}
    assert live() == []


def test_turns_of_a_session_and_of_a_run_are_numbered_without_gaps(racing: World) -> None:
    """All are kept, each under a number of its own; of many who close a run one does."""
    member = racing.caller("t_acme", "member")
    said = [{"sessionId": "race", "entries": [{"content": f"{place}", "trainOk": True}]} for place in range(MANY)]
    assert raced(member, APPEND, *said) == {"OK": MANY}
    session = member.ask(SESSION, {"id": "race"})["session"]
    assert session["entryCount"] == MANY
    assert sorted(edge["node"]["ordinal"] for edge in session["entries"]["edges"]) == [*range(1, MANY + 1)]
    assert told(member, FORGET, sessionId="race") == "OK"  # other stories of this world look at all that is remembered
    run_id = member.ask(OPEN, {"input": {"title": "race"}})["openRun"]["run"]["id"]
    assert raced(member, LOG, *[{"runId": run_id, "text": f"{place}"} for place in range(MANY)]) == {"OK": MANY}
    assert member.ask(RUN, {"id": run_id})["run"] == {"status": "RUNNING", "entries": MANY + 1}
    assert raced(member, CLOSE, *[{"runId": run_id}] * MANY) == {"OK": 1, "CONFLICT": MANY - 1}


def test_one_owner_remains_whoever_revokes_whom(own_world: MakeWorld) -> None:
    """All owners are revoked at the same moment: somebody stays who can give the others back.

    One alone, unless the owner who asks was revoked before the others: then nothing more is allowed.
    """
    world = own_world()
    subjects = ["owner@t_acme", "second", "third", "fourth"]
    for subject in subjects[1:]:
        world.server.installation.run("member", "set", subject, "--tenant", "t_acme", "--env", "dev", "--role", "owner")
    owner, admin = world.caller("t_acme", "owner"), world.caller("t_acme", "admin")
    for subject in subjects:
        with_lock(owner, admin, {"revokeMember": {"subject": subject}})
    outcomes = Counter(at_once([partial(told, owner, REVOKE, subject=subject) for subject in subjects * 2]))
    assert set(outcomes) <= {"OK", "CONFLICT", "FORBIDDEN", "LOCK_REQUIRED", "UNAUTHENTICATED"}, outcomes
    [(left,)] = world.server.installation.query(
        "select count(*) from members where tenant_id = 't_acme' and role = 'owner' and status = 'ACTIVE'"
    )
    refused = {"FORBIDDEN", "UNAUTHENTICATED"} & set(outcomes)
    assert left >= 1
    assert left == 1 or refused
    assert "CONFLICT" in outcomes or refused


def test_a_lock_is_used_as_often_as_it_says(own_world: MakeWorld) -> None:
    """Three uses: of many who come at once three do, and the others need another lock."""
    world = own_world()  # where no other story has a band yet
    owner, admin = world.caller("t_globex", "owner"), world.caller("t_globex", "admin")
    change = {"anyOf": {"actions": ["PUBLISH_CARD"], "cardTypes": ["kpi_corridor"], "uses": 3}}
    with_lock(owner, admin, change)
    bands = [*product(("mer", "growth", "aoa"), ("MTD", "WTD", "YTD", "FYTD", "Rolling 7D", "Rolling 30D"))][:MANY]
    texts = [
        card(f"race/{place}", "A band.\n", "kpi_corridor", title=kpi, kpi=kpi, window=window, upper=1)
        for place, (kpi, window) in enumerate(bands)
    ]
    outcomes = raced(owner, PUBLISH, *[{"text": text, "trainOk": True} for text in texts])
    assert outcomes == {"OK": 3, "LOCK_REQUIRED": MANY - 3}


def test_a_quota_is_exact(own_world: MakeWorld) -> None:
    """Room for five: of many who come at once, five get in."""
    world = own_world(quota_cards="5")
    owner = world.caller("t_acme", "owner")
    each = [{"text": card(f"race/{place}"), "trainOk": True} for place in range(MANY)]
    assert raced(owner, PUBLISH, *each) == {"OK": 5, "QUOTA_EXCEEDED": MANY - 5}
