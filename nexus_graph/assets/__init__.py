"""1 RAW: bytes in object storage, by reservation, upload and seal.

In: a declaration of a file (its size and SHA-256 among it), then the bytes, straight into the object store. Out: a
sealed `Asset`, metadata that never changes again, and presigned addresses to its bytes. Sealing tells the journal, and
the atoms follow from there. What was found inside an asset is an asset of its own, and a part of it.

Never: content in the database, in an event or in a log; a look into the file; a comparison across scopes; a seal on the
caller's word. Empty files are refused: they hold nothing to keep.
"""

from nexus_graph.assets.checking import check, held
from nexus_graph.assets.keeping import AtHand, Kept, keep, keep_all
from nexus_graph.assets.labelling import label
from nexus_graph.assets.model import (
    Asset,
    AssetFilter,
    AssetRules,
    AssetState,
    Reservation,
    Reserved,
    safe_filename,
)
from nexus_graph.assets.parts import DEEPEST, AssetPart, PartOf, count_parts, depth, part_of, parts
from nexus_graph.assets.reading import download, fetch, list_assets
from nexus_graph.assets.reserving import reserve
from nexus_graph.assets.sealing import seal
from nexus_graph.assets.sweeping import sweep, sweep_expired, sweep_forever, sweep_orphans

__all__ = [
    "DEEPEST",
    "Asset",
    "AssetFilter",
    "AssetPart",
    "AssetRules",
    "AssetState",
    "AtHand",
    "Kept",
    "PartOf",
    "Reservation",
    "Reserved",
    "check",
    "count_parts",
    "depth",
    "download",
    "fetch",
    "held",
    "keep",
    "keep_all",
    "label",
    "list_assets",
    "part_of",
    "parts",
    "reserve",
    "safe_filename",
    "seal",
    "sweep",
    "sweep_expired",
    "sweep_forever",
    "sweep_orphans",
]
