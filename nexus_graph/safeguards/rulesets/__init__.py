"""The ruleset that the flags of what is kept were made with, and making them follow a new one.

Flags say what redaction finds in what a row keeps. A new ruleset finds more, or less: then every row is looked at
again, batch by batch, each batch with its place and its entry in one transaction. The journal itself is not rewritten.

    reevaluating    the evaluation, and the steps that the rooms give to it
"""

from nexus_graph.safeguards.rulesets.reevaluating import (
    Changed,
    Kept,
    Standing,
    Step,
    Steps,
    follow,
    reevaluate,
    settle,
    standings,
    step_by_rows,
)

__all__ = [
    "Changed",
    "Kept",
    "Standing",
    "Step",
    "Steps",
    "follow",
    "reevaluate",
    "settle",
    "standings",
    "step_by_rows",
]
