"""What each action of the graph would do, before there is an input: the deed that its preflight is about.

An action is a field of the graph. Its right and its price come from its declaration; what it would use up, change or
touch comes from `_ACTIONS`, one entry for each action that is more than its declaration. A strategic change is an open
one: its content is not known yet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nexus_graph import index, runs
from nexus_graph.assets import AssetState
from nexus_graph.assets import table as assets_table
from nexus_graph.atoms import table as atoms_table
from nexus_graph.cards import table as cards_table
from nexus_graph.exports import table as exports_table
from nexus_graph.safeguards import Change, Deed, Resource, StrategicAction
from nexus_graph.safeguards.erasure import table as erasure_table
from nexus_graph.safeguards.locks import telling
from nexus_graph.safeguards.model import switch_release
from nexus_graph.safeguards.switches import OBJECTS
from nexus_graph.safeguards.switches import table as switches_table
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Invalid, NotFound
from nexus_graph.scope.scope import Role
from nexus_graph.sessions import table as sessions_table
from nexus_graph.sessions.forgetting import own as own_session
from nexus_graph.sessions.model import session_id
from nexus_graph.stores.work import Read
from nexus_graph.tenants import membership
from nexus_graph.tenants import table as tenants_table

if TYPE_CHECKING:
    from nexus_graph.api.declarations import Declared
    from nexus_graph.api.house import House

ANYTHING = ""
"""The target of a change to something that does not exist yet."""


@dataclass(frozen=True, slots=True)
class Question:
    """May this be done to that? `target` None: to nothing in particular.

    `card_type` and `version` are those of the card that it is done to, where the caller knows it.
    """

    declared: Declared
    target: str | None
    card_type: str | None = None
    version: int = 0


Complete = Callable[["House", Read, Deed, Question], Awaitable[Deed]]


async def deed_of(house: House, read: Read, question: Question) -> Deed:
    """The deed that a question is about. Raises NotFound for a target that is not here, Invalid where there is none."""
    declared = question.declared
    takes = {Resource.LIVE_STREAMS: 1} if declared.root == "Subscription" else {}
    provider = _PROVIDERS.get(declared.field, _no_provider)(house)
    deed = Deed(declared.field, declared.permission, takes, price=declared.points, provider=provider)
    complete = _ACTIONS.get(declared.field)
    if complete is not None:
        # Who may not do it at all learns nothing of what it would be done to, unless they see that already.
        blind = question.card_type is None and not read.scope.may(declared.permission)
        return await complete(house, read, deed, replace(question, target=None) if blind else question)
    if question.target is not None:
        raise Invalid(
            f"{declared.field} is done to nothing that has an id.", hint="Leave out target.", path=("target",)
        )
    return deed


def _no_provider(_: House) -> str | None:
    return None


def _embedder(house: House) -> str | None:
    return house.index.embedder.provider


def _objects(_: House) -> str | None:
    return OBJECTS


def _strategic(action: StrategicAction, takes: Mapping[Resource, int], follows: str) -> Complete:
    """A deed to a card, which is strategic when the card's type is. Its change names the version that it `follows`."""

    async def complete(house: House, read: Read, deed: Deed, question: Question) -> Deed:
        card_type, version = question.card_type, question.version
        if card_type is None and question.target is not None:
            if (row := await read.row(cards_table.FIND, card_id=question.target)) is None:
                raise NotFound("card", path=("target",))
            card_type, version = row["card_type"], row["version"]
        new = action is StrategicAction.PUBLISH_CARD and question.target is None
        deed = replace(deed, takes={**takes, Resource.CARDS: 1} if new else takes)
        if card_type is None or not house.manifests.strategic(card_type):
            return deed
        known: dict[str, Json] = {follows: version}
        return replace(deed, change=Change(action, question.target or ANYTHING, known, card_type, open=True))

    return complete


def _existing(kind: str, find: Callable[[Read, str], Awaitable[bool]]) -> Complete:
    """A deed to something that must be here."""

    async def complete(house: House, read: Read, deed: Deed, question: Question) -> Deed:
        if question.target is not None and not await find(read, question.target):
            raise NotFound(kind, path=("target",))
        return deed

    return complete


def _taking(takes: Mapping[Resource, int]) -> Complete:
    """A deed that uses something up, to nothing in particular."""

    async def complete(house: House, read: Read, deed: Deed, question: Question) -> Deed:
        if question.target is not None:
            raise Invalid(f"{deed.action} is done to nothing yet.", hint="Leave out target.", path=("target",))
        return replace(deed, takes=takes)

    return complete


async def _member(house: House, read: Read, deed: Deed, question: Question) -> Deed:
    """Owners are strategic. Who is no member yet may become one."""
    if question.target is None:
        return deed
    row = await read.row(tenants_table.FIND_MEMBER, subject=question.target)
    if row is None and deed.action == "revokeMember":
        raise NotFound("member", path=("target",))
    if row is None or row["role"] != Role.OWNER:
        return deed
    change = Change(StrategicAction.CHANGE_OWNER, question.target, {"mutation": deed.action}, open=True)
    return replace(deed, change=change, barred=membership.not_an_owner(read.scope))


