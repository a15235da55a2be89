"""An owner keeps raw files: reserve, upload, seal, derive, follow the lineage both ways, verify, download."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from journey_house import Caller, MakeWorld, World, http
from journey_objects import InBucket
from journey_steps import card, derive, kept, published, refusal, reserve, seal, sha256, upload

from nexus_graph.atoms.recipes import content_type_of

SCAN = Path(__file__).parents[1] / "atoms" / "inputs" / "70-scan.pdf"
RAW = Path(__file__).parents[2] / "core" / "demo" / "acme" / "raw"
KINDS = {
    "returns-policy.md": "markdown.sections",
    "tent-care.html": "html.blocks",
    "orders-2026-09.csv": "csv.rows",
    "catalogue.json": "json.pointers",
    "annual-review-2025.pdf": "pdf.pages",
    "customer-service-handbook.docx": "docx.paragraphs",
    "mail-thread-ridgeline-zips.txt": "text.paragraphs",
}
ASSET = """query Asset($id: ID!, $first: Int = 100) { asset(id: $id) {
  id filename contentType sizeBytes sha256 state sealedAt trainOk createdBy downloadAddress
  citedBy(first: 9) { edges { node { id } } }
  atoms(first: $first) {
    edges { node { id op opVersion ordinal kind text digest stale
      span { start end page line endLine row pointer } asset { id sha256 } } }
    pageInfo { hasNextPage }
  } } }"""
SEALED = """query ($id: String!) { audit(first: 1, filter: {subject: $id, types: ["asset.sealed"]}) {
  edges { node { runId } } } }"""
VERIFY = "query Verify($id: ID!) { verifyAtom(id: $id) { matches expected found } }"


def fetch(address: str) -> httpx.Response:
    """What a download address answers."""
    return http("GET", address)


def refused(world: World, answer: httpx.Response, status: int) -> bool:
    """Whether bytes were refused: by our server with this status, by an object server in its own way."""
    return answer.is_client_error if in_bucket(world) else answer.status_code == status


def no_such_address(world: World, answer: httpx.Response) -> bool:
    """Whether an address was refused as wrong or expired."""
    return refused(world, answer, 403) and (in_bucket(world) or answer.json()["error"]["code"] == "FORBIDDEN")


def in_bucket(world: World) -> bool:
    """Whether objects lie with an object server, to which clients speak themselves."""
    return isinstance(world.server.installation.objects, InBucket)


DERIVATION = """query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Asset { filename derivation {
  state reason leftOut { what places count intended } mediaType mediaTypeReason op opVersion outdated atoms derivedAt
  } } } }"""


def test_nothing_is_kept_without_a_word(world: World) -> None:
    """What became of each file stands with its asset: how much was read, why not all, and what decided its kind."""
    owner = world.caller("t_acme", "owner")
    files = {
        "half.jsonl": b'{"a":1}\n{"b":2}\n{"c":',
        "scan.pdf": SCAN.read_bytes(),
        "picture.png": b"\x89PNG\r\n\x1a\n\0",
        "sales.csv": b"sku,qty\nA1,5\n",
        "broken.json": b"{",
    }
    declared = {"sales.csv": "application/vnd.ms-excel"}
    ids = [
        kept(owner, name, declared.get(name, content_type_of(name)), data + b" " * len(name))
        for name, data in files.items()
    ]
    told = read_by_the_server(owner, ids)
    states = {name: each["state"] for name, each in told.items()}
    assert states == {
        "half.jsonl": "PARTLY_READ",
        "scan.pdf": "NO_TEXT",
        "picture.png": "NO_RECIPE",
        "sales.csv": "DONE",
        "broken.json": "REFUSED",
    }
    assert told["scan.pdf"]["reason"] == "no text read: page 1 has no text layer"
    assert told["half.jsonl"]["leftOut"] == [{"what": "cut", "places": ["line 3"], "count": 1, "intended": False}]
    assert told["sales.csv"]["mediaType"] == "text/csv"
    assert told["sales.csv"]["mediaTypeReason"] == (
        "the file name says text/csv (the declared type says application/vnd.ms-excel)"
    )
    assert (told["picture.png"]["op"], told["picture.png"]["mediaType"]) == (None, "image/png")
    assert "could not be read as JSON" in told["broken.json"]["reason"]
    assert not any(each["outdated"] for each in told.values())


def read_by_the_server(owner: Caller, ids: list[str]) -> dict[str, Any]:
    """The derivations of assets by filename, once the server has read all of them."""
    deadline = time.monotonic() + 60
    while True:
        nodes = owner.ask(DERIVATION, {"ids": ids})["nodes"]
        told = {node["filename"]: node["derivation"] for node in nodes}
        if all(each["state"] != "NOT_ASKED" for each in told.values()):
            return told
        assert time.monotonic() < deadline, told
        time.sleep(0.1)


@pytest.mark.parametrize("filename", KINDS)
def test_every_kind_of_file_becomes_atoms_with_places_that_lead_back_to_its_bytes(world: World, filename: str) -> None:
    """Bytes go in through the address, come out unchanged, and their atoms say where they stand and can be proven."""
    owner, data = world.caller("t_acme", "owner"), (RAW / filename).read_bytes()
    asset_id = kept(owner, filename, content_type_of(filename), data)
    derived = derive(owner, asset_id)
    assert (derived["op"], derived["userErrors"]) == (KINDS[filename], [])
    assert derived["atoms"] > 0
    assert derive(owner, asset_id)["made"] == 0, "deriving twice changes nothing"

    asset = owner.ask(ASSET, {"id": asset_id})["asset"]
    assert (asset["state"], asset["sizeBytes"], asset["sha256"]) == ("SEALED", len(data), sha256(data))
    assert (asset["filename"], asset["createdBy"], asset["trainOk"]) == (filename, "owner@t_acme", True)
    answer = fetch(asset["downloadAddress"])
    assert answer.content == data
    assert answer.headers["content-disposition"].startswith("attachment")

    atoms = [edge["node"] for edge in asset["atoms"]["edges"]]
    assert [atom["ordinal"] for atom in atoms] == list(range(len(atoms)))
    assert asset["atoms"]["pageInfo"]["hasNextPage"] == (derived["atoms"] > 100)
    assert len({atom["id"] for atom in atoms}) == len(atoms)
    for atom in atoms:
        assert atom["asset"] == {"id": asset_id, "sha256": sha256(data)}
        assert atom["digest"] == sha256(atom["text"].encode())
        assert not atom["stale"]
        assert 0 <= atom["span"]["start"] <= atom["span"]["end"]
    check_places(filename, data, atoms)

    for atom in (atoms[0], atoms[-1]):
        digest = atom["digest"]
        verified = world.caller("t_acme", "agent").ask(VERIFY, {"id": atom["id"]})["verifyAtom"]
        assert verified == {"matches": True, "expected": digest, "found": digest}


def check_places(filename: str, data: bytes, atoms: list[dict[str, Any]]) -> None:
    """Whether the places are those at which a reader of the file finds the texts."""
    spans = [atom["span"] for atom in atoms]
    match Path(filename).suffix:
        case ".md" | ".txt":
            text = data.decode()
            assert all(
                text[span["start"] : span["end"]] == atom["text"] for atom, span in zip(atoms, spans, strict=True)
            )
            lines = text.split("\n")
            first_lines = [atom["text"].split("\n")[0] for atom in atoms]
            assert all(first in lines[span["line"] - 1] for first, span in zip(first_lines, spans, strict=True))
        case ".csv":
            assert [span["row"] for span in spans] == list(range(spans[0]["row"], spans[0]["row"] + len(spans)))
        case ".json":
            assert all(span["pointer"] is not None for span in spans)
            assert len({span["pointer"] for span in spans}) == len(spans)
        case ".pdf":
            assert [span["page"] for span in spans] == list(range(1, len(spans) + 1))
        case ".html":
            assert all(span["line"] for span in spans)


def test_lineage_leads_from_a_card_to_the_file_and_back(world: World) -> None:
    """A card that cites an asset and an atom shows both; each of them names the card until it is retired."""
    owner = world.caller("t_acme", "owner")
    data = b"# Keel\n\nThe keel is laid in March.\n\n# Mast\n\nThe mast is stepped in May.\n"
    asset_id = kept(owner, "keel.md", "text/markdown", data)
    derive(owner, asset_id)
    atom_id = owner.ask(ASSET, {"id": asset_id})["asset"]["atoms"]["edges"][1]["node"]["id"]
    made = published(owner, card("raw/lineage", artifact_refs=[atom_id, asset_id]))

    forwards = owner.ask(
        """query ($id: ID!) { card(id: $id) { artifacts { __typename
             ... on Atom { id text asset { id filename } } ... on Asset { id sha256 } } } }""",
        {"id": made["id"]},
    )["card"]["artifacts"]
    assert [item["__typename"] for item in forwards] == ["Atom", "Asset"], "in the header's order"
    assert forwards[0]["asset"] == {"id": asset_id, "filename": "keel.md"}
    assert "stepped in May" in forwards[0]["text"]
    assert forwards[1] == {"__typename": "Asset", "id": asset_id, "sha256": sha256(data)}

    citing = "citedBy(first: 9) { edges { node { id } } }"
    back = f"query ($asset: ID!, $atom: ID!) {{ asset(id: $asset) {{ {citing} }} atom(id: $atom) {{ {citing} }} }}"
    found = owner.ask(back, {"asset": asset_id, "atom": atom_id})
    only_it = {"citedBy": {"edges": [{"node": {"id": made["id"]}}]}}
    assert found == {"asset": only_it, "atom": only_it}


def test_an_upload_address_takes_exactly_what_was_declared(world: World) -> None:
    """Fewer, more or other bytes are refused and leave nothing; the right ones go in once and never change."""
    owner, data = world.caller("t_acme", "owner"), b"exactly these bytes of the upload story"
    reserved = reserve(owner, "exact.txt", "text/plain", data)
    address, asset_id = reserved["upload"], reserved["asset"]["id"]
    assert reserved["asset"]["state"] == "RESERVED"
    assert datetime.fromisoformat(address["expiresAt"]).tzinfo is not None

    assert refused(world, upload(address, data[:-1]), 400)
    assert refused(world, upload(address, data + b"!"), 413)
    other = upload(address, data[::-1])
    assert refused(world, other, 400)
    if not in_bucket(world):
        assert other.json()["error"]["code"] == "INVALID"
        assert "SHA-256" in other.json()["error"]["message"]
    assert refusal(seal(owner, asset_id))["message"] == "Nothing was uploaded yet."

    assert upload(address, data).status_code == 201
    again = 201 if in_bucket(world) else 204
    assert upload(address, data).status_code == again, "the same bytes again are here already"
    assert refused(world, upload(address, data[::-1]), 400)
    assert seal(owner, asset_id)["asset"]["state"] == "SEALED"
    assert seal(owner, asset_id)["asset"]["state"] == "SEALED", "sealing again changes nothing"
    assert refused(world, upload(address, b"x" * len(data)), 400)
    assert fetch(owner.ask(ASSET, {"id": asset_id})["asset"]["downloadAddress"]).content == data


def test_the_store_and_not_the_caller_says_what_was_kept(world: World) -> None:
    """Bytes that changed where they lie are not sealed; after the seal an atom no longer follows from them."""
    owner, data = world.caller("t_acme", "owner"), b"# Bytes\n\nThat change behind the engine's back.\n"
    reserved = reserve(owner, "changed.md", "text/markdown", data)
    assert upload(reserved["upload"], data).status_code == 201
    asset_id = reserved["asset"]["id"]
    objects = world.server.installation.objects
    [(stored, found)] = [(key, held) for key, held in objects.all() if key.endswith(f"/{asset_id}/changed.md")]
    assert found == data
    objects.change(stored, data.upper())
    error = refusal(seal(owner, asset_id))
    assert (error["code"], "checksum" in error["message"]) == ("CONFLICT", True)
    objects.change(stored, data[:-1])
    assert "size" in refusal(seal(owner, asset_id))["message"]
    objects.change(stored, data)
    assert seal(owner, asset_id)["asset"]["state"] == "SEALED"

    derive(owner, asset_id)
    [edge] = owner.ask(ASSET, {"id": asset_id})["asset"]["atoms"]["edges"]
    objects.change(stored, data.replace(b"back", b"fore"))
    assert not owner.ask(VERIFY, {"id": edge["node"]["id"]})["verifyAtom"]["matches"]
    objects.change(stored, data)
    assert owner.ask(VERIFY, {"id": edge["node"]["id"]})["verifyAtom"]["matches"]


def test_a_tampered_address_opens_nothing(world: World) -> None:
    """One changed character, the wrong method or another object's signature: refused in the same words.

    What an object server is sent is a form, of which no field can be another.
    """
    owner, data = world.caller("t_acme", "owner"), b"the bytes behind an address nobody bends"
    reserved = reserve(owner, "bent.txt", "text/plain", data)
    for place, field in enumerate(fields := reserved["upload"]["fields"]):
        bent_form = [*fields[:place], field | {"value": f"{field['value']}0"}, *fields[place + 1 :]]
        assert refused(world, upload(reserved["upload"] | {"fields": bent_form}, data), 403), field["name"]
    address = reserved["upload"]["address"]
    for wrong in [] if in_bucket(world) else bent(address):
        assert no_such_address(world, http("PUT", wrong, content=data)), wrong
    assert no_such_address(world, fetch(address)), "an upload address is no download address"
    assert refusal(seal(owner, reserved["asset"]["id"]))["code"] == "CONFLICT"


def bent(address: str) -> list[str]:
    """An upload address of our server, changed a little in several places."""
    token = urlsplit(address).path.rpartition("/")[2]
    payload, _, signature = token.partition(".")
    base = address.removesuffix(token)
    return [
        f"{base}{('A' if payload[0] != 'A' else 'B') + payload[1:]}.{signature}",
        f"{base}{payload}.{signature[:-1]}{'A' if signature[-1] != 'A' else 'B'}",
        f"{base}{payload}.",
        f"{base}{payload}",
        f"{base}%00%ff.{signature}",
    ]


def test_addresses_and_reservations_end(own_world: MakeWorld) -> None:
    """After its time an upload address takes nothing, a reservation can't be sealed, a download address is silent."""
    world = own_world(reservation_seconds="2", address_seconds="2")
    owner, data = world.caller("t_acme", "owner"), b"too late"
    asset_id = kept(owner, "early.txt", "text/plain", b"in time")
    download = owner.ask(ASSET, {"id": asset_id})["asset"]["downloadAddress"]
    assert fetch(download).content == b"in time"
    unsent = reserve(owner, "unsent.txt", "text/plain", data)
    unsealed = reserve(owner, "unsealed.txt", "text/plain", data[::-1])
    assert upload(unsealed["upload"], data[::-1]).status_code == 201
    time.sleep(2.1)
    assert no_such_address(world, upload(unsent["upload"], data))
    assert no_such_address(world, fetch(download))
    for late in (unsent, unsealed):
        error = refusal(seal(owner, late["asset"]["id"]))
        assert (error["code"], error["message"]) == ("CONFLICT", "The reservation has expired.")


