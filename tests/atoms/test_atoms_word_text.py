"""What paragraphs of Word files say: hidden text, fields, controls, symbols, equations, ruby."""

from __future__ import annotations

import pytest
from word_files import NAMES, docx, left_out, listing, paragraph, run, texts

HIDE = "<w:vanish/>"
SHOW = '<w:vanish w:val="0"/>'
HIDING = """
<w:style w:type="paragraph" w:default="1" w:styleId="Normal"/>
<w:style w:type="paragraph" w:styleId="Secret"><w:rPr><w:vanish/></w:rPr></w:style>
<w:style w:type="paragraph" w:styleId="Deeper"><w:basedOn w:val="Secret"/></w:style>
<w:style w:type="paragraph" w:styleId="Shown"><w:basedOn w:val="Secret"/><w:rPr><w:vanish w:val="0"/></w:rPr></w:style>
<w:style w:type="character" w:styleId="Hush"><w:rPr><w:vanish w:val="true"/></w:rPr></w:style>
"""


@pytest.mark.parametrize(
    ("style", "properties", "seen"),
    [
        ("Normal", "", True),
        ("Normal", HIDE, False),
        ("Normal", SHOW, True),
        ("Normal", "<w:webHidden/>", True),
        ("Normal", '<w:rStyle w:val="Hush"/>', False),
        ("Normal", f'<w:rStyle w:val="Hush"/>{SHOW}', True),
        ("Secret", "", False),
        ("Secret", SHOW, True),
        ("Deeper", "", False),
        ("Shown", "", True),
        ("Secret", '<w:rStyle w:val="Hush"/>', True),  # two styles that hide cancel each other
    ],
)
def test_hidden_runs(style: str, properties: str, seen: bool) -> None:
    """By themselves, by their style, by the style of the paragraph, and those that these are based on."""
    body = paragraph(run("before") + run("INTERNAL", properties), f'<w:pStyle w:val="{style}"/>') + paragraph("after")
    found = " ".join(texts(docx(body, styles=HIDING)))
    assert ("INTERNAL" in found) is seen
    assert "after" in found


def test_all_text_may_be_hidden_by_default() -> None:
    """But for what says otherwise."""
    styles = f"<w:docDefaults><w:rPrDefault><w:rPr>{HIDE}</w:rPr></w:rPrDefault></w:docDefaults>"
    body = paragraph(run("INTERNAL") + run("shown", SHOW))
    assert texts(docx(body, styles=styles)) == ["shown"]


def test_what_is_hidden_is_told_once_and_only_where_it_says_something() -> None:
    """Also a picture in it."""
    body = paragraph(run("a", HIDE)) * 3
    assert left_out(docx(body)) == [("hidden text", "the body")]
    assert left_out(docx(paragraph(run("  ", HIDE)))) == []
    picture = '<w:r><w:rPr><w:vanish/></w:rPr><w:drawing><a:blip r:embed="x"/></w:drawing></w:r>'
    assert left_out(docx(paragraph(picture))) == [("hidden text", "the body")]


def mark(kind: str, inside: str = "") -> str:
    """A mark of a field: begin, separate, end."""
    return f'<w:r><w:fldChar w:fldCharType="{kind}">{inside}</w:fldChar></w:r>'


def code(text: str) -> str:
    """The code of a field."""
    return f"<w:r><w:instrText>{text}</w:instrText></w:r>"


def a_field(instruction: str, result: str | None) -> str:
    """A whole field; without a result where that is None."""
    shown = "" if result is None else mark("separate") + result
    return mark("begin") + code(instruction) + shown + mark("end")


def test_fields_stand_with_their_results() -> None:
    """Never with their code, nor with results of fields in their code; also over several paragraphs."""
    nested = mark("begin") + code("IF ") + a_field("DOCPROPERTY x", run("INTERNAL")) + run("INTERNAL")
    body = paragraph(run("a ") + nested + mark("separate") + run("yes") + mark("end") + run(" b"))
    body += paragraph(mark("begin") + code("TOC") + mark("separate") + run("One\t1")) + paragraph(
        run("Two") + mark("end")
    )
    body += paragraph(run("x") + a_field("XE entry", None) + run("y"))
    assert texts(docx(body)) == ["a yes b", "One\t1", "Two", "xy"]
    assert left_out(docx(body)) == []


def test_a_field_without_an_end_swallows_nothing() -> None:
    """What follows its beginning is text."""
    body = paragraph(mark("begin") + run("one")) + paragraph("two") + paragraph(a_field("REF", run("three")))
    assert texts(docx(body)) == ["one", "two", "three"]
    assert texts(docx(paragraph(mark("separate") + mark("end") + run("four")))) == ["four"]


