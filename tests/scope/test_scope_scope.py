"""Scopes, tenants, envs, handling and time: the common words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_graph.scope.clock import iso, micros, moment
from nexus_graph.scope.errors import Forbidden, Invalid, NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.ids import new_id
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Env, PrincipalKind, Role, Scope, env, tenant

ScopeOf = Callable[..., Scope]


@pytest.mark.parametrize("value", ["t_a", "t_acme", "t_0", "t_a-b_c", "t_" + "a" * 62])
def test_a_well_formed_tenant_id_is_itself(value: str) -> None:
    """t_ and up to 62 of a-z, 0-9, _ and -, beginning with a letter or digit."""
    assert tenant(value) == value


@pytest.mark.parametrize(
    "value",
    ["", "t_", "acme", "T_acme", "t_Acme", "t__a", "t_-a", "t_a.b", "t_a/b", "t_a\n", " t_a", "t_ä", "t_" + "a" * 63],
)
def test_a_malformed_tenant_id_is_invalid(value: str) -> None:
    """Nothing is trimmed, lowered or guessed."""
    with pytest.raises(Invalid):
        tenant(value)


def test_env_names_are_normalised_and_others_refused() -> None:
    """Six names mean three envs."""
    names = {"dev": "dev", "development": "dev", "stage": "staging", "staging": "staging", "prod": "prod"}
    for name, meant in {**names, "production": "prod"}.items():
        assert env(name) is Env(meant)
    for name in ("", "DEV", "Prod", "test", "dev ", "prod\n"):
        with pytest.raises(Invalid):
            env(name)


def test_a_scope_has_no_defaults_and_does_not_change(scope_of: ScopeOf) -> None:
    """What is not said is not there, and what is there stays."""
    with pytest.raises(TypeError):
        Scope(tenant_id="t_acme")  # type: ignore[call-arg]
    scope = scope_of()
    for part in fields(scope):
        with pytest.raises(FrozenInstanceError):
            setattr(scope, part.name, "t_globex")


def test_the_engines_scope_names_its_reason_and_checks_its_tenant() -> None:
    """It holds every right, never expires, and is no role that the outside can have."""
    scope = Scope.system("t_acme", Env.PROD, "follower:index")
    assert (scope.principal.kind, scope.principal.id, scope.role) == (
        PrincipalKind.SYSTEM,
        "follower:index",
        Role.SYSTEM,
    )
    assert (scope.rights, scope.expires_at, scope.key) == (frozenset(Permission), None, ("t_acme", "prod"))
    with pytest.raises(Invalid):
        Scope.system("../t_acme", Env.PROD, "x")


def test_a_missing_right_is_forbidden_by_name(scope_of: ScopeOf) -> None:
    """The refusal names the role and the right."""
    member = scope_of(role=Role.MEMBER)
    member.require(Permission.CARDS_READ)
    assert member.may(Permission.CARDS_READ)
    assert not member.may(Permission.CARDS_PUBLISH)
    with pytest.raises(Forbidden, match="member lacks the right cards:publish"):
        member.require(Permission.CARDS_PUBLISH)


def test_not_found_says_nothing_but_the_kind() -> None:
    """Foreign, unknown and purged can't be told apart."""
    assert NotFound("card").message == "No such card here."
    assert NotFound("run").hint == NotFound("card").hint


FLAGS = st.lists(st.sampled_from(["email", "phone", "iban"]), max_size=5)
HANDLINGS = st.builds(lambda flags, train_ok: Handling(tuple(flags), train_ok), FLAGS, st.booleans())


@given(HANDLINGS, HANDLINGS, HANDLINGS)
def test_handling_adds_flags_and_keeps_the_strictest_consent(a: Handling, b: Handling, c: Handling) -> None:
    """In any order and grouping; together with itself nothing changes."""
    assert a & b == b & a
    assert (a & b) & c == a & (b & c)
    assert a & a == a
    assert set((a & b).pii_flags) == {*a.pii_flags, *b.pii_flags}
    assert (a & b).train_ok == (a.train_ok and b.train_ok)
    assert list(a.pii_flags) == sorted(set(a.pii_flags))


@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.just(UTC)))  # noqa: DTZ001
def test_microseconds_are_exact_both_ways(when: datetime) -> None:
    """No float is involved, before 1970 neither."""
    assert moment(micros(when)) == when
    east = when.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert (micros(east), iso(east)) == (micros(when), iso(when))


def test_iso_is_rfc_3339_with_microseconds() -> None:
    """Always six digits and a Z."""
    assert iso(moment(0)) == "1970-01-01T00:00:00.000000Z"
    assert iso(moment(-1)) == "1969-12-31T23:59:59.999999Z"


def test_ids_sort_by_time_and_never_repeat() -> None:
    """A thousand in a row are in order."""
    ids = [new_id("run") for _ in range(1000)]
    assert ids == sorted(set(ids))
    assert all(len(value) == 36 and value.startswith("run_") for value in ids)
