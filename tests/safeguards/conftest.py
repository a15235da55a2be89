"""The servers that erasures are kept on, besides the database."""

from __future__ import annotations

from servers.seaweedfs import s3_server

__all__ = ["s3_server"]
