"""What an atom is: a piece of a raw file with exact coordinates, named by its content.

A recipe is a pure function from bytes to drafts; a draft becomes an atom when it is kept. Places are told in code
points of the canonical text (see `decoding`), counted from 0, end exclusive; lines, pages and rows are counted from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime

from nexus_graph.atoms.decoding import Decoded
from nexus_graph.scope.canonical import Json, canonical, sha256
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import find_each

Params = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Span:
    """Where a piece stands: `start` to `end` in code points, and the place as a reader of the file would name it."""

    start: int
    end: int
    page: int | None = None
    line: int | None = None
    end_line: int | None = None
    row: int | None = None
    pointer: str | None = None
    """JSON Pointer, RFC 6901; "" is the whole document."""
    start_ms: int | None = None
    end_ms: int | None = None
    sheet: str | None = None
    """Name of a sheet in a workbook."""
    cell: str | None = None
    """Cells of a sheet, such as "A5:D5"."""
    slide: int | None = None
    part: str | None = None
    """A part inside the file, by its own name: a chapter of a book, "footnote 2", "header"."""
    path: str | None = None
    """Path of an XML element: "/catalog[1]/item[3]"."""

    def as_json(self) -> dict[str, Json]:
        """The coordinates that are known, by name; `Span(**span.as_json())` gives an equal span."""
        return {name: value for name in _SPAN_NAMES if (value := getattr(self, name)) is not None}

    @property
    def names(self) -> tuple[str, ...]:
        """The coordinates that are words of the file's author."""
        return tuple(filter(None, (self.pointer, self.sheet, self.part, self.path)))


_SPAN_NAMES = tuple(item.name for item in fields(Span))


@dataclass(frozen=True, slots=True)
class Draft:
    """What a recipe makes: a piece of text and its place. `ordinal` counts from 0 in the order of the file."""

    ordinal: int
    span: Span
    text: str
    kind: str
    """What the piece is in its file: "paragraph", "heading", "section", "code", "table", "row", "value", "page", ..."""


@dataclass(frozen=True, slots=True)
class Omission:
    """A kind of thing that a recipe leaves out, and how that is told.

    `sentence` holds `{place}` where things differ by their place: "{place} has no text layer". `intended` says that a
    reader of the file does not see it either (hidden text, deletions): without it the file still counts as read whole.
    """

    sentence: str
    intended: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a recipe met in a file and did not read: a key of its `leaves_out`, and where, as a reader would name it."""

    what: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Omitted:
    """All that was left out of a file for one reason: the first places, and how many there are.

    A place among the first counts once, however often it is told; later ones are only counted.
    """

    what: str
    places: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that a recipe found whole inside another one: it becomes an asset of its own, which is read by itself.

    `place` names it among the others, as a reader of the file would.
    """

    filename: str
    content_type: str
    place: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a recipe made of a file. `pii_flags` are the kinds of personal data found in each draft."""

    drafts: list[Draft]
    left_out: list[Omitted]
    pii_flags: list[tuple[str, ...]]
    attachments: list[Attachment] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Atom:
    """A draft that was kept, with its lineage: asset, recipe, version of the recipe and parameters."""

    id: str
    asset_id: str
    op: str
    op_version: str
    params: Params
    ordinal: int
    span: Span
    kind: str
    text: str
    digest: str
    handling: Handling
    derived_at: datetime
    stale: bool


def atom_id(asset_sha256: str, op: str, op_version: str, params: Params, span: Span) -> str:
    """The id of an atom, from content alone: whoever derives it gets the same id. `params` must be complete."""
    return AtomIds(asset_sha256, op, op_version, params).of(canonical(span.as_json()))


class AtomIds:
    """The ids of the atoms of one derivation."""

    def __init__(self, asset_sha256: str, op: str, op_version: str, params: Params) -> None:
        self._before = canonical([asset_sha256, op, op_version, params]).removesuffix(b"]") + b","

    def of(self, span: bytes) -> str:
        """The id of the atom with this canonical span: the digest of a list that ends with it."""
        return "atom_" + sha256(self._before + span + b"]")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one derivation may take. `seconds` is wall-clock time; `memory_bytes` comes on top of an idle worker.

    Attachments have no more bytes together than the file that they were found in.
    """

    input_bytes: int = 64 * 2**20
    atoms: int = 100_000
    attachments: int = 1_000
    text_bytes: int = 64 * 2**20
    seconds: float = 30.0
    memory_bytes: int = 2**30


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a recipe: its default, what it does, and what it may be.

    A value must have the type of `default` (or be a string, where the default is None), be one of `choices` where
    there are any, and lie between `least` and `most` where it is a number.
    """

    default: bool | int | str | None
    purpose: str
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None

    def check(self, name: str, value: Json) -> None:
        """Raise Invalid unless `value` will do."""
        wanted = str if self.default is None else type(self.default)
        if value is None and self.default is None:
            return
        if type(value) is not wanted:
            raise Invalid(f"The parameter {name!r} must be of type {wanted.__name__}.", path=("params", name))
        if self.choices and value not in self.choices:
            allowed = ", ".join(repr(choice) for choice in self.choices)
            raise Invalid(f"The parameter {name!r} must be one of {allowed}.", path=("params", name))
        below = isinstance(value, int) and self.least is not None and value < self.least
        above = isinstance(value, int) and self.most is not None and value > self.most
        if below or above:
            raise Invalid(f"The parameter {name!r} must lie from {self.least} to {self.most}.", path=("params", name))

    def describe(self) -> dict[str, Json]:
        """The parameter as JSON."""
        limits = {"choices": self.choices or None, "least": self.least, "most": self.most}
        known: dict[str, Json] = {name: value for name, value in limits.items() if value is not None}
        return {"default": self.default, "purpose": self.purpose, **known}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A pure function from the bytes of a file to drafts, with a name and a version.

    `version` moves whenever the same bytes would give other drafts. `derive` yields drafts in the order of the file,
    each with a span of its own, none of them blank; it yields a `LeftOut` for what it meets and does not read, of the
    kinds that `leaves_out` names, and an `Attachment` for a file inside the file; and it raises Invalid for a file that
    it can't read. `decode` gives the canonical text that spans point into, where the file is text; it is None where the
    recipe makes that text. A recipe that yields attachments also leaves out `UNKEPT`: what can't be kept, and why.

    `extensions` are those of file names, each with its content type, which is one of `content_types`.
    """

    op: str
    version: str
    reads: str
    purpose: str
    content_types: frozenset[str]
    extensions: Mapping[str, str]
    derive: Callable[[bytes, Params], Iterable[Draft | LeftOut | Attachment]]
    decode: Callable[[bytes, Params], Decoded] | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    leaves_out: Mapping[str, Omission] = field(default_factory=dict)
    hints: Mapping[str, Params] = field(default_factory=dict)
    """Parameters that a content type suggests; those that are given win."""

    def complete(self, params: Params) -> dict[str, Json]:
        """`params` with defaults filled in, so that equal derivations have equal parameters. Raises Invalid."""
        for name, value in params.items():
            if name not in self.parameters:
                known = ", ".join(sorted(self.parameters)) or "none"
                hint = f"Parameters of {self.op}: {known}."
                raise Invalid(f"The recipe {self.op} has no parameter {name!r}.", hint=hint, path=("params", name))
            self.parameters[name].check(name, value)
        return {name: params.get(name, parameter.default) for name, parameter in self.parameters.items()}

    def describe(self) -> dict[str, Json]:
        """The recipe as JSON, for a reader who wants to know what can be derived."""
        return {
            "op": self.op,
            "version": self.version,
            "reads": self.reads,
            "purpose": self.purpose,
            "contentTypes": sorted(self.content_types),
            "extensions": sorted(self.extensions),
            "parameters": {name: parameter.describe() for name, parameter in sorted(self.parameters.items())},
            "leavesOut": {what: omission.sentence for what, omission in sorted(self.leaves_out.items())},
        }

    def tell(self, left_out: Iterable[Omitted]) -> str:
        """What was left out, in words: a clause for each of the first places."""
        clauses: list[str] = []
        for omitted in left_out:
            sentence = self.leaves_out[omitted.what].sentence
            clauses += (sentence.format(place=place).strip() for place in omitted.places)
            if more := omitted.count - len(omitted.places):
                clauses.append(f"and {more:,} more of this kind")
        return "; ".join(clauses)


