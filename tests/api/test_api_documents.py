"""A document is parsed and validated once, however often it is sent, and told what is wrong with it."""

from __future__ import annotations

import pytest
from graphql import get_introspection_query
from test_api_extent import chain

from nexus_graph.api.errors import MOST_FLAWS, Flawed
from nexus_graph.api.operations import documents as module
from nexus_graph.api.operations.documents import MOST_TOKENS, Documents, meant
from nexus_graph.api.schema import built
from nexus_graph.scope.errors import Invalid

TOO_OFTEN = "The document asks for the same things too often to be checked."
MORE = "More is wrong than is listed."


@pytest.fixture(scope="module")
def documents() -> Documents:
    """Documents of the server's schema."""
    return Documents(built().graph)


def flaws(documents: Documents, text: str, *, suggestions: bool = False) -> list[str]:
    """Everything that is wrong with a document."""
    with pytest.raises(Flawed) as told:
        documents.read(text, suggestions=suggestions)
    return [error.message for error in told.value.errors]


def flaw(documents: Documents, text: str, *, suggestions: bool = False) -> str:
    """The first thing that is wrong with a document."""
    return flaws(documents, text, suggestions=suggestions)[0]


def test_a_repeated_document_is_found_again(documents: Documents) -> None:
    """The very same tree answers the second time, whoever asks, until it is forgotten."""
    text = "{ viewer { role } }"
    found = documents.read(text, suggestions=True)
    assert documents.read(text, suggestions=False) is found
    documents.forget()
    assert documents.read(text, suggestions=True) is not found


def test_documents_are_forgotten_by_their_size(documents: Documents) -> None:
    """The least used goes when there is no room left; one that is refused takes none."""
    few = Documents(documents._graph, most_cached=80_000)
    first = few.read("{ viewer { role } }", suggestions=True)
    for place in range(100):
        with pytest.raises(Flawed):
            few.read(f"{{ nothing{place} }}", suggestions=True)
    assert few.read("{ viewer { role } }", suggestions=True) is first
    for place in range(100):
        few.read(f"{{ a{place}: viewer {{ role }} }}", suggestions=True)
        assert few._cached <= 80_000
    assert few.read("{ viewer { role } }", suggestions=True) is not first
    assert few._cached == sum(size for _, size in few._good.values())


def test_names_are_suggested_only_when_told_to(documents: Documents) -> None:
    """One document, read for two callers."""
    for text, suggested in (
        ("{ vieweer { role } }", "'viewer'"),
        ("{ card(ident: 1, idd: 2, id: 3) { id } }", "'id'"),
        ("{ node(id: 1) { ... on Crad { id } } }", "'Card'"),
        ("mutation { engageKillSwitch(input: {target: EVERYTHIN, reason: 1}) { __typename } }", "'EVERYTHING'"),
        ("{ cards(first: 1, filter: {typse: 1}) { __typename } }", "'types'"),
    ):
        assert any(suggested in message for message in flaws(documents, text, suggestions=True)), text
        assert "Did you mean" not in " ".join(flaws(documents, text)), text


def test_each_kind_of_flaw_is_told(documents: Documents) -> None:
    """Syntax, tokens, extent and the schema's own rules."""
    assert "Syntax Error" in flaw(documents, "{ viewer { role }")
    assert f"more than {MOST_TOKENS} tokens" in flaw(documents, "{" + "a " * (MOST_TOKENS - 1) + "}")
    assert f"more than {MOST_TOKENS}" not in flaw(documents, "{" + "a " * (MOST_TOKENS - 2) + "}")
    assert f"more than {MOST_TOKENS} tokens" in flaw(documents, "{ viewer { role } }" + "#\n" * MOST_TOKENS)
    assert "1,000 fields" in flaw(documents, chain(50, 2))
    assert "Nowhere" in flaw(documents, "{ ...Nowhere }")


