"""Renders docs/formats.md: what is read of each kind of file, what is left out, and how that is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nexus_graph.administration.documenting import table
from nexus_graph.api.nodes.derivations import STATES
from nexus_graph.atoms import Limits, Recipe
from nexus_graph.atoms.recipes.kinds import KEPT

_PAGE = """\
# Formats

What is read of each kind of file, what is left out, and how that is told; rendered from the recipes. Do not edit this
page: change the recipe, then run `python -m nexus_graph.administration.documenting`.

The kind of a file is decided from its bytes, its name and its declared type together. Bytes that begin as a known
format decide by themselves; the declared type loses where it is generic or the bytes contradict it; then the name
counts; a text that nobody names is told by what it looks like. `mediaTypeReason` tells what decided, and who was
overruled.

Nothing is kept without a word. What became of a file stands with its asset, and in what `nexus-graph import` prints:
a line for each file that was not read whole.

```graphql
query ($id: ID!) {
  asset(id: $id) {
    derivation { state reason leftOut { what places count intended } mediaType mediaTypeReason op opVersion outdated }
  }
}
```

"""

_READ = """\
A file has at most {input_bytes:,} bytes, {atoms:,} atoms and {text_bytes:,} bytes of text; reading it takes at most
{seconds:g} seconds and {memory_bytes:,} bytes of memory, in a process of its own. Beyond that it is refused whole.

After an upgrade, `nexus-graph derive --tenant ... --env ...` reads again what an older version of a recipe read; until
then `outdated` is true. Its atoms go stale, stay readable under their ids, and whatever cites them says so.
"""

_UNREAD = """\
## Kept, and not read

Files of these kinds are kept and served as they are, and their asset says `NO_RECIPE`: {kinds}. The same goes for
bytes that are no text and no format that is known here, for old Word and PowerPoint files, Outlook messages, and Office
files that are encrypted.
"""


def formats_page(recipes: Mapping[str, Recipe]) -> str:
    """The page of formats: the states, and a section for each recipe."""
    sections = [
        _PAGE,
        table(["state", "means"], [[f"`{name}`", text] for name, text in STATES.items()]),
        "\n",
        _READ.format(**{name: getattr(Limits(), name) for name in Limits.__slots__}),
    ]
    sections += ["\n" + "\n".join(_section(recipe)) for recipe in recipes.values()]
    return "".join([*sections, "\n", _UNREAD.format(kinds=", ".join(f"`.{name}`" for name in KEPT))])


def _section(recipe: Recipe) -> Iterator[str]:
    yield f"## {recipe.reads}: `{recipe.op}`, version {recipe.version}\n"
    yield f"{recipe.purpose}\n"
    yield f"- Names: {', '.join(f'`.{name}`' for name in recipe.extensions) or 'none'}"
    yield f"- Media types: {', '.join(f'`{kind}`' for kind in sorted(recipe.content_types)) or 'none'}"
    for name, parameter in recipe.parameters.items():
        yield f"- Parameter `{name}`: {parameter.purpose} By default {_value(parameter.default)}."
    yield ""
    if recipe.leaves_out:
        rows = [
            [f"`{what}`", omission.sentence.format(place="..."), "no" if omission.intended else "yes"]
            for what, omission in recipe.leaves_out.items()
        ]
        yield table(["left out", "told as", "the file counts as partly read"], rows)
    else:
        yield "Nothing is left out.\n"


def _value(default: bool | int | str | None) -> str:
    return "none" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"
