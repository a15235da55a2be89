"""What is written at random: into one's own place, and at what is another's, which is as good as unknown."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from nexus_graph.administration.isolation.asking import Ask, Turn
from nexus_graph.administration.isolation.model import Upload
from nexus_graph.administration.isolation.reads import remembered
from nexus_graph.administration.isolation.steps import UPLOAD

_MOST_CARDS = 60
_MOST_RUNS = 40
_MOST_ASSETS = 60
_MOST_LOCKS = 40
_MOST_SESSIONS = 4
_MOST_EXPORTS = 2
_MOST_ERASURES = 3


def _ask(
    action: str,
    asked: str,
    given: dict[str, Any],
    check: Callable[[Any], str | None] = lambda _: None,
    learn: Callable[[Any], None] = lambda _: None,
    code: str | None = None,
) -> Ask:
    selection = f"{action}(input: $input) {{ {asked} userErrors {{ code }} }}"
    type_name = f"{action[0].upper()}{action[1:]}Input!"
    return Ask(action, selection, {"input": (type_name, given)}, check, learn, code, mutation=True)


def _made(turn: Turn, name: str, held: list[str], *more: list[str]) -> Callable[[Any], None]:
    def learn(payload: Any) -> None:
        node_id = payload[name]["id"]
        turn.world.made(turn.place, node_id)
        for each in (held, *more):
            each.append(node_id)

    return learn


def _same(name: str, wanted: str) -> Callable[[Any], str | None]:
    identity = "sessionId" if name == "session" else "id"
    return lambda payload: None if payload[name][identity] == wanted else f"answers with another {name}"


def publish(turn: Turn) -> Ask:
    """A card, new or revised."""
    place, random = turn.place, turn.random
    live = [card for card in place.cards if card not in place.retired]
    revised = random.choice(live) if live and (len(live) >= _MOST_CARDS or random.random() < 0.5) else None
    body = f"What {place.word} keeps, written for the {random.randrange(10**9)}th time.\n"
    card: dict[str, Any] = {"text": f"---\ncard_type: note\ntitle: A note of {place.word}\n---\n{body}"}
    card |= {"trainOk": bool(random.getrandbits(1))}
    if revised is not None:
        card |= {"cardId": revised, "expectedVersion": place.cards[revised]}

    def learn(payload: Any) -> None:
        made = payload["card"]
        place.cards[made["id"]] = made["version"]
        turn.world.made(place, made["id"])

    def check(payload: Any) -> str | None:
        return None if place.word in payload["card"]["text"] else "answers with another text"

    return _ask("publishCard", "card { id version text }", card, check, learn)


def retire(turn: Turn) -> Ask:
    """A card, when there are many."""
    place = turn.place
    live = [card for card in place.cards if card not in place.retired]
    if len(live) < _MOST_CARDS // 2:
        return publish(turn)
    chosen = turn.random.choice(live)
    given: dict[str, Any] = {"cardId": chosen, "expectedVersion": place.cards[chosen]}
    return _ask("retireCard", "card { id }", given, _same("card", chosen), lambda _: place.retired.add(chosen))


def open_run(turn: Turn) -> Ask:
    """A run of one's own, or the end of one when there are many."""
    place, role = turn.place, turn.role
    mine = [run for run, who in place.runs.items() if who == role and run not in place.closed]
    if len(mine) >= _MOST_RUNS // 4:
        chosen = turn.random.choice(mine)
        given = {"runId": chosen, "status": "SUCCEEDED"}
        return _ask("closeRun", "run { id }", given, _same("run", chosen), lambda _: place.closed.add(chosen))
    if len(place.runs) >= _MOST_RUNS:
        return remember(turn)

    def learn(payload: Any) -> None:
        place.runs[payload["run"]["id"]] = role
        turn.world.made(place, payload["run"]["id"])

    return _ask("openRun", "run { id }", {"title": f"A run of {place.word}"}, learn=learn)


