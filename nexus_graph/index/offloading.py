"""Put copies that nobody used for long into the bucket of the vector server. Use brings them back: see `copying`."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import structlog

from nexus_graph.index.copies import count_offloaded, idle
from nexus_graph.index.definition import Copies, Index
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import ConfigurationError, NexusError, Unavailable
from nexus_graph.stores.work import Stores

log = structlog.get_logger("nexus_graph.vectors")


async def require_bucket(stores: Stores, copies: Copies | None) -> None:
    """For the start of a process: raises ConfigurationError where copies are offloaded and no bucket is named."""
    if copies is None or copies.offload_after is not None:
        return
    if count := await count_offloaded(stores):
        raise ConfigurationError(
            f"NEXUS_WEAVIATE_OFFLOAD_BUCKET is missing, and {count} copies of vectors are in that bucket, "
            "without which no erasure can prove that they are gone."
        )


async def offload_idle(stores: Stores, index: Index, copies: Copies) -> int:
    """Offload the copies that no process used for so long, the one that rested longest first. Returns how many.

    Several processes may do this at once: each copy is one's alone. Raises Unavailable when one can't be offloaded,
    ConfigurationError when the server does not do it as it must.
    """
    if copies.offload_after is None:
        return 0
    before = micros(stores.clock() - copies.offload_after)
    count = 0
    for scope in await idle(stores, index.definition_id, before):
        count += await copies.vectors.offload(index.space(scope), before)
    return count


async def offload_forever(stores: Stores, index: Index, copies: Copies, seconds: float) -> NoReturn:
    """Offload what is idle every `seconds`, until cancelled."""
    while True:
        try:
            if count := await offload_idle(stores, index, copies):
                log.info("vectors.offloaded", count=count)
        except Unavailable as error:
            log.warning("vectors.offloading_put_off", error=error.message, hint=error.hint)
        except ConfigurationError as error:
            log.error("vectors.offloading_refused", error=str(error))
        except Exception as error:  # tried again: a sweeper that ended would go unnoticed
            log.error(
                "vectors.offloading_failed", error=error.code if isinstance(error, NexusError) else type(error).__name__
            )
        await asyncio.sleep(seconds)
