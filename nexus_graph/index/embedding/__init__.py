"""Embedders: texts come in, vectors of unit length go out; no text is ever written, stored or logged here.

`onnx` runs a model on this machine, `openai` asks a server, `hashing` needs nothing. `load_embedder` chooses, and
imports what was chosen alone.
"""

from __future__ import annotations

from pathlib import Path

from nexus_graph.index.embedding.base import Embedder
from nexus_graph.index.embedding.hashing import HashingEmbedder
from nexus_graph.scope.errors import ConfigurationError

__all__ = ["EMBEDDERS", "Embedder", "HashingEmbedder", "load_embedder"]

EMBEDDERS = ("onnx", "hashing", "openai")
"""The values of NEXUS_EMBEDDER."""


def load_embedder(
    name: str,
    *,
    model_directory: Path | None = None,
    address: str | None = None,
    model: str | None = None,
    key: str | None = None,
    dimensions: int | None = None,
) -> Embedder:
    """The embedder that the settings name: `onnx` reads `model_directory`, `openai` the four settings after it.

    Raises ConfigurationError for an unknown name, and when a setting or a model is missing: all at once, each by the
    name of its environment variable.
    """
    if name == "hashing":
        return HashingEmbedder()
    if name == "onnx":
        from nexus_graph.index.embedding.onnx import OnnxEmbedder

        return OnnxEmbedder(model_directory)
    if name != "openai":
        raise ConfigurationError(f"NEXUS_EMBEDDER is {name!r}; known embedders: {', '.join(EMBEDDERS)}.")
    if address and model and key and dimensions is not None:
        from nexus_graph.index.embedding.openai import OpenAIEmbedder

        return OpenAIEmbedder(address=address, model=model, key=key, dimensions=dimensions)
    settings = {
        "NEXUS_EMBEDDER_ADDRESS": address,
        "NEXUS_EMBEDDER_OPENAI_MODEL": model,
        "NEXUS_EMBEDDER_KEY": key,
        "NEXUS_EMBEDDER_DIMENSIONS": dimensions,
    }
    missing = ", ".join(setting for setting, value in settings.items() if value in (None, ""))
    raise ConfigurationError(f"NEXUS_EMBEDDER=openai also needs: {missing}.")
