"""A command goes on in a network and with mounts of its own, where it may cut wires and make small disks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

_INSIDE = "NEXUS_FAULTS_INSIDE"


def enclose(module: str, arguments: list[str]) -> int | None:
    """Run a module in namespaces of its own; its exit status, or None where we are inside already.

    Needs `unshare` of util-linux and a kernel that lets us: as root, or as a user who may have namespaces.
    """
    if os.environ.get(_INSIDE):
        run("ip", "link", "set", "lo", "up")
        return None
    ours = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    command = ["unshare", *ours, "--net", "--mount", sys.executable, "-m", module, *arguments]
    return subprocess.run(command, check=False, env={**os.environ, _INSIDE: "yes"}).returncode


def missing(*programs: str) -> list[str]:
    """Which of these programs are not on this machine."""
    return [name for name in ("unshare", "ip", *programs) if shutil.which(name) is None]


def run(*command: str) -> None:
    """Run a command. Fails with what it said."""
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if ended.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {ended.stderr.strip()}")
