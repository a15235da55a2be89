"""What importing a folder of real files costs beside reading the same bytes with the bare libraries, in one run.

    python tests/bench/importing.py FOLDER     # such as corpus.py makes; prints a row for docs/benchmarks.md

The peer reads one file after the other in one process, with the library that each recipe stands on, and keeps nothing.
The import is `nexus-graph import` as a user runs it, with two workers, but for the start of the interpreter. The two
take turns.
"""

from __future__ import annotations

import asyncio
import csv
import email
import email.policy
import io
import json
import os
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

ROUNDS = 1
PLACE = ("--tenant", "t_bench", "--env", "dev")


def _text(data: bytes) -> None:
    data.decode("utf-8", "replace").split("\n\n")


def _html(data: bytes) -> None:
    from lxml import html  # type: ignore[import-untyped]

    html.fromstring(data or b"<p/>").text_content()


def _xml(data: bytes) -> None:
    from lxml import etree

    b"".join(text.encode() for text in etree.fromstring(data).itertext())


def _markdown(data: bytes) -> None:
    from markdown_it import MarkdownIt

    MarkdownIt("commonmark").enable("table").parse(data.decode("utf-8", "replace"))


def _yaml(data: bytes) -> None:
    import yaml

    [*yaml.parse(data, Loader=yaml.CSafeLoader)]


def _pdf(data: bytes) -> None:
    import pypdfium2

    with pypdfium2.PdfDocument(data) as document:
        for page in document:
            page.get_textpage().get_text_range()


def _parts(data: bytes) -> None:
    """Word, slides, books: the XML parts of a zip archive."""
    from lxml import etree

    with zipfile.ZipFile(io.BytesIO(data)) as package:
        for name in package.namelist():
            if name.endswith((".xml", ".xhtml")):
                b"".join(text.encode() for text in etree.fromstring(package.read(name)).itertext())


def _workbook(data: bytes) -> None:
    from python_calamine import CalamineWorkbook

    workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
    for name in workbook.sheet_names:
        workbook.get_sheet_by_name(name).to_python()


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
    **dict.fromkeys(("docx", "pptx", "epub"), _parts),
    **dict.fromkeys(("xlsx", "xls", "ods"), _workbook),
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


def ours(folder: Path) -> tuple[float, dict[str, int]]:
    """Seconds of an import into a new installation, and how many files came to which end."""
    from nexus_graph.administration.directory import existing
    from nexus_graph.administration.importing import import_paths
    from nexus_graph.app import open_house
    from nexus_graph.config import load

    with tempfile.TemporaryDirectory() as place:
        for command in (["init"], ["tenant", "create", *PLACE[1:]]):
            program = [sys.executable, "-m", "nexus_graph", *command]
            environment = {**os.environ, "NEXUS_EMBEDDER": "hashing"}  # the model's own time is another benchmark's
            subprocess.run(program, cwd=place, env=environment, check=True, capture_output=True)

        async def deed() -> tuple[float, dict[str, int]]:
            async with open_house(
                load({}, Path(place) / "nexus.toml", derive_workers=2, embedder="hashing").config
            ) as house:
                scope = await existing(house.stores, PLACE[1], PLACE[3])
                start = time.perf_counter()
                report = await import_paths(house, scope, [folder], "note", train_ok=True, tick=lambda *_, **__: None)
                return time.perf_counter() - start, dict(Counter(line.fate.value for line in report.lines))

        return asyncio.run(deed())


def main(folder: Path) -> None:
    """Print the figures."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    bare(files[:: max(1, len(files) // 100)])  # the libraries' own imports are not counted
    sides: list[tuple[float, float]] = []
    for number in range(ROUNDS):
        start = time.perf_counter()
        refused = bare(files)
        seconds = time.perf_counter() - start
        imported, fates = ours(folder)
        sides.append((imported, seconds))
        sys.stderr.write(f"round {number + 1} of {ROUNDS}: bare {seconds:.1f} s, import {imported:.1f} s\n")
    sys.stdout.write(f"{len(files)} files: {fates}; the bare libraries refused {dict(refused)}\n")
    sys.stdout.write(f"import / bare libraries in one process: {statistics.median(a / b for a, b in sides):.2f}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
