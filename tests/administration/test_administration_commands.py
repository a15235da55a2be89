"""The list of commands: it says what they say, and is printed without importing them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nexus_graph import __main__

LOADED = """
import sys
from nexus_graph.__main__ import app
app(sys.argv[1:], standalone_mode=False)
print(*sorted(name for name in sys.modules if name.startswith("nexus_graph") or name in ("graphql", "sqlalchemy")))
"""


@pytest.mark.parametrize("name", __main__.COMMANDS)
def test_the_list_says_what_a_command_says_of_itself(name: str) -> None:
    """The words of the list begin the command's own help."""
    command = __main__.real(name)
    said = " ".join(command.help.split())
    assert command.name == name
    assert said.startswith(__main__.COMMANDS[name][1].removesuffix(".")), said


def test_help_imports_no_command() -> None:
    """Neither the program's rooms nor their libraries: who asks for help need not wait for them."""
    ran = subprocess.run([sys.executable, "-c", LOADED, "--help"], capture_output=True, text=True, check=True)
    assert "Serve GraphQL until interrupted." in ran.stdout
    assert ran.stdout.splitlines()[-1].split() == ["nexus_graph", "nexus_graph.__main__"]


def test_a_misspelt_command_is_answered_by_those_alike() -> None:
    """With status 2, as wrong usage."""
    ran = subprocess.run([sys.executable, "-m", "nexus_graph", "serv"], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "Did you mean 'serve'" in ran.stderr