async def _release(house: House, read: Read, deed: Deed, question: Question) -> Deed:
    """A kill switch is released under a lock for that very switch."""
    if question.target is None:
        return replace(deed, change=Change(StrategicAction.RELEASE_KILL_SWITCH, ANYTHING, {}, open=True))
    if await read.row(switches_table.FIND, switch_id=question.target) is None:
        raise NotFound("kill switch", path=("target",))
    return replace(deed, change=switch_release(question.target))


async def _quota(house: House, read: Read, deed: Deed, question: Question) -> Deed:
    """A quota is changed under a lock that binds the new limit."""
    if question.target is not None and question.target not in list(Resource):
        raise NotFound("resource", path=("target",))
    return replace(deed, change=Change(StrategicAction.SET_QUOTA, question.target or ANYTHING, {}, open=True))


async def _rebuild(house: House, read: Read, deed: Deed, question: Question) -> Deed:
    """The index is rebuilt as this installation defines it."""
    if question.target is not None:
        raise Invalid("There is one index.", hint="Leave out target.", path=("target",))
    return replace(deed, change=index.rebuilding(house.index).change)


async def _lock(house: House, read: Read, deed: Deed, question: Question) -> Deed:
    """Nobody decides about their own proposal."""
    if question.target is None:
        return deed
    lock = await telling.found(read, question.target)
    return replace(deed, barred=telling.deed(deed.action, read.scope, lock).barred)


async def _own_session(house: House, read: Read, deed: Deed, question: Question) -> Deed:
    """Every name of a session is one's own. What is written takes room; what is read or erased must be there."""
    if deed.action in ("appendSession", "putSessionSnapshot"):
        return replace(deed, takes={Resource.STORED_BYTES: 1})
    if question.target is not None:
        mine = own_session(read.scope, session_id(question.target))
        if await read.row(sessions_table.FIND, **mine, now=micros(read.now)) is None:
            raise NotFound("session", path=("target",))
    return deed


async def _own_run(house: House, read: Read, deed: Deed, question: Question) -> Deed:
    """A research run is its opener's."""
    if question.target is None:
        return deed
    run = await runs.visible_run(read, read.scope, question.target)
    return replace(deed, barred=runs.deed(deed.action, read.scope, run).barred)


async def _find_asset(read: Read, asset_id: str) -> bool:
    row = await read.row(assets_table.FIND, asset_id=asset_id)
    return row is not None and row["state"] != AssetState.PURGED


async def _find_record(read: Read, record_id: str) -> bool:
    return await (_find_asset if record_id.startswith("asset_") else _find_card)(read, record_id)


async def _find_atom(read: Read, atom_id: str) -> bool:
    return await read.row(atoms_table.FIND_MANY, atom_ids=[atom_id]) is not None


async def _find_card(read: Read, card_id: str) -> bool:
    return await read.row(cards_table.EXISTS, card_id=card_id) is not None


async def _find_key(read: Read, key_id: str) -> bool:
    return await read.row(tenants_table.FIND_KEY, key_id=key_id) is not None


async def _find_lock(read: Read, lock_id: str) -> bool:
    return bool(await telling.found(read, lock_id))


async def _find_erasure(read: Read, erasure_id: str) -> bool:
    return await read.row(erasure_table.FIND, erasure_id=erasure_id) is not None


async def _find_export(read: Read, export_id: str) -> bool:
    return await read.row(exports_table.FIND_MANY, ids=[export_id]) is not None


async def _find_run(read: Read, run_id: str) -> bool:
    return bool(await runs.visible_run(read, read.scope, run_id))


_PROVIDERS: Mapping[str, Callable[[House], str | None]] = {
    "search": _embedder,
    "influencePack": _embedder,
    "reindex": _embedder,
    "reserveAsset": _objects,
    "sealAsset": _objects,
    "deriveAtoms": _objects,
    "verifyAtom": _objects,
}
"""Outside services that an action can't do without: a kill switch may halt them."""

_ACTIONS: Mapping[str, Complete] = {
    "publishCard": _strategic(StrategicAction.PUBLISH_CARD, {Resource.INDEX_WRITES: 1}, "follows"),
    "retireCard": _strategic(StrategicAction.RETIRE_CARD, {Resource.INDEX_WRITES: 1}, "version"),
    "setMember": _member,
    "revokeMember": _member,
    "revokeKey": _existing("key", _find_key),
    "reserveAsset": _taking({Resource.STORED_BYTES: 1, Resource.ASSETS: 1}),
    "sealAsset": _existing("asset", _find_asset),
    "deriveAtoms": _existing("asset", _find_asset),
    "appendRunLog": _own_run,
    "closeRun": _own_run,
    "releaseKillSwitch": _release,
    "setQuota": _quota,
    "reindex": _rebuild,
    "editLock": _lock,
    "approveLock": _lock,
    "rejectLock": _lock,
    "revokeLock": _lock,
    "executeErasure": _existing("erasure", _find_erasure),
    "erasure": _existing("erasure", _find_erasure),
    "export": _existing("export", _find_export),
    "setTrainOk": _existing("record", _find_record),
    "appendSession": _own_session,
    "putSessionSnapshot": _own_session,
    "eraseSession": _own_session,
    "session": _own_session,
    "lock": _existing("lock", _find_lock),
    "asset": _existing("asset", _find_asset),
    "atom": _existing("atom", _find_atom),
    "verifyAtom": _existing("atom", _find_atom),
    "card": _existing("card", _find_card),
    "run": _existing("run", _find_run),
    "runLog": _existing("run", _find_run),
}
