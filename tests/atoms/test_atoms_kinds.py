"""What kind of file it is: bytes, name and declared type together."""

from __future__ import annotations

import io
import zipfile

import pytest
from atom_files import pdf, word

from nexus_graph.atoms.recipes import RECIPES, content_type_of, kind_of, recipe_for
from nexus_graph.atoms.recipes.kinds import SLIDES, WORD, WORKBOOK

OCTETS = "application/octet-stream"
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
TEXT = b"Plain words.\n"
MAIL = b"From: a@b.example\r\nTo: c@d.example\r\nSubject: Hello\r\n\r\nBody\r\n"


def archive(*names: str, mimetype: str | None = None) -> bytes:
    """A zip archive with entries of these names; `mimetype` stands first and is stored, as EPUB and ODF want it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        if mimetype is not None:
            package.writestr(zipfile.ZipInfo("mimetype"), mimetype)
        for name in names:
            package.writestr(name, "x", zipfile.ZIP_DEFLATED)
    return content.getvalue()


@pytest.mark.parametrize(
    ("data", "filename", "declared", "decided"),
    [
        # Bytes that prove what they are win over name and declared type.
        (pdf(["Hello"]), "a.csv", "text/csv", "application/pdf"),
        (b"junk\n" + pdf(["Hello"]), "a.pdf", OCTETS, "application/pdf"),
        (word(), "a.bin", OCTETS, WORD),
        (word(), "a.zip", "application/zip", WORD),
        (archive("[Content_Types].xml", "xl/workbook.xml"), "a.docx", WORD, WORKBOOK),
        (archive("[Content_Types].xml", "ppt/presentation.xml"), "a", OCTETS, SLIDES),
        (archive("word/document.xml"), "a.docx", WORD, "application/zip"),
        (archive("x", mimetype="application/epub+zip"), "a.zip", "application/zip", "application/epub+zip"),
        (
            archive("x", mimetype="application/vnd.oasis.opendocument.spreadsheet-template"),
            "a",
            "",
            "application/vnd.oasis.opendocument.spreadsheet",
        ),
        (archive("notes.txt"), "a.docx", WORD, "application/zip"),
        (OLD_OFFICE + "Workbook".encode("utf-16-le"), "a.csv", "text/csv", "application/vnd.ms-excel"),
        (OLD_OFFICE + "WordDocument".encode("utf-16-le"), "a", "", "application/msword"),
        (OLD_OFFICE + "EncryptedPackage".encode("utf-16-le"), "a.docx", WORD, "application/x-encrypted-office"),
        (OLD_OFFICE, "a", "", "application/x-ole-storage"),
        (b"\x89PNG\r\n\x1a\n\0", "a.md", "text/markdown", "image/png"),
        (b"ID3\x04\0\0", "a", "", "audio/mpeg"),
        (b"\0\1\2\3", "a", "", OCTETS),
        (b"no NUL \x02\x9d\xff", "a.dat", OCTETS, OCTETS),
        (b"no NUL \x02\x9d\xff", "", "text/plain", OCTETS),
        (b"a word \x02 in a text", "a.txt", OCTETS, "text/plain"),
        (b"\x1b[1mcoloured\x1b[0m\f\n", "a.log", OCTETS, "text/plain"),
        # Bytes that prove nothing and are no text are what is said, and its recipe says what is wrong.
        (b"\0\1\2\3", "a.md", "text/markdown", "text/markdown"),
        (b"PK\x03\x04 cut short", "a.docx", OCTETS, WORD),
        # The declared type counts for text, unless it is generic or the bytes contradict it.
        (TEXT, "x", "text/markdown", "text/markdown"),
        (TEXT, "x.csv", "Text/HTML; charset=utf-8", "text/html"),
        (TEXT, "notes.md", "text/plain", "text/markdown"),
        (TEXT, "notes.md", OCTETS, "text/markdown"),
        (TEXT, "notes.md", "application/pdf", "text/markdown"),
        (TEXT, "notes.md", "application/x-made-up", "text/markdown"),
        (b"sku,qty\nA1,5\n", "27.csv", "application/vnd.ms-excel", "text/csv"),
        (TEXT, "A.B.JSON", OCTETS, "application/json"),
        # Nobody says: the text is looked at.
        (TEXT, "README", OCTETS, "text/plain"),
        (TEXT, ".md", "", "text/plain"),
        (b"ID3 tags in a text\n", "x", "", "text/plain"),
        (b"About %PDF- files\n", "x", "", "text/plain"),
        (b"<!-- c --><!DOCTYPE html><p>x", "x", "", "text/html"),
        (b"\xef\xbb\xbf<table><tr><td>1", "export.xls", "application/vnd.ms-excel", "text/html"),
        (b"a\tb\n1\t2\n", "export.xls", "application/vnd.ms-excel", "text/tab-separated-values"),
        (b'<?xml version="1.0"?><feed/>', "x", "", "application/xml"),
        (b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>', "x", "", "application/xhtml+xml"),
        (MAIL, "x", "", "message/rfc822"),
        (MAIL, "thread.txt", "text/plain", "text/plain"),
        (b"From: here\nTo: there\nwe went.\n", "x", "", "text/plain"),
        ("Grüße".encode("utf-16"), "x.txt", "", "text/plain"),
        # Many documents, one a line, are JSON Lines whatever their name.
        (b'{"a":1}\n\n{"a":2}\n', "x.json", "application/json", "application/jsonl"),
        (b'{"a":1}\n', "x.json", "application/json", "application/json"),
        (b'{"a":1,\n"b":2}\n', "x.json", "application/json", "application/json"),
        (b"[1]\n[2]\n", "x", "", "application/jsonl"),
    ],
)
def test_a_kind_is_decided_from_bytes_name_and_declared_type(
    data: bytes, filename: str, declared: str, decided: str
) -> None:
    """The declared type loses where it is generic or contradicted, and so does the name."""
    assert kind_of(data, filename, declared).media_type == decided


def test_a_decision_names_its_reason_and_what_was_said_otherwise() -> None:
    """Whoever wonders is told who decided, and who was overruled."""
    assert kind_of(pdf(["x"]), "a.csv", "text/html; charset=utf-8").reason == (
        "its bytes are application/pdf (the declared type says text/html; the file name says text/csv)"
    )
    assert kind_of(TEXT, "a.md", "").reason == "the file name says text/markdown"
    assert kind_of(b'{"a":1}\n{"a":2}', "a.json", "").reason == (
        "the file name says application/json, and its text is application/jsonl"
    )


@pytest.mark.parametrize("cut", [3, 29, 40, 200, 2000])
def test_a_broken_archive_is_still_told(cut: int) -> None:
    """A zip that is cut anywhere is what its name says, or unknown, and no error."""
    assert kind_of(word()[:cut], "a.docx", "").media_type in {WORD, OCTETS}
    assert kind_of(word()[:cut], "a", "").media_type == OCTETS


def test_every_extension_leads_back_to_its_recipe() -> None:
    """A name with any extension of a recipe tells a content type which that recipe reads."""
    for recipe in RECIPES.values():
        assert set(recipe.extensions.values()) <= recipe.content_types
        for extension in recipe.extensions:
            assert content_type_of(f"x.{extension}") in recipe.content_types
    assert content_type_of("x.unknown") == content_type_of("x") == OCTETS


def test_a_kind_that_nothing_reads_has_no_recipe() -> None:
    """A picture, for instance; and several recipes of one kind have an order."""
    assert recipe_for(kind_of(b"\x89PNG\r\n\x1a\n\0", "", "")) is None
    assert recipe_for(kind_of(TEXT, "a.md", "")) is RECIPES["markdown.sections"]
