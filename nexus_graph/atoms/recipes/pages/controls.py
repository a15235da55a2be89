"""What is shown of a form: values, and whether boxes are ticked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_SILENT: Final = frozenset({"color", "file", "hidden", "image", "password", "range"})
_TICKS: Final = {("checkbox", True): "☑", ("checkbox", False): "☐", ("radio", True): "◉", ("radio", False): "○"}
_NOT_SHOWN: Final = re.compile(
    r"(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))(?![\w-])", re.IGNORECASE
)
_SAID: Final = ("alt", "title", "placeholder", "aria-label")
_TELLING: Final = frozenset({"hidden", "style", *_SAID})


def shown(attributes: Mapping[str, str]) -> str:
    """The text that an `input` shows; "" where it shows none."""
    kind = attributes.get("type", "text").strip().lower()
    if (tick := _TICKS.get((kind, "checked" in attributes))) is not None:
        return f"{tick} "
    return "" if kind in _SILENT else attributes.get("value", "")


def holds_password(attributes: Mapping[str, str]) -> bool:
    """Whether an `input` holds a password, which a reader sees as dots."""
    return attributes.get("type", "").strip().lower() == "password" and bool(attributes.get("value"))


def tells(attributes: Mapping[str, str]) -> bool:
    """Whether attributes may hide an element, or say something."""
    return not _TELLING.isdisjoint(attributes)


def is_hidden(attributes: Mapping[str, str]) -> bool:
    """Whether attributes alone hide an element. What opens at a click (`details`, `popover`) is not hidden."""
    hidden = attributes.get("hidden")
    if hidden is not None and hidden.lower() != "until-found":
        return True
    style = attributes.get("style")
    return bool(style) and _NOT_SHOWN.search(style or "") is not None


def describes_page(attributes: Mapping[str, str]) -> bool:
    """Whether a `meta` says something about the page, and not only to the browser."""
    return "name" in attributes and bool(attributes.get("content")) and attributes["name"].lower() != "viewport"


def says_something(attributes: Mapping[str, str]) -> bool:
    """Whether there is text in attributes, which a reader does not see, or only sees while it points there."""
    return any(attributes.get(name, "").strip() for name in _SAID)
