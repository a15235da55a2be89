"""Word files as people have them: the inputs and what is right for them, revisions, templates, other schemas."""

from __future__ import annotations

import io
import json
import zipfile

import docx as python_docx
import pytest
from atom_files import saved, word
from word_files import INPUTS, RECIPE, docx, drafts, left_out, paragraph, parts_of, read, run, texts

from nexus_graph.atoms.model import Limits, collect
from nexus_graph.atoms.outcome import DerivationState, of_reading
from nexus_graph.atoms.recipes import kind_of, recipe_for


def given(name: str) -> bytes:
    """An input."""
    return (INPUTS / name).read_bytes()


def test_blocks() -> None:
    """Headings, paragraphs and tables in order, with offsets into all blocks joined by line feeds."""
    found = drafts(word())
    assert [(draft.kind, draft.text) for draft in found] == [
        ("heading", "Temperature floors"),
        ("paragraph", "Never below 18 °C."),
        ("table", "room\tfloor\nstore\t12 °C"),
        ("paragraph", "Tab\there\nnext line"),
    ]
    whole = "Temperature floors\nNever below 18 °C.\n   \nroom\tfloor\nstore\t12 °C\nTab\there\nnext line"
    assert [whole[draft.span.start : draft.span.end] for draft in found] == [draft.text for draft in found]


def test_an_empty_document_makes_no_atom() -> None:
    """No text, no atom, no error."""
    assert drafts(saved(python_docx.Document())) == []


def test_revisions_read_as_if_they_were_accepted() -> None:
    """Insertions stay, deletions go, a deleted end joins two paragraphs, a deleted row leaves no empty line."""
    data = given("01-tracked-changes.docx")
    assert read(data) == [
        ("paragraph", "The deposit is 650 euros, due in May."),
        ("paragraph", "A wholly inserted clause about parking."),
        ("paragraph", "First half of a sentence and its second half, joined by review."),
        ("table", "Item\tFee\nDog\t35"),
        ("paragraph", "Moved text follows: NEWPLACE"),
    ]
    assert left_out(data) == [("deletion", "the body")]


def test_text_boxes_stand_beside_their_sentence() -> None:
    """The sentence is whole, the text of a box apart, once, and the table in one a grid."""
    assert parts_of(given("02-text-box.docx")) == [
        (None, "Pump P-7 runs at 2900 rpm."),
        ("text box 1", "Warning: close valve V3 first."),
        ("text box 1", "Second line of the callout."),
        ("text box 2", "A box alone in its paragraph."),
        ("text box 3", "Old VML box only."),
        (None, "Anchor "),
        ("text box 4", "Max\t10 bar\nMin\t2 bar"),
    ]


@pytest.mark.parametrize("name", ["03-numbered-clauses.docx", "11-template.dotx"])
def test_numbers_are_printed(name: str) -> None:
    """Those of a style too; a template is read as a document is."""
    assert read(given(name)) == [
        ("heading", "Terms"),
        ("item", "1. Definitions of the agreement"),
        ("item", "2. Payment of the agreement"),
        ("item", "3. Liability of the agreement"),
        ("paragraph", "See clause 2 for payment."),
        ("item", "• red"),
        ("item", "• green"),
    ]


def test_values_stay_under_their_columns() -> None:
    """Cells that span columns or rows leave the others empty, a row that begins late begins late."""
    assert texts(given("04-merged-cells.docx")) == [
        "Region\tQ1\tQ2\tQ3\nNorth\tnot reported\t\t71\n\t12\t13\t14\n\t\t88\t99"
    ]


def test_controls_say_what_was_chosen() -> None:
    """Check boxes and lists, of the newer and of the older kind."""
    assert texts(given("05-content-controls.docx")) == [
        "Block control: Supplier Norddraht",
        "Contract for Kestrel Ltd of 2024.",
        "Row in control\tcell in control",
        "☒ Approved",
        "☒ Insurance required",
        "Silver service level",
    ]


