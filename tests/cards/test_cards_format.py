"""Cards are read exactly, or refused with the place that is wrong."""

import contextlib
import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_graph.cards.format import MAX_CARD_BYTES, MAX_HEADER_BYTES, parse, place
from nexus_graph.scope.errors import Invalid

ATOM = "atom_" + "0" * 64


def test_a_card_gives_its_parts() -> None:
    """Every conventional key is read, unknown keys are kept, and the digest is that of the exact bytes."""
    text = (
        "---\ncard_type: note\nkey: notes/first\ntitle: A title\nlabels: [b, a, b]\n"
        f"artifact_refs: [{ATOM}, asset_1, {ATOM}]\ncolour: NO\nversion: 3\n---\nBody\r\n---\nmore"
    )
    card = parse(text)
    assert (card.card_type, card.key, card.title) == ("note", "notes/first", "A title")
    assert card.labels == ("b", "a")
    assert card.artifact_refs == (ATOM, "asset_1")
    assert card.header["colour"] == "NO"
    assert card.stated == {"version": 3}
    assert card.body == "Body\r\n---\nmore"
    assert card.text == text
    assert card.digest == hashlib.sha256(text.encode()).hexdigest()
    assert parse(text.encode()) == card


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("---\ncard_type: note\n---\n", ""),
        ("---\ncard_type: note\n---", ""),
        ("---\ncard_type: note\n---\n\n", "\n"),
        ("---\ncard_type: note\n---\n---\n", "---\n"),
        ("---\n# a comment\n  card_type: note\n---\nx", "x"),
        ("---\n{card_type: note}\n---\nx", "x"),
        ("---\ncard_type: note\nx: |\n  ---\n---\nbody", "body"),
        ("---\ncard_type: note\n---\n\ufeffbody\u2028\r", "\ufeffbody\u2028\r"),
    ],
)
def test_the_body_is_all_that_follows_the_header(text: str, body: str) -> None:
    """The header ends at the first line that is exactly `---`; nothing of the body is lost or read."""
    assert parse(text).body == body


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        *((text, None) for text in ("", "~", "null", "Null", "NULL")),
        *((text, True) for text in ("true", "True", "TRUE")),
        *((text, False) for text in ("false", "False", "FALSE")),
        *(
            (text, text)
            for text in ("NO", "no", "yes", "on", "off", "y", "tRUE", "nULL", "1:30", "190:20:30.15", "1_000")
        ),
        *(
            (text, text)
            for text in ("2026-11-02", "2026-11-02T10:00:00Z", "0b11", "0o18", "0xg", "-0x1", "1e", ".", "=")
        ),
        *((text, text) for text in ("1,000", "inf", "nan", "+.nan", "--1", "1.2.3", "<<", "١٢")),
        ("012", 12),
        ("0o14", 12),
        ("0xC", 12),
        ("-0", 0),
        ("+7", 7),
        ("9007199254740991", 9007199254740991),
        ("-9007199254740991", -9007199254740991),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5e3", -1500.0),
        ("1e2", 100.0),
        ("'12'", "12"),
        ('"true"', "true"),
        ('"\\u0041\\/"', "A/"),
        ("|\n  12", "12\n"),
    ],
)
def test_scalars_mean_what_the_core_schema_says(value: str, meaning: object) -> None:
    """YAML 1.2 core scalars: no sexagesimals, no underscores, no dates, no Norwegian falsehood."""
    read = parse(f"---\ncard_type: note\nx: {value}\n---\n").header["x"]
    assert (type(read), read) == (type(meaning), meaning)


def test_a_merge_key_is_a_key_like_any_other() -> None:
    """`<<` merges nothing: the core schema has no merging."""
    assert parse("---\ncard_type: note\n<<: {a: 1}\n---\n").header["<<"] == {"a": 1}


