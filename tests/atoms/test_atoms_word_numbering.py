"""Automatic numbering in Word files: what is printed before a paragraph."""

from __future__ import annotations

import pytest
from word_files import docx, left_out, paragraph, read, texts

from nexus_graph.atoms.recipes.word.number_formats import formatted

LEGAL = "<w:isLgl/>"


def level(place: int, form: str = "decimal", text: str | None = None, more: str = "", start: str = "1") -> str:
    """A level of a list: "1.", "1.1", "1.1.1" unless told otherwise."""
    usual = ".".join(f"%{number}" for number in range(1, place + 2)) + ("." if place == 0 else "")
    begins = f'<w:start w:val="{start}"/><w:numFmt w:val="{form}"/>'
    return f'<w:lvl w:ilvl="{place}">{begins}{more}<w:lvlText w:val="{usual if text is None else text}"/></w:lvl>'


def definition(*levels: str, key: int = 0, more: str = "") -> str:
    """A list definition."""
    return f'<w:abstractNum w:abstractNumId="{key}">{more}{"".join(levels)}</w:abstractNum>'


def numbered(list_id: int, overrides: str = "", key: int = 0) -> str:
    """A list of a definition."""
    return f'<w:num w:numId="{list_id}"><w:abstractNumId w:val="{key}"/>{overrides}</w:num>'


def item(text: str, place: int = 0, list_id: int = 1, more: str = "") -> str:
    """A paragraph in a list."""
    of_list = f'<w:numPr><w:ilvl w:val="{place}"/><w:numId w:val="{list_id}"/></w:numPr>'
    return paragraph(text, f"{more}{of_list}")


USUAL = definition(*(level(place) for place in range(4)))
RESTARTED = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride>'


def test_levels_count_by_themselves_and_begin_anew() -> None:
    """A deeper level begins anew after each upper one; text between does not matter."""
    body = [item("a"), item("b", 1), item("c", 1), item("d", 2), paragraph("prose"), item("e"), item("f", 1)]
    assert texts(docx("".join(body), numbering=USUAL + numbered(1))) == [
        "1. a",
        "1.1 b",
        "1.2 c",
        "1.2.1 d",
        "prose",
        "2. e",
        "2.1 f",
    ]


def test_levels_that_are_passed_over_stand_at_their_first_number() -> None:
    """As Word and LibreOffice print it."""
    body = [item("a", 1), item("b"), item("c", 1), item("d", 3), item("e"), item("f", 2)]
    assert texts(docx("".join(body), numbering=USUAL + numbered(1))) == [
        "1.1 a",
        "2. b",
        "2.1 c",
        "2.1.1.1 d",
        "3. e",
        "3.1.1 f",
    ]


def test_lists_of_one_definition_count_on_unless_they_begin_anew() -> None:
    """A list that begins anew does so once; then both count on together."""
    body = [item("a"), item("b", list_id=2), item("c", list_id=3), item("d", list_id=3), item("e"), item("f", 1, 3)]
    lists = numbered(1) + numbered(2) + numbered(3, RESTARTED)
    assert texts(docx("".join(body), numbering=USUAL + lists)) == ["1. a", "2. b", "1. c", "2. d", "3. e", "3.1 f"]


def test_a_list_may_define_a_level_anew() -> None:
    """With another start, format and text."""
    other = f'<w:lvlOverride w:ilvl="0">{level(0, "lowerRoman", "(%1)", start="5")}</w:lvlOverride>'
    body = item("a", list_id=2) + item("b", list_id=2)
    assert texts(docx(body, numbering=USUAL + numbered(2, other))) == ["(v) a", "(vi) b"]


