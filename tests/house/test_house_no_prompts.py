"""No prompt, no text-writing model, no re-ranking and no orchestration anywhere in the package."""

from __future__ import annotations

import ast
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from house_tree import PACKAGE, ROOT, told, tree

# What a line would hold that instructs, calls or steers a text-writing model, or orders results by another's opinion.
WORDS = {
    "prompt": r"prompt(?!ly\b|er\b)",
    "completion": r"completions?\b",
    "chat": r"\bchat(?!ter)",
    "language model": r"\bllms?\b|language[ _-]model|foundation[ _-]model",
    "vendor": r"openai|anthropic|claude|gemini|mistral|cohere\b|ollama|huggingface|\bgpt|llama",
    "generation": r"text[ _-]generation|generate_text|\btemperature\b|\btop_p\b|system_message|few[ _-]shot",
    "summary": r"summar(y|i[sz])",
    "re-ranking": r"re[ _-]?rank|cross[ _-]?encoder",
    "orchestration": r"orchestrat|langchain|langgraph|autogen|crewai|tool_call|function_call|\bagentic\b|workflow",
    "instruction": r"\byou are (a|an|the)\b|\byour task\b|\bact as\b|\bas an ai\b|step by step|answer the question",
}
PATTERNS = {word: re.compile(pattern, re.IGNORECASE) for word, pattern in WORDS.items()}

# (file, word): why it is there. An entry that no longer matches is to be removed.
ALLOWED = {
    ("api/nodes/switches.py", "vendor"): "the name of an embedder that can be halted",
    ("app.py", "vendor"): "passes the name of the embeddings server's model on",
    ("atoms/recipes/pages/elements.py", "summary"): "the HTML element of that name",
    ("config.py", "vendor"): "settings of the embedder that speaks the OpenAI embeddings protocol",
    ("index/__init__.py", "re-ranking"): "says that it never happens",
    ("index/embedding/__init__.py", "vendor"): "the name of the embedder in the settings",
    ("index/embedding/openai.py", "vendor"): "speaks the embeddings protocol of that name; vectors only, never text",
    ("packs/__init__.py", "summary"): "says that it never happens",
}

# A text of more words, SQL apart, is an essay, and an essay in code is a prompt until shown otherwise.
LONGEST_TEXT = 60
SQL = re.compile(r"f?['\"]?(select|insert into|update|delete from|with [a-z]+ as \(select) [a-z]")
LONG_TEXTS = {
    "administration/documenting.py": "the introductions of two rendered pages of docs/",
    "administration/formats_reference.py": "the introductions of a rendered page of docs/",
    "administration/redaction_report.py": "the introductions of a rendered page of docs/",
    "scope/redaction/accounts.py": "the lengths of account numbers by country",
}


def sweep(package: Path) -> Iterator[tuple[str, str, int]]:
    """Every hit in a package: file, word, line. Names of files count too."""
    for path in sorted(package.rglob("*")):
        if path.is_dir() or "__pycache__" in path.parts:
            continue
        name = told(path, package)
        text = f"{name}\n{path.read_text('utf-8')}"
        hit = {word: pattern for word, pattern in PATTERNS.items() if pattern.search(text)}
        for number, line in enumerate(text.splitlines() if hit else []):
            yield from ((name, word, number) for word, pattern in hit.items() if pattern.search(line))


def long_texts(package: Path) -> Iterator[tuple[str, int]]:
    """Every string of more than 60 words that is neither docstring nor SQL: file and line."""
    for path in sorted(package.rglob("*.py")):
        module = tree(path)
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(module)
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(module):
            if isinstance(node, (ast.Constant, ast.JoinedStr)) and id(node) not in docstrings:
                text = str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node)
                if len(re.findall(r"\w+", text)) > LONGEST_TEXT and not SQL.match(text):
                    yield told(path, package), node.lineno


def test_every_suspicious_word_is_explained() -> None:
    """A hit that the allow-list does not explain fails, and so does an explanation without a hit."""
    found: dict[tuple[str, str], list[int]] = {}
    for name, word, line in sweep(PACKAGE):
        found.setdefault((name, word), []).append(line)
    assert {place: lines for place, lines in found.items() if place not in ALLOWED} == {}
    assert sorted(set(ALLOWED) - set(found)) == []


def test_no_long_text_hides_in_the_code() -> None:
    """Prompts are long: each long text of the package is named here with its reason."""
    found = {name for name, _ in long_texts(PACKAGE)}
    assert found == set(LONG_TEXTS)


@pytest.mark.parametrize(
    ("planted", "word"),
    [
        ('TEXT = "You are a helpful analyst."', "instruction"),
        ("system_prompt = load()", "prompt"),
        ('await client.post(f"{address}/v1/chat/completions", json=body)', "chat"),
        ('await client.post(f"{address}/v1/completions", json=body)', "completion"),
        ("from anthropic import Anthropic", "vendor"),
        ("hits = reranker.rerank(hits)", "re-ranking"),
        ("def summarise(texts): ...", "summary"),
        ("answer = llm(text)", "language model"),
        ("orchestrator.run(steps)", "orchestration"),
        ("body = {'temperature': 0.2}", "generation"),
    ],
)
def test_a_planted_one_is_found(tmp_path: Path, planted: str, word: str) -> None:
    """The sweep sees each kind where it was put, in a copy of a real file."""
    folder = tmp_path / "packs"
    folder.mkdir()
    shutil.copy(PACKAGE / "packs" / "assembling.py", folder)
    assert list(sweep(tmp_path)) == []
    with (folder / "assembling.py").open("a", encoding="utf-8") as file:
        file.write(f"\n{planted}\n")
    assert ("packs/assembling.py", word) in {(name, found) for name, found, _ in sweep(tmp_path)}


def test_a_planted_essay_is_found(tmp_path: Path) -> None:
    """A long text without any suspicious word is seen by its length, also when it is a template."""
    essay = "Read what follows and write something pleasant about it. " * 8
    (tmp_path / "plain.py").write_text(f"TEXT = {essay!r}\n", "utf-8")
    (tmp_path / "template.py").write_text(f"TEXT = f{'{name} ' + essay!r}\n", "utf-8")
    (tmp_path / "documented.py").write_text(f'"""{essay}"""\n', "utf-8")
    assert {name for name, _ in long_texts(tmp_path)} == {"plain.py", "template.py"}


def test_no_dependency_writes_text() -> None:
    """No client of a text-writing model is installed with the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["local"]]
    assert [one for one in wanted if any(pattern.search(one) for pattern in PATTERNS.values())] == []
