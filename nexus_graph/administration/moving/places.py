"""Whether two installations can be the two ends of a move. What is wrong is said before anything is read or written."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from nexus_graph.api.house import House
from nexus_graph.config import Config
from nexus_graph.scope.canonical import digest
from nexus_graph.scope.errors import ConfigurationError

_PORT: Final = 5432


def rows_at(config: Config) -> str:
    """Where the rows are, without a role or password."""
    place = config.database
    if isinstance(place, Path):
        return str(place.resolve())
    address = urlsplit(place.address)
    return f"postgres {address.hostname}:{address.port or _PORT}{address.path}"


def objects_at(config: Config) -> str:
    """Where the objects are."""
    if config.objects == "s3":
        return f"s3 {config.s3_endpoint or config.s3_region} {config.s3_bucket} {config.s3_prefix}"
    return str(config.objects_folder.resolve())


def name_of(config: Config) -> str:
    """What a journal may call an installation: a digest of where it keeps its rows."""
    return digest([rows_at(config)])[:16]


def require_two_ends(source: Config, target: Config) -> None:
    """Raises ConfigurationError unless a tenant can be moved from the one to the other."""
    wrong = []
    if rows_at(source) == rows_at(target):
        wrong.append("Source and target keep their rows at the same place. Name the settings of another installation.")
    if source.signing_secret.get_secret_value() != target.signing_secret.get_secret_value():
        wrong.append(
            "NEXUS_SIGNING_SECRET differs between source and target: cursors, tickets and the names in the erasure "
            "ledger are made with it. Give the target the source's."
        )
    vectors = (source.weaviate_address, source.weaviate_prefix)
    if source.vectors == target.vectors == "weaviate" and vectors == (target.weaviate_address, target.weaviate_prefix):
        wrong.append("Source and target share a Weaviate server. Give the target another NEXUS_WEAVIATE_PREFIX.")
    if wrong:
        raise ConfigurationError("\n".join(wrong))


def require_same_index(source: House, target: House) -> None:
    """Raises ConfigurationError when the target makes other vectors, so that no pack could be proven there."""
    theirs, ours = source.index.definition_id, target.index.definition_id
    if theirs != ours:
        raise ConfigurationError(
            f"The target's embedder is {ours}, the source's {theirs}. Move with the source's; then run "
            "`nexus-graph reindex` at the target."
        )
