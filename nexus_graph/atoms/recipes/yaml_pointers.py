"""YAML: the source of each value down to a depth, with a JSON Pointer (RFC 6901); `row` is the number of the document.

A block mapping opens into its members down to `depth` levels; a block sequence opens into its elements, and an element
is one atom however deep it goes, so that a record stays whole. Flow collections (`{...}`, `[...]`) and scalars are
atoms where they stand.

Nothing is computed: the text of an atom is the source from the end of the atom before it to the end of the line where
its value ends. So comments belong to the value below them, or to the one on their line, or else to the last one; the
line that opens a mapping belongs to its first member; tags, anchors, aliases and repeated keys stay as they are
written; and all atoms together are the file, but for blank lines and document markers. A key that is no scalar stands
in pointers as its source.

The text is taken event by event, so nothing is expanded or composed, and is refused at the first one that is nested
deeper than 64 levels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from nexus_graph.atoms.decoding import Lines
from nexus_graph.atoms.model import Draft, Parameter, Params, Recipe, Span
from nexus_graph.atoms.recipes.text import CHARSET, decode_declared


def values(data: bytes, params: Params) -> Iterator[Draft]:
    """The values down to `depth`, each with its source as text."""
    from nexus_graph.atoms.recipes.yaml_source import find_atoms  # here, so that only a worker loads the parser

    text = decode_declared(data, params).text
    lines = Lines(text)
    for ordinal, atom in enumerate(find_atoms(text, cast("int", params["depth"]))):
        span = Span(
            atom.start,
            atom.end,
            line=lines.number(atom.start),
            end_line=lines.number(atom.end - 1),
            row=atom.document,
            pointer=atom.pointer,
        )
        yield Draft(ordinal, span, text[atom.start : atom.end], "value")


POINTERS = Recipe(
    op="yaml.pointers",
    version="1",
    reads="YAML",
    purpose="One atom for each value down to a depth, with its JSON Pointer and comments; lists' elements stay whole.",
    content_types=frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/vnd.yaml"}),
    extensions=dict.fromkeys(("yaml", "yml"), "application/yaml"),
    derive=values,
    decode=decode_declared,
    parameters={
        **CHARSET,
        "depth": Parameter(
            2, "How many levels of mappings and lists open into their parts; 0 keeps all in one.", least=0, most=32
        ),
    },
)
