"""People of two identity providers come in, each as themselves, while their providers change keys and fall silent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OKPKey
from journey_house import Caller, MakeWorld, World
from token_house import AUDIENCE, EC, ISSUER, KEY, public, served, sign, write_keys

VIEWER = "{ viewer { subject role env } }"
SECOND = "https://second.example"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the two providers serve."""
    write_keys(tmp_path / "first", KEY)
    write_keys(tmp_path / "second", EC)
    return tmp_path


@pytest.fixture
def world(folder: Path, own_world: MakeWorld) -> Iterator[World]:
    """A server that believes both; ada of the second is an admin of Acme, and ada of the first is nobody."""
    with served(folder) as address:
        issuers = [
            {"issuer": ISSUER, "audience": AUDIENCE, "keys": f"{address}/first"},
            {"issuer": SECOND, "audience": "second", "keys": f"{address}/second", "subject_prefix": "second|"},
        ]
        world = own_world(issuers=json.dumps(issuers))
        place = ("--tenant", "t_acme", "--env", "prod")
        world.server.installation.run("member", "set", "second|ada", *place, "--role", "admin")
        yield world


def caller(world: World, alg: str, **changed: Any) -> Caller:
    """Somebody who calls Acme in production, with a token that is good for some time."""
    token = sign(alg, **{"exp": int(datetime.now(UTC).timestamp()) + 600} | changed)
    return Caller(world.server, "t_acme", token, "prod")


def test_people_of_two_issuers_are_told_apart(world: World, folder: Path) -> None:
    """One `sub`, two people: the membership of one opens nothing to the other, nor does a key in another's name."""
    second = caller(world, "ES256", iss=SECOND, aud="second")
    assert second.ask(VIEWER)["viewer"] == {"subject": "second|ada", "role": "ADMIN", "env": "PROD"}
    assert caller(world, "Ed25519").error(VIEWER)["extensions"]["code"] == "FORBIDDEN"
    assert caller(world, "Ed25519", sub="second|ada").error(VIEWER)["extensions"]["code"] == "UNAUTHENTICATED"
    forged = caller(world, "Ed25519", iss=SECOND, aud="second")
    assert forged.error(VIEWER)["extensions"]["code"] == "UNAUTHENTICATED"
    (folder / "second").unlink()  # a key that is known outlives a provider that answers no more
    assert second.ask(VIEWER)["viewer"]["subject"] == "second|ada"


def test_a_provider_that_has_no_keys_stops_the_start(world: World, folder: Path) -> None:
    """With the address that it was asked at, and the status of a wrong configuration."""
    key = OKPKey.generate_key("X25519", {"kid": "x"})
    (folder / "first").write_text(json.dumps(public(key)))
    said = world.server.installation.run("check", status=2)
    assert "first holds no key with a key id that can verify a token" in said
