"""A tenant sees only its own: every id, cursor, key and name of another tenant is as good as one never heard of.

Nothing here names a field: `prove isolation --against` reads from the schema that the server tells what is called, and
with what. The whole walk is told in `test_isolation_is_proven.py`; that it finds holes in `tests/administration`.
"""

from __future__ import annotations

import re

import pytest
from journey_house import Caller, MakeWorld, World

AMPLE = {f"{whose}_{what}": "1000000000" for whose in ("actor", "tenant") for what in ("burst", "per_second")}
OPERATIONS = "300"


@pytest.mark.long
def test_a_running_server_stands(own_world: MakeWorld) -> None:
    """What is asked of cards by their names, and all the rest: no hole, no word in the log, nobody left behind."""
    world = own_world(heartbeat_seconds="0.2", **AMPLE)
    told = world.server.installation.json(
        *("prove", "isolation", "--against", world.server.address, "--log", str(world.server.log)),
        *("--operations", OPERATIONS, "--seconds", "60", "--seed", "7", "--only", "Query.card"),
    )
    assert told["faults"] == []
    tried = told["tried"]
    assert tried["values that mean something at home"] > 5
    assert tried["values of another's in arguments"] > 20
    assert tried["lists and searches"] > 40
    assert tried["credentials of another's"] > 6
    assert tried["run headers of another's"] == 6
    assert tried["live streams beside another's"] == 2
    assert tried["forged addresses of objects"] > 20
    assert told["operations"] >= int(OPERATIONS)
    assert len(told["tenants"]) == 2
    for tenant in told["tenants"]:
        everybody = world.server.installation.json("member", "list", "--tenant", tenant, "--env", "dev")
        assert [one["subject"] for one in everybody if one["status"] == "ACTIVE"] == ["keeper@proof.example"]
    check_that_it_can_be_erased(world, told["tenants"][0])


def check_that_it_can_be_erased(world: World, tenant: str) -> None:
    """The one owner that is left may plan the erasure of what the proof kept."""
    token = world.server.installation.json("token", "keeper@proof.example")["token"]
    keeper = Caller(world.server, tenant, token)
    planned = keeper.ask(
        "mutation { planErasure(input: { kind: TENANT_ENV }) { erasure { state } userErrors { message } } }"
    )
    assert planned["planErasure"] == {"erasure": {"state": "PLANNED"}, "userErrors": []}


def test_a_server_that_is_not_there_is_told(own_world: MakeWorld, world: World) -> None:
    """No server, another data folder's server, and no development key: refused in words, and no tenant is made."""
    own = own_world()
    installation = own.server.installation
    before = installation.json("tenant", "list")
    prove = ("prove", "isolation", "--operations", "10", "--against")
    assert "No server answers at http://127.0.0.1:1" in installation.run(*prove, "http://127.0.0.1:1", status=1)
    installation.environment["NEXUS_DEVELOPMENT_KEY"] = str(installation.folder / "none.json")
    assert re.search(r"none\.json", installation.run(*prove, own.server.address, status=2))
    assert installation.json("tenant", "list") == before
    del installation.environment["NEXUS_DEVELOPMENT_KEY"]
    assert "does not know t_proof_" in installation.run(*prove, world.server.address, status=1)
