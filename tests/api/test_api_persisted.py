"""Documents by digest: what is remembered for whom, how much of it, and which files of an operator are taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_graph.api import schema
from nexus_graph.api.operations import trusted
from nexus_graph.api.operations.documents import Documents
from nexus_graph.api.operations.operation import LONGEST_DOCUMENT, Operation
from nexus_graph.api.operations.persisted import PersistedOperations, Remembered, UnknownDigest, digest_of
from nexus_graph.scope.errors import ConfigurationError, Forbidden, Invalid
from nexus_graph.scope.scope import Env, Scope

ACME, GLOBEX = "t_acme", "t_globex"
ROLE = "query Role { viewer { role } }"
MakeScope = Callable[..., Scope]
Write = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def documents() -> Documents:
    """Reads documents of the real schema."""
    return Documents(schema.built().graph)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Puts a file into a folder of trusted documents; returns the folder."""

    def put(name: str, text: str) -> Path:
        path = tmp_path / "operations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return tmp_path / "operations"

    return put


def by_digest(text: str) -> Operation:
    """A request that names a document without its text."""
    return Operation(None, digest=digest_of(text))


def test_a_document_is_remembered_for_its_own_scope(scope_of: MakeScope) -> None:
    """Another tenant and another env do not find what somebody sent, under whichever digest."""
    persisted = PersistedOperations({})
    assert persisted.text(scope_of(ACME), Operation(ROLE, digest=digest_of(ROLE))) == ROLE
    assert persisted.text(scope_of(ACME), by_digest(ROLE)) == ROLE
    for other in (scope_of(GLOBEX), scope_of(ACME, env=Env.PROD)):
        with pytest.raises(UnknownDigest, match="PersistedQueryNotFound"):
            persisted.text(other, by_digest(ROLE))
    persisted.forget(scope_of(GLOBEX))
    assert persisted.text(scope_of(ACME), by_digest(ROLE)) == ROLE
    persisted.forget(scope_of(ACME, env=Env.PROD))
    with pytest.raises(UnknownDigest):
        persisted.text(scope_of(ACME), by_digest(ROLE))


def test_only_a_digest_makes_a_document_remembered(scope_of: MakeScope) -> None:
    """A text alone is run and not kept; one with the digest of another text is neither."""
    persisted = PersistedOperations({})
    assert persisted.text(scope_of(), Operation(ROLE)) == ROLE
    with pytest.raises(Invalid, match="not that of the document"):
        persisted.text(scope_of(), Operation(ROLE, digest=digest_of(ROLE + " ")))
    with pytest.raises(UnknownDigest):
        persisted.text(scope_of(), by_digest(ROLE))
    with pytest.raises(Invalid, match="`query` must be"):
        persisted.text(scope_of(), Operation(None))


def test_where_documents_are_trusted_nothing_else_is_run(scope_of: MakeScope) -> None:
    """Known by digest and by exact text; a blank more is another document, and nothing is remembered."""
    persisted = PersistedOperations({digest_of(ROLE): ROLE}, only=True)
    known = (Operation(ROLE), Operation(ROLE, digest=digest_of(ROLE)), by_digest(ROLE))
    assert [persisted.text(scope_of(), operation) for operation in known] == [ROLE] * 3
    other = ROLE + " "
    for operation in (Operation(other), Operation(other, digest=digest_of(other)), by_digest(other)):
        with pytest.raises(Forbidden, match="Only trusted documents"):
            persisted.text(scope_of(), operation)


def test_what_is_remembered_is_bounded(scope_of: MakeScope) -> None:
    """A scope forgets its oldest documents; beyond the whole bound the idlest scope is forgotten."""
    remembered = Remembered(most=2500, most_of_a_scope=1000)
    texts = [str(number) * 200 for number in range(3)]  # of which a scope may keep two
    for text in texts:
        remembered.keep(scope_of(ACME), digest_of(text), text)
    found = [remembered.find(scope_of(ACME), digest_of(text)) for text in texts]
    assert found == [None, texts[1], texts[2]]
    for tenant in (GLOBEX, "t_third"):
        for text in texts[:2]:
            remembered.keep(scope_of(tenant), digest_of(text), text)
    assert remembered.find(scope_of(ACME), digest_of(texts[2])) is None
    assert remembered.find(scope_of(GLOBEX), digest_of(texts[1])) == texts[1]


