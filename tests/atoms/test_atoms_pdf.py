"""PDF: pages as a reader sees them, forms, notes, and what is told where something is not read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from atom_files import pdf
from pdf_files import annotated, sheet, shown, stream

from nexus_graph.atoms.model import Limits, Reading, collect
from nexus_graph.atoms.outcome import of_reading
from nexus_graph.atoms.recipes import RECIPES, Kind
from nexus_graph.scope.errors import Invalid

PAGES = RECIPES["pdf.pages"]
INPUTS = Path(__file__).parent / "inputs"


def read(data: bytes) -> Reading:
    """All that the recipe makes of a file."""
    return collect(PAGES, data, {}, Limits())


def text_of(data: bytes) -> str:
    """The text of the only page."""
    (draft,) = [draft for draft in read(data).drafts if draft.kind == "page"]
    return draft.text


def told(data: bytes) -> str:
    """What is left out, in words."""
    return PAGES.tell(read(data).left_out)


def test_pages() -> None:
    """Pages that hold text, with their numbers, and offsets into all pages joined by form feeds."""
    drafts = read(pdf(["Hello", "co-", "op"], [], ["Second page"])).drafts
    assert [(draft.text, draft.span.page, draft.kind) for draft in drafts] == [
        ("Hello\nco-\nop", 1, "page"),
        ("Second page", 3, "page"),
    ]
    whole = "\f".join(["Hello\nco-\nop", "", "Second page"])
    assert [whole[draft.span.start : draft.span.end] for draft in drafts] == [draft.text for draft in drafts]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "broken or no PDF"),
        (b"<html>", "broken or no PDF"),
        (b"%PDF-1.7\n" + b"\xff" * 500, "broken or no PDF"),
        (pdf(["x"])[:200], "broken or no PDF"),
        (pdf(["x"], encrypted=True), "it is encrypted"),
        ((INPUTS / "pdf-user-password.pdf").read_bytes(), "it is encrypted"),
    ],
)
def test_what_is_no_pdf_is_refused(data: bytes, said: str) -> None:
    """Empty, another kind, truncated, encrypted."""
    with pytest.raises(Invalid, match=said) as refused:
        read(data)
    assert refused.value.hint


def test_a_password_that_only_restricts_printing_hides_nothing() -> None:
    """Readers open such a file without asking."""
    assert text_of((INPUTS / "pdf-owner-password.pdf").read_bytes()).startswith("Tighten the cou-\n")


def test_a_page_without_text_layer_is_named() -> None:
    """A scan makes no atom, and the outcome says why."""
    reading = read((INPUTS / "70-scan.pdf").read_bytes())
    outcome = of_reading(reading, PAGES, Kind("application/pdf", "test"), datetime(2026, 1, 1, tzinfo=UTC))
    assert (outcome.state.value, outcome.reason) == ("NO_TEXT", "no text read: page 1 has no text layer")


def test_a_blank_page_is_no_loss() -> None:
    """A page on which nothing was drawn is told, and the file still counts as read whole."""
    reading = read(sheet(""))
    assert PAGES.tell(reading.left_out) == "page 1 is blank"
    assert PAGES.leaves_out["blank page"].intended


def test_hyphens_at_line_ends_are_kept_with_the_line_end() -> None:
    """Nothing tells a divided word from a compound: both can be told apart from what is kept."""
    assert text_of((INPUTS / "72-hyphen.pdf").read_bytes()) == "Tighten the cou-\npling with the self-\nlocking nut"


def test_form_fields_stand_at_their_places() -> None:
    """The value of a field follows its label, and free text has a line of its own."""
    assert text_of((INPUTS / "71-form.pdf").read_bytes()) == "Surname: Kestrel\nApproved with changes"


def test_a_form_as_written_by_a_library() -> None:
    """Texts, check boxes, radio buttons, choices, lists and several lines, as printed; a password stays hidden."""
    data = (INPUTS / "pdf-form.pdf").read_bytes()
    assert text_of(data).split("\n") == [
        "Surname: Kestrel City: Oslo",
        "☑ Approved ☐ Rejected",
        "Delivery: ☐ by air ☑ by sea",
        "Grade: Silver",
        "Tools: hammer",
        "Remarks: first remark",
        "second remark",
        "Secret:",
    ]
    assert told(data) == "hidden fields or notes on page 1"


def test_a_value_stands_inside_of_a_line_that_leaves_room_for_it() -> None:
    """A line that was drawn in one go is cut where the field lies; an empty field leaves no trace."""
    fields = ("120 495 200 512", "Kestrel"), ("260 495 330 512", "")
    widgets = [
        f"<< /Type /Annot /Subtype /Widget /FT /Tx /T (f{number}) /V ({value}) /Rect [{box}] /DA (/F1 12 Tf) >>"
        for number, (box, value) in enumerate(fields)
    ]
    data = sheet(
        "BT /F1 12 Tf 50 500 Td [(Surname:) -9000 (City:)] TJ ET",
        *widgets,
        page="/Annots [6 0 R 7 0 R]",
        catalog="/AcroForm << /Fields [6 0 R 7 0 R] /DA (/F1 12 Tf) >>",
    )
    assert text_of(data) == "Surname: Kestrel City:"


def test_notes_are_atoms_of_their_own() -> None:
    """Contents of notes and highlights follow the page, with offsets of their own; links are no text."""
    data = annotated(
        "<< /Type /Annot /Subtype /Text /Contents (A sticky note) /Rect [10 10 30 30] >>",
        "<< /Type /Annot /Subtype /Highlight /Contents (Check this) /Rect [50 490 90 510] >>",
        "<< /Type /Annot /Subtype /Link /Contents (a link) /Rect [50 490 90 510] >>",
    )
    drafts = read(data).drafts
    assert [(draft.kind, draft.text, draft.span.page) for draft in drafts] == [
        ("page", "Body words", 1),
        ("note", "A sticky note", 1),
        ("note", "Check this", 1),
    ]
    whole = "Body words\nA sticky note\nCheck this"
    assert [whole[draft.span.start : draft.span.end] for draft in drafts] == [draft.text for draft in drafts]


@pytest.mark.parametrize("flag", [2, 32])
@pytest.mark.parametrize("kind", ["Text", "FreeText", "Highlight"])
def test_hidden_notes_stay_out(flag: int, kind: str) -> None:
    """What a flag hides is told and does not count as missed."""
    data = annotated(f"<< /Type /Annot /Subtype /{kind} /F {flag} /Contents (hidden) /Rect [10 10 30 30] >>")
    assert text_of(data) == "Body words"
    assert told(data) == "hidden fields or notes on page 1"
    assert PAGES.leaves_out["hidden mark"].intended


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        ("/Subtype /Stamp /AP << /N 7 0 R >>", "the stamp on page 1"),
        ("/Subtype /FileAttachment /FS << /Type /Filespec /F (plan.dwg) >>", "the attached file plan.dwg on page 1"),
        ("/Subtype /Movie", "a recording on page 1"),
        ("/Subtype /Screen", "a recording on page 1"),
    ],
)
def test_annotations_that_are_not_read_are_told(annotation: str, said: str) -> None:
    """Stamps, attached files and recordings."""
    form = stream("BT ET", "/Type /XObject /Subtype /Form /BBox [0 0 9 9]")
    assert told(annotated(f"<< /Type /Annot /Rect [10 10 30 30] {annotation} >>", form)) == said


@pytest.mark.parametrize(
    ("field", "said"),
    [("/FT /Btn /Ff 65536", "the caption of a button on page 1"), ("/FT /Sig", "the look of a signature on page 1")],
)
def test_fields_that_are_not_read_are_told(field: str, said: str) -> None:
    """What is drawn for buttons and signatures."""
    data = sheet(
        shown((50, 500, "Body words")),
        f"<< /Type /Annot /Subtype /Widget {field} /T (b) /Rect [50 300 90 320] /AP << /N 7 0 R >> >>",
        stream("BT /F1 12 Tf (Send) Tj ET", "/Type /XObject /Subtype /Form /BBox [0 0 9 9]"),
        page="/Annots [6 0 R]",
        catalog="/AcroForm << /Fields [6 0 R] >>",
    )
    assert told(data) == said


def test_embedded_files_are_told_by_name() -> None:
    """Each is one that was left out."""
    data = sheet(
        shown((50, 500, "Body words")),
        "<< /Type /Filespec /F (a.txt) /UF (a.txt) /EF << /F 7 0 R >> >>",
        stream("hello", "/Type /EmbeddedFile"),
        catalog="/Names << /EmbeddedFiles << /Names [(a.txt) 6 0 R] >> >>",
    )
    assert told(data) == "the attached file a.txt"


def test_an_xfa_form_is_told() -> None:
    """Its pages only ask to wait."""
    catalog = "/AcroForm << /Fields [] /XFA [(template) 6 0 R] >>"
    assert told(sheet(shown((50, 500, "Please wait...")), stream("<template/>"), catalog=catalog)) == "its XFA form"


def test_what_lies_outside_of_the_page_stays_out() -> None:
    """Lines beyond the crop box, and the end of a line that runs over the edge."""
    pieces = (50, 500, "Inside words"), (50, 700, "Above the sheet"), (380, 400, "over the edge")
    data = sheet(shown(*pieces), media="0 0 800 800", page="/CropBox [0 0 400 600]")
    assert text_of(data) == "Inside words\nove"
    assert told(data) == "what lies outside of page 1"
    assert PAGES.leaves_out["outside"].intended


PICTURE = stream(
    "\x00", "/Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8"
)


def test_a_picture_of_a_page_is_told() -> None:
    """A scan with nothing but a page number in its text layer was not read."""
    content = f"q 400 0 0 600 0 0 cm /I Do Q {shown((50, 20, 'Page 3'))}"
    assert told(sheet(content, PICTURE, resources="/XObject << /I 6 0 R >>")) == (
        "page 1 is a picture with few words beside it"
    )
    small = content.replace("400 0 0 600", "40 0 0 60")
    assert told(sheet(small, PICTURE, resources="/XObject << /I 6 0 R >>")) == ""


def test_recognised_text_under_a_scan_counts() -> None:
    """Invisible text is what a scanner's program lays under the picture: nothing was missed."""
    data = sheet(
        "q 400 0 0 600 0 0 cm /I Do Q BT 3 Tr /F1 12 Tf 50 500 Td (Recognised) Tj ET",
        PICTURE,
        resources="/XObject << /I 6 0 R >>",
    )
    assert (text_of(data), told(data)) == ("Recognised", "")