def test_the_same_bytes_are_kept_once_in_a_tenant(world: World) -> None:
    """A duplicate answers with the asset that is there, also to a second reservation; other tenants learn nothing."""
    owner, data = world.caller("t_acme", "owner"), b"kept once, and once only"
    first = reserve(owner, "one.txt", "text/plain", data)
    second = reserve(owner, "two.txt", "text/plain", data)
    assert first["asset"]["id"] != second["asset"]["id"]
    for reserved in (first, second):
        assert upload(reserved["upload"], data).status_code == 201
    assert seal(owner, first["asset"]["id"])["asset"]["id"] == first["asset"]["id"]
    assert seal(owner, second["asset"]["id"])["asset"]["id"] == first["asset"]["id"]
    third = reserve(owner, "three.txt", "text/plain", data)
    assert (third["duplicate"], third["upload"], third["asset"]["id"]) == (True, None, first["asset"]["id"])

    stranger = reserve(world.caller("t_globex", "owner"), "one.txt", "text/plain", data)
    assert (stranger["duplicate"], stranger["asset"]["state"]) == (False, "RESERVED")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"sizeBytes": 0}, "sizeBytes"),
        ({"sizeBytes": 2**40}, "sizeBytes"),
        ({"sha256": "ABC"}, "sha256"),
        ({"contentType": "markdown"}, "contentType"),
        ({"filename": "../../etc/passwd"}, "filename"),
        ({"filename": "a\u202egpj.exe"}, "filename"),
        ({"sourceRef": "line\nbreak"}, "sourceRef"),
    ],
)
def test_a_wrong_declaration_is_refused_with_the_way_to_it(world: World, wrong: dict[str, Any], field: str) -> None:
    """What breaks a rule is named by the input field that holds it."""
    error = refusal(reserve(world.caller("t_acme", "admin"), "wrong.txt", "text/plain", b"wrong", **wrong))
    assert (error["__typename"], error["code"]) == ("InvalidInputError", "INVALID")
    assert error["path"] == ["input", field]
    assert error["message"]


