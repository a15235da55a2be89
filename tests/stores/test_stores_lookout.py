"""What streams are looked over for: every deed that changes what a renewal reads is an action of rights."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
from inside_house import TENANT, Inside, inside

import nexus_graph
from nexus_graph.api.context import Context
from nexus_graph.scope.errors import Forbidden
from nexus_graph.scope.scope import Env, Principal, PrincipalKind, Role, Scope
from nexus_graph.stores.lookout import OF_RIGHTS
from nexus_graph.stores.statement import Statement

RENEWAL = {"members", "api_keys", "kill_switches"}
"""The tables that say what somebody may do at this moment."""
OF_NOBODY_HERE = {"key.created"}
"""Changes that concern nobody who has a stream already."""
OF_AN_ERASURE = {("nexus_graph.tenants.erasing", "_erase"), ("nexus_graph.safeguards.erasure.gates", "_erase")}
"""Steps of an erasure, which tells for all of them."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Inside]:
    """A house of its own."""
    with inside(tmp_path) as made:
        yield made


def test_a_renewal_reads_these_tables(house: Inside, statements: list[str]) -> None:
    """A user's, and a key's. Whoever adds a table here has to find out whose changes the lookout must notice."""
    stores = house.house.stores
    for kind in (PrincipalKind.USER, PrincipalKind.AGENT):
        ends = stores.clock() + timedelta(hours=1)
        system = Scope.system(TENANT, Env.DEV, "test")
        scope = replace(system, principal=Principal(kind, "nobody"), role=Role.MEMBER, expires_at=ends)
        context = Context(house.house, scope)
        context.streaming = "runLog"
        with pytest.raises(Forbidden):
            house.run(context.renew())
    house.run(context.require_running("runLog"))
    read = {table for sql in statements for table in re.findall(r"(?:from|join) (\w+)", sql)}
    assert read == RENEWAL


def modules() -> Iterator[ModuleType]:
    """Every module of the package but programs, and migrations, during which nobody follows anything."""
    for found in pkgutil.walk_packages(nexus_graph.__path__, "nexus_graph."):
        if not re.search(r"__main__|\.migrations\.", found.name):
            yield importlib.import_module(found.name)


def writes_rights(value: object) -> bool:
    """Whether it is a statement that changes a table of rights."""
    written = re.match(r"(?:insert into|update|delete from) (\w+)", value.sql) if isinstance(value, Statement) else None
    return written is not None and written[1] in RENEWAL


def writers() -> Iterator[tuple[str, str, set[str]]]:
    """The functions that do so: module, name, and the actions that they record."""
    for module in modules():
        names = vars(module)
        for function in ast.walk(ast.parse(inspect.getsource(module))):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            used, told = list[object](), set[str]()
            for node in ast.walk(function):
                if isinstance(node, ast.Name):
                    used.append(names.get(node.id))
                elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    used.append(getattr(names.get(node.value.id), node.attr, None))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    told |= {node.value} if re.fullmatch(r"[a-z]+\.[a-z]+", node.value) else set()
            if any(writes_rights(value) for value in used):
                yield module.__name__, function.name, told


def test_whatever_changes_them_is_an_action_of_rights() -> None:
    """A deed that is missing from the list would let streams of those go on who have lost their rights."""
    found = list(writers())
    assert {(module, name) for module, name, told in found if not told} == OF_AN_ERASURE
    told = {action for _, _, actions in found for action in actions}
    assert told >= {"member.changed", "key.revoked", "switch.engaged", "switch.released"}
    assert told - OF_NOBODY_HERE <= {*OF_RIGHTS}


def test_every_step_of_an_erasure_is_one() -> None:
    """But for its plan, which changes nothing yet."""
    folder = Path(nexus_graph.__file__).parent
    texts = [path.read_text() for path in folder.rglob("*.py") if path.name != "lookout.py"]
    told = {action for text in texts for action in re.findall(r'Event\(\s*"(erasure\.[a-z]+)"', text)}
    told |= {action for text in texts for action in re.findall(r'action, \w+, \w+ = "(erasure\.[a-z]+)"', text)}
    assert len(told) > 5
    assert told - {"erasure.planned"} == {action for action in OF_RIGHTS if action.startswith("erasure.")}
