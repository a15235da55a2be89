"""What the index answers, as values, and how it names its own state."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from nexus_graph.scope.canonical import digest, sha256
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.handling import Handling

MAX_QUERY: Final = 8192
"""Characters of the longest search text."""

MAX_HITS: Final = 100
"""The most cards that one search gives."""

EMPTY_STATE: Final = "0" * 64
"""The state of an index without cards."""


class IndexState(StrEnum):
    """Where a card version stands. RETIRED: taken out, since the card is retired or has a newer version."""

    PENDING = "PENDING"
    INDEXED = "INDEXED"
    FAILED = "FAILED"
    RETIRED = "RETIRED"


class VectorSource(StrEnum):
    """Who named the candidates of a search; the rows of these give the scores, whoever it was.

    LOCAL_MATRIX: the vectors in the memory of the process, all of them, since the scope has no copy on a vector server.
    VECTOR_SERVER: that copy; what changed since it was written came from the rows. ROWS: the rows alone, although there
    is a copy, since the server did not answer, the copy was of no use, or a filter means few cards.
    """

    LOCAL_MATRIX = "LOCAL_MATRIX"
    VECTOR_SERVER = "VECTOR_SERVER"
    ROWS = "ROWS"


@dataclass(frozen=True, slots=True)
class CardHit:
    """A card found: its current version, the score of its best chunk (-1 to 1, six decimals), and that chunk.

    `text` is the card's text from `start` to `end`, in code points.
    """

    card_id: str
    version: int
    score: float
    start: int
    end: int
    text: str
    handling: Handling


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The nearest cards, best first.

    `complete`: every current version is in the index. `exact`: nothing nearer was left out. `index_state` names what
    the index held: equal states hold the same versions of the same cards. `answered_by` is no part of the answer:
    equal ones may come from different sources.
    """

    hits: tuple[CardHit, ...]
    complete: bool
    exact: bool
    definition_id: str
    index_state: str
    answered_by: VectorSource = field(compare=False)


@dataclass(frozen=True, slots=True)
class IndexReport:
    """How rows and cards agree. Lists hold card ids.

    `missing`: current versions that are not in the index; `stale`: in it at another version or text, or though retired;
    `orphaned`: vectors of no card in the index; `damaged`: chunks that are not those that were indexed. `state_holds`:
    the state that the index names is that of its rows. `copy_fault`: what is wrong with the copy of the vectors on a
    server. `copy_unseen`: why that could not be found out. `repaired`: all of it was mended.
    """

    cards: int
    indexed: int
    vectors: int
    missing: tuple[str, ...]
    stale: tuple[str, ...]
    orphaned: tuple[str, ...]
    damaged: tuple[str, ...]
    state_holds: bool
    repaired: bool
    copy_fault: str | None = None
    copy_unseen: str | None = None

    @property
    def agrees(self) -> bool:
        """Whether nothing was wrong."""
        wrong = self.missing or self.stale or self.orphaned or self.damaged or self.copy_fault or self.copy_unseen
        return self.state_holds and not wrong


def check_query(text: str, k: int, most: int = MAX_HITS) -> None:
    """Raises Invalid for a search text that can't be embedded or a number of results out of bounds."""
    if not 1 <= len(text) <= MAX_QUERY or not text.strip():
        hint = f"Send 1 to {MAX_QUERY} characters that are not all white space."
        raise Invalid(f"The search text has {len(text)} characters.", hint=hint, path=("text",))
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"The search text holds half a surrogate pair at character {error.start}."
        raise Invalid(message, hint="Send valid Unicode.", path=("text",)) from None
    if not 1 <= k <= most:
        raise Invalid(f"The number of results must be 1 to {most}, not {k}.", path=("k",))


def query_digest(text: str) -> str:
    """What the journal keeps of a search text."""
    return sha256(text.encode())


def chunks_digest(chunks: Iterable[tuple[int, int, bytes]]) -> str:
    """The SHA-256 of what the index holds of a card, in order: of each chunk `start:end:` and its vector.

    A vector is float32 little endian, as it is kept.
    """
    whole = hashlib.sha256()
    for start, end, vector in chunks:
        whole.update(f"{start}:{end}:".encode())
        whole.update(vector)
    return whole.hexdigest()


def mark(card_id: str, version: int, card_digest: str) -> int:
    """What one indexed card version adds to the state."""
    return int(digest([card_id, version, card_digest]), 16)


def moved(state: str, left: Iterable[int], entered: Iterable[int]) -> str:
    """The state after some card versions left the index and others entered.

    A state is the sum of the marks of all that is indexed, modulo 2^256: it depends on the set alone, not on the order
    in which the cards came, and changes in one step however large the index is.
    """
    return f"{(int(state, 16) - sum(left) + sum(entered)) % 2**256:064x}"