H = "---\ncard_type: note\n"
REFUSED = [
    # whole card
    ("", 1, 1, "fence"),
    ("card_type: note", 1, 1, "fence"),
    ("--- \ncard_type: note\n---\n", 1, 1, "fence"),
    ("---\r\ncard_type: note\r\n---\r\n", 1, 1, "fence"),
    ("\ufeff---\ncard_type: note\n---\n", 1, 1, "fence"),
    ("\n---\ncard_type: note\n---\n", 1, 1, "fence"),
    ("---", 1, 1, "fence"),
    ("---\n", 2, 1, "no end"),
    (H + "--- \nbody", 4, 5, "no end"),
    (H + "---\r\nbody", 4, 5, "no end"),
    (H + "---\nbo\0dy", 4, 3, "NUL"),
    # characters
    (H + "a: 1\r\n---\n", 3, 5, "U+000D"),
    (H + "a: \x07\n---\n", 3, 4, "U+0007"),
    (H + "a: \u2028\n---\n", 3, 4, "U+2028"),
    (H + "a: \x85\n---\n", 3, 4, "U+0085"),
    (H + "a: \ufeff\n---\n", 3, 4, "U+FEFF"),
    (H + "a: \ufffe\n---\n", 3, 4, "U+FFFE"),
    (H + 'a: "x\\0"\n---\n', 3, 4, "NUL"),
    (H + 'a: "\\ud800"\n---\n', 3, 7, "Unicode"),
    # YAML that is none, or more than a card needs
    (H + "a: b: c\n---\n", 3, 5, "not YAML"),
    (H + "a: [1\n---\n", 4, 1, "not YAML"),
    (H + "é: 😀\n\tb: 1\n---\n", 4, 1, "not YAML"),
    (H + "a: 'x\n---\n", 4, 1, "not YAML"),
    ("---\n- card_type\n---\n", 2, 1, "not a mapping"),
    ("---\ncard_type\n---\n", 2, 1, "not a mapping"),
    (H + "...\n---\n", 3, 1, "document marker"),
    ("---\n--- {card_type: note}\n---\n", 2, 1, "document marker"),
    (H + "a: &x 1\n---\n", 3, 4, "anchor"),
    (H + "a: &x [1]\n---\n", 3, 4, "anchor"),
    (H + "a: [*x]\n---\n", 3, 5, "anchor"),
    (H + "*x : 1\n---\n", 3, 1, "anchor"),
    (H + "a: !!str 1\n---\n", 3, 4, "tag"),
    (H + "a: ! 1\n---\n", 3, 4, "tag"),
    (H + "a: !x {}\n---\n", 3, 4, "tag"),
    (H + "a: !!python/object/apply:os.system [ls]\n---\n", 3, 4, "tag"),
    (H + "!!str a: 1\n---\n", 3, 1, "tag"),
    (H + "card_type: note\n---\n", 3, 1, "twice"),
    (H + "'card_type': note\n---\n", 3, 1, "twice"),
    (H + 'a: {b: 1, "\\x62": 2}\n---\n', 3, 11, "twice"),
    (H + "1: a\n---\n", 3, 1, "key"),
    (H + "true: a\n---\n", 3, 1, "key"),
    (H + "~: a\n---\n", 3, 1, "key"),
    (H + ": a\n---\n", 3, 1, "key"),
    (H + "[a]: b\n---\n", 3, 1, "key"),
    (H + "? {a: 1}\n: b\n---\n", 3, 3, "key"),
    # numbers
    (H + "a: .inf\n---\n", 3, 4, "finite"),
    (H + "a: -.INF\n---\n", 3, 4, "finite"),
    (H + "a: .NaN\n---\n", 3, 4, "finite"),
    (H + "a: 1e999\n---\n", 3, 4, "finite"),
    (H + "a: 9007199254740992\n---\n", 3, 4, "2^53"),
    (H + "a: [0, -9007199254740992]\n---\n", 3, 8, "2^53"),
    (H + "a: 0xFFFFFFFFFFFFFFFF\n---\n", 3, 4, "2^53"),
    (H + f"a: {'1' * 5000}\n---\n", 3, 4, "longer"),
    # conventional keys
    ("---\n---\n", 2, 1, "no card_type"),
    ("---\n# nothing\n---\n", 2, 1, "no card_type"),
    ("---\ntitle: x\n---\n", 2, 1, "no card_type"),
    ("---\ncard_type:\n---\n", 2, 11, "card_type"),
    ("---\ncard_type: 1\n---\n", 2, 12, "card_type"),
    ("---\ncard_type: Note\n---\n", 2, 12, "card_type"),
    (f"---\ncard_type: {'a' * 65}\n---\n", 2, 12, "card_type"),
    ('---\ncard_type: "note\\n"\n---\n', 2, 12, "card_type"),
    (H + "title: 2024\n---\n", 3, 8, "title"),
    (H + "title:\n---\n", 3, 7, "title"),
    (H + "key: /a\n---\n", 3, 6, "key"),
    (H + f"key: {'a' * 201}\n---\n", 3, 6, "key"),
    (H + "labels: a\n---\n", 3, 9, "labels"),
    (H + "labels:\n  - a\n  - 1\n---\n", 5, 5, "labels"),
    (H + "labels: ['']\n---\n", 3, 10, "labels"),
    (H + f"labels: [{'a' * 65}]\n---\n", 3, 10, "labels"),
    (H + f"labels: [{','.join('a' * 65)}]\n---\n", 3, 138, "more than 64"),
    (H + "artifact_refs: {}\n---\n", 3, 16, "artifact_refs"),
    (H + "artifact_refs: [card_1]\n---\n", 3, 17, "artifact_refs"),
    (H + "artifact_refs: [atom_]\n---\n", 3, 17, "artifact_refs"),
    (H + "version: '1'\n---\n", 3, 10, "version"),
    (H + "version: true\n---\n", 3, 10, "version"),
    (H + "env:\n---\n", 3, 5, "env"),
    (H + "card_id: [a]\n---\n", 3, 10, "card_id"),
]


