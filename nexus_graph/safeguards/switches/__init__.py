"""The kill switch: halts everything in one tenant and env, one action, or one outside provider.

In: who halts what and why; later a release, under a Strategy Lock. Out: what is halted at this moment, since when, why.
Never: a halt that waits for anything, a release without a second person, another tenant that feels either.

`halting` is the gate that verbs, the door, live streams and followers ask; `listing` tells what was ever engaged.
The two deeds stand in `engaging` and `releasing`: they pass the chain, in which this gate stands, so they are imported
from there.
"""

from nexus_graph.safeguards.switches.halting import engaged, halts, present, refusal, require
from nexus_graph.safeguards.switches.listing import list_switches
from nexus_graph.safeguards.switches.model import OBJECTS, UNSTOPPABLE, Known, Switch, Target, refused_by

__all__ = [
    "OBJECTS",
    "UNSTOPPABLE",
    "Known",
    "Switch",
    "Target",
    "engaged",
    "halts",
    "list_switches",
    "present",
    "refusal",
    "refused_by",
    "require",
]
