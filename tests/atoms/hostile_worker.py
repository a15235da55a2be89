"""A worker program with recipes that misbehave; only the tests of the sandbox start it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from nexus_graph.atoms.model import Draft, Params, Recipe, Span
from nexus_graph.atoms.recipes import RECIPES
from nexus_graph.atoms.worker import main


def _loop(data: bytes, params: Params) -> Iterator[Draft]:
    while True:
        pass
    yield


def _sleep(data: bytes, params: Params) -> Iterator[Draft]:
    time.sleep(3600)
    yield _draft(0, "never")


def _devour(data: bytes, params: Params) -> Iterator[Draft]:
    kept = []
    while True:
        kept.append(bytearray(2**20))
    yield


def _crash(data: bytes, params: Params) -> Iterator[Draft]:
    os.kill(os.getpid(), signal.SIGSEGV)
    yield _draft(0, "never")


def _fail(data: bytes, params: Params) -> Iterator[Draft]:
    yield _draft(0, "half")
    raise KeyError(data.decode())


def _recurse(data: bytes, params: Params) -> Iterator[Draft]:
    yield from _recurse(data, params)


def _print(data: bytes, params: Params) -> Iterator[Draft]:
    os.write(1, b"noise of a library")
    yield _draft(0, "quiet")


def _many(data: bytes, params: Params) -> Iterator[Draft]:
    yield from (_draft(number, "x") for number in range(10**12))


def _write(data: bytes, params: Params) -> Iterator[Draft]:
    with open(data, "wb") as file:  # noqa: PTH123
        file.write(b"x")
    yield _draft(0, "written")


def _environment(data: bytes, params: Params) -> Iterator[Draft]:
    yield _draft(0, " ".join(sorted(os.environ)))
    yield _draft(1, str(os.getpid()))


def _draft(ordinal: int, text: str) -> Draft:
    return Draft(ordinal, Span(ordinal, ordinal + 1), text, "paragraph")


def _recipes() -> Iterator[Recipe]:
    for derive in (_loop, _sleep, _devour, _crash, _fail, _recurse, _print, _many, _write, _environment):
        name = f"hostile.{derive.__name__.lstrip('_')}"
        yield Recipe(name, "1", "a trap", "Misbehaves.", frozenset(), {}, derive)


if __name__ == "__main__":
    main({**RECIPES, **{recipe.op: recipe for recipe in _recipes()}})
