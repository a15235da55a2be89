"""A document is parsed and validated once, however often it is sent, and told what is wrong with it."""

from __future__ import annotations

import pytest
from test_api_extent import chain

from nexus_graph.api.documents import MOST_TOKENS, Documents, meant
from nexus_graph.api.errors import Flawed
from nexus_graph.api.schema import build
from nexus_graph.scope.errors import Invalid


@pytest.fixture(scope="module")
def documents() -> Documents:
    """Documents of the server's schema."""
    return Documents(build()._schema)


def flaw(documents: Documents, text: str, *, suggestions: bool = False) -> str:
    """The first thing that is wrong with a document."""
    with pytest.raises(Flawed) as told:
        documents.read(text, suggestions=suggestions)
    return told.value.errors[0].message


def test_a_repeated_document_is_found_again(documents: Documents) -> None:
    """The very same tree, and the same refusal, answer the second time."""
    text = "{ viewer { role } }"
    assert documents.read(text, suggestions=True) is documents.read(text, suggestions=True)
    before = documents._checked.cache_info().hits
    assert flaw(documents, "{ noSuchField }") == flaw(documents, "{ noSuchField }")
    assert documents._checked.cache_info().hits == before + 1


def test_names_are_suggested_only_when_told_to(documents: Documents) -> None:
    """One document, read for two callers."""
    assert "Did you mean 'viewer'?" in flaw(documents, "{ vieweer { role } }", suggestions=True)
    assert flaw(documents, "{ vieweer { role } }") == "Cannot query field 'vieweer' on type 'Query'."


def test_each_kind_of_flaw_is_told(documents: Documents) -> None:
    """Syntax, tokens, extent and the schema's own rules."""
    assert "Syntax Error" in flaw(documents, "{ viewer { role }")
    assert f"more than {MOST_TOKENS} tokens" in flaw(documents, "{" + "a " * MOST_TOKENS + "}")
    assert "1,000 fields" in flaw(documents, chain(60, 2))
    assert "Nowhere" in flaw(documents, "{ ...Nowhere }")


def test_one_operation_has_to_be_meant(documents: Documents) -> None:
    """Two operations need a name, and it has to be one of theirs."""
    document = documents.read("query A { viewer { role } } query B { viewer { subject } }", suggestions=True)
    for name in (None, "C", ""):
        with pytest.raises(Invalid):
            meant(document, name)
    found = meant(document, "B").name
    assert found is not None
    assert found.value == "B"
