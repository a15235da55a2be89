"""HTML as a reader of the page sees it, with the place of its source."""

from __future__ import annotations

import html
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_files import blocks, left_out, read, sources, texts

from nexus_graph.atoms.recipes import RECIPES, content_type_of, kind_of, recipe_for
from nexus_graph.scope.errors import Invalid

INPUTS = Path(__file__).parent / "inputs"

PAGE = """<!doctype html><html><head><title>T &amp; t</title><script>if(a<b){'</p>'}</script><style>p{}</style></head>
<body><h1>He<b>llo</b> w&ouml;rld</h1> stray <p>One &nbsp; two<br>three<p>four <!-- x --> five
<table><tr><th>a<th>b</tr><tr><td><p>1</p><p>2</p></td><td></td><td>3</td></tr></table>
<ul><li>x</li><li>y &lt; z</ul><blockquote>q</blockquote><pre>  keep
   this</pre><template>no</template><![bad]> tail &amp end"""


def test_blocks_of_careless_markup() -> None:
    """Text by block as a browser shows it, line breaks kept, and each stands where its span says."""
    assert blocks(PAGE) == [
        ("title", "T & t"),
        ("heading", "Hello wörld"),
        ("paragraph", "stray"),
        ("paragraph", "One two\nthree"),
        ("paragraph", "four five"),
        ("row", "a\tb"),
        ("row", "a\tb\n1 2\t\t3"),
        ("item", "x"),
        ("item", "y < z"),
        ("quote", "q"),
        ("code", "  keep\n   this"),
        ("paragraph", "tail & end"),
    ]
    places = sources(PAGE)
    assert places[1] == "He<b>llo</b> w&ouml;rld"
    assert places[6] == "1</p><p>2</p></td><td></td><td>3"
    assert places[-1] == "tail &amp end"


def test_what_a_reader_does_not_see_is_left_out_with_a_word() -> None:
    """The page of the report: hidden, not displayed, without scripts; soft hyphens are no letters."""
    page = (INPUTS / "41-hidden.html").read_bytes()
    assert texts(page) == ["Visible price 10.", "Krankenversicherung zahlt."]
    assert left_out(page) == {"hidden": ("line 1",), "noscript": ("line 1",), "attribute": ("line 1",)}


@pytest.mark.parametrize(
    ("hidden", "what"),
    [
        ("<p hidden>no</p>", "hidden"),
        ("<p hidden=hidden><b>no</b><i>no</i></p>", "hidden"),
        ("<p style='color:red; DISPLAY : none!important'>no</p>", "hidden"),
        ("<p style='visibility:hidden'>no</p>", "hidden"),
        ("<table><tr style='visibility: collapse'><td>no<td>no</table>", "hidden"),
        ("<input type=hidden value=no>", None),
        ("<input type=password value=no>", "password"),
        ("<select><option>yes<option>no</select>", "option"),
        ("<input list=l><datalist id=l><option>no</datalist>", "option"),
        ("<noscript><p>no</p></noscript>", "noscript"),
        ("<template><p>no</p><table><tr><td>no</table></template>", "template"),
        ("<script>'<p>no</p>'</script>", "script"),
        ("<style>no{}</style>", "style"),
        ("<!-- no -->", "comment"),
        ("<meta name=keywords content=no>", "metadata"),
        ("<meta charset=no><meta name=viewport content=no><link href=no>", None),
        ("<?xml version='1.0' no?>", None),
        ("<?php no ?>", "comment"),
        ("<svg><title>no</title><desc>no</desc><defs><text>no</text></defs></svg>", "hidden"),
        ("<iframe src=no>no</iframe>", "embedded"),
        ("<iframe srcdoc='no'></iframe>", "frame"),
        ("<video src=no>no</video>", "embedded"),
        ("<img src=no>", "picture"),
        ("<img src=x alt=no>", "attribute"),
        ("<a title=no>yes</a>", "attribute"),
        ("<meter>no</meter>", "hidden"),
        ("<math><mi>x</mi><annotation>no</annotation></math>", "hidden"),
    ],
)
def test_what_is_not_shown(hidden: str, what: str | None) -> None:
    """Nothing of it is text, and each is told with its line."""
    page = f"<p>yes</p>\n{hidden}\n<p>yes</p>"
    assert "no" not in " ".join(texts(page))
    assert left_out(page) == ({what: ("line 2",)} if what else {})


