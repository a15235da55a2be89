"""From a mutation's input to the request that its idempotency key stands for."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import strawberry
from strawberry import UNSET

from nexus_graph.scope.canonical import Json
from nexus_graph.scope.clock import iso
from nexus_graph.scope.errors import Invalid
from nexus_graph.stores.repeating import Once

LONGEST_KEY = 200
DEEPEST = 64


@strawberry.input
class DeedInput:
    """What every mutation takes."""

    dry_run: bool = strawberry.field(default=False, description="Do everything and take it back: nothing is changed.")


@strawberry.input
class RepeatableInput(DeedInput):
    """What every mutation takes that can be repeated safely."""

    idempotency_key: str | None = strawberry.field(default=None, description="Repeat safely with the same key.")


def once(field: str, input: Any) -> Once | None:
    """What repeats a mutation safely; None when its input has no key, or is a dry run that leaves nothing to repeat.

    Raises Invalid for a key over 200 characters, and for JSON that is nested deeper than 64.
    """
    key = input.idempotency_key
    if key is None or input.dry_run:
        return None
    if not 1 <= len(key) <= LONGEST_KEY:
        raise Invalid(f"An idempotency key has 1 to {LONGEST_KEY} characters.", path=("input", "idempotencyKey"))
    members = {
        each.name: getattr(input, each.name)
        for each in fields(input)
        if each.name not in ("idempotency_key", "dry_run")
    }
    return Once(key, [field, _plain(members, 0)])


def _plain(value: Any, depth: int) -> Json:
    if depth > DEEPEST:
        raise Invalid(f"The input is nested deeper than {DEEPEST} levels.", path=("input",))
    if value is UNSET:
        return None
    if is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, dict):
        return {str(name): _plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, datetime):
        return iso(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
