"""What importing a folder of real files costs beside reading the same bytes with the bare libraries, in one run.

    python tests/bench/importing.py FOLDER     # such as corpus.py makes; prints what docs/benchmarks.md tells

The peer reads one file after the other in one process, asks the library that each recipe stands on for what the recipe
asks of it, and keeps nothing. The import is `nexus-graph import` as a user runs it, with two workers, but for the start
of the interpreter. The two take turns.
"""

from __future__ import annotations

import asyncio
import csv
import email
import email.policy
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROUNDS = 3
PLACE = ("--tenant", "t_bench", "--env", "dev")


class Cost(NamedTuple):
    """Seconds on the clock, and of the processors: our own and those of finished children."""

    seconds: float
    own: float
    children: float

    @classmethod
    def now(cls) -> Cost:
        own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return cls(time.perf_counter(), own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime)

    def since(self, start: Cost) -> Cost:
        return Cost(*(after - before for after, before in zip(self, start, strict=True)))


def _text(data: bytes) -> None:
    data.decode("utf-8", "replace").split("\n\n")


def _html(data: bytes) -> None:
    import turbohtml

    pending = [turbohtml.parse(data.decode("utf-8", "replace"))]
    texts: list[str] = []
    while pending:
        node = pending.pop()
        pending += getattr(node, "children", ())
        if isinstance(node, turbohtml.Text):
            texts.append(node.data)


def _xml(data: bytes) -> None:
    from lxml import etree  # type: ignore[import-untyped]

    b"".join(text.encode() for text in etree.fromstring(data).itertext())


def _markdown(data: bytes) -> None:
    from markdown_it import MarkdownIt

    blocks = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])  # a recipe asks for no more
    blocks.parse(data.decode("utf-8", "replace"))


def _yaml(data: bytes) -> None:
    import yaml

    [*yaml.parse(data, Loader=yaml.CSafeLoader)]


def _pdf(data: bytes) -> None:
    import pypdfium2

    with pypdfium2.PdfDocument(data) as document:
        for page in document:
            page.get_textpage().get_text_range()


def _parts(data: bytes) -> None:
    """Word, slides, books, workbooks: the XML parts of a zip archive."""
    from lxml import etree

    with zipfile.ZipFile(io.BytesIO(data)) as package:
        for name in package.namelist():
            if name.endswith((".xml", ".xhtml")):
                b"".join(text.encode() for text in etree.fromstring(package.read(name)).itertext())


def _old_workbook(data: bytes) -> None:
    import xlrd

    with xlrd.open_workbook(file_contents=data, logfile=io.StringIO()) as workbook:
        for sheet in workbook.sheets():
            [sheet.row_values(row) for row in range(sheet.nrows)]


READERS: dict[str, Callable[[bytes], object]] = {
    "html": _html,
    "xml": _xml,
    "md": _markdown,
    "yaml": _yaml,
    "toml": lambda data: tomllib.loads(data.decode()),
    "json": json.loads,
    "csv": lambda data: [*csv.reader(io.StringIO(data.decode("utf-8", "replace")))],
    "pdf": _pdf,
    "eml": lambda data: [part.get_payload(decode=True) for part in _mail(data).walk() if not part.is_multipart()],
    **dict.fromkeys(("docx", "pptx", "epub", "xlsx", "ods"), _parts),
    "xls": _old_workbook,
}


def _mail(data: bytes) -> email.message.Message:
    return email.message_from_bytes(data, policy=email.policy.default)


def bare(files: list[Path]) -> Counter[str]:
    """Read every file; how many the bare library refused, by extension."""
    refused: Counter[str] = Counter()
    for path in files:
        extension = path.suffix.removeprefix(".")
        try:
            READERS.get(extension, _text)(path.read_bytes())
        except Exception:
            refused[extension] += 1
    return refused


def ours(folder: Path) -> tuple[Cost, dict[str, int]]:
    """What an import into a new installation costs, and how many files came to which end."""
    from nexus_graph.administration.directory import existing
    from nexus_graph.administration.importing import import_paths
    from nexus_graph.app import open_house
    from nexus_graph.config import load

    with tempfile.TemporaryDirectory() as place:
        for command in (["init"], ["tenant", "create", *PLACE[1:]]):
            program = [sys.executable, "-m", "nexus_graph", *command]
            environment = {**os.environ, "NEXUS_EMBEDDER": "hashing"}  # the model's own time is another benchmark's
            subprocess.run(program, cwd=place, env=environment, check=True, capture_output=True)

        async def deed() -> tuple[Cost, float, dict[str, int]]:
            config = load({}, Path(place) / "nexus.toml", derive_workers=2, embedder="hashing").config
            async with open_house(config) as house:
                scope = await existing(house.stores, PLACE[1], PLACE[3])
                start = Cost.now()
                report = await import_paths(house, scope, [folder], "note", train_ok=True, tick=lambda *_, **__: None)
                return Cost.now().since(start), start.children, dict(Counter(line.fate.value for line in report.lines))

        cost, before, fates = asyncio.run(deed())
        return cost._replace(children=Cost.now().children - before), fates  # the workers are over by now


def main(folder: Path) -> None:
    """Print the figures."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    size = sum(path.stat().st_size for path in files)
    bare(files[:: max(1, len(files) // 100)])  # the libraries' own imports are not counted
    sides: list[tuple[Cost, Cost]] = []
    for number in range(ROUNDS):
        start = Cost.now()
        refused = bare(files)
        peer = Cost.now().since(start)
        imported, fates = ours(folder)
        sides.append((imported, peer))
        sys.stderr.write(
            f"round {number + 1} of {ROUNDS}: bare {peer.seconds:.1f} s (processor {peer.own:.1f} s), "
            f"import {imported.seconds:.1f} s (processor {imported.own:.1f} s, workers {imported.children:.1f} s)\n"
        )
    ours_, theirs = ([*map(statistics.median, zip(*side, strict=True))] for side in zip(*sides, strict=True))
    sys.stdout.write(
        f"{len(files)} files, {size:,} bytes; lines: {fates}; the bare libraries refused {dict(refused)}\n"
    )
    for what, (seconds, own, workers) in (("import", ours_), ("bare", theirs)):
        sys.stdout.write(
            f"{what}: {seconds:.1f} s, {len(files) / seconds:.0f} files/s, "
            f"processor {own + workers:.1f} s of which workers {workers:.1f} s\n"
        )
    ratio = statistics.median(imported.seconds / peer.seconds for imported, peer in sides)
    sys.stdout.write(f"import / bare libraries in one process: {ratio:.2f}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
