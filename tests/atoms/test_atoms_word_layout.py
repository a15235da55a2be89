"""What stands beside the text of Word files: tables, boxes, notes, headers, drawings, files inside."""

from __future__ import annotations

import io

import docx as python_docx
import pytest
from atom_files import saved, word
from word_files import NAMES, content_types, docx, drafts, left_out, listing, paragraph, parts_of, read, run, texts


def row(*cells: str, properties: str = "") -> str:
    """A row of a table."""
    return f"<w:tr><w:trPr>{properties}</w:trPr>{''.join(cells)}</w:tr>"


def cell(content: str = "", properties: str = "") -> str:
    """A cell; `content` that is no XML is its text."""
    inside = content if content.startswith("<") else paragraph(content)
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{inside}</w:tc>"


def table(*rows: str) -> str:
    """A table."""
    return f"<w:tbl>{''.join(rows)}</w:tbl>"


SPAN = '<w:gridSpan w:val="{}"/>'
WIDE = SPAN.format(2)
BEGINS, GOES_ON = '<w:vMerge w:val="restart"/>', "<w:vMerge/>"


@pytest.mark.parametrize(
    ("rows", "grid"),
    [
        ([row(cell("a", SPAN.format(3)), cell("b"))], "a\t\t\tb"),
        ([row(cell("a", BEGINS), cell("b")), row(cell("", GOES_ON), cell("c"))], "a\tb\n\tc"),
        ([row(cell("a", WIDE + BEGINS), cell("b")), row(cell("", WIDE + GOES_ON), cell("c"))], "a\t\tb\n\t\tc"),
        ([row(cell("a", '<w:hMerge w:val="restart"/>'), cell("", "<w:hMerge/>"), cell("b"))], "a\t\tb"),
        ([row(cell("a"), properties='<w:gridBefore w:val="1"/><w:gridAfter w:val="2"/>')], "\ta\t\t"),
        ([row(cell("a", '<w:gridSpan w:val="x"/>'), cell("b", SPAN.format(0)), cell("c", SPAN.format(-3)))], "a\tb\tc"),
        ([row(cell("a"), cell(), cell("c"))], "a\t\tc"),
        ([row(cell(paragraph("a") + paragraph() + paragraph("b\tc")), cell("d"))], "a b c\td"),
    ],
)  # fmt: skip
def test_tables_are_grids(rows: list[str], grid: str) -> None:
    """Spans to the right and down, of both kinds, rows that begin late or end early, spans that are none."""
    assert texts(docx(paragraph("x") + table(*rows))) == ["x", grid]


def test_a_span_is_no_wider_than_a_table_can_be() -> None:
    """A million columns are told by a few bytes."""
    (text,) = texts(docx(table(row(cell("a", SPAN.format(1_000_000)), cell("b")))))
    assert text == "a" + "\t" * 63 + "b"


def test_what_a_merged_cell_hides_is_told() -> None:
    """Word shows nothing of it."""
    data = docx(table(row(cell("a", BEGINS)), row(cell("INTERNAL", GOES_ON)), row(cell("b"), properties="<w:hidden/>")))
    assert texts(data) == ["a\n"]
    assert left_out(data) == [("hidden text", "the body")]


def test_a_table_in_a_cell_stands_beside_its_table() -> None:
    """No cell is glued to another; boxes and notes in cells come after the table too."""
    inner = table(row(cell("Left"), cell("Right")))
    body = table(row(cell(paragraph("intro") + inner + paragraph("outro")), cell("b")))
    assert read(docx(body)) == [("table", "intro outro\tb"), ("table", "Left\tRight")]


