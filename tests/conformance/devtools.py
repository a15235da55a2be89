"""A headless Chromium, spoken to by the DevTools protocol: one page, what it says on its console, what it evaluates.

Spec: chromedevtools.github.io/devtools-protocol. Where there is no Chromium the test is skipped and says so.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
WAIT_SECONDS = 20
SWITCHES = (
    "--headless=new",
    "--no-sandbox",  # a container's only user is often root
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--remote-debugging-port=0",
    "--window-size=1280,800",
)


def chromium() -> str:
    """The browser's path; skips the test where there is none."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    pytest.skip(f"no browser is installed; this test needs one of {', '.join(NAMES)}")


class Page:
    """A page of the browser. `said` is what appeared on its console, violations of its policy included."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.said: list[str] = []
        self.asked: list[str] = []

    async def call(self, method: str, **parameters: Any) -> Any:
        """One command's result; what happens meanwhile is noted."""
        number = next(self._numbers)
        await self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                message = json.loads(await self._socket.recv())
                if message.get("id") == number:
                    assert "error" not in message, (method, message)
                    return message["result"]
                self._note(message)

    async def evaluate(self, script: str) -> Any:
        """The value of an expression in the page; a promise is awaited."""
        result = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, (script, result)
        return result["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait until an expression is true."""
        look = f"(() => {{ try {{ return Boolean({condition}) }} catch {{ return false }} }})()"
        wait = f"new Promise((done) => setInterval(() => {look} && done(true), 20))"
        async with asyncio.timeout(WAIT_SECONDS):
            await self.evaluate(wait)

    async def picture(self, path: Path) -> None:
        """Write a screenshot (PNG)."""
        path.write_bytes(base64.b64decode((await self.call("Page.captureScreenshot"))["data"]))

    def _note(self, message: Any) -> None:
        told = message.get("params", {})
        if message.get("method") == "Log.entryAdded":
            if told["entry"]["level"] in ("warning", "error"):
                self.said.append(f"{told['entry']['source']}: {told['entry']['text']}")
        elif message.get("method") == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
            self.said.append(f"{told['type']}: {[each.get('value') for each in told['args']]}")
        elif message.get("method") == "Runtime.exceptionThrown":
            self.said.append(f"exception: {told['exceptionDetails']['text']}")
        elif message.get("method") == "Network.requestWillBeSent":
            self.asked.append(told["request"]["url"])


@asynccontextmanager
async def opened(address: str, folder: Path) -> AsyncIterator[Page]:
    """A page that has begun to load an address, in a browser of its own that keeps its files in `folder`."""
    process = await asyncio.create_subprocess_exec(
        chromium(),
        *SWITCHES,
        f"--user-data-dir={folder}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port, path = await _listening(folder / "DevToolsActivePort")
        async with connect(f"ws://127.0.0.1:{port}{path}", proxy=None, max_size=None) as browser:
            target = (await Page(browser).call("Target.createTarget", url="about:blank"))["targetId"]
            page_address = f"ws://127.0.0.1:{port}/devtools/page/{target}"
            async with connect(page_address, proxy=None, max_size=None, max_queue=None) as socket:
                page = Page(socket)
                for domain in ("Runtime", "Log", "Network", "Page"):
                    await page.call(f"{domain}.enable")
                await page.call("Page.navigate", url=address)
                yield page
            with suppress(Exception):  # it closes the connection before it answers
                await Page(browser).call("Browser.close")
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(3):
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _listening(file: Path) -> tuple[int, str]:
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            with suppress(FileNotFoundError):
                lines = file.read_text("utf-8").split()
                if len(lines) == 2:
                    return int(lines[0]), lines[1]
            await asyncio.sleep(0.05)
