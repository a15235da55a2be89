"""Training exports: what may leave, redacted, with a manifest of what may not.

In: a request, and whatever consent allows at that moment.
Out: JSON Lines and a manifest in object storage, the same bytes for the same state, at presigned addresses.
Never: a record without consent, or personal data that redaction would have replaced.
"""

from nexus_graph.exports.model import Exclusion, Export, ExportKind, ExportRules, ExportState, Part, Reason
from nexus_graph.exports.reading import download_manifest, download_part, excluded, fetch, list_exports, parts
from nexus_graph.exports.starting import start
from nexus_graph.exports.writing import FOLLOWER, follower

__all__ = [
    "FOLLOWER",
    "Exclusion",
    "Export",
    "ExportKind",
    "ExportRules",
    "ExportState",
    "Part",
    "Reason",
    "download_manifest",
    "download_part",
    "excluded",
    "fetch",
    "follower",
    "list_exports",
    "parts",
    "start",
]
