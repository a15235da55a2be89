"""Who may introspect: by right and by env, both settled before the server starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nexus_graph import config
from nexus_graph.api.operations import introspection
from nexus_graph.scope.errors import ConfigurationError, Forbidden
from nexus_graph.scope.scope import Env, Role, Scope


def settings(envs: str | None) -> config.Config:
    """Settings with these envs for introspection; the default ones when None."""
    given: dict[str, Any] = {} if envs is None else {"introspection_envs": envs}
    return config.load(
        {},
        None,
        data=Path("data"),
        issuers=[{"issuer": "here", "audience": "here", "keys": "keys.json"}],
        erasure_ledger="ledger",
        signing_secret="x" * 32,
        **given,
    ).config


def context(scope: Scope, envs: str | None) -> Any:
    """What introspection looks at."""
    return SimpleNamespace(scope=scope, house=SimpleNamespace(config=settings(envs)))


@pytest.mark.parametrize("envs", [None, "", "prod", " dev , prod ,", "dev,staging,prod"])
@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, Role.MEMBER, Role.AGENT])
def test_the_grid(scope_of: Callable[..., Scope], role: Role, envs: str | None) -> None:
    """Every role in every env: those with the right, where the installation shows the schema, and nobody else."""
    shown = {"dev", "staging"} if envs is None else {name.strip() for name in envs.split(",")}
    for env in Env:
        asked = context(scope_of(role=role, env=env), envs)
        expected = role is not Role.AGENT and env.value in shown
        assert introspection.allowed(asked) is expected
        if expected:
            introspection.require(asked)
            continue
        with pytest.raises(Forbidden) as told:
            introspection.require(asked)
        assert ("env" in told.value.message) == (env.value not in shown)
        assert told.value.hint is not None
        assert "schema/nexus.graphql" in told.value.hint


def test_an_env_that_does_not_exist_stops_the_start() -> None:
    """A misspelt one would show the schema nowhere, or, worse, be taken for another."""
    for envs in ("production", "dev,Prod", "dev;staging", "*"):
        with pytest.raises(
            ConfigurationError, match=r"NEXUS_INTROSPECTION_ENVS is wrong: .* is none of dev, staging, prod"
        ):
            settings(envs)
