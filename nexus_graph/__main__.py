"""The command line: `nexus-graph`, or `python -m nexus_graph`.

A command's module is imported when the command is used, so that help, and a misspelt name, are answered at once. They
are told in plain text: what draws boxes around them takes as long to import as all else together.

Exit status: 0 done; 1 something was refused, failed or found broken; 2 wrong usage or configuration; 130 interrupted.
"""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS: Final = {
    "demo": ("demonstrating:demo", "Two tenants, real files, atoms, cards, a pack and its live log, in this folder."),
    "serve": ("serving:serve", "Serve GraphQL until interrupted."),
    "init": ("installing:init", "Make a development installation in this folder."),
    "migrate": ("installing:migrate", "Bring the database to the newest schema; makes it when there is none."),
    "config": ("installing:config", "Show every setting, its value (secrets masked) and where it came from."),
    "schema": ("installing:schema", "Print the GraphQL schema (SDL)."),
    "operations": ("installing:operations", "Show the trusted documents."),
    "token": ("directory:token", "Make a bearer token with the local development key."),
    "import": ("importing:import_files", "Keep files: those with a card fence as cards, all others as raw assets."),
    "derive": ("renewing:derive", "Derive again what an older version of a recipe read."),
    "check": ("checking:check", "Prove that journal, runs, objects, atoms, cards, index, quotas agree everywhere."),
    "reindex": ("checking:reindex", "Build the index anew beside the old one, with the configured embedder."),
    "move": ("moving.command:move", "Copy everything to another installation, on whatever engines."),
    "tenant": ("directory:tenant", "Make and list tenants."),
    "member": ("directory:member", "Give roles to people, and take them."),
    "key": ("directory:key", "Make and end API keys for agents."),
    "audit": ("checking:audit", "Prove the journal."),
    "erasure": ("erasing:erasures", "Look at the erasure ledger, and replay it after a restore."),
    "redaction": ("reflagging:redaction", "Flags of what is kept, and the ruleset that they follow."),
    "prove": ("proving:prove", "Prove what is promised."),
}
"""By name: where it is in `administration`, and what the list of commands says of it."""


class Commands(TyperGroup):
    """All commands. `commands` are their names and what the list says; `resolve_command` brings the real one."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command of a name, imported. Raises UsageError for one that there isn't."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed and real(str(name)), rest

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """All commands with the whole of what is said of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def real(name: str) -> Any:
    """A command, imported: a typer command, or a group of them."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    gc.disable()  # all that is imported stays, and it takes long to look for garbage among it again and again
    try:
        found = getattr(import_module(f"nexus_graph.administration.{module}"), attribute)
    finally:
        gc.freeze()
        gc.enable()
    alone = typer.Typer(rich_markup_mode=None)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    return typer.main.get_group(alone).commands[name]


app: Final = Commands(
    name="nexus-graph",
    help="A multi-tenant knowledge engine with one GraphQL door.",
    commands=[TyperCommand(name, help=line) for name, (_, line) in COMMANDS.items()],
    no_args_is_help=True,
    rich_markup_mode=None,
)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
