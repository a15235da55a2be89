"""The rooms stand where the floor plan says, and the river flows one way."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from house_tree import PACKAGE, ROOMS, ROOT, listing, python_files, told, tree

LONGEST_FILE = 400
TOP_LEVEL = {
    "pyproject.toml",
    "README.md",
    "schema",
    "nexus_graph",
    "core",
    "tests",
    "docs",
    "casbin_model.conf",
    "policies",
    "findings",
}
BESIDE_THE_ROOMS = {"__init__.py", "__main__.py", "app.py", "config.py", "engines.py", "logs.py", "py.typed"}
ATTRACTORS = {"service", "services", "manager", "managers", "utils", "util", "common", "helpers", "helper"}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of a folder's pyproject.toml."""
    command = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run([sys.executable, "-c", command], cwd=folder, capture_output=True, text=True, timeout=120)


def test_every_import_contract_is_kept() -> None:
    """A later room knows earlier ones, never the reverse; drivers, adapters and servers stay at their places."""
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_broken_contract_would_be_seen(tmp_path: Path) -> None:
    """The foundation importing the door fails the check."""
    shutil.copytree(PACKAGE, tmp_path / "nexus_graph", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    clock = tmp_path / "nexus_graph" / "scope" / "clock.py"
    clock.write_text(clock.read_text("utf-8") + "\nfrom nexus_graph import api\n", "utf-8")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    assert "nexus_graph.scope is not allowed to import nexus_graph.api" in done.stdout


def test_no_driver_is_imported_by_whoever_does_not_use_it() -> None:
    """Each takes a second or two of a start, which an embedded installation does not pay; nor what migrates."""
    code = "import sys, nexus_graph.app; print([name for name in sys.modules if name.split('.')[0] in sys.argv])"
    drivers = (
        *("aiobotocore", "aiohttp", "alembic", "asyncpg", "botocore", "httpx", "markdown_it", "onnxruntime"),
        *("sqlalchemy", "sqlmodel", "weaviate"),
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *drivers], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


def _imports(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_the_transport_is_our_own() -> None:
    """No HTTP view or websocket handler of the GraphQL library is imported: what travels is checked by us."""
    views = re.compile(
        r"strawberry\.(asgi|aiohttp|chalice|channels|django|fastapi|flask|http|litestar|quart|sanic|subscriptions)\b"
    )
    assert views.match("strawberry.asgi.GraphQL")
    imported = {told(path): set(_imports(tree(path))) for path in python_files()}
    assert {path: names for path, names in imported.items() if any(views.match(name) for name in names)} == {}
    assert "nexus_graph.api.operations.execution" in imported["nexus_graph/api/transport/http.py"]


def _calls(module: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def _makes_a_scope(module: ast.Module) -> Iterator[str]:
    decisive = {"tenant_id", "env", "principal", "role", "rights", "policy_version"}
    for name, call in _calls(module):
        if name.rpartition(".")[2] == "Scope":
            yield ast.unparse(call)
        if name in ("replace", "dataclasses.replace") and decisive & {keyword.arg for keyword in call.keywords}:
            yield ast.unparse(call)


def _acts_as_the_engine(module: ast.Module) -> Iterator[str]:
    return (ast.unparse(call) for name, call in _calls(module) if name.endswith("Scope.system"))


def _reads_the_environment(module: ast.Module) -> Iterator[str]:
    names = {"environ", "environb", "getenv", "getenvb"}
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) == "os":
            yield ast.unparse(node)
        if isinstance(node, ast.ImportFrom) and node.module == "os" and names & {name.name for name in node.names}:
            yield ast.unparse(node)


def _looks_at_the_clock(module: ast.Module) -> Iterator[str]:
    clocks = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns")
    return (ast.unparse(call) for name, call in _calls(module) if name.endswith(clocks))


@pytest.mark.parametrize(
    ("finds", "planted", "places"),
    [
        (_makes_a_scope, "replace(scope, rights=everything)", {"tenants/admission.py": "from verified credentials"}),
        (
            _acts_as_the_engine,
            "Scope.system('t_acme', env, 'me')",
            {
                "administration/checking.py": "an operator's check of every scope",
                "administration/console.py": "an operator's command, journalled as one",
                "api/objects.py": "an address comes without credentials, and its tenant may be halted",
                "assets/sweeping.py": "purging expired reservations of every scope",
                "sessions/sweeping.py": "deleting expired sessions of every scope",
                "index/copies.py": "keeping account of the copies of vectors on a server",
                "safeguards/consent/changing.py": "making every scope follow the installation's consent at the start",
                "safeguards/rulesets/reevaluating.py": "making what every scope keeps follow a new ruleset",
                "safeguards/erasure/executing.py": "looking whether a tenant keeps anything in another env",
                "safeguards/erasure/forgetting.py": "letting go of what another process erased, in every scope",
                "safeguards/erasure/replaying.py": "erasing again, in every scope, what a restore brought back",
                "stores/follower.py": "a stage that pulls in every scope",
                "tenants/admission.py": "looking a principal up before it has a scope",
            },
        ),
        (_reads_the_environment, "os.environ['NEXUS_DATA']", {"config.py": "the one place that does"}),
        (_looks_at_the_clock, "datetime.now(UTC)", {"scope/clock.py": "the clock itself"}),
    ],
    ids=["scope", "system", "environment", "clock"],
)
def test_what_has_one_place_is_done_there_alone(
    finds: Callable[[ast.Module], Iterator[str]], planted: str, places: dict[str, str]
) -> None:
    """Scopes, system scopes, the environment and the clock: each place is named here with its reason, and is one."""
    assert list(finds(ast.parse(planted)))
    found = {told(path, PACKAGE) for path in python_files() if list(finds(tree(path)))}
    assert found == set(places)


def test_the_top_level_is_what_it_was() -> None:
    """Nothing is added beside the fixed listing."""
    assert listing() == TOP_LEVEL


def test_the_rooms_are_those_of_the_floor_plan() -> None:
    """Each folder of the package is a room, with a door that says what comes in, what goes out and what never does."""
    assert listing(PACKAGE) == ROOMS | BESIDE_THE_ROOMS
    plan = ast.get_docstring(tree(PACKAGE / "__init__.py")) or ""
    for room in sorted(ROOMS):
        door = ast.get_docstring(tree(PACKAGE / room / "__init__.py")) or ""
        assert [part for part in ("In: ", "Out: ", "Never: ") if part not in door] == [], room
        assert f"- `{room}`" in plan


def test_the_tests_mirror_the_rooms() -> None:
    """Each folder of tests/ is a room, or one of the six that look at the whole."""
    folders = {name for name in listing(ROOT / "tests") if (ROOT / "tests" / name).is_dir()}
    assert folders <= ROOMS | {"bench", "conformance", "faults", "house", "journeys", "servers"}


def test_no_file_bears_a_name_that_attracts_everything() -> None:
    """Files are named by what they do."""
    words = {told(path): set(re.split(r"[._]", path.name)) for path in [*python_files(), *python_files(ROOT / "tests")]}
    assert [path for path, parts in words.items() if parts & ATTRACTORS] == []


def test_every_file_fits_a_short_walk() -> None:
    """No file of the package has more than 400 lines; the message lists the longest."""
    lines = {told(path): len(path.read_text("utf-8").splitlines()) for path in python_files()}
    longest = sorted(((count, path) for path, count in lines.items()), reverse=True)[:5]
    assert longest[0][0] <= LONGEST_FILE, longest
