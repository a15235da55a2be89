"""What is read at random: by id, by list, by meaning; each answer holds what the model says and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nexus_graph.administration.isolation.asking import Ask, Turn
from nexus_graph.administration.isolation.model import AGENT

_BY_ID = {
    "asset": "asset(id: $id) { id filename atoms(first: 2) { edges { node { id text } } } }",
    "atom": "atom(id: $id) { id text }",
    "card": "card(id: $id) { id text }",
    "erasure": "erasure(id: $id) { id kind }",
    "export": "export(id: $id) { id state requestedBy }",
    "lock": "lock(id: $id) { id reason change }",
    "run": "run(id: $id) { id title }",
}
_LISTS = {
    "asset": "assets(first: 5) { edges { node { id filename } } }",
    "card": "cards(first: 5) { edges { node { id text } } }",
    "erasure": "erasures(first: 5) { edges { node { id kind } } }",
    "export": "exports(first: 5) { edges { node { id state } } }",
    "lock": "locks(first: 5) { edges { node { id reason } } }",
}
_PACK = '{ text: "What is kept here?", k: 5 }'


def by_id(kind: str, action: str, selection: str) -> Callable[[Turn], Ask]:
    """Something of a kind: of this place, of another, or unknown to everybody."""

    def make(turn: Turn) -> Ask:
        held, random = turn.place.held(kind), turn.random
        own = bool(held) and random.random() < 0.5
        wanted = random.choice(held) if own else turn.strange_id(kind)
        hidden = own and kind == "run" and turn.role == AGENT  # an agent sees its own runs only

        def check(value: Any) -> str | None:
            if hidden:
                return None
            if own:
                return None if value and value["id"] == wanted else f"{wanted} is its own and was not found"
            return None if value is None else f"{wanted} is not its own and was found"

        def learn(value: Any) -> None:
            for edge in (value or {}).get("atoms", {}).get("edges", ()):
                if edge["node"]["id"] not in turn.place.atoms:
                    turn.place.atoms.append(edge["node"]["id"])
                    turn.world.made(turn.place, edge["node"]["id"])

        return Ask(action, selection, {"id": ("ID!", wanted)}, check, learn)

    make.__name__ = action
    return make


def listed(kind: str) -> Callable[[Turn], Ask]:
    """A list: nothing in it that the place does not have."""

    def make(turn: Turn) -> Ask:
        def check(value: Any) -> str | None:
            held = turn.place.held(kind)
            strange = [edge["node"]["id"] for edge in value["edges"] if edge["node"]["id"] not in held]
            return f"lists {strange}, which it does not have" if strange else None

        return Ask(f"{kind}s", _LISTS[kind], {}, check)

    make.__name__ = f"{kind}s"
    return make


def search(turn: Turn) -> Ask:
    """By meaning, for the word of any place."""
    other = turn.random.choice(turn.world.places)
    wanted = {"text": ("String!", f"Where is {other.word} kept?")}

    def check(value: Any) -> str | None:
        strange = [hit["version"]["id"] for hit in value["hits"] if hit["version"]["id"][:37] not in turn.place.cards]
        return f"finds {strange}, which it does not have" if strange else None

    return Ask("search", "search(text: $text, k: 5) { hits { version { id text } } }", wanted, check)


def influence_pack(turn: Turn) -> Ask:
    """A pack."""

    def check(value: Any) -> str | None:
        strange = [ref["cardId"] for ref in value["refs"] if ref["cardId"] not in turn.place.cards]
        return f"cites {strange}, which it does not have" if strange else None

    return Ask("influencePack", f"influencePack(ask: {_PACK}) {{ refs {{ cardId excerpt {{ text }} }} }}", {}, check)


def session(turn: Turn) -> Ask:
    """A session of one's own or of somebody else in this place or another: nobody reads another's."""
    random, own = turn.random, turn.place.sessions[turn.role]
    somewhere = random.choice(turn.world.places).sessions
    wanted = random.choice([*own, *(name for names in somewhere.values() for name in sorted(names)), "nothing"])
    asked = "session(id: $id) { sessionId entries(first: 3) { edges { node { content } } } }"

    def check(value: Any) -> str | None:
        if wanted not in own:
            return None if value is None else f"the session {wanted} is not its own and was found"
        if value is None:
            return f"the session {wanted} is its own and was not found"
        return _others(turn, value)

    return Ask("session", asked, {"id": ("String!", wanted)}, check)


def sessions(turn: Turn) -> Ask:
    """All of one's own sessions."""

    def check(value: Any) -> str | None:
        strange = [edge["node"]["sessionId"] for edge in value["edges"]]
        strange = [name for name in strange if name not in turn.place.sessions[turn.role]]
        told = [_others(turn, edge["node"]) for edge in value["edges"]]
        return f"lists the sessions {strange} of others" if strange else next(filter(None, told), None)

    asked = "sessions(first: 3) { edges { node { sessionId entries(first: 3) { edges { node { content } } } } } }"
    return Ask("sessions", asked, {}, check)


def remembered(turn: Turn) -> str:
    """What somebody's sessions remember: whose it is can be read in it."""
    return f"{turn.place.word} of the {turn.role}"


def _others(turn: Turn, value: Mapping[str, Any]) -> str | None:
    contents = [edge["node"]["content"] for edge in value["entries"]["edges"]]
    strange = [content for content in contents if content != remembered(turn)]
    return f"the session {value['sessionId']} remembers what somebody else said: {strange}" if strange else None


def keys(turn: Turn) -> Ask:
    """The API keys."""

    def check(value: Any) -> str | None:
        strange = [edge["node"]["keyId"] for edge in value["edges"] if edge["node"]["keyId"] not in turn.place.key_ids]
        return f"lists the keys {strange}, which it does not have" if strange else None

    return Ask("keys", "keys(first: 10) { edges { node { keyId name } } }", {}, check)


def _plain(action: str, selection: str) -> Callable[[Turn], Ask]:
    """Whatever it says, no other place's word or id may be in it."""

    def make(turn: Turn) -> Ask:
        return Ask(action, selection)

    make.__name__ = action
    return make


influence_pack.__name__ = "influencePack"
READS: tuple[Callable[[Turn], Ask], ...] = (
    *(by_id(kind, kind, selection) for kind, selection in _BY_ID.items()),
    *(by_id(kind, kind, _BY_ID[kind]) for kind in ("asset", "card", "card")),
    *(by_id(kind, "node", "node(id: $id) { id }") for kind in ("asset", "atom", "card", "run")),
    *map(listed, _LISTS),
    *(search, influence_pack, session, sessions, keys),
    _plain(
        "audit", "audit(first: 5) { edges { node { id type actor { actorId } subject { kind subjectId } payload } } }"
    ),
    _plain("budget", "budget { actor { left } }"),
    _plain("consent", "consent { own tenant effective }"),
    _plain("killSwitches", "killSwitches(first: 5, engagedOnly: false) { edges { node { id reason engagedBy } } }"),
    _plain("members", "members(first: 10) { edges { node { subject role } } }"),
    _plain("quotas", "quotas { resource used }"),
    _plain("runs", "runs(first: 5) { edges { node { id title } } }"),
    _plain("settings", 'settings(surface: "overview") { apps { id text } connectors { id text } }'),
)