def test_hidden_text_is_left_out_and_told() -> None:
    """What a reader does not see is in no atom; the results of fields are."""
    data = given("06-hidden-and-fields.docx")
    assert texts(data) == ["The offer is valid until June.", "price list and Table 4", "linked words stay."]
    assert left_out(data) == [("hidden text", "the body")]
    reading = collect(RECIPE, data, {}, Limits())
    outcome = of_reading(reading, RECIPE, kind_of(data, "a.docx", ""), None)  # type: ignore[arg-type]
    assert outcome.state is DerivationState.DONE


def test_equations_symbols_and_ruby() -> None:
    """Equations in a sentence and by themselves, symbols as characters, a reading apart from its base."""
    assert texts(given("07-equation-symbol-ruby.docx")) == [
        "The flow is Q=A·v at steady state.",
        "p/V",
        "Tolerance ±5 mm, done ☑",
        "東京(とうきょう)駅で会う",
    ]


def test_headers_footers_and_notes_are_atoms_of_their_own() -> None:
    """Each once, marked as what they are, a note after the block that refers to it."""
    assert [(draft.kind, draft.span.part, draft.text) for draft in drafts(given("08-header-footnote.docx"))] == [
        ("header", "header", "Confidential - Norddraht GmbH - Contract 4711"),
        ("paragraph", None, "Notice period is thirty days[1]."),
        ("footnote", "footnote 1", "Ninety days for contracts signed before 2020."),
        ("footer", "footer", "Revision C of 3 March"),
    ]


def test_an_alt_chunk_is_read() -> None:
    """As the kind of file that it is."""
    assert parts_of(given("09-altchunk.docx")) == [("word/afchunk.htm", "All of the report is in this chunk.")]


def test_a_document_of_libreoffice() -> None:
    """Outline numbers, two levels of a list that goes on, notes, merged cells, a box, a comment, a check box."""
    data = given("libreoffice-contract.docx")
    assert [(draft.kind, draft.span.part, draft.text) for draft in drafts(data)] == [
        ("header", "header", "Norddraht GmbH, supply contract"),
        ("heading", None, "1. Terms"),
        ("heading", None, "1.1 Definitions"),
        ("paragraph", None, "The supplier delivers within thirty days[1] of the order."),
        ("footnote", "footnote 1", "Counted from the date of the order."),
        ("heading", None, "1.2 Prices"),
        ("item", None, "a) net of tax"),
        ("item", None, "i. in euros"),
        ("item", None, "ii. in pounds"),
        ("item", None, "b) carriage paid"),
        ("paragraph", None, "Between the lists."),
        ("item", None, "c) insured[i]"),
        ("endnote", "endnote i", "By the supplier."),
        ("item", None, "• red"),
        ("heading", None, "2. Volumes"),
        ("table", None, "Region\tQ1\tQ2\tQ3\nNorth\tnot reported\t\t71\n\t12\t13\t14"),
        ("paragraph", None, "Pump P-7 runs at 2900 rpm."),
        ("paragraph", "text box 1", "Warning: close valve V3 first."),
        ("paragraph", None, "The flow is ☒ measured at rest."),
        ("comment", "comment 1", "Is this measured?"),
        ("footer", "footer", "Page 1"),
    ]
    assert left_out(data) == [("deletion", "the body"), ("hidden text", "the body")]


def test_a_document_of_pandoc() -> None:
    """Equations, a note, lists that begin anew and go on, a table, a picture with its caption."""
    data = given("pandoc-guide.docx")
    assert texts(data) == [
        "Guide to pumps",
        "Flow",
        "The flow is Q=A⋅v, and[1]",
        "A note with emphasis.",
        "∑_(i=1)^n (x_i^2)/(√(2π))=∫_0^1 e^(−x)\u2009dx",
        "1. First step",
        "2. Second step",
        "a. with care",
        "b. with gloves",
        "and more of it.",
        "3. Third step",
        "Some prose between.",
        "4. Fourth step",
        "• bullet",
        "– inner bullet",
        "Pump\tbar\nP-7\t10\nP-8\t2",
        "A picture of a pump",
    ]
    assert left_out(data) == [("picture", '"A picture of a pump" in the body')]


