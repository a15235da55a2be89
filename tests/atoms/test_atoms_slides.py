"""PowerPoint: slides in the order of the show, with what stands on them, notes, comments, and what is told."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from atom_files import with_part

from nexus_graph.atoms.model import Limits, Reading, collect
from nexus_graph.atoms.recipes import RECIPES, kind_of, recipe_for
from nexus_graph.scope.errors import Invalid

SLIDES = RECIPES["pptx.slides"]
INPUTS = Path(__file__).parent / "inputs"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
SPACES = (
    f'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" xmlns:r="{OFFICE}" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:a14="http://schemas.microsoft.com/office/drawing/2010/main" '
    'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
    'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram"'
)


def relations(*targets: tuple[str, str]) -> bytes:
    """The relations of a part: r1, r2, ... of these kinds, to these parts."""
    space = "http://schemas.openxmlformats.org/package/2006/relationships"
    items = (
        f'<Relationship Id="r{number}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{space}">{"".join(items)}</Relationships>'.encode()


def deck(*trees: str, **parts: bytes) -> bytes:
    """A presentation with these trees of shapes; the parts r1, r2, ... of its first slide, each named by its kind."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as package:
        package.writestr("[Content_Types].xml", "<Types/>")
        package.writestr("_rels/.rels", relations(("officeDocument", "ppt/presentation.xml")))
        ids = "".join(f'<p:sldId id="{256 + number}" r:id="r{number}"/>' for number in range(1, len(trees) + 1))
        main = f"<p:presentation {SPACES}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"
        package.writestr("ppt/presentation.xml", main)
        names = [("slide", f"slides/slide{number}.xml") for number in range(1, len(trees) + 1)]
        package.writestr("ppt/_rels/presentation.xml.rels", relations(*names))
        for number, tree in enumerate(trees, 1):
            content = f"<p:sld {SPACES}><p:cSld><p:spTree>{tree}</p:spTree></p:cSld></p:sld>"
            package.writestr(f"ppt/slides/slide{number}.xml", content)
        targets = [(kind, f"../parts/{kind}.xml") for kind in parts]
        package.writestr("ppt/slides/_rels/slide1.xml.rels", relations(*targets))
        for kind, content_of_part in parts.items():
            package.writestr(f"ppt/parts/{kind}.xml", content_of_part)
    return stream.getvalue()


def box(*paragraphs: str, holder: str = "", properties: str = "") -> str:
    """A shape with paragraphs; `holder` is the type of its placeholder."""
    mark = f'<p:ph type="{holder}"/>' if holder else ""
    body = "".join(item if item.startswith("<") else f"<a:p><a:r><a:t>{item}</a:t></a:r></a:p>" for item in paragraphs)
    name = f'<p:nvSpPr><p:cNvPr id="2" name="x" {properties}/><p:cNvSpPr/><p:nvPr>{mark}</p:nvPr></p:nvSpPr>'
    return f"<p:sp>{name}<p:txBody><a:bodyPr/>{body}</p:txBody></p:sp>"


def read(data: bytes) -> Reading:
    """All that the recipe makes of a file."""
    return collect(SLIDES, data, {}, Limits())


def texts(data: bytes) -> list[tuple[str, str]]:
    """Kind and text of each atom."""
    return [(draft.kind, draft.text) for draft in read(data).drafts]


def told(data: bytes) -> str:
    """What is left out, in words."""
    return SLIDES.tell(read(data).left_out)


@pytest.mark.parametrize("name", ["slides.pptx", "slides-impress.pptx"])
def test_a_presentation_as_programs_write_it(name: str) -> None:
    """Slides in the order of the show, notes after their slide, tables and charts as grids, hidden things left out."""
    reading = read((INPUTS / name).read_bytes())
    assert [(draft.span.slide, draft.span.part, draft.kind, draft.text) for draft in reading.drafts] == [
        (1, None, "slide", "Pump plan 2026\nStart early\nOrder seals\nBoxed\nwords"),
        (1, "notes", "notes", "Say that seals are late."),
        (2, None, "slide", "Chart and group\nSales\n\t2025\t2026\nEast\t1.5\t3\nWest\t2\t4\nIn a group"),
        (3, None, "slide", "Costs\nRegion\tQ1\tQ2\nNorth\tnot reported\t\nSouth\t88\t99"),
    ]
    assert SLIDES.tell(reading.left_out) == "what is hidden on slide 2; a picture on slide 2; slide 4 is hidden"
    whole = "\n".join(draft.text for draft in reading.drafts)
    assert [whole[draft.span.start : draft.span.end] for draft in reading.drafts] == [
        draft.text for draft in reading.drafts
    ]


