"""`init`, `migrate`, `config`, `schema`, `operations`: what stands before the first request."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from nexus_graph.administration import console
from nexus_graph.config import DEFAULT_FILE
from nexus_graph.scope.errors import ConfigurationError
from nexus_graph.stores.migrations import migrate as migrate_database
from nexus_graph.tenants.tokens import new_development_key

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

_TEMPLATE = """\
# Made by `nexus-graph init` for development on this machine. docs/configuration.md tells every setting.
data = "nexus-data"
development_key = "nexus-data/development-key.json"
erasure_ledger = "erasures.jsonl"
metrics_token = "{token}"
signing_secret = "{secret}"
"""


def install(folder: Path) -> bool:
    """Make `nexus.toml`, a development key and an empty data folder. False when `nexus.toml` is there already."""
    file = folder / DEFAULT_FILE
    if file.exists():
        return False
    data = folder / "nexus-data"
    if data.exists() and any(data.iterdir()):
        raise ConfigurationError(f"{data} is not empty but {file} is missing. Restore the file or empty the folder.")
    data.mkdir(mode=0o700, exist_ok=True)
    key = new_development_key().as_dict(private=True)
    _write_private(data / "development-key.json", json.dumps({"keys": [key]}))
    _write_private(file, _TEMPLATE.format(secret=secrets.token_urlsafe(32), token=secrets.token_urlsafe(24)))
    return True


def init() -> None:
    """Make a development installation in this folder: nexus.toml, a signing key, an empty database."""
    try:
        made = install(Path())
    except ConfigurationError as error:
        console.fail(str(error), status=console.MISUSED)
    if not made:
        console.fail("There is a nexus.toml in this folder already.", status=console.MISUSED)
    revision = migrate_database(console.settings().config.database)
    console.say(
        f"Made nexus.toml and nexus-data/ (schema {revision}). Next: nexus-graph tenant create t_name --env dev"
    )


def migrate(as_json: AsJson = False) -> None:
    """Bring the database to the newest schema; makes it when there is none."""
    config = console.settings().config
    config.data.mkdir(parents=True, exist_ok=True)
    try:
        revision = migrate_database(config.database)
    except ConfigurationError as error:
        console.fail(str(error), status=console.MISUSED)
    console.document({"revision": revision}) if as_json else console.say(f"The database is at schema {revision}.")


def config(as_json: AsJson = False) -> None:
    """Show every setting, its value (secrets masked) and where it came from."""
    settings = console.settings().settings
    if as_json:
        console.document({item.name: {"value": item.value, "source": item.source} for item in settings})
    else:
        console.table(
            ["setting", "value", "source", "what it is"],
            [[item.name, item.value, item.source, item.description] for item in settings],
        )


def schema() -> None:
    """Print the GraphQL schema (SDL)."""
    from nexus_graph.api.schema import sdl

    typer.echo(sdl(), nl=False)


def operations(
    folder: Annotated[
        Path | None, typer.Argument(help="Also the documents of this folder, as NEXUS_OPERATIONS names one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the trusted documents: operation, kind, digest and file; in JSON with every digest that names each."""
    from nexus_graph.api import schema
    from nexus_graph.api.operations import trusted
    from nexus_graph.api.operations.documents import Documents

    try:
        found = trusted.trusted(Documents(schema.built().graph), folder)
    except ConfigurationError as error:
        console.fail(str(error), status=console.MISUSED)
    if as_json:
        console.document(
            [
                {
                    "operations": [{"name": name, "kind": kind} for name, kind in each.operations],
                    "digests": list(each.spellings),
                    "file": each.file,
                }
                for each in found
            ]
        )
    else:
        console.table(
            ["operation", "kind", "digest", "file"],
            [[name, kind, next(iter(each.spellings)), each.file] for each in found for name, kind in each.operations],
        )


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
