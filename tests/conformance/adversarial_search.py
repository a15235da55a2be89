"""Searches for the document that costs the most before it is refused or accepted, by mixing what is costly.

`python tests/conformance/adversarial_search.py 60` searches for a minute and prints the worst that it found. The tests
measure the documents of `adversarial_documents.py`; what is found here and is worse belongs there.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from adversarial_documents import documents

from nexus_graph.api.errors import Flawed, formatted
from nexus_graph.api.operations.documents import MOST_TOKENS, Documents, meant
from nexus_graph.api.operations.operation import LONGEST_DOCUMENT
from nexus_graph.api.schema import Schema, built
from nexus_graph.scope.errors import NexusError

Recipe = tuple[int, ...]

PIECES = (
    "viewer { role }",
    "a: viewer { role subject }",
    'card(id: "a") { id title }',
    "card(id: $a) { id ... on Card { title } }",
    "nodes(ids: [%s]) { id }" % ("1 " * 40),
    "nodes(ids: [%s]) { id }" % ("$a " * 20),
    "... on Query { viewer { role } }",
    "... { viewer { role @skip(if: $b) } }",
    "viewer { %s }" % ("role " * 20),
    "viewer { rolle titel nmae }",
    "cards(first: 1, filter: {typse: [1], lables: {a: 2}}) { edges { node { id } } }",
    "cards(first: $a) { edges { node { id ...C } } }",
    "...F0",
    "...F1 ...F2",
    "b: manifests { singleton } b: viewer { role }",
    "nodes(ids: [%s]) { id }" % ('"""\n a\n""" ' * 20),
)
"""What a selection is mixed from."""
MOST_OF_ONE = 150


def seconds_of(schema: Schema, text: str, *, suggestions: bool = True) -> float:
    """The time of this process, in seconds, until a document is priced or its refusal is told."""
    fresh = Documents(schema.graph)
    began = time.process_time()
    with suppress(NexusError):
        try:
            document = fresh.read(text, suggestions=suggestions).document
            schema.prices.price(document, meant(document, None), {"a": "x", "b": False})
        except Flawed as flawed:
            formatted(flawed.errors, "trace")
    return time.process_time() - began


def written(recipe: Recipe) -> str:
    """A document: so many of each piece, and so many operations, fragments and spreads of them."""
    *pieces, operations, fragments, spreads = recipe
    selected = " ".join(" ".join([piece] * count) for piece, count in zip(PIECES, pieces, strict=True))
    spread = " ".join(f"...F{at % max(1, fragments)}" for at in range(spreads))
    made = " ".join(
        f"fragment F{at} on Query {{ viewer {{ role }} ...F{at + 1} ...F{at + 2} }}" for at in range(fragments)
    )
    last = " ".join(f"fragment F{at} on Query {{ __typename }}" for at in range(fragments, max(fragments, 1) + 2))
    asked = " ".join(f"query Q{at}($a: ID! $b: Boolean!) {{ ...M {spread} }}" for at in range(max(1, operations)))
    return f"{asked} fragment M on Query {{ {selected} __typename }} {made} {last} fragment C on Card {{ id }}"


def changed(chance: random.Random, recipe: Recipe) -> Recipe:
    """The recipe with a little more or less of something."""
    found = list(recipe)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(found))
        most = 20 if place == len(PIECES) else MOST_OF_ONE
        found[place] = max(0, min(most, chance.choice((0, found[place] // 2, found[place] * 2, found[place] + 3))))
    return tuple(found)


def search(schema: Schema, seconds: float, seed: int = 0) -> Iterator[tuple[float, str]]:
    """Each document that is worse than all before it."""
    chance, until = random.Random(seed), time.monotonic() + seconds  # noqa: S311 - no secret is made
    best: Sequence[Recipe] = [tuple(chance.choice((0, 0, 2, 10)) for _ in range(len(PIECES) + 3)) for _ in range(8)]
    scores = dict.fromkeys(best, 0.0)
    worst = 0.0
    while time.monotonic() < until:
        recipe = changed(chance, chance.choice(best))
        text = written(recipe)
        if recipe in scores or len(text) > LONGEST_DOCUMENT:
            continue
        scores[recipe] = min(seconds_of(schema, text) for _ in range(2))
        best = sorted(scores, key=lambda each: -scores[each])[:8]
        if scores[recipe] > worst:
            worst = min(scores[recipe], seconds_of(schema, text))
            yield worst, text


def main() -> None:
    """Measure the known documents, then search for worse ones."""
    schema = built()
    known = {name: min(seconds_of(schema, text) for _ in range(3)) for name, text in documents()}
    name = max(known, key=lambda each: known[each])
    sys.stdout.write(f"worst of {len(known)} known: {known[name] * 1000:.0f} ms ({name})\n")
    for seconds, text in search(schema, float(sys.argv[1]) if len(sys.argv) > 1 else 60.0):
        sys.stdout.write(f"{seconds * 1000:.0f} ms, {len(text)} characters of {MOST_TOKENS} tokens\n{text[:300]}\n")


if __name__ == "__main__":
    main()
