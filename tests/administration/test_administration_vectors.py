"""The settings of the vector index are one decision: half of it is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_graph import config
from nexus_graph.scope.errors import ConfigurationError

FILE = """\
data = "data"
erasure_ledger = "erasures.jsonl"
development_key = "key.json"
signing_secret = "a signing secret for tests only, 32+"
"""
BOTH = {"weaviate_address": "http://127.0.0.1:8080", "weaviate_grpc_address": "https://weaviate.internal:50051"}
BUCKET = {"objects": "s3", "s3_bucket": "objects", "s3_region": "eu-central-1"}


def loaded(folder: Path, **environment: str) -> config.Loaded:
    """The settings of a small file and an environment."""
    file = folder / "nexus.toml"
    file.write_text(FILE)
    return config.load({f"NEXUS_{name.upper()}": value for name, value in environment.items()}, file)


def test_weaviate_is_chosen_with_both_addresses(tmp_path: Path) -> None:
    """The key is never shown."""
    found = loaded(tmp_path, vectors="weaviate", weaviate_key="secret", **BOTH)
    assert found.config.vectors == "weaviate"
    assert {each.name: each.value for each in found.settings}["NEXUS_WEAVIATE_KEY"] == "********"
    assert loaded(tmp_path).config.vectors == "local"


def test_unused_tenants_are_offloaded_where_there_is_a_bucket(tmp_path: Path) -> None:
    """On the object server of the objects, after thirty days."""
    found = loaded(tmp_path, vectors="weaviate", weaviate_offload_bucket="resting", **BOTH, **BUCKET).config
    assert (found.weaviate_offload_bucket, found.weaviate_offload_days) == ("resting", 30)
    assert loaded(tmp_path, vectors="weaviate", **BOTH).config.weaviate_offload_bucket is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"vectors": "weaviate"},
            "NEXUS_VECTORS is weaviate, and NEXUS_WEAVIATE_ADDRESS, NEXUS_WEAVIATE_GRPC_ADDRESS is missing",
        ),
        ({"vectors": "weaviate", "weaviate_address": "http://a:1"}, "NEXUS_WEAVIATE_GRPC_ADDRESS is missing"),
        (BOTH, "NEXUS_VECTORS is local, and an address of Weaviate is set"),
        ({"vectors": "faiss"}, "NEXUS_VECTORS is wrong"),
        ({"vectors": "weaviate", **BOTH, "weaviate_address": "weaviate:8080"}, "NEXUS_WEAVIATE_ADDRESS is wrong"),
        ({"vectors": "weaviate", **BOTH, "weaviate_address": "http://key@a:1"}, "NEXUS_WEAVIATE_ADDRESS is wrong"),
        ({"vectors": "weaviate", **BOTH, "weaviate_prefix": "../x"}, "NEXUS_WEAVIATE_PREFIX is wrong"),
        (
            {"vectors": "weaviate", **BOTH, "weaviate_grpc_address": "https://127.0.0.1:8080"},
            "NEXUS_WEAVIATE_ADDRESS and NEXUS_WEAVIATE_GRPC_ADDRESS are one place",
        ),
        ({"vectors_rows": "-1"}, "NEXUS_VECTORS_ROWS is wrong"),
        ({"weaviate_offload_bucket": "resting"}, "NEXUS_VECTORS is local, and NEXUS_WEAVIATE_OFFLOAD_BUCKET is set"),
        (
            {"vectors": "weaviate", **BOTH, "weaviate_offload_bucket": "resting"},
            "NEXUS_WEAVIATE_OFFLOAD_BUCKET is set, and NEXUS_OBJECTS, which says how to reach it, is not s3",
        ),
        (
            {"vectors": "weaviate", **BOTH, "weaviate_offload_days": "9"},
            "NEXUS_WEAVIATE_OFFLOAD_DAYS is set, and NEXUS_WEAVIATE_OFFLOAD_BUCKET, the place to go, is missing",
        ),
        (
            {"vectors": "weaviate", **BOTH, **BUCKET, "weaviate_offload_bucket": "objects"},
            "NEXUS_WEAVIATE_OFFLOAD_BUCKET must be another bucket than NEXUS_S3_BUCKET",
        ),
        (
            {
                "vectors": "weaviate",
                **BOTH,
                **BUCKET,
                "erasure_ledger": "s3://ledger/a",
                "weaviate_offload_bucket": "ledger",
            },
            "NEXUS_WEAVIATE_OFFLOAD_BUCKET must be another bucket than NEXUS_ERASURE_LEDGER",
        ),
        ({"vectors": "weaviate", **BOTH, **BUCKET, "weaviate_offload_bucket": "a/b"}, "OFFLOAD_BUCKET is wrong"),
    ],
)
def test_half_a_decision_is_refused(tmp_path: Path, given: dict[str, str], said: str) -> None:
    """What is missing, or can't be meant, is named."""
    with pytest.raises(ConfigurationError, match=said):
        loaded(tmp_path, **given)
