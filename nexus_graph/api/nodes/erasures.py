"""Erasures: what would go, the word that lets it go, and the certificate that it is gone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import strawberry

from nexus_graph import runs
from nexus_graph.api.context import Info
from nexus_graph.api.fields import change, link, read
from nexus_graph.api.idempotency import RepeatableInput, once
from nexus_graph.api.nodes.runs import ResearchRun
from nexus_graph.api.paging import After, Before, Connection, First, Last
from nexus_graph.api.scalars import BigInt, described
from nexus_graph.api.user_errors import UserError
from nexus_graph.safeguards import erasure
from nexus_graph.safeguards.erasure import ErasureState, Target, TargetKind
from nexus_graph.scope.permission import Permission

described(
    TargetKind,
    "What an erasure is of.",
    {
        "SUBJECT": "A user, or an agent's key, and what they brought in and wrote in this tenant and env.",
        "TENANT_ENV": "Everything in this tenant and env.",
    },
    name="ErasureKind",
)
described(
    ErasureState,
    "How far an erasure is.",
    {
        "PLANNED": "Counted. Nothing is gone.",
        "EXPIRED": "A plan that nobody confirmed within its hour.",
        "CONFIRMED": "Under way; nothing stops it.",
        "ERASED": "Gone, and nothing was found again; its certificate is being made.",
        "CERTIFIED": "Over: its certificate is issued.",
        "FAILED": "Over, but something was found again: see its findings, and plan another.",
    },
)


@strawberry.type(description="How many of something.")
class ErasureCount:
    """A count."""

    store: str = strawberry.field(description="What: a table, assets, atoms, cards, packs, sessions, objects, ...")
    count: BigInt = strawberry.field(description="How many.")


@strawberry.type(description="What would go, as an owner confirms it.")
class ErasurePlan:
    """A plan."""

    digest: str = strawberry.field(description="SHA-256 of whom it is of and of the state; confirm by it.")
    planned_by: str = strawberry.field(description="Who planned it.")
    planned_at: datetime = strawberry.field(description="When.")
    expires_at: datetime = strawberry.field(description="Until when it can be confirmed.")
    counts: list[ErasureCount] = strawberry.field(description="What it concerns, store by store.")
    mentions: list[ErasureCount] = strawberry.field(
        description="What others wrote and the subject is named in: it has to go too, by includeMentions."
    )


@strawberry.type(description="Something that should have been gone.")
class ErasureFinding:
    """A finding."""

    place: str = strawberry.field(description="The table and column, or objects.")
    kind: str = strawberry.field(description="A name, an id, content, a row or an object.")
    count: BigInt = strawberry.field(description="How often.")


@strawberry.type(description="Proof of an erasure. It names nobody and holds no content.")
class ErasureCertificate:
    """A certificate."""

    digest: str = strawberry.field(description="SHA-256 of the content, as the journal and the ledger name it.")
    content: str = strawberry.field(description="Canonical JSON (RFC 8785).")


@strawberry.type(description="An erasure.")
class Erasure:
    """An erasure."""

    id: strawberry.ID = strawberry.field(description="Its id.")
    kind: TargetKind = strawberry.field(description="What it is of.")
    include_mentions: bool = strawberry.field(description="Whether what others wrote about the subject goes along.")
    subject_digest: str | None = strawberry.field(description="The subject under the installation's key; never a name.")
    state: ErasureState = strawberry.field(description="How far it is.")
    plan: ErasurePlan = strawberry.field(description="What would go.")
    confirmed_at: datetime | None = strawberry.field(description="When it was confirmed.")
    ended_at: datetime | None = strawberry.field(description="When all was gone and had been looked for again.")
    findings: list[ErasureFinding] = strawberry.field(description="What was found again; empty when all is gone.")
    certificate: ErasureCertificate | None = strawberry.field(description="The proof, once there is one.")
    run_id: strawberry.ID | None = strawberry.field(description="The run that tells its progress.")

    @classmethod
    def of(cls, found: erasure.Erasure) -> Erasure:
        """From the safeguard's value."""
        proven = found.certificate is not None and found.certificate_digest is not None
        return cls(
            id=strawberry.ID(found.erasure_id),
            kind=found.kind,
            include_mentions=found.mentions,
            subject_digest=found.subject_digest,
            state=found.state,
            plan=ErasurePlan(
                digest=found.digest,
                planned_by=found.planned_by,
                planned_at=found.planned_at,
                expires_at=found.expires_at,
                counts=_counts(found.counts),
                mentions=_counts(found.mentioned),
            ),
            confirmed_at=found.confirmed_at,
            ended_at=found.ended_at,
            findings=[
                ErasureFinding(place=one.place, kind=one.kind, count=BigInt(one.count)) for one in found.findings
            ],
            certificate=ErasureCertificate(digest=found.certificate_digest or "", content=found.certificate or "")
            if proven
            else None,
            run_id=None if found.run_id is None else strawberry.ID(found.run_id),
        )

    @link(
        Permission.RUNS_READ,
        "The run that tells its progress; null until it is confirmed.",
        lambda loaders: loaders.runs,
        lambda own: str(own.run_id) if own.run_id else None,
    )
    def run(self, found: runs.Run | None) -> ResearchRun | None:
        """Its run."""
        return ResearchRun.of(found) if found else None