def box(content: str) -> str:
    """A run with a text box, as newer and older programs see it."""
    inside = f"<w:txbxContent>{content}</w:txbxContent>"
    newer = f"<w:drawing><wp:anchor><wps:wsp><wps:txbx>{inside}</wps:txbx></wps:wsp></wp:anchor></w:drawing>"
    older = f"<w:pict><v:shape><v:textbox>{inside}</v:textbox></v:shape></w:pict>"
    choice = f'<mc:Choice Requires="wps">{newer}</mc:Choice><mc:Fallback>{older}</mc:Fallback>'
    return f"<w:r><mc:AlternateContent>{choice}</mc:AlternateContent></w:r>"


def test_a_box_between_two_words() -> None:
    """Before, box, after: two of a sentence, one apart; a box in a box is apart as well."""
    data = docx(paragraph(run("before ") + box(paragraph(run("outer") + box(paragraph("inner")))) + run("after")))
    assert parts_of(data) == [(None, "before after"), ("text box 1", "outer"), ("text box 2", "inner")]


def test_boxes_that_nobody_sees_are_told() -> None:
    """Hidden shapes, and boxes in deleted text."""
    content = f"<w:txbxContent>{paragraph('INTERNAL')}</w:txbxContent>"
    hidden = f'<w:r><w:drawing><wp:anchor><wp:docPr hidden="1"/>{content}</wp:anchor></w:drawing></w:r>'
    older = f'<w:r><w:pict><v:shape style="visibility: hidden">{content}</v:shape></w:pict></w:r>'
    for inside, what in ((hidden, "hidden text"), (older, "hidden text"), (f"<w:del>{hidden}</w:del>", "deletion")):
        data = docx(paragraph(inside))
        assert (texts(data), left_out(data)) == ([], [(what, "the body")])


def test_words_drawn_as_art_are_read() -> None:
    """Watermarks, and shapes as presentations have them."""
    art = '<w:r><w:pict><v:shape><v:textpath string="DRAFT"/></v:shape></w:pict></w:r>'
    words = "<a:txBody><a:p><a:r><a:t>Mixer</a:t></a:r></a:p></a:txBody>"
    shape = f"<w:r><w:drawing><wp:inline>{words}</wp:inline></w:drawing></w:r>"
    assert parts_of(docx(paragraph(art) + paragraph(shape))) == [("text box 1", "DRAFT"), ("text box 2", "Mixer")]


def note(kind: str, note_id: int, text: str, more: str = "") -> str:
    """A note of a kind."""
    return f'<w:{kind} w:id="{note_id}"{more}>{text if text.startswith("<") else paragraph(text)}</w:{kind}>'


def reference(kind: str, note_id: int, more: str = "", mark: str = "") -> str:
    """A run that refers to a note."""
    return f'<w:r><w:{kind}Reference w:id="{note_id}"{more}/>{mark}</w:r>'


def test_notes_stand_after_the_block_that_refers_to_them() -> None:
    """With their marks as printed, in the order of the references, each once, after a table if they are in one."""
    footnotes = note("footnote", 0, "separator", ' w:type="separator"') + "".join(
        note("footnote", number, f"foot {number}") for number in (1, 2, 3)
    )
    body = (
        paragraph(run("a") + reference("footnote", 3) + run(" b") + reference("endnote", 1))
        + table(row(cell(paragraph(run("c") + reference("footnote", 1))), cell("d")))
        + paragraph(run("again") + reference("footnote", 3))
    )
    data = docx(body, footnotes=footnotes, endnotes=note("endnote", 1, "end 1"))
    assert [(draft.kind, draft.span.part, draft.text) for draft in drafts(data)] == [
        ("paragraph", None, "a[1] b[i]"),
        ("footnote", "footnote 1", "foot 3"),
        ("endnote", "endnote i", "end 1"),
        ("table", None, "c[2]\td"),
        ("footnote", "footnote 2", "foot 1"),
        ("paragraph", None, "again[1]"),
    ]
    assert left_out(data) == [("unused part", "the footnote with the id 2")]


