"""How commands speak: tables and progress on a terminal, plain lines in a pipe, one JSON document with `--json`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

import orjson
import typer
from rich.console import Console

from nexus_graph import config, logs
from nexus_graph.config import Loaded
from nexus_graph.scope.errors import ConfigurationError, NexusError
from nexus_graph.scope.scope import Scope, Surface, env, tenant

if TYPE_CHECKING:
    from rich.progress import Progress

Result = TypeVar("Result")

REFUSED, MISUSED = 1, 2
OPERATOR = "command_line"

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Ticker(Protocol):
    """Tells progress."""

    def __call__(self, text: str, *, total: int | None = None, advance: int = 1) -> None:
        """Say what is being done now, and how much of how much is done."""


def say(text: str = "") -> None:
    """A line for people."""
    out.print(text, markup=False)


def document(value: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal, tab-separated lines in a pipe."""
    if not out.is_terminal:
        for row in rows:
            sys.stdout.write("\t".join(row) + "\n")
        return
    from rich.table import Table

    shown = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        shown.add_row(*row)
    out.print(shown)


def fail(message: str, *, hint: str | None = None, status: int = REFUSED) -> NoReturn:
    """Say what was wrong and end with a status."""
    err.print(f"nexus-graph: {message}", markup=False)
    if hint:
        err.print(f"  {hint}", markup=False)
    raise typer.Exit(status)


@contextmanager
def progress() -> Iterator[Ticker]:
    """A bar on a terminal; in a pipe a line on standard error whenever another tenth is done."""
    if err.is_terminal:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=err, transient=True) as bar:
            yield _Bar(bar)
        return
    yield _Lines()


class _Bar:
    def __init__(self, bar: Progress) -> None:
        self._bar, self._task, self._text = bar, bar.add_task("", total=None), ""

    def __call__(self, text: str, *, total: int | None = None, advance: int = 1) -> None:
        if text != self._text:
            self._text = text
            self._bar.reset(self._task, total=total, description=text)
        self._bar.update(self._task, total=total, advance=advance)


class _Lines:
    def __init__(self) -> None:
        self._text, self._done, self._tenth = "", 0, 0

    def __call__(self, text: str, *, total: int | None = None, advance: int = 1) -> None:
        if text != self._text:
            self._text, self._done, self._tenth = text, 0, 0
        self._done += advance
        tenth = 10 * self._done // total if total else 0
        if total and tenth > self._tenth:
            self._tenth = tenth
            err.print(f"{text}: {self._done} of {total}", markup=False)


def settings(**given: Any) -> Loaded:
    """The configuration, with logging set up; ends the command when it is incomplete."""
    try:
        loaded = config.load(**given)
    except ConfigurationError as error:
        fail(str(error), status=MISUSED)
    logs.configure(loaded.config.log_level)
    return loaded


def run(
    deed: Coroutine[Any, Any, Result], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> Result:
    """Run a command's deed, in an event loop of that kind; errors become one line and a status."""
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(deed)
    except ConfigurationError as error:
        fail(str(error), status=MISUSED)
    except NexusError as error:
        fail(str(error), hint=error.hint)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def operator(tenant_id: str, env_name: str) -> Scope:
    """The scope of an operator's command in one tenant and env."""
    return Scope.system(tenant(tenant_id), env(env_name), OPERATOR, surface=Surface.COMMAND_LINE)


def plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """A value as JSON can say it."""
    return {
        name: item if isinstance(item, (int, float, bool, type(None))) else str(item) for name, item in value.items()
    }
