"""Consent to train: what the layers say, opting out and in, and consent for single records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import strawberry

from nexus_graph.api.context import Info
from nexus_graph.api.fields import change, read
from nexus_graph.api.idempotency import RepeatableInput, once
from nexus_graph.api.user_errors import UserError
from nexus_graph.safeguards.consent import changing
from nexus_graph.scope.permission import Permission


@strawberry.type(description="Who allows training on what the viewer brings into this tenant and env.")
class Consent:
    """The layers above any record."""

    installation: bool = strawberry.field(description="Whether the installation allows it.")
    tenant: bool = strawberry.field(description="Whether the tenant allows it in this env.")
    own: bool = strawberry.field(description="Whether the viewer allows it.")
    effective: bool = strawberry.field(description="Whether all of them do: the most restrictive wins.")


@strawberry.type(description="How many records have another effective consent now.")
class ConsentCounts:
    """Counts by kind."""

    assets: int = strawberry.field(description="Raw assets.")
    atoms: int = strawberry.field(description="Atoms.")
    cards: int = strawberry.field(description="Card versions.")
    packs: int = strawberry.field(description="Influence packs.")

    @classmethod
    def of(cls, changed: Mapping[str, int]) -> ConsentCounts:
        """From the safeguard's value."""
        return cls(**changed)


@strawberry.input(description="Whether the tenant withholds consent.")
class SetTenantConsentInput(RepeatableInput):
    """Input of setTenantConsent."""

    opt_out: bool = strawberry.field(description="True withholds consent, false gives it again.")


@strawberry.input(description="Whether you withhold consent.")
class SetOwnConsentInput(RepeatableInput):
    """Input of setOwnConsent."""

    opt_out: bool = strawberry.field(description="True withholds consent, false gives it again.")


@strawberry.input(description="Consent for one record.")
class SetTrainOkInput(RepeatableInput):
    """Input of setTrainOk."""

    id: strawberry.ID = strawberry.field(description="An asset, or a card with all its versions.")
    train_ok: bool = strawberry.field(description="Whether training on it is allowed, as far as the record goes.")


@strawberry.type(description="What followed from a change of consent.")
class ConsentPayload:
    """Payload of the mutations of consent."""

    changed: ConsentCounts | None = strawberry.field(
        default=None, description="What follows it, counted: all zero when it was so already; null when refused."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.type
class ConsentQuery:
    """Queries of the safeguard."""

    @read(Permission.CONSENT_READ, "Who allows training on what you bring in here.")
    async def consent(self, info: Info) -> Consent:
        """The layers."""
        found = await changing.current(info.context.house.stores, info.context.scope)
        return Consent(installation=found.installation, tenant=found.tenant, own=found.own, effective=found.effective)


@strawberry.type
class ConsentMutation:
    """Mutations of the safeguard."""

    @change(
        Permission.CONSENT_WRITE,
        "Withhold the tenant's consent to training in this env, or give it again; everything kept here follows.",
        locked=None,
    )
    async def set_tenant_consent(
        self, info: Info, input: Annotated[SetTenantConsentInput, strawberry.argument(description="Out or in.")]
    ) -> ConsentPayload:
        """Flip the tenant's layer."""
        house, scope = info.context.house, info.context.scope
        changed = await changing.set_tenant_opt_out(
            house.stores, house.consent_steps, scope, input.opt_out, once=once("setTenantConsent", input)
        )
        return ConsentPayload(changed=ConsentCounts.of(changed))

    @change(
        Permission.CONSENT_WRITE_OWN,
        "Withhold your own consent for all that you brought in here, or give it again; what came of it follows.",
        locked=None,
    )
    async def set_own_consent(
        self, info: Info, input: Annotated[SetOwnConsentInput, strawberry.argument(description="Out or in.")]
    ) -> ConsentPayload:
        """Flip the viewer's layer."""
        house, scope = info.context.house, info.context.scope
        changed = await changing.set_own_opt_out(
            house.stores, house.consent_steps, scope, input.opt_out, once=once("setOwnConsent", input)
        )
        return ConsentPayload(changed=ConsentCounts.of(changed))

    @change(
        Permission.CONSENT_WRITE,
        "Give or take back consent for one asset or card; what came of it follows. Other layers may still withhold it.",
        locked=None,
    )
    async def set_train_ok(
        self, info: Info, input: Annotated[SetTrainOkInput, strawberry.argument(description="Which, and what.")]
    ) -> ConsentPayload:
        """Flip a record's layer."""
        house, scope = info.context.house, info.context.scope
        changed = await changing.set_train_ok(
            house.stores,
            house.consent_steps,
            scope,
            str(input.id),
            input.train_ok,
            once=once("setTrainOk", input),
        )
        return ConsentPayload(changed=ConsentCounts.of(changed))
