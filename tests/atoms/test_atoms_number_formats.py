"""Numbers as their formats mean them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_graph.atoms.recipes.number_formats import digits, number_format


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        ("General", "0.30000000000000004", "0.3"),
        ("General", "1.1000000000000001", "1.1"),
        ("0%", "0.12", "12%"),
        ("0.0%", "0.1234", "12.34%"),
        ("General", "1E-7", "0.0000001"),
        ("00000", "1234", "01234"),
        ("000-00-0000", "78051120", "078-05-1120"),
        ("(000) 000-0000", "5551234567", "(555) 123-4567"),
        ('"$"#,##0.00', "-1200.5", "-$1200.5"),
        ('_("$"* #,##0.00_);_("$"* \\(#,##0.00\\);_("$"* "-"??_);_(@_)', "-1200.5", "$(1200.5)"),
        ('_("$"* #,##0.00_);_("$"* \\(#,##0.00\\);_("$"* "-"??_);_(@_)', "0", "$0"),
        ("#,##0.00 [$€-407]", "1234.5", "1234.5 €"),
        ("[$€-2] #,##0", "1234", "€ 1234"),
        ('0.0" kg"', "12.34", "12.34 kg"),
        ("#,##0,", "1200000", "1200"),
        ('0.0,,"M"', "1234567", "1.234567M"),
        ('[>=1000000]0.0,,"M";[>=1000]0.0,"K";0', "2500", "2.5K"),
        ('[>=1000000]0.0,,"M";[>=1000]0.0,"K";0', "25", "25"),
        ("0;[Red]0", "-5", "-5"),
        ('0" Cr";0" Dr"', "-5", "-5 Dr"),
        ('"Yes";"Yes";"No"', "1", "Yes"),
        ('"Yes";"Yes";"No"', "0", "No"),
        ("0.00E+00", "12345", "12345"),
        ("# ?/?", "0.5", "0.5"),
        ("@", "12", "12"),
        (";;;", "12", "12"),
        ("yyyy-mm-dd", "45000", "2023-03-15"),
        ("m/d/yy h:mm", "45000.75", "2023-03-15T18:00:00"),
        ("h:mm", "0.604166666666667", "14:30:00"),
        ("[h]:mm:ss", "1.5", "36:00:00"),
        ("mm:ss.0", "0.000011574074", "00:00:01"),
        ("d", "60", "1900-02-29"),
        ("d", "1", "1900-01-01"),
        ("d", "61", "1900-03-01"),
        ("d", "0", "1900-01-00"),
        ("h:mm", "0", "00:00:00"),
        ("yyyy", "-1", "-1"),
        ("[$-409]mmm yy", "45000", "2023-03-15"),
        ("mm", "45000", "2023-03-15"),
        ("h AM/PM", "0.5", "12:00:00"),
        ('General" kg"', "3", "3 kg"),
        ("0.00", "3", "3"),
        ("#.##", "0.5", "0.5"),
        ("0\\%", "5", "5%"),
        ('0.0"%"', "5", "5%"),
        ("#,##0", "12345678901234567890", "12345678901234567890"),
        ("0", "abc", "abc"),
        ("0", "NaN", "NaN"),
        ("#", "0", "0"),
        ("+0;-0", "-3", "-3"),
        ("+0;-0", "3", "+3"),
        ("0.0000000", "1234.5678901234567", "1234.56789012346"),
    ],
)
def test_a_number_says_what_its_format_means(code: str, value: str, expected: str) -> None:
    """All digits, with signs, words, zeros and scale; dates, times and durations."""
    assert number_format(code).show(value) == expected


def test_days_are_counted_from_either_year() -> None:
    """Old Macs began in 1904."""
    assert number_format("d").show(0, since_1904=True) == "1904-01-01"
    assert number_format("d").show(43538, since_1904=True) == number_format("d").show(45000) == "2023-03-15"


@pytest.mark.parametrize(("value", "expected"), [(3.0, "3"), (12.5, "12.5"), (-0.0, "-0"), (1e21, "1" + "0" * 21)])
def test_numbers_that_are_no_texts(value: float, expected: str) -> None:
    """As xls files hold them."""
    assert digits(value) == expected


@given(st.text(max_size=30), st.floats() | st.text(max_size=12))
def test_no_format_fails(code: str, value: str | float) -> None:
    """Whatever an author wrote there; and what is no number comes back as it is."""
    shown = number_format(code).show(value)
    assert isinstance(shown, str)
    if isinstance(value, str) and not any(map(str.isdigit, value)):
        assert shown == value.strip() or "nan" in value.lower() or "inf" in value.lower()


@given(st.text(st.sampled_from('0#?.,%;-()$"\\\\[]Red_* eE+/@ymdhsGeneral'), max_size=20), st.integers(-(10**6), 10**6))
def test_no_whole_number_loses_its_sign_or_fails(code: str, value: int) -> None:
    """With the signs that formats are made of."""
    assert isinstance(number_format(code).show(str(value)), str)
