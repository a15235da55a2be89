"""What every embedder promises, and the few things that all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from nexus_graph.index.chunking import CHUNKING
from nexus_graph.scope.errors import Invalid, Unavailable

MAX_CHARACTERS: Final = 8192
"""Code points of one text to embed. Chunks are far shorter; a search text may not be longer."""


class Embedder(Protocol):
    """Turns texts into vectors.

    `id` names all that decides what a vector looks like: `name@digest:dimensions:chunking`. Vectors of two ids never
    mix. `max_tokens` is how much of a text the model reads; what follows is ignored. `provider` is its kind, the value
    of NEXUS_EMBEDDER, by which a kill switch halts it.
    """

    @property
    def provider(self) -> str: ...

    @property
    def id(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...

    def count_tokens(self, text: str) -> int:
        """How many tokens the model sees in `text`, exactly or by an estimate. Made for `chunking.chunks`."""
        ...

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row a text, (len(texts), dimensions), of unit length; all zeros where a text holds nothing to embed.

        The row of a text does not depend on the texts beside it. Raises Invalid for a text that is too long or not
        valid Unicode, Unavailable when the model gives no usable answer.
        """
        ...

    async def close(self) -> None:
        """Releases threads and connections. Nothing can be embedded afterwards."""
        ...


def embedder_id(name: str, dimensions: int) -> str:
    """The id of an embedder, such as `minilm-l6-v2-int8@8199be6f699a:384:chunk-1`."""
    return f"{name}:{dimensions}:{CHUNKING}"


def check_texts(texts: Sequence[str]) -> None:
    """Raises Invalid for a text longer than `MAX_CHARACTERS` or with half a surrogate pair, named by its place."""
    for place, text in enumerate(texts):
        if len(text) > MAX_CHARACTERS:
            raise Invalid(
                f"Text {place} has {len(text)} characters; at most {MAX_CHARACTERS} can be embedded.",
                hint="Shorten the text.",
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Invalid(
                f"Text {place} holds half a surrogate pair at character {error.start}.", hint="Send valid Unicode."
            ) from error


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has: one for every four bytes of UTF-8, rounded up."""
    return (len(text.encode("utf-8", "surrogatepass")) + 3) // 4


def normalised(rows: NDArray[Any]) -> NDArray[np.float32]:
    """The rows (n, d) scaled to unit length, in float32; a row of zeros stays. Raises Unavailable if not finite."""
    wide = rows.astype(np.float64)
    if not np.isfinite(wide).all():
        raise Unavailable("The embedding model gave a number that is not finite.")
    for row in wide:  # one by one, so that a row never depends on its neighbours
        peak = np.abs(row).max(initial=0.0)
        if peak > 0.0:
            row /= peak  # keeps the squares within range
            row /= np.sqrt((row * row).sum())
    return wide.astype(np.float32)
