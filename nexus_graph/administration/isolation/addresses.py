"""Addresses of objects: whoever holds one may use it, and nobody can make another out of it."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from nexus_graph.administration.isolation import presigned
from nexus_graph.administration.isolation.places import Filled
from nexus_graph.administration.isolation.slots import Unclassified


async def forged(here: Filled, there: Filled) -> tuple[int, list[str]]:
    """Change another place's addresses every way a holder could. Returns how many were tried, and what opened.

    Raises Unclassified when addresses have a form that is not known here.
    """
    if presigned.SIGNATURE in there.download:
        return await presigned.forged(here, there)
    http = here.caller.http
    found = await http.get(there.download)
    faults = [] if there.name in found.text else [f"an address of {there.place.name} does not open to its holder"]
    root, _, token = there.download.rpartition("/")
    payload, _, signature = token.partition(".")
    mine, _, my_signature = here.download.rpartition("/")[2].partition(".")
    grant = read_grant(payload)
    changes = [
        {"key": read_grant(mine)["key"]},
        {"method": "PUT"},
        {"expires": grant["expires"] + 1},
        {"key": "../" + grant["key"]},
    ]
    tries = [f"{root}/{_packed(grant | change)}.{signature}" for change in changes]
    tries += [f"{root}/{_packed(read_grant(mine) | {'key': grant['key']})}.{my_signature}"]
    tries += [f"{root}/{each}" for each in (f"{payload}.{my_signature}", f"{mine}.{signature}", payload, f"{payload}.")]
    tries.append(there.upload["address"])
    answers = [await http.get(each) for each in tries]
    for address, answer in zip(tries, answers, strict=True):
        if answer.status_code != 403 or "FORBIDDEN" not in answer.text or there.name in answer.text:
            what = _told(address)
            faults.append(f"an address of {there.place.name}, changed to {what}, opens: {answer.status_code}")
    headers = {item["name"]: item["value"] for item in there.upload["headers"]}
    stolen = await http.put(here.download, content=b"x", headers=headers)
    if stolen.status_code != 403:
        faults.append(f"a download address takes an upload: {stolen.status_code}")
    if len({answer.text for answer in answers}) != 1:
        faults.append(f"addresses of {there.place.name} that open nothing are told apart")
    return len(tries) + 1, faults


def read_grant(payload: str) -> dict[str, Any]:
    """What the first half of an address's token says. Raises Unclassified for one of another form."""
    try:
        found: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        raise Unclassified("Addresses of objects have a form that this proof does not know.") from None
    return found


def _packed(grant: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(grant, option=orjson.OPT_SORT_KEYS)).rstrip(b"=").decode()


def _told(address: str) -> str:
    """What an address leads to, without its signature."""
    payload = address.rpartition("/")[2].partition(".")[0]
    grant = read_grant(payload)
    return f"{grant['method']} {grant['key']}"
