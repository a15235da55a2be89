"""The settings of the object store are looked at together, and all that is wrong with them is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_graph import config
from nexus_graph.scope.errors import ConfigurationError

PLAIN = {
    "NEXUS_DATA": "data",
    "NEXUS_ERASURE_LEDGER": "ledger.jsonl",
    "NEXUS_SIGNING_SECRET": "s" * 32,
    "NEXUS_DEVELOPMENT_KEY": "key.json",
}
S3 = {"NEXUS_OBJECTS": "s3", "NEXUS_S3_BUCKET": "nexus", "NEXUS_S3_REGION": "eu-central-1"}


def refused(**settings: str) -> list[str]:
    """The lines that a start with these settings ends with, without the last, which says where to mend them."""
    named = {f"NEXUS_{name.upper()}": value for name, value in settings.items()}
    with pytest.raises(ConfigurationError) as refusal:
        config.load(PLAIN | named, None)
    return str(refusal.value).splitlines()[:-1]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of settings is near."""
    monkeypatch.chdir(tmp_path)


def test_files_are_the_default_and_a_bucket_needs_little() -> None:
    """A bucket and a region are enough on AWS, where the machine has credentials of its own."""
    assert config.load(PLAIN).config.objects == "files"
    found = config.load(PLAIN | S3).config
    assert (found.objects, found.s3_bucket, found.s3_region) == ("s3", "nexus", "eu-central-1")
    assert (found.s3_endpoint, found.s3_access_key, found.s3_prefix) == (None, None, "")


def test_everything_that_is_missing_is_named_at_once() -> None:
    """In one go, also beside settings that are wrong by themselves."""
    assert refused(objects="s3", s3_secret_key="x") == [
        "NEXUS_S3_BUCKET is missing, as NEXUS_OBJECTS is s3; NEXUS_S3_REGION is missing, as NEXUS_OBJECTS is s3; "
        "NEXUS_S3_ACCESS_KEY and NEXUS_S3_SECRET_KEY go together."
    ]
    lines = refused(objects="s3", s3_bucket="nexus", s3_addressing="sideways")
    assert [line.partition(" ")[0] for line in lines] == ["NEXUS_S3_ADDRESSING", "NEXUS_S3_REGION"]


def test_settings_that_nothing_looks_at_are_refused() -> None:
    """A bucket that is named and not used is a mistake, and no fallback to files."""
    assert refused(s3_bucket="nexus") == ["NEXUS_S3_BUCKET is set, and NEXUS_OBJECTS is not s3."]


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"s3_endpoint": "s3.example"}, "NEXUS_S3_ENDPOINT"),
        ({"s3_endpoint": "http://key:secret@s3.example"}, "NEXUS_S3_ENDPOINT"),
        ({"s3_public_endpoint": "https://s3.example?a=b"}, "NEXUS_S3_PUBLIC_ENDPOINT"),
        ({"s3_prefix": "/house"}, "NEXUS_S3_PREFIX"),
        ({"s3_prefix": "house/../other"}, "NEXUS_S3_PREFIX"),
        ({"s3_seconds": "0"}, "NEXUS_S3_SECONDS"),
        ({"s3_encryption": "rot13"}, "NEXUS_S3_ENCRYPTION"),
        ({"s3_encryption": "AES256", "s3_encryption_key": "a-key"}, "NEXUS_S3_ENCRYPTION_KEY"),
        ({"s3_ca": "nowhere.pem"}, "NEXUS_S3_CA"),
        ({"address_seconds": "604801"}, "NEXUS_ADDRESS_SECONDS"),
        ({"reservation_seconds": "604801"}, "NEXUS_RESERVATION_SECONDS"),
    ],
)
def test_what_can_not_be_is_refused(wrong: dict[str, str], word: str) -> None:
    """And nothing that may hold a secret is repeated."""
    bucket = {name.removeprefix("NEXUS_").lower(): value for name, value in S3.items()}
    [line] = refused(**bucket, **wrong)
    assert line.startswith(word)
    assert "secret" not in line


def test_no_page_shows_the_secret() -> None:
    """`nexus-graph config` masks it."""
    found = config.load(PLAIN | S3 | {"NEXUS_S3_ACCESS_KEY": "AKIA1", "NEXUS_S3_SECRET_KEY": "shown to nobody"})
    [shown] = [setting.value for setting in found.settings if setting.name == "NEXUS_S3_SECRET_KEY"]
    assert shown == "********"
    assert "shown to nobody" not in str(found)


def test_the_ledger_of_erasures_is_out_of_a_restores_reach() -> None:
    """A file outside of the data folder, or another bucket of the same object server."""
    assert config.load(PLAIN).config.ledger == Path("ledger.jsonl")
    for address, place in {
        "s3://kept/a/b": ("kept", "a/b"),
        "s3://kept": ("kept", ""),
        "s3://kept/": ("kept", ""),
    }.items():
        assert config.load(PLAIN | S3 | {"NEXUS_ERASURE_LEDGER": address}).config.ledger == place
    bucket = {"objects": "s3", "s3_bucket": "nexus", "s3_region": "eu-central-1"}
    for wrong, said in {
        "data/ledger.jsonl": "must lie outside of NEXUS_DATA",
        "https://kept/a": "is no place. Write a path, or s3://BUCKET/PREFIX",
        "s3://": "is no place",
        "s3://kept/../a": "is no place",
        "s3://nexus/ledger": "must be another bucket than NEXUS_S3_BUCKET",
    }.items():
        (line,) = refused(erasure_ledger=wrong, **bucket)
        assert f"NEXUS_ERASURE_LEDGER {said}" in line
    (line,) = refused(erasure_ledger="s3://kept")
    assert "NEXUS_ERASURE_LEDGER is a bucket, and NEXUS_OBJECTS, which says how to reach one, is not s3" in line
