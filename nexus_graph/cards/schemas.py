"""The part of JSON Schema 2020-12 that manifests may use, and how a header is judged by it.

Only keywords whose cost is bounded by the size of the header are allowed: no references, no unique items, and patterns
that are anchored and repeat within stated bounds. Formats are asserted, never ignored. A key with
`{enum: []}`, for which there is no value, is one of another card type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from nexus_graph.cards.header import Path
from nexus_graph.scope.canonical import Json

_PLAIN = frozenset(
    (
        *("title", "description", "type", "enum", "const", "format", "pattern", "required"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength"),
        *("minItems", "maxItems", "minProperties", "maxProperties"),
    )
)
_ONE_SCHEMA = frozenset(("items", "additionalProperties", "propertyNames", "if", "then", "else"))
_MANY_SCHEMAS = frozenset(("allOf", "anyOf"))
_NAMED_SCHEMAS = frozenset(("properties",))

_ESCAPE_OR_CLASS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]")
_UNBOUNDED = re.compile(r"[*+]|\{\d+,\}|\)[{]")

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[-+][0-9]{2}:[0-9]{2})")

_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date", raises=ValueError)
def _is_date(value: object) -> bool:
    """RFC 3339, full-date; Python alone also takes weeks and other spellings of ISO 8601."""
    return not isinstance(value, str) or (_DATE.fullmatch(value) is not None and bool(date.fromisoformat(value)))


@_FORMATS.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    """RFC 3339, date-time, always with an offset."""
    if not isinstance(value, str):
        return True
    day, _, time = value.partition("T")
    return _is_date(day) and _TIME.fullmatch(time) is not None and bool(datetime.fromisoformat(value))


@_FORMATS.checks("uri", raises=ValueError)
def _is_uri(value: object) -> bool:
    """An absolute address with a host and without a password in it."""
    if not isinstance(value, str):
        return True
    parts = urlsplit(value)
    return bool(parts.scheme and parts.hostname) and "@" not in parts.netloc and not re.search(r"\s", value)


def _pattern(validator: Any, pattern: str, instance: object, schema: object) -> Iterator[ValidationError]:
    """As JSON Schema means it: `$` is the end of the text, not also the place before a last line feed."""
    if isinstance(instance, str) and not re.match(pattern.removesuffix("$") + r"\Z", instance, re.ASCII):
        yield ValidationError("pattern")


_Validator = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]


class Fault(NamedTuple):
    """What is wrong in a value, and where: `path` leads to it from the root."""

    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class Schema:
    """A vetted schema, ready to judge."""

    definition: Mapping[str, Json]
    _validator: Validator

    @classmethod
    def build(cls, definition: Mapping[str, Json]) -> Schema:
        """Vet `definition`. Raises ValueError naming what is malformed or not allowed."""
        try:
            Draft202012Validator.check_schema(definition)
        except SchemaError as error:
            raise ValueError(
                f"the schema is malformed at {spell(tuple(error.absolute_path))}: {error.message}"
            ) from None
        _vet(definition, ())
        return cls(definition, _Validator(definition, format_checker=_FORMATS))

    def fault(self, value: Json) -> Fault | None:
        """The first thing that breaks the schema, in the schema's order, or None. Never repeats the value itself."""
        error = next(self._validator.iter_errors(value), None)
        return _fault(error) if error else None


def spell(path: Path) -> str:
    """A path as a person writes it: `rituals[2].cadence`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:64]}" for part in path)
    return text.removeprefix(".") or "the top"


def _vet(schema: Json, path: Path) -> None:
    if not isinstance(schema, Mapping):
        return
    for keyword, value in schema.items():
        here = (*path, keyword)
        if keyword in _ONE_SCHEMA:
            _vet(value, here)
        elif keyword in _MANY_SCHEMAS and isinstance(value, list):
            for position, each in enumerate(value):
                _vet(each, (*here, position))
        elif keyword in _NAMED_SCHEMAS and isinstance(value, Mapping):
            for name, each in value.items():
                _vet(each, (*here, name))
        elif keyword not in _PLAIN:
            raise ValueError(f"the schema uses {keyword!r} at {spell(path)}, which manifests may not use")
        elif keyword == "format" and value not in _FORMATS.checkers:
            raise ValueError(f"the schema uses an unknown format at {spell(path)}")
        elif keyword == "pattern" and not _is_bounded(str(value)):
            raise ValueError(f"the pattern at {spell(path)} must be ^anchored$ and repeat within bounds")


def _is_bounded(pattern: str) -> bool:
    bare = _ESCAPE_OR_CLASS.sub("x", pattern)
    return bare.startswith("^") and bare.endswith("$") and not _UNBOUNDED.search(bare)


def _fault(error: ValidationError) -> Fault:
    path: Path = tuple(error.absolute_path)
    keyword, rule, value = str(error.validator), cast("Any", error.validator_value), cast("Any", error.instance)
    if "propertyNames" in error.absolute_schema_path:
        return Fault(path, f"holds a key that breaks {keyword} {_short(rule)}")
    match keyword:
        case "type":
            return Fault(path, f"must be of type {_short(rule)}")
        case "required":
            return Fault(path, f"lacks {', '.join(name for name in rule if name not in value)}")
        case "additionalProperties":
            known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
            extra = next(name for name in value if name not in known)
            return Fault((*path, extra), "is not a known key here")
        case "enum":
            return Fault(path, f"must be one of {_short(rule)}" if rule else "belongs to another card type")
        case "const":
            return Fault(path, f"must be exactly {_short(rule)}")
        case "anyOf":
            wanted = [", ".join(each["required"]) for each in rule if isinstance(each, Mapping) and "required" in each]
            return Fault(path, f"needs one of {_short(wanted)}" if wanted else "fits none of the allowed forms")
        case _:
            return Fault(path, f"breaks {keyword} {_short(rule)}")


def _short(rule: object) -> str:
    text = ", ".join(str(each) for each in rule) if isinstance(rule, list) else str(rule)
    return text if len(text) <= 300 else f"{text[:299]}…"