def test_the_strict_schema_has_other_names() -> None:
    """A document saved as Strict Open XML reads as the same document."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(given("08-header-footnote.docx"))) as source,
        zipfile.ZipFile(stream, "w") as strict,
    ):
        for entry in source.namelist():
            content = source.read(entry)
            for room in (b"wordprocessingml", b"officeDocument", b"drawingml"):
                names = b"http://schemas.openxmlformats.org/" + room + b"/2006/"
                content = content.replace(names, b"http://purl.oclc.org/ooxml/" + room + b"/")
            strict.writestr(entry, content)
    assert b"purl.oclc.org/ooxml/wordprocessingml/main" in zipfile.ZipFile(stream).read("word/document.xml")
    assert drafts(stream.getvalue()) == drafts(given("08-header-footnote.docx"))


@pytest.mark.parametrize("name", ["a.docx", "a.dotx", "a.docm", "a.dotm"])
def test_documents_and_templates_take_this_recipe(name: str) -> None:
    """With and without macros, by whatever type they are declared."""
    data = given("11-template.dotx")
    for declared in ("", "application/octet-stream", RECIPE.extensions[name.partition(".")[2]]):
        assert recipe_for(kind_of(data, name, declared)) is RECIPE
    assert recipe_for(kind_of(b"plain words", name, RECIPE.extensions["dotm"])) is not RECIPE


def test_macros_and_building_blocks_are_told() -> None:
    """No page shows them."""
    relations = {"m": ("vbaProject", "vbaProject.bin"), "g": ("glossaryDocument", "glossary/document.xml")}
    data = docx(paragraph("Shown."), relations=relations)
    assert texts(data) == ["Shown."]
    assert left_out(data) == [("unused part", "the building blocks for new text"), ("macros", "")]


def test_wrappers_are_looked_into() -> None:
    """Links, smart tags, custom XML, insertions, and elements that are not known."""
    data = docx(
        paragraph(
            f'<w:hyperlink r:id="x">{run("link")}</w:hyperlink><w:smartTag>{run(" tag")}</w:smartTag>'
            f"<w:ins>{run(' in')}</w:ins><w:moveTo>{run(' moved')}</w:moveTo><w:unheardOf>{run(' new')}</w:unheardOf>"
            f'<w:fldSimple w:instr=" PAGE ">{run(" 3")}</w:fldSimple><w:bdo w:val="rtl">{run(" rtl")}</w:bdo>'
        )
        + f"<w:customXml><w:customXmlPr/>{paragraph('block')}</w:customXml><w:ins>{paragraph('inserted')}</w:ins>"
    )
    assert texts(data) == ["link tag in moved new 3 rtl", "block", "inserted"]


def test_deletions_are_told_wherever_they_stand() -> None:
    """In runs, around blocks, in equations, in rows and cells; each place once."""
    gone = "<w:del><w:r><w:delText>old</w:delText></w:r></w:del>"
    assert left_out(docx(paragraph(gone) + paragraph(gone))) == [("deletion", "the body")]
    assert left_out(docx(f"<w:moveFrom>{paragraph('old')}</w:moveFrom>")) == [("deletion", "the body")]
    equation = "<m:oMath><w:del><m:r><m:t>old</m:t></m:r></w:del><m:r><m:t>x</m:t></m:r></m:oMath>"
    data = docx(paragraph(equation))
    assert (texts(data), left_out(data)) == (["x"], [("deletion", "the body")])
    cell = f"<w:tc>{paragraph('kept')}</w:tc><w:tc><w:tcPr><w:cellDel/></w:tcPr>{paragraph('old')}</w:tc>"
    data = docx(f"<w:tbl><w:tr>{cell}</w:tr></w:tbl>")
    assert (texts(data), left_out(data)) == (["kept"], [("deletion", "the body")])


def test_a_deletion_without_words_is_not_told() -> None:
    """Nothing was left out."""
    assert left_out(docx(paragraph("<w:del><w:r><w:delText> </w:delText></w:r></w:del>"))) == []
    assert left_out(docx(f"<w:moveFrom>{paragraph(' ')}</w:moveFrom>")) == []


def test_a_table_that_is_deleted_is_gone() -> None:
    """With all its rows."""
    row = f"<w:tr><w:trPr><w:del/></w:trPr><w:tc>{paragraph('old')}</w:tc></w:tr>"
    data = docx(paragraph("before") + f"<w:tbl>{row}{row}</w:tbl>" + paragraph("after"))
    assert [(draft.span.start, draft.text) for draft in drafts(data)] == [(0, "before"), (7, "after")]


DELETED_END = "<w:rPr><w:del/></w:rPr>"


def test_paragraphs_that_are_joined_take_the_look_of_the_last() -> None:
    """A deleted end takes its paragraph's style and number with it; at the end of a cell there is nothing to join."""
    heading = '<w:style w:type="paragraph" w:styleId="H"><w:name w:val="heading 1"/></w:style>'
    data = docx(
        paragraph("was a heading ", f'<w:pStyle w:val="H"/>{DELETED_END}')
        + paragraph("and goes on.")
        + paragraph("was prose ", DELETED_END)
        + paragraph("and is a heading", '<w:pStyle w:val="H"/>')
        + f"<w:tbl><w:tr><w:tc>{paragraph('cell', DELETED_END)}</w:tc></w:tr></w:tbl>",
        styles=heading,
    )
    assert read(data) == [
        ("paragraph", "was a heading and goes on."),
        ("heading", "was prose and is a heading"),
        ("table", "cell"),
    ]


