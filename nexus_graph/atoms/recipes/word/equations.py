"""Equations (`m:oMath`) as one line of text, as UnicodeMath writes them: `p/V`, `x^2`, `√(a+b)`, `∑_(i=1)^n i`.

What belongs together stands in parentheses where it has more than one term. Rows of a matrix or a system are joined by
semicolons, cells by commas. Text that was deleted under review and phantoms, which take room and show nothing, are
left out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Final

from nexus_graph.atoms.recipes.word.names import M, W

_INVISIBLE: Final = dict.fromkeys(range(0x2061, 0x2065))  # operators that are meant and not printed
_ROOTS: Final = {"": "√", "2": "√", "3": "∛", "4": "∜"}
_HAT: Final = "\u0302"
_SCRIPTED: Final = frozenset(f"{M}{name}" for name in ("sSub", "sSup", "sSubSup", "limLow", "limUpp", "f", "nary"))
_GONE: Final = frozenset({f"{W}del", f"{W}moveFrom", f"{W}rPr", f"{M}rPr", f"{M}ctrlPr"})


def linear(element: Any) -> str:
    """An equation, or a part of one, as a line of text."""
    return _joined(element).translate(_INVISIBLE)


def is_revised(element: Any) -> bool:
    """Whether an equation holds text that was deleted or moved away under review."""
    return next(element.iter(f"{W}del", f"{W}moveFrom"), None) is not None


def _written(element: Any) -> str:
    if element.tag in _GONE:
        return ""
    written = _FORMS.get(element.tag)
    return _joined(element) if written is None else written(element)


def _joined(element: Any) -> str:
    """What stands in an element: a script ends where letters follow it, so a space does."""
    pieces: list[str] = []
    scripted = False
    for child in element:
        piece = _written(child)
        if scripted and piece[:1].isalnum() and pieces[-1][-1:].isalnum():
            pieces.append(" ")
        if piece:
            pieces.append(piece)
            scripted = child.tag in _SCRIPTED
    return "".join(pieces)


def _part(element: Any, name: str) -> str:
    """A part of a form ("num", "e", ...), or ""."""
    found = element.find(f"{M}{name}")
    return "" if found is None else _joined(found).strip()


def _whole(text: str) -> str:
    """A text as one operand: in parentheses, unless it is a single letter, a number, a word or wrapped already."""
    letters = [sign for sign in text if not unicodedata.combining(sign)]
    single = len(letters) <= 1 or text.replace(".", "").isdigit() or (text.isalpha() and text.isascii())
    return text if single or _is_wrapped(text) else f"({text})"


def _is_wrapped(text: str) -> bool:
    """Whether one pair of parentheses holds all of the text."""
    if not (text.startswith("(") and text.endswith(")")):
        return False
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0 and place < len(text) - 1:
            return False
    return depth == 0


def _property(element: Any, name: str, usual: str) -> str:
    """A property of a form: from `m:fPr/m:type` and its like. One that is there without a value is ""."""
    for properties in element:
        if properties.tag.endswith("Pr"):
            found = properties.find(f"{M}{name}")
            return usual if found is None else str(found.get(f"{M}val", ""))
    return usual


def _is_set(element: Any, name: str) -> bool:
    return _property(element, name, "0") in ("", "1", "on", "true")


def _text(element: Any) -> str:
    return element.text or ""


def _fraction(element: Any) -> str:
    above, below = _whole(_part(element, "num")), _whole(_part(element, "den"))
    return f"{above}{'¦' if _property(element, 'type', 'bar') == 'noBar' else '/'}{below}"


def _scripts(element: Any) -> str:
    base, sub, sup = _part(element, "e"), _part(element, "sub"), _part(element, "sup")
    return f"{_whole(base)}{_limits(sub, sup)}"


def _before(element: Any) -> str:
    return f"{_limits(_part(element, 'sub'), _part(element, 'sup'))}{_whole(_part(element, 'e'))}"


def _limits(sub: str, sup: str) -> str:
    return f"{f'_{_whole(sub)}' if sub else ''}{f'^{_whole(sup)}' if sup else ''}"


def _root(element: Any) -> str:
    degree = "" if _is_set(element, "degHide") else _part(element, "deg")
    radicand = _part(element, "e")
    if degree in _ROOTS:
        return f"{_ROOTS[degree]}{_whole(radicand)}"
    return f"√({degree}&{radicand})"


def _nary(element: Any) -> str:
    sub = "" if _is_set(element, "subHide") else _part(element, "sub")
    sup = "" if _is_set(element, "supHide") else _part(element, "sup")
    return f"{_property(element, 'chr', '∫')}{_limits(sub, sup)} {_part(element, 'e')}"


def _delimited(element: Any) -> str:
    left, right = _property(element, "begChr", "("), _property(element, "endChr", ")")
    between = _property(element, "sepChr", "|")
    inside = between.join(_joined(part).strip() for part in element.iterfind(f"{M}e"))
    rows = inside.startswith("[") and inside.endswith("]") and len(element.findall(f"{M}e/{M}m")) == 1
    return f"{left}{inside[1:-1] if rows and (left or right) else inside}{right}"


def _function(element: Any) -> str:
    name, argument = _part(element, "fName"), _part(element, "e")
    return f"{name}{'' if argument.startswith('(') else ' '}{argument}"


def _lower_limit(element: Any) -> str:
    return f"{_part(element, 'e')}{_limits(_part(element, 'lim'), '')}"


def _upper_limit(element: Any) -> str:
    return f"{_part(element, 'e')}{_limits('', _part(element, 'lim'))}"


def _accented(element: Any) -> str:
    return _whole(_part(element, "e")) + _property(element, "chr", _HAT)


def _barred(element: Any) -> str:
    content, top = _part(element, "e"), _property(element, "pos", "bot") == "top"
    if len(content) == 1:
        return content + ("\u0305" if top else "\u0332")
    return f"{'¯' if top else '▁'}({content})"


def _grouped(element: Any) -> str:
    return f"{_property(element, 'chr', '⏟')}({_part(element, 'e')})"


def _matrix(element: Any) -> str:
    rows = (", ".join(_joined(cell).strip() for cell in row.iterfind(f"{M}e")) for row in element.iterfind(f"{M}mr"))
    return f"[{'; '.join(rows)}]"


def _system(element: Any) -> str:
    return "; ".join(_joined(row).strip().replace("&", "") for row in element.iterfind(f"{M}e"))


def _phantom(element: Any) -> str:
    shown = _property(element, "show", "1") in ("", "1", "on", "true")
    return _part(element, "e") if shown else ""


def _line(element: Any) -> str:
    return "\n"


_FORMS: Final[Mapping[str, Callable[[Any], str]]] = {
    f"{W}t": _text,
    f"{W}br": _line,
    **{
        f"{M}{name}": written
        for name, written in {
            "t": _text,
            "f": _fraction,
            "sSup": _scripts,
            "sSub": _scripts,
            "sSubSup": _scripts,
            "sPre": _before,
            "rad": _root,
            "nary": _nary,
            "d": _delimited,
            "func": _function,
            "limLow": _lower_limit,
            "limUpp": _upper_limit,
            "acc": _accented,
            "bar": _barred,
            "groupChr": _grouped,
            "m": _matrix,
            "eqArr": _system,
            "phant": _phantom,
        }.items()
    },
}
