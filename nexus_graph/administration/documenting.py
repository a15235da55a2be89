"""Renders the pages that are nothing but the code's own word (permissions, settings, gates, schema, formats) in docs/.

`python -m nexus_graph.administration.documenting`, in a checkout, writes them; a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from graphql import ConstDirectiveNode, InterfaceTypeDefinitionNode, ObjectTypeDefinitionNode, StringValueNode, parse
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from nexus_graph.config import PREFIX, Config
from nexus_graph.scope.decision import Gate
from nexus_graph.scope.issuers import TokenIssuer
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.policy import GRANTABLE, Policy
from nexus_graph.scope.resources import resource

if TYPE_CHECKING:
    from nexus_graph.api.declarations import Declared

DOCS = Path("docs")

_PERMISSIONS = """\
# Permissions

Who may do what, rendered from `casbin_model.conf`, `policies/*.csv` and the schema. Do not edit this page: change the
policy or the field, then run `python -m nexus_graph.administration.documenting`.

Whatever is not allowed here is denied, and a `deny` row wins over every `allow`. Owners hold what admins hold, admins
what members hold; agents, which come with an API key, hold what they are given and nothing else. A field demands its
permission with `@guard(permission: ...)` in `schema/nexus.graphql`, and the room behind it demands it once more. Some
rules work inside a field: without `runs:read_all` one sees only one's own runs; only an owner decides about owners.

A dash in the last column means that the room looks the right up; no field demands it by itself.
"""

_CONFIGURATION = """\
# Configuration

Every setting, rendered from `nexus_graph/config.py`. Do not edit this page: change the settings there, then run
`python -m nexus_graph.administration.documenting`.

A setting is read once, when a process starts: from the environment as it is named here, or from a TOML file under its
name in lower case without `NEXUS_`. The environment wins over the file, an option of a command over both. The file is
`nexus.toml` in the current folder unless `NEXUS_CONFIG` names another; paths in it are relative to it. An unknown name,
a missing setting or a wrong value stops the start, and all of them are named at once. One of `NEXUS_ISSUERS` and
`NEXUS_DEVELOPMENT_KEY` is needed. `nexus-graph config` shows each value, secrets masked, and where it came from;
`nexus-graph init` makes a development installation with everything that is required.

Times are in seconds and sizes in bytes unless the text says otherwise.
"""

_ISSUERS = """\
## Issuers

