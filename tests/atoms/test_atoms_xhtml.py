"""XHTML by the rules of XML."""

from __future__ import annotations

from html import escape
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_files import XHTML, blocks, left_out, read, sources, texts

from nexus_graph.atoms.recipes import RECIPES
from nexus_graph.scope.errors import Invalid

INPUTS = Path(__file__).parent / "inputs"
OP = "xhtml.blocks"
STRICT = (
    '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">\n'
)


def body(content: str) -> list[str]:
    """The texts of a page with this body, without its title."""
    return texts(XHTML.format(content), OP)[1:]


def test_elements_close_themselves() -> None:
    """The page of the report: a script that closes itself does not take the rest of the page."""
    page = (INPUTS / "42-self-closed.xhtml").read_bytes()
    assert blocks(page, OP) == [("title", "Manual"), ("heading", "Pump P-7"), ("paragraph", "Runs at 2900 rpm.")]
    assert left_out(page, OP) == {"script": ("line 1",)}
    assert body("<p/><div/><b/>a<br/>b") == ["a\nb"]


def test_cdata_is_text() -> None:
    """The page of the report: code in a CDATA section, at its place."""
    page = (INPUTS / "44-cdata.xhtml").read_bytes()
    assert blocks(page, OP) == [("paragraph", "Run this:"), ("code", "nexus start --fast")]
    assert sources(page.decode(), OP)[1] == "nexus start --fast"
    assert body("<p>a <![CDATA[<b> &amp; ]]>c</p>") == ["a <b> &amp; c"]


@pytest.mark.parametrize("doctype", ["", "<!DOCTYPE html>\n", STRICT])
def test_named_entities_of_html_mean_what_they_mean_there(doctype: str) -> None:
    """In text and in values, whatever the document type, and at the place of their references."""
    page = doctype + XHTML.format("<p>caf&eacute;&nbsp;&lt;é&gt; &#228;</p><p><input value='M&uuml;ller'/></p>")
    assert texts(page, OP) == ["T", "café <é> ä", "Müller"]
    assert sources(page, OP)[1:] == ["caf&eacute;&nbsp;&lt;é&gt; &#228;", "<input value='M&uuml;ller'/>"]


def test_entities_that_a_page_declares_are_read() -> None:
    """Their text stands at the place of the reference."""
    page = "<!DOCTYPE html [<!ENTITY firm 'Kestrel &amp; Co'> <!ENTITY nbsp 'own'>]>\n" + XHTML.format(
        "<p>By &firm;, &nbsp;.</p>"
    )
    assert texts(page, OP) == ["T", "By Kestrel & Co, own."]
    assert sources(page, OP)[1] == "By &firm;, &nbsp;."


@pytest.mark.parametrize(
    ("page", "said", "place"),
    [
        (XHTML.format("<p>a<b></p>"), "not well-formed .mismatched tag", (2, 10)),
        (XHTML.format("<p>a"), "mismatched tag", (3, 3)),
        (XHTML.format("<p>a & b</p>"), "invalid token", (2, 7)),
        (XHTML.format("<p a=b/>"), "invalid token", (2, 6)),
        (XHTML.format("<x:p/>"), "unbound prefix", (2, 1)),
        (XHTML.format("<p>&nonesuch;</p>"), "the entity 'nonesuch' is not declared", (2, 4)),
        (XHTML.format("<p>é &nonesuch; &nbsp;</p>"), "the entity 'nonesuch' is not declared", (2, 6)),
        (XHTML.format("a") + "b", "junk after document element", (3, 15)),
        (XHTML.format("\x01"), "invalid token", (2, 1)),
        ("", "no element found", (1, 1)),
        ("just text", "syntax error", (1, 1)),
        (
            "<!DOCTYPE html [<!ENTITY a 'ha'>\n<!ENTITY b '&a;&a;'>]>" + XHTML.format("&b;"),
            "the entity 'b' is made of other entities",
            (2, 12),
        ),
        ("<!DOCTYPE html [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>\n" + XHTML.format("&a;"), "another file", (3, 1)),
        (
            f"<!DOCTYPE html [<!ENTITY a '{'x' * 100_000}'>]>\n" + XHTML.format("&a;" * 200),
            "amplification",
            None,
        ),
    ],
)
def test_what_breaks_the_rules_is_refused(page: str, said: str, place: tuple[int, int] | None) -> None:
    """With line and column, and word of the recipe that mends what browsers mend in HTML."""
    with pytest.raises(Invalid, match=said) as refused:
        read(OP, page)
    assert "html.blocks" in str(refused.value.hint)
    if place is not None:
        assert (refused.value.line, refused.value.column) == place


