"""PDF: lines in the order in which they are read, on turned pages, in columns and in tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from pdf_files import column, sheet, shown

from nexus_graph.atoms.model import Limits, collect
from nexus_graph.atoms.recipes import RECIPES

INPUTS = Path(__file__).parent / "inputs"
TABLE = ["Region Units", "North 12", "South 9", "Total 21"]
LEFT = [
    "the pump is started when the",
    "level in the tank has fallen",
    "below the mark that is shown",
    "on the side of the housing and",
    "then runs until the float has",
]
RIGHT = [
    "closed the valve again which",
    "takes about four minutes in a",
    "warm room and rather longer",
    "where the oil is cold because",
    "it then moves more slowly.",
]


def lines(data: bytes) -> list[str]:
    """The lines of the only page."""
    (draft,) = collect(RECIPES["pdf.pages"], data, {}, Limits()).drafts
    return draft.text.split("\n")


def in_rows(*columns: list[str], lefts: tuple[int, ...], lower: int = 0) -> str:
    """Columns that are drawn row by row; each stands `lower` than the one before."""
    return shown(
        *(
            (left, 500 - 14 * number - lower * at, line)
            for number, row in enumerate(zip(*columns, strict=True))
            for at, (left, line) in enumerate(zip(lefts, row, strict=True))
        )
    )


def test_a_rotated_page_is_read_from_its_own_top() -> None:
    """Whatever turns the page for display: its lines come from top to bottom, not in the order of the file."""
    data = (INPUTS / "73-rotated.pdf").read_bytes()
    assert lines(data) == ["Top left words", "Far right words", "Bottom words"]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270, -90, 450])
def test_lines_of_a_rotated_page(rotation: int) -> None:
    """Ordinary text on a page that is displayed turned."""
    data = sheet(shown(*column(50, 500, TABLE)), page=f"/Rotate {rotation}")
    assert lines(data) == TABLE


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("matrix", ["1 0 0 1", "0 1 -1 0", "-1 0 0 -1", "0 -1 1 0"])
def test_lines_of_text_with_a_rotated_matrix(matrix: str, rotation: int) -> None:
    """No words are glued from the third line on, and the lines stay in order."""
    drawn = " T* ".join(f"({line}) Tj" for line in TABLE)
    data = sheet(f"BT /F1 12 Tf {matrix} 200 300 Tm 14 TL {drawn} ET", page=f"/Rotate {rotation}")
    assert lines(data) == TABLE


def test_a_hyphen_on_a_rotated_page() -> None:
    """It ends its line there as well."""
    data = sheet("BT /F1 12 Tf 0 1 -1 0 100 100 Tm 14 TL (the self-) Tj T* (locking nut) Tj ET", page="/Rotate 90")
    assert lines(data) == ["the self-", "locking nut"]


def test_text_outside_of_a_rotated_page_stays_out() -> None:
    """The box turns with the page."""
    pieces = (50, 500, "Inside words"), (50, 700, "Above the sheet"), (450, 300, "Right of it")
    data = sheet(shown(*pieces), media="0 0 800 800", page="/CropBox [0 0 400 600] /Rotate 90")
    assert lines(data) == ["Inside words"]


def test_a_title_at_the_side_stays_whole() -> None:
    """Some words that are turned against the rest of the page."""
    side = "BT /F1 12 Tf 0 1 -1 0 20 440 Tm (Side words) Tj ET\n"
    assert lines(sheet(side + shown(*column(60, 500, LEFT)))) == ["Side words", *LEFT]
    headed = shown(*column(60, 500, LEFT), (60, 400, "South")) + "BT /F1 12 Tf 0 1 -1 0 112 400 Tm (North) Tj ET"
    assert lines(sheet(headed)) == [*LEFT, "South", "North"]


@pytest.mark.parametrize("lower", [0, 3])
def test_columns_that_were_drawn_row_by_row(lower: int) -> None:
    """Prose is read column by column, below its title and above its page number."""
    title, footer = shown((60, 540, "A title that stands across both of the columns")), shown((180, 40, "page 7"))
    data = sheet(f"{title}\n{in_rows(LEFT, RIGHT, lefts=(30, 220), lower=lower)}\n{footer}")
    assert lines(data) == ["A title that stands across both of the columns", *LEFT, *RIGHT, "page 7"]


def test_three_columns() -> None:
    """From left to right."""
    third = [line.replace("the", "one") for line in LEFT]
    data = sheet(in_rows(LEFT, RIGHT, third, lefts=(30, 220, 410)), media="0 0 650 600")
    assert lines(data) == [*LEFT, *RIGHT, *third]


def test_columns_in_their_own_order() -> None:
    """Columns that were drawn one after the other stay; a title that was drawn last comes first."""
    pieces = [*column(30, 500, LEFT), *column(220, 500, RIGHT), (60, 540, "A title across both columns")]
    assert lines(sheet(shown(*pieces))) == ["A title across both columns", *LEFT, *RIGHT]


def test_columns_with_room_between_paragraphs() -> None:
    """Gaps at different heights in both columns change nothing."""
    left = [*column(30, 500, LEFT[:3]), *column(30, 430, LEFT[3:])]
    right = [*column(220, 500, RIGHT[:2]), *column(220, 450, RIGHT[2:])]
    assert lines(sheet(shown(*left, *right))) == [*LEFT, *RIGHT]


def test_columns_of_a_word_processor_and_of_a_browser() -> None:
    """Two columns of paragraphs that begin AAA, BBB, ... as LibreOffice and Chromium print them."""
    for name, letters in (("pdf-columns.pdf", "ABCDEF"), ("pdf-browser.pdf", "ABCDEFGH")):
        drafts = collect(RECIPES["pdf.pages"], (INPUTS / name).read_bytes(), {}, Limits()).drafts
        text = "\n".join(draft.text for draft in drafts)
        marks = [letter * 3 for letter in letters]
        assert sorted(marks, key=text.index) == marks
        assert "Pumps and valves" in text[: text.index("AAA")]


ROWS = [
    ["Part", "Description", "Price"],
    ["P-1", "Pump with a long hose", "12"],
    ["P-2", "Seal of the pump", "3"],
    ["P-3", "Valve for cold oil", "44"],
    ["P-4", "Valve for warm oil", "45"],
    ["P-5", "Float", "4"],
]


def test_a_table_is_not_torn_into_columns() -> None:
    """Whether it was drawn row by row or column by column: a row stays a line, and numbers stay apart."""
    columns = [list(cells) for cells in zip(*ROWS, strict=True)]
    expected = [" ".join(row) for row in ROWS]
    assert lines(sheet(in_rows(*columns, lefts=(30, 120, 300)))) == expected
    pieces = [piece for left, cells in zip((30, 120, 300), columns, strict=True) for piece in column(left, 500, cells)]
    assert lines(sheet(shown(*pieces))) == expected


def test_a_table_of_sentences_is_not_torn_into_columns() -> None:
    """Cells that begin with a capital are no lines of running text."""
    columns = [[line.capitalize() for line in side] for side in (LEFT, RIGHT)]
    expected = [" ".join(row) for row in zip(*columns, strict=True)]
    assert lines(sheet(in_rows(*columns, lefts=(30, 220)))) == expected


def test_lines_that_were_drawn_from_the_bottom_up() -> None:
    """They are read from the top."""
    assert lines(sheet(shown(*reversed(column(30, 500, LEFT))))) == LEFT


def test_what_stands_beside_a_line_belongs_to_it() -> None:
    """A footnote mark that was drawn by itself."""
    raised = (
        "BT /F1 12 Tf 50 500 Td (See the note) Tj ET BT /F1 7 Tf 120 505 Td (2) Tj ET BT /F1 12 Tf 50 480 Td (x) Tj ET"
    )
    assert lines(sheet(raised)) == ["See the note 2", "x"]


def test_words_whose_letters_are_set_apart() -> None:
    """Letter spacing makes no words of letters, whether by an operator, by moving each letter, or one by one."""
    spaced = "BT /F1 12 Tf 6 Tc 50 500 Td (Spaced letters) Tj ET"
    moved = "BT /F1 12 Tf 50 480 Td [" + "-600".join(f"({letter})" for letter in "Wide") + "-1500"
    moved += "-600".join(f"({letter})" for letter in "set") + "] TJ ET"
    single = shown(*((50 + 12 * at, 460, letter) for at, letter in enumerate("one word")))
    assert lines(sheet("\n".join((spaced, moved, single)))) == ["Spaced letters", "Wide set", "one word"]


def test_spaces_that_are_only_seen() -> None:
    """A space made by moving on beside a kerned letter, as troff writes it, is a space; a divided word is none."""
    troff = "BT /F1 12 Tf 50 500 Td 3.1 Tc (Ac) Tj 0 Tc 17.1 0 Td [(olon)-300(that)-300(sepa)5(rates)] TJ ET"
    assert lines(sheet(troff)) == ["A colon that separates"]
    known = "BT /F1 12 Tf 50 500 Td [(A)-230(colon)-240(was)-230(W)60(anted)-240(Anyway)-240(now)] TJ ET"
    assert lines(sheet(known)) == ["A colon was Wanted Anyway now"]


def test_a_table_that_is_printed_sideways() -> None:
    """Cells that were drawn one by one make rows, whichever way the table is turned."""
    cells = [(60 * at, -14 * number, cell) for number, row in enumerate(ROWS) for at, cell in enumerate(row)]
    for matrix in ("1 0 0 1", "0 1 -1 0", "-1 0 0 -1", "0 -1 1 0"):
        drawn = "\n".join(f"BT /F1 12 Tf 1 0 0 1 {2.4 * left} {low} Tm ({cell}) Tj ET" for left, low, cell in cells)
        data = sheet(f"q {matrix} 400 400 cm\n{drawn} Q", media="0 0 800 800")
        assert lines(data) == [" ".join(row) for row in ROWS], matrix


def test_letters_and_numbers_of_a_browser() -> None:
    """Spaced letters, ligatures, an emoji, a raised number and right-to-left text as Chromium prints them."""
    drafts = collect(RECIPES["pdf.pages"], (INPUTS / "pdf-browser.pdf").read_bytes(), {}, Limits()).drafts
    found = drafts[-1].text.split("\n")
    assert {"spaced letters here", "office affluent 😀 x 2", "P-2 Seal 3", "שלום עולם 123 משפט"} <= set(found)


def test_a_page_of_many_lines_is_read_in_time() -> None:
    """Ten thousand words at places without any order: each is there once."""
    places = [(number * 7919 % 10_000, f"w{number}") for number in range(10_000)]
    pieces = [(place % 100 * 60, place // 100 * 60, word) for place, word in places]
    words = " ".join(lines(sheet(shown(*pieces), media="0 0 6100 6100"))).split()
    assert sorted(words) == sorted(word for _, word in places)