`NEXUS_ISSUERS` is a JSON list of objects in the environment, and tables `[[issuers]]` in the file. Each has these
members; [operations.md](operations.md#identity-providers) has examples.
"""

_GATES = """\
# Gates

What may stop a request, rendered from the chain of safeguards and the schema. Do not edit this page: change the field's
declaration, then run `python -m nexus_graph.administration.documenting`.

Every mutation asks all gates inside its own transaction, in this order, and answers with the code of the first that
refuses; `blockers` names all of them. Before that the door asks those that need no amounts: it takes the price before
anything is executed, then asks the kill switch and the role of each field. So somebody without the right is told
`FORBIDDEN` even where there is no room left. `viewer { can(action: ..., target: ...) }` asks the same gates beforehand
and names everything at once; `dryRun` does the whole deed and takes it back.
"""

_GATED = """\
A price is what the field itself costs, without what is asked of its answer. A field without a dash under `lock` needs
an approved Strategy Lock when that is so. Queries that cost a point and need neither lock nor exemption are left out:
[permissions.md](permissions.md) has them.
"""

_KINDS = {
    Path: "path",
    SecretStr: "secret",
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
}
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def permissions_page(policy: Policy, fields: Mapping[str, Sequence[str]]) -> str:
    """The page of permissions: one row for each, who holds it, and the fields that demand it."""
    rows = [
        [
            f"`{right}`",
            *["yes" if right in policy.rights[role] else "" for role in GRANTABLE],
            ", ".join(f"`{field}`" for field in fields.get(right.value, ())) or "-",
        ]
        for right in Permission
    ]
    return _PERMISSIONS + "\n" + table(["permission", *GRANTABLE, "demanded by"], rows)


def configuration_page() -> str:
    """The page of settings: one row for each, what it takes, its default, and what it is."""
    columns = ["takes", "default", "what it is"]
    required_first = sorted(Config.model_fields.items(), key=lambda item: not item[1].is_required())
    settings = [[f"`{PREFIX}{name.upper()}`", *_row(field)] for name, field in required_first]
    members = [[f"`{name}`", *_row(field)] for name, field in TokenIssuer.model_fields.items()]
    return "\n".join(
        [_CONFIGURATION, table(["setting", *columns], settings), _ISSUERS, table(["member", *columns], members)]
    )


def gates_page(order: Mapping[Gate, str], declared: Iterable[Declared]) -> str:
    """The page of gates: their order, and one row for each field that is more than a cheap query."""
    gates = [[str(place), f"`{gate}`", f"`{code}`"] for place, (gate, code) in enumerate(order.items(), 1)]
    fields = [
        [
            f"`{each.root}.{each.field}`",
            f"`{each.permission}`",
            str(each.points),
            each.locked or "-",
            "no" if each.unstoppable else "yes",
        ]
        for each in declared
        if each.root != "Query" or each.points > 1 or each.unstoppable
    ]
    return "\n".join(
        [
            _GATES,
            table(["", "gate", "refuses with"], gates),
            _GATED,
            table(["field", "permission", "points", "lock", "a kill switch halts it"], fields),
        ]
    )


def guarded_fields(sdl: str) -> dict[str, list[str]]:
    """The fields of a printed schema by the permission that their `@guard` names, such as `Mutation.publishCard`."""
    found: dict[str, list[str]] = {Permission.SCHEMA_INTROSPECT.value: ["__schema", "__type"]}  # of the language
    for definition in parse(sdl).definitions:
        if isinstance(definition, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
            for field in definition.fields or ():
                for permission in _permissions(field.directives or ()):
                    found.setdefault(permission, []).append(f"{definition.name.value}.{field.name.value}")
    return {permission: sorted(names) for permission, names in found.items()}


def _permissions(directives: Iterable[ConstDirectiveNode]) -> Iterable[str]:
    for directive in directives:
        for argument in directive.arguments or ():
            if directive.name.value == "guard" and isinstance(argument.value, StringValueNode):
                yield argument.value.value


def _row(field: FieldInfo) -> list[str]:
    return [_takes(field), _default(field), field.description or ""]


def _takes(field: FieldInfo) -> str:
    annotation: Any = field.annotation
    if get_origin(annotation) in (UnionType, Union):
        annotation = next(kind for kind in get_args(annotation) if kind is not NoneType)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is tuple:
        return "list of issuers" if get_args(annotation)[0] is TokenIssuer else "text, or a list of texts"
    bounds = [
        f"{words} {getattr(limit, name)}"
        for limit in field.metadata
        for name, words in _BOUNDS.items()
        if hasattr(limit, name)
    ]
    return ", ".join([_KINDS[annotation], *bounds])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return "-" if field.default in (None, (), "") else f"`{field.default}`"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as Markdown writes it."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def render() -> dict[str, str]:
    """The rendered pages by file name."""
    from nexus_graph.administration.formats_reference import formats_page
    from nexus_graph.administration.schema_reference import schema_page
    from nexus_graph.api.declarations import declarations
    from nexus_graph.api.schema import build, sdl
    from nexus_graph.atoms import RECIPES
    from nexus_graph.safeguards.chain import ORDER

    policy = Policy.load(resource("casbin_model.conf"), resource("policies"))
    return {
        "permissions.md": permissions_page(policy, guarded_fields(sdl())),
        "configuration.md": configuration_page(),
        "gates.md": gates_page(ORDER, declarations(build()).values()),
        "schema.md": schema_page(sdl()),
        "formats.md": formats_page(RECIPES),
    }


def main(folder: Path = DOCS) -> None:
    """Write the pages."""
    if not folder.is_dir():
        raise SystemExit("There is no folder docs/ here. Run this at the top of a checkout.")
    for name, page in render().items():
        (folder / name).write_text(page, "utf-8")


if __name__ == "__main__":
    main()