def test_letters_that_a_font_does_not_tell_are_told() -> None:
    """A font of drawings without names: there are letters, and nobody knows which."""
    font = (
        "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [.1 0 0 .1 0 0] /FirstChar 1 /LastChar 2 "
        "/Widths [9 9] /Encoding << /Differences [1 /q1 /q2] >> /CharProcs << /q1 7 0 R /q2 7 0 R >> >>"
    )
    drawing = stream("9 0 d0 0 0 5 5 re f")
    data = sheet("BT /F9 12 Tf 50 500 Td <0102010201> Tj ET", font, drawing).replace(b"/F1 3 0 R", b"/F9 6 0 R")
    assert told(data) == "page 1 has letters that its fonts do not tell"
    assert "\x01" not in text_of(data)


def test_characters_beyond_16_bits_and_ligatures() -> None:
    """An emoji stays one character, a ligature becomes its letters, and both may stand before a cut."""
    mapping = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def 1 begincodespacerange <00> <FF> "
        "endcodespacerange 3 beginbfchar <41> <D83DDE00> <42> <00660069> <44> <0041> endbfchar endcmap end end"
    )
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 7 0 R >>"
    content = "BT /F9 12 Tf 50 500 Td (DADBD) Tj 0 -14 Td (DD) Tj ET"
    data = sheet(content, font, stream(mapping)).replace(b"/F1 3 0 R", b"/F9 6 0 R")
    assert text_of(data) == "A😀AfiA\nAA"


def test_characters_that_cannot_be_kept() -> None:
    """A NUL, a form feed and PDFium's own marks do not reach an atom."""
    text = text_of(sheet(shown((50, 500, "a\\000b \\002c \\014 \\037d"))))
    assert not set(text) & set("\0\x02\f\x1f")


def test_the_same_bytes_give_the_same_drafts() -> None:
    """Twice in one process."""
    data = (INPUTS / "pdf-browser.pdf").read_bytes()
    assert read(data) == read(data)


def test_a_page_tree_that_goes_round_ends() -> None:
    """Pages that name themselves as their children are refused, or read once."""
    looped = sheet(shown((50, 500, "words"))).replace(b"/Kids [4 0 R]", b"/Kids [2 0 R]")
    with pytest.raises(Invalid):
        read(looped)


def test_a_page_that_can_not_be_loaded_is_refused() -> None:
    """Nothing is kept of a file of which a page is missing."""
    missing = sheet(shown((50, 500, "words"))).replace(b"/Kids [4 0 R] /Count 1", b"/Kids [9 0 R] /Count 1")
    with pytest.raises(Invalid):
        read(missing)
