"""Steps that several stories take: write a card, publish it, keep a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from journey_house import Caller, http

PUBLISH = """mutation Publish($input: PublishCardInput!) { publishCard(input: $input) {
  created changed indexState
  card { id key version digest title labels header body text indexState retiredAt publishedBy trainOk piiFlags }
  userErrors { __typename code message hint path ... on InvalidInputError { line column } } } }"""
RETIRE = """mutation Retire($input: RetireCardInput!) { retireCard(input: $input) {
  card { id version retiredAt } userErrors { __typename code message path } } }"""
RESERVE = """mutation Reserve($input: ReserveAssetInput!) { reserveAsset(input: $input) {
  duplicate asset { id state } upload { address method headers { name value } fields { name value } expiresAt }
  userErrors { __typename code message hint path } } }"""
SEAL = """mutation Seal($input: SealAssetInput!) { sealAsset(input: $input) {
  asset { id state sha256 sizeBytes sealedAt piiFlags } userErrors { __typename code message hint path } } }"""
DERIVE = """mutation Derive($input: DeriveAtomsInput!) { deriveAtoms(input: $input) {
  op opVersion atoms made staled userErrors { __typename code message hint path } } }"""

PROPOSE = """mutation Propose($input: ProposeLockInput!) { proposeLock(input: $input) {
  lock { id state revision changeDigest expiresAt } userErrors { __typename code message hint path } } }"""
APPROVE = """mutation Approve($input: ApproveLockInput!) { approveLock(input: $input) {
  lock { id state revision decidedBy } userErrors { __typename code message hint path } } }"""
REVOKE_LOCK = """mutation Revoke($input: RevokeLockInput!) { revokeLock(input: $input) {
  lock { id state } userErrors { __typename code message } } }"""


def card(key: str | None, body: str = "A body.\n", card_type: str = "note", **header: Any) -> str:
    """A card's text; the header's values are written as JSON, which is YAML too."""
    stated = ({"key": key} if key else {}) | {"card_type": card_type} | header
    lines = "".join(f"{name}: {json.dumps(value)}\n" for name, value in stated.items())
    return f"---\n{lines}---\n{body}"


def publish(caller: Caller, text: str, /, **more: Any) -> Any:
    """The whole payload of publishCard."""
    return caller.ask(PUBLISH, {"input": {"text": text, "trainOk": True} | more})["publishCard"]


def published(caller: Caller, text: str, /, **more: Any) -> Any:
    """The published card; fails when it was refused or is not indexed."""
    payload = publish(caller, text, **more)
    assert payload["userErrors"] == [], payload
    assert payload["indexState"] == "INDEXED", payload
    return payload["card"]


def retire(caller: Caller, card_id: str, version: int, /, **more: Any) -> Any:
    """The whole payload of retireCard."""
    return caller.ask(RETIRE, {"input": {"cardId": card_id, "expectedVersion": version} | more})["retireCard"]


def refusal(payload: Any) -> Any:
    """The one user error of a payload that did nothing."""
    assert payload.get("card") is None, payload
    assert payload.get("asset") is None, payload
    [error] = payload["userErrors"]
    return error


def propose(caller: Caller, change: Any, /, **more: Any) -> Any:
    """The proposed lock; fails when it was refused."""
    payload = caller.ask(PROPOSE, {"input": {"change": change, "reason": "It is time."} | more})["proposeLock"]
    assert payload["userErrors"] == [], payload
    return payload["lock"]


def approve(caller: Caller, lock: Any) -> Any:
    """The whole payload of approveLock for a lock as it was seen."""
    seen = {"lockId": lock["id"], "revision": lock["revision"], "changeDigest": lock["changeDigest"]}
    return caller.ask(APPROVE, {"input": seen})["approveLock"]


def with_lock(proposer: Caller, approver: Caller, change: Any, /, **more: Any) -> Any:
    """A lock that one proposed and the other approved."""
    lock = propose(proposer, change, **more)
    payload = approve(approver, lock)
    assert payload["userErrors"] == [], payload
    assert payload["lock"]["state"] == "APPROVED", payload
    return lock


def settled(owner: Caller, other: Caller, text: str, version: int = 0) -> Any:
    """A strategic card, or the next of a version, published under a lock for exactly it."""
    with_lock(owner, other, {"publishCard": {"text": text, "trainOk": True, "expectedVersion": version}})
    return published(owner, text, expectedVersion=version)


@contextmanager
def allowing(proposer: Caller, approver: Caller, *card_types: str) -> Iterator[None]:
    """Inside, cards of these types may be published and retired; nothing of the lock is left afterwards."""
    types: Any = list(card_types)
    actions = ["PUBLISH_CARD", "RETIRE_CARD"]
    lock = with_lock(proposer, approver, {"anyOf": {"actions": actions, "cardTypes": types, "uses": 1000}})
    try:
        yield
    finally:
        proposer.ask(REVOKE_LOCK, {"input": {"lockId": lock["id"]}})


def sha256(data: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def reserve(caller: Caller, filename: str, content_type: str, data: bytes, /, **more: Any) -> Any:
    """The whole payload of reserveAsset for these bytes."""
    declared = {"filename": filename, "contentType": content_type, "sizeBytes": len(data), "sha256": sha256(data)}
    return caller.ask(RESERVE, {"input": declared | {"trainOk": True} | more})["reserveAsset"]


def sending(address: Any, data: bytes) -> dict[str, Any]:
    """The request that a presigned upload wants, without its method and address."""
    headers, fields = ({item["name"]: item["value"] for item in address[each]} for each in ("headers", "fields"))
    body: dict[str, Any] = {"data": fields, "files": {"file": data}} if fields else {"content": data}
    return {"headers": headers, **body}


def upload(address: Any, data: bytes) -> httpx.Response:
    """Send bytes to a presigned upload."""
    return http(address["method"], address["address"], **sending(address, data))


def seal(caller: Caller, asset_id: str) -> Any:
    """The whole payload of sealAsset."""
    return caller.ask(SEAL, {"input": {"assetId": asset_id}})["sealAsset"]


def derive(caller: Caller, asset_id: str, /, **more: Any) -> Any:
    """The whole payload of deriveAtoms."""
    return caller.ask(DERIVE, {"input": {"assetId": asset_id} | more})["deriveAtoms"]


def kept(caller: Caller, filename: str, content_type: str, data: bytes, /, **more: Any) -> str:
    """Reserve, upload and seal; the asset's id."""
    reserved = reserve(caller, filename, content_type, data, **more)
    assert reserved["userErrors"] == [], reserved
    answer = upload(reserved["upload"], data)
    assert answer.status_code == 201, answer.text
    sealed = seal(caller, reserved["asset"]["id"])
    assert sealed["userErrors"] == [], sealed
    return str(sealed["asset"]["id"])