def test_a_note_may_have_a_mark_of_its_own() -> None:
    """It stands as it is, and is not counted."""
    own = reference("footnote", 1, ' w:customMarkFollows="1"', "<w:t>*</w:t>")
    data = docx(
        paragraph(run("a") + own + run(" b") + reference("footnote", 2)),
        footnotes=note("footnote", 1, "first") + note("footnote", 2, "second"),
    )
    assert parts_of(data) == [(None, "a* b[1]"), ("footnote *", "first"), ("footnote 1", "second")]


def test_how_notes_are_numbered() -> None:
    """For all, and for a section; on each page, which no file knows, they count on, and that is told."""
    footnotes = "".join(note("footnote", number, f"foot {number}") for number in (1, 2))
    first = '<w:sectPr><w:footnotePr><w:numFmt w:val="upperRoman"/><w:numStart w:val="4"/></w:footnotePr></w:sectPr>'
    body = paragraph(run("a") + reference("footnote", 1), first)
    body += paragraph(run("b") + reference("footnote", 2)) + "<w:sectPr/>"
    each = '<w:footnotePr><w:numFmt w:val="lowerLetter"/><w:numRestart w:val="{}"/></w:footnotePr>'
    sections = docx(body, footnotes=footnotes, settings=each.format("eachSect"))
    assert [text for part, text in parts_of(sections) if part is None] == ["a[IV]", "b[a]"]
    pages = docx(body, footnotes=footnotes, settings=each.format("eachPage"))
    assert [text for part, text in parts_of(pages) if part is None] == ["a[IV]", "b[e]"]
    assert left_out(pages) == [("number format", "of footnotes that begin anew on each page")]


def test_notes_may_refer_to_notes() -> None:
    """Also to themselves, and in a long row."""
    count = 2_000
    footnotes = "".join(
        note("footnote", number, paragraph(run(f"n{number}") + reference("footnote", (number + 1) % count)))
        for number in range(count)
    )
    data = docx(paragraph(run("a") + reference("footnote", 0)), footnotes=footnotes)
    assert len(drafts(data)) == count + 1


def test_comments_stand_after_the_block_that_they_are_on() -> None:
    """A text with a comment has no mark."""
    data = docx(
        paragraph(run("a") + reference("comment", 7) + run(" b")),
        comments=note("comment", 7, paragraph("one") + paragraph("two")) + note("comment", 8, "lost"),
    )
    assert [(draft.kind, draft.span.part, draft.text) for draft in drafts(data)] == [
        ("paragraph", None, "a b"),
        ("comment", "comment 1", "one"),
        ("comment", "comment 1", "two"),
    ]
    assert left_out(data) == [("unused part", "the comment with the id 8")]


def test_a_note_of_deleted_text_is_left_out_with_it() -> None:
    """And not told a second time as one that nothing refers to."""
    body = paragraph(run("a") + f"<w:del>{reference('footnote', 1)}</w:del>")
    data = docx(body, footnotes=note("footnote", 1, "gone"))
    assert (texts(data), left_out(data)) == (["a"], [("deletion", "the body")])


def margin(side: str, text: str) -> str:
    """A header ("hdr") or footer ("ftr")."""
    return f"<w:{side} {NAMES}>{paragraph(text)}</w:{side}>"


def section(more: str = "", **references: str) -> str:
    """Properties of a section; `references` are ids by side and pages: `header_first="h1"`."""
    items = "".join(
        f'<w:{name.partition("_")[0]}Reference w:type="{name.partition("_")[2]}" r:id="{key}"/>'
        for name, key in references.items()
    )
    return f"<w:sectPr>{items}{more}</w:sectPr>"


HEADERS = {f"h{number}": ("header", f"header{number}.xml") for number in range(1, 5)}
HEADER_PARTS = {
    "word/header1.xml": margin("hdr", "Contract"),
    "word/header2.xml": margin("hdr", "Contract"),
    "word/header3.xml": margin("hdr", "Cover"),
    "word/header4.xml": margin("hdr", "Left"),
    "word/footer1.xml": margin("ftr", "Page 1"),
}
MARGINS = {**HEADERS, "f1": ("footer", "footer1.xml")}


