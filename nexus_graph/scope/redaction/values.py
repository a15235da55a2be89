"""Redaction of JSON values, keys included. A key is read as the label of its value: `{"ssn": "123456789"}`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass
from typing import Any

import orjson

from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.redaction.findings import RULESET, Finding, find, holds_nothing, replace_findings
from nexus_graph.scope.redaction.settings import names_secret

MAX_DEPTH = 64
MAX_VALUES = 200_000
MAX_CHARACTERS = 8 * 1024 * 1024

_Path = tuple[str | int, ...]
_made_by_redact = object()

# A plain name: nothing that is found could begin in it and end in the value.
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_ .-]{0,63}")
_LOWER_THEN_UPPER = re.compile(r"(?<=[a-z])(?=[A-Z])")
_FEW_DIGITS = 10**7  # numbers below it are no finding
_MOST_GLANCES, _DEEPEST_GLANCE = 2_000, 16  # values and levels; what has more is walked through
_LONGEST_LABELLED = 256  # what a label is about is short; a long text needs none


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

    Types stay, with one exception: an integer that is a finding as a whole, by itself or after its key, becomes the
    string `[kind]`. Keys that become equal are told apart as `[email]`, `[email]#2`, ... in the order of the original
    keys, and a key that had to change never takes the name of one that had not.

    Raises Invalid for what JSON can't say and for a value deeper than 64, of more than 200,000 values, or of more than
    8 Mi characters; the error's path is redacted too.
    """
    if _is_plain(value):
        return Redacted(orjson.loads(orjson.dumps(value)), (), RULESET, _made_by_redact)
    walk = _Walk()
    redacted = walk.value(value, (), "")
    return Redacted(redacted, tuple(sorted(walk.kinds)), RULESET, _made_by_redact)


def pii_flags(value: Json) -> tuple[str, ...]:
    """The kinds found in the strings, keys and integers of `value`, sorted. Raises Invalid as `redact` does."""
    return redact(value).pii_flags


def _is_plain(value: Any) -> bool:
    """Whether a glance is enough to say that nothing will be found: ids, digests, short words and small numbers."""
    level, names, left, room = [value], set[str](), min(_MOST_GLANCES, MAX_VALUES), MAX_CHARACTERS
    for _ in range(_DEEPEST_GLANCE):
        below: list[Any] = []
        left -= len(level)
        if left < 0 or room < 0:
            return False
        for each in level:
            kind = type(each)
            if kind is str:
                room -= len(each)
                if not holds_nothing(each):
                    return False
            elif kind is dict:
                for name in each:
                    if name not in names:
                        if type(name) is not str or not holds_nothing(name) or names_secret(name):
                            return False
                        names.add(name)
                    room -= len(name)
                below += each.values()
            elif kind is list or kind is tuple:
                below += each
            elif not (each is None or kind is bool or (kind is int and -_FEW_DIGITS < each < _FEW_DIGITS)):
                return False
        if not below:
            return room >= 0
        level = below
    return False


class _Walk:
    """One pass over one value: what was found, and how much room is left."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self._names_secret: dict[str, bool] = {"": False}
        self._values = MAX_VALUES
        self._characters = MAX_CHARACTERS

    def value(self, value: object, path: _Path, label: str) -> Json:
        """The value without what was found in it; `label` is the key that it stands under, or empty."""
        self._values -= 1
        if self._values < 0:
            raise Invalid(f"More than {MAX_VALUES:,} values in one.", hint="Send it in parts.", path=path)
        if isinstance(value, str):
            return self._text(value, path, label)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return self._integer(value, label)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise Invalid("A number that is not finite.", hint="JSON has no NaN and no infinity.", path=path)
            return value
        if len(path) >= MAX_DEPTH:
            raise Invalid(f"Nested deeper than {MAX_DEPTH}.", hint="Make the value flatter.", path=path)
        if isinstance(value, Mapping):
            return self._mapping(value, path)
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
            return [self.value(item, (*path, index), label) for index, item in enumerate(value)]
        raise Invalid(
            f"A value of type {type(value).__name__} is not JSON.", hint="Turn it into text first.", path=path
        )

    def _text(self, text: str, path: _Path, label: str) -> str:
        self._characters -= len(text)
        if self._characters < 0:
            raise Invalid(f"More than {MAX_CHARACTERS:,} characters.", hint="Send it in parts.", path=path)
        findings = self._find(label, text)
        if not findings:
            return text
        self.kinds.update(finding.kind for finding in findings)
        return replace_findings(text, findings)

    def _integer(self, number: int, label: str) -> int | str:
        if not _FEW_DIGITS <= number < 10**19:
            return number
        written = str(number)
        findings = self._find(label, written)
        if not findings or (findings[0].start, findings[0].end) != (0, len(written)):
            return number
        self.kinds.add(findings[0].kind)
        return f"[{findings[0].kind}]"

    def _mapping(self, mapping: Mapping[object, object], path: _Path) -> dict[str, Json]:
        names = self._names(mapping, path)
        return {names[key]: self.value(item, (*path, names[key]), names[key]) for key, item in mapping.items()}

    def _names(self, mapping: Mapping[object, object], path: _Path) -> dict[object, str]:
        """Each key of `mapping` with its redacted name; no two are the same."""
        names: dict[object, str] = {}
        changed: list[tuple[str, str]] = []
        for key in mapping:
            if not isinstance(key, str):
                raise Invalid(f"A key of type {type(key).__name__} is not JSON.", hint="Keys are text.", path=path)
            names[key] = self._text(key, path, "")
            if names[key] != key:
                changed.append((key, names[key]))
        if not changed:
            return names
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

    def _find(self, label: str, text: str) -> list[Finding]:
        """The findings of a text that stands under a key: `dateOfBirth` is read as `date Of Birth: `."""
        if holds_nothing(text):
            if (secret := self._names_secret.get(label)) is None:
                secret = self._names_secret[label] = names_secret(label)
            if not secret:
                return []
        if len(text) > _LONGEST_LABELLED or not _LABEL.fullmatch(label):
            return find(text)
        before = _LOWER_THEN_UPPER.sub(" ", label) + ": "
        return [
            Finding(each.kind, each.start - len(before), each.end - len(before))
            for each in find(before + text)
            if each.start >= len(before)
        ]
