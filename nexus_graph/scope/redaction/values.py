"""Redaction of JSON values, keys included."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass

from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.redaction.accounts import is_card_number
from nexus_graph.scope.redaction.findings import RULESET, find, replace_findings

MAX_DEPTH = 64
MAX_VALUES = 200_000
MAX_CHARACTERS = 8 * 1024 * 1024

_Path = tuple[str | int, ...]
_made_by_redact = object()


@dataclass(frozen=True, slots=True)
class Redacted:
    """A JSON value without personal data and secrets. Only `redact` makes one, so to hold one is the proof.

    `value` is a copy that shares nothing mutable with the original; `pii_flags` are the sorted kinds that were found;
    `ruleset` is the version of the rules.
    """

    value: Json
    pii_flags: tuple[str, ...]
    ruleset: str
    made_by: InitVar[object]

    def __post_init__(self, made_by: object) -> None:
        if made_by is not _made_by_redact:
            raise TypeError("Redacted is made by redact() alone.")


def redact(value: Json) -> Redacted:
    """`value` with each finding in a string or key replaced by `[kind]`.

    Types stay, with one exception: an integer that is a payment card number becomes the string `[credit_card]`. Keys
    that become equal are told apart as `[email]`, `[email]#2`, ... in the order of the original keys, and a key that
    had to change never takes the name of one that had not.

    Raises Invalid for what JSON can't say and for a value deeper than 64, of more than 200,000 values, or of more than
    8 Mi characters; the error's path is redacted too.
    """
    walk = _Walk()
    redacted = walk.value(value, ())
    return Redacted(redacted, tuple(sorted(walk.kinds)), RULESET, _made_by_redact)


def pii_flags(value: Json) -> tuple[str, ...]:
    """The kinds found in the strings, keys and integers of `value`, sorted. Raises Invalid as `redact` does."""
    return redact(value).pii_flags


class _Walk:
    """One pass over one value: what was found, and how much room is left."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self._values = MAX_VALUES
        self._characters = MAX_CHARACTERS

    def value(self, value: object, path: _Path) -> Json:
        self._values -= 1
        if self._values < 0:
            raise Invalid(f"More than {MAX_VALUES:,} values in one.", hint="Send it in parts.", path=path)
        if isinstance(value, str):
            return self._text(value, path)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return self._integer(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise Invalid("A number that is not finite.", hint="JSON has no NaN and no infinity.", path=path)
            return value
        if len(path) >= MAX_DEPTH:
            raise Invalid(f"Nested deeper than {MAX_DEPTH}.", hint="Make the value flatter.", path=path)
        if isinstance(value, Mapping):
            return self._mapping(value, path)
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
            return [self.value(item, (*path, index)) for index, item in enumerate(value)]
        raise Invalid(
            f"A value of type {type(value).__name__} is not JSON.", hint="Turn it into text first.", path=path
        )

    def _text(self, text: str, path: _Path) -> str:
        self._characters -= len(text)
        if self._characters < 0:
            raise Invalid(f"More than {MAX_CHARACTERS:,} characters.", hint="Send it in parts.", path=path)
        findings = find(text)
        self.kinds.update(finding.kind for finding in findings)
        return replace_findings(text, findings) if findings else text

    def _integer(self, number: int) -> int | str:
        if 10**12 <= number < 10**19 and is_card_number(str(number)):
            self.kinds.add("credit_card")
            return "[credit_card]"
        return number

    def _mapping(self, mapping: Mapping[object, object], path: _Path) -> dict[str, Json]:
        names = self._names(mapping, path)
        return {names[key]: self.value(item, (*path, names[key])) for key, item in mapping.items()}

    def _names(self, mapping: Mapping[object, object], path: _Path) -> dict[object, str]:
        """Each key of `mapping` with its redacted name; no two are the same."""
        names: dict[object, str] = {}
        changed: list[tuple[str, str]] = []
        for key in mapping:
            if not isinstance(key, str):
                raise Invalid(f"A key of type {type(key).__name__} is not JSON.", hint="Keys are text.", path=path)
            names[key] = self._text(key, path)
            if names[key] != key:
                changed.append((key, names[key]))
        taken = names.keys() - {key for key, _ in changed}
        numbers: dict[str, int] = {}
        for key, name in sorted(changed):
            unique = name
            while unique in taken:
                numbers[name] = numbers.get(name, 1) + 1
                unique = f"{name}#{numbers[name]}"
            taken.add(unique)
            names[key] = unique
        return names
