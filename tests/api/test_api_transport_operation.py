"""A decoded request: which members say what, and which say nothing."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_graph.api.operations.operation import LONGEST_DOCUMENT, Operation
from nexus_graph.scope.errors import Invalid

QUERY = "{ viewer { role } }"
DIGEST = "ab" * 32


def persisted(digest: object = DIGEST, version: object = 1) -> dict[str, Any]:
    """Extensions as automatic persisted queries send them."""
    return {"persistedQuery": {"version": version, "sha256Hash": digest}}


GOOD: list[tuple[dict[str, Any], Operation]] = [
    ({"query": QUERY}, Operation(QUERY)),
    ({"query": QUERY, "variables": None, "operationName": None, "extensions": None}, Operation(QUERY)),
    ({"query": QUERY, "variables": {"a": 1}, "operationName": "A"}, Operation(QUERY, {"a": 1}, "A")),
    ({"query": QUERY, "tenant": "t_globex", "id": 7}, Operation(QUERY)),
    ({"query": QUERY, "extensions": {"anything": {"at": "all"}, "persistedQuery": None}}, Operation(QUERY)),
    ({"extensions": persisted()}, Operation(None, digest=DIGEST)),
    ({"query": "", "extensions": persisted()}, Operation(None, digest=DIGEST)),
    ({"query": QUERY, "extensions": persisted()}, Operation(QUERY, digest=DIGEST)),
    ({"documentId": f"sha256:{DIGEST}"}, Operation(None, digest=DIGEST)),
    ({"documentId": f"sha256:{DIGEST}", "extensions": persisted()}, Operation(None, digest=DIGEST)),
]
BAD: list[tuple[object, str]] = [
    ([{"query": QUERY}], "Several requests"),
    ([], "Several requests"),
    (QUERY, "one JSON object"),
    (None, "one JSON object"),
    (7, "one JSON object"),
    ({}, "`query`"),
    ({"query": " \n"}, "`query`"),
    ({"query": ["{ a }"]}, "`query`"),
    ({"query": 0, "extensions": persisted()}, "`query`"),
    ({"query": "x" * (LONGEST_DOCUMENT + 1)}, "characters"),
    ({"query": QUERY, "variables": [1]}, "`variables`"),
    ({"query": QUERY, "operationName": 1}, "`operationName`"),
    ({"query": QUERY, "extensions": []}, "`extensions`"),
    ({"query": QUERY, "extensions": "x"}, "`extensions`"),
    ({"extensions": {"persistedQuery": DIGEST}}, "version 1"),
    ({"extensions": persisted(version=2)}, "version 1"),
    ({"extensions": persisted(version=True)}, "version 1"),
    ({"extensions": persisted(version=1.0)}, "version 1"),
    ({"extensions": persisted(DIGEST.upper())}, "sha256Hash"),
    ({"extensions": persisted(DIGEST[1:])}, "sha256Hash"),
    ({"extensions": persisted(None)}, "sha256Hash"),
    ({"documentId": DIGEST}, "documentId"),
    ({"documentId": f"md5:{DIGEST}"}, "documentId"),
    ({"documentId": 7}, "documentId"),
    ({"documentId": f"sha256:{'cd' * 32}", "extensions": persisted()}, "two documents"),
]


@pytest.mark.parametrize(("value", "operation"), GOOD)
def test_a_request_is_read(value: dict[str, Any], operation: Operation) -> None:
    """Null is the same as nothing, and what is not known is ignored."""
    assert Operation.of(value) == operation


@pytest.mark.parametrize(("value", "why"), BAD)
def test_a_wrong_member_is_named(value: object, why: str) -> None:
    """Each is refused for itself."""
    with pytest.raises(Invalid, match=why):
        Operation.of(value)


def test_a_misspelt_member_is_told() -> None:
    """Whoever forgot the document may have written its name otherwise."""
    with pytest.raises(Invalid) as refused:
        Operation.of({"qeury": QUERY})
    assert refused.value.hint is not None
    assert "'qeury' is not known" in refused.value.hint
