"""XML: elements with paths and exact places, by XML's own rules."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_graph.atoms.model import Limits, Reading, collect
from nexus_graph.atoms.recipes import RECIPES
from nexus_graph.atoms.recipes.xml_source import decode_xml
from nexus_graph.scope.errors import Invalid


def read(text: str | bytes, **params: int) -> Reading:
    """What the recipe makes of a document."""
    data = text.encode() if isinstance(text, str) else text
    return collect(RECIPES["xml.elements"], data, params, Limits())


def found(text: str | bytes, **params: int) -> list[tuple[str | None, str]]:
    """Path and text of each draft; each stands where its span says."""
    reading = read(text, **params)
    data = text.encode() if isinstance(text, str) else text
    whole = decode_xml(data, {}).text
    assert [whole[draft.span.start : draft.span.end] for draft in reading.drafts] == [
        draft.text for draft in reading.drafts
    ]
    return [(draft.span.path, draft.text) for draft in reading.drafts]


CATALOG = """<?xml version="1.0" encoding="utf-8"?>
<catalog lang='de' note="a > b">
  <owner><name>Zoë</name><town>Köln</town></owner>
  <item id="1"><size>12</size></item>
  <item id="2"/><item
     id="3"><size>14</size><!-- kept --></item>
</catalog>
"""


def test_records_stay_whole_and_single_elements_open() -> None:
    """Repeated names are records; the start tag of an element that opens is kept for its attributes."""
    assert found(CATALOG) == [
        ("/catalog[1]", """<catalog lang='de' note="a > b">"""),
        ("/catalog[1]/owner[1]/name[1]", "<name>Zoë</name>"),
        ("/catalog[1]/owner[1]/town[1]", "<town>Köln</town>"),
        ("/catalog[1]/item[1]", '<item id="1"><size>12</size></item>'),
        ("/catalog[1]/item[2]", '<item id="2"/>'),
        ("/catalog[1]/item[3]", '<item\n     id="3"><size>14</size><!-- kept --></item>'),
    ]
    assert [draft.span.line for draft in read(CATALOG).drafts] == [2, 3, 3, 4, 5, 5]
    assert [draft.span.end_line for draft in read(CATALOG).drafts][-1] == 6


def test_depth_keeps_more_in_one() -> None:
    """0 keeps the document in one atom, 1 opens the root alone."""
    assert [path for path, _ in found(CATALOG, depth=0)] == ["/catalog[1]"]
    assert ("/catalog[1]/owner[1]", "<owner><name>Zoë</name><town>Köln</town></owner>") in found(CATALOG, depth=1)


@pytest.mark.parametrize(
    ("text", "drafts"),
    [
        ("<a>text <b>mixed</b></a>", [("/a[1]", "<a>text <b>mixed</b></a>")]),
        ("<a><b><![CDATA[ <x> ]]></b><c/></a>", [("/a[1]/b[1]", "<b><![CDATA[ <x> ]]></b>"), ("/a[1]/c[1]", "<c/>")]),
        ("<x:a xmlns:x='u'><x:b>1</x:b></x:a>", [("/x:a[1]", "<x:a xmlns:x='u'>"), ("/x:a[1]/x:b[1]", "<x:b>1</x:b>")]),
        ("<a><b/></a>", [("/a[1]/b[1]", "<b/>")]),
        ("<a><b x='/>'><c/></b></a>", [("/a[1]/b[1]", "<b x='/>'>"), ("/a[1]/b[1]/c[1]", "<c/>")]),
        ("<a>&amp;&#233;</a>", [("/a[1]", "<a>&amp;&#233;</a>")]),
        (
            '<?xml version="1.0" encoding="iso-8859-1"?><a>Gr\xfc\xdfe</a>'.encode("latin-1"),
            [("/a[1]", "<a>Grüße</a>")],
        ),
        ('<?xml version="1.0" encoding="UTF-16"?><a>Grüße</a>'.encode("utf-16"), [("/a[1]", "<a>Grüße</a>")]),
    ],
)
def test_documents(text: str | bytes, drafts: list[tuple[str, str]]) -> None:
    """Mixed content, CDATA, namespaces, empty elements, quoted marks, references, declared encodings."""
    assert found(text) == drafts


def test_what_is_no_element_is_told() -> None:
    """Comments, instructions and the document type between atoms are left out, with their lines."""
    text = "<!DOCTYPE a SYSTEM 'a.dtd'>\n<?style x?>\n<a><!-- one -->\n<b>1<!-- in --></b></a>\n<!-- two -->"
    told = {omitted.what: omitted.places for omitted in read(text).left_out}
    assert told == {
        "document type": ("line 1",),
        "processing instruction": ("line 2",),
        "comment": ("line 3", "line 5"),
    }


@pytest.mark.parametrize(
    ("text", "said", "line", "column"),
    [
        ("<a>\n<b></a>", "mismatched tag", 2, 6),
        ("", "no element found", 1, 1),
        ("<a/><b/>", "junk after document element", 1, 5),
        ("<a>&nbsp;</a>", "undefined entity", 1, 4),
        ("<a b=1/>", "not well-formed", 1, 6),
        ("<!DOCTYPE a [\n<!ENTITY x 'y'>]><a>&x;</a>", "it declares entities", 2, 12),
        ("<a>" * 513 + "</a>" * 513, "deeper than 512", 1, 1537),
    ],
)
def test_what_is_no_xml_is_refused_with_its_place(text: str, said: str, line: int, column: int) -> None:
    """Not well-formed, entities, too deep."""
    with pytest.raises(Invalid, match=said) as refused:
        read(text)
    assert (refused.value.line, refused.value.column) == (line, column)


NAMES = st.sampled_from(["a", "b", "c:d"])
TEXTS = st.text("xé€\U0001f600 \n", max_size=4)
TREES = st.recursive(
    TEXTS,
    lambda inner: st.tuples(NAMES, st.dictionaries(st.sampled_from(["k", "l"]), TEXTS), st.lists(inner, max_size=4)),
)


def written(tree: object) -> str:
    """A tree as XML."""
    if isinstance(tree, str):
        return tree
    assert isinstance(tree, tuple)
    name, attributes, parts = tree
    said = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<{name}{said}>{''.join(map(written, parts))}</{name}>"


@given(st.lists(TREES, max_size=4), st.integers(0, 4))
def test_no_text_and_no_attribute_is_lost(parts: list[object], depth: int) -> None:
    """All text that another reader finds is in the atoms, in order and once; so is each value of an attribute."""
    text = f'<root xmlns:c="u">{"".join(map(written, parts))}</root>'
    root = ElementTree.fromstring(text)  # noqa: S314 - made here
    kept = "".join(draft.text for draft in read(text, depth=depth).drafts)
    values = [value for element in root.iter() for value in element.attrib.values()]
    words = [word for said in (*root.itertext(), *values) for word in said.split()]
    assert [word for word in words if word not in kept] == []
    assert sum(kept.count(mark) for mark in "é€\U0001f600x") >= sum(text.count(mark) for mark in "é€\U0001f600x") - 1
