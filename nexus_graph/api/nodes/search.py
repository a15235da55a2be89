"""Search: the cards whose best chunk is nearest to a text."""

from __future__ import annotations

from typing import Annotated

import strawberry

from nexus_graph import cards, index
from nexus_graph.api.context import Info
from nexus_graph.api.fields import link, read
from nexus_graph.api.nodes.card_filters import CardFilterInput, card_filter
from nexus_graph.api.nodes.cards import CardVersion
from nexus_graph.api.scalars import described
from nexus_graph.index import VectorSource
from nexus_graph.scope.errors import NotFound
from nexus_graph.scope.permission import Permission

described(
    VectorSource,
    "Who named the candidates of a search; the rows give their scores, whoever it was.",
    {
        "LOCAL_MATRIX": "The server's own memory: there is no copy of the vectors on a vector server.",
        "VECTOR_SERVER": "A copy on a vector server; what changed since it was written came from the rows.",
        "ROWS": "The rows, although there is a copy: it could not be used, or the filter means few cards.",
    },
)


@strawberry.type(description="A card that was found.")
class SearchHit:
    """A hit."""

    rank: int = strawberry.field(description="Its place, from 1.")
    score: float = strawberry.field(description="Cosine of its best chunk, -1 to 1, six decimals.")
    text: str = strawberry.field(description="The best chunk.")
    start: int = strawberry.field(description="Where the chunk begins in the card's exact text, in code points.")
    end: int = strawberry.field(description="One past its last code point.")
    card_id: strawberry.Private[str]
    card_version: strawberry.Private[int]

    @link(
        Permission.CARDS_READ,
        "The version that was found.",
        lambda loaders: loaders.card_versions,
        lambda own: (own.card_id, own.card_version),
    )
    def version(self, found: cards.Card | None) -> CardVersion:
        """The card's current version at the time of the search."""
        if found is None:
            raise NotFound("card")
        return CardVersion.of(found)


@strawberry.type(description="The cards nearest to a text, best first.")
class SearchResult:
    """A result."""

    hits: list[SearchHit] = strawberry.field(description="What was found.")
    complete: bool = strawberry.field(description="Whether every published card was in the index.")
    exact: bool = strawberry.field(description="Whether nothing nearer was left out by approximation.")
    answered_by: VectorSource = strawberry.field(description="Who named the candidates; no part of the answer.")
    index_state: str = strawberry.field(description="Names what the index held; equal states give equal results.")
    embedder_id: str = strawberry.field(description="Who made the vectors, and how texts were cut.")


@strawberry.type
class SearchQuery:
    """Queries of the room."""

    @read(Permission.INDEX_SEARCH, "The current cards nearest to a text.", points=10)
    async def search(
        self,
        info: Info,
        text: Annotated[str, strawberry.argument(description="What to look for, 1 to 8,192 characters.")],
        k: Annotated[int, strawberry.argument(description="How many, 1 to 100.")] = 10,
        filter: Annotated[
            CardFilterInput | None, strawberry.argument(description="Among which; all when null.")
        ] = None,
    ) -> SearchResult:
        """Search."""
        house, scope = info.context.house, info.context.scope
        found = await index.search(house.stores, house.index, scope, text, card_filter(filter), k)
        return SearchResult(
            hits=[
                SearchHit(
                    rank=rank,
                    score=hit.score,
                    text=hit.text,
                    start=hit.start,
                    end=hit.end,
                    card_id=hit.card_id,
                    card_version=hit.version,
                )
                for rank, hit in enumerate(found.hits, 1)
            ],
            complete=found.complete,
            exact=found.exact,
            answered_by=found.answered_by,
            index_state=found.index_state,
            embedder_id=found.definition_id,
        )