@pytest.mark.parametrize(
    "page",
    [
        "<details><summary>x</summary>seen</details>",
        "<div hidden=until-found>seen</div>",
        "<div popover>seen</div>",
        "<div style='display:block'>seen</div>",
        "<div style='--display:nonesuch'>seen</div>",
        "<textarea>seen</textarea>",
        "<input value=seen>",
        "<input type=submit value=seen>",
        "<select><option>no<option selected>seen</select>",
        "<select multiple><option>no<option>seen</select>",
        "<select size=3><option>no<option>seen</select>",
        "<p>se&shy;en</p>",
        "<p>se&#8203;en</p>",
        "<p>se<wbr>en</p>",
        "<svg><text>seen</text></svg>",
        "<svg><foreignObject><p>seen</p></foreignObject></svg>",
        "<xmp>seen</xmp>",
        "<button>seen</button>",
        "<p>a</p></body></html>seen",
        "<div><p>a",
        "<template></template>seen",
        "<table><tr><td>a</td>seen</tr></table>",
    ],
)
def test_what_is_shown(page: str) -> None:
    """What opens at a click, values of a form, letters around invisible signs, what follows the end."""
    assert "seen" in " ".join(texts(page)) or page == "<div><p>a"
    assert texts(page)


def test_a_nested_table_stays_in_its_cell() -> None:
    """The page of the report: three cells, the last by itself."""
    assert blocks((INPUTS / "45-nested-table.html").read_bytes()) == [("row", "Left\tIntro a 1 outro\tRight")]


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("<tr><td rowspan=2>N<td>1<td>2<tr><td>3<td>4", ["N\t1\t2", "\t3\t4"]),
        ("<tr><td colspan=2>N<td>1<tr><td>a<td>b<td>c", ["N\t\t1", "a\tb\tc"]),
        ("<tr><td>a<td rowspan=2 colspan=2>b<td>c<tr><td>d<td>e", ["a\tb\t\tc", "d\t\t\te"]),
        ("<tr><td rowspan=0>N<td>1<tr><td>2<tr><td>3", ["N\t1", "\t2", "\t3"]),
        ("<tbody><tr><td rowspan=9>N<td>1<tbody><tr><td>2<td>3", ["N\t1", "2\t3"]),
        ("<tr><td rowspan=x colspan=-3>N<td>1<tr><td colspan=0>2<td colspan=' +2z'>3<td>4", ["N\t1", "2\t3\t\t4"]),
        ("<tr><td colspan=1000000>N<td>1<tr><td>2<td>3", ["N" + "\t" * 1000 + "1", "2\t3"]),
        (f"<tr><td colspan={'9' * 5000}>N<td>1<tr><td>2<td>3", ["N" + "\t" * 1000 + "1", "2\t3"]),
        ("<tr>" + "<td colspan=1000>a" * 18, [("a" + "\t" * 1000) * 16 + "a" + "\t" * 384 + "a"]),
        ("<tr><td rowspan=1000000>N<td>1<tr><td>2<tr><td>3", ["N\t1", "\t2", "\t3"]),
        ("<tr><td><td>1<td><tr><td><td>", ["\t1"]),
        ("<tr><td>a<br>b<td><ul><li>c<li>d</ul>", ["a b\tc d"]),
        ("<tr><td>a<td><ol><li>c<li>d</ol>", ["a\t1. c 2. d"]),
    ],
)
def test_tables_are_grids(table: str, rows: list[str]) -> None:
    """A value stands in the first of the columns that it spans, within the bounds of the HTML standard."""
    assert blocks(f"<table>{table}</table>") == [("row", row) for row in rows]


def test_rows_repeat_the_header() -> None:
    """Rows of `thead`, or first rows of header cells alone; a row that begins with one is no header."""
    page = "<table><caption>C</caption><thead><tr><td><td>Q1<tbody><tr><th>N<td>1<tr><th>S<td>2</table>"
    assert blocks(page) == [("caption", "C"), ("row", "\tQ1"), ("row", "\tQ1\nN\t1"), ("row", "\tQ1\nS\t2")]
    long = "x" * 1001
    assert texts(f"<table><tr><th>a<th>{long}<tr><td>1<td>2</table>") == [f"a\t{long}", "1\t2"]


@pytest.mark.parametrize(
    "page",
    [
        "<table><tr><td><p>one</p><p>two</p></table>",
        "<table role=presentation><tr><td>one<td>two</table>",
        "<table><tr><td><h1>one</h1><td>two</table>",
        "<table><tr><td><pre>one</pre><td>two</table>",
        "<table><tr><td>one<tr><td><table role=none><tr><td>two</table></table>",
    ],
)
def test_tables_for_layout_are_none(page: str) -> None:
    """One that says so, that has one column, or holds headings or code: its cells are parts of the page."""
    assert texts(page) == ["one", "two"]


