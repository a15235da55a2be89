"""Where the texts of an HTML page stand in its source.

The parser tells where each start tag begins, and texts in the order of the page. From the last place that is known,
tags and comments are passed over until the text fits what stands there, character references resolved. A text that
browsers move (out of a table, for instance) is looked for further on.
"""

from __future__ import annotations

import html
import re
from typing import Final

from nexus_graph.atoms.decoding import Lines

_ATTRIBUTES: Final = r"""(?:=\s*+(?:"[^"]*+"|'[^']*+'|(?!["'])[^\s>]*+)|[^=>])*+"""
_TAG: Final = re.compile(rf"</?[a-zA-Z][^\s/>]*+{_ATTRIBUTES}>")
_MARKUP: Final = re.compile(
    rf"{_TAG.pattern}|<!--(?:-?>|.*?--!?>)|<(?:!(?!--)|\?)[^>]*+>|</[^a-zA-Z][^>]*+>", re.DOTALL
)
_REFERENCE: Final = re.compile(r"&(?:#[xX]?[0-9a-fA-F]+;?|[a-zA-Z][a-zA-Z0-9]*;?)")
_CDATA: Final = "<![CDATA["
_SPACES: Final = " \t\n\f\r"
_SPACE: Final = re.compile(f"[{_SPACES}]+")
_PLAIN: Final = re.compile(r"[^&<]+")
_BEGINS: Final = re.compile(r"<[a-zA-Z/!?]")
_RAW: Final = re.compile(r"<(script|style|title|textarea|noscript|iframe|xmp|noembed|noframes)\b", re.IGNORECASE)

# A browser may repeat these, and the copy is told at the place of the first.
_REPEATED: Final = frozenset(
    {"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"}
)

_LOOKED_AT: Final = 200_000
"""Places that are tried for all texts of a page that stand elsewhere."""


class Places:
    """Finds one text after the other."""

    def __init__(self, source: str, lines: Lines) -> None:
        self.at = 0
        """After the last tag or text."""
        self._source = source
        self._starts = lines.starts
        self._repeated: set[int] = set()
        self._last_tag = 0
        self._left = _LOOKED_AT

    def tag(self, name: str, position: tuple[int, int] | None) -> tuple[int, int]:
        """Start and end of the start tag at this line (from 1) and column (from 0)."""
        if position is None:
            return self.at, self.at
        start = self._starts[position[0] - 1] + position[1]
        if name in _REPEATED:
            if start in self._repeated:
                return self.at, self.at
            self._repeated.add(start)
        match = _TAG.match(self._source, start)
        self.at = match.end() if match else min(start + 1, len(self._source))
        self._last_tag = max(self._last_tag, start)
        return start, self.at

    def aside(self) -> int:
        """The place of the next comment."""
        at = self._after_spaces(self.at)
        while (tag := _MARKUP.match(self._source, at)) is not None:
            if _TAG.match(self._source, at) is None:
                self.at = tag.end()
                return at
            at = self._after_spaces(tag.end())
        return self.at

    def text(self, said: str) -> tuple[int, int]:
        """Start and end of a text, without white space around it; an empty place where it is not found."""
        said = said.strip(_SPACES)
        at, source = self._after_spaces(self.at), self._source
        while True:
            at_tag = source.startswith("<", at) and not said.startswith("<")
            if not at_tag and (end := self._end(said, at)) >= 0:
                self.at = end
                return at, end
            inside = at + len(_CDATA)  # text in SVG and MathML, and a comment elsewhere
            if source.startswith(_CDATA, at) and (end := self._end(said, inside)) >= 0:
                self.at = end
                return inside, end
            tag = _MARKUP.match(source, at)
            if tag is None:
                return self._elsewhere(said)
            at = self._after_spaces(tag.end())

    def _elsewhere(self, said: str) -> tuple[int, int]:
        """A text that a browser has moved, put together from several places or not: from the first to the last."""
        first, at = -1, self.at
        while said and self._left:
            best, place = 0, -1
            while at < len(self._source) and self._left and best < len(said):
                self._left -= 1
                done, end = self._fit(said, at)
                if done > best:
                    best, place, start = done, end, at
                step = _MARKUP.match(self._source, at) or _PLAIN.match(self._source, at)
                at = step.end() if step else at + 1
            if not best:
                break
            first = start if first < 0 else first
            self.at = at = place
            said = said[best:].lstrip()
        return (self.at, self.at) if first < 0 else (first, self.at)

    def cut_off(self) -> int | None:
        """Where a tag, a comment or a script begins that has no end; None where all have one."""
        at, source = self._last_tag, self._source
        while (match := _BEGINS.search(source, at)) is not None:
            at = match.start()
            tag = _MARKUP.match(source, at)
            if tag is None:
                return at
            raw = _RAW.match(source, at)
            if raw is not None:
                ends = re.compile(rf"</{raw[1]}[\s/>]", re.IGNORECASE).search(source, tag.end())
                if ends is None:
                    return at
                at = ends.start()
            else:
                at = tag.end()
        return None

    def _after_spaces(self, at: int) -> int:
        match = _SPACE.match(self._source, at)
        return at if match is None else match.end()

    def _end(self, said: str, at: int) -> int:
        """Where `said` ends if it stands at `at`, tags and references between its letters or not; otherwise -1."""
        if self._source.startswith(said, at):
            return at + len(said)
        done, end = self._fit(said, at)
        return end if done == len(said) else -1

    def _fit(self, said: str, at: int) -> tuple[int, int]:
        """How many characters of `said` stand at `at`, and where they end."""
        source, done, length, end = self._source, 0, len(said), at
        while done < length:
            if (plain := _PLAIN.match(source, at)) is not None:
                chunk = plain[0]
                if said.startswith(chunk, done):
                    done, at = done + len(chunk), plain.end()
                elif chunk.startswith(said[done:]):
                    return length, at + length - done
                elif chunk[0].isspace() and not said[done].isspace():
                    at += len(chunk) - len(chunk.lstrip())  # white space that browsers drop
                    continue
                else:
                    break
            elif (reference := _REFERENCE.match(source, at)) is not None and said.startswith(
                resolved := html.unescape(reference[0]), done
            ):
                done, at = done + len(resolved), reference.end()
            elif done and (tag := _MARKUP.match(source, at)) is not None and not said.startswith(tag[0], done):
                at = tag.end()
                continue
            elif source[at : at + 1] == said[done]:
                done, at = done + 1, at + 1
            else:
                break
            end = at
        return done, end
