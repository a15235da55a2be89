"""A tenant's vectors move to Weaviate and back, and nobody can tell by the answers."""

from __future__ import annotations

import time
from typing import Any

from journey_house import WAIT_SECONDS, Caller, Installation, MakeWorld, Server, World, http
from journey_steps import card, published
from servers.weaviate import WeaviateServer

PACK = """query Pack($ask: InfluencePackInput!) { influencePack(ask: $ask) {
  id content complete exact refs { rank score cardId cardVersion } } }"""
SEARCH = """query { search(text: "wet tent", k: 3) {
  answeredBy complete exact indexState embedderId hits { rank score text start end } } }"""
SUBJECTS = ("a wet tent", "leather boots", "a gas stove", "a map in the rain", "rope and knots", "a cold night")
QUESTIONS = ("How do I dry a tent?", "Which boots?", "What about rain at night?")


def packs(who: Caller) -> list[Any]:
    """The packs that answer the questions, with their sealed bytes."""
    return [who.ask(PACK, {"ask": {"text": text, "k": 4}})["influencePack"] for text in QUESTIONS]


def searched(who: Caller) -> tuple[str, Any]:
    """Who named the candidates of a search, and its answer."""
    found = who.ask(SEARCH)["search"]
    return found.pop("answeredBy"), found


def stock(world: World) -> None:
    """A card for each subject, and its twin."""
    owner = world.caller("t_acme", "owner")
    for number, subject in enumerate(SUBJECTS * 2):
        published(owner, card(f"outdoors/{number}", f"What we know of {subject}, told twice.\n"))


def copied(world: World, cards: int) -> None:
    """Wait until the copy holds that many generations."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        [(found,)] = world.server.installation.query("select max(generation) from index_copies")
        if found is not None and found >= cards:
            return
        time.sleep(0.1)
    raise AssertionError(world.server.log.read_text())


def test_the_packs_are_the_same_bytes(own_world: MakeWorld, weaviate: WeaviateServer) -> None:
    """In memory, with copies on a server, and by a second process on the same database that shares them."""
    there = weaviate.settings("Journey")
    plain, big = own_world(**dict.fromkeys(there)), own_world(**there)
    for world in (plain, big):
        stock(world)
    copied(big, 12)
    expected = packs(plain.caller("t_acme", "agent"))
    assert packs(big.caller("t_acme", "agent")) == expected
    assert [(pack["complete"], pack["exact"]) for pack in expected] == [(True, True)] * 3
    (memory, plainly), (server, by_copy) = [searched(world.caller("t_acme", "agent")) for world in (plain, big)]
    assert (memory, server) == ("LOCAL_MATRIX", "VECTOR_SERVER")
    assert by_copy == plainly
    ready = http("GET", f"{big.server.address}/readyz").json()
    assert ready == {"status": "ok", "stores": {"database": "ok", "objects": "ok", "vectors": "ok"}}
    second = Server(big.server.installation)
    second.start()
    beside = World(second, big.credentials)
    try:
        assert packs(beside.caller("t_acme", "agent")) == expected
        for world in (plain, beside):
            published(world.caller("t_acme", "owner"), card("outdoors/new", "A wet tent dries in the wind.\n"))
        expected = packs(plain.caller("t_acme", "agent"))
        for world in (beside, big):
            assert packs(world.caller("t_acme", "agent")) == expected
    finally:
        assert second.stop() == 0
    place = big.server.installation
    assert place.json("check")["faults"] == []
    away = Installation(place.folder)
    away.environment = place.environment | {"NEXUS_WEAVIATE_PREFIX": "Elsewhere"}
    assert "the copy on the vector server is not on the server" in away.run("check", status=1)
    assert "(mended)" in away.run("check", "--repair")
    assert away.json("check")["faults"] == []
