"""Publish: a text becomes the next immutable version of a card, or nothing happens and the error says what is wrong.

All that takes time is done to the draft before the transaction; inside it only rows are compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from nexus_graph import safeguards
from nexus_graph.cards import table
from nexus_graph.cards.comparing import Difference, unified
from nexus_graph.cards.drafting import Draft, artifact_kind, card_id_of, examine, invalid, target
from nexus_graph.cards.exporting import engine_values, exported
from nexus_graph.cards.format import Parsed
from nexus_graph.cards.manifests import Manifests
from nexus_graph.cards.model import ArtifactKind, Card
from nexus_graph.cards.surfaces import surfaces
from nexus_graph.safeguards import Change, Deed, Resource, StrategicAction
from nexus_graph.scope.canonical import Json, canonical
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Conflict, NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Read, Stores, Work


@dataclass(frozen=True, slots=True)
class Published:
    """What came of publishing. `changed` is False when the card has just these bytes already: nothing was written then.

    Once the index has come as far as `seq`, it knows the card. `strategic`: writing this type needs a Strategy Lock.
    """

    card: Card
    created: bool
    changed: bool
    seq: int
    strategic: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """What publishing would do. `before` is the current version, None for a new card."""

    card: Card
    before: Card | None
    changed: bool


async def publish(
    stores: Stores,
    manifests: Manifests,
    scope: Scope,
    text: str | bytes,
    *,
    train_ok: bool,
    expected_version: int | None = None,
    card_id: str | None = None,
    key: str | None = None,
    once: Once | None = None,
) -> Published:
    """Make `text` the next version of its card, the first of a new one.

    The card is named by the header's `key`, else by `key`, else by `card_id`, else by the header's `card_id`; a text
    that names none makes a new card under a fresh key. A revision states the version that it follows as
    `expected_version`; a new card states 0 or None. The same bytes again change nothing, unless they take consent back.

    Raises Invalid (malformed text, another value for what the engine owns, unknown artifacts, another type than
    before), NotFound (`card_id`), Conflict (version, retired, a singleton's place is taken, idempotency key), and
    what the safeguards refuse: LockRequired for a strategic type, QuotaExceeded.
    """
    scope.require(Permission.CARDS_PUBLISH)
    draft = await asyncio.to_thread(examine, manifests, text, train_ok)
    named, named_key = target(scope, draft.parsed, card_id, key)
    async with stores.work(scope, RunKind.PUBLISH, once=once) as work:
        if isinstance(answer := await work.earlier_answer(), dict):
            return await _again(work, answer, draft.strategic)
        plan = await _planned(work, draft, named, named_key, card_id, expected_version, stores.new_id)
        if not plan.changed:
            return Published(plan.card, False, False, await _last_seq(work), draft.strategic)
        card = plan.card._replace(handling=await safeguards.enforce(work, _deed(draft, plan)))
        await _write(work, draft, replace(plan, card=card), expected_version)
        kept: Json = {"card_id": card.card_id, "version": card.version, "created": plan.before is None}
        await work.keep_answer(kept)
    return Published(card, plan.before is None, True, work.seq, draft.strategic)


@dataclass(frozen=True, slots=True)
class Proposed:
    """A publication that nobody has made yet: the change that a lock would bind, and what it would do to the text.

    `surfaces` are the settings screens that it concerns. `named`: it would come to the same card each time. `before` is
    the card as it stands, None for a new one: whoever shows the difference serves it.
    """

    change: Change
    strategic: bool
    text: str
    difference: Difference
    surfaces: tuple[str, ...]
    named: bool
    before: Card | None


async def propose(
    stores: Stores,
    manifests: Manifests,
    scope: Scope,
    text: str | bytes,
    *,
    train_ok: bool,
    expected_version: int | None = None,
    card_id: str | None = None,
) -> Proposed:
    """What `publish` would change with these arguments, exactly. Writes nothing; raises Invalid, NotFound, Conflict.

    A text that names no key would make a new card under a fresh key each time: for a strategic type, name one.
    """
    scope.require(Permission.CARDS_READ)
    draft = await asyncio.to_thread(examine, manifests, text, train_ok)
    named, named_key = target(scope, draft.parsed, card_id, None)
    async with stores.read(scope) as read:
        plan = await _planned(read, draft, named, named_key, card_id, expected_version, stores.new_id)
    before = "" if plan.before is None else plan.before.text
    difference = await asyncio.to_thread(unified, before, draft.parsed.text)
    concerned = _concerned(plan.card, plan.before)
    return Proposed(
        change=_change(plan),
        strategic=draft.strategic,
        text=draft.parsed.text,
        difference=difference,
        surfaces=concerned,
        named=named is not None,
        before=plan.before,
    )


def _deed(draft: Draft, plan: _Plan) -> Deed:
    takes = {Resource.INDEX_WRITES: 1, Resource.CARDS: 1 if plan.before is None else 0}
    change = _change(plan) if draft.strategic else None
    return Deed("publishCard", Permission.CARDS_PUBLISH, takes, change, plan.card.handling)


def _change(plan: _Plan) -> Change:
    card, before = plan.card, plan.before
    content: dict[str, Json] = {"follows": 0 if before is None else before.version}
    content |= {"textDigest": card.digest, "trainOk": card.declared_train_ok}
    return Change(StrategicAction.PUBLISH_CARD, card.card_id, content, card.card_type)


async def _planned(
    read: Read,
    draft: Draft,
    named: str | None,
    named_key: str | None,
    card_id: str | None,
    expected_version: int | None,
    new_id: Callable[[str], str],
) -> _Plan:
    row = await read.row(table.FIND, card_id=named) if named else None
    if row is None and card_id is not None:
        raise NotFound("card", path=("input", "cardId"))
    before = None if row is None else table.card(row)
    return await _plan(read, draft, named_key, before, expected_version, new_id)


async def _plan(
    read: Read,
    draft: Draft,
    key: str | None,
    before: Card | None,
    expected_version: int | None,
    new_id: Callable[[str], str],
) -> _Plan:
    if before is not None:
        if before.retired_at is not None:
            raise Conflict("The card is retired.", hint="Publish under another key.")
        if _same(read.scope, draft, before):
            return _Plan(before, before, False)
        if draft.parsed.card_type != before.card_type:
            hint = f"It is of type {before.card_type}; publish under another key."
            raise invalid(draft.parsed, ("card_type",), "A card keeps its type.", hint)
    _check_version(0 if before is None else before.version, expected_version)
    key = before.key if before else key or new_id("key")
    card = _card(read, draft, key, 1 if before is None else before.version + 1)
    await _check_singleton(read, draft, card)
    _check_engine_values(read.scope, draft.parsed, card)
    return _Plan(await _with_lineage(read, draft, card), before, True)


def _same(scope: Scope, draft: Draft, before: Card) -> bool:
    """Whether this is the current version, as it was written or as it was exported, and consent is not taken back."""
    text = draft.parsed.text
    same = text == before.text or (bool(draft.parsed.stated) and text == exported(scope, before))
    return same and (draft.handling.train_ok or not before.declared_train_ok)


def _check_version(current: int, expected: int | None) -> None:
    if (expected or 0) == current and (expected is not None or current == 0):
        return
    if current == 0:
        raise Conflict(
            "The card does not exist yet.", hint="State 0 or no expected version.", path=("input", "expectedVersion")
        )
    raise Conflict(
        f"The card exists, and its current version is {current}.",
        hint=f"Look at version {current}, then publish with expectedVersion {current}.",
        path=("input", "expectedVersion"),
    )


def _card(read: Read, draft: Draft, key: str, version: int) -> Card:
    parsed = draft.parsed
    return Card(
        card_id=card_id_of(read.scope, key),
        key=key,
        card_type=parsed.card_type,
        version=version,
        title=parsed.title,
        header_text=canonical(parsed.header).decode(),
        body_start=len(parsed.text) - len(parsed.body),
        text=parsed.text,
        digest=parsed.digest,
        labels=parsed.labels,
        artifact_refs=parsed.artifact_refs,
        handling=draft.handling,
        declared_train_ok=draft.handling.train_ok,
        created_at=read.now,
        created_by=read.scope.principal.id,
    )


async def _check_singleton(read: Read, draft: Draft, card: Card) -> None:
    if draft.singleton_key is None:
        return
    holder = await read.row(table.FIND_SINGLETON, singleton_key=draft.singleton_key)
    if holder is not None and holder["card_id"] != card.card_id:
        raise Conflict(
            f"There is such a {card.card_type} already: {holder['card_id']}, with the key {holder['key']}.",
            hint="Revise that card, or retire it first.",
        )


def _check_engine_values(scope: Scope, parsed: Parsed, card: Card) -> None:
    truth = engine_values(scope, card)
    for name, stated in parsed.stated.items():
        if stated != truth[name]:
            raise invalid(parsed, (name,), f"{name} states another value than the engine's.", f"Leave {name} out.")


async def _with_lineage(read: Read, draft: Draft, card: Card) -> Card:
    """The card with the consent of all that it cites. Raises Invalid for what isn't there or isn't sealed."""
    if not card.artifact_refs:
        return card
    by_kind = {kind: [ref for ref in card.artifact_refs if artifact_kind(ref) is kind] for kind in ArtifactKind}
    rows = await read.rows(table.ARTIFACTS, assets=by_kind[ArtifactKind.ASSET], atoms=by_kind[ArtifactKind.ATOM])
    found = {row["artifact_id"]: bool(row["train_ok"]) for row in rows}
    for ref in card.artifact_refs:
        if ref not in found:
            stated = draft.parsed.header["artifact_refs"]
            at = stated.index(ref) if isinstance(stated, list) else 0
            kind = artifact_kind(ref).lower()
            hint = "Check the id, the tenant and the env; an asset must be sealed before it is cited."
            raise invalid(draft.parsed, ("artifact_refs", at), f"No such {kind} here: {ref}.", hint)
    return card._replace(handling=card.handling & Handling((), all(found.values())))


async def _write(work: Work, draft: Draft, plan: _Plan, expected_version: int | None) -> None:
    card, now = plan.card, micros(work.now)
    await work.write(
        table.PUT_CARD,
        card_id=card.card_id,
        key=card.key,
        card_type=card.card_type,
        singleton_key=draft.singleton_key,
        version=card.version,
        now=now,
    )
    await work.write(table.ADD_VERSION, **table.version_values(card), now=now)
    await work.write(table.FORGET_LABELS, card_id=card.card_id)
    await work.write(table.FORGET_FIELDS, card_id=card.card_id)
    await work.write_many(table.ADD_LABEL, [{"card_id": card.card_id, "label": label} for label in card.labels])
    await work.write_many(table.ADD_FIELD, table.field_values(card, draft.fields))
    await work.write_many(table.ADD_ARTIFACT, table.artifact_values(card))
    detail: Json = {"input": {"expectedVersion": expected_version}, "output": told(card, plan.before)}
    work.record(Event("card.published", "card", card.card_id, redact(detail), card.handling, ends=None))


def told(card: Card, before: Card | None) -> dict[str, Json]:
    """What the journal says of a card published or retired. Settings cards name the surfaces that they concern."""
    concerned = _concerned(card, before)
    output: dict[str, Json] = {"cardId": card.card_id, "version": card.version, "digest": card.digest}
    output["cardType"] = card.card_type
    return output | ({"surfaces": [*concerned]} if concerned else {})


def _concerned(card: Card, before: Card | None) -> tuple[str, ...]:
    return tuple(sorted({name for each in (card, before) if each for name in surfaces(each.card_type, each.header)}))


async def _again(work: Work, answer: dict[str, Json], strategic: bool) -> Published:
    card_id, version = str(answer["card_id"]), answer["version"]
    row = await work.row(table.FIND_VERSIONS, ids=[card_id], pairs=[f"{card_id}@{version}"])
    if row is None:
        raise NotFound("card")
    return Published(table.card(row), bool(answer["created"]), True, await _last_seq(work), strategic)


async def _last_seq(read: Read) -> int:
    """The latest publication of the scope: not before the one in question, and something that the index comes to."""
    return await read.value(table.LAST_PUBLISHED) or 0
