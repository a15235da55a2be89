"""The audit: every event of the scope, for owners and admins, and looking leaves a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nexus_graph import runs
from nexus_graph.runs import AuditFilter
from nexus_graph.scope.errors import Forbidden, Invalid
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.paging import Window
from nexus_graph.stores.work import Stores

ScopeOf = Callable[..., Scope]


async def tell(stores: Stores, scope: Scope, action: str, subject: str, *flags: str) -> None:
    """One event in a run of its own."""
    event = Event(action, "card", subject, redact({}), Handling(flags, train_ok=True))
    await stores.record(scope, RunKind.READ, event)


async def test_the_audit_filters_by_action_actor_subject_and_time(
    stores: Stores, scope_of: ScopeOf, clock: Any
) -> None:
    """Each side narrows, newest first."""
    admin, member = scope_of(role=Role.ADMIN), scope_of(role=Role.MEMBER)
    await tell(stores, admin, "card.published", "card_1")
    await tell(stores, member, "cards.read", "card_1")
    clock.advance(hours=1)
    noon = clock.now
    await tell(stores, member, "cards.read", "card_2")

    async def seqs(**chosen: Any) -> list[int]:
        found = await runs.audit(stores, admin, AuditFilter(**chosen), Window(20))
        return [entry.seq for entry in found.items if entry.action != "audit.read"]

    assert await seqs() == [3, 2, 1]
    assert await seqs(actions=("cards.read",)) == [3, 2]
    assert await seqs(actor=member.principal.id, subject="card_1") == [2]
    assert await seqs(at_from=noon) == [3]
    assert await seqs(at_to=noon) == [2, 1]


async def test_each_call_is_journalled_once_before_it_answers(stores: Stores, scope_of: ScopeOf) -> None:
    """The event names the filter, redacted, and what was shown; its labels are those of all that was shown."""
    admin = scope_of(role=Role.ADMIN)
    await tell(stores, admin, "card.published", "card_1", "phone")
    await tell(stores, admin, "card.published", "card_2", "email")
    mail = "ada.lovelace@analytical.example.com"
    await runs.audit(stores, admin, AuditFilter(actions=("card.published",)), Window(20))
    await runs.audit(stores, admin, AuditFilter(actor=mail), Window(20))
    found = await runs.audit(stores, admin, AuditFilter(actions=("audit.read",)), Window(20))
    second, first = found.items
    assert first.payload == {"input": {"actions": ["card.published"]}, "output": {"entries": 2, "seqs": [2, 1]}}
    assert first.handling.pii_flags == ("email", "phone")
    assert second.payload == {"input": {"actor": "[email]"}, "output": {"entries": 0, "seqs": []}}


async def test_the_audit_takes_the_right_and_stays_in_its_scope(stores: Stores, scope_of: ScopeOf) -> None:
    """Members and agents are Forbidden and leave no trace of a look; another tenant's owner sees nothing of it."""
    await tell(stores, scope_of(), "card.published", "card_1")
    for role in (Role.MEMBER, Role.AGENT):
        with pytest.raises(Forbidden):
            await runs.audit(stores, scope_of(role=role), AuditFilter(), Window(20))
    assert (await runs.audit(stores, scope_of("t_globex"), AuditFilter(), Window(20))).items == ()
    assert len((await runs.audit(stores, scope_of(), AuditFilter(), Window(20))).items) == 1


async def test_a_filter_of_too_many_actions_is_invalid(stores: Stores, scope_of: ScopeOf) -> None:
    """The list has a bound."""
    with pytest.raises(Invalid):
        await runs.audit(stores, scope_of(), AuditFilter(actions=("a",) * 101), Window(20))


@pytest.mark.parametrize("chosen", [{"actions": ("a" * 201,)}, {"actor": "a" * 201}, {"subject": "a" * 201}])
async def test_a_filter_of_over_long_words_is_invalid(
    stores: Stores, scope_of: ScopeOf, chosen: dict[str, Any]
) -> None:
    """What the filter says is journalled, so it is not for storing texts."""
    with pytest.raises(Invalid, match="200 characters"):
        await runs.audit(stores, scope_of(), AuditFilter(**chosen), Window(1))