@pytest.mark.parametrize(("text", "line", "column", "word"), REFUSED, ids=lambda value: repr(value)[:40])
def test_a_wrong_card_is_refused_at_its_place(text: str, line: int, column: int, word: str) -> None:
    """The error names what is wrong, and the line and column of the whole card's text."""
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert word in caught.value.message
    assert caught.value.hint or "not YAML" in caught.value.message


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("---\r\n", "CRLF"),
        ("\ufeff---\n", "byte order mark"),
        (H + "---\r\n", "ending with LF"),
        (H + "title: Pumps: a guide\n---\n", "holds a colon"),
    ],
)
def test_what_is_nearly_right_gets_its_own_hint(text: str, word: str) -> None:
    """Invisible differences are named, because nobody can see them, and what people write most often."""
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert word in (caught.value.hint or "")


def test_bytes_that_are_not_utf8_are_refused_at_their_place() -> None:
    """The column counts characters, not bytes."""
    with pytest.raises(Invalid, match="UTF-8") as caught:
        parse("---\né".encode() + b"\xff")
    assert (caught.value.line, caught.value.column) == (2, 2)
    with pytest.raises(Invalid, match="UTF-8") as caught:
        parse("---\né\ud800")
    assert (caught.value.line, caught.value.column) == (2, 2)


def test_the_path_of_an_error_leads_into_the_header() -> None:
    """A screen can mark the field."""
    with pytest.raises(Invalid) as caught:
        parse(H + "a:\n  - b: 1e999\n---\n")
    assert caught.value.path == ("header", "a", 0, "b")


