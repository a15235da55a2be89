"""A folder in which the ecosystem's compilers and linters find our schema, our documents and their settings."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from node_packages import install

SETTINGS = Path(__file__).parent / "compilers"
SCHEMA = Path(__file__).parents[2] / "schema"
SECONDS = 120


def furnish(folder: Path, sdl: str) -> Path:
    """Put the schema, the shipped documents, all settings and the installed packages into a new folder."""
    packages = install(SETTINGS)
    shutil.copytree(SETTINGS, folder, ignore=shutil.ignore_patterns("package*.json", ".npmrc", "node_modules"))
    shutil.copytree(SCHEMA / "operations", folder / "operations")
    (folder / "nexus.graphql").write_text(sdl, "utf-8")
    (folder / "node_modules").symlink_to(packages / "node_modules", target_is_directory=True)
    return folder


def ran(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an installed program, or a script by `node`, in the folder; it may end with any status."""
    found = folder / "node_modules" / ".bin" / program
    return subprocess.run(
        [str(found) if found.exists() else program, *arguments],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "CI": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
