"""The Accept header: what suits a client best, and that nothing in it takes long to read."""

from __future__ import annotations

import pytest

from nexus_graph.api.transport.accepting import EVENT_STREAM, GRAPHQL_RESPONSE, JSON, LONGEST, MULTIPART, accepted

URQL = f"{GRAPHQL_RESPONSE}, application/graphql+json, {JSON}, {EVENT_STREAM}, {MULTIPART}"
HEADERS: list[tuple[str, str | None, str | None]] = [
    ("", JSON, None),
    ("*/*", JSON, None),
    ("application/*", JSON, None),
    (JSON, JSON, None),
    (GRAPHQL_RESPONSE, GRAPHQL_RESPONSE, None),
    (f"{GRAPHQL_RESPONSE}, {JSON}", GRAPHQL_RESPONSE, None),
    (f"{JSON}, {GRAPHQL_RESPONSE}", GRAPHQL_RESPONSE, None),
    (f"{GRAPHQL_RESPONSE}, {JSON};q=0.9", GRAPHQL_RESPONSE, None),
    (f"{JSON}, {GRAPHQL_RESPONSE};q=0.9", JSON, None),
    (f"{JSON}, text/plain, */*", JSON, None),
    (f"{JSON};q=0.5, */*", GRAPHQL_RESPONSE, None),
    (f"{JSON};q=0, */*", GRAPHQL_RESPONSE, None),
    (f"{JSON};q=0", None, None),
    (f"{JSON};q=2", None, None),
    (f"{JSON};q=0.1234", None, None),
    ("text/html, application/xhtml+xml", None, None),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON, None),
    (f"{JSON}; charset=utf-8", JSON, None),
    ('APPLICATION/JSON ; CHARSET="UTF-8"', JSON, None),
    (f"{JSON}; charset=latin1", None, None),
    (f'text/plain; note="a, {GRAPHQL_RESPONSE}", {JSON}', JSON, None),
    (f"nonsense, {JSON}", JSON, None),
    (EVENT_STREAM, None, EVENT_STREAM),
    (f"{EVENT_STREAM}, {JSON}", JSON, EVENT_STREAM),
    (f"{EVENT_STREAM};q=0, {JSON}", JSON, None),
    ("text/*", None, None),
    (URQL, GRAPHQL_RESPONSE, EVENT_STREAM),
    (f"{MULTIPART}, {JSON}", JSON, None),
    (f"{MULTIPART};deferSpec=20220824, {JSON}", JSON, None),
    (f'{MULTIPART};boundary="graphql";subscriptionSpec=1.0,{JSON}', JSON, MULTIPART),
    (f'{MULTIPART};subscriptionSpec="1.0", {EVENT_STREAM};q=0.9', None, MULTIPART),
    (f"{MULTIPART};subscriptionSpec=1.0, {EVENT_STREAM}", None, EVENT_STREAM),
    (f"{JSON}, ".ljust(LONGEST + 1), None, None),
]


@pytest.mark.parametrize(("header", "answer", "stream"), HEADERS)
def test_the_best_that_is_acceptable_is_chosen(header: str, answer: str | None, stream: str | None) -> None:
    """By quality, then by how exactly it was named; the newer type among equals, the older one for a wildcard."""
    suits = accepted(header)
    assert (suits.answer, suits.stream) == (answer, stream)
