"""What a page holds and a recipe does not read, and how that is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nexus_graph.atoms.model import Omission

LEAVES_OUT: Final[Mapping[str, Omission]] = {
    "hidden": Omission("hidden text ({place})", intended=True),
    "noscript": Omission("what is shown where no scripts run ({place})", intended=True),
    "template": Omission("a template for scripts ({place})", intended=True),
    "script": Omission("a script ({place})", intended=True),
    "style": Omission("a style sheet ({place})", intended=True),
    "comment": Omission("a comment ({place})", intended=True),
    "metadata": Omission("metadata of the page ({place})", intended=True),
    "attribute": Omission("an alternative text, tooltip or placeholder ({place})", intended=True),
    "picture": Omission("a picture without alternative text ({place})", intended=True),
    "embedded": Omission("what is embedded from another file ({place})", intended=True),
    "option": Omission("the options of a list that are not chosen ({place})", intended=True),
    "password": Omission("a password in a form ({place})", intended=True),
    "frame": Omission("the page inside a frame ({place})"),
    "cut off": Omission("all that follows a tag, comment or script without an end ({place})"),
}
