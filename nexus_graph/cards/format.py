"""The card format: a `---` line, a YAML header, a `---` line, and a body that the engine never reads.

The first line is exactly `---` and the header ends at the next line that is exactly `---`; every later `---` is body.
Fences and header lines end with LF alone (a CRLF there is refused, with a hint); the body keeps whatever bytes it has.
The exact text is the truth of a version; everything here is a view of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nexus_graph.cards.header import Header, Path, read
from nexus_graph.scope.canonical import Json, sha256
from nexus_graph.scope.errors import Invalid

MAX_CARD_BYTES = 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_LABELS = 64
MAX_LABEL_LENGTH = 64
MAX_ARTIFACT_REFS = 256

ENGINE_KEYS = ("card_id", "version", "tenant_id", "env", "created_at", "created_by")
"""The keys that the engine owns: it adds them to an export and refuses a header that states another value."""

CARD_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}")
CARD_KEY = re.compile(r"[a-z0-9][a-z0-9._/-]{0,199}")
ARTIFACT_REF = re.compile(r"(?:asset|atom)_[0-9a-z]{1,128}")

FENCE = "---\n"
FIRST_LINE = 2  # of the header, counted in the card


@dataclass(frozen=True, slots=True)
class Parsed:
    """A card's text, read.

    `header` holds every key as stated, `body` all that follows the header, `digest` the SHA-256 of the UTF-8 bytes.
    `labels` and `artifact_refs` are without repetition, in the author's order.
    """

    card_type: str
    key: str | None
    title: str | None
    labels: tuple[str, ...]
    artifact_refs: tuple[str, ...]
    header: Mapping[str, Json]
    body: str
    text: str
    digest: str

    @property
    def stated(self) -> Mapping[str, Json]:
        """The engine-owned keys that the author stated; publishing refuses those that state another value."""
        return {key: self.header[key] for key in ENGINE_KEYS if key in self.header}


def parse(text: str | bytes) -> Parsed:
    """Read a card of at most 1 MiB. Raises Invalid with the line and column in the card's text."""
    text = _decoded(text)
    data = text.encode()
    if len(data) > MAX_CARD_BYTES:
        raise Invalid(f"The card has {len(data):,} bytes.", hint=f"A card has at most {MAX_CARD_BYTES:,} bytes.")
    if (nul := text.find("\0")) >= 0:
        line, column = _position(text, nul)
        raise Invalid("The card holds a NUL character.", hint="Leave it out.", line=line, column=column)
    header_text, body = split(text)
    header = read(header_text, first_line=FIRST_LINE)
    _check_engine_keys(header)
    return Parsed(
        card_type=_string(header, "card_type", CARD_TYPE, required=True) or "",
        key=_string(header, "key", CARD_KEY),
        title=_string(header, "title"),
        labels=_strings(header, "labels", MAX_LABELS, _is_label, f"a string of 1 to {MAX_LABEL_LENGTH} characters"),
        artifact_refs=_strings(
            header,
            "artifact_refs",
            MAX_ARTIFACT_REFS,
            lambda ref: ARTIFACT_REF.fullmatch(ref) is not None,
            "the id of an asset (asset_...) or atom (atom_...)",
        ),
        header=header.values,
        body=body,
        text=text,
        digest=sha256(data),
    )


