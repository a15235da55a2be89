"""The servers that stories are told on, besides our own."""

from __future__ import annotations

from servers.seaweedfs import s3_server

__all__ = ["s3_server"]
