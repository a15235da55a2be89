"""What must come to its end, however often its task is cancelled meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")


async def uninterrupted(awaitable: Awaitable[Result]) -> Result:
    """Wait for it to the end; a cancellation comes after that."""
    result, cancelled = await settled(awaitable)
    if cancelled is not None:
        raise cancelled
    return result


async def settled(awaitable: Awaitable[Result]) -> tuple[Result, asyncio.CancelledError | None]:
    """Wait for it to the end; what it came to, and a cancellation that is to be raised. Raises what it raises.

    A cancellation goes before what it raises.
    """
    task, cancelled = asyncio.ensure_future(awaitable), None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None and (task.cancelled() or task.exception()):
        raise cancelled
    return task.result(), cancelled