def split(text: str) -> tuple[str, str]:
    """The header's lines and the body of a card. Raises Invalid when a fence is missing or the header too long."""
    if not text.startswith(FENCE):
        hint = "The first line is exactly `---`."
        if text.startswith("---\r"):
            hint = "The lines end with CRLF: save the file with LF line ends."
        elif re.match(r"---[ \t]+\n", text):
            hint = "The first fence has blanks behind it: write exactly `---`."
        elif text.startswith("\ufeff"):
            hint = "The file begins with a byte order mark: save it without one."
        raise Invalid("The card does not begin with a fence.", hint=hint, line=1, column=1)
    # The line feed of the first fence may also be the one before the second: an empty header.
    end = text.find("\n" + FENCE, len(FENCE) - 1)
    if end < 0 and text.endswith("\n---"):
        end = len(text) - len(FENCE)
    if end < 0:
        line, column = _position(text, len(text))
        hint = "End the header with a line that is exactly `---`, without blanks, ending with LF."
        raise Invalid("The header has no end.", hint=hint, line=line, column=column)
    header, body = text[len(FENCE) : end + 1], text[end + 1 + len(FENCE) :]
    if (size := len(header.encode())) > MAX_HEADER_BYTES:
        hint = f"A header has at most {MAX_HEADER_BYTES:,} bytes; move content into the body."
        raise Invalid(f"The header has {size:,} bytes.", hint=hint, path=("header",), line=FIRST_LINE, column=1)
    return header, body


def place(parsed: Parsed, path: Path) -> tuple[int, int]:
    """Line and column, in the card's text, of the header value at `path` or of the closest value around it."""
    found = read(split(parsed.text)[0], first_line=FIRST_LINE).nearest(path)
    return (found.line, found.column) if found else (FIRST_LINE, 1)


def _decoded(text: str | bytes) -> str:
    try:
        if isinstance(text, bytes):
            return text.decode()
        text.encode()
        return text
    except UnicodeDecodeError as error:
        line, column = _position(error.object[: error.start].decode(), None)
    except UnicodeEncodeError as error:
        line, column = _position(error.object, error.start)
    raise Invalid("The card is not UTF-8.", hint="Save the file as UTF-8.", line=line, column=column) from None


def _position(text: str, offset: int | None) -> tuple[int, int]:
    """Line and column of the character at `offset`, or of the end."""
    offset = len(text) if offset is None else offset
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _invalid(header: Header, path: Path, message: str, hint: str) -> Invalid:
    found = header.nearest(path)
    line, column = (found.line, found.column) if found else (FIRST_LINE, 1)
    return Invalid(message, hint=hint, path=("header", *path), line=line, column=column)


def _string(header: Header, key: str, form: re.Pattern[str] | None = None, *, required: bool = False) -> str | None:
    if key not in header.values:
        if not required:
            return None
        raise _invalid(header, (key,), f"The header names no {key}.", f"Add a line such as `{key}: note`.")
    value = header.values[key]
    if not isinstance(value, str):
        raise _invalid(header, (key,), f"{key} is not a string.", "Put it in quotes.")
    if form and not form.fullmatch(value):
        raise _invalid(header, (key,), f"{key} is malformed.", f"It must match ^{form.pattern}$.")
    return value


def _strings(header: Header, key: str, most: int, fits: Callable[[str], bool], what: str) -> tuple[str, ...]:
    values = header.values.get(key, [])
    if not isinstance(values, list):
        raise _invalid(header, (key,), f"{key} is not a list.", f"Write {key} as a list of strings.")
    if len(values) > most:
        raise _invalid(header, (key, most), f"{key} has more than {most} entries.", "Keep fewer.")
    for position, value in enumerate(values):
        if not isinstance(value, str) or not fits(value):
            raise _invalid(header, (key, position), f"An entry of {key} is malformed.", f"Each must be {what}.")
    return tuple(dict.fromkeys(values))


def _is_label(text: str) -> bool:
    return 1 <= len(text) <= MAX_LABEL_LENGTH


def _check_engine_keys(header: Header) -> None:
    """What the author states of the engine's own keys is of the right type, so that it can be compared."""
    for key in ENGINE_KEYS:
        if key not in header.values:
            continue
        value = header.values[key]
        right = type(value) is int if key == "version" else isinstance(value, str)
        if not right:
            what = "an integer" if key == "version" else "a string"
            raise _invalid(header, (key,), f"{key} is not {what}.", f"The engine owns {key}: leave it out.")
