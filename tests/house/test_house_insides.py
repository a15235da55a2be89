"""Reach-ins into libraries stand in one file for each, `<library>_inside.py`, with the version that it was read in."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

import pytest
from house_tree import PACKAGE, ROOT, python_files
from packaging.requirements import Requirement
from packaging.version import Version

from nexus_graph.administration import uvicorn_inside, websockets_inside
from nexus_graph.administration.bounded_http import BoundedHttp
from nexus_graph.administration.bounded_sockets import BoundedSocket, _Handshake
from nexus_graph.administration.serving import Server

INSIDES = [file for file in python_files() if file.stem.endswith("_inside")]
READ_IN = re.compile(r"Read in ([a-z-]+) (\d+(?:\.\d+)+)\.")

DOCUMENTED: Mapping[str, set[str]] = {
    "alembic": {"alembic.config", "alembic.runtime.migration", "alembic.script"},
    "casbin": {"casbin.persist.adapters"},
    "graphql": set(),
    "httptools": set(),
    "joserfc": {"joserfc.errors", "joserfc.jwk", "joserfc.jws", "joserfc.jwt"},
    "jsonschema": {"jsonschema.exceptions", "jsonschema.protocols", "jsonschema.validators"},
    "markdown_it": set(),
    "prometheus_client": set(),
    "pydantic": {"pydantic.fields"},
    "semantic_text_splitter": set(),
    "sqlalchemy": {"sqlalchemy.exc", "sqlalchemy.ext.asyncio", "sqlalchemy.ext.compiler", "sqlalchemy.pool"},
    "sqlmodel": set(),
    "starlette": {
        *("starlette.applications", "starlette.datastructures", "starlette.exceptions", "starlette.requests"),
        *("starlette.responses", "starlette.routing", "starlette.types", "starlette.websockets"),
    },
    "strawberry": {
        *("strawberry.dataloader", "strawberry.extensions", "strawberry.scalars", "strawberry.schema.config"),
        "strawberry.schema_directive",
    },
    "typer": {"typer.core"},
    "uvicorn": set(),
    "websockets": {
        *("websockets.asyncio.client", "websockets.exceptions", "websockets.frames", "websockets.http11"),
        "websockets.typing",
    },
    "yaml": set(),
}
"""Libraries, and the modules beside their top that they document. One that is new here is looked up first."""

SUBCLASSED = {
    *("BaseModel", "SQLModel", "Visitor", "FieldExtension", "StreamingResponse", "jws.JWSRegistry"),
    *("strawberry.Schema", "OTLPSpanExporter", "RandomIdGenerator", "TyperGroup"),
}
"""Classes of libraries that are there to be subclassed, as their documentation shows."""


UNWRITTEN = {
    *("base_resolver", "execution_context_class", "name_converter", "python_name", "schema_converter"),
    *("remaining_complexity_budget", "rule_context", "type_annotation"),
}
"""Attributes without an underscore that are in no documentation: of Strawberry, and of graphql-core."""


def reach_ins(text: str) -> list[str]:
    """What a module imports, subclasses or names that its libraries keep to themselves."""
    tree = ast.parse(text)
    imported = dict(_imports(tree))
    found = [f"import of {each}" for each in imported.values() if _is_inside(each)]
    ours = set(_named(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for base in map(ast.unparse, node.bases):
                name = base.partition("[")[0]
                owner = re.split("[.:]", imported.get(name.partition(".")[0], ""))[0]
                if owner in DOCUMENTED and name not in SUBCLASSED:
                    found.append(f"subclass of {name}")
        elif isinstance(node, ast.Attribute) and (
            node.attr in UNWRITTEN or (_is_private(node.attr) and node.attr not in ours)
        ):
            found.append(f"use of .{node.attr}")
    return found


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Each name that an import makes, and the dotted name that it leads to."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((each.asname or each.name.partition(".")[0], each.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((each.asname or each.name, f"{node.module}:{each.name}") for each in node.names)


def _is_inside(imported: str) -> bool:
    module, _, name = imported.partition(":")
    top = module.partition(".")[0]
    if top in ("nexus_graph", "__future__"):
        return False
    documented = module == top or module in DOCUMENTED.get(top, {module})
    return not documented or name.startswith("_") or any(part.startswith("_") for part in module.split("."))


def _named(tree: ast.AST) -> Iterator[str]:
    """The private attributes that a module's own classes have: those that it defines or sets."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield member.name
                elif isinstance(member, ast.AnnAssign | ast.Assign):
                    targets = [member.target] if isinstance(member, ast.AnnAssign) else member.targets
                    yield from (target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def _is_private(name: str) -> bool:
    """Whether a name is somebody's own; the language's own and those of named tuples are everybody's."""
    everybodys = {"_asdict", "_replace"} | set(dir(type)) | set(dir(lambda: 0)) | {"__path__", "__slots__"}
    everybodys |= {"_exit", "__cause__", "__traceback__", "__getitem__", "__tablename__", "__file__"}
    return name.startswith("_") and name not in everybodys


KNOWN = {
    "nexus_graph/administration/bounded_http.py": ["use of ._should_upgrade", "use of ._unset_keepalive_if_required"],
    "nexus_graph/stores/remembering.py": ["use of ._connection"],
}
"""What looks like one: members of a class that an inside file hands out and lists, and a neighbour of our own."""


@pytest.mark.parametrize("file", [file for file in python_files() if file not in INSIDES], ids=lambda file: file.stem)
def test_no_other_file_reaches_into_a_library(file: Path) -> None:
    """Neither by an import, nor by a subclass, nor by a name that begins with an underscore."""
    name = str(file.relative_to(ROOT))
    assert sorted(set(reach_ins(file.read_text("utf-8")))) == KNOWN.get(name, []), name


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from yaml._yaml import CParser", ["import of yaml._yaml:CParser"]),
        ("import uvicorn.protocols.http", ["import of uvicorn.protocols.http"]),
        ("from uvicorn import _types", ["import of uvicorn:_types"]),
        ("from graphql.validation.validate import X", ["import of graphql.validation.validate:X"]),
        ("from strawberry.types.base import X", ["import of strawberry.types.base:X"]),
        ("from some._where import X", ["import of some._where:X"]),
        ("import uvicorn\nclass A(uvicorn.Server): ...", ["subclass of uvicorn.Server"]),
        ("from graphql import ASTValidationRule as R\nclass A(R): ...", ["subclass of R"]),
        ("schema._schema", ["use of ._schema"]),
        ("schema.schema_converter", ["use of .schema_converter"]),
        ("enum.__strawberry_definition__", ["use of .__strawberry_definition__"]),
        ("from graphql import parse\nfrom starlette.types import Send\nimport yaml.x_but_not_used as y", None),
        ("class A:\n    def __init__(self): self._a = 1\n    def b(self): return self._a", []),
        ("from strawberry.extensions import FieldExtension\nclass A(FieldExtension): ...", []),
    ],
)
def test_a_reach_in_would_be_seen(text: str, found: list[str] | None) -> None:
    """Of each kind; what is documented, and our own, is none."""
    assert reach_ins(text) == (["import of yaml.x_but_not_used"] if found is None else found)