@pytest.mark.parametrize(
    ("restart", "printed"),
    [
        (None, ["1. a", "1.1 b", "1.1.1 c", "1.2 d", "1.2.1 e", "2. f", "2.1.1 g"]),
        (0, ["1. a", "1.1 b", "1.1.1 c", "1.2 d", "1.2.2 e", "2. f", "2.1.3 g"]),
        (1, ["1. a", "1.1 b", "1.1.1 c", "1.2 d", "1.2.2 e", "2. f", "2.1.1 g"]),
    ],
)
def test_what_begins_a_level_anew(restart: int | None, printed: list[str]) -> None:
    """Every upper level, none, or those up to one."""
    more = "" if restart is None else f'<w:lvlRestart w:val="{restart}"/>'
    definitions = definition(level(0), level(1), level(2, more=more))
    places = {"a": 0, "b": 1, "c": 2, "d": 1, "e": 2, "f": 0, "g": 2}
    body = "".join(item(text, place) for text, place in places.items())
    assert texts(docx(body, numbering=definitions + numbered(1))) == printed


def test_a_legal_level_prints_all_numbers_as_digits() -> None:
    """Only that level."""
    levels = level(0, "upperRoman"), level(1, more=LEGAL), level(2, "lowerLetter")
    body = item("a") + item("b", 1) + item("c", 2)
    assert texts(docx(body, numbering=definition(*levels) + numbered(1))) == ["I. a", "1.1 b", "I.1.a c"]


@pytest.mark.parametrize(("suffix", "printed"), [("tab", "1. a"), ("space", "1. a"), ("nothing", "1.a")])
def test_the_gap_after_a_number(suffix: str, printed: str) -> None:
    """A tab and a space are a space; nothing is nothing."""
    definitions = definition(level(0, more=f'<w:suff w:val="{suffix}"/>'))
    assert texts(docx(item("a"), numbering=definitions + numbered(1))) == [printed]


SYMBOL = '<w:rPr><w:rFonts w:ascii="{font}" w:hAnsi="{font}"/></w:rPr>'


@pytest.mark.parametrize(
    ("text", "font", "printed"),
    [
        ("\uf0b7", "Symbol", "•"),
        ("\uf0a7", "Wingdings", "▪"),
        ("\uf0d8", "Wingdings", "➢"),
        ("\uf0fc", "Wingdings", "✓"),
        ("\uf0b7", "Times", "•"),
        ("o", "Courier New", "◦"),
        ("–", "Times", "–"),
        ("", "Symbol", "•"),
    ],
)
def test_bullets(text: str, font: str, printed: str) -> None:
    """Whatever font draws them; that of a picture is a plain one."""
    definitions = definition(
        f'<w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="{text}"/>{SYMBOL.format(font=font)}</w:lvl>'
    )
    assert read(docx(item("a"), numbering=definitions + numbered(1))) == [("item", f"{printed} a")]


STYLES = """
<w:style w:type="paragraph" w:default="1" w:styleId="Normal"/>
<w:style w:type="paragraph" w:styleId="H1"><w:name w:val="heading 1"/>
  <w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="H2"><w:name w:val="heading 2"/><w:basedOn w:val="H1"/></w:style>
<w:style w:type="paragraph" w:styleId="H3"><w:name w:val="heading 3"/><w:basedOn w:val="H1"/>
  <w:pPr><w:numPr><w:ilvl w:val="2"/></w:numPr></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Plain"><w:name w:val="heading 4"/><w:basedOn w:val="H1"/>
  <w:pPr><w:numPr><w:numId w:val="0"/></w:numPr></w:pPr></w:style>
<w:style w:type="numbering" w:styleId="Clauses"><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>
"""


