"""What each forked program would do anew at its start, done once before: it is the same for all of them."""

from __future__ import annotations

import gc

import shipped  # noqa: F401 - the manifests and the policy

from nexus_graph.api import schema
from nexus_graph.stores.migrations import upgrading  # noqa: F401 - and what migrates
from nexus_graph.stores.tables import schema_of_record

schema.built()
schema_of_record()
gc.freeze()  # no program looks for garbage among what it was forked with
