"""What the tests of pages share: reading one, and whether its places hold."""

from __future__ import annotations

from nexus_graph.atoms.model import Draft, Limits, Reading, collect
from nexus_graph.atoms.recipes import RECIPES
from nexus_graph.scope.canonical import Json

XHTML = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>T</title></head><body>\n{}\n</body></html>'


def read(op: str, page: str | bytes, **params: Json) -> Reading:
    """What a recipe makes of a page; places hold."""
    data = page.encode() if isinstance(page, str) else page
    recipe = RECIPES[op]
    reading = collect(recipe, data, params, Limits())
    assert recipe.decode is not None
    check_places(recipe.decode(data, recipe.complete(params)).text, reading.drafts)
    return reading


def blocks(page: str | bytes, op: str = "html.blocks") -> list[tuple[str, str]]:
    """Kinds and texts."""
    return [(draft.kind, draft.text) for draft in read(op, page).drafts]


def texts(page: str | bytes, op: str = "html.blocks") -> list[str]:
    """The texts alone."""
    return [text for _, text in blocks(page, op)]


def left_out(page: str | bytes, op: str = "html.blocks") -> dict[str, tuple[str, ...]]:
    """What is left out, and where."""
    return {omitted.what: omitted.places for omitted in read(op, page).left_out}


def sources(page: str, op: str = "html.blocks") -> list[str]:
    """The source of each block."""
    return [page[draft.span.start : draft.span.end] for draft in read(op, page).drafts]


def check_places(source: str, drafts: list[Draft]) -> None:
    """Ordinals count up, spans are in order, no two alike, none blank; lines agree with offsets."""
    seen = [(draft.span.start, draft.span.end) for draft in drafts]
    assert seen == sorted(set(seen))
    for ordinal, draft in enumerate(drafts):
        span = draft.span
        assert draft.ordinal == ordinal
        assert draft.text.strip()
        assert 0 <= span.start < span.end <= len(source)
        assert span.line == source.count("\n", 0, span.start) + 1
        assert span.end_line == source.count("\n", 0, span.end - 1) + 1
