"""The servers that the adapters of the stores are tried on."""

from __future__ import annotations

from servers.seaweedfs import s3_server

__all__ = ["s3_server"]
