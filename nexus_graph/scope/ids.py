"""Identifiers. What is made from content is named by its digest, everything else by a time-ordered UUID (RFC 9562)."""

from __future__ import annotations

from collections.abc import Callable

import uuid_utils

NewId = Callable[[str], str]


def new_id(prefix: str) -> str:
    """A fresh id such as `run_019c2f...`: the prefix, an underscore, 32 hexadecimal digits that sort by time."""
    return f"{prefix}_{uuid_utils.uuid7().hex}"


def new_trace_id() -> str:
    """A fresh trace id, 32 hexadecimal digits as W3C Trace Context wants them."""
    return uuid_utils.uuid7().hex
