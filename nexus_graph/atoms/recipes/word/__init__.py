"""Word (docx, docm and their templates dotx, dotm): what a reader of the printed document sees, in order.

An atom is a heading, a paragraph, a list item or a table, as text:

- Numbers and bullets of lists stand before their paragraphs as they are printed. Fields stand with their last result,
  form fields and controls with what was chosen; check boxes as ☒ and ☐. Symbols of symbol fonts are the characters
  that they show. Equations are one line each, see `equations`. A reading (ruby) stands in parentheses after its base.
- A table is a grid: cells are joined by tabs and rows by line feeds, a cell is one line. A cell that spans columns
  fills the first of them, and one that spans rows the first of these. A table inside a cell is an atom after its table.
- Text boxes, charts and diagrams are atoms after the block that they are anchored in, footnotes, endnotes and comments
  after the block that refers to them; the mark of a note stands in brackets: `thirty days[1].` Headers are told where
  their section begins, footers where it ends, equal ones once. The span of all these names them as its `part`.
- Insertions under review count as text. Deletions, hidden text and placeholders that nobody has filled in do not, and
  are told as left out on purpose. What is met and not read is told: pictures, embedded objects, and other kinds of
  files that are kept inside (altChunk), unless they are HTML, plain text or Word files. Descriptions of pictures are
  no text of the page; they name the picture that is left out.

Properties of the document, addresses of links, authors and dates of comments and revisions are not read. The canonical
text is the text of all blocks with a line feed between them.

The parts of the package are read one by one (see `packages`), also under the names of the strict schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from nexus_graph.atoms.decoding import unreadable
from nexus_graph.atoms.model import Draft, LeftOut, Params, Recipe, Span
from nexus_graph.atoms.recipes import kinds
from nexus_graph.atoms.recipes.word.omissions import LEAVES_OUT
from nexus_graph.atoms.recipes.word.parts import READS
from nexus_graph.atoms.recipes.word.reader import Reader

_EXTENSIONS: Final = {
    "docx": kinds.WORD,
    "dotx": kinds.WORD_TEMPLATE,
    "docm": kinds.WORD_MACROS,
    "dotm": kinds.WORD_MACRO_TEMPLATE,
}


def paragraphs(data: bytes, params: Params) -> Iterator[Draft | LeftOut]:
    """Headings, paragraphs, items, tables and notes that hold text, and word of what is left out."""
    start = ordinal = 0
    try:
        for found in Reader(data).document():
            if isinstance(found, LeftOut):
                yield found
                continue
            end = start + len(found.text)
            if found.text.strip():
                yield Draft(ordinal, Span(start, end, part=found.part), found.text, found.kind)
                ordinal += 1
            start = end + 1
    except RecursionError:
        raise unreadable(READS, "its parts are nested too deep") from None


PARAGRAPHS = Recipe(
    op="docx.paragraphs",
    version="2",
    reads=READS,
    purpose="One atom for each heading, paragraph, list item and table, and for each block of a note, comment, header, "
    "footer or text box.",
    content_types=frozenset(_EXTENSIONS.values()),
    extensions=_EXTENSIONS,
    derive=paragraphs,
    leaves_out=LEAVES_OUT,
)
