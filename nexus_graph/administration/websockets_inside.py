"""Where we reach into websockets beyond what it documents. Read in websockets 17.4.

Its handshake is answered in our words in `bounded_sockets`, which also looks at what the parser has not taken yet.
"""

from __future__ import annotations

from collections.abc import Mapping

from websockets.server import ServerProtocol

__all__ = ("ServerProtocol", "unparsed")

MEMBERS: Mapping[type, tuple[str, ...]] = {ServerProtocol: ("reject",)}
"""What our subclass overrides and uses."""


def unparsed(connection: ServerProtocol) -> bool:
    """Whether a frame has begun and not ended."""
    return bool(connection.reader.buffer)
