"""The files of docs/deploy/ as the tests read them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
CONTAINERFILE = DEPLOY / "Containerfile"
IDENTITY = "10001"


def documents(name: str) -> list[Any]:
    """The YAML documents of a file."""
    return [*yaml.safe_load_all((DEPLOY / name).read_text("utf-8"))]


def compose() -> Any:
    """The compose file, with anchors and merges followed."""
    [found] = documents("compose.yaml")
    return found


def example() -> dict[str, str]:
    """The variables of env.example; those that are to be filled in are."""
    found = {}
    for line in (DEPLOY / "env.example").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found[name] = shlex.split(value)[0] if value else f"a-secret-of-the-tests-{name.lower()}-{'x' * 32}"
    return found


def filled_in(values: dict[str, str]) -> dict[str, str]:
    """The environment of a service, with `${NAME:?...}` replaced as compose does it."""
    given = example()
    return {
        name: re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: given[found[1]], value) for name, value in values.items()
    }


def manifests() -> list[Any]:
    """Every Kubernetes object."""
    return [each for path in sorted(DEPLOY.glob("kubernetes/*.yaml")) for each in documents(f"kubernetes/{path.name}")]


def manifest(kind: str) -> Any:
    """The one object of a kind."""
    [found] = [each for each in manifests() if each["kind"] == kind]
    return found


def pods() -> dict[str, Any]:
    """The specifications of the pods, by the kind of what makes them."""
    found = {}
    for kind in ("Job", "Deployment", "CronJob"):
        spec = manifest(kind)["spec"]
        found[kind] = (spec["jobTemplate"]["spec"] if kind == "CronJob" else spec)["template"]["spec"]
    return found


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Containerfile, in order: what it is, and its arguments in one line."""
    text = re.sub(r"^#.*\n", "", CONTAINERFILE.read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(word, " ".join(rest.split())) for word, rest in lines]


def instruction(name: str) -> str:
    """The arguments of the only instruction of a name."""
    [found] = [rest for word, rest in instructions() if word == name]
    return found


def unit(name: str) -> dict[str, str]:
    """The settings of a systemd unit; none of them stands twice."""
    lines = (DEPLOY / "systemd" / name).read_text("utf-8").splitlines()
    pairs = [line.partition("=") for line in lines if "=" in line and not line.startswith("#")]
    assert len({key for key, _, _ in pairs}) == len(pairs), name
    return {key: value for key, _, value in pairs}
