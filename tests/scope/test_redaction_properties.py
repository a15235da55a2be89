"""What holds for any text: spans, idempotence, and time that grows with length and no faster."""

from __future__ import annotations

from typing import Any

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_graph.scope.redaction import find, findings, keccak, redact, redact_text, wallets

FRAGMENTS = [
    "a@b.co", "john.doe@example.com", "4111111111111111", "4111 1111 1111 1111", "DE89370400440532013000",
    "DE89 3704 0044 0532 0130 00", "123-45-6789", "SSN ", "+49 30 901820", "+1 212 555 1234", "(212) 555-1234",
    "212-555-1234", "phone: 212 555 1234", "10.1.2.3", "2001:db8::1", "https://u:pw1@h.io", "postgres://", "u:p@",
    "Bearer ", "abc123def456ghi7", "AKIA" + "IOSFODNN7EXAMPLE", "eyJhbGciOiJI.eyJzdWIi.abc", "sk-", "xoxb-1234567890-a",
    "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "version ", "v",
    "DOB: ", "1980-01-31", "NHS ", "943 476 5919", "912-70-1234", "ITIN ", "00:1a:2b:3c:4d:5e", "tel ", "020 7946 0958",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "0x" + "ab" * 20, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIi", "0049 30 901820", "ssn",
    "password: ", "DB_PASSWORD=", '"apiKey": "', "abc123DEF456ghi7", "value: ", "?password=", "access_token=", "sig=",
    "--token ", "curl -u a:", "fe80::1%eth0", "::ffff:10.1.2.3", "0171 2345678", "138 0013 8000", "+49",
    "8 (912) 345-67-89", "(date of birth)", "born in Rome on ", "4 May 1962", "mac ", "001a2b3c4d5e", "order ", "nhs ",
    "a at b dot com", "(at)", "b@c.de:/x", "bc1q", "0x", "glpat-", "Q~", "SSN: 123 45 6789",
    "de89 3704 0044 0532 0130 00",
    "[email]", "x5", "ext 3", "2024", *"@-+.,:/()_'[]=%#\n 10é\\",
]  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(FRAGMENTS), max_size=10).map("".join))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)


find("tel 0999999999")  # reads the numbering plans, once, which takes longer than an example may


@given(TEXTS)
def test_findings_are_sorted_apart_and_inside(text: str) -> None:
    """No finding is empty, reaches outside or overlaps the next."""
    findings = find(text)
    ends = [0, *(finding.end for finding in findings)]
    assert all(end <= finding.start < finding.end for end, finding in zip(ends, findings, strict=False))
    assert ends[-1] <= len(text)


@given(TEXTS)
def test_text_outside_of_findings_is_unchanged(text: str) -> None:
    """Putting each finding's text back in place of its kind gives the original."""
    redacted, place = redact_text(text), 0
    rebuilt, end = [], 0
    for finding in find(text):
        gap = finding.start - end
        rebuilt += [redacted[place : place + gap], text[finding.start : finding.end]]
        place, end = place + gap, finding.end
        assert redacted.startswith(f"[{finding.kind}]", place)
        place += len(f"[{finding.kind}]")
    assert "".join(rebuilt) + redacted[place:] == text


@given(TEXTS)
def test_a_redacted_text_holds_no_finding(text: str) -> None:
    """Redacting twice is redacting once."""
    assert find(redact_text(text)) == []


@settings(max_examples=60)
@given(VALUES)
def test_redaction_of_values_is_idempotent_and_loses_nothing(value: Any) -> None:
    """The second pass changes nothing and flags nothing; each mapping and list keeps its length."""
    redacted = redact(value).value
    again = redact(redacted)
    assert again.value == redacted
    assert again.pii_flags == ()
    assert entries(redacted) == entries(value)


def entries(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(entries, value.values()))
    return len(value) + sum(map(entries, value)) if isinstance(value, list) else 0


ALMOST = [
    "a@",
    "1-",
    "a.",
    "'a",
    "x://a:",
    "1.",
    "eyJaaaaaaaaaaa ",
    "-----BEGIN PRIVATE KEY-----",
    "DE89 ",
    "4111-",
    "bearer ",
    "(",
    "dob 19",
    "tel 0",
    "00 1 ",
    "00:1a:",
    "nhs 1",
    "0x" + "aB" * 20 + "c ",
    "1" * 33 + " ",
    "token=",
    "password: ",
    "password for the ",
    "secret_key_",
    "name: PASSWORD\nvalue: ",
    "sig=",
    "curl -u ",
    "a at b dot c ",
    "(at)",
    "://x?password= ",
    "PuTTY-User-Key-File-2: x\n",
    "fe80::1:",
    "::ffff:",
    "mac 00 ",
    "born in Rome on 1 ",
    "0912 345 67 ",
    "ssn 123 45 ",
    "patient 943 476 ",
    "de12 3456 ",
    "a" * 16 + " ",
]


@pytest.mark.parametrize("unit", ALMOST)
def test_a_long_text_of_almost_matches_ends(unit: str) -> None:
    """Nothing is found, and the test is over in a moment: a pattern that backtracks would take hours."""
    assert find(unit * (2**17 // len(unit))) == []


def test_a_mebibyte_of_all_of_them_ends() -> None:
    """Each for a while, one after the other."""
    assert find("\n\n".join(unit * (2**20 // len(ALMOST) // len(unit)) for unit in ALMOST)) == []


def test_glued_findings_are_told_apart_in_linear_rounds() -> None:
    """A long chain in which each finding ends the run of the one before is found whole."""
    for link in (f"{'a' * 60}@example.com'", "+1 212 555 1234", "10.0.0.1-", "(212) 555-1234", "10.0.0.1-123-45-6789 "):
        assert find(redact_text(link * 500)) == []


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("\n".join))
def test_findings_do_not_depend_on_how_far_the_rounds_look(text: str) -> None:
    """After the first round only the lines around a finding are searched, and that misses nothing."""
    found: list[findings.Finding] = []
    clear = text
    while more := findings._search(clear, 0):
        found += more
        clear = findings._walled(clear, sorted(more, key=lambda finding: finding.start))
    assert sorted(found, key=lambda finding: finding.start) == find(text)


def test_the_numbering_plan_is_asked_in_proportion_to_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the text asks the phone library at most twice as often, and text without `+` never."""
    calls = 0
    parse = phonenumbers.parse

    def counted(number: str) -> phonenumbers.PhoneNumber:
        nonlocal calls
        calls += 1
        return parse(number)

    monkeypatch.setattr(phonenumbers, "parse", counted)
    counts = []
    for repeat in (100, 200):
        calls = 0
        find("+49-1-1-1-1-1-1-1-1-1-1-1 " * repeat)
        counts.append(calls)
    assert 0 < counts[1] <= 2 * counts[0]
    calls = 0
    find("1-1-1-1-1-1-1-1 212-555-1234 " * 100)
    assert calls == 0


def test_checksums_are_computed_in_proportion_to_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the addresses ask for twice the digests, and what is all of one case for none."""
    calls = 0
    digest = keccak.keccak_256

    def counted(data: bytes) -> bytes:
        nonlocal calls
        calls += 1
        return digest(data)

    monkeypatch.setattr(wallets, "keccak_256", counted)
    counts = []
    for repeat in (20, 40):
        calls = 0
        find(f"0x{'aB' * 20} " * repeat)
        counts.append(calls)
    assert counts == [20, 40]
    find(f"0x{'ab' * 20} " * 20)
    assert calls == 40