def test_the_title_comes_first() -> None:
    """Wherever it stands in the file; the rest stays in its order."""
    data = deck(box("second") + box("Title", holder="ctrTitle") + box("third"))
    assert texts(data) == [("slide", "Title\nsecond\nthird")]


def test_footers_and_dates_are_told_once() -> None:
    """The same words on each slide are one atom; the number of a slide is in the span."""
    tree = box("words") + box("Acme 2026", holder="ftr") + box("7", holder="sldNum") + box("1 May", holder="dt")
    assert texts(deck(tree, tree)) == [
        ("slide", "words"),
        ("footer", "Acme 2026"),
        ("footer", "1 May"),
        ("slide", "words"),
    ]


def numbered(text: str, kind: str, more: str = "", level: int = 0) -> str:
    """A paragraph with an automatic number."""
    properties = f'<a:pPr lvl="{level}"><a:buAutoNum type="{kind}" {more}/></a:pPr>'
    return f"<a:p>{properties}<a:r><a:t>{text}</a:t></a:r></a:p>"


def test_numbers_as_they_are_shown() -> None:
    """They count on, start where they are told to, start again after other text, and have levels of their own."""
    data = deck(
        box(
            numbered("one", "arabicPeriod"),
            numbered("sub", "alphaLcParenR", level=1),
            numbered("sub two", "alphaLcParenR", level=1),
            numbered("two", "arabicPeriod"),
            numbered("new sub", "alphaLcParenR", level=1),
            "between",
            numbered("four", "romanUcPeriod", 'startAt="4"'),
            numbered("both", "arabicParenBoth"),
            numbered("plain", "arabicPlain"),
        )
    )
    (found,) = texts(data)
    assert found[1].split("\n") == [
        "1. one",
        "a) sub",
        "b) sub two",
        "2. two",
        "a) new sub",
        "between",
        "IV. four",
        "(1) both",
        "1 plain",
    ]


def test_fields_and_breaks_inside_of_a_paragraph() -> None:
    """A field stands with its last text, a break is a line end."""
    mixed = (
        '<a:p><a:r><a:t>On </a:t></a:r><a:fld type="x"><a:t>3 May</a:t></a:fld><a:br/><a:r><a:t>next</a:t></a:r></a:p>'
    )
    assert texts(deck(box(mixed))) == [("slide", "On 3 May\nnext")]


def frame(content: str) -> str:
    """A frame for something that is no shape."""
    return f"<p:graphicFrame><a:graphic><a:graphicData>{content}</a:graphicData></a:graphic></p:graphicFrame>"


def cell(text: str, properties: str = "") -> str:
    """A cell of a table."""
    return f"<a:tc {properties}><a:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></a:txBody></a:tc>"


def test_merged_cells_keep_values_under_their_columns() -> None:
    """What a merged cell covers is empty, even where a program left text in it."""
    rows = (
        cell("North", 'rowSpan="2"') + cell("both", 'gridSpan="2"') + cell("covered", 'hMerge="1"'),
        cell("covered", 'vMerge="1"') + cell("8") + cell("9"),
    )
    table = f"<a:tbl>{''.join(f'<a:tr>{row}</a:tr>' for row in rows)}</a:tbl>"
    assert texts(deck(frame(table))) == [("slide", "North\tboth\t\n\t8\t9")]


def test_a_diagram_is_the_text_of_its_nodes() -> None:
    """SmartArt keeps it in a part of its own."""
    nodes = "".join(
        f"<dgm:pt><dgm:t><a:p><a:r><a:t>{text}</a:t></a:r></a:p></dgm:t></dgm:pt>" for text in ("Plan", "", "Build")
    )
    part = f"<dgm:dataModel {SPACES}><dgm:ptLst>{nodes}</dgm:ptLst></dgm:dataModel>".encode()
    data = deck(frame('<dgm:relIds r:dm="r1" r:lo="r9"/>'), diagramData=part)
    assert (texts(data), told(data)) == ([("slide", "Plan\nBuild")], "")


