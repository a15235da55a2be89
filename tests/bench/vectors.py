"""Exact search among 100,000 vectors, by what this program keeps in memory, beside faiss over the vectors themselves.

    python tests/bench/vectors.py

Both use one thread and take turns; figures are processor time, medians. Ours names the candidates, reads their vectors
from the rows of an SQLite database and scores them: what a search does between the question's vector and the order of
the cards. faiss-cpu is installed into a folder of the run's own.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from row import Row, table  # noqa: E402

from nexus_graph.stores.vectors.base import Change, Key  # noqa: E402
from nexus_graph.stores.vectors.local import LocalView, changed  # noqa: E402
from nexus_graph.stores.vectors.scoring import score  # noqa: E402

COUNT, DIMENSIONS, K, ROUNDS = 100_000, 384, 10, 60
PIECE = 1024
FAISS = "faiss-cpu==1.15.1"

Vectors = NDArray[np.float32]


def unit(rows: NDArray[np.floating]) -> Vectors:
    made: Vectors = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return made


def made(kind: str) -> tuple[Vectors, Vectors]:
    """Rows and questions: all at random, or around a hundred centres."""
    random = np.random.default_rng(1)
    rows, queries = random.standard_normal((COUNT, DIMENSIONS)), random.standard_normal((ROUNDS, DIMENSIONS))
    if kind == "random":
        return unit(rows), unit(queries)
    centres = unit(random.standard_normal((100, DIMENSIONS)))
    near = unit(unit(centres[random.integers(100, size=COUNT)]) + 0.5 * unit(rows))
    return near, unit(near[random.integers(COUNT, size=ROUNDS)] + 0.3 * unit(queries))


def loaded(rows: Vectors) -> tuple[LocalView, list[Key]]:
    """A view of the rows, a card of one chunk each, as they are read from a database."""
    keys = [(f"card_{number:032x}", 0) for number in range(COUNT)]
    view = LocalView.empty(DIMENSIONS)
    for start in range(0, COUNT, PIECE):
        here = slice(start, start + PIECE)
        view = changed(view, Change(1, (), keys[here], rows[here]))
    return view, keys


def kept(rows: Vectors, keys: list[Key]) -> sqlite3.Connection:
    """The rows in a database."""
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.execute("create table vectors (card_id text, ordinal int, vector blob, primary key (card_id, ordinal))")
    database.executemany(
        "insert into vectors values (?, ?, ?)",
        ((card_id, ordinal, row.tobytes()) for (card_id, ordinal), row in zip(keys, rows, strict=True)),
    )
    return database


async def found(view: LocalView, database: sqlite3.Connection, query: Vectors) -> tuple[list[Key], int]:
    """The best, in order, and how many candidates there were."""
    nomination = await view.nominate(query, K)
    marks = ", ".join("?" * len(nomination.keys))
    sql = f"select card_id, ordinal, vector from vectors where card_id in ({marks})"  # noqa: S608 - marks alone
    rows = database.execute(sql, [card_id for card_id, _ in nomination.keys]).fetchall()
    matrix = np.frombuffer(b"".join(row[2] for row in rows), dtype="<f4").reshape(len(rows), DIMENSIONS)
    order = sorted(zip((-score(matrix, query)).tolist(), [(row[0], row[1]) for row in rows], strict=True))
    return [key for _, key in order[:K]], len(rows)


def with_faiss() -> Any:
    """The library, from a folder of its own."""
    folder = tempfile.mkdtemp(prefix="nexus-bench-faiss-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--target", folder, FAISS], check=True)
    sys.path.append(folder)
    faiss = importlib.import_module("faiss")
    faiss.omp_set_num_threads(1)
    return faiss


async def measure() -> list[Row]:
    """Rows 12 and 12b of the table of targets."""
    try:
        faiss = with_faiss()
    except (subprocess.CalledProcessError, ImportError) as error:
        faiss = None
        reason = str(error)
    rows: list[Row] = []
    size = 0.0
    for kind in ("random", "clustered"):
        vectors, queries = made(kind)
        view, keys = loaded(vectors)
        size = view.size / vectors.size
        if faiss is None:
            rows.append(Row("12", f"exact top 10 of 100,000, {kind}", None, 0.5, reason, FAISS))
            continue
        database, flat = kept(vectors, keys), faiss.IndexFlatIP(DIMENSIONS)
        flat.add(vectors)
        ours, theirs, candidates, answers = [], [], [], []
        for query in queries:
            began = time.process_time()
            best, count = await found(view, database, query)
            ours.append((time.process_time() - began) * 1000)
            candidates.append(count)
            answers.append(best)
            began = time.process_time()
            flat.search(query[None], K)
            theirs.append((time.process_time() - began) * 1000)
        for query, best in zip(queries, answers, strict=True):
            order = np.argsort(-score(vectors, query), kind="stable")  # equal ones by their keys, which rise
            assert best == [keys[number] for number in order[:K].tolist()]
        database.close()
        mine, other = statistics.median(ours), statistics.median(theirs)
        ratio = statistics.median(one / two for one, two in zip(ours, theirs, strict=True))
        told = f"{mine:.2f} ms, {statistics.median(candidates):.0f} candidates (at most {max(candidates)})"
        rows.append(Row("12", f"exact top 10 of 100,000, {kind}", ratio, 0.5, told, f"faiss flat: {other:.2f} ms"))
    rows.append(Row("12b", "memory of a number", size, 1.3, "with names, scales and all else", "float32: 4 bytes"))
    return rows


def main() -> None:
    sys.stdout.write(table(asyncio.run(measure())))


if __name__ == "__main__":
    main()
