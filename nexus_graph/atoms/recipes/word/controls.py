"""Content controls and the older form fields: what somebody has chosen or written in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nexus_graph.atoms.recipes.word.names import W14, W, has_words, is_on, number, value
from nexus_graph.atoms.recipes.word.omissions import PLACEHOLDER
from nexus_graph.atoms.recipes.word.text import Text

if TYPE_CHECKING:
    from nexus_graph.atoms.recipes.word.reader import Reader

CHECKED: Final = "☒"
UNCHECKED: Final = "☐"


def read(reader: Reader, control: Any, text: Text) -> None:
    """Add what a content control in a paragraph says; nothing where it only asks for it."""
    content = control.find(f"{W}sdtContent")
    if content is None:
        return
    if is_placeholder(control):
        if has_words(content) and not text.silent:
            text.leave_out(PLACEHOLDER)
        return
    said = len(text.pieces)
    reader.read(content, text)
    box = control.find(f"{W}sdtPr/{W14}checkbox")
    if box is not None and not "".join(text.pieces[said:]).strip():
        text.say(CHECKED if is_on(box.find(f"{W14}checked")) else UNCHECKED)


def is_placeholder(control: Any) -> bool:
    """Whether a content control holds only what asks for its content."""
    return is_on(control.find(f"{W}sdtPr/{W}showingPlcHdr"))


def form_value(form: Any) -> str | None:
    """What a check box or a list of the older kind (`w:ffData`) shows; None for other fields: they have a result."""
    if form is None:
        return None
    if (box := form.find(f"{W}checkBox")) is not None:
        checked = box.find(f"{W}checked")
        return CHECKED if is_on(box.find(f"{W}default") if checked is None else checked) else UNCHECKED
    if (choices := form.find(f"{W}ddList")) is not None:
        entries = [item.get(f"{W}val", "") for item in choices.iterfind(f"{W}listEntry")]
        place = number(value(choices, "result"))
        place = (number(value(choices, "default")) or 0) if place is None else place
        return entries[place] if 0 <= place < len(entries) else ""
    return None