def test_what_is_refused_can_be_read_as_html() -> None:
    """The recipe that the hint names reads it."""
    assert texts(XHTML.format("<p>a & b<p>c")) == ["T", "a & b", "c"]


def test_nothing_outside_is_loaded(tmp_path: Path) -> None:
    """Neither a document type's outside part nor an entity's file is opened."""
    (tmp_path / "own.dtd").write_text("<!ENTITY eacute 'SECRET'>")
    page = f"<!DOCTYPE html SYSTEM '{(tmp_path / 'own.dtd').as_uri()}'>\n" + XHTML.format("<p>caf&eacute;</p>")
    assert texts(page, OP) == ["T", "café"]


def test_the_rest_is_as_in_html() -> None:
    """Tables, lists, hidden parts, drawings and formulas, by their namespaces."""
    page = XHTML.format(
        "<table><tr><th>a</th><th>b</th></tr><tr><td rowspan='2'>1</td><td>2</td></tr><tr><td>3</td></tr></table>"
        "<ol reversed=''><li>x</li><li>y</li></ol><p hidden='hidden'>no</p><select><option>no</option>"
        "<option selected='selected'>z</option></select><!-- no --><?no no?>"
        "<svg xmlns='http://www.w3.org/2000/svg'><title>no</title><text>drawn</text></svg>"
        "<m:math xmlns:m='http://www.w3.org/1998/Math/MathML'><m:msup><m:mi>x</m:mi><m:mn>2</m:mn></m:msup></m:math>"
    )
    assert texts(page, OP) == ["T", "a\tb", "a\tb\n1\t2", "a\tb\n\t3", "2. x", "1. y", "z", "drawn", "x^2"]
    assert left_out(page, OP) == dict.fromkeys(("hidden", "option", "comment"), ("line 2",))


def test_a_table_with_a_prefix_is_a_table() -> None:
    """Names count by their namespace, however they are written; stray text in a row is a cell."""
    page = (
        "<h:html xmlns:h='http://www.w3.org/1999/xhtml'><h:table><h:tr><h:td>a</h:td>b</h:tr>"
        "<h:tr><h:td>c</h:td><h:td>d</h:td></h:tr></h:table></h:html>"
    )
    assert blocks(page, OP) == [("row", "a\tb"), ("row", "c\td")]


@pytest.mark.parametrize(
    "data",
    [
        XHTML.format("<p>Łódź</p>").encode("utf-8-sig"),
        XHTML.format("<p>Łódź</p>").encode("utf-16"),
        XHTML.format("<p>Łódź</p>").encode("utf-16-le"),
        ('<?xml version="1.0" encoding="UTF-16"?>' + XHTML.format("<p>Łódź</p>")).encode("utf-16-be"),
        ("<?xml version='1.0' encoding='ISO-8859-2'?>" + XHTML.format("<p>Łódź</p>")).encode("iso8859-2"),
    ],
)
def test_encodings_of_xml(data: bytes) -> None:
    """A mark, the first characters, or the declaration tell the encoding."""
    assert texts(data, OP) == ["T", "Łódź"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (XHTML.format("<p>café</p>").encode("latin-1"), "it is not utf-8"),
        (b"<?xml version='1.0' encoding='klingon'?><p>\xff</p>", "The charset 'klingon' is unknown"),
    ],
)
def test_an_encoding_that_nobody_tells_is_refused(data: bytes, said: str) -> None:
    """XML guesses none."""
    with pytest.raises(Invalid, match=said):
        read(OP, data)


_text = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), min_size=1)


@given(st.lists(st.tuples(st.sampled_from(["p", "b", "li", "td", "table", "tr", "h2", "pre"]), _text), max_size=12))
def test_places_count_code_points(parts: list[tuple[str, str]]) -> None:
    """Whatever the width of a character in bytes, each word stands in the source of its block."""
    page = XHTML.format("".join(f"<{tag}>{escape(text)}</{tag}>" for tag, text in parts))
    drafts = read(OP, page).drafts
    assert len(drafts) > 0
    for draft in drafts:
        first = draft.text.split()[0][:1]
        assert escape(first) in page[draft.span.start : draft.span.end] or draft.kind == "row"


@given(st.binary() | st.text().map(lambda text: XHTML.format(text).encode()))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Nothing but Invalid is ever raised."""
    try:
        read(OP, data)
    except Invalid:
        return
    assert RECIPES[OP].version == "1"