def test_a_dropped_capital_belongs_to_its_word() -> None:
    """The large first letter is a paragraph of its own in the file."""
    data = docx(paragraph("O", '<w:framePr w:dropCap="drop" w:lines="3"/>') + paragraph("nce upon a time"))
    assert read(data) == [("paragraph", "Once upon a time")]


def test_several_bodies_are_all_read() -> None:
    """Some writers join documents so."""
    body = f"</w:body><w:body>{paragraph('second')}"
    assert texts(docx(paragraph("first") + body)) == ["first", "second"]


def test_headings_are_told_by_style_and_by_outline_level() -> None:
    """A style that is based on a heading, a level of its own, and one that says that it is none."""
    styles = (
        '<w:style w:type="paragraph" w:styleId="H"><w:name w:val="heading 1"/></w:style>'
        '<w:style w:type="paragraph" w:styleId="Chapter"><w:name w:val="Kapitel"/><w:basedOn w:val="H"/></w:style>'
        '<w:style w:type="paragraph" w:styleId="Out"><w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>'
        '<w:style w:type="paragraph" w:styleId="T"><w:name w:val="Title"/></w:style>'
        '<w:style w:type="paragraph" w:styleId="Loop"><w:name w:val="x"/><w:basedOn w:val="Loop"/></w:style>'
    )
    names = ["H", "Chapter", "Out", "T", "Loop", "None"]
    data = docx(
        "".join(paragraph(name, f'<w:pStyle w:val="{name}"/>') for name in names)
        + paragraph("own", '<w:outlineLvl w:val="0"/>')
        + paragraph("body", '<w:pStyle w:val="H"/><w:outlineLvl w:val="9"/>'),
        styles=styles,
    )
    assert [name for kind, name in read(data) if kind == "heading"] == ["H", "Chapter", "Out", "T", "own"]


EXPECTED = json.loads((INPUTS / "EXPECTED.word.json").read_text())


@pytest.mark.parametrize("name", sorted(path.name for path in INPUTS.glob("*.do[ct]x")))
def test_what_a_reader_sees_is_in_the_atoms_or_told(name: str) -> None:
    """Of every Word file among the inputs: all its texts, and all that is left out."""
    whole = "\n".join(texts(given(name)))
    assert [text for text in EXPECTED[name]["texts"] if text not in whole] == []
    assert sorted({what for what, _ in left_out(given(name))}) == sorted(EXPECTED[name]["left_out"])
