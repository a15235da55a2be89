"""Releases the schema: from then on, whatever is printed in `schema/nexus.graphql` is a promise to clients.

`python -m nexus_graph.administration.releasing`, in a checkout, gives what stands under Unreleased in the changelog the
version of pyproject.toml and makes `schema/released.graphql` a copy. A test asks `untold` at every change before that.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

from graphql import (
    DangerousChangeType,
    GraphQLInputObjectType,
    GraphQLSchema,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    build_schema,
    find_breaking_changes,
    find_dangerous_changes,
    parse,
    print_ast,
)

UNRELEASED = "## Unreleased\n"
_OTHER_DEFAULTS = {DangerousChangeType.ARG_DEFAULT_VALUE_CHANGE, DangerousChangeType.INPUT_FIELD_DEFAULT_VALUE_CHANGE}
_DEMANDS = {"guard", "locked"}


def breaking(released: str, now: str) -> list[str]:
    """What a client of the released SDL would stumble over in this one, a sentence each, sorted.

    All that GraphQL calls breaking; another default, which changes what the same document means; an input that takes
    one field only from now on; another permission or lock. What comes on top (a field, a type, an enum's or union's
    member, an argument that may be left out) is not: clients are to expect it.
    """
    old, new = build_schema(released), build_schema(now)
    found = [change.description for change in find_breaking_changes(old, new)]
    found += [change.description for change in find_dangerous_changes(old, new) if change.type in _OTHER_DEFAULTS]
    return sorted([*found, *_narrowed(old, new), *_demanding(released, now)])


def untold(released: str, now: str, changelog: str) -> list[str]:
    """The breaking changes that don't stand under Unreleased: each begins an item of its own, word for word."""
    told = " ".join(_unreleased(changelog).split())
    return [change for change in breaking(released, now) if f"- {change}" not in told]


def _unreleased(changelog: str) -> str:
    return changelog.partition(UNRELEASED)[2].partition("\n## ")[0]


def _narrowed(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[str]:
    for name, after in new.type_map.items():
        before = old.type_map.get(name)
        if not isinstance(before, GraphQLInputObjectType) or not isinstance(after, GraphQLInputObjectType):
            continue
        if after.is_one_of and not before.is_one_of:
            yield f"Input {name} takes exactly one field now."


def _demanding(released: str, now: str) -> Iterator[str]:
    before = dict(_demands(released))
    for field, demanded in _demands(now):
        for demand in sorted(demanded - before.get(field, demanded)):
            yield f"Field {field} demands {demand} now."


def _demands(sdl: str) -> Iterator[tuple[str, set[str]]]:
    """Every field, and its directives that a caller has to satisfy."""
    for kind in parse(sdl).definitions:
        if isinstance(kind, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
            for field in kind.fields or ():
                demanded = {print_ast(each) for each in field.directives or () if each.name.value in _DEMANDS}
                yield f"{kind.name.value}.{field.name.value}", demanded


def release(checkout: Path, printed: str) -> str:
    """Release what the checkout holds; returns the version. `printed` is the SDL of its code.

    Raises ValueError when something is missing: then nothing is changed.
    """
    now, released = checkout / "schema/nexus.graphql", checkout / "schema/released.graphql"
    log = checkout / "docs/changelog.md"
    changelog = log.read_text("utf-8")
    version = str(tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))["project"]["version"])
    heading = f"## {version}\n"
    if now.read_text("utf-8") != printed:
        raise ValueError("schema/nexus.graphql is not current. Run `nexus-graph schema > schema/nexus.graphql`.")
    if heading in changelog:
        raise ValueError(f"{version} is released already. Set the next version in pyproject.toml.")
    if not _unreleased(changelog).strip():
        raise ValueError("docs/changelog.md has nothing under Unreleased.")
    if missing := untold(released.read_text("utf-8"), printed, changelog):
        raise ValueError("docs/changelog.md must tell under Unreleased:\n" + "\n".join(missing))
    log.write_text(changelog.replace(UNRELEASED, f"{UNRELEASED}\n{heading}", 1), "utf-8")
    shutil.copyfile(now, released)
    return version


def main() -> None:
    """Release what the checkout in this folder holds."""
    from nexus_graph.api.schema import sdl

    try:
        release(Path(), sdl())
    except (OSError, ValueError) as refused:
        raise SystemExit(f"Not released: {refused}") from refused


if __name__ == "__main__":
    main()