def test_parameters_that_are_no_object_are_refused(world: World) -> None:
    """JSON has other values too; an empty object is as good as none."""
    owner = world.caller("t_acme", "owner")
    asset_id = kept(owner, "parameters.txt", "text/plain", b"Some text to derive atoms from.")
    wrong: list[Any] = ["0", 0, False, "", [], [1], 1e300]
    for params in wrong:
        error = refusal(derive(owner, asset_id, params=params))
        assert (error["code"], error["path"]) == ("INVALID", ["input", "params"]), params
    assert derive(owner, asset_id, params={})["userErrors"] == []


def test_who_may_not_keep_files_is_refused(world: World) -> None:
    """A member may read and download, an agent read; neither reserves, seals or derives."""
    asset_id = kept(world.caller("t_acme", "owner"), "shared.txt", "text/plain", b"A file that everybody may read.")
    deeds: list[tuple[str, Any]] = [
        ("reserveAsset", lambda who: _refused(who, "reserveAsset", asset_id)),
        ("sealAsset", lambda who: _refused(who, "sealAsset", asset_id)),
        ("deriveAtoms", lambda who: _refused(who, "deriveAtoms", asset_id)),
    ]
    for role in ("member", "agent"):
        for name, deed in deeds:
            error = deed(world.caller("t_acme", role))
            assert error["extensions"]["code"] == "FORBIDDEN", (role, name)
            assert error["path"] == [name]
    member, agent = world.caller("t_acme", "member"), world.caller("t_acme", "agent")
    assert fetch(member.ask(ASSET, {"id": asset_id})["asset"]["downloadAddress"]).status_code == 200
    error = agent.error("query ($id: ID!) { asset(id: $id) { filename downloadAddress } }", {"id": asset_id})
    assert (error["extensions"]["code"], error["path"]) == ("FORBIDDEN", ["asset", "downloadAddress"])
    assert agent.ask("query ($id: ID!) { asset(id: $id) { filename } }", {"id": asset_id})["asset"]


