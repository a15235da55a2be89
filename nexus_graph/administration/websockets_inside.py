"""Where we reach into websockets beyond what it documents. Read in websockets 17.4.

Its handshake is answered in our words in `bounded_sockets`, which also looks at what the parser has not taken yet.
"""

from __future__ import annotations

from collections.abc import Mapping

from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

__all__ = ("ServerProtocol", "text_frame", "unparsed")

MEMBERS: Mapping[type, tuple[str, ...]] = {ServerProtocol: ("reject",)}
"""What our subclass overrides and uses."""


def text_frame(text: bytes) -> bytes:
    """A whole message of a server, where no extension was agreed upon: its state does not enter into the bytes."""
    return Frame(Opcode.TEXT, text).serialize(mask=False)


def unparsed(connection: ServerProtocol) -> bool:
    """Whether a frame has begun and not ended."""
    return bool(connection.reader.buffer)