@pytest.mark.parametrize(
    ("page", "items"),
    [
        ("<ol><li>a<li>b</ol>", ["1. a", "2. b"]),
        ("<ol start=3 type=a><li>a<li value=7>b<li>c</ol>", ["c. a", "g. b", "h. c"]),
        ("<ol reversed><li>a<li>b</ol>", ["2. a", "1. b"]),
        ("<ol reversed start=9><li>a<li>b</ol>", ["9. a", "8. b"]),
        ("<ol type=I start=1994><li>a</ol>", ["MCMXCIV. a"]),
        ("<ol type=i start=4000><li>a</ol>", ["4000. a"]),
        ("<ol type=A start=27><li>a</ol>", ["AA. a"]),
        ("<ol type=A start=-1><li>a<li>b</ol>", ["-1. a", "0. b"]),
        ("<ol style='list-style: none'><li>a</ol>", ["a"]),
        ("<ol style='list-style-type:lower-roman'><li>a<li>b</ol>", ["i. a", "ii. b"]),
        ("<ol><li><p>a</p><p>b</p><li></ol>", ["1. a", "b"]),
        ("<ol><li>a<ul><li>b</ul><li>c</ol>", ["1. a", "b", "2. c"]),
        ("<ul><li>a<ol><li>b</ol></ul>", ["a", "1. b"]),
        ("<dl><dt>a<dd>b</dl>", ["a", "b"]),
    ],
)
def test_lists_are_numbered_as_printed(page: str, items: list[str]) -> None:
    """Start, style, own values, backwards; bullets are not printed."""
    assert blocks(page) == [("item", item) for item in items]


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>10<sup>6</sup> m<sup>-2</sup> 1<sup>st</sup> H<sub>2</sub>O</p>", "10⁶ m⁻² 1st H2O"),
        ("<p><ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp>字<rt></rt></ruby></p>", "漢(kan)字"),
        ("<p>He said <q>no</q><q></q></p>", "He said “no”"),
        ("<label><input type=checkbox checked> a</label><input type=checkbox>b", "☑ a☐ b"),
        ("<input type=radio>a<input type=radio checked>b", "○ a◉ b"),
        ("<p>Name <input value='M&uuml;ller &gt; x'></p>", "Name Müller > x"),
        ("<math><mi>Q</mi><mo>=</mo><mi>A</mi><mo>·</mo><mi>v</mi></math>", "Q=A·v"),
        ("<math><mfrac><mi>p</mi><mi>V</mi></mfrac></math>", "p/V"),
        ("<math><mfrac><mrow><mi>a</mi><mo>+</mo><mn>1</mn></mrow><mi>b</mi></mfrac></math>", "(a+1)/b"),
        ("<math><msqrt><msup><mi>x</mi><mn>2</mn></msup></msqrt></math>", "√(x^2)"),
        ("<p>It is <math> <mi>x</mi> <mo>&it;</mo> <mi>y</mi> </math>.</p>", "It is xy."),
        ("<textarea>\n a\n  b</textarea>", " a\n  b"),
        ("<p>a &#x26; &notit; b &copy c</p>", "a & ¬it; b © c"),
        ("<p>a\u2003b\u3000c\x85</p>", "a b c"),
    ],
)
def test_what_a_browser_prints_is_printed(page: str, text: str) -> None:
    """Raised figures, ruby, quotes, ticks, values, formulas, white space, references."""
    assert texts(page) == [text]


@pytest.mark.parametrize("aside", ["<!-- x -->", "<?x>", "<!doctype x>", "<![x]>", "<script>x</script>", "<b></b>"])
def test_spans_end_with_their_text(aside: str) -> None:
    """What says nothing is no part of a span, unless text follows it."""
    assert sources(f"<p>{aside}one{aside}</p><p>two{aside}three") == ["one", f"two{aside}three"]


@pytest.mark.parametrize(
    ("page", "places"),
    [
        ("<p>a<b>b<p>c", ["a<b>b", "c"]),
        ("<table>out<tr><td>a<td>b</tr>side</table>", ["out<tr><td>a<td>b</tr>side", "a<td>b"]),
        ("<table><tr><td>1<td>2</tr>moved</table>", ["1<td>2", "moved"]),
        ("<p hidden>x</p>x", ["x"]),
        ("<a href='>x'>x</a>", ["x"]),
        ('<a title="<p>x</p>">x</a>', ["x"]),
        ("<p>a</i>b", ["a</i>b"]),
        ("<svg><text><![CDATA[a<b]]></text></svg>", ["a<b"]),
        ("<pre>\nx\n</pre>", ["x"]),
        ("<title>a &amp; <b></title>", ["a &amp; <b>"]),
    ],
)
def test_places_of_careless_markup(page: str, places: list[str]) -> None:
    """Elements that browsers repeat, text that they move, tags in attributes: each block stands where it was put."""
    assert sources(page) == places


