"""Zip packages: what is measured and refused, and single parts."""

from __future__ import annotations

import io
import zipfile

import pytest
from atom_files import with_part, word

from nexus_graph.atoms.recipes import packages
from nexus_graph.atoms.recipes.packages import Package, check_package, parse
from nexus_graph.scope.errors import Invalid

DECLARED = '<!DOCTYPE d [<!ENTITY a "ha">]><d b="&a;">&a;</d>'


def unpacked(package: bytes) -> int:
    """The bytes that all entries unpack to."""
    with zipfile.ZipFile(io.BytesIO(package)) as source:
        return sum(len(source.read(name)) for name in source.namelist())


def test_an_unpacked_limit_counts_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds for the sum of all entries, to the byte."""
    package = word()
    monkeypatch.setattr(packages, "UNPACKED_LIMIT", unpacked(package))
    check_package(package, "docx")
    monkeypatch.setattr(packages, "UNPACKED_LIMIT", unpacked(package) - 1)
    with pytest.raises(Invalid, match="unpacks to more"):
        check_package(package, "docx")


def test_parts_that_are_read_are_measured_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one part takes of the limit is not there for the next."""
    data = with_part(word(), "word/document.xml", b"x" * 1000)
    package = Package(data, "docx")
    monkeypatch.setattr(packages, "UNPACKED_LIMIT", 1500)
    monkeypatch.setattr(package, "_left", 1500)
    assert len(package.read("word/document.xml")) == 1000
    with pytest.raises(Invalid, match="unpacks to more"):
        package.read("word/document.xml")


@pytest.mark.parametrize("name", ["word/media/image1.svg", "xl/media/image2.SVG", "ppt/a/page.htm", "word/afchunk.mht"])
def test_a_picture_or_page_may_say_anything(name: str) -> None:
    """A declaration inside a part that no parser of XML is given is no fault."""
    check_package(with_part(word(), name, DECLARED.encode()), "docx")


def test_declarations_are_refused_unless_they_are_allowed() -> None:
    """EPUB has them: its reader says so."""
    data = with_part(word(), "word/extra.xml", DECLARED.encode())
    check_package(data, "EPUB", declarations=True)
    with pytest.raises(Invalid, match=r"its part 'word/extra\.xml' holds a document type declaration"):
        check_package(data, "docx")


def test_a_part_is_found_however_its_name_is_written() -> None:
    """With a leading slash, in another case, with backslashes, percent-encoded."""
    package = Package(with_part(word(), "word\\My Part.xml", b"<x/>"), "docx")
    for name in ("word/My Part.xml", "/word/my part.xml", "word/My%20Part.xml"):
        assert name in package
        assert package.tree(name).tag == "x"
    assert "word/none.xml" not in package
    with pytest.raises(KeyError):
        package.read("word/none.xml")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<a>", r"its part 'x\.xml' is no sound XML"),
        (b"", "no sound XML"),
        (b"<a>" * 300 + b"</a>" * 300, "no sound XML"),
        (b"<a>&nbsp;</a>", "no sound XML"),
        (DECLARED.encode(), "document type declaration"),
        (DECLARED.encode("utf-16"), "document type declaration"),
        (b'<?xml version="1.0" encoding="UTF-7"?>' + DECLARED.replace("!", "+ACE-").encode(), "document type"),
        (('<?xml version="1.0" encoding="cp037"?>' + DECLARED).encode("cp037"), "no sound XML"),
    ],
)
def test_unsound_xml_is_refused(content: bytes, said: str) -> None:
    """Cut short, empty, too deep, with unknown entities, with declarations in any encoding."""
    with pytest.raises(Invalid, match=said):
        parse(content, "x.xml", "docx")


def test_sound_xml_has_no_comments() -> None:
    """Comments and processing instructions do not cut a text in two."""
    assert parse(b"<a>one <!-- no -->two<?no no?> three</a>", "x.xml", "docx").text == "one two three"
