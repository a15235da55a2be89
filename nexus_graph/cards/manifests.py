"""Manifests: what a card type's header must look like, and how the engine may treat its cards.

A manifest is a YAML file `<card_type>.yaml`, read by the same strict reader as card headers:

    card_type    the type it describes, equal to the file's name
    version      integer, raised with every change
    title        what a screen calls the type
    description  what such a card is for
    strategic    true: writing such a card needs a Strategy Lock
    singleton    false; true: one card in a scope; or a list of header keys: one card for each combination of them
    filterable   header field -> text | number | boolean; a list counts once for each of its entries
    excerpt      `body`, or the header field that stands for the card where there is little room
    schema       JSON Schema 2020-12 of the header, in the part that `schemas.py` allows

The engine reads manifests to validate, and never acts on what a card says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from nexus_graph.cards.format import Parsed, place
from nexus_graph.cards.header import read
from nexus_graph.cards.schemas import Schema, spell
from nexus_graph.scope.canonical import Json, canonical
from nexus_graph.scope.errors import ConfigurationError, Invalid

MAX_FILTERABLE_TEXT = 256


class FieldKind(StrEnum):
    """What a filterable header field holds."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"


_KINDS = {
    "string": FieldKind.TEXT,
    "number": FieldKind.NUMBER,
    "integer": FieldKind.NUMBER,
    "boolean": FieldKind.BOOLEAN,
}

_SHAPE = Schema.build(
    {
        "type": "object",
        "required": [
            *("card_type", "version", "title", "description", "strategic"),
            *("singleton", "filterable", "excerpt", "schema"),
        ],
        "additionalProperties": False,
        "properties": {
            "card_type": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"},
            "version": {"type": "integer", "minimum": 1},
            "title": {"type": "string", "minLength": 1},
            "description": {"type": "string", "minLength": 1},
            "strategic": {"type": "boolean"},
            "singleton": {
                "anyOf": [{"type": "boolean"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}],
            },
            "filterable": {"type": "object", "additionalProperties": {"enum": [kind.value for kind in FieldKind]}},
            "excerpt": {"type": "string"},
            "schema": {"type": "object", "required": ["type", "properties"]},
        },
    }
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known of one card type. `singleton`: None for any number of cards, `()` for one in a scope."""

    card_type: str
    version: int
    title: str
    description: str
    strategic: bool
    singleton: tuple[str, ...] | None
    filterable: Mapping[str, FieldKind]
    excerpt: str
    schema: Schema

    @classmethod
    @lru_cache(maxsize=100)
    def read(cls, text: str) -> Manifest:
        """Read a manifest; the same text is judged once. Raises Invalid or ValueError saying what is wrong."""
        values: Any = read(text).values
        if fault := _SHAPE.fault(values):
            raise ValueError(f"{spell(fault.path)} {fault.message}")
        singleton = values["singleton"]
        manifest = cls(
            card_type=values["card_type"],
            version=values["version"],
            title=values["title"],
            description=values["description"],
            strategic=values["strategic"],
            singleton=tuple(singleton) if isinstance(singleton, list) else () if singleton else None,
            filterable=MappingProxyType({name: FieldKind(kind) for name, kind in values["filterable"].items()}),
            excerpt=values["excerpt"],
            schema=Schema.build(values["schema"]),
        )
        manifest._check()
        return manifest

    def validate(self, parsed: Parsed) -> None:
        """Judge a card's header. Raises Invalid with the path in the header, line and column."""
        if fault := self.schema.fault(parsed.header):
            line, column = place(parsed, fault.path)
            raise Invalid(
                f"{self.card_type}: {spell(fault.path)} {fault.message}.",
                hint=f"See the manifest of {self.card_type}, version {self.version}.",
                path=("header", *fault.path),
                line=line,
                column=column,
            )

    def singleton_of(self, parsed: Parsed) -> str | None:
        """What only one current card of a scope may have: canonical JSON of the type and its singleton keys' values."""
        if self.singleton is None:
            return None
        return canonical([self.card_type, *(parsed.header.get(key) for key in self.singleton)]).decode()

    def _check(self) -> None:
        properties = cast("Mapping[str, Any]", self.schema.definition["properties"])
        required = cast("list[str]", self.schema.definition.get("required", []))
        for key in self.singleton or ():
            if key not in required or properties.get(key, {}).get("type") != "string":
                raise ValueError(f"the singleton key {key!r} must be a required string of the schema")
        for name, kind in self.filterable.items():
            described = properties.get(name, {})
            if described.get("type") == "array":
                described = described.get("items", {})
            if _KINDS.get(described.get("type", "")) is not kind:
                raise ValueError(f"the filterable field {name!r} is not described as {kind} by the schema")
            bounded = "enum" in described or described.get("maxLength", MAX_FILTERABLE_TEXT + 1) <= MAX_FILTERABLE_TEXT
            if kind is FieldKind.TEXT and not bounded:
                raise ValueError(f"the filterable field {name!r} needs an enum or maxLength <= {MAX_FILTERABLE_TEXT}")
        if self.excerpt != "body" and properties.get(self.excerpt, {}).get("type") != "string":
            raise ValueError(f"the excerpt field {self.excerpt!r} must be `body` or a string of the schema")


@dataclass(frozen=True, slots=True)
class Manifests:
    """All manifests, by card type. A type without one is allowed: opaque, not strategic, not filterable."""

    by_type: Mapping[str, Manifest]

    @classmethod
    def load(cls, folder: Traversable | Path) -> Manifests:
        """Read every `.yaml` file of `folder`. Raises ConfigurationError naming each file that is wrong."""
        by_type: dict[str, Manifest] = {}
        wrong: list[str] = []
        for file in sorted(folder.iterdir(), key=lambda file: file.name):
            if not file.name.endswith(".yaml"):
                continue
            try:
                manifest = Manifest.read(file.read_bytes().decode())
                if file.name != f"{manifest.card_type}.yaml":
                    raise ValueError(f"the file must be named {manifest.card_type}.yaml")
                by_type[manifest.card_type] = manifest
            except (Invalid, ValueError) as error:
                wrong.append(f"Manifest {file.name}: {error}")
        if wrong or not by_type:
            raise ConfigurationError("\n".join(wrong) or f"No manifests in {folder}.")
        return cls(MappingProxyType(by_type))

    def get(self, card_type: str) -> Manifest | None:
        """The manifest of a card type, if there is one."""
        return self.by_type.get(card_type)

    def strategic(self, card_type: str) -> bool:
        """Whether writing a card of this type needs a Strategy Lock."""
        manifest = self.by_type.get(card_type)
        return manifest is not None and manifest.strategic

    def validate(self, parsed: Parsed) -> None:
        """Judge a card by the manifest of its type, if there is one. Raises Invalid."""
        if manifest := self.get(parsed.card_type):
            manifest.validate(parsed)


def filter_fields(parsed: Parsed, manifest: Manifest) -> list[tuple[str, str | float | bool]]:
    """The filterable fields of a valid card as rows, in the manifest's order, without repetition; numbers as floats."""
    rows: dict[tuple[str, type, Json], tuple[str, str | float | bool]] = {}
    for name in manifest.filterable:
        stated = parsed.header.get(name)
        for value in stated if isinstance(stated, list) else [stated]:
            if isinstance(value, (str, bool)):
                rows[name, type(value), value] = (name, value)
            elif isinstance(value, (int, float)):
                rows[name, float, float(value)] = (name, float(value))
    return list(rows.values())
