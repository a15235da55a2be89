"""What may be declared of a file, and how its key is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_graph.assets import AssetRules, Reservation, safe_filename
from nexus_graph.assets.model import content_type, validated
from nexus_graph.scope.errors import Invalid
from nexus_graph.stores.blobs.base import valid_key

Declare = Callable[..., Reservation]


@pytest.mark.parametrize(
    ("filename", "safe"),
    [
        ("report.txt", "report.txt"),
        ("Q3 Bericht für Zoë (final).PDF", "Q3-Bericht-fur-Zoe-final.PDF"),
        ("../../etc/passwd", "etc-passwd"),
        ("..", "file"),
        (".env", "file.env"),
        ("数据.csv", "file.csv"),
        ("数据", "file"),
        ("a" * 300 + ".docx", "a" * 95 + ".docx"),
        ("no extension", "no-extension"),
        ("archive.tar.gz", "archive.tar.gz"),
        ("con\u202etxt.exe", "contxt.exe"),
        ("ﬁle①.txt", "file1.txt"),
        ("-rf", "rf"),
    ],
)
def test_a_filename_becomes_a_safe_one(filename: str, safe: str) -> None:
    """The documented rule, on the names that people and attackers give."""
    assert safe_filename(filename) == safe


@given(st.text(max_size=300))
def test_every_filename_gives_a_part_of_a_key(filename: str) -> None:
    """Whatever the name, the safe one is a single well-formed part of a key."""
    safe = safe_filename(filename)
    assert "/" not in safe
    assert len(safe) <= 100
    assert valid_key(f"raw/asset_1/{safe}")


@pytest.mark.parametrize(
    ("given_type", "kept"),
    [
        ("text/plain", "text/plain"),
        ("Text/HTML; charset=UTF-8", "text/html; charset=UTF-8"),
        ('multipart/mixed;boundary="a b"', 'multipart/mixed;boundary="a b"'),
        (
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
    ],
)
def test_content_types_are_taken(given_type: str, kept: str) -> None:
    """Type and subtype become lower case, parameters stay."""
    assert content_type(given_type) == kept


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "text", "text/", "/plain", "text/plain\r\nX-Evil: 1", "text/plain;", "text/plain; charset", "a/b c"),
        *("ä/b", "a/" + "b" * 300, 'a/b; c="\r\n"', " text/plain", "text/plain\n", "a/b;" * 50),
    ],
)
def test_malformed_content_types_are_refused(wrong: str) -> None:
    """Nothing that is no content type comes through, least of all a line break."""
    with pytest.raises(Invalid, match="contentType"):
        content_type(wrong)


@pytest.mark.parametrize(
    ("field", "given_fields"),
    [
        ("filename", {"filename": ""}),
        ("filename", {"filename": "   "}),
        ("filename", {"filename": "a" * 256}),
        ("filename", {"filename": "a\nb"}),
        ("filename", {"filename": "a\x00b"}),
        ("filename", {"filename": "a\u202egpj.exe"}),
        ("filename", {"filename": "a\ud800"}),
        ("filename", {"filename": "folder/a.txt"}),
        ("sizeBytes", {"size": 0}),
        ("sizeBytes", {"size": -1}),
        ("sizeBytes", {"size": 1_000_001}),
        ("sizeBytes", {"size": 2**70}),
        ("sha256", {"sha256": "A" * 64}),
        ("sha256", {"sha256": "a" * 63}),
        ("sha256", {"sha256": "a" * 64 + "\n"}),
        ("sourceRef", {"source_ref": "a" * 2001}),
        ("sourceRef", {"source_ref": "a\x1bb"}),
        ("captureLocation", {"capture_location": ""}),
        ("capturedAt", {"captured_at": datetime(2026, 1, 1)}),  # noqa: DTZ001
    ],
)
def test_a_broken_rule_names_its_field(
    declare: Declare, rules: AssetRules, field: str, given_fields: dict[str, object]
) -> None:
    """Each refusal names the field in the words of the schema and leads to it."""
    with pytest.raises(Invalid, match=f"^{field}: ") as refusal:
        validated(replace(declare(), **given_fields), rules)  # type: ignore[arg-type]
    assert refusal.value.path == ("input", field)
    assert refusal.value.hint


def test_what_people_name_their_files_is_taken(declare: Declare, rules: AssetRules) -> None:
    """Letters of any script, emoji with joiners and the longest name pass unchanged."""
    for filename in ("Übersicht 数据.csv", "👩‍👩‍👧 family.txt", "b" * 255, "it's [1] & 100%.md"):
        taken = validated(declare(filename=filename, captured_at=datetime(2026, 1, 1, tzinfo=UTC)), rules)
        assert taken.filename == filename


def test_labels_come_from_the_words_around_the_file(declare: Declare) -> None:
    """Filename, source and place are searched for personal data; consent is what was declared."""
    handling = declare(filename="mail to zoe@example.com.txt", source_ref="host 203.0.113.7", train_ok=False).handling
    assert handling.pii_flags == ("email", "ip_address")
    assert handling.train_ok is False
