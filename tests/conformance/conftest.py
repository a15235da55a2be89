"""Conformance tests tell figures, from which docs/conformance.md is rendered:

pytest tests/conformance --conformance docs/conformance.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conformance_fuzzing import GENEROUS, Fuzzed
from conformance_table import FIGURE, POINTS, Figure, Table
from journey_house import Furnished, serving

TABLE = pytest.StashKey[Table]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of this folder."""
    group = parser.getgroup("conformance")
    group.addoption("--conformance", metavar="PAGE", help="Render the page of all figures, unless a test fails.")
    group.addoption(
        "--fuzz-seconds", type=float, default=0, metavar="SECONDS", help="Fuzz with fresh input for about so long."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Gather the figures, in the process that hears of all tests. A page and long fuzzing need the long ones, too."""
    if config.getoption("--conformance", None) or config.getoption("--fuzz-seconds", 0):
        config.option.markexpr = ""
    if config.getoption("--conformance", None) and not hasattr(config, "workerinput"):
        config.stash[TABLE] = Table()
        config.pluginmanager.register(config.stash[TABLE])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the page, or say why not."""
    table = config.stash.get(TABLE, None)
    if table is None:
        return
    page = Path(config.getoption("--conformance"))
    if table.failed or not table.passed:
        failed = ", ".join(sorted(table.failed)) or "no test ran"
        terminalreporter.write_line(f"{page} is not written: {failed}", red=True)
        return
    page.write_text(table.rendered(), "utf-8")
    terminalreporter.write_line(f"{page} is written.", green=True)


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Tells one line of docs/conformance.md: `figure(1, "audits passed", "61 of 61")`.

    The point is its number there, 1 to 10; the figure is what this test saw.
    """

    def tell(point: int, what: str, value: str | int) -> None:
        if point not in POINTS:
            raise ValueError(f"There is no point {point}; there are 1 to {max(POINTS)}.")
        record_property(FIGURE, (point, what, f"{value:,}" if isinstance(value, int) else value))

    return tell


@pytest.fixture(scope="session")
def fuzzed(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, furnished: Furnished
) -> Iterator[Fuzzed]:
    """A server for hostile input, which throttles nobody."""
    with serving(furnished, tmp_path_factory.mktemp("fuzzed") / "world", **GENEROUS) as world:
        yield Fuzzed(world, pytestconfig.getoption("--fuzz-seconds", 0.0))
