"""Flip a layer of consent. Everything below it follows in the same transaction, and is counted.

The rooms that keep records stand above this one, so each gives a `Step`; `Steps` are in the order of the lineage:
assets, atoms, cards, packs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from nexus_graph.safeguards.chain import enforce
from nexus_graph.safeguards.consent import table
from nexus_graph.safeguards.consent.gate import Consent, standing
from nexus_graph.safeguards.consent.releasing import Layer
from nexus_graph.safeguards.model import Deed
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Stores, Work


@dataclass(frozen=True, slots=True)
class Step:
    """One room's part. `kind` is what it keeps, in the plural.

    `reevaluate` makes every effective value follow from its layers and returns how many changed. `declare` sets the
    declared value of the record with an id that begins with `prefix`, raises NotFound, and returns whether it changed.
    """

    kind: str
    reevaluate: Callable[[Work], Awaitable[int]]
    prefix: str | None = None
    declare: Callable[[Work, str, bool], Awaitable[bool]] | None = None


Steps = tuple[Step, ...]
Changed = Mapping[str, int]
"""How many records of each kind have another effective value now."""


async def current(stores: Stores, scope: Scope) -> Consent:
    """What the installation, the tenant and the viewer themselves say."""
    scope.require(Permission.CONSENT_READ)
    async with stores.read(scope) as read:
        return await standing(read)


async def set_tenant_opt_out(
    stores: Stores, steps: Steps, scope: Scope, opted_out: bool, *, once: Once | None = None
) -> Changed:
    """Withhold the tenant's consent in this env, or give it again. Saying what is so already changes nothing."""
    deed = Deed("setTenantConsent", Permission.CONSENT_WRITE)
    return await _set(stores, steps, scope, Layer.TENANT, opted_out, deed, once)


async def set_own_opt_out(
    stores: Stores, steps: Steps, scope: Scope, opted_out: bool, *, once: Once | None = None
) -> Changed:
    """Withhold one's own consent for all that one brought into this env, or give it again."""
    deed = Deed("setOwnConsent", Permission.CONSENT_WRITE_OWN)
    return await _set(stores, steps, scope, Layer.USER, opted_out, deed, once)


async def set_train_ok(
    stores: Stores, steps: Steps, scope: Scope, record_id: str, train_ok: bool, *, once: Once | None = None
) -> Changed:
    """Give or take back consent for one asset, or for all versions of one card. Raises NotFound."""
    deed = Deed("setTrainOk", Permission.CONSENT_WRITE)
    scope.require(deed.permission)
    async with stores.work(scope, RunKind.ADMIN, once=once) as work:
        if isinstance(answer := await work.earlier_answer(), dict):
            return {kind: int(str(count)) for kind, count in answer.items()}
        await enforce(work, deed)
        kind, changed = await _declare(work, steps, record_id, train_ok)
        if not changed:
            return dict.fromkeys((step.kind for step in steps), 0)
        counts = await _reevaluated(work, steps)
        asked: Json = {"layer": Layer.RECORD, "trainOk": train_ok}
        _record(work, kind, record_id, asked, counts)
        await work.keep_answer(counts)
    return counts


async def settle(stores: Stores, steps: Steps) -> None:
    """Make the labels of every scope follow the installation's setting, if they were kept under another one.

    For the start of a process, before anything is served.
    """
    opted_out = not stores.limits.train_ok
    for row in await stores.across(table.UNSETTLED, opted_out=int(opted_out)):
        scope = Scope.system(row["tenant_id"], Env(row["env"]), "installation")
        await _set(stores, steps, scope, Layer.INSTALLATION, opted_out, None, None)


async def _set(
    stores: Stores, steps: Steps, scope: Scope, layer: Layer, opted_out: bool, deed: Deed | None, once: Once | None
) -> Changed:
    """Set one opt-out, and make everything follow. `deed` is None when the engine does it by itself."""
    if deed is not None:
        scope.require(deed.permission)
    own = (scope.principal.kind.value, scope.principal.id) if layer is Layer.USER else ("", "")
    key = {"kind": layer.value, "subject_kind": own[0], "subject_id": own[1]}
    async with stores.work(scope, RunKind.ADMIN, once=once) as work:
        if isinstance(answer := await work.earlier_answer(), dict):
            return {kind: int(str(count)) for kind, count in answer.items()}
        if deed is not None:
            await enforce(work, deed)
        if (await work.row(table.FIND, **key) is not None) == opted_out:
            return dict.fromkeys((step.kind for step in steps), 0)
        if opted_out:
            await work.write(table.ADD, **key, changed_by=scope.principal.id, changed_at=micros(work.now))
        else:
            await work.write(table.REMOVE, **key)
        counts = await _reevaluated(work, steps)
        subject = (own[0] or "tenant", own[1] or scope.tenant_id)
        _record(work, *subject, {"layer": layer, "optedOut": opted_out}, counts)
        await work.keep_answer(counts)
    return counts


async def follow_labels(work: Work, steps: Steps, kind: str, record_id: str) -> Changed:
    """Make everything follow a record whose labels changed by another way than a flip."""
    counts = await _reevaluated(work, steps)
    _record(work, kind, record_id, {"layer": Layer.ANCESTOR}, counts)
    return counts


async def _declare(work: Work, steps: Steps, record_id: str, train_ok: bool) -> tuple[str, bool]:
    for step in steps:
        if step.declare is not None and step.prefix is not None and record_id.startswith(step.prefix):
            return step.prefix.rstrip("_"), await step.declare(work, record_id, train_ok)
    raise NotFound("asset or card", path=("input", "id"))


async def _reevaluated(work: Work, steps: Steps) -> dict[str, int]:
    """One after the other: each looks at what the one before it has settled."""
    return {step.kind: await step.reevaluate(work) for step in steps}


def _record(work: Work, kind: str, subject: str, asked: Json, counts: Mapping[str, Json]) -> None:
    detail = redact({"input": asked, "output": counts})
    work.record(Event("consent.changed", kind, subject, detail, Handling((), train_ok=False)))
