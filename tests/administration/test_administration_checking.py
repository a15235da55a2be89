"""Proof that what is kept agrees with itself: faults made by hand are found, and mended where they can be."""

from __future__ import annotations

import sqlite3
import time

import pytest
from command_line import PLACE, Folder
from prometheus_client.parser import text_string_to_metric_families


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


MENDABLE = [
    ("update index_vectors set vector = substr(vector, 1, 100) where rowid = 1", "not those that were indexed"),
    ("update index_vectors set vector = randomblob(length(vector)) where rowid = 1", "not those that were indexed"),
    ("delete from index_vectors where rowid = 1", "not those that were indexed"),
    ("delete from index_entries where rowid = 2", "not in the index"),
    ("update index_entries set version = 7 where rowid = 3", "at another version or text"),
    ("update index_definitions set state = 'another'", "its state is not that of its rows"),
    ("insert into card_labels select tenant_id, env, card_id, 'planted' from cards limit 1", "of it: card_labels"),
    (
        "insert into card_fields select tenant_id, env, card_id, 99, 'planted', 'value', null, null from cards limit 1",
        "of it: card_fields",
    ),
    (
        "insert into card_artifacts select tenant_id, env, card_id, 1, 0, 'ASSET', 'asset_planted' from cards limit 1",
        "of it: card_artifacts",
    ),
    ("update card_versions set title = 'Another', header = '{}' where rowid = 1", "of it: title, header"),
    ("update cards set card_type = 'another' where rowid = 2", "of it: card_type"),
    ("update atoms set text = 'Another.' where rowid = 1", "its text does not have its digest"),
    ("update atoms set span = '{}' where rowid = 1", "its id does not follow"),
    ("update atoms set atom_id = 'atom_planted' where rowid = 2", "its id does not follow"),
    ("delete from atoms where rowid = 1", "1 of 2 atoms of text.paragraphs are here"),
    ("update journal_runs set status = 'RUNNING' where rowid = 3", "its row differs in status"),
    ("update journal_runs set number = number + 1 where rowid = 3", "its row differs in number"),
    ("delete from journal_runs where rowid = 3", "its row is missing"),
    ("update journal_runs set run_id = 'run_planted' where rowid = 3", "run run_planted: it has no entries"),
    ("update quota_usage set used = used + 1 where resource = 'CARDS'", "quota CARDS: the books say"),
]


@pytest.mark.parametrize(("statement", "fault"), MENDABLE)
def test_a_fault_that_follows_from_what_holds_is_found_and_mended(stocked: Folder, statement: str, fault: str) -> None:
    """It is told with status 1, and mended with `--repair`, which looks again and ends with status 0."""
    meddle(stocked, statement)
    found = stocked.json("check", status=1)
    assert any(fault in line for line in found["faults"]), found
    assert (found["left"], found["repaired"]) == (found["faults"], False)
    mended = stocked.json("check", "--repair")
    assert (mended["faults"], mended["left"], mended["repaired"]) == (found["faults"], [], True)


LASTING = [
    ("update card_versions set text = text || 'more' where rowid = 1", "version 1: its text does not have its digest"),
    ("update card_versions set digest = 'another' where rowid = 1", "it is not the text that the journal tells of"),
    ("delete from card_versions where rowid = 1", "version 1: it is missing, though the journal tells of it"),
    ("update cards set current_version = 9 where rowid = 1", "its newest version is not 9"),
]


@pytest.mark.parametrize(("statement", "fault"), LASTING)
def test_a_fault_of_what_all_follows_from_stays(stocked: Folder, statement: str, fault: str) -> None:
    """A text that was lost or altered can't be made up: it is named, with status 1, however often one repairs."""
    meddle(stocked, statement)
    for _ in range(2):
        left = stocked.json("check", "--repair", status=1)["left"]
        assert any(fault in line for line in left), left


def test_atoms_need_their_asset_to_be_mended(stocked: Folder) -> None:
    """While the object is lost a damaged atom stays damaged and is kept; once it is back, the atom comes back too."""
    [stored] = [path for path in (stocked.path / "nexus-data" / "objects").rglob("*.txt") if path.is_file()]
    meddle(stocked, "update atoms set text = 'Another.' where rowid = 1")
    away = stored.rename(stocked.path / "away")
    assert len(stocked.json("check", "--repair", status=1)["left"]) == 2
    away.rename(stored)
    assert "(mended)\n1 scopes checked, 1 faults found, 0 left." in stocked.good("check", "--repair")
    assert stocked.good("check") == "1 scopes checked, 0 faults found, 0 left.\n"


def test_runs_are_not_rebuilt_from_a_broken_journal(stocked: Folder) -> None:
    """Entries are the truth only where their chain holds: else the rows of runs are left as they are."""
    meddle(stocked, "delete from journal_events where seq = (select max(seq) from journal_events)")
    left = stocked.json("check", "--repair", status=1)["left"]
    assert "journal, seq" in left[0]
    assert "run run_" in left[1]


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


def gauges(folder: Folder, status: int) -> dict[str, float]:
    """What `check --metrics` writes, as a scraper reads it."""
    done = folder.run("check", "--metrics", "nexus_check.prom")
    assert done.status == status, done
    text = (folder.path / "nexus_check.prom").read_text()
    return {each.name: each.value for family in text_string_to_metric_families(text) for each in family.samples}


def test_check_leaves_its_result_for_a_scraper(stocked: Folder) -> None:
    """Scopes, faults, broken chains and the time, whole at every moment; a folder that is not there is named."""
    sound = gauges(stocked, 0)
    ended = sound.pop("nexus_check_time_seconds")
    assert abs(ended - time.time()) < 600
    assert sound == {"nexus_check_scopes": 1, "nexus_check_faults": 0, "nexus_check_broken_journals": 0}
    meddle(stocked, "delete from atoms")
    meddle(stocked, "update journal_events set actor_id = 'nobody' where seq = 5")
    broken = gauges(stocked, 1)
    assert broken.pop("nexus_check_time_seconds") > ended
    assert broken.pop("nexus_check_faults") > 1
    assert broken == {"nexus_check_scopes": 1, "nexus_check_broken_journals": 1}
    assert [path.name for path in stocked.path.glob("*.prom*")] == ["nexus_check.prom"]
    assert "can't be written: No such file" in stocked.bad("check", "--metrics", "nowhere/nexus_check.prom")


def test_audit_verify_looks_where_it_is_told(stocked: Folder) -> None:
    """A tenant or env without a journal is not passed over as sound."""
    assert stocked.good("audit", "verify", *PLACE).endswith("entries hold.\n")
    assert "no journal here" in stocked.bad("audit", "verify", "--tenant", "t_nobody")
    assert "no journal here" in stocked.bad("audit", "verify", "--env", "prod")


@pytest.mark.long
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