def test_headers_and_footers_are_told_once() -> None:
    """Where their section begins or ends; not again where a later one has the same, or takes over those before it."""
    body = (
        paragraph("one", section(header_default="h1", footer_default="f1"))
        + paragraph("two", section())
        + paragraph("three")
        + section(header_default="h2")
    )
    known = {key: MARGINS[key] for key in ("h1", "h2", "f1")}
    data = docx(body, parts=HEADER_PARTS, relations=known)
    assert [(draft.kind, draft.span.part, draft.text) for draft in drafts(data)] == [
        ("header", "header", "Contract"),
        ("paragraph", None, "one"),
        ("footer", "footer", "Page 1"),
        ("paragraph", None, "two"),
        ("paragraph", None, "three"),
    ]
    assert left_out(data) == []


def test_headers_that_no_page_shows_are_told() -> None:
    """That of a first page counts where the section has one, that of even pages where the document has them."""
    body = paragraph("one") + section("<w:titlePg/>", header_default="h1", header_first="h3", header_even="h4")
    data = docx(body, parts=HEADER_PARTS, relations=MARGINS, settings="<w:evenAndOddHeaders/>")
    assert parts_of(data) == [
        ("first page header", "Cover"),
        ("header", "Contract"),
        ("even page header", "Left"),
        (None, "one"),
    ]
    assert left_out(data) == [
        ("unused part", "the header word/header2.xml"),
        ("unused part", "the footer word/footer1.xml"),
    ]
    plain = paragraph("one") + section(header_default="h1", header_first="h3", header_even="h4")
    data = docx(plain, parts=HEADER_PARTS, relations=HEADERS)
    assert parts_of(data) == [("header", "Contract"), (None, "one")]
    assert ("unused part", "the header word/header3.xml") in left_out(data)
    assert ("unused part", "the header word/header4.xml") in left_out(data)


def test_a_header_that_is_not_there_is_told() -> None:
    """The rest is read."""
    data = docx(paragraph("one") + section(header_default="h1", footer_default="none"), relations=HEADERS)
    assert texts(data) == ["one"]
    assert left_out(data) == [("missing part", "with the header"), ("missing part", "with the footer")]


def picture(name: str = 'name="Picture 1"', more: str = "") -> str:
    """A run with a picture."""
    blip = '<pic:pic><pic:blipFill><a:blip r:embed="p"/></pic:blipFill></pic:pic>'
    return f"<w:r><w:drawing><wp:inline><wp:docPr {name}>{more}</wp:docPr>{blip}</wp:inline></w:drawing></w:r>"


OLD = '<v:imagedata r:id="p"/>'
SHEET = '<o:OLEObject ProgID="Excel"/>'
DECORATIVE = '<d:decorative xmlns:d="http://schemas.microsoft.com/office/drawing/2017/decorative" val="1"/>'


@pytest.mark.parametrize(
    ("drawn", "told"),
    [
        (picture(), ("picture", '"Picture 1" in the body')),
        (picture('name="Picture 1" descr="A red  pump"'), ("picture", '"A red pump" in the body')),
        (picture('name=""'), ("picture", "without a name in the body")),
        (picture(more=DECORATIVE), ("decoration", "in the body")),
        (f'<w:r><w:pict><v:shape alt="Old">{OLD}</v:shape></w:pict></w:r>', ("picture", '"Old" in the body')),
        (f"<w:r><w:object><v:shape>{OLD}</v:shape>{SHEET}</w:object></w:r>", ("embedded object", "Excel in the body")),
        ("<w:r><w:object/></w:r>", ("embedded object", "of an unknown kind in the body")),
        ('<w:r><w:drawing><c:chart r:id="none"/></w:drawing></w:r>', ("missing part", "with a chart in the body")),
    ],
)  # fmt: skip
def test_what_is_drawn_and_not_read_is_told(drawn: str, told: tuple[str, str]) -> None:
    """Pictures by what they show or are called, objects by the program that made them."""
    data = docx(paragraph(run("see ") + drawn))
    assert (texts(data), left_out(data)) == (["see "], [told])


