"""Embeds without a model: words and pieces of words, hashed into a fixed number of buckets.

Finds shared words and shared stems, not shared meaning. It needs no extra package and no file, which makes it the
embedder for tests, small machines and a first look. Feature hashing after Weinberger et al., "Feature Hashing for
Large Scale Multitask Learning" (2009): a second hash bit gives the sign, so that collisions cancel on average.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nexus_graph.index.embedding.base import MAX_CHARACTERS, check_texts, embedder_id, estimated_tokens, normalised

_DIMENSIONS: Final = 384
_PIECE: Final = 4  # characters of a piece of a word, its borders included
_PIECE_WEIGHT: Final = 0.5  # a piece says less than a whole word
_SHORT: Final = 200  # characters that take less long than the way to a thread and back holds up others
_WORD: Final = re.compile(r"\w+")


class HashingEmbedder:
    """See the module. Reads a text to its end; gives the same bits in every process and on every machine."""

    def __init__(self) -> None:
        self.provider = "hashing"
        self.id = embedder_id("hashing@v1", _DIMENSIONS)
        self.dimensions = _DIMENSIONS
        self.max_tokens = MAX_CHARACTERS

    def count_tokens(self, text: str) -> int:
        return estimated_tokens(text)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        check_texts(texts)
        if sum(map(len, texts)) <= _SHORT:
            return _embed(texts)
        return await asyncio.to_thread(_embed, texts)

    async def close(self) -> None:
        return None


def _embed(texts: Sequence[str]) -> NDArray[np.float32]:
    rows = np.zeros((len(texts), _DIMENSIONS), dtype=np.float64)
    for row, text in zip(rows, texts, strict=True):
        for feature, count in Counter(_features(text)).items():
            bucket, sign = _place(feature)
            weight = 1.0 if feature.startswith("word:") else _PIECE_WEIGHT
            row[bucket] += sign * weight * math.sqrt(count)  # a root, not a logarithm: the same bits everywhere
    return normalised(rows)


def _features(text: str) -> Iterator[str]:
    """The words of a text and their pieces; case and compatibility forms (such as full-width letters) do not count."""
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        yield f"word:{word}"
        bordered = f"<{word}>"
        for begin in range(len(bordered) - _PIECE + 1):
            yield f"piece:{bordered[begin : begin + _PIECE]}"


@lru_cache(maxsize=65_536)
def _place(feature: str) -> tuple[int, float]:
    """The bucket and the sign of a feature, the same in every process (Python's own hash is not)."""
    number = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "big")
    return (number >> 1) % _DIMENSIONS, 1.0 if number & 1 else -1.0
