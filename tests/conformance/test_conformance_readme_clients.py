"""The two clients that README.md shows, as they stand there, run against the real server and cut off twice."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import node_packages
import pytest
from conformance_table import Figure
from cutting import relay
from journey_house import STORY_SECONDS, Caller, World

PAGE = Path(__file__).parents[2] / "README.md"
PACKAGES = Path(__file__).parent / "clients"
CLIENT = r"^```{language} client\n(?P<text>.*?)^```$"


def client(language: str) -> str:
    """The text of the one client in a language."""
    pattern = re.compile(CLIENT.format(language=language), re.MULTILINE | re.DOTALL)
    [text] = pattern.findall(PAGE.read_text("utf-8"))
    return str(text)


@asynccontextmanager
async def running(caller: Caller, port: int, *command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A client that calls through a port as somebody; what is left of it at the end is killed."""
    given = {
        "GRAPHQL_ADDRESS": f"http://127.0.0.1:{port}/graphql",
        "GRAPHQL_TOKEN": caller.headers["Authorization"].removeprefix("Bearer "),
        "GRAPHQL_TENANT": caller.headers["X-Nexus-Tenant"],
        "GRAPHQL_ENV": caller.headers["X-Nexus-Env"],
    }
    # A proxy of the machine is not the README's matter.
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    process = await asyncio.create_subprocess_exec(
        *command, env=kept | given, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def follows_without_loss(world: World, *command: str) -> str:
    """Let a client follow the run that it opens, and cut it off twice; tells what was seen."""
    caller = world.caller("t_acme", "member")
    run_id = ""

    def append(count: int) -> None:
        for _ in range(count):
            caller.ask(world.document("agent/AppendRunLog"), {"runId": run_id, "text": "noted"})

    async with (
        asyncio.timeout(STORY_SECONDS),
        relay(world.server.port) as between,
        running(caller, between.port, *command) as process,
    ):
        assert process.stdout is not None
        assert b"member@t_acme" in await process.stdout.readline(), "a query"
        run_id = (await process.stdout.readline()).decode().strip()  # a mutation
        await asyncio.to_thread(append, 4)
        before, numbers = between.connections, []
        async for line in process.stdout:
            numbers.append(int(line.split()[0]))
            if numbers[-1] == 3:
                before = between.connections
                between.cut()
                await asyncio.to_thread(append, 3)
            if numbers[-1] == 7:
                between.cut()
                await asyncio.to_thread(append, 2)
                caller.ask(world.document("agent/CloseRun"), {"runId": run_id, "status": "SUCCEEDED"})
        assert await process.wait() == 0
        assert numbers == list(range(1, 12))
        assert between.connections == before + 2
    return f"query, mutation, {len(numbers)} of 11 entries once, the connection lost twice"


async def test_the_python_client_of_the_readme_works(world: World, tmp_path: Path, figure: Figure) -> None:
    """In a fresh process, with what the README says to install."""
    script = tmp_path / "client.py"
    script.write_text(client("python"), "utf-8")
    figure(
        8, "the README's Python client", await follows_without_loss(world, sys.executable, "-W", "error", str(script))
    )


async def test_the_javascript_client_of_the_readme_works(world: World, tmp_path: Path, figure: Figure) -> None:
    """In a fresh process, with what the README says to install beside it."""
    packages = await asyncio.to_thread(node_packages.install, PACKAGES)
    (tmp_path / "node_modules").symlink_to(packages / "node_modules", target_is_directory=True)
    script = tmp_path / "client.mjs"
    script.write_text(client("javascript"), "utf-8")
    figure(8, "the README's JavaScript client", await follows_without_loss(world, "node", str(script)))


@pytest.mark.parametrize(("language", "install"), [("python", "pip install"), ("javascript", "npm install")])
def test_the_readme_says_what_to_install(language: str, install: str) -> None:
    """The line before a client names the packages that it imports, and the page the variables that it reads."""
    text = client(language)
    before = PAGE.read_text("utf-8").partition(text)[0].splitlines()[-4:]
    [line] = [line for line in before if install in line]
    named = re.findall(r"`([^`]*)`", line[line.index("`" + install) :])[0]
    imported = re.findall(
        r'^(?:from|import) .*?"([\w-]+)";$' if language == "javascript" else r"^from (\w+)", text, re.M
    )
    assert imported
    assert [name for name in imported if name not in named] == []
    variables = set(re.findall(r"GRAPHQL_[A-Z]+", text))
    assert len(variables) == 4
    assert all(f"`{name}`" in PAGE.read_text("utf-8") for name in variables)
