"""What must come to its end, however often its task is cancelled meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")


async def uninterrupted(awaitable: Awaitable[Result]) -> Result:
    """Wait for it to the end; a cancellation comes after that."""
    task, cancelled = asyncio.ensure_future(awaitable), None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # looked at; the cancellation goes first
        raise cancelled
    return task.result()