@pytest.mark.parametrize("name", ["EQ", "listnum", "MACROBUTTON"])
def test_fields_that_keep_no_result_are_told(name: str) -> None:
    """What they show is computed by Word alone."""
    data = docx(paragraph(run("a") + a_field(f" {name} \\f(1;2)", None)))
    assert (texts(data), left_out(data)) == (["a"], [("field", f"{name.upper()} in the body")])


ENTRIES = '<w:listEntry w:val="Gold"/><w:listEntry w:val="Silver"/>'


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("<w:checkBox><w:checked/></w:checkBox>", "☒"),
        ('<w:checkBox><w:checked w:val="0"/><w:default w:val="1"/></w:checkBox>', "☐"),
        ('<w:checkBox><w:default w:val="1"/></w:checkBox>', "☒"),
        ("<w:checkBox/>", "☐"),
        (f'<w:ddList><w:result w:val="1"/>{ENTRIES}</w:ddList>', "Silver"),
        (f'<w:ddList><w:default w:val="1"/>{ENTRIES}</w:ddList>', "Silver"),
        ('<w:ddList><w:listEntry w:val="Gold"/></w:ddList>', "Gold"),
        ('<w:ddList><w:result w:val="7"/><w:listEntry w:val="Gold"/></w:ddList>', ""),
    ],
)  # fmt: skip
def test_older_form_fields(form: str, shown: str) -> None:
    """Their value once, also where a result repeats it."""
    begin = mark("begin", f"<w:ffData>{form}</w:ffData>")
    for result in ("", mark("separate") + run("again")):
        body = paragraph(run("[") + begin + code("FORM") + result + mark("end") + run("]"))
        assert texts(docx(body)) == [f"[{shown}]"]


def test_an_older_text_field_has_a_result() -> None:
    """As other fields have."""
    begin = mark("begin", "<w:ffData><w:textInput/></w:ffData>")
    body = paragraph(begin + code("FORMTEXT") + mark("separate") + run("Kestrel") + mark("end"))
    assert texts(docx(body)) == ["Kestrel"]


def control(properties: str, content: str) -> str:
    """A content control."""
    return f"<w:sdt><w:sdtPr>{properties}</w:sdtPr><w:sdtContent>{content}</w:sdtContent></w:sdt>"


PLACEHOLDER = "<w:showingPlcHdr/>"


def test_placeholders_are_no_text_and_are_told() -> None:
    """In a paragraph, around paragraphs, around rows and cells; not those that were filled in."""
    cell = f"<w:tc>{paragraph('Choose an item.')}</w:tc>"
    for body in (
        paragraph(run("Supplier: ") + control(PLACEHOLDER, run("Choose an item."))),
        paragraph("Supplier: ") + control(PLACEHOLDER, paragraph("Choose an item.")),
        f"<w:tbl><w:tr><w:tc>{paragraph('Supplier: ')}</w:tc>{control(PLACEHOLDER, cell)}</w:tr></w:tbl>",
    ):
        data = docx(body)
        assert ([text.strip() for text in texts(data)], left_out(data)) == (
            ["Supplier:"],
            [("placeholder", "the body")],
        )
    filled = docx(paragraph(control('<w:showingPlcHdr w:val="0"/>', run("Kestrel"))))
    assert (texts(filled), left_out(filled)) == (["Kestrel"], [])


@pytest.mark.parametrize(
    ("state", "content", "shown"),
    [
        ("1", run("☒"), "☒"),
        ("0", run("☐"), "☐"),
        ("1", '<w:r><w:sym w:font="Wingdings" w:char="F0FE"/></w:r>', "☑"),
        ("1", "", "☒"),
        ("0", "", "☐"),
        ("true", run(" "), " ☒"),
    ],
)
def test_check_boxes(state: str, content: str, shown: str) -> None:
    """As they are drawn, or by their state where nothing is."""
    box = f'<w14:checkbox><w14:checked w14:val="{state}"/></w14:checkbox>'
    assert texts(docx(paragraph(control(box, content) + run(" Approved")))) == [f"{shown} Approved"]


STORE = "{11111111-2222-3333-4444-555555555555}"
CUSTOMER = (
    '<c:order xmlns:c="urn:c"><c:line/><c:line><c:name>Kestrel Ltd</c:name><c:level>S</c:level></c:line></c:order>'
)
STORED: dict[str, str | bytes] = {
    "customXml/item1.xml": CUSTOMER,
    "customXml/itemProps1.xml": f'<ds:datastoreItem {NAMES} ds:itemID="{STORE}"/>',
    "customXml/_rels/item1.xml.rels": listing({"p": ("customXmlProps", "itemProps1.xml")}),
}


def bound(path: str, kind: str = "<w:text/>", content: str = "Enter a name.", more: str = PLACEHOLDER) -> bytes:
    """A document with a control that is bound to a place in a store."""
    binding = (
        f"""<w:dataBinding w:prefixMappings="xmlns:n='urn:c'" w:xpath="{path}" w:storeItemID="{STORE.lower()}"/>"""
    )
    relations = {"x": ("customXml", "../customXml/item1.xml")}
    return docx(paragraph(control(f"{more}{binding}{kind}", run(content))), parts=STORED, relations=relations)