def _counts(counts: Mapping[str, int]) -> list[ErasureCount]:
    return [ErasureCount(store=store, count=BigInt(count)) for store, count in sorted(counts.items())]


@strawberry.input(description="Whom or what to erase.")
class PlanErasureInput(RepeatableInput):
    """Input of planErasure."""

    kind: TargetKind = strawberry.field(description="A subject, or all of this tenant and env.")
    subject: str | None = strawberry.field(default=None, description="For SUBJECT: a token's subject or a key's id.")
    include_mentions: bool = strawberry.field(
        default=False, description="For SUBJECT: along with cards and assets of others that name the subject."
    )


@strawberry.input(description="The plan that was looked at.")
class ExecuteErasureInput(RepeatableInput):
    """Input of executeErasure."""

    erasure_id: strawberry.ID = strawberry.field(description="The plan.")
    digest: str = strawberry.field(description="Its digest.")


@strawberry.type(description="The erasure as it is now.")
class ErasurePayload:
    """Payload of planErasure and executeErasure."""

    erasure: Erasure | None = strawberry.field(default=None, description="The erasure; null when refused.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.type
class ErasureQuery:
    """Queries of the safeguard."""

    @read(Permission.ERASURES_READ, "An erasure by its id; null when there is none here.")
    async def erasure(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> Erasure | None:
        """One erasure."""
        found = await erasure.find(info.context.house.stores, info.context.scope, str(id))
        return Erasure.of(found) if found else None

    @read(Permission.ERASURES_READ, "The erasures of this tenant and env, planned last first.")
    async def erasures(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Erasure]:
        """A page of erasures."""
        context = info.context
        cursors = context.house.cursors.list_of(context.scope, "erasures")
        window = cursors.window(first, after, last, before)
        return cursors.connection(await erasure.erasures(context.house.stores, context.scope, window), Erasure.of)


@strawberry.type
class ErasureMutation:
    """Mutations of the safeguard."""

    @change(Permission.ERASURES_WRITE, "Count what an erasure would take. Nothing is gone by it.", locked=None)
    async def plan_erasure(
        self, info: Info, input: Annotated[PlanErasureInput, strawberry.argument(description="Whom or what.")]
    ) -> ErasurePayload:
        """Plan."""
        house = info.context.house
        target = Target.of(input.kind, input.subject, mentions=input.include_mentions)
        planned = await erasure.plan(
            house.stores, house.eraser, info.context.scope, target, once=once("planErasure", input)
        )
        return ErasurePayload(erasure=Erasure.of(planned))

    @change(
        Permission.ERASURES_WRITE,
        "Let a plan be carried out, by the digest of what was looked at. It can't be taken back.",
        locked=None,
    )
    async def execute_erasure(
        self, info: Info, input: Annotated[ExecuteErasureInput, strawberry.argument(description="Which plan.")]
    ) -> ErasurePayload:
        """Confirm."""
        house = info.context.house
        confirmed = await erasure.confirm(
            house.stores,
            house.eraser,
            info.context.scope,
            str(input.erasure_id),
            input.digest,
            once=once("executeErasure", input),
        )
        return ErasurePayload(erasure=Erasure.of(confirmed))
