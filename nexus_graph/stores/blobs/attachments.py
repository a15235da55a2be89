"""How a download is sent, whoever carries it: as an attachment under its own name, and never as what a browser runs."""

from __future__ import annotations

import re
from urllib.parse import quote

# What a browser would run, were it ever persuaded to show it.
_ACTIVE = re.compile(r"text/(html|xml|javascript|ecmascript)|application/(xml|.*(java|ecma)script)|.*\+xml", re.ASCII)
_OPAQUE = "application/octet-stream"


def inert_type(content_type: str) -> str:
    """The content type to send, which is another one for what a browser would run."""
    essence = content_type.partition(";")[0].strip().lower()
    return _OPAQUE if _ACTIVE.fullmatch(essence) else content_type


def disposition(filename: str) -> str:
    """RFC 6266 with the extended name of RFC 5987; the plain name is for clients that know only that."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