def reserve(turn: Turn) -> Ask:
    """Room for a file; once its bytes are sent, its seal."""
    place, random = turn.place, turn.random
    if place.uploaded:
        chosen = place.uploaded[-1]
        return _ask(
            "sealAsset",
            "asset { id }",
            {"assetId": chosen},
            _same("asset", chosen),
            lambda _: place.uploaded.remove(chosen),
        )
    if len(place.assets) >= _MOST_ASSETS:
        return publish(turn)
    data = f"What {place.word} holds.\n\nFor the {random.randrange(10**9)}th time.\n".encode()
    digest = hashlib.sha256(data).hexdigest()
    given: dict[str, Any] = {"filename": f"{place.word}.txt", "contentType": "text/plain", "trainOk": False}
    given |= {"sizeBytes": len(data), "sha256": digest}

    def learn(payload: Any) -> None:
        _made(turn, "asset", place.assets)(payload)
        place.uploads.append(Upload(payload["asset"]["id"], payload["upload"], data))

    return _ask("reserveAsset", f"asset {{ id }} upload {{ {UPLOAD} }}", given, learn=learn)


def remember(turn: Turn) -> Ask:
    """A turn of a session of one's own, or the end of one when there are many."""
    random, own = turn.random, turn.place.sessions[turn.role]
    names = sorted(own)
    if len(names) >= _MOST_SESSIONS and random.random() < 0.3:
        chosen = random.choice(names)
        return _ask("eraseSession", "entries", {"sessionId": chosen}, learn=lambda _: own.discard(chosen))
    new = f"{turn.role}-{turn.place.env}-{random.randrange(10**6)}" if random.random() < 0.8 else "everybody"
    name = random.choice(names) if len(names) >= _MOST_SESSIONS else new
    entries = [{"content": remembered(turn), "trainOk": False}]
    given = {"sessionId": name, "entries": entries}
    return _ask(
        "appendSession", "session { sessionId entryCount }", given, _same("session", name), lambda _: own.add(name)
    )


def propose(turn: Turn) -> Ask:
    """A lock, or a word against one."""
    place = turn.place
    if len(place.drafts) > 5:
        chosen = place.drafts[0]
        given: dict[str, Any] = {"lockId": chosen, "revision": 1}
        return _ask("rejectLock", "lock { id }", given, _same("lock", chosen), lambda _: place.drafts.remove(chosen))
    if len(place.locks) >= _MOST_LOCKS:
        return remember(turn)
    given = {"change": {"reindex": True}, "reason": f"It is time, says {place.word}."}
    return _ask("proposeLock", "lock { id reason }", given, learn=_made(turn, "lock", place.locks, place.drafts))


def seldom(turn: Turn) -> Ask:
    """What is dear: an export or a plan of an erasure, a few of each."""
    place = turn.place
    if len(place.exports) < _MOST_EXPORTS:
        return _ask("startExport", "export { id }", {"kinds": ["CARD"]}, learn=_made(turn, "export", place.exports))
    if len(place.erasures) < _MOST_ERASURES:
        given = {"kind": "SUBJECT", "subject": f"member@{place.tenant}"}
        return _ask("planErasure", "erasure { id }", given, learn=_made(turn, "erasure", place.erasures))
    return remember(turn)


def meddle(turn: Turn) -> Ask:
    """A write at something that is not of this place, or at somebody else's session."""
    random = turn.random
    card = f"---\ncard_type: note\n---\nWhat {turn.place.word} would write there.\n"
    others = sorted(
        name
        for place in turn.world.places
        for names in place.sessions.values()
        for name in names
        if name not in turn.place.sessions[turn.role]
    )
    tries: list[tuple[str, dict[str, Any]]] = [
        ("closeRun", {"runId": turn.strange_id("run"), "status": "FAILED"}),
        ("publishCard", {"text": card, "trainOk": False, "cardId": turn.strange_id("card"), "expectedVersion": 1}),
        ("rejectLock", {"lockId": turn.strange_id("lock"), "revision": 1}),
        ("retireCard", {"cardId": turn.strange_id("card"), "expectedVersion": 1}),
        ("sealAsset", {"assetId": turn.strange_id("asset")}),
        ("eraseSession", {"sessionId": random.choice(others or ["nothing"])}),
    ]
    action, given = random.choice(tries)
    return _ask(action, "__typename", given, code="NOT_FOUND")


WRITES: tuple[Callable[[Turn], Ask], ...] = (
    *(publish, publish, retire, open_run, reserve, reserve),
    *(remember, remember, propose, seldom, meddle, meddle),
)
