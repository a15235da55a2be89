"""What every field of the three root types declares of its gates: read back from the schema, for preflight and docs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import strawberry

from nexus_graph.api.fields import Cost, Guard, Locked, Unstoppable
from nexus_graph.api.idempotency import DeedInput
from nexus_graph.api.strawberry_inside import StrawberryField, inputs
from nexus_graph.api.strawberry_inside import fields as declared_fields
from nexus_graph.scope.permission import Permission

ROOTS = QUERY, MUTATION, SUBSCRIPTION = "Query", "Mutation", "Subscription"


@dataclass(frozen=True, slots=True)
class Declared:
    """The gates of one field. `locked` says when it needs a Strategy Lock, None that it never does."""

    root: str
    field: str
    permission: Permission
    points: int
    locked: str | None
    unstoppable: bool


@lru_cache(maxsize=4)
def declarations(schema: strawberry.Schema) -> Mapping[str, Declared]:
    """Every query, mutation and subscription by its name, in the order of the roots and of the schema."""
    found = (_declared(root, name, field) for root, name, field in _fields(schema))
    return {each.field: each for each in found if each is not None}


def undeclared(schema: strawberry.Schema) -> list[str]:
    """What is missing or ambiguous, a line each. The server starts only when there is nothing.

    A mutation declares its right and its price, and takes an input with `dryRun`. No two fields share a name, so that
    an action is named by its field alone.
    """
    missing, seen = [], dict[str, str]()
    for root, name, field in _fields(schema):
        place = f"{root}.{name}"
        if _declared(root, name, field) is None:
            missing.append(f"{place} declares no right or no price")
        if root == MUTATION and not _rehearsable(field):
            missing.append(f"{place} takes no input that can be a dry run")
        if name in seen:
            missing.append(f"{place} bears the name of {seen[name]}")
        seen[name] = place
    return missing


def _fields(schema: strawberry.Schema) -> Iterator[tuple[str, str, StrawberryField]]:
    found = [each for each in declared_fields(schema) if each[0] in ROOTS]
    yield from sorted(found, key=lambda each: ROOTS.index(each[0]))


def _declared(root: str, name: str, field: StrawberryField) -> Declared | None:
    by_kind: dict[type, Any] = {type(directive): directive for directive in field.directives}
    if Guard not in by_kind or Cost not in by_kind:
        return None
    locked = by_kind[Locked].when if Locked in by_kind else None
    right = Permission(by_kind[Guard].permission)
    return Declared(root, name, right, by_kind[Cost].points, locked, Unstoppable in by_kind)


def _rehearsable(field: StrawberryField) -> bool:
    wanted = {member.name for member in fields(DeedInput)}
    return any(wanted <= {member.name for member in fields(kind)} for kind in inputs(field) if isinstance(kind, type))