def _refused(who: Caller, name: str, asset_id: str) -> Any:
    inputs = {
        "reserveAsset": '{filename: "a", contentType: "text/plain", sizeBytes: 1, sha256: "%s", trainOk: true}'
        % ("0" * 64),
        "sealAsset": f'{{assetId: "{asset_id}"}}',
        "deriveAtoms": f'{{assetId: "{asset_id}"}}',
    }
    return who.error(f"mutation {{ {name}(input: {inputs[name]}) {{ userErrors {{ code }} }} }}")


HOSTILE = {
    "broken.pdf": b"%PDF-1.7\nthis is no PDF at all",
    "broken.docx": b"PK\x03\x04 this is no archive",
    "broken.json": b'{"open": [1, 2',
    "deep.json": b"[" * 200_000,
}


@pytest.mark.parametrize("filename", HOSTILE)
async def test_a_file_that_cannot_be_read_fails_its_run_and_keeps_nothing(world: World, filename: str) -> None:
    """The run of the sealing ends as FAILED with an entry that says why; the bytes stay, atoms there are none."""
    owner = world.caller("t_acme", "owner")
    asset_id = kept(owner, filename, content_type_of(filename), HOSTILE[filename])
    [edge] = owner.ask(SEALED, {"id": asset_id})["audit"]["edges"]
    entries = []
    async with owner.stream(world.document("dashboard/FollowRun"), {"runId": edge["node"]["runId"]}) as frames:
        async for frame in frames:
            if frame["runLog"]["__typename"] == "RunLogEntry":
                entries.append(frame["runLog"]["entry"])
            if frame["runLog"]["__typename"] == "RunLogEnd":
                assert frame["runLog"] == {"__typename": "RunLogEnd", "reason": "RUN_ENDED", "status": "FAILED"}
    assert [entry["type"] for entry in entries] == ["asset.sealed", "atoms.refused"]
    assert entries[1]["severity"] == "ERROR"
    assert entries[1]["payload"]["output"]["code"] == "INVALID"
    assert entries[1]["payload"]["output"]["message"]

    error = refusal(derive(owner, asset_id))
    assert error["code"] == "INVALID"
    asset = owner.ask(ASSET, {"id": asset_id})["asset"]
    assert (asset["state"], asset["atoms"]["edges"]) == ("SEALED", [])
