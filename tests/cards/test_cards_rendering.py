"""An export is the author's own text, with the engine's keys in it."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_graph.cards.format import ENGINE_KEYS, parse
from nexus_graph.cards.rendering import declare, render
from nexus_graph.scope.canonical import canonical

ENGINE: dict[str, str | int] = {
    "card_id": "card_1",
    "version": 4,
    "tenant_id": "t_acme",
    "env": "dev",
    "created_at": "2026-11-02T10:00:00.000000Z",
    "created_by": "user:ann@example.com",
}


def test_the_engine_keys_come_first_and_the_rest_stays() -> None:
    """Lines are added below the first fence; comments and order of the author's lines are untouched."""
    text = "---\n# mine\ntitle:   'x'  # why\ncard_type: note\n---\nbody\r\n---\n"
    rendered = render(parse(text), ENGINE)
    assert rendered == (
        '---\ncard_id: "card_1"\nversion: 4\ntenant_id: "t_acme"\nenv: "dev"\n'
        'created_at: "2026-11-02T10:00:00.000000Z"\ncreated_by: "user:ann@example.com"\n' + text[4:]
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\ncard_type: note\nversion: 4 # mine\n---\n", "---\ncard_type: note\nversion: 4 # mine\n---\n"),
        ("---\ncard_type: note\nversion: 3 # old\n---\n", "---\ncard_type: note\nversion: 4 # old\n---\n"),
        ("---\nversion: 0x3\n'card_type': note\n---\nx", "---\nversion: 4\n'card_type': note\n---\nx"),
        ("---\n  card_type: note\n---\n", "---\n  version: 4\n  card_type: note\n---\n"),
        ("---\n{card_type: note}\n---\n", "---\n{version: 4, card_type: note}\n---\n"),
        ('---\n{"version":2,"card_type":"note"}\n---\n', '---\n{"version":4,"card_type":"note"}\n---\n'),
        ("---\n{\n  card_type: note\n}\n---\n", "---\n{version: 4, \n  card_type: note\n}\n---\n"),
    ],
)
def test_a_stated_key_keeps_its_place(text: str, expected: str) -> None:
    """An equal value stays as written, another is replaced where it stands, in block and flow style."""
    assert render(parse(text), {"version": 4}) == expected


@pytest.mark.parametrize(
    "value", ["|\n  old", ">-\n  old\n  lines\n", "'old\n  lines'", "old\n  lines", '"o\\\n  ld" # why']
)
def test_a_stated_value_over_several_lines_is_replaced_whole(value: str) -> None:
    """No rest of the old value stays behind."""
    text = f"---\ncard_type: note\nenv: {value}\ntitle: x\n---\nbody"
    assert parse(render(parse(text), {"env": "dev"})).header == {"card_type": "note", "env": "dev", "title": "x"}


def test_a_key_that_the_engine_does_not_own_is_a_defect() -> None:
    """Rendering never writes over an author's key."""
    with pytest.raises(ValueError, match="title"):
        render(parse("---\ncard_type: note\n---\n"), {"title": "x"})


CONVENTIONAL = (*ENGINE_KEYS, "card_type", "key", "title", "labels", "artifact_refs")

keys = st.text(min_size=1, max_size=12).filter(lambda key: "\0" not in key and key.isprintable())
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
bodies = st.text(max_size=80).filter(lambda body: "\0" not in body)
engine_values = st.fixed_dictionaries(
    {},
    optional={
        key: st.integers(1, 99)
        if key == "version"
        else st.text(min_size=1, max_size=20).filter(lambda t: "\0" not in t)
        for key in ENGINE_KEYS
    },
)


def _clean(value: Any) -> Any:
    """`value` without NUL, which no card may hold."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_clean(each) for each in value]
    return {key: _clean(each) for key, each in value.items()} if isinstance(value, dict) else value


class _Quoted(yaml.SafeDumper):
    """Quotes every string: which plain scalars are strings differs between YAML 1.1 and 1.2."""


_Quoted.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def _header(header: dict[str, Any], style: str) -> str:
    return yaml.dump(header, Dumper=_Quoted, sort_keys=False, width=40, default_flow_style=style == "flow")


@given(
    st.dictionaries(keys, values, max_size=5), engine_values, engine_values, bodies, st.sampled_from(["block", "flow"])
)
@settings(max_examples=100, deadline=None)
def test_reading_an_export_gives_the_same_card(
    own: dict[str, Any], stated: dict[str, Any], engine: dict[str, Any], body: str, style: str
) -> None:
    """Body and other keys come back unchanged, the engine's values are in, and a second export changes nothing."""
    header = {key: _clean(value) for key, value in own.items() if key not in CONVENTIONAL}
    header = {**header, **stated, "card_type": "note"}
    text = f"---\n{_header(header, style)}---\n{body}"
    first = parse(text)
    assert first.body == body
    rendered = render(first, engine)
    second = parse(rendered)
    assert second.body == body
    assert second.header == {**first.header, **engine}
    assert render(second, engine) == rendered
    assert canonical(dict(second.header))


def test_a_card_type_can_be_declared_for_front_matter_without_one() -> None:
    """Only what is missing is added, so that declaring twice changes nothing."""
    assert declare("---\ntitle: x\n---\nbody", "note") == '---\ncard_type: "note"\ntitle: x\n---\nbody'
    assert declare("---\n---\nbody", "note") == '---\ncard_type: "note"\n---\nbody'
    assert declare("---\n{}\n---\nbody", "note") == '---\n{card_type: "note", }\n---\nbody'
    assert declare("---\ncard_type: persona\n---\n", "note") == "---\ncard_type: persona\n---\n"
    assert parse(declare("---\n{}\n---\nbody", "note")).card_type == "note"