@pytest.mark.parametrize(
    "page",
    [
        "<p>a<script src=k.js><p>b</p>",
        "<p>a<script src=k.js /><p>b</p>",
        "<p>a<!-- <p>b</p>",
        '<p>a<img alt="><p>b</p>',
        "<p>a<style>b",
        "<p>a<p class=b",
        "<p>a</p",
    ],
)
def test_a_page_that_is_cut_off_keeps_its_text_and_says_so(page: str) -> None:
    """A script, a comment, an attribute or a tag without an end takes the rest of the page, in browsers too."""
    assert texts(page) == ["a"]
    assert left_out(page)["cut off"] == ("line 1",)
    assert RECIPES["html.blocks"].leaves_out["cut off"].intended is False


@pytest.mark.parametrize("page", ["<p>a < b", "<p>a <3 b", "a &lt;b", "<p>a<br/>", "<script></script >a", "<p>a<!-->"])
def test_a_page_that_is_whole_says_nothing(page: str) -> None:
    """Signs of less, tags that close themselves, comments of odd forms are no cut."""
    assert "cut off" not in left_out(page)


def test_a_page_declares_its_charset() -> None:
    """A meta element counts where no parameter tells, and a parameter before it; an unknown name counts for nothing."""
    page = '<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-2"><p>Łódź'.encode("iso8859-2")
    assert texts(page) == ["Łódź"]
    assert [draft.text for draft in read("html.blocks", page, charset="cp1252").drafts] != ["Łódź"]
    assert texts(b"<meta charset=klingon><p>caf\xe9") == ["café"]


def test_markup_is_known_by_name_and_content() -> None:
    """XHTML has a recipe of its own, which its name chooses; a page named .html is HTML whatever it says."""
    page = b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>'
    for name, op in (("a.htm", "html.blocks"), ("a.xhtml", "xhtml.blocks"), ("a.xht", "xhtml.blocks")):
        recipe = recipe_for(kind_of(page, name, content_type_of(name)))
        assert recipe is not None
        assert recipe.op == op


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 50_000 + "x",
        "<b>" * 20_000 + "x",
        "<b><i><a><p></a>" * 2_000 + "x",
        "<table><tr><td>" * 3_000 + "x",
        "<ol><li>" * 5_000 + "x",
        "<table>" + "<tr><td rowspan=65534 colspan=1000>y<td>x" * 20,
        "<table>" + "x<b>" * 5_000,
        "<p " + " ".join(f"a{number}=''" for number in range(20_000)) + ">x",
        "<" * 20_000 + " x",
        "<!--" * 20_000 + "-->x",
        "&" * 20_000 + "x",
        "<math>" + "<mrow>" * 20_000 + "<mi>x",
        "<select>" + "<option>x" * 20_000,
    ],
)
def test_hostile_pages_are_read(page: str) -> None:
    """Depth, repeated elements, moved text, spans and attributes without end take no more than they weigh."""
    assert "x" in "".join(texts(page))


_TAGS = (
    "p div h1 li ol tr td th table caption pre script style template b a br svg math title select option textarea rt q "
    "noscript frameset body html plaintext iframe"
)
_tags = st.sampled_from(_TAGS.split())
_pieces = st.one_of(
    _tags.map(lambda tag: f"<{tag}>"),
    _tags.map(lambda tag: f"</{tag}>"),
    _tags.map(lambda tag: f"<{tag} a='>"),
    _tags.map(lambda tag: f"<{tag} hidden rowspan=3 value='v'/>"),
    st.sampled_from(
        ["&amp;", "&#xD800;", "&#0;", "&", "<", ">", "<!--", "-->", "<![x", "<![CDATA[a]]>", "<!", "<?", "</", "\u00ad"]
    ),
    st.text(max_size=5),
)
_pages = st.lists(_pieces, max_size=30).map("".join)


@given(_pages)
def test_a_page_of_any_shape_is_read(page: str) -> None:
    """No page is refused, places hold, and every text can be stored."""
    for draft in read("html.blocks", page.replace("\0", "")).drafts:
        assert draft.text.encode()
        assert "\0" not in draft.text


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Nothing but Invalid is ever raised."""
    try:
        read("html.blocks", data)
    except Invalid:
        return


@given(st.lists(st.tuples(st.sampled_from(["p", "div", "li", "h2"]), st.text(min_size=1)), max_size=8))
def test_words_stand_in_the_source_of_their_block(parts: list[tuple[str, str]]) -> None:
    """The source of a span, with its references resolved, says what the text says."""
    page = "".join(f"<{tag}>{html.escape(text)}</{tag}>" for tag, text in parts).replace("\0", "")
    for draft in read("html.blocks", page).drafts:
        source = html.unescape(page.replace("\r\n", "\n").replace("\r", "\n")[draft.span.start : draft.span.end])
        for sign in "\u00ad\u200b\u2060\u2061\u2062\u2063\u2064\ufeff":
            source = source.replace(sign, "")
        assert " ".join(source.split()) == draft.text