LIST = '<w:dropDownList><w:listItem w:displayText="Silver" w:value="S"/><w:listItem w:value="G"/></w:dropDownList>'


def test_bound_controls_show_the_value_that_they_are_bound_to() -> None:
    """As Word does: whatever they hold, and placeholders give way."""
    path = "/n:order[1]/n:line[2]/n:name[1]"
    assert texts(bound(path)) == ["Kestrel Ltd"]
    assert left_out(bound(path)) == []
    assert texts(bound(path, content="stale", more="")) == ["Kestrel Ltd"]
    assert texts(bound("/n:order/n:line[2]/n:level", LIST)) == ["Silver"]


@pytest.mark.parametrize(
    "path", ["/n:order/n:line[9]/n:name", "/n:other/n:line", "//n:name", "/n:order", "count(/*)", ""]
)
def test_a_binding_that_leads_nowhere_changes_nothing(path: str) -> None:
    """Nor does one of a form that is not read."""
    assert texts(bound(path, content="kept", more="")) == ["kept"]


@pytest.mark.parametrize(
    ("font", "char", "shown"),
    [
        ("Symbol", "F0B1", "±"),
        ("Symbol", "B0", "°"),
        ("symbol", "F06D", "μ"),
        ("Wingdings", "F0FC", "✓"),
        ("Wingdings", "F0A8", "☐"),
        ("Wingdings", "F0E0", "→"),
        ("Wingdings 2", "F052", "☑"),
        ("Wingdings 3", "F070", "▲"),
        ("Webdings", "F061", "✔"),
        ("Arial", "2713", "✓"),
    ],
)
def test_symbols_are_the_characters_that_they_show(font: str, char: str, shown: str) -> None:
    """Of the fonts that draw symbols, and of others by their own code."""
    data = docx(paragraph(f'<w:r><w:t>a</w:t><w:sym w:font="{font}" w:char="{char}"/></w:r>'))
    assert (texts(data), left_out(data)) == ([f"a{shown}"], [])


@pytest.mark.parametrize(("font", "char"), [("Logos", "F041"), ("Symbol", "F094"), ("Arial", "D800"), ("Arial", "x")])
def test_a_symbol_that_nobody_knows_is_told(font: str, char: str) -> None:
    """And leaves a mark."""
    data = docx(paragraph(f'<w:r><w:sym w:font="{font}" w:char="{char}"/></w:r>'))
    assert (texts(data), left_out(data)) == (["\ufffd"], [("symbol", f"{char} of the font '{font}'")])


FONT = '<w:rFonts w:ascii="{0}" w:hAnsi="{0}"/>'


def test_runs_that_are_set_in_a_symbol_font() -> None:
    """With ordinary characters and with private ones; fonts come from styles too, and go with a font of letters."""
    styles = f"""
    <w:style w:type="paragraph" w:default="1" w:styleId="Normal"/>
    <w:style w:type="character" w:styleId="Greek"><w:rPr>{FONT.format("Symbol")}</w:rPr></w:style>
    <w:style w:type="paragraph" w:styleId="Ticks"><w:rPr>{FONT.format("Wingdings")}</w:rPr></w:style>"""
    body = paragraph(
        run("25 ")
        + run("\u00b0", FONT.format("Symbol"))
        + run("C, ")
        + run("\uf0b0C", '<w:rFonts w:hAnsi="Symbol"/>')
        + run(", ")
        + run("a", '<w:rStyle w:val="Greek"/>')
        + run("b", f'<w:rStyle w:val="Greek"/>{FONT.format("Arial")}')
    )
    body += paragraph(run("\uf0fe") + run(" done", FONT.format("Arial")), '<w:pStyle w:val="Ticks"/>')
    assert texts(docx(body, styles=styles)) == ["25 °C, °C, αb", "☑ done"]


def math(inside: str) -> str:
    """An equation."""
    return f"<m:oMath>{inside}</m:oMath>"


def letter(text: str) -> str:
    """A run of an equation."""
    return f"<m:r><m:t>{text}</m:t></m:r>"


def form(name: str, properties: str = "", **parts: str) -> str:
    """A form of an equation, with its parts."""
    inside = "".join(f"<m:{part}>{content}</m:{part}>" for part, content in parts.items())
    return f"<m:{name}><m:{name}Pr>{properties}</m:{name}Pr>{inside}</m:{name}>"


X, N = letter("x"), letter("n")
SUM = '<m:chr m:val="∑"/>'
BRACES = '<m:begChr m:val="{"/><m:endChr m:val=""/>'


