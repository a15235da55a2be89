"""Every mutation of the graph by example: what must be there before it, and an input that an owner may send.

`EXAMPLES` is complete: a test that walks the schema fails for a mutation without one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
)

Input = dict[str, Any]

SERVED = {"downloadAddress"}
"""What is read from the house when it is asked for, and journalled as read: not what a mutation tells by itself."""

REFUSALS = """userErrors { __typename code message hint path
  ... on BlockedError { changeDigest blockers { gate code message unblock } } }"""


class Hands(Protocol):
    """Somebody who calls the door, and uploads."""

    def ask(self, document: str, variables: dict[str, Any] | None = None, /) -> Any:
        """The data; fails on any error."""

    def upload(self, address: Any, data: bytes, /) -> int:
        """Send bytes to a presigned upload; the status of the answer."""


@dataclass(frozen=True)
class Cast:
    """An owner, who does what an example shows, and an admin, who approves what the owner proposes."""

    owner: Hands
    admin: Hands


@dataclass(frozen=True)
class Example:
    """How to make an input, and what `viewer.can` is asked about it: a member of the input, if it names something."""

    make: Callable[[Cast], Input]
    target: str | None = None


def document(schema: GraphQLSchema, mutation: str) -> str:
    """The document that sends a mutation and asks for all that its payload tells by itself."""
    assert schema.mutation_type is not None
    field = schema.mutation_type.fields[mutation]
    payload = get_named_type(field.type)
    assert isinstance(payload, GraphQLObjectType)
    parts = [_part(name, each) for name, each in payload.fields.items() if name != "userErrors"]
    taken = get_named_type(field.args["input"].type)
    assert isinstance(taken, GraphQLInputObjectType)
    selection = " ".join([*filter(None, parts), REFUSALS])
    return f"mutation Deed($input: {taken.name}!) {{ {mutation}(input: $input) {{ {selection} }} }}"


def _part(name: str, field: GraphQLField) -> str:
    named = get_named_type(field.type)
    if is_leaf_type(named):
        return name
    if not isinstance(named, GraphQLObjectType):
        return f"{name} {{ __typename }}"
    told = {inner: each for inner, each in named.fields.items() if inner not in SERVED and not each.args}
    leaves = [inner for inner, each in told.items() if is_leaf_type(get_named_type(each.type))]
    return f"{name} {{ {' '.join(leaves) or '__typename'} }}"


def done(hands: Hands, mutation: str, selection: str, given: Input) -> Any:
    """The payload of a mutation that is needed before an example; fails when it was refused."""
    kind = mutation[0].upper() + mutation[1:]
    text = f"mutation Before($input: {kind}Input!) {{ {mutation}(input: $input) {{ {selection} {REFUSALS} }} }}"
    payload = hands.ask(text, {"input": given})[mutation]
    assert payload["userErrors"] == [], payload
    return payload


def note() -> str:
    """The text of a fresh card that is not strategic."""
    return f"---\nkey: examples/{uuid4().hex}\ncard_type: note\n---\nAn example.\n"


def screen() -> str:
    """The text of a fresh card that is strategic: the settings of a surface."""
    surface = f"s{uuid4().hex}"
    header = {"key": f"examples/{surface}", "card_type": "surface_settings", "title": surface, "surface": surface}
    more = {"sections": [{"section": "top", "title": "Top"}]}
    lines = "".join(f"{name}: {json.dumps(value)}\n" for name, value in {**header, **more}.items())
    return f"---\n{lines}---\nAn example.\n"


def approved(cast: Cast, change: Input) -> None:
    """Have a change proposed by the owner and approved by the admin."""
    proposed = done(cast.owner, "proposeLock", _LOCK, {"change": change, "reason": "An example"})["lock"]
    done(cast.admin, "approveLock", _LOCK, _seen(proposed))


_LOCK = "lock { id revision changeDigest }"


def _seen(lock: Any) -> Input:
    return {"lockId": lock["id"], "revision": lock["revision"], "changeDigest": lock["changeDigest"]}


def _draft(hands: Hands) -> Any:
    given = {"change": {"setQuota": {"resource": "CARDS", "limit": 7}}, "reason": "An example"}
    return done(hands, "proposeLock", _LOCK, given)["lock"]


def _published(cast: Cast, text: str) -> Input:
    card = done(cast.owner, "publishCard", "card { id version }", {"text": text, "trainOk": True})["card"]
    return {"cardId": card["id"], "expectedVersion": card["version"]}


def _screen_published(cast: Cast) -> Input:
    text = screen()
    approved(cast, {"publishCard": {"text": text, "trainOk": True}})
    return _published(cast, text)


def _declared() -> tuple[Input, bytes]:
    data = f"# An example\n\n{uuid4().hex}\n".encode()
    sha256 = hashlib.sha256(data).hexdigest()
    given = {"filename": "a.md", "contentType": "text/markdown", "sizeBytes": len(data), "sha256": sha256}
    return {**given, "trainOk": True}, data


def _uploaded(cast: Cast) -> str:
    given, data = _declared()
    chosen = "asset { id } upload { address method headers { name value } fields { name value } }"
    reserved = done(cast.owner, "reserveAsset", chosen, given)
    assert cast.owner.upload(reserved["upload"], data) == 201
    return str(reserved["asset"]["id"])


def _sealed(cast: Cast) -> str:
    asset_id = _uploaded(cast)
    done(cast.owner, "sealAsset", "asset { id }", {"assetId": asset_id})
    return asset_id


def _run(cast: Cast) -> str:
    return str(done(cast.owner, "openRun", "run { id }", {"title": "An example"})["run"]["id"])


def _member(cast: Cast, role: str = "MEMBER") -> str:
    subject = f"{uuid4().hex}@example"
    if role == "OWNER":
        approved(cast, {"setMember": {"subject": subject, "role": role}})
    done(cast.owner, "setMember", "member { subject }", {"subject": subject, "role": role})
    return subject


def _key(cast: Cast) -> str:
    return str(done(cast.owner, "createKey", "key { keyId }", {"name": "An example", "days": 1})["key"]["keyId"])


def _switch(cast: Cast, name: str) -> str:
    given = {"target": "ACTION", "name": name, "reason": "An example"}
    return str(done(cast.owner, "engageKillSwitch", "killSwitch { id }", given)["killSwitch"]["id"])


def _session(cast: Cast) -> str:
    session_id = uuid4().hex
    given = {"sessionId": session_id, "entries": [{"content": "An example", "trainOk": False}]}
    done(cast.owner, "appendSession", "session { sessionId }", given)
    return session_id


def _planned(cast: Cast) -> Input:
    given = {"kind": "SUBJECT", "subject": f"{uuid4().hex}@example"}
    plan = done(cast.owner, "planErasure", "erasure { id plan { digest } }", given)["erasure"]
    return {"erasureId": plan["id"], "digest": plan["plan"]["digest"]}


def _releasable(cast: Cast) -> Input:
    given = {"switchId": _switch(cast, "verifyAtom")}
    approved(cast, {"releaseKillSwitch": given})
    return given


def _settable(cast: Cast) -> Input:
    given = {"resource": "CARDS", "limit": 1000}
    approved(cast, {"setQuota": given})
    return given


def _rebuildable(cast: Cast) -> Input:
    approved(cast, {"reindex": True})
    return {}


EXAMPLES: Mapping[str, Example] = {
    "setMember": Example(lambda cast: {"subject": _member(cast), "role": "ADMIN"}, "subject"),
    "revokeMember": Example(lambda cast: {"subject": _member(cast)}, "subject"),
    "createKey": Example(lambda cast: {"name": "An example", "days": 1}),
    "createStreamTicket": Example(lambda cast: {}),
    "revokeKey": Example(lambda cast: {"keyId": _key(cast)}, "keyId"),
    "reserveAsset": Example(lambda cast: _declared()[0]),
    "sealAsset": Example(lambda cast: {"assetId": _uploaded(cast)}, "assetId"),
    "deriveAtoms": Example(lambda cast: {"assetId": _sealed(cast)}, "assetId"),
    "publishCard": Example(lambda cast: {"text": note(), "trainOk": True}),
    "retireCard": Example(lambda cast: _published(cast, note()), "cardId"),
    "reindex": Example(_rebuildable),
    "openRun": Example(lambda cast: {"title": "An example"}),
    "appendRunLog": Example(lambda cast: {"runId": _run(cast), "text": "An example"}, "runId"),
    "closeRun": Example(lambda cast: {"runId": _run(cast)}, "runId"),
    "proposeLock": Example(
        lambda cast: {"change": {"setQuota": {"resource": "CARDS", "limit": 8}}, "reason": "An example"}
    ),
    "editLock": Example(
        lambda cast: {
            "change": {"setQuota": {"resource": "CARDS", "limit": 9}},
            "reason": "An example",
            "lockId": (draft := _draft(cast.owner))["id"],
            "revision": draft["revision"],
        },
        "lockId",
    ),
    "approveLock": Example(lambda cast: _seen(_draft(cast.admin)), "lockId"),
    "rejectLock": Example(
        lambda cast: {"lockId": (draft := _draft(cast.admin))["id"], "revision": draft["revision"]}, "lockId"
    ),
    "revokeLock": Example(lambda cast: {"lockId": _draft(cast.owner)["id"]}, "lockId"),
    "engageKillSwitch": Example(lambda cast: {"target": "ACTION", "name": "recipes", "reason": "An example"}),
    "releaseKillSwitch": Example(_releasable, "switchId"),
    "setQuota": Example(_settable, "resource"),
    "startExport": Example(lambda cast: {"kinds": ["CARD"]}),
    "planErasure": Example(lambda cast: {"kind": "SUBJECT", "subject": "nobody@example"}),
    "executeErasure": Example(_planned, "erasureId"),
    "setTenantConsent": Example(lambda cast: {"optOut": True}),
    "setOwnConsent": Example(lambda cast: {"optOut": True}),
    "setTrainOk": Example(lambda cast: {"id": _sealed(cast), "trainOk": False}, "id"),
    "appendSession": Example(
        lambda cast: {"sessionId": uuid4().hex, "entries": [{"content": "An example", "trainOk": False}]}
    ),
    "putSessionSnapshot": Example(
        lambda cast: {"sessionId": _session(cast), "content": "An example", "trainOk": False}, "sessionId"
    ),
    "eraseSession": Example(lambda cast: {"sessionId": _session(cast)}, "sessionId"),
}
"""What an owner may do, with an approved lock where one is needed."""

STRATEGIC: Mapping[str, Example] = {
    "setMember": Example(lambda cast: {"subject": _member(cast), "role": "OWNER"}),
    "revokeMember": Example(lambda cast: {"subject": _member(cast, "OWNER")}, "subject"),
    "publishCard": Example(lambda cast: {"text": screen(), "trainOk": True}),
    "retireCard": Example(_screen_published, "cardId"),
    "reindex": Example(lambda cast: {}),
    "releaseKillSwitch": Example(lambda cast: {"switchId": _switch(cast, "manifests")}, "switchId"),
    "setQuota": Example(lambda cast: {"resource": "ASSETS", "limit": 1000}, "resource"),
}
"""What nobody may do as long as nobody has approved it."""