UNKEPT = "unkept attachment"
"""What a recipe's `leaves_out` calls an attachment that could not be kept; its place tells why."""

_MOST_PLACES = 20
_LONGEST_PLACE = 200


def collect(recipe: Recipe, data: bytes, params: Params, limits: Limits) -> Reading:
    """All that `recipe` makes of `data`, or Invalid: never a part of it without a word."""
    drafts: list[Draft] = []
    attachments: list[Attachment] = []
    told = Telling(recipe)
    size = attached = 0
    for found in recipe.derive(data, recipe.complete(params)):
        if isinstance(found, LeftOut):
            told.add(found)
        elif isinstance(found, Attachment):
            attachments.append(found)
            attached += len(found.data)
            if len(attachments) > limits.attachments or attached > len(data):
                raise Invalid(
                    f"The file holds more than {limits.attachments:,} attachments, or more bytes of them than its own.",
                    hint="Split it into several files.",
                )
        else:
            drafts.append(found)
            size += len(found.text.encode())
            if len(drafts) > limits.atoms:
                raise Invalid(
                    f"The file makes more than {limits.atoms:,} atoms with {recipe.op}.",
                    hint="Split it into several files.",
                )
            if size > limits.text_bytes:
                raise Invalid(
                    f"The file makes more than {limits.text_bytes:,} bytes of text with {recipe.op}.",
                    hint="Split it into several files.",
                )
    return Reading(drafts, told.omitted(), flags_of([(each.text, each.span) for each in drafts]), attachments)


def flags_of(pieces: Sequence[tuple[str, Span]]) -> list[tuple[str, ...]]:
    """The kinds of personal data in each of some texts and in the words of its place, sorted."""
    texts = [(text, *span.names) for text, span in pieces]
    found = find_each(text for each in texts for text in each)
    return [tuple(sorted({finding.kind for _ in each for finding in next(found)})) for each in texts]


class Telling:
    """Gathers what a recipe left out."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._places: dict[str, dict[str, None]] = {}
        self._counts: dict[str, int] = {}

    def add(self, left_out: LeftOut) -> None:
        """One more. Raises ValueError for what the recipe has no word for."""
        what, place = left_out.what, left_out.place[:_LONGEST_PLACE]
        if what not in self._recipe.leaves_out:
            raise ValueError(f"{self._recipe.op} has no word for leaving out {what!r}")
        known = self._places.setdefault(what, {})
        if place not in known:
            self._counts[what] = self._counts.get(what, 0) + 1
            if len(known) < _MOST_PLACES:
                known[place] = None

    def omitted(self) -> list[Omitted]:
        """All of it, by reason."""
        return [Omitted(what, tuple(self._places[what]), count) for what, count in self._counts.items()]