def test_styles_number_paragraphs() -> None:
    """By the level that belongs to the style, or that it states, also through styles that it is based on."""
    levels = [level(place, more=f'<w:pStyle w:val="H{place + 1}"/>') for place in range(2)]
    body = "".join(paragraph(name, f'<w:pStyle w:val="{name}"/>') for name in ("H1", "H2", "H3", "Plain", "H2"))
    body += paragraph("off", '<w:pStyle w:val="H1"/><w:numPr><w:numId w:val="0"/></w:numPr>')
    body += paragraph("own level", '<w:pStyle w:val="H1"/><w:numPr><w:ilvl w:val="1"/></w:numPr>')
    data = docx(body, numbering=definition(*levels, level(2)) + numbered(1), styles=STYLES)
    assert read(data) == [
        ("heading", "1. H1"),
        ("heading", "1.1 H2"),
        ("heading", "1.1.1 H3"),
        ("heading", "Plain"),
        ("heading", "1.2 H2"),
        ("heading", "off"),
        ("heading", "1.3 own level"),
    ]


def test_a_definition_may_stand_for_that_of_a_style() -> None:
    """And ones that stand for each other number nothing, and end."""
    link = '<w:numStyleLink w:val="Clauses"/>'
    linked = definition(key=1, more=link) + definition(level(0, "upperLetter")) + numbered(1) + numbered(2, key=1)
    assert texts(docx(item("a", list_id=2) + item("b"), numbering=linked, styles=STYLES)) == ["A. a", "B. b"]
    circle = definition(key=1, more=link) + numbered(1, key=1)
    assert texts(docx(item("a"), numbering=circle, styles=STYLES)) == ["a"]


def test_paragraphs_that_are_not_seen_are_not_counted() -> None:
    """Those that are deleted or hidden; one that holds nothing but its number counts, and makes no atom."""
    deleted = paragraph(
        "<w:del><w:r><w:delText>b</w:delText></w:r></w:del>",
        '<w:numPr><w:numId w:val="1"/></w:numPr><w:rPr><w:del/></w:rPr>',
    )
    hidden = paragraph(
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t>c</w:t></w:r>",
        '<w:numPr><w:numId w:val="1"/></w:numPr><w:rPr><w:vanish/></w:rPr>',
    )
    data = docx(item("a") + deleted + hidden + item("d") + item("") + item("e"), numbering=USUAL + numbered(1))
    assert texts(data) == ["1. a", "2. d", "4. e"]


def test_a_hidden_number_is_counted_and_not_printed() -> None:
    """As that of a level whose number is hidden."""
    hidden = definition(level(0, more="<w:rPr><w:vanish/></w:rPr>"), level(1))
    assert texts(docx(item("a") + item("b", 1), numbering=hidden + numbered(1))) == ["a", "1.1 b"]


def test_a_style_separator_keeps_heading_and_text_in_one_line() -> None:
    """The end of the heading is hidden; its number stands, and what follows has none."""
    end = "<w:rPr><w:vanish/><w:specVanish/></w:rPr>"
    body = paragraph("Scope.", f'<w:pStyle w:val="H1"/>{end}') + paragraph(" This contract covers pumps.")
    data = docx(body, numbering=definition(level(0)) + numbered(1), styles=STYLES)
    assert read(data) == [("heading", "1. Scope. This contract covers pumps.")]


def test_numbers_in_cells_and_in_sdt() -> None:
    """Lists count in the order of the document, wherever their paragraphs stand."""
    table = f"<w:tbl><w:tr><w:tc>{item('b')}{item('c')}</w:tc></w:tr></w:tbl>"
    control = f"<w:sdt><w:sdtContent>{item('d')}</w:sdtContent></w:sdt>"
    data = docx(item("a") + table + control, numbering=USUAL + numbered(1))
    assert texts(data) == ["1. a", "2. b 3. c", "4. d"]


def test_a_list_that_is_not_there_prints_nothing() -> None:
    """Nor does a level that is not there."""
    body = item("a", list_id=9) + item("b", 8)
    assert read(docx(body, numbering=definition(level(0)) + numbered(1))) == [("paragraph", "a"), ("paragraph", "b")]