def test_comments_of_both_forms() -> None:
    """Each is an atom after its slide, and so is a reply."""
    old = f"<p:cmLst {SPACES}><p:cm><p:text>Old comment</p:text></p:cm></p:cmLst>".encode()
    assert texts(deck(box("words"), comments=old)) == [("slide", "words"), ("comment", "Old comment")]
    body = "<p:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></p:txBody>"
    new = f"<p:cmLst {SPACES}><p:cm><p:reply>{body.format('A reply')}</p:reply>{body.format('New')}</p:cm></p:cmLst>"
    assert texts(deck(box("words"), comments=new.encode()))[1:] == [("comment", "New"), ("comment", "A reply")]


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ("<p:pic><p:nvPicPr><p:cNvPr/><p:nvPr/></p:nvPicPr></p:pic>", "a picture on slide 1"),
        ("<p:pic><p:nvPicPr><p:nvPr><a:videoFile/></p:nvPr></p:nvPicPr></p:pic>", "a recording on slide 1"),
        (frame("<a:model3d/>"), "an embedded object on slide 1"),
        (frame("<p:oleObj/>"), "an embedded object on slide 1"),
        (frame('<c:chart r:id="r9"/>'), "a chart on slide 1"),
        (frame('<dgm:relIds r:dm="r9"/>'), "a diagram on slide 1"),
        ("<p:contentPart/>", "handwriting on slide 1"),
        (box("<a:p><a14:m><m:oMath><m:r><m:t>x</m:t></m:r></m:oMath></a14:m></a:p>"), "an equation on slide 1"),
        (box("Secret", properties='hidden="1"'), "what is hidden on slide 1"),
    ],
)
def test_what_is_not_read_is_told(shape: str, said: str) -> None:
    """Also inside of groups and of alternatives; the rest of the slide is read."""
    for tree in (
        shape,
        f"<p:grpSp>{shape}</p:grpSp>",
        f"<mc:AlternateContent><mc:Choice>{shape}</mc:Choice><mc:Fallback>{box('old')}</mc:Fallback></mc:AlternateContent>",
    ):
        data = deck(box("words") + tree)
        assert (texts(data), told(data)) == ([("slide", "words")], said)


def test_a_chart_whose_grid_is_too_large_is_told() -> None:
    """Series that share no category make a grid of their product."""
    series = "".join(
        f'<c:ser><c:val><c:numRef><c:pt idx="{n}"><c:v>1</c:v></c:pt></c:numRef></c:val></c:ser>' for n in range(1_100)
    )
    part = f"<c:chartSpace {SPACES}><c:chart>{series}</c:chart></c:chartSpace>".encode()
    assert told(deck(frame('<c:chart r:id="r1"/>'), chart=part)) == "a chart on slide 1"


@pytest.mark.parametrize("extension", ["pptx", "potx", "ppsx", "pptm", "potm", "ppsm"])
def test_templates_shows_and_macros_are_read_alike(extension: str) -> None:
    """Whatever the name and the declared type."""
    data = deck(box("words"))
    assert recipe_for(kind_of(data, f"a.{extension}", "application/octet-stream")) is SLIDES
    assert recipe_for(kind_of(data, f"a.{extension}", SLIDES.extensions[extension])) is SLIDES


BOMB = '<!DOCTYPE d [<!ENTITY a "ha">]>'


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no sound zip"),
        (deck(box("x"))[:-40], "no sound zip"),
        (with_part(deck(box("x")), "ppt/slides/slide1.xml", b"<p:sld"), "is no sound XML"),
        (with_part(deck(box("x")), "ppt/slides/slide1.xml", f"{BOMB}<p>&a;</p>".encode()), "document type declaration"),
        (with_part(deck(box("x")), "ppt/presentation.xml", b"<x/>"), "do not make a presentation"),
        (with_part(deck(box("x")), "_rels/.rels", relations()), "do not make a presentation"),
        (with_part(deck(box("x")), "ppt/_rels/presentation.xml.rels", relations()), "do not make a presentation"),
        (deck("<p:grpSp>" * 300 + "</p:grpSp>" * 300), "is no sound XML"),
        (deck(box('<a:p><a:pPr lvl="x"/><a:r><a:t>y</a:t></a:r></a:p>')), "do not make a presentation"),
    ],
)
def test_what_is_no_presentation_is_refused(data: bytes, said: str) -> None:
    """Another kind, cut short, broken, an entity, without its parts, nested too deep."""
    with pytest.raises(Invalid, match=said):
        read(data)


def test_a_slide_that_is_named_very_often_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time counts against what a package may unpack to."""
    monkeypatch.setattr("nexus_graph.atoms.recipes.packages.UNPACKED_LIMIT", 200_000)
    data = deck(box("words"))
    ids = '<p:sldId id="256" r:id="r1"/>' * 2_000
    main = f"<p:presentation {SPACES}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>".encode()
    with pytest.raises(Invalid, match="unpacks to more than"):
        read(with_part(data, "ppt/presentation.xml", main))


def test_an_empty_presentation_makes_no_atom() -> None:
    """No slides, or slides without text."""
    assert (texts(deck()), texts(deck(""))) == ([], [])
