"""EPUB: chapters in the order of the spine, and a word for what is no chapter."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from nexus_graph.atoms.model import Limits, Reading, collect
from nexus_graph.atoms.recipes import RECIPES, kind_of, recipe_for
from nexus_graph.scope.errors import Invalid

INPUTS = Path(__file__).parent / "inputs"
CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
ENCRYPTION = (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:enc="http://www.w3.org/2001/04/xmlenc#">'
    '<enc:EncryptedData><enc:CipherData><enc:CipherReference URI="OEBPS/two%20b.xhtml"/></enc:CipherData>'
    "</enc:EncryptedData></encryption>"
)
PAGE = "application/xhtml+xml"


def page(*paragraphs: str) -> str:
    """A chapter."""
    body = "".join(f"<p>{paragraph}</p>\n" for paragraph in paragraphs)
    return (
        '<?xml version="1.0"?>\n<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml"><head></head>'
        f"<body>\n{body}</body></html>"
    )


def book(items: Mapping[str, tuple[str, str]], spine: list[str], **parts: str) -> bytes:
    """A book with these manifest items (id: href, media type and properties), in this order; `parts` are its files."""
    manifest = "".join(f'<item id="{name}" href="{href}" {more}/>' for name, (href, more) in items.items())
    order = "".join(f'<itemref idref="{name}"/>' for name in spine)
    package = (
        f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{manifest}</manifest><spine>{order}</spine></package>'
    )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), "application/epub+zip")
        for name, text in {"META-INF/container.xml": CONTAINER, "OEBPS/book.opf": package, **parts}.items():
            archive.writestr(name, text)
    return content.getvalue()


def read(data: bytes) -> Reading:
    """What the recipe makes of a book, which is known by its bytes."""
    recipe = recipe_for(kind_of(data, "", ""))
    assert recipe is RECIPES["epub.chapters"]
    return collect(recipe, data, {}, Limits())


def is_page(href: str, properties: str = "") -> tuple[str, str]:
    """A page of the manifest."""
    return href, f'media-type="{PAGE}" properties="{properties}"'


def test_chapters_come_in_the_order_of_the_spine() -> None:
    """Not of the archive or the manifest; each block knows its chapter and its lines there."""
    items = {"a": is_page("one.xhtml"), "b": is_page("two%20b.xhtml"), "n": is_page("nav.xhtml", "nav")}
    parts = {
        "OEBPS/two b.xhtml": page("Third.", "Fourth."),
        "OEBPS/one.xhtml": page("First.", "Second."),
        "OEBPS/nav.xhtml": page("Contents"),
    }
    reading = read(book(items, ["b", "a"], **parts))
    assert [(draft.text, draft.span.part, draft.span.line) for draft in reading.drafts] == [
        ("Third.", "OEBPS/two b.xhtml", 4),
        ("Fourth.", "OEBPS/two b.xhtml", 5),
        ("First.", "OEBPS/one.xhtml", 4),
        ("Second.", "OEBPS/one.xhtml", 5),
    ]
    whole = "Third.\nFourth.\nFirst.\nSecond."
    assert [whole[draft.span.start : draft.span.end] for draft in reading.drafts] == whole.split("\n")
    assert [(omitted.what, omitted.places) for omitted in reading.left_out] == [
        ("table of contents", ("OEBPS/nav.xhtml",))
    ]


def test_what_is_no_chapter_is_told() -> None:
    """Encrypted, missing, a picture in the spine, a page beside the spine; a chapter named twice counts once."""
    items = {
        "a": is_page("one.xhtml"),
        "b": is_page("two%20b.xhtml"),
        "c": is_page("gone.xhtml"),
        "d": ("cover.svg", 'media-type="image/svg+xml"'),
        "e": is_page("beside.xhtml"),
        "f": ("font.otf", 'media-type="font/otf"'),
    }
    parts = {
        "OEBPS/one.xhtml": page("Only this."),
        "OEBPS/two b.xhtml": "encrypted",
        "OEBPS/cover.svg": "<svg/>",
        "OEBPS/beside.xhtml": page("An aside."),
        "META-INF/encryption.xml": ENCRYPTION,
    }
    reading = read(book(items, ["d", "a", "b", "c", "a", "x"], **parts))
    assert [draft.text for draft in reading.drafts] == ["Only this."]
    recipe = RECIPES["epub.chapters"]
    assert recipe.tell(reading.left_out) == (
        "OEBPS/cover.svg is no page of text; the chapter OEBPS/two b.xhtml is encrypted; "
        "the chapter OEBPS/gone.xhtml is missing; the chapter x is missing; "
        "the page OEBPS/beside.xhtml is not in the book's order of reading"
    )


def test_a_chapter_is_read_as_xml_or_told() -> None:
    """CDATA is text and elements close themselves; a chapter that is no XML is told, and read as browsers read HTML."""
    items = {"a": is_page("one.xhtml"), "b": is_page("two.xhtml"), "c": ("three.html", 'media-type="text/html"')}
    parts = {
        "OEBPS/one.xhtml": page("<title/>1 <![CDATA[< 2]]>"),
        "OEBPS/two.xhtml": page("first<br>second"),
        "OEBPS/three.html": "<p>third<br>fourth",
    }
    reading = read(book(items, ["a", "b", "c"], **parts))
    assert [draft.text for draft in reading.drafts] == ["1 < 2", "first\nsecond", "third\nfourth"]
    assert RECIPES["epub.chapters"].tell(reading.left_out) == (
        "the chapter OEBPS/two.xhtml breaks the rules of XML, and was read as HTML"
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04", "no sound zip archive"),
        (book({}, []).replace(b"META-INF/container.xml", b"META-INF/nowhere--.xml"), "has no META-INF/container.xml"),
        (book({}, [], **{"META-INF/container.xml": CONTAINER.replace("book", "gone")}), "package document is missing"),
        (book({}, [], **{"OEBPS/book.opf": "<package>"}), "no sound XML"),
        (book({}, [], **{"OEBPS/book.opf": "<!DOCTYPE x [<!ENTITY a 'b'>]><package/>"}), "document type declaration"),
    ],
)
def test_what_is_no_book_is_refused(data: bytes, said: str) -> None:
    """Broken archives and packages, each with what is wrong."""
    with pytest.raises(Invalid, match=said):
        collect(RECIPES["epub.chapters"], data, {}, Limits())


def test_an_empty_book_has_no_text() -> None:
    """It is read, and holds none."""
    assert read(book({}, [])) == Reading([], [], [])


def test_a_book_by_a_real_writer() -> None:
    """Made by pandoc 2.17.1 of a Markdown file with two chapters, a list and a table."""
    reading = read((INPUTS / "book.epub").read_bytes())
    texts = [draft.text for draft in reading.drafts]
    assert "The keel is laid in March." in texts
    assert next(text for text in texts if text.endswith("Oak\t12")) == "wood\tlength\nOak\t12"
    assert texts.index("Keel") < texts.index("Mast")
    assert len({draft.span.part for draft in reading.drafts}) >= 3