def test_sizes_are_bounded_exactly() -> None:
    """1 MiB of card and 64 KiB of header pass; one byte more does not. Sizes are bytes, not characters."""
    start = H + "---\n"
    assert parse(start + "é" * ((MAX_CARD_BYTES - len(start)) // 2))
    with pytest.raises(Invalid, match=r"1,048,577 bytes"):
        parse(start + "x" * (MAX_CARD_BYTES + 1 - len(start)))
    header = "card_type: note\n#"
    padding = "x" * (MAX_HEADER_BYTES - len(header) - 1)
    assert parse(f"---\n{header}{padding}\n---\n")
    with pytest.raises(Invalid, match=r"65,537 bytes"):
        parse(f"---\n{header}{padding}x\n---\n")


def test_depth_is_bounded_exactly() -> None:
    """16 levels pass, the whole header being the first; a seventeenth does not."""
    assert parse(H + f"a: {'[' * 15}{']' * 15}\n---\n")
    with pytest.raises(Invalid, match="deeper than 16") as caught:
        parse(H + f"a: {'[' * 16}{']' * 16}\n---\n")
    assert (caught.value.line, caught.value.column) == (3, 19)


DEEP: dict[str, tuple[Callable[[int], str], int, int]] = {
    "lists": (lambda levels: "a: " + "[" * levels, 3, 19),
    "closed lists": (lambda levels: f"a: {'[' * levels}{']' * levels}", 3, 19),
    "mappings": (lambda levels: "a: " + "{a: " * levels, 3, 4 + 15 * 4),
    "lists in a mapping": (lambda levels: "a: {b: " + "[" * levels, 3, 22),
    "lists over lines": (lambda levels: "a: " + "[\n" * levels, 18, 1),
    "block lists": (lambda levels: "a:\n " + "- " * levels, 4, 32),
    "block mappings": (lambda levels: "".join(f"{' ' * level}a:\n" for level in range(min(levels, 300))), 19, 17),
    "lists after a broken rule": (lambda levels: "a: [&x " + "[" * levels, 3, 5),
}
"""Ways to nest, and where the first node stands that our rules refuse. Block mappings grow too large beyond 300."""


@pytest.mark.parametrize("levels", [17, 998, 999, 1_000, 1_001, 1_024, 1_200])
@pytest.mark.parametrize(("text", "line", "column"), DEEP.values(), ids=DEEP)
def test_too_deep_is_our_refusal_at_our_place(text: Callable[[int], str], line: int, column: int, levels: int) -> None:
    """Whichever version of the parser reads it, and whatever limit of its own that has."""
    with pytest.raises(Invalid, match=r"deeper than 16|anchor") as caught:
        parse(H + text(levels) + "\n---\n")
    assert (caught.value.line, caught.value.column) == (line, column)


def test_what_the_parser_refuses_first_stays_its_refusal() -> None:
    """A scalar that its error cuts in two is not judged by its first half."""
    with pytest.raises(Invalid, match=r"not YAML: .* tab character") as caught:
        parse(H + "a: 99999999999999999999\n\tb\n---\n")
    assert (caught.value.line, caught.value.column) == (4, 1)


def test_nodes_are_bounded_exactly() -> None:
    """5,000 nodes pass, keys included: the mapping, two keys, a value, a list and its entries."""
    assert parse(H + f"a: [{'1,' * 4995}]\n---\n")
    with pytest.raises(Invalid, match="more than 5,000 nodes"):
        parse(H + f"a: [{'1,' * 4996}]\n---\n")


@pytest.mark.parametrize(
    "bomb",
    [
        "a: " + "[" * 60_000,
        "a: " + "{a: " * 15_000,
        "a:\n " + "- " * 30_000,
        "a:\n " + "? " * 30_000,
        "[" * 60_000,
        "a: &a [x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n",
        "\n".join(f"k{i}: {i}" for i in range(6_000)),
        "a: " + "9" * 60_000,
        "a: 0." + "9" * 60_000,
        "[],\n" * 16_000,
        '"' + "\\" * 60_001,
        "a: >\n" + " \n" * 30_000 + "\tx",
    ],
    ids=lambda bomb: repr(bomb)[:20],
)
def test_bombs_are_refused(bomb: str) -> None:
    """What is small to write and large to read ends in an error, not in a crash or a long wait."""
    with pytest.raises(Invalid):
        parse(H + bomb + "\n---\n")


def test_a_place_can_be_found_later() -> None:
    """The place of a value, or of the closest thing around a value that is missing."""
    card = parse(H + "a:\n  - b: 1\n    c: 2\n---\n")
    assert place(card, ("a", 0, "c")) == (5, 8)
    assert place(card, ("a", 0, "missing")) == (4, 5)
    assert place(card, ("missing",)) == (2, 1)
    assert place(parse("---\n# a comment\n  card_type: note\n---\n"), ()) == (3, 3)


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_header_text_is_read_or_refused(text: str) -> None:
    """Whatever is written between the fences, the answer is a card or Invalid, twice the same."""
    card = f"---\ncard_type: note\n{text}\n---\nbody"
    outcomes = []
    for _ in range(2):
        try:
            outcomes.append(repr(parse(card)))
        except Invalid as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


@given(st.text(alphabet="[]{}&*!|>'\"%@`#:-? \n\tab1~<=,.", max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_punctuation_is_read_or_refused(text: str) -> None:
    """The characters that mean something to YAML, in any order, never escape as another error."""
    with contextlib.suppress(Invalid):
        card = parse(f"---\ncard_type: note\n{text}\n---\nbody")
        assert card.text.endswith(card.body)


@given(st.binary(max_size=100))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Bytes of any kind, after a good beginning, give a card or Invalid."""
    with contextlib.suppress(Invalid):
        assert parse(b"---\ncard_type: note\n---\n" + data).text.encode().endswith(data)