def test_many_flaws_are_cut(documents: Documents) -> None:
    """A number of them is listed, then the checking ends; values, which messages repeat, sooner."""
    assert flaws(documents, "{ " + " ".join(f"x{at}" for at in range(MOST_FLAWS)) + " }")[-1] != MORE
    told = flaws(documents, "{ " + " ".join(f"x{at}" for at in range(MOST_FLAWS + 1)) + " }")
    assert len(told) == MOST_FLAWS + 1
    assert told[-1] == MORE
    members = " ".join(f"m{at}: 1" for at in range(50))
    told = flaws(documents, f"{{ cards(first: 1, filter: {{{members}}}) {{ __typename }} }}")
    assert (len(told), told[-1]) == (4, MORE)


def test_fields_are_compared_a_number_of_times(documents: Documents) -> None:
    """One leaf may stand 141 times at one place: 9,870 pairs. Of fields with arguments and selections fewer may."""
    assert module.MOST_COMPARED == 10_000
    documents.read("{ viewer { " + "role " * 141 + "} }", suggestions=True)
    assert flaws(documents, "{ viewer { " + "role " * 142 + "} }") == [TOO_OFTEN]
    documents.read("{ " + "card(id: 1) { id title } " * 40 + "}", suggestions=True)
    assert flaws(documents, "{ " + "card(id: 1) { id title } " * 80 + "}") == [TOO_OFTEN]
    documents.read("{ " + " ".join(f"a{at}: viewer {{ role subject }}" for at in range(60)) + " }", suggestions=True)


def test_equal_fragments_are_compared_a_number_of_times(documents: Documents) -> None:
    """Thirty that select the same are read, ninety are given up with the same words."""
    for count, refused in ((30, False), (90, True)):
        spread = " ".join(f"...F{at}" for at in range(count))
        made = " ".join(f"fragment F{at} on Query {{ viewer {{ role }} card(id: 1) {{ id }} }}" for at in range(count))
        if refused:
            assert flaws(documents, f"{{ {spread} }} {made}") == [TOO_OFTEN]
        else:
            documents.read(f"{{ {spread} }} {made}", suggestions=True)


def test_large_documents_of_honest_clients_are_read(documents: Documents) -> None:
    """The introspection of every tool, three hundred fields, and thirty components that spread what each needs."""
    documents.read(get_introspection_query(input_value_deprecation=True, specified_by_url=True), suggestions=True)
    node = "id title version labels cardType indexState key digest"
    page = f"edges {{ cursor node {{ {node} }} }} pageInfo {{ hasNextPage endCursor }}"
    documents.read("{ " + " ".join(f"p{at}: cards(first: 5) {{ {page} }}" for at in range(24)) + " }", suggestions=True)
    spread = " ".join(f"...Part{at}" for at in range(30))
    parts = " ".join(f"fragment Part{at} on Card {{ __typename id title version labels }}" for at in range(30))
    documents.read(f"{{ cards(first: 20) {{ edges {{ node {{ {spread} }} }} }} }} {parts}", suggestions=True)


def test_one_operation_has_to_be_meant(documents: Documents) -> None:
    """Two operations need a name, and it has to be one of theirs."""
    document = documents.read("query A { viewer { role } } query B { viewer { subject } }", suggestions=True).document
    for name in (None, "C", ""):
        with pytest.raises(Invalid):
            meant(document, name)
    found = meant(document, "B").name
    assert found is not None
    assert found.value == "B"


@pytest.mark.parametrize(
    "change", ["{}", "{publishCard: null}", "{reindex: true, publishCard: {text: $text, trainOk: true}}"]
)
def test_one_member_of_several_is_wanted(documents: Documents, change: str) -> None:
    """None, null and two of a one-of input are flaws of the document; one is right."""
    whole = "query ($text: String!) { proposal(change: %s) { strategic } viewer { can(action: $text) { allowed } } }"
    assert "exactly one field must be specified" in flaw(documents, whole % change)
    assert documents.read(whole % "{publishCard: {text: $text, trainOk: true}}", suggestions=False)
