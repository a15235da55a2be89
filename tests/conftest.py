"""How the tests are run: on which engine, with what marks. `shared_fixtures` holds what every test starts from."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator

import pytest

# A run has hundreds of processes: what they import is compiled once, whatever the environment says.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

ENGINES = ("embedded", "postgres", "production")
"""As `engines` makes them."""

SERVERS = {"postgres", "between processes", "on_postgres", "s3", "s3-versioned", "s3_server", "weaviate"}
"""Fixtures and parameters that stand for real servers."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--engine` runs the same tests on real servers; `--proof-seconds 60` lets a proof take long."""
    parser.addoption("--engine", choices=ENGINES, default=ENGINES[0], help="What the tests keep everything on.")
    parser.addoption("--proof-seconds", type=int, default=0, help="How long isolation is tried on the real servers.")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Bring the fixtures, unless other processes run the tests: whoever hands them out would import all for nothing."""
    if not session.config.pluginmanager.has_plugin("dsession"):
        session.config.pluginmanager.import_plugin("shared_fixtures")


@pytest.hookimpl(tryfirst=True)  # before those that are not wanted are left out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs a server: by a fixture that starts one, or by a parameter that names one.

    With `--engine`, what has nothing to do with the engine is left out: it would be the same test again.
    """
    if config.getoption("engine") != ENGINES[0]:
        alike = [item for item in items if "engine" not in getattr(item, "fixturenames", ())]
        items[:] = [item for item in items if "engine" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=alike)
        return
    for item in items:
        parameters = getattr(item, "callspec", None)
        named = {value for value in parameters.params.values() if isinstance(value, str)} if parameters else set()
        if SERVERS & {*getattr(item, "fixturenames", ()), *named}:
            item.add_marker(pytest.mark.servers)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while all modules are imported, and not among them afterwards: there is none.

    Afterwards look for it less often than a program does that serves for ever.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(20_000)
        gc.enable()
