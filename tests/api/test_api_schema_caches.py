"""A document is parsed and validated once, however often it is sent."""

from __future__ import annotations

from typing import Any

from strawberry.extensions import ParserCache, ValidationCache

from nexus_graph.api.schema import CACHED, build


async def test_a_repeated_document_is_found_again() -> None:
    """Both caches answer the second time: equal documents meet equal rules."""
    schema = build()
    parsed: Any = ParserCache(maxsize=CACHED).cached_parse_document
    validated: Any = ValidationCache(maxsize=CACHED).cached_validate_document
    document = "query OnlyInThisTest { noSuchField }"  # refused by validation, so that nothing is executed
    before = parsed.cache_info().hits, validated.cache_info().hits
    assert all([(await schema.execute(document)).errors for _ in range(3)])
    assert (parsed.cache_info().hits, validated.cache_info().hits) == (before[0] + 2, before[1] + 2)
