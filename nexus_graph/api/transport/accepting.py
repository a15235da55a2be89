"""What a client takes for an answer: the `Accept` header. Spec: RFC 9110, section 12.5.1."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"
MULTIPART = "multipart/mixed"

LONGEST = 4096
"""Characters of the header that are looked at."""

_ELEMENT = re.compile(r'(?:[^",]|"[^"]*")+')
_PARAMETER = re.compile(r';\s*([\w.-]+)=(?:"([^"]*)"|([^\s;"]*))\s*')
_RANGE = re.compile(r"\s*([\w!#$&^.+*-]+)/([\w!#$&^.+*-]+)\s*")
_QUALITY = re.compile(r"0?\.\d{1,3}|0\.?|1(\.0{0,3})?")  # Java's own client leaves the 0 away


@dataclass(frozen=True, slots=True)
class Accepted:
    """Media types that suit a client: `answer` of a single answer, `stream` of many, None where none does."""

    answer: str | None
    stream: str | None


@dataclass(frozen=True, slots=True)
class _Range:
    kind: str
    subtype: str
    parameters: dict[str, str]
    quality: float


@lru_cache(maxsize=256)
def accepted(header: str | None) -> Accepted:
    """The best media types for a client that sent this header, or nothing that says anything.

    A client that names both types of a single answer as equals gets the newer one, a client with a wildcard the older
    one. A stream is for clients that name it: who takes anything may not be able to read one.
    """
    if header is None or not header.strip():
        return Accepted(JSON, None)
    ranges = list(_ranges(header)) if len(header) <= LONGEST else []
    answers = [(_suits(media_type, ranges), media_type) for media_type in (GRAPHQL_RESPONSE, JSON)]
    best = max(answers, key=lambda each: (each[0], each[1] == (GRAPHQL_RESPONSE if each[0][1] == 2 else JSON)))
    streams = {media_type: _suits(media_type, ranges) for media_type in (EVENT_STREAM, MULTIPART)}
    named = [media_type for media_type, (quality, exactness) in streams.items() if quality > 0 and exactness == 2]
    return Accepted(best[1] if best[0][0] > 0 else None, max(named, key=streams.__getitem__, default=None))


def _ranges(header: str) -> Iterator[_Range]:
    """What is well-formed among the elements of the header; the rest says nothing."""
    for element in _ELEMENT.findall(header):
        if not (found := _RANGE.match(element)):
            continue
        pairs = _PARAMETER.findall(element, found.end())
        parameters = {name.lower(): (quoted or plain).lower() for name, quoted, plain in pairs}
        quality = parameters.pop("q", "1")
        if _QUALITY.fullmatch(quality):
            yield _Range(found[1].lower(), found[2].lower(), parameters, float(quality))


def _suits(media_type: str, ranges: list[_Range]) -> tuple[float, int]:
    """The quality of a media type, and how exactly it was named: 2 for itself, 1 for its kind, 0 for anything."""
    kind, subtype = media_type.split("/")
    found = [
        ((each.kind != "*") + (each.subtype != "*"), each.quality)
        for each in ranges
        if (each.kind, each.subtype) in ((kind, subtype), (kind, "*"), ("*", "*")) and _served(media_type, each)
    ]
    exactness, quality = max(found, default=(0, 0.0))
    return quality, exactness


def _served(media_type: str, wanted: _Range) -> bool:
    if media_type == MULTIPART:
        return wanted.parameters.get("subscriptionspec", "").startswith("1")
    return wanted.parameters.get("charset", "utf-8") in ("utf-8", "utf8")
