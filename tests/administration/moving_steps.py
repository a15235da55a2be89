"""Two installations beside each other, and what a client is told by each."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
from command_line import Folder, free_port, until_answered

from nexus_graph import config
from nexus_graph.api.house import House
from nexus_graph.app import open_house

OWNED = ("metrics_token", "signing_secret", "development_key", "erasure_ledger", "data")
QUESTIONS = """{
  viewer { role }
  cards(first: 50) { edges { node { id key digest version text trainOk artifacts { __typename } } } }
  influencePack(ask: {text: "returns of damaged goods", k: 5}) {
    digest content indexState complete exact verification { holds } replay { same }
  }
}"""


def beside(folder: Folder, name: str, **settings: str) -> Folder:
    """A migrated and empty installation with the same secret and development key; its file holds every setting."""
    path = folder.path.parent / name
    (path / "nexus-data").mkdir(parents=True)
    shutil.copy(folder.path / "nexus-data" / "development-key.json", path / "nexus-data")
    lines = (folder.path / "nexus.toml").read_text().splitlines()
    given = {"embedder": "hashing", **settings}
    kept = [line for line in lines if line.partition(" =")[0] in OWNED and line.partition(" =")[0] not in given]
    text = [f"{key} = {json.dumps(value)}" for key, value in given.items()]
    (path / "nexus.toml").write_text("\n".join([*kept, *text]) + "\n")
    there = Folder(path)
    there.good("migrate")
    return there


def settings_of(folder: Folder) -> str:
    """The file of an installation's settings, for `--to`."""
    return str(folder.path / "nexus.toml")


@asynccontextmanager
async def opened(folder: Folder) -> AsyncIterator[House]:
    """The house of an installation, in this process."""
    environment = {name: value for name, value in folder.environment.items() if name.startswith("NEXUS_")}
    async with open_house(config.load(environment, folder.path / "nexus.toml").config) as house:
        yield house


def told(folder: Folder, *, subject: str = "owner@acme.example", tenant: str = "t_acme") -> Any:
    """What a server on the installation answers to a query, and the pack that it serves."""
    token = json.loads(folder.good("token", subject, "--json"))["token"]
    port = free_port()
    process = folder.start("serve", "--port", str(port))
    try:
        until_answered(f"http://127.0.0.1:{port}", process, folder.log)
        headers = {"Authorization": f"Bearer {token}", "X-Nexus-Tenant": tenant, "X-Nexus-Env": "dev"}
        address = f"http://127.0.0.1:{port}/graphql"
        answer = httpx.post(address, json={"query": QUESTIONS}, headers=headers, trust_env=False, timeout=30).json()
        assert "errors" not in answer, answer
        return answer["data"]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def database_of(folder: Folder) -> Path:
    """The file of an embedded installation's database."""
    return folder.path / "nexus-data" / "nexus.db"


def ask(folder: Folder, sql: str) -> list[tuple[Any, ...]]:
    """A statement behind the program's back, on an embedded installation."""
    with closing(sqlite3.connect(database_of(folder))) as database, database:
        return database.execute(sql).fetchall()


def proven(document: Any) -> dict[str, Any]:
    """The digests of a move's document, both sides being the same."""
    assert document["differences"] == document["late"] == []
    found = {}
    for scope in document["scopes"]:
        for name, sides in scope["proof"].items():
            assert sides["source"] == sides["target"]
            found[f"{scope['tenantId']}/{scope['env']} {name}"] = sides["target"]
    return found