def requirement(distribution: str) -> Requirement | None:
    """What we, or a library that we require, say of the versions of a distribution."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    ours = [Requirement(line) for line in project["dependencies"]]
    theirs = [Requirement(line) for each in ours for line in metadata.requires(each.name) or ()]
    return next((each for each in [*ours, *theirs] if each.name == distribution and not each.marker), None)


@pytest.mark.parametrize("file", INSIDES, ids=lambda file: file.stem)
def test_an_inside_names_the_version_that_it_was_read_in(file: Path) -> None:
    """One that may be installed, of the library that the file is named after."""
    told = READ_IN.findall(ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "")
    assert len(told) == 1, file.name
    [(distribution, version)] = told
    assert distribution.startswith(file.stem.removesuffix("_inside").replace("_", "-"))
    wanted = requirement(distribution)
    assert wanted is not None, distribution
    assert Version(version) in wanted.specifier, f"{file.name}: {version} is not in {wanted}"


def members(kind: type) -> set[str]:
    """The members of a library's class: those that it defines, and those that it sets on itself."""
    found = set(dir(kind))
    for each in kind.__mro__[:-1]:
        try:
            tree = ast.parse(inspect.getsource(importlib.import_module(each.__module__)))
        except (OSError, TypeError):  # built in
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name == each.__name__:
                found |= _of_self(node)
    return found - set(dir(object))


def _of_self(tree: ast.AST) -> set[str]:
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }


LISTED = {**uvicorn_inside.MEMBERS, **websockets_inside.MEMBERS}


@pytest.mark.parametrize("kind", [BoundedHttp, BoundedSocket, _Handshake, Server], ids=lambda kind: kind.__name__)
def test_what_a_subclass_stands_on_is_listed(kind: type) -> None:
    """All that it overrides and uses of the library's class, and nothing that the installed version does not have."""
    base = kind.__mro__[1]
    [tree] = ast.parse(inspect.getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)
    defined = {each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert sorted((defined | _of_self(tree)) & members(base)) == sorted(LISTED[base])


def test_there_is_one_file_for_each_library() -> None:
    """However many rooms a library has."""
    assert INSIDES
    names = [file.stem for file in INSIDES]
    assert len(names) == len(set(names))
    assert all(PACKAGE in file.parents for file in INSIDES)