@pytest.mark.parametrize(
    ("inside", "line"),
    [
        (letter("Q=A") + letter("·v"), "Q=A·v"),
        (form("f", num=letter("p"), den=letter("V")), "p/V"),
        (form("f", num=letter("a+b"), den=letter("2")), "(a+b)/2"),
        (form("f", num=form("d", e=letter("a+b")), den=letter("2.5")), "(a+b)/2.5"),
        (form("f", '<m:type m:val="noBar"/>', num=N, den=letter("k")), "n¦k"),
        (form("sSup", e=X, sup=letter("2")), "x^2"),
        (form("sSub", e=X, sub=letter("i+1")), "x_(i+1)"),
        (form("sSubSup", e=X, sub=letter("i"), sup=letter("2")), "x_i^2"),
        (form("sSub", e=X, sub=letter("i")) + X, "x_i x"),
        (form("sPre", sub=letter("1"), sup=letter("2"), e=X), "_1^2x"),
        (form("rad", '<m:degHide m:val="1"/>', deg="", e=letter("a+b")), "√(a+b)"),
        (form("rad", deg=letter("3"), e=X), "∛x"),
        (form("rad", deg=N, e=X), "√(n&x)"),
        (form("nary", SUM, sub=letter("i=1"), sup=N, e=letter("i")), "∑_(i=1)^n i"),
        (form("nary", sub=letter("0"), sup=letter("1"), e=X), "∫_0^1 x"),
        (form("d", e=letter("a")), "(a)"),
        (f"<m:d><m:dPr>{BRACES}</m:dPr><m:e>{letter('a')}</m:e></m:d>", "{a"),
        (f"<m:d><m:e>{letter('a')}</m:e><m:e>{letter('b')}</m:e></m:d>", "(a|b)"),
        (form("func", fName=letter("sin"), e=X), "sin x"),
        (form("func", fName=letter("ln"), e=form("d", e=X)), "ln(x)"),
        (form("limLow", e=letter("lim"), lim=letter("x→0")), "lim_(x→0)"),
        (form("acc", e=X), "x\u0302"),
        (form("acc", '<m:chr m:val="⃗"/>', e=letter("AB+C")), "(AB+C)⃗"),
        (form("bar", '<m:pos m:val="top"/>', e=X), "x\u0305"),
        (form("groupChr", e=letter("a+b")), "⏟(a+b)"),
        (form("box", e=X), "x"),
        (form("borderBox", e=X), "x"),
        (f"<m:m><m:mr><m:e>{X}</m:e><m:e>{N}</m:e></m:mr><m:mr><m:e>{N}</m:e></m:mr></m:m>", "[x, n; n]"),
        (f"<m:d><m:e><m:m><m:mr><m:e>{X}</m:e></m:mr><m:mr><m:e>{N}</m:e></m:mr></m:m></m:e></m:d>", "(x; n)"),
        (f"<m:eqArr><m:e>{letter('a&amp;=1')}</m:e><m:e>{letter('b&amp;=2')}</m:e></m:eqArr>", "a=1; b=2"),
        (form("phant", '<m:show m:val="0"/>', e=N) + X, "x"),
        (letter("f\u2061") + X, "fx"),
    ],
)  # fmt: skip
def test_equations_are_one_line(inside: str, line: str) -> None:
    """As UnicodeMath writes them, in a sentence and by themselves."""
    assert texts(docx(paragraph(run("so ") + math(inside)))) == [f"so {line}"]
    alone = f"<m:oMathPara>{math(inside)}</m:oMathPara>"
    assert texts(docx(paragraph(alone))) == [line]
    assert texts(docx(alone)) == [line]


def test_equations_that_stand_together_are_lines() -> None:
    """Each its own."""
    assert texts(docx(paragraph(f"<m:oMathPara>{math(X)}{math(N)}</m:oMathPara>"))) == ["x\nn"]


def test_a_ruby_without_a_reading_is_its_base() -> None:
    """No empty parentheses."""
    base = f"<w:rubyBase>{run('東京')}</w:rubyBase>"
    assert texts(docx(paragraph(f"<w:r><w:ruby><w:rt/>{base}</w:ruby></w:r>"))) == ["東京"]


def test_signs_and_line_ends() -> None:
    """Tabs of both kinds, breaks, hyphens; a line end in the source is a blank, and a soft hyphen is nothing."""
    signs = "<w:r><w:t>a</w:t><w:{}/><w:t>b</w:t></w:r>"
    shown = {"tab": "a\tb", "ptab": "a\tb", "br": "a\nb", "cr": "a\nb", "noBreakHyphen": "a-b", "softHyphen": "ab"}
    for name, text in shown.items():
        assert texts(docx(paragraph(signs.format(name)))) == [text]
    assert texts(docx(paragraph("<w:r><w:t>a\nb</w:t></w:r>"))) == ["a b"]
