"""How the copies stand in Weaviate: a collection for each env and definition, a tenant for each tenant and epoch.

Names are digests: no name of ours reaches another path or tells anything, and none is too long. What matters is stated
and compared with what the server has: a flat index without a quantizer, by cosine, which makes a search exact.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import TYPE_CHECKING, Any, Final

from nexus_graph.scope.errors import ConfigurationError
from nexus_graph.stores.vectors.base import Key, Space

if TYPE_CHECKING:
    from weaviate import WeaviateAsyncClient
    from weaviate.collections.classes.config import CollectionConfig

FORMAT: Final = "1"
"""Part of every name: change it whenever another schema is made."""

GROUP, MARK, ORDINAL, STAMP = "group", "mark", "ordinal", "stamp"


def collection_name(prefix: str, env: str, definition_id: str) -> str:
    """The collection of an env and definition."""
    return f"{prefix}_{_digest(FORMAT, env, definition_id)[:40]}"


def is_collection(prefix: str, name: str) -> bool:
    """Whether a name is one that `collection_name` makes with this prefix."""
    return re.fullmatch(f"{re.escape(prefix)}_[0-9a-f]{{40}}", name) is not None


def tenant_prefix(tenant_id: str, env: str) -> str:
    """How the names of a tenant's copies begin, and of no other's."""
    return f"t{_digest(tenant_id, env)[:40]}_"


def tenant_name(space: Space, epoch: int) -> str:
    """The Weaviate tenant that holds one epoch of a space."""
    return f"{tenant_prefix(space.tenant_id, space.env)}{epoch}"


def mark(group: str) -> str:
    """A group as filters name it: no case, blank or separator that Weaviate would take otherwise."""
    return hashlib.sha256(group.encode()).hexdigest()[:32]


def object_id(key: Key, stamp: int) -> uuid.UUID:
    """The id of a row as it was written at a generation. Two rows never share one, since each part tells its length."""
    return uuid.UUID(hex=_digest(key[0], str(key[1]), str(stamp))[:32], version=5)


def _digest(*parts: str) -> str:
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode()
        whole.update(f"{len(data)}:".encode() + data)
    return whole.hexdigest()


WITNESS: Final = object_id(("", 0), 0)
"""The id of the one object without a vector, which no search finds: its stamp is what was written last."""


async def ensure(client: WeaviateAsyncClient, name: str) -> None:
    """Make a collection unless it is there. Raises ConfigurationError when it is there and differs."""
    if not await client.collections.exists(name):
        try:
            await _create(client, name)
        except Exception:
            if not await client.collections.exists(name):  # another process may have been faster
                raise
    compare(name, await client.collections.export_config(name))


async def _create(client: WeaviateAsyncClient, name: str) -> None:
    from weaviate.classes.config import Configure, DataType, Property, Tokenization, VectorDistances

    await client.collections.create(
        name,
        vector_config=Configure.Vectors.self_provided(
            vector_index_config=Configure.VectorIndex.flat(distance_metric=VectorDistances.COSINE)
        ),
        multi_tenancy_config=Configure.multi_tenancy(
            enabled=True, auto_tenant_creation=False, auto_tenant_activation=True
        ),
        properties=[
            Property(name=GROUP, data_type=DataType.TEXT, index_filterable=False, index_searchable=False),
            Property(name=MARK, data_type=DataType.TEXT, index_searchable=False, tokenization=Tokenization.FIELD),
            Property(name=ORDINAL, data_type=DataType.INT, index_filterable=False),
            Property(name=STAMP, data_type=DataType.INT, index_filterable=False, index_range_filters=True),
        ],
    )


_QUANTIZERS: Final = ("bq", "pq", "rq", "sq")
_WANTED: Final[dict[str, Any]] = {
    "index": "flat",
    "distance": "cosine",
    "quantizer": None,
    "tenants": True,
    "tenants made by writing": False,
    "tenants woken by use": True,
    MARK: "field",
    STAMP: True,
}


def compare(name: str, found: CollectionConfig) -> None:
    """Raises ConfigurationError unless a collection is as `ensure` makes it."""
    kept: dict[str, Any] = found.to_dict()
    vectors: dict[str, Any] = next(iter(kept.get("vectorConfig", {}).values()), {})
    inside: dict[str, Any] = vectors.get("vectorIndexConfig", {})
    tenants: dict[str, Any] = kept.get("multiTenancyConfig", {})
    properties: dict[str, dict[str, Any]] = {each["name"]: each for each in kept.get("properties", ())}
    has = {
        "index": vectors.get("vectorIndexType"),
        "distance": inside.get("distanceMetric") or inside.get("distance"),
        "quantizer": next((kind for kind in _QUANTIZERS if inside.get(kind, {}).get("enabled")), None),
        "tenants": tenants.get("enabled"),
        "tenants made by writing": tenants.get("autoTenantCreation"),
        "tenants woken by use": tenants.get("autoTenantActivation"),
        MARK: properties.get(MARK, {}).get("tokenization"),
        STAMP: properties.get(STAMP, {}).get("indexRangeFilters"),
    }
    wrong = [f"{what} is {has[what]}, not {wanted}" for what, wanted in _WANTED.items() if has[what] != wanted]
    if wrong:
        raise ConfigurationError(
            f"The collection {name} in Weaviate is not as this program makes it: {', '.join(wrong)}. "
            "Remove it, and it is made anew, or set NEXUS_WEAVIATE_PREFIX to another name."
        )
