"""E-mail addresses (RFC 5321), also spelled out."""

from __future__ import annotations

import re

from nexus_graph.scope.redaction.spans import Spans, apart
from nexus_graph.scope.redaction.texts import Text

_LETTER = "A-Za-zÀ-ÖØ-öø-ɏͰ-ϿЀ-ԯ"  # Latin, Greek, Cyrillic: scripts with spaces between words
_ALNUM = f"{_LETTER}0-9"
_LONGEST_LOCAL = 64
_LOCAL_BACKWARDS = re.compile(rf"[{_ALNUM}._%+'\-]++")
_QUOTED = re.compile(r"\"[^\"\n\[\]]{1,62}\"$")
_DOMAIN = re.compile(
    rf"(?:[{_ALNUM}]++(?:-++[{_ALNUM}]++)*+\.)+(?:xn--[A-Za-z0-9-]{{2,59}}+|[{_LETTER}]{{2,63}}+)(?![{_ALNUM}])"
)
_MARKS = re.compile("[@\uff20]|[ (][aA][tT][ )]")
_NOT_DOMAINS = frozenset(
    ("png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "service", "timer", "socket", "target", "mount", "slice")
)


def emails(text: Text) -> Spans:
    """E-mail addresses with a dotted domain, with a local part in quotes, or spelled out with `at` and `dot`.

    Not one: `git@host`, the user name of a URL, `package@1.2.3`, `icon@2x.png`, `getty@tty1.service`, `a@b.io:/path`.
    """
    if _MARKS.search(text):
        yield from apart((*_written(text, "@"), *_written(text, "\uff20"), *_spelled_out(text)))


def _written(text: Text, sign: str) -> Spans:
    end = 0  # of the address before: what is found ends the run that the next one may start in
    for place in text.places(sign):
        start = _start(text, end, place)
        if start is not None and (domain := _DOMAIN.match(text, place + 1)) and _is_email(text, start, place, domain):
            end = domain.end()
            yield start, end


def _start(text: str, after: int, place: int) -> int | None:
    """Where the local part begins that ends at `place`; signs in front of it are none of it."""
    before = text[max(after, place - _LONGEST_LOCAL - 1) : place]
    run = _LOCAL_BACKWARDS.match(before[::-1])
    if run:
        local = run[0][::-1].lstrip("._%+'-")
        return place - len(local) if 0 < len(local) <= _LONGEST_LOCAL else None
    quoted = _QUOTED.search(before)
    return place - len(quoted[0]) if quoted else None


def _is_email(text: str, start: int, place: int, domain: re.Match[str]) -> bool:
    labels = domain[0].lower().split(".")
    if len(domain[0]) > 253 or max(map(len, labels)) > 63:
        return False
    is_version = labels[0].isdigit() and labels[1].isdigit()
    is_user_name = text[max(0, start - 3) : start] == "://"
    is_path = text.startswith((":/", ":~"), domain.end())
    is_git = text[start:place] == "git"
    return not (is_git or labels[-1] in _NOT_DOMAINS or is_version or is_user_name or is_path)


_SPELLED_LOCAL = re.compile(r" ?[A-Za-z0-9._-]{1,64}+(?![A-Za-z0-9._-])")  # backwards
_SPELLED_DOMAIN = re.compile(
    r" ?(?P<domain>(?P<first>[A-Za-z0-9-]{2,40}+)(?: ?\(dot\) ?|(?P<word> dot )|\.)"
    r"(?:[A-Za-z0-9-]{2,40}+(?: ?\(dot\) ?| dot |\.)){0,2}(?P<last>[A-Za-z]{2,12}+))(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_COMMON = frozenset(
    (
        "at", "au", "be", "biz", "br", "ca", "ch", "cn", "co", "com", "de", "dk", "edu", "es", "eu", "fi", "fr",
        "gov", "ie", "in", "info", "io", "it", "jp", "net", "nl", "no", "org", "pl", "se", "uk", "us",
    )
)  # fmt: skip
_ARTICLES = frozenset(
    (
        "a", "an", "any", "his", "her", "its", "my", "our", "that", "the", "their", "this", "your",
    )
)  # fmt: skip


def _spelled_out(text: Text) -> Spans:
    """`jane(at)example.org`, `jane (at) example (dot) org`, `jane at example dot org`."""
    has_dots = next(text.folded_places(" dot "), None) is not None
    for sign in ("(at)", " at ") if has_dots else ("(at)",):
        for place in text.folded_places(sign):
            local = _SPELLED_LOCAL.match(text[max(0, place - _LONGEST_LOCAL - 2) : place][::-1])
            domain = _SPELLED_DOMAIN.match(text, place + len(sign)) if local else None
            if not local or not domain or (sign == " at " and not domain["word"]):
                continue
            if domain["last"].lower() in _COMMON and domain["first"].lower() not in _ARTICLES:
                start = place - len(local[0])
                yield start + (1 if local[0].endswith(" ") else 0), domain.end()
