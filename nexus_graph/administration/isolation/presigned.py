"""Addresses of objects on a server that speaks S3: a signed GET and a signed form, and nobody makes others of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import orjson

from nexus_graph.administration.client import send
from nexus_graph.administration.isolation.places import Filled

SIGNATURE = "X-Amz-Signature"
_REFUSED = range(400, 500)


async def forged(here: Filled, there: Filled) -> tuple[int, list[str]]:
    """Change another place's addresses every way a holder could. Returns how many were tried, and what opened."""
    http = here.caller.http
    found = await http.get(there.download)
    faults = [] if there.name in found.text else [f"an address of {there.place.name} does not open to its holder"]
    tried = 0
    for what, (method, address) in _addresses(here.download, there.download).items():
        tried += 1
        answer = await http.request(method, address, content=b"x" if method == "PUT" else None)
        if answer.status_code not in _REFUSED or _shown(there, answer.text, address):
            faults.append(f"an address of {there.place.name}, changed to {what}, opens: {answer.status_code}")
    for what, (form, data) in _forms(here.upload, there.upload).items():
        tried += 1
        answer = await send(http, form, data)
        if answer.status_code not in _REFUSED or _shown(there, answer.text, str(form)):
            faults.append(f"an upload of {there.place.name}, changed to {what}, is taken: {answer.status_code}")
    if (await http.get(there.download)).content != found.content:
        faults.append(f"an object of {there.place.name} was changed")
    return tried, faults


def _shown(there: Filled, text: str, sent: str) -> bool:
    """Whether a refusal tells more than it was sent: it repeats the key, in which the file's name stands."""
    return there.place.word in text or (there.name in text and there.name not in sent)


def _addresses(mine: str, theirs: str) -> dict[str, tuple[str, str]]:
    """How an address of another's is changed: a method and an address for each."""
    own, other = urlsplit(mine), urlsplit(theirs)
    folder = other.path.rpartition("/")[0]
    bucket = "/".join(other.path.split("/")[:2])
    longer = int(dict(parse_qsl(other.query))["X-Amz-Expires"]) + 1
    return {
        "one's own object under its signature": ("GET", _with(other, path=own.path)),
        "its object under one's own signature": ("GET", _with(own, path=other.path)),
        "one without a signature": ("GET", _with(other, **{SIGNATURE: None})),
        "one without any query": ("GET", urlunsplit((*other[:2], other.path, "", ""))),
        "one with one's own signature": ("GET", _with(other, **{SIGNATURE: dict(parse_qsl(own.query))[SIGNATURE]})),
        "one that is good for longer": ("GET", _with(other, **{"X-Amz-Expires": str(longer)})),
        "one with another file name": ("GET", _with(other, **{"response-content-disposition": "inline"})),
        "one by a detour": ("GET", _with(other, path=f"{folder}/../{quote(other.path.rpartition('/')[2])}")),
        "its folder": ("GET", _with(other, path=folder + "/")),
        "the whole bucket": ("GET", _with(other, path=bucket, **{"list-type": "2"})),
        "an upload": ("PUT", theirs),
        "a removal": ("DELETE", theirs),
    }


def _with(address: Any, path: str | None = None, **changes: str | None) -> str:
    """An address with another path, and other values in its query, or without those that are None."""
    query = {**dict(parse_qsl(address.query)), **changes}
    kept = urlencode({name: value for name, value in query.items() if value is not None}, quote_via=quote)
    return str(urlunsplit((address.scheme, address.netloc, path or address.path, kept, "")))


def _forms(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, tuple[dict[str, Any], bytes]]:
    """How forms are changed: each with the bytes that it is sent with."""
    own, other = ({item["name"]: item["value"] for item in each["fields"]} for each in (mine, theirs))
    policy = orjson.loads(base64.b64decode(other["policy"]))
    [(least, most)] = [tuple(each[1:]) for each in policy["conditions"] if isinstance(each, list)][:1]
    signature = next(name for name in other if name.lower() == SIGNATURE.lower())
    widened = {**policy, "conditions": [each for each in policy["conditions"] if isinstance(each, dict)]}
    bytes_of_size = b"x" * least
    return {
        "its key in one's own form": (_form(mine, own | {"key": other["key"]}), bytes_of_size),
        "one's own key in its form": (_form(theirs, other | {"key": own["key"]}), bytes_of_size),
        "one with one's own signature": (_form(theirs, other | {signature: own[signature]}), bytes_of_size),
        "one with one's own policy": (_form(theirs, other | {"policy": own["policy"]}), bytes_of_size),
        "one with a wider policy": (
            _form(theirs, other | {"policy": base64.b64encode(orjson.dumps(widened)).decode()}),
            bytes_of_size,
        ),
        "one without a policy": (_form(theirs, {k: v for k, v in other.items() if k != "policy"}), bytes_of_size),
        "one with other bytes": (_form(theirs, other), bytes_of_size),
        "one with more bytes": (_form(theirs, other), b"x" * (most + 1)),
        "one with fewer bytes": (_form(theirs, other), b"x"),
    }


def _form(upload: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    return {**upload, "fields": [{"name": name, "value": value} for name, value in fields.items()]}