CHART = f"""<c:chartSpace {NAMES}><c:chart><c:title><c:tx><c:rich><a:p><a:r><a:t>Revenue</a:t></a:r></a:p></c:rich></c:tx>
</c:title><c:plotArea><c:barChart>
<c:ser><c:tx><c:strRef><c:strCache><c:pt idx="0"><c:v>2023</c:v></c:pt></c:strCache></c:strRef></c:tx>
<c:cat><c:strRef><c:strCache><c:pt idx="0"><c:v>North</c:v></c:pt><c:pt idx="1"><c:v>South</c:v></c:pt></c:strCache></c:strRef></c:cat>
<c:val><c:numRef><c:numCache><c:pt idx="0"><c:v>12.5</c:v></c:pt><c:pt idx="1"><c:v>4.4000000000000004</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser>
<c:ser><c:tx><c:v>2024</c:v></c:tx><c:val><c:numLit><c:pt idx="1"><c:v>88</c:v></c:pt></c:numLit></c:val></c:ser>
</c:barChart></c:plotArea></c:chart></c:chartSpace>"""  # noqa: E501
DIAGRAM = f"""<dgm:dataModel {NAMES}><dgm:ptLst>
<dgm:pt type="doc"/><dgm:pt><dgm:t><a:p><a:r><a:t>Order</a:t></a:r></a:p></dgm:t></dgm:pt>
<dgm:pt type="pres"><dgm:t><a:p><a:r><a:t>NOT SEEN</a:t></a:r></a:p></dgm:t></dgm:pt>
<dgm:pt><dgm:t><a:p><a:r><a:t>Deliver</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:ptLst></dgm:dataModel>"""


def test_charts_and_diagrams_are_read() -> None:
    """A chart as its titles and a grid of its values, a diagram as the words of its points."""
    drawn = "<w:r><w:drawing><wp:inline>{}</wp:inline></w:drawing></w:r>"
    body = paragraph(run("see") + drawn.format('<c:chart r:id="c"/>') + drawn.format('<dgm:relIds r:dm="d"/>'))
    relations = {"c": ("chart", "charts/chart1.xml"), "d": ("diagramData", "diagrams/data1.xml")}
    data = docx(body, parts={"word/charts/chart1.xml": CHART, "word/diagrams/data1.xml": DIAGRAM}, relations=relations)
    assert [(draft.kind, draft.span.part, draft.text) for draft in drafts(data)] == [
        ("paragraph", None, "see"),
        ("chart", "chart 1", "Revenue\n\t2023\t2024\nNorth\t12.5\t\nSouth\t4.4\t88"),
        ("diagram", "diagram 1", "Order\nDeliver"),
    ]


def chunk(name: str, content: bytes, kind: str = "") -> bytes:
    """A document with a file of another kind in it."""
    types = content_types(**({name: kind} if kind else {}))
    parts: dict[str, str | bytes] = {f"word/{name}": content, "[Content_Types].xml": types}
    body = paragraph("before") + '<w:altChunk r:id="a"/>' + paragraph("after")
    return docx(body, parts=parts, relations={"a": ("aFChunk", name)})


