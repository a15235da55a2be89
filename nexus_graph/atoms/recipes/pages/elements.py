"""The elements of HTML by what they do to the text in them, as the style sheet of every browser says (HTML, 15.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

KINDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), "heading"),
    **dict.fromkeys(("li", "dt", "dd"), "item"),
    **dict.fromkeys(("pre", "listing", "xmp", "plaintext"), "code"),
    **dict.fromkeys(("caption", "figcaption"), "caption"),
    **dict.fromkeys(("body", "td", "th"), "paragraph"),
    "title": "title",
    "blockquote": "quote",
}
"""The kinds of the blocks in them, where they are not those of what is around."""
_PARTS: Final = (
    "address article aside center details dialog dir div dl fieldset figure footer form header hgroup hr html legend "
    "main menu nav ol p search section summary table tbody textarea tfoot thead tr ul svg:svg svg:text"
)
BLOCKS: Final = frozenset(_PARTS.split()) | KINDS.keys()
"""Elements that stand by themselves: they end the block before them."""

UNSEEN: Final[Mapping[str, str]] = {
    **dict.fromkeys(("audio", "canvas", "iframe", "noembed", "noframes", "object", "video"), "embedded"),
    **dict.fromkeys(("svg:title", "svg:desc", "svg:metadata", "svg:defs", "svg:symbol"), "hidden"),
    **dict.fromkeys(("math:annotation", "math:annotation-xml"), "hidden"),
    **dict.fromkeys(("script", "svg:script"), "script"),
    **dict.fromkeys(("style", "svg:style"), "style"),
    **dict.fromkeys(("meter", "progress"), "hidden"),
    "datalist": "option",
    "noscript": "noscript",
    "template": "template",
    "rp": "",
}
"""What is inside of these is never shown, and how that is told. Fallbacks for browsers of old are among them."""

KEPT: Final = frozenset({"listing", "plaintext", "pre", "textarea", "xmp"})
"""Their white space is kept."""

EMBEDDED: Final = frozenset({"embed", "frame"})
"""These show another file."""
