"""What a paragraph says: runs, fields, symbols, equations, form fields, revisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from nexus_graph.atoms.recipes.word import controls, drawings, equations, symbols
from nexus_graph.atoms.recipes.word.names import MC, M, W, chosen
from nexus_graph.atoms.recipes.word.omissions import DELETED, FIELD, HIDDEN, SYMBOL
from nexus_graph.atoms.recipes.word.text import Field, Note, Text

if TYPE_CHECKING:
    from nexus_graph.atoms.recipes.word.reader import Reader

_PROPERTIES: Final = f"{W}rPr"
_LONGEST_CODE: Final = 100
_LONGEST_MARK: Final = 5  # elements

# What these fields show is computed from their code alone, and kept nowhere.
_COMPUTED: Final = frozenset({"AUTONUM", "AUTONUMLGL", "AUTONUMOUT", "EQ", "GOTOBUTTON", "LISTNUM", "MACROBUTTON"})


def read(reader: Reader, element: Any, text: Text) -> None:
    """Add what the children of an element say. Elements that are not known are looked into."""
    for child in element:
        _READERS.get(child.tag, read)(reader, child, text)


def read_equation(reader: Reader, element: Any, text: Text) -> None:
    """Add an equation that stands among the blocks."""
    (_equations if element.tag == f"{M}oMathPara" else _equation)(reader, element, text)


def _run(reader: Reader, element: Any, text: Text) -> None:
    properties = element.find(_PROPERTIES)
    usual, muted = text.look, text.muted
    if properties is not None:
        text.look = reader.styles.run(properties, text.style)
    if text.look.hidden and muted is None:
        text.muted = HIDDEN
    read(reader, element, text)
    text.look, text.muted = usual, muted


def _words(reader: Reader, element: Any, text: Text) -> None:
    words = element.text or ""
    if "\n" in words:
        words = words.replace("\n", " ")  # in the source of a text, a line end is a blank
    if text.look.ascii_font or text.look.other_font:
        words = _in_fonts(words, text.look.ascii_font, text.look.other_font)
    text.say(words)


def _in_fonts(words: str, ascii_font: str, other_font: str) -> str:
    """Words as these fonts print them: some draw symbols for letters."""
    letters, others = symbols.table(ascii_font) or {}, symbols.table(other_font) or {}
    private = others or letters
    return "".join(
        (letters if sign.isascii() else private if ord(sign) >= symbols.PRIVATE else others).get(ord(sign), sign)
        for sign in words
    )


def _symbol(reader: Reader, element: Any, text: Text) -> None:
    known = symbols.of(element)
    if known is None and not text.silent:
        text.leave_out(SYMBOL, f"{element.get(f'{W}char')} of the font {element.get(f'{W}font')!r}")
    text.say(symbols.UNKNOWN if known is None else known)


def _sign(sign: str) -> Callable[[Reader, Any, Text], None]:
    def read_sign(reader: Reader, element: Any, text: Text) -> None:
        text.say(sign)

    return read_sign


def _muted(reason: str) -> Callable[[Reader, Any, Text], None]:
    def read_muted(reader: Reader, element: Any, text: Text) -> None:
        before = text.muted
        text.muted = before or reason
        read(reader, element, text)
        text.muted = before

    return read_muted


def _nothing(reader: Reader, element: Any, text: Text) -> None:
    """Properties, bookmarks and their like say nothing."""


def _ruby(reader: Reader, element: Any, text: Text) -> None:
    """The base, and its reading in parentheses, as browsers without ruby show it."""
    base, reading = element.find(f"{W}rubyBase"), element.find(f"{W}rt")
    if base is not None:
        read(reader, base, text)
    if reading is not None and "".join(reading.itertext()).strip():
        text.say("(")
        read(reader, reading, text)
        text.say(")")


def _equation(reader: Reader, element: Any, text: Text) -> None:
    text.say(equations.linear(element))
    if equations.is_revised(element) and not text.silent:
        text.leave_out(DELETED)


def _equations(reader: Reader, element: Any, text: Text) -> None:
    """Equations that stand by themselves: each on a line of its own."""
    for place, equation in enumerate(element.iterfind(f"{M}oMath")):
        if place:
            text.say("\n")
        _equation(reader, equation, text)


def _alternatives(reader: Reader, element: Any, text: Text) -> None:
    choice = chosen(element)
    if choice is not None:
        read(reader, choice, text)


def _field_mark(reader: Reader, element: Any, text: Text) -> None:
    story, kind = text.story, element.get(f"{W}fldCharType")
    if kind == "begin" and element not in story.unended:
        answer = controls.form_value(element.find(f"{W}ffData"))
        if answer is not None:
            text.say(answer)
        story.fields.append(Field(answered=answer is not None))
        story.coded += 1
    elif kind == "separate" and story.fields and story.fields[-1].in_code and not story.fields[-1].answered:
        story.fields[-1].in_code = False
        story.coded -= 1
    elif kind == "end" and story.fields:
        ended = story.fields.pop()
        story.coded -= ended.in_code
        name = next(iter(ended.code.split()), "").upper()
        if ended.in_code and name in _COMPUTED and not text.silent:
            text.leave_out(FIELD, f"{name} in {story.place}")


def _field_code(reader: Reader, element: Any, text: Text) -> None:
    fields = text.story.fields
    if fields and len(fields[-1].code) < _LONGEST_CODE:
        fields[-1].code += (element.text or "")[:_LONGEST_CODE]


def _note(kind: str) -> Callable[[Reader, Any, Text], None]:
    def read_reference(reader: Reader, element: Any, text: Text) -> None:
        note_id = element.get(f"{W}id", "")
        if text.silent:
            reader.notes.pass_over(kind, note_id)
            text.say(symbols.UNKNOWN)  # so that it is told why
            return
        custom = element.get(f"{W}customMarkFollows", "0") in ("1", "true", "on")
        if custom:
            following = islice(element.itersiblings(), _LONGEST_MARK)
            mark = "".join(
                (symbols.of(item) if item.tag == f"{W}sym" else item.text) or "" for item in following
            ).strip()
        else:
            mark, left_out = reader.notes.mark(kind, note_id)
            text.beside.extend(left_out)
            if kind != "comment":
                text.say(f"[{mark}]")
        text.beside.append(Note(kind, note_id, mark))

    return read_reference


_READERS: Final[Mapping[str, Callable[[Reader, Any, Text], None]]] = {
    f"{MC}AlternateContent": _alternatives,
    f"{M}oMath": _equation,
    f"{M}oMathPara": _equations,
    **{
        f"{W}{name}": reads
        for name, reads in {
            "r": _run,
            "t": _words,
            "delText": _words,
            "sym": _symbol,
            "tab": _sign("\t"),
            "ptab": _sign("\t"),
            "br": _sign("\n"),
            "cr": _sign("\n"),
            "noBreakHyphen": _sign("-"),
            "del": _muted(DELETED),
            "moveFrom": _muted(DELETED),
            "ruby": _ruby,
            "sdt": controls.read,
            "fldChar": _field_mark,
            "instrText": _field_code,
            "delInstrText": _field_code,
            "footnoteReference": _note("footnote"),
            "endnoteReference": _note("endnote"),
            "commentReference": _note("comment"),
            "drawing": drawings.read,
            "pict": drawings.read,
            "object": drawings.read_object,
            "pPr": _nothing,
            "rPr": _nothing,
            "fldData": _nothing,
        }.items()
    },
}
