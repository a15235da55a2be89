"""Word files that are broken or mean harm: refused in words, or read without harm, never in part without a word."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from itertools import pairwise

import pytest
from atom_files import with_part, word
from word_files import INPUTS, RECIPE, docx, drafts, left_out, paragraph, run, texts

from nexus_graph.atoms.recipes import packages
from nexus_graph.scope.errors import Invalid

DOCUMENT = "word/document.xml"
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def bomb() -> bytes:
    """A docx with a part of 300 MB of zeros, packed to 300 KB."""
    return with_part(word(), "word/zeros.xml", bytes(300 * 2**20))


def lying(data: bytes, size: int) -> bytes:
    """The same zip, whose last central entry, its document, declares this size."""
    data = with_part(data, DOCUMENT, zipfile.ZipFile(io.BytesIO(data)).read(DOCUMENT))
    at = data.rindex(b"PK\x01\x02")
    return data[: at + 24] + struct.pack("<I", size) + data[at + 28 :]


def damaged() -> bytes:
    """A docx whose document is not what was packed."""
    data = with_part(word(), DOCUMENT, zipfile.ZipFile(io.BytesIO(word())).read(DOCUMENT))
    at = data.rindex(DOCUMENT.encode(), 0, data.index(b"PK\x01\x02")) + 100
    return data[:at] + b"\xff" * 50 + data[at + 50 :]


def many_entries() -> bytes:
    """A zip with too many entries."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as package:
        for number in range(packages.ENTRY_LIMIT + 1):
            package.writestr(str(number), b"")
    return stream.getvalue()


def encrypted() -> bytes:
    """A zip whose entries say that they are encrypted."""
    data = bytearray(word())
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        data[at + 8] |= 1
        at = data.find(b"PK\x01\x02", at + 4)
    return bytes(data)


ENTITIES = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
XML_BOMB = (
    f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a0 "ha">{ENTITIES}]><w:document {W}><w:body>&a9;</w:body></w:document>'
)
STYLES_BOMB = XML_BOMB.replace("w:document", "w:styles")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no sound zip"),
        (b"\xd0\xcf\x11\xe0 an old doc", "no sound zip"),
        (word()[:-50], "no sound zip"),
        (damaged(), "no sound zip"),
        (encrypted(), "no sound zip"),
        (lying(word(), 1), "no sound zip"),
        (bomb, "unpacks to more than"),
        (many_entries, "unpacks to more than"),
        (with_part(word(), DOCUMENT, XML_BOMB.encode()), "document type declaration"),
        (with_part(word(), DOCUMENT, XML_BOMB.encode("utf-16")), "document type declaration"),
        (with_part(word(), "word/styles.xml", STYLES_BOMB.encode()), "document type declaration"),
        (with_part(word(), DOCUMENT, b"<w:document"), "'word/document.xml' is no sound XML"),
        (with_part(word(), DOCUMENT, b"<x/>"), "do not make a Word document"),
        (with_part(word(), "_rels/.rels", b"<Relationships/>"), "do not make a Word document"),
        (docx("<w:p>" * 5_000 + "</w:p>" * 5_000), "no sound XML"),
        (docx(paragraph("x"), styles="</w:styles>"), "'word/styles.xml' is no sound XML"),
    ],
)
def test_what_is_no_word_file_is_refused(data: bytes | Callable[[], bytes], said: str) -> None:
    """Another kind, truncated, damaged, a zip bomb told and untold, an entity bomb in any encoding, nested too deep."""
    with pytest.raises(Invalid, match=said):
        drafts(data if isinstance(data, bytes) else data())


def test_a_part_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that are read are measured together."""
    data = docx(paragraph("x" * 5_000), styles="<w:style/>" * 500)
    drafts(data)
    monkeypatch.setattr(packages, "UNPACKED_LIMIT", 10_000)
    with pytest.raises(Invalid, match="unpacks to more"):
        drafts(data)


def test_parts_that_nobody_needs_are_not_unpacked() -> None:
    """A broken picture is no fault of the text."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as package:
        with zipfile.ZipFile(io.BytesIO(docx(paragraph("text")))) as source:
            for name in source.namelist():
                package.writestr(name, source.read(name))
        package.writestr("word/media/image1.png", b"PIXELS")
    assert texts(stream.getvalue().replace(b"PIXELS", b"BROKEN")) == ["text"]


DEEP = 40
GONE = "<w:del>" * 200 + run("old") + "</w:del>" * 200


