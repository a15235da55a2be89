"""The rows of one copy in Weaviate, by its client: how they are written, removed and read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nexus_graph.scope.errors import Unavailable
from nexus_graph.stores.vectors import weaviate_schema as schema
from nexus_graph.stores.vectors.base import NOTHING, Key

if TYPE_CHECKING:
    from weaviate import WeaviateAsyncClient
    from weaviate.collections.collection import CollectionAsync

    Rows = CollectionAsync[dict[str, Any], None]


def tenant_rows(client: WeaviateAsyncClient, name: str, tenant: str) -> Rows:
    """The client's handle of a tenant of a collection."""
    return client.collections.use(name).with_tenant(tenant)


def objects(keys: Sequence[Key], matrix: NDArray[np.float32], stamp: int) -> list[Any]:
    """Rows of a matrix (keys, dimensions) as they are written at a generation."""
    from weaviate.classes.data import DataObject

    return [
        DataObject(
            uuid=schema.object_id(key, stamp),
            properties={
                schema.GROUP: key[0],
                schema.MARK: schema.mark(key[0]),
                schema.ORDINAL: key[1],
                schema.STAMP: stamp,
            },
            vector=vector,
        )
        for key, vector in zip(keys, matrix.tolist(), strict=True)
    ]


async def insert(rows: Rows, *, objects: list[Any]) -> int:
    """How many rows were not taken, counted one by one: a call that fails in part raises nothing."""
    done = await rows.data.insert_many(objects)
    return sum(1 for place in range(len(objects)) if place in done.errors or place not in done.uuids)


async def witness(rows: Rows, *, stamp: int) -> None:
    """Leave word of the generation that is being written. Raises Unavailable."""
    from weaviate.classes.data import DataObject

    if await insert(rows, objects=[DataObject(uuid=schema.WITNESS, properties={schema.STAMP: stamp})]):
        raise Unavailable("Weaviate did not take the mark of a copy.", hint="It is tried again.")


async def witnessed(rows: Rows) -> int:
    """The generation that was written last; `NOTHING` where no word of it is left."""
    found = await rows.query.fetch_object_by_id(schema.WITNESS, return_properties=[schema.STAMP])
    return NOTHING if found is None else int(str(found.properties[schema.STAMP]))


async def delete(rows: Rows, *, where: Any) -> None:
    """Remove what a filter means, again and again: a call stops after ten thousand rows. Raises Unavailable."""
    while (done := await rows.data.delete_many(where=where)).matches:
        if not done.successful:
            raise Unavailable("Weaviate did not remove older vectors.", hint="It is tried again.")


async def page(rows: Rows, *, after: Any) -> list[Any]:
    """Some rows with their vectors, by id, after that of another."""
    found = await rows.query.fetch_objects(
        limit=500, after=after, include_vector=True, return_properties=[schema.GROUP, schema.ORDINAL]
    )
    return list(found.objects)


async def groups_of(client: WeaviateAsyncClient, *, name: str, tenant: str, after: Any) -> list[Any]:
    """The same without vectors, of a tenant of a collection."""
    found = await tenant_rows(client, name, tenant).query.fetch_objects(
        limit=500, after=after, return_properties=[schema.GROUP]
    )
    return list(found.objects)
