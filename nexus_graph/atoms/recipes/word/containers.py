"""What holds blocks, rows and cells beside their usual parents: content controls, revisions, custom XML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from nexus_graph.atoms.model import LeftOut
from nexus_graph.atoms.recipes.word.controls import is_placeholder
from nexus_graph.atoms.recipes.word.names import MC, W, chosen, has_words
from nexus_graph.atoms.recipes.word.omissions import DELETED, PLACEHOLDER

_WRAPPERS: Final = frozenset(f"{W}{name}" for name in ("sdtContent", "customXml", "ins", "moveTo", "smartTag"))
_GONE: Final = frozenset({f"{W}del", f"{W}moveFrom"})
_CONTROL: Final = f"{W}sdt"


def children(parent: Any, place: str, *names: str) -> Iterator[Any]:
    """The children of these names, also those inside content controls and insertions.

    Placeholders and deletions that hold words come as a `LeftOut` of `place`.
    """
    for child in parent:
        if child.tag in names:
            yield child
        elif child.tag in _GONE or (child.tag == _CONTROL and is_placeholder(child)):
            if has_words(child):
                yield LeftOut(DELETED if child.tag in _GONE else PLACEHOLDER, place)
        elif child.tag in _WRAPPERS or child.tag == _CONTROL:
            yield from children(child, place, *names)
        elif child.tag == f"{MC}AlternateContent" and (choice := chosen(child)) is not None:
            yield from children(choice, place, *names)