def boxed(depth: int) -> str:
    """A box in a box in a box."""
    inside = paragraph("inner")
    for _ in range(depth):
        inside = paragraph(f"<w:r><w:pict><w:txbxContent>{inside}</w:txbxContent></w:pict></w:r>")
    return inside


def gridded(depth: int) -> str:
    """A table in a table in a table."""
    inside = paragraph("inner")
    for _ in range(depth):
        inside = f"<w:tbl><w:tr><w:tc>{inside}<w:p/></w:tc></w:tr></w:tbl>"
    return inside


def fractions(depth: int) -> str:
    """A fraction in a fraction in a fraction."""
    inside = "<m:r><m:t>x</m:t></m:r>"
    for _ in range(depth):
        inside = f"<m:f><m:num>{inside}</m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f>"
    return paragraph(f"<m:oMath>{inside}</m:oMath>")


@pytest.mark.parametrize("body", [boxed(DEEP), gridded(60), fractions(100), paragraph(GONE)])
def test_what_is_nested_as_deep_as_xml_may_be_is_read(body: str) -> None:
    """No stack runs over."""
    data = docx(body)
    assert drafts(data) or left_out(data)


def test_a_stack_that_runs_over_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file that is nested too deep."""

    def over(*arguments: object) -> None:
        raise RecursionError

    monkeypatch.setattr("nexus_graph.atoms.recipes.word.inline.read", over)
    with pytest.raises(Invalid, match="nested too deep"):
        drafts(docx(paragraph("x")))


def test_styles_that_are_based_on_each_other_end() -> None:
    """In a circle, and in a row of thousands."""
    style = '<w:style w:type="paragraph" w:styleId="s{}"><w:basedOn w:val="s{}"/></w:style>'
    circle = style.format(1, 2) + style.format(2, 1)
    row = "".join(style.format(number, number + 1) for number in range(10, 3_000))
    body = "".join(paragraph("x", f'<w:pStyle w:val="s{number}"/>') for number in (1, 2, 10, 2_000))
    assert texts(docx(body, styles=circle + row)) == ["x"] * 4


@pytest.mark.parametrize("start", ["2147483647", "99999999999999999999", "-5", "x", ""])
def test_numbers_that_are_none_do_no_harm(start: str) -> None:
    """Of lists that begin beyond all counting."""
    begins = f'<w:start w:val="{start}"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1."/>'
    numbering = f'<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0">{begins}</w:lvl></w:abstractNum>'
    numbering += '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>'
    body = paragraph("a", '<w:numPr><w:ilvl w:val="77"/><w:numId w:val="1"/></w:numPr>')
    body += paragraph("b", '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>')
    found = texts(docx(body, numbering=numbering))
    assert found[0] == "a"
    assert found[1].endswith(". b")
    assert len(found[1]) < 40


def test_a_chart_with_too_many_values_is_refused() -> None:
    """A grid is as large as its rows times its columns."""
    names = 'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"'
    series = "".join(f'<c:ser><c:val><c:pt idx="{n}"><c:v>1</c:v></c:pt></c:val></c:ser>' for n in range(1_500))
    body = paragraph('<w:r><w:drawing><c:chart r:id="c"/></w:drawing></w:r>')
    parts: dict[str, str | bytes] = {"word/chart.xml": f"<c:chartSpace {names}>{series}</c:chartSpace>"}
    with pytest.raises(Invalid, match="more than 1,000,000 values"):
        drafts(docx(body, parts=parts, relations={"c": ("chart", "chart.xml")}))


def test_relations_lead_nowhere_outside_of_the_package() -> None:
    """Neither to addresses nor to files of the machine."""
    targets = {"a": ("header", "http://127.0.0.1/header.xml"), "b": ("footer", "../../../../etc/passwd")}
    margins = '<w:sectPr><w:headerReference r:id="a"/><w:footerReference r:id="b"/></w:sectPr>'
    data = docx(paragraph("x") + margins, relations=targets)
    assert texts(data) == ["x"]
    assert left_out(data) == [("missing part", "with the header"), ("missing part", "with the footer")]


@pytest.mark.parametrize("name", sorted(path.name for path in INPUTS.glob("*.do[ct]x")))
def test_the_same_bytes_give_the_same_drafts_with_places_of_their_own(name: str) -> None:
    """Spans lie in order, and none twice."""
    data = (INPUTS / name).read_bytes()
    found = drafts(data)
    assert found == drafts(data)
    assert all(before.span.end < after.span.start for before, after in pairwise(found))
    assert all(draft.span.end - draft.span.start == len(draft.text) for draft in found)
    assert {item for item, _ in left_out(data)} <= set(RECIPE.leaves_out)