@pytest.mark.parametrize(
    ("name", "content", "kind", "found"),
    [
        ("a.htm", b"<html><body><p>one</p><p>two</p></body></html>", "text/html", ["one", "two"]),
        ("a.dat", b"<!DOCTYPE html><html><body><p>one</p></body></html>", "", ["one"]),
        ("a.txt", b"one\n\ntwo", "text/plain", ["one", "two"]),
        ("a.docx", docx(paragraph("one") + table(row(cell("a"), cell("b")))), "", ["one", "a\tb"]),
    ],
)
def test_files_inside_are_read_by_their_kind(name: str, content: bytes, kind: str, found: list[str]) -> None:
    """HTML, plain text and Word files, at their place."""
    data = chunk(name, content, kind)
    assert parts_of(data) == [(None, "before"), *((f"word/{name}", text) for text in found), (None, "after")]
    assert left_out(data) == []


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.rtf", rb"{\rtf1 one}", "application/rtf"),
        ("a.mht", b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p>one</p>", "message/rfc822"),
        ("a.pdf", b"%PDF-1.7", "application/pdf"),
        ("a.docx", b"PK\x03\x04 broken", "application/octet-stream"),
    ],
)
def test_files_inside_that_are_not_read_are_told(name: str, content: bytes, kind: str) -> None:
    """Of other kinds, and broken ones; the document is read."""
    data = chunk(name, content, kind)
    assert texts(data) == ["before", "after"]
    assert left_out(data) == [("altChunk", f"word/{name}")]


def test_a_file_inside_a_file_inside_is_told() -> None:
    """One level is read: nothing goes on without an end."""
    data = chunk("a.docx", chunk("b.docx", word()))
    assert texts(data) == ["before", "before", "after", "after"]
    assert left_out(data) == [("altChunk", "word/b.docx of word/a.docx")]


def test_what_a_file_inside_leaves_out_is_told() -> None:
    """By the part that it is."""
    data = chunk("a.docx", docx(paragraph(run("INTERNAL", "<w:vanish/>") + picture())))
    assert left_out(data) == [
        ("hidden text", "the body of word/a.docx"),
        ("picture", '"Picture 1" in the body of word/a.docx'),
    ]


def test_files_that_are_only_named_are_told() -> None:
    """An altChunk without a file, and a sub-document, which is a file elsewhere."""
    data = docx(paragraph("a") + '<w:altChunk r:id="x"/><w:subDoc r:id="x"/>')
    assert left_out(data) == [
        ("missing part", "with an altChunk in the body"),
        ("embedded object", "sub-document in the body"),
    ]


def test_documents_of_python_docx() -> None:
    """Lists, merged cells, a table in a cell, a header and a comment, written by another program."""
    document = python_docx.Document()
    document.sections[0].header.paragraphs[0].text = "Contract 4711"
    document.add_paragraph("first", style="List Number")
    document.add_paragraph("second", style="List Number")
    grid = document.add_table(rows=3, cols=3)
    grid.cell(0, 0).merge(grid.cell(0, 1)).text = "wide"
    grid.cell(1, 2).merge(grid.cell(2, 2)).text = "tall"
    grid.cell(2, 0).text = "low"
    grid.cell(1, 0).add_table(rows=1, cols=2).cell(0, 1).text = "nested"
    said = document.add_paragraph("Pumps run at 2900 rpm.")
    document.add_comment(said.runs, text="Is this measured?", author="Reviewer", initials="R")
    data = saved(document)
    assert read(data) == [
        ("header", "Contract 4711"),
        ("item", "1. first"),
        ("item", "2. second"),
        ("table", "wide\t\t\n\t\ttall\nlow\t\t"),
        ("table", "\tnested"),
        ("paragraph", "Pumps run at 2900 rpm."),
        ("comment", "Is this measured?"),
    ]


def test_a_picture_of_python_docx_is_told() -> None:
    """By the name that it was given."""
    document = python_docx.Document()
    pixel = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
        "0000000049454e44ae426082"
    )
    document.add_picture(io.BytesIO(pixel))
    assert left_out(saved(document)) == [("picture", '"Picture 1" in the body')]


def test_a_relation_list_may_be_empty() -> None:
    """A document without any other part."""
    assert texts(docx(paragraph("a"), parts={"word/_rels/document.xml.rels": listing({})})) == ["a"]
