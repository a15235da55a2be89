"""Word files for tests, built by hand: one document, and the parts that it refers to."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from nexus_graph.atoms.model import Draft, LeftOut, Limits, collect
from nexus_graph.atoms.recipes import RECIPES

INPUTS = Path(__file__).parent / "inputs"
RECIPE = RECIPES["docx.paragraphs"]

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
_MICROSOFT = "http://schemas.microsoft.com/office/word"
_NAMES = {
    "w": "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "r": f"{_OFFICE}/relationships",
    "m": f"{_OFFICE}/math",
    "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
    "c": "http://schemas.openxmlformats.org/drawingml/2006/chart",
    "dgm": "http://schemas.openxmlformats.org/drawingml/2006/diagram",
    "wp": "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing",
    "pic": "http://schemas.openxmlformats.org/drawingml/2006/picture",
    "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
    "v": "urn:schemas-microsoft-com:vml",
    "o": "urn:schemas-microsoft-com:office:office",
    "w14": f"{_MICROSOFT}/2010/wordml",
    "wps": f"{_MICROSOFT}/2010/wordprocessingShape",
    "ds": f"{_OFFICE}/customXml",
}
NAMES = " ".join(f'xmlns:{prefix}="{name}"' for prefix, name in _NAMES.items())

# The parts of the usual types, with their root elements.
_PARTS = {
    "styles": "styles",
    "numbering": "numbering",
    "settings": "settings",
    "footnotes": "footnotes",
    "endnotes": "endnotes",
    "comments": "comments",
}

Relations = Mapping[str, tuple[str, str]]
"""Type and target by id."""


def docx(
    body: str = "", *, parts: Mapping[str, str | bytes] | None = None, relations: Relations | None = None, **usual: str
) -> bytes:
    """A docx with this body.

    `usual` are the contents of its styles, numbering, settings, footnotes, endnotes and comments. `parts` are further
    entries by name, and `relations` what the document refers to by id, beside the usual ones.
    """
    known = dict(relations or {})
    entries: dict[str, str | bytes] = {}
    for kind, content in usual.items():
        root = _PARTS[kind]
        entries[f"word/{kind}.xml"] = f"<w:{root} {NAMES}>{content}</w:{root}>"
        known[f"usual-{kind}"] = kind, f"{kind}.xml"
    entries |= {
        "[Content_Types].xml": content_types(),
        "_rels/.rels": listing({"main": ("officeDocument", "word/document.xml")}),
        "word/_rels/document.xml.rels": listing(known),
        "word/document.xml": f"<w:document {NAMES}><w:body>{body}</w:body></w:document>",
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as package:
        for name, written in (entries | dict(parts or {})).items():
            package.writestr(name, written)
    return stream.getvalue()


def content_types(**overrides: str) -> str:
    """The part that declares types; `overrides` by the names of parts in the folder word."""
    items = "".join(
        f'<Override PartName="/word/{name}" ContentType="{kind}"/>'
        for name, kind in {"document.xml": RECIPE.extensions["docx"] + ".main+xml", **overrides}.items()
    )
    return f'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">{items}</Types>'


def listing(relations: Relations) -> str:
    """A part that lists relations."""
    items = ""
    for key, (kind, target) in relations.items():
        mode = ' TargetMode="External"' if "://" in target else ""
        items += f'<Relationship Id="{key}" Type="{_OFFICE}/relationships/{kind}" Target="{target}"{mode}/>'
    return (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{items}</Relationships>'
    )


def run(text: str, properties: str = "") -> str:
    """A run of text."""
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def paragraph(content: str = "", properties: str = "") -> str:
    """A paragraph; `content` that is no XML is its text."""
    words = content if content.startswith("<") or not content else run(content)
    return f"<w:p><w:pPr>{properties}</w:pPr>{words}</w:p>"


def read(data: bytes) -> list[tuple[str, str]]:
    """Kind and text of each atom."""
    return [(draft.kind, draft.text) for draft in drafts(data)]


def texts(data: bytes) -> list[str]:
    """The text of each atom."""
    return [draft.text for draft in drafts(data)]


def parts_of(data: bytes) -> list[tuple[str | None, str]]:
    """Part and text of each atom."""
    return [(draft.span.part, draft.text) for draft in drafts(data)]


def drafts(data: bytes) -> list[Draft]:
    """All drafts of a file."""
    return collect(RECIPE, data, {}, Limits()).drafts


def left_out(data: bytes) -> list[tuple[str, str]]:
    """What is left out, and where."""
    found = RECIPE.derive(data, {})
    return [(item.what, item.place) for item in found if isinstance(item, LeftOut)]
