"""Where the shipped data lies: `core/`, `policies/`, `casbin_model.conf` and `schema/`.

In a wheel they travel inside the package, in a checkout they stand beside it.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_ROOT = _PACKAGE / "_shipped" if (_PACKAGE / "_shipped").is_dir() else _PACKAGE.parent


def resource(name: str) -> Path:
    """The path of a shipped file or folder. Raises FileNotFoundError when the installation is incomplete."""
    path = _ROOT / name
    if not path.exists():
        raise FileNotFoundError(f"The installation is incomplete: {name} is missing. Install nexus-graph again.")
    return path
