# The tasks of this checkout. `just` lists them; docs/contributing.md says how to set up.

_list:
    @just --list --unsorted

# Look for faults that need no test: lint, format, types, layers.
check:
    ruff check .
    ruff format --check .
    mypy
    lint-imports

# Run the tests, all or as pytest's arguments say.
[positional-arguments]
test *arguments:
    pytest "$@"

# Write again what is rendered from code: the schema, and pages of docs/.
render:
    mkdir -p build && nexus-graph schema > build/nexus.graphql && mv build/nexus.graphql schema/nexus.graphql
    python -m nexus_graph.administration.documenting
    python -m nexus_graph.administration.redaction_report

# Lock the newest versions that the ranges of pyproject.toml allow, for the commands of the README.
lock:
    {{compile}} --extra production --extra test --output-file .ci/test.lock pyproject.toml
    echo hatchling | {{compile}} --extra production --constraint .ci/test.lock --output-file .ci/production.lock pyproject.toml -
    echo hatchling | {{compile}} --extra local --constraint .ci/test.lock --output-file .ci/demo.lock pyproject.toml -

# Release what stands under Unreleased in docs/changelog.md, as the version of pyproject.toml.
release:
    python -m nexus_graph.administration.releasing

# For every platform and Python from 3.11 on; wheels alone, so that nothing unlocked takes part in a build.
compile := "uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
  --only-binary :all: --emit-build-options --no-annotate --custom-compile-command 'just lock'"
