"""The command line: `nexus-graph`, or `python -m nexus_graph`.

Exit status: 0 done; 1 something was refused, failed or found broken; 2 wrong usage or configuration; 130 interrupted.
"""

from __future__ import annotations

import typer

from nexus_graph.administration import (
    checking,
    demonstrating,
    directory,
    erasing,
    importing,
    installing,
    proving,
    reflagging,
    renewing,
    serving,
)
from nexus_graph.administration.moving import command as moving

app = typer.Typer(
    name="nexus-graph",
    help="A multi-tenant knowledge engine with one GraphQL door.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(demonstrating.demo)
app.command()(serving.serve)
app.command()(installing.init)
app.command()(installing.migrate)
app.command()(installing.config)
app.command()(installing.schema)
app.command()(installing.operations)
app.add_typer(directory.tenant, name="tenant")
app.add_typer(directory.member, name="member")
app.add_typer(directory.key, name="key")
app.command()(directory.token)
app.command("import")(importing.import_files)
app.command()(renewing.derive)
app.command()(checking.check)
app.command()(checking.reindex)
app.add_typer(checking.audit, name="audit")
app.command()(moving.move)
app.add_typer(erasing.erasures, name="erasure")
app.add_typer(reflagging.redaction, name="redaction")
app.add_typer(proving.prove, name="prove")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