def test_a_format_that_is_not_known_is_told() -> None:
    """Its numbers are digits; a custom one is known by its pattern."""
    custom = '<w:numFmt w:val="custom" w:format="{pattern}"/>'
    shape = (
        '<w:lvl w:ilvl="0"><w:start w:val="1"/><mc:AlternateContent><mc:Choice Requires="w14">{choice}</mc:Choice>'
        '<mc:Fallback><w:numFmt w:val="decimal"/></mc:Fallback></mc:AlternateContent><w:lvlText w:val="%1."/></w:lvl>'
    )
    for pattern, printed, told in [
        ("001, 002, 003, ...", "001. a", []),
        ("α, β, γ, ...", "1. a", [("number format", "α, β, γ, ...")]),
    ]:
        definitions = definition(shape.format(choice=custom.format(pattern=pattern)))
        data = docx(item("a"), numbering=definitions + numbered(1))
        assert (texts(data), left_out(data)) == ([printed], told)


@pytest.mark.parametrize(
    ("form", "numbers", "printed"),
    [
        ("decimal", [0, 12], ["0", "12"]),
        ("decimalZero", [1, 10, 100], ["01", "10", "100"]),
        ("upperRoman", [4, 9, 14, 1994, 0], ["IV", "IX", "XIV", "MCMXCIV", "0"]),
        ("lowerRoman", [3, 40], ["iii", "xl"]),
        ("upperLetter", [1, 26, 27, 53], ["A", "Z", "AA", "AAA"]),
        ("lowerLetter", [2, 28], ["b", "bb"]),
        ("ordinal", [1, 2, 3, 4, 11, 12], ["1st", "2nd", "3rd", "4th", "11th", "12th"]),
        ("ordinal", [13, 21, 111, 122], ["13th", "21st", "111th", "122nd"]),
        ("cardinalText", [0, 7, 21, 100], ["Zero", "Seven", "Twenty-one", "One hundred"]),
        ("cardinalText", [1115], ["One thousand one hundred fifteen"]),
        ("ordinalText", [1, 5, 12, 20], ["First", "Fifth", "Twelfth", "Twentieth"]),
        ("ordinalText", [32, 300], ["Thirty-second", "Three hundredth"]),
        ("hex", [10, 255], ["A", "FF"]),
        ("chicago", [1, 4, 5], ["*", "§", "**"]),
        ("numberInDash", [3], ["- 3 -"]),
        ("none", [3], [""]),
        ("decimalEnclosedCircle", [1, 20, 21], ["①", "⑳", "21"]),
        ("decimalFullWidth", [10], ["１０"]),
        ("russianLower", [1, 9, 10, 29], ["а", "и", "к", "я"]),
        ("arabicAlpha", [2], ["ب"]),
        ("thaiNumbers", [10], ["๑๐"]),
        ("ideographDigital", [10], ["一〇"]),
        ("chineseCounting", [9, 10, 11, 20], ["九", "十", "十一", "二十"]),
        ("chineseCounting", [110, 101, 1001], ["一百一十", "一百〇一", "一千〇一"]),
        ("chineseLegalSimplified", [10], ["壹拾"]),
        ("koreanDigital", [12], ["일이"]),
        ("aiueoFullWidth", [2], ["イ"]),
        ("ganada", [3], ["다"]),
    ],
)  # fmt: skip
def test_number_formats(form: str, numbers: list[int], printed: list[str]) -> None:
    """As ISO 29500 shows them."""
    assert [formatted(number, form, None, "en-US") for number in numbers] == printed


@pytest.mark.parametrize("form", ["upperRoman", "upperLetter", "chineseCounting", "ordinalText", "chicago"])
def test_numbers_that_are_too_large_for_a_format_are_digits(form: str) -> None:
    """No number is written in a million letters."""
    for number in (-1, 2**31):
        assert formatted(number, form, None, "en") == str(number)


def test_words_of_another_language_are_not_made_up() -> None:
    """Ordinals are known in English only."""
    assert formatted(2, "ordinal", None, "en-GB") == "2nd"
    assert formatted(2, "ordinal", None, "de-DE") is None
    assert formatted(2, "hindiVowels", None, "en") is None
