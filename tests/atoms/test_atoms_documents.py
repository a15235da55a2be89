"""Word documents, sound and hostile."""

from __future__ import annotations

import io
import struct
import zipfile

import docx
import pytest
from atom_files import saved, with_part, word

from nexus_graph.atoms.model import Draft, Limits, collect
from nexus_graph.atoms.recipes import RECIPES
from nexus_graph.atoms.recipes import word as word_recipe
from nexus_graph.scope.errors import Invalid

DOCUMENT = "word/document.xml"
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def derive(op: str, data: bytes) -> list[Draft]:
    """All drafts of a file."""
    return collect(RECIPES[op], data, {}, Limits()).drafts


def body(content: str) -> bytes:
    """A docx with this body."""
    return with_part(word(), DOCUMENT, f"<w:document {W}><w:body>{content}</w:body></w:document>".encode())


def test_docx_blocks() -> None:
    """Headings, paragraphs and tables in order, with offsets into all blocks joined by line feeds."""
    drafts = derive("docx.paragraphs", word())
    assert [(draft.kind, draft.text) for draft in drafts] == [
        ("heading", "Temperature floors"),
        ("paragraph", "Never below 18 °C."),
        ("table", "room\tfloor\nstore\t12 °C"),
        ("paragraph", "Tab\there\nnext line"),
    ]
    whole = "Temperature floors\nNever below 18 °C.\n   \nroom\tfloor\nstore\t12 °C\nTab\there\nnext line"
    assert [whole[draft.span.start : draft.span.end] for draft in drafts] == [draft.text for draft in drafts]


def test_docx_revisions_and_controls() -> None:
    """Insertions, links and content controls count as text; deletions, what was moved away and fallbacks do not."""
    drafts = derive(
        "docx.paragraphs",
        body(
            "<w:p><w:r><w:t>kept </w:t></w:r><w:ins><w:r><w:t>inserted</w:t></w:r></w:ins>"
            "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>"
            "<w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom>"
            "<w:hyperlink><w:r><w:t> link</w:t></w:r></w:hyperlink></w:p>"
            "<w:sdt><w:sdtContent><w:p><w:r><w:t>control</w:t></w:r></w:p></w:sdtContent></w:sdt>"
            "<w:tbl><w:sdt><w:sdtContent><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p><w:p><w:r><w:t>b</w:t></w:r></w:p>"
            "</w:tc></w:tr></w:sdtContent></w:sdt></w:tbl>"
        ),
    )
    assert [draft.text for draft in drafts] == ["kept inserted link", "control", "a b"]


def bomb() -> bytes:
    """A docx with a part of 300 MB of zeros, packed to 300 KB."""
    return with_part(word(), "word/zeros.xml", bytes(300 * 2**20))


def lying(data: bytes) -> bytes:
    """The same zip, whose last central entry declares one byte."""
    at = data.rindex(b"PK\x01\x02")
    return data[: at + 24] + struct.pack("<I", 1) + data[at + 28 :]


def many_entries() -> bytes:
    """A zip with too many entries."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as package:
        for number in range(word_recipe.ENTRY_LIMIT + 1):
            package.writestr(str(number), b"")
    return stream.getvalue()


ENTITIES = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
XML_BOMB = (
    f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a0 "ha">{ENTITIES}]><w:document {W}><w:body>&a9;</w:body></w:document>'
)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no sound zip"),
        (b"\xd0\xcf\x11\xe0 an old doc", "no sound zip"),
        (word()[:-50], "no sound zip"),
        (word()[:500] + b"\xff" * 50 + word()[550:], "no sound zip"),
        (lying(word()), "no sound zip"),
        (bomb(), "unpacks to more than"),
        (many_entries(), "unpacks to more than"),
        (with_part(word(), DOCUMENT, XML_BOMB.encode()), "document type declaration"),
        (with_part(word(), DOCUMENT, XML_BOMB.encode("utf-16")), "document type declaration"),
        (
            with_part(word(), DOCUMENT, b" " * (2**16 - XML_BOMB.index("<!") - 4) + XML_BOMB.encode()),
            "document type declaration",
        ),
        (with_part(word(), DOCUMENT, b"<w:document"), "do not make a Word document"),
        (with_part(word(), DOCUMENT, b"<x/>"), "do not make a Word document"),
        (with_part(word(), "[Content_Types].xml", b"<Types/>"), "do not make a Word document"),
        (body("<w:p>" * 5_000 + "</w:p>" * 5_000), "do not make a Word document"),
    ],
)
def test_what_is_no_docx_is_refused(data: bytes, said: str) -> None:
    """Another kind, truncated, damaged, a zip bomb told and untold, an entity bomb in any encoding, nested too deep."""
    with pytest.raises(Invalid, match=said):
        derive("docx.paragraphs", data)


def test_an_unpacked_limit_counts_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds for the sum of all entries, to the byte."""
    package = word()
    with zipfile.ZipFile(io.BytesIO(package)) as source:
        size = sum(len(source.read(name)) for name in source.namelist())
    monkeypatch.setattr(word_recipe, "UNPACKED_LIMIT", size)
    word_recipe.check_package(package)
    monkeypatch.setattr(word_recipe, "UNPACKED_LIMIT", size - 1)
    with pytest.raises(Invalid, match="unpacks to more"):
        word_recipe.check_package(package)


def test_a_picture_may_say_anything() -> None:
    """A declaration inside a picture is no fault."""
    picture = b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" ""><svg/>'
    word_recipe.check_package(with_part(word(), "word/media/image1.svg", picture))


def test_an_empty_docx_makes_no_atom() -> None:
    """No text, no atom, no error."""
    assert derive("docx.paragraphs", saved(docx.Document())) == []
