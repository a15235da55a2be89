"""`tenant`, `member`, `key`, `token`: who may come in."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Any

import typer
from joserfc.jwk import OKPKey

from nexus_graph.administration import console
from nexus_graph.administration.installing import AsJson
from nexus_graph.config import Config
from nexus_graph.engines import open_stores
from nexus_graph.scope.clock import iso, system_clock
from nexus_graph.scope.errors import ConfigurationError, NotFound
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.paging import Window
from nexus_graph.stores.work import Stores
from nexus_graph.tenants import keys, membership, table, tokens

Tenant = Annotated[str, typer.Option("--tenant", help="Tenant id, such as t_acme.")]
Env = Annotated[str, typer.Option("--env", help="dev, staging or prod: in whose journal it is told.")]
Subject = Annotated[str, typer.Argument(help="The subject that tokens name.")]

tenant = typer.Typer(help="Make and list tenants.", no_args_is_help=True)
member = typer.Typer(help="Give roles to people, and take them.", no_args_is_help=True)
key = typer.Typer(help="Make and end API keys for agents.", no_args_is_help=True)


@tenant.command("create")
def tenant_create(
    tenant_id: Annotated[str, typer.Argument(help="Tenant id, such as t_acme.")],
    env: Env,
    name: Annotated[str, typer.Option(help="A name for people.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a tenant."""

    async def deed() -> None:
        scope = console.operator(tenant_id, env)
        async with open_stores(console.settings().config) as stores:
            made = await membership.create_tenant(stores, scope, name or tenant_id)
        _tell(as_json, f"Made the tenant {made.tenant_id}.", {"tenantId": made.tenant_id, "name": made.name})

    console.run(deed())


@tenant.command("list")
def tenant_list(as_json: AsJson = False) -> None:
    """List all tenants."""

    async def deed() -> None:
        async with open_stores(console.settings().config) as stores:
            found = await membership.tenants(stores)
        if as_json:
            console.document([{"tenantId": item.tenant_id, "name": item.name} for item in found])
        else:
            console.table(["tenant", "name", "since"], [[t.tenant_id, t.name, iso(t.created_at)] for t in found])

    console.run(deed())


@member.command("set")
def member_set(
    subject: Subject,
    tenant: Tenant,
    env: Env,
    role: Annotated[str, typer.Option(help="owner, admin or member.")],
    as_json: AsJson = False,
) -> None:
    """Give a subject a role, or change it."""

    async def deed() -> None:
        async with open_stores(console.settings().config) as stores:
            scope = await existing(stores, tenant, env)
            made = await membership.set_member(stores, scope, subject, role)
        _tell(as_json, f"{made.subject} is {made.role} of {tenant}.", {"subject": made.subject, "role": made.role})

    console.run(deed())


@member.command("revoke")
def member_revoke(subject: Subject, tenant: Tenant, env: Env, as_json: AsJson = False) -> None:
    """Take all rights from a subject, at once."""

    async def deed() -> None:
        async with open_stores(console.settings().config) as stores:
            scope = await existing(stores, tenant, env)
            made = await membership.revoke_member(stores, scope, subject)
        _tell(as_json, f"{made.subject} has no rights in {tenant}.", {"subject": made.subject, "status": made.status})

    console.run(deed())


@member.command("list")
def member_list(tenant: Tenant, env: Env, as_json: AsJson = False) -> None:
    """List the members of a tenant."""

    async def deed() -> None:
        rows: list[dict[str, Any]] = []
        async with open_stores(console.settings().config) as stores:
            scope = await existing(stores, tenant, env)
            window = Window(100)
            while True:
                page = await membership.members(stores, scope, window)
                rows += [{"subject": m.subject, "role": m.role.value, "status": m.status.value} for m in page.items]
                if not page.has_next:
                    break
                window = Window(100, after=page.keys[-1])
        if as_json:
            console.document(rows)
        else:
            console.table(["subject", "role", "status"], [list(row.values()) for row in rows])

    console.run(deed())


@key.command("create")
def key_create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    tenant: Tenant,
    env: Env,
    days: Annotated[int, typer.Option(help="How many days it lives, 1 to 366.")] = 90,
    as_json: AsJson = False,
) -> None:
    """Make an API key. Its text is shown this once."""

    async def deed() -> None:
        async with open_stores(console.settings().config) as stores:
            scope = await existing(stores, tenant, env)
            made, secret = await keys.create_key(stores, scope, name, days)
        _tell(as_json, secret, {"keyId": made.key_id, "secret": secret, "expiresAt": iso(made.expires_at)})

    console.run(deed())


@key.command("revoke")
def key_revoke(
    key_id: Annotated[str, typer.Argument(help="The key's public id.")],
    tenant: Tenant,
    env: Env,
    as_json: AsJson = False,
) -> None:
    """End an API key, at once."""

    async def deed() -> None:
        async with open_stores(console.settings().config) as stores:
            scope = await existing(stores, tenant, env)
            made = await keys.revoke_key(stores, scope, key_id)
        _tell(as_json, f"Ended the key {made.key_id}.", {"keyId": made.key_id})

    console.run(deed())


def token(
    subject: Subject,
    hours: Annotated[float, typer.Option(help="How long it is good.", min=0.01, max=720)] = 12,
    as_json: AsJson = False,
) -> None:
    """Make a bearer token with the local development key; good in env dev only."""
    config = console.settings().config
    try:
        made = development_token(config, subject, timedelta(hours=hours))
    except ConfigurationError as error:
        console.fail(str(error), status=console.MISUSED)
    _tell(as_json, made, {"token": made})


def development_token(config: Config, subject: str, lifetime: timedelta) -> str:
    """A token signed with the installation's development key. Raises ConfigurationError when there is none."""
    if config.development_key is None:
        raise ConfigurationError("NEXUS_DEVELOPMENT_KEY is not set. Run `nexus-graph init` in a development folder.")
    try:
        [jwk] = json.loads(config.development_key.read_text())["keys"]
        signing_key = OKPKey.import_key(jwk)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError(f"{config.development_key} holds no development key.") from error
    return tokens.issue(signing_key, subject=subject, now=system_clock(), lifetime=lifetime)


async def existing(stores: Stores, tenant_id: str, env_name: str) -> Scope:
    """The operator's scope in a tenant. Raises NotFound when there is no such tenant."""
    scope = console.operator(tenant_id, env_name)
    async with stores.read(scope) as read:
        if await read.row(table.FIND_TENANT) is None:
            raise NotFound("tenant")
    return scope


def _tell(as_json: bool, text: str, value: dict[str, Any]) -> None:
    console.document(value) if as_json else console.say(text)
