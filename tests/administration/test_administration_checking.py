"""Proof that what is kept agrees with itself: faults made by hand are found, and mended where they can be."""

from __future__ import annotations

import sqlite3

import pytest
from command_line import PLACE, Folder


def meddle(folder: Folder, statement: str) -> None:
    """Change rows behind the program's back."""
    database = sqlite3.connect(folder.path / "nexus-data" / "nexus.db")
    with database:
        assert database.execute(statement).rowcount > 0
    database.close()


def test_a_sound_folder_has_no_faults(stocked: Folder) -> None:
    """Nothing is found where nothing is wrong, and the status is 0."""
    assert stocked.json("check") == {"scopes": 1, "faults": [], "left": [], "repaired": False}
    assert stocked.good("check") == "1 scopes checked, 0 faults found, 0 left.\n"
    assert stocked.json("check", "--repair")["left"] == []


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("update index_vectors set vector = substr(vector, 1, 100) where rowid = 1", "wrong count or dimension"),
        ("delete from index_vectors where rowid = 1", "wrong count or dimension"),
        ("delete from index_entries where rowid = 2", "not in the index"),
        ("update index_entries set version = 7 where rowid = 3", "at another version"),
        ("update index_definitions set state = 'another'", "its state is not that of its rows"),
    ],
)
def test_a_fault_of_the_index_is_found_and_mended(stocked: Folder, statement: str, fault: str) -> None:
    """The index is told to be wrong with status 1, mended with `--repair`, and then sound."""
    meddle(stocked, statement)
    found = stocked.json("check", status=1)
    assert any(fault in line for line in found["faults"]), found
    mended = stocked.json("check", "--repair")
    assert (mended["faults"], mended["left"]) == (found["faults"], [])
    assert stocked.json("check")["faults"] == []


def test_a_lost_or_changed_object_is_found_and_stays_found(stocked: Folder) -> None:
    """Nothing can mend lost bytes: `--repair` says so and does not end with status 0."""
    [stored] = [path for path in (stocked.path / "nexus-data" / "objects").rglob("*.txt") if path.is_file()]
    stored.chmod(0o600)
    stored.write_bytes(b"something else")
    [fault] = stocked.json("check", status=1)["faults"]
    assert fault.startswith("t_acme/dev: asset asset_")
    assert fault.endswith("its object is not the bytes that were sealed")
    stored.unlink()
    for command in (("check",), ("check", "--repair")):
        [fault] = stocked.json(*command, status=1)["left"]
        assert fault.endswith("its object is missing")
    assert "1 faults found, 1 left" in stocked.run("check", "--repair").out


@pytest.mark.parametrize(
    "statement",
    [
        "update journal_runs set status = 'RUNNING' where rowid = 3",
        "update journal_runs set number = number + 1 where rowid = 3",
        "delete from journal_runs where rowid = 3",
    ],
)
def test_a_changed_run_is_found(stocked: Folder, statement: str) -> None:
    """A run that is not what its entries add up to is named."""
    meddle(stocked, statement)
    [fault] = stocked.json("check", status=1)["faults"]
    assert fault.startswith("t_acme/dev: run run_")


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("update journal_events set actor_id = 'nobody' where seq = 5", 5),
        ("update journal_events set payload = '{}' where seq = 4", 4),
        ("update journal_events set at = at + 1 where seq = 3", 3),
        ("delete from journal_events where seq = 6", 6),
        ("delete from journal_events where seq = (select max(seq) from journal_events)", None),
        ("update journal_events set salt = null where seq = 2", 2),
    ],
)
def test_a_changed_journal_is_named_by_its_first_bad_entry(stocked: Folder, statement: str, seq: int | None) -> None:
    """`audit verify` names the first bad seq with status 1, and `check` says the same."""
    [whole] = stocked.json("audit", "verify")
    assert (whole["firstBadSeq"], whole["reason"]) == (None, None)
    meddle(stocked, statement)
    [broken] = stocked.json("audit", "verify", status=1)
    assert broken["firstBadSeq"] == (seq or whole["entries"])
    assert broken["entries"] == broken["firstBadSeq"] - 1
    assert f"broken at seq {broken['firstBadSeq']}" in stocked.run("audit", "verify").out
    assert f"journal, seq {broken['firstBadSeq']}" in stocked.json("check", status=1)["faults"][0]


def test_audit_verify_looks_where_it_is_told(stocked: Folder) -> None:
    """A tenant or env without a journal is not passed over as sound."""
    assert stocked.good("audit", "verify", *PLACE).endswith("entries hold.\n")
    assert "no journal here" in stocked.bad("audit", "verify", "--tenant", "t_nobody")
    assert "no journal here" in stocked.bad("audit", "verify", "--env", "prod")


def test_another_embedder_needs_a_new_index(stocked: Folder) -> None:
    """After a switch of embedder nothing starts on mixed vectors; `reindex` switches, and all is sound again."""
    pytest.importorskip("onnxruntime", reason="the second embedder comes with the extra `local`")
    for command in (("serve",), ("check",), ("import", "material", *PLACE, "--train-ok")):
        said = stocked.bad(*command, status=2, embedder="onnx")
        assert "indexed with another: t_acme/dev with hashing" in said
        assert "Run `nexus-graph reindex`" in said
    assert stocked.good("reindex", *PLACE, embedder="onnx") == "4 cards indexed.\n"
    assert stocked.json("check", embedder="onnx")["faults"] == []
    assert stocked.json("import", "material", *PLACE, "--train-ok", embedder="onnx")["unchanged"] == 5
    assert "indexed with another" in stocked.bad("check", status=2)
    assert "No such tenant" in stocked.bad("reindex", "--tenant", "t_nobody", "--env", "dev", embedder="onnx")


def test_an_unknown_or_missing_embedder_stops_the_start(stocked: Folder) -> None:
    """What is wrong with the embedder is said with what to set or install."""
    for command in (("serve",), ("check",)):
        assert "known embedders: onnx, hashing, openai" in stocked.bad(*command, status=2, embedder="magic")
        said = stocked.bad(*command, status=2, embedder="openai")
        assert "NEXUS_EMBEDDER_ADDRESS" in said
        assert "NEXUS_EMBEDDER_KEY" in said
        assert "nowhere" in stocked.bad(*command, status=2, embedder="onnx", embedder_model="nowhere")
