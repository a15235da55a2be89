"""What a story starts from: a furnished installation, made once and copied, and servers over such copies."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from journey_house import Furnished, Installation, MakeWorld, Server, World, furnish


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    """A folder with two tenants and nothing else, and the credentials of everybody in them."""
    folder = tmp_path_factory.mktemp("furnished")
    return folder, furnish(folder)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, furnished: Furnished) -> Iterator[World]:
    """One server for the stories that do not harm it."""
    folder, credentials = furnished
    copy = tmp_path_factory.mktemp("worlds") / "world"
    shutil.copytree(folder, copy)
    server = Server(Installation(copy))
    server.start()
    yield World(server, credentials)
    assert server.stop() == 0, server.log.read_text()
    server.check_log()


@pytest.fixture
def own_world(tmp_path: Path, furnished: Furnished) -> Iterator[MakeWorld]:
    """Starts servers of the test's own, each on a fresh copy: `own_world(heartbeat_seconds="0.2")`."""
    folder, credentials = furnished
    servers: list[Server] = []

    def make(**settings: str) -> World:
        copy = tmp_path / f"world-{len(servers)}"
        shutil.copytree(folder, copy)
        server = Server(Installation(copy, **settings))
        servers.append(server)
        server.start()
        return World(server, credentials)

    yield make
    for server in servers:
        if server.running:
            assert server.stop() == 0, server.log.read_text()
        server.check_log()