def test_a_document_again_takes_no_more_room(scope_of: MakeScope) -> None:
    """Sent a thousand times it is kept once, and drives nothing else out."""
    remembered = Remembered(most=2500, most_of_a_scope=1000)
    for text in (ROLE, *["{ viewer { role } }"] * 1000):
        remembered.keep(scope_of(), digest_of(text), text)
    assert remembered.find(scope_of(), digest_of(ROLE)) == ROLE


def test_every_shipped_document_is_trusted_in_each_spelling(documents: Documents) -> None:
    """Each is of the schema; the first digest is that of the file's bytes."""
    found = trusted.trusted(documents)
    files = sorted((Path(__file__).parents[2] / "schema" / "operations").rglob("*.graphql"))
    assert [each.file.rpartition("/")[2] for each in found] == [path.name for path in files]
    for each, path in zip(found, files, strict=True):
        assert next(iter(each.spellings.values())) == path.read_text("utf-8")
        assert 3 <= len(each.spellings) <= 5
        assert all(digest_of(text) == digest for digest, text in each.spellings.items())


def test_a_folder_is_taken_as_compilers_write_it(documents: Documents, write: Write) -> None:
    """Plain documents, an object of texts by digest, and Apollo's manifest."""
    texts = [f"query Q{number} {{ viewer {{ role }} }}" for number in range(3)]
    write("deep/down/one.graphql", texts[0])
    write("persisted-documents.json", json.dumps({digest_of(texts[1]): texts[1]}))
    operation = {"id": digest_of(texts[2]), "name": "Q2", "type": "query", "body": texts[2]}
    manifest = {"format": "apollo-persisted-query-manifest", "version": 1, "operations": [operation]}
    folder = write("manifest.json", json.dumps(manifest))
    known = trusted.texts(trusted.trusted(documents, folder))
    assert all(known[digest_of(text)] == text for text in texts)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("bad.graphql", "query Bad {\n  viewer { nobody }\n}", r"bad\.graphql, line 2: .*nobody"),
        ("broken.graphql", "query {", r"broken\.graphql, line 1: Syntax Error"),
        ("part.graphql", "fragment Part on Viewer { role }", r"part\.graphql.*Part"),
        ("empty.graphql", "", r"empty\.graphql"),
        ("long.graphql", "#" * (LONGEST_DOCUMENT + 1), r"long\.graphql has more than 65,536 characters"),
        ("map.json", json.dumps({"0" * 40: ROLE}), r"map\.json: '0+' is not the SHA-256"),
        ("map.json", json.dumps({digest_of(ROLE): 1}), r"map\.json is neither"),
        ("map.json", json.dumps([ROLE]), r"map\.json is neither"),
        ("map.json", "{", r"map\.json is no JSON"),
        ("map.json", json.dumps({"format": "apollo-persisted-query-manifest"}), r"map\.json is neither"),
    ],
)
def test_a_bad_file_stops_the_start(documents: Documents, write: Write, name: str, text: str, told: str) -> None:
    """The message names the file and what is wrong with it."""
    with pytest.raises(ConfigurationError, match=told):
        trusted.trusted(documents, write(name, text))


def test_a_folder_is_bounded(
    documents: Documents, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In files, documents and bytes; and it has to be there."""
    folder = write("one.graphql", ROLE)
    write("two.graphql", ROLE.replace("Role", "Again"))
    assert len(trusted.trusted(documents, folder)) > 2
    with monkeypatch.context() as bound:
        bound.setattr(trusted, "MOST_BYTES", 40)
        with pytest.raises(ConfigurationError, match="it may hold 40"):
            trusted.trusted(documents, folder)
    with monkeypatch.context() as bound:
        shipped = len(trusted.trusted(documents))
        bound.setattr(trusted, "MOST_DOCUMENTS", shipped + 1)
        with pytest.raises(ConfigurationError, match=f"more than {shipped + 1} documents"):
            trusted.trusted(documents, folder)
    with pytest.raises(ConfigurationError, match="there is no folder"):
        trusted.trusted(documents, tmp_path / "nowhere")
