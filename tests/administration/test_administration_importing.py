"""`import`: a folder becomes cards, raw assets and atoms; the bad ones are named, and repeating changes nothing."""

from __future__ import annotations

import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
from command_line import PLACE, Folder, free_port, note, until_answered

IMPORT = ("import", "material", *PLACE, "--train-ok")
SEARCH = "query Find($text: String!) { search(text: $text, k: 1) { complete hits { version { title } } } }"
INPUTS = Path(__file__).parents[1] / "atoms" / "inputs"
DEMO = Path(__file__).parents[2] / "core" / "demo" / "acme" / "raw"


def counts(told: dict[str, Any]) -> tuple[int, ...]:
    """How many files were kept, unchanged, partly read, without text, refused."""
    return (told["kept"], told["unchanged"], *(len(told[name]) for name in ("partlyRead", "unread", "refused")))


@pytest.fixture
def material(installed: Folder) -> Path:
    """A folder beside the installation."""
    path = installed.path / "material"
    path.mkdir()
    return path


def test_files_of_all_kinds_are_kept_once(installed: Folder, material: Path) -> None:
    """Front matter makes cards, everything else assets; hidden names are left out; a second time nothing changes."""
    for path in DEMO.iterdir():
        (material / path.name).write_bytes(path.read_bytes())
    (material / "deep").mkdir()
    (material / "deep" / "card.md").write_text(note("a-card", "A body."))
    (material / "deep" / "untyped.md").write_text("---\ntitle: No type\n---\nA body.\n")
    (material / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    (material / ".hidden").mkdir()
    (material / ".hidden" / "secret.md").write_text("never read")
    count = len(list(DEMO.iterdir())) + 2
    first = installed.run(*IMPORT, "--card-type", "note")
    said = f"{count} kept, 0 unchanged, 0 partly read, 1 without text, 0 refused.\n"
    assert (first.status, first.out) == (0, said)
    assert "without text material/picture.png: no text read: no recipe reads image/png\n" in first.err
    assert f"Keeping files: {count + 1} of {count + 1}" in first.err
    assert "Following: index" in first.err
    again = installed.json(*IMPORT, "--card-type", "note")
    assert counts(again) == (0, count, 0, 1, 0)
    assert len(again["files"]) == count + 1
    assert installed.json("check")["faults"] == []


def test_bad_files_are_named_and_stop_no_others(installed: Folder, material: Path) -> None:
    """What can't be kept is told with its path and reason, with status 1; the good ones are kept all the same."""
    bad = {
        "alias.md": b"---\ncard_type: note\na: &x 1\nb: *x\n---\nbody\n",
        "broken.pdf": b"%PDF-1.7 and then nothing",
        "broken.docx": b"PK\x03\x04 no archive",
        "broken.json": b'{"a": ',
        "crlf.md": b"---\r\ncard_type: note\r\n---\r\nbody\r\n",
        "empty.txt": b"",
        "latin.md": b"---\ncard_type: note\n---\nf\xfcr\n",
        "open.md": b"---\ncard_type: note\n",
        "twice.md": b"---\ncard_type: note\ntitle: a\ntitle: b\n---\nbody\n",
        "untyped.md": b"---\ntitle: none\n---\nbody\n",
        "unlike.md": b"---\ncard_type: kpi_corridor\n---\nbody\n",
    }
    for name, data in bad.items():
        (material / name).write_bytes(data)
    (material / "good.md").write_text(note("good", "A body."))
    (material / "good.txt").write_text("A paragraph.")
    (material / "dangling.md").symlink_to("nowhere")
    os.mkfifo(material / "pipe.md")
    done = installed.run(*IMPORT)
    assert done.status == 1
    assert done.out == f"2 kept, 0 unchanged, 0 partly read, 0 without text, {len(bad) + 2} refused.\n"
    for name in (*bad, "dangling.md", "pipe.md"):
        assert re.search(rf"^refused material/{re.escape(name)}: .{{10,}}$", done.err, re.MULTILINE), (name, done.err)
    assert "Traceback" not in done.err
    of_a_kept_one = re.findall(r"^refused material/(\S+): kept, but not read: ", done.err, re.MULTILINE)
    assert sorted(of_a_kept_one) == ["broken.docx", "broken.json", "broken.pdf"]
    told = installed.json(*IMPORT, status=1)
    assert (told["kept"], told["unchanged"]) == (0, 2)
    assert sorted(item["path"] for item in told["refused"]) == sorted(
        f"material/{name}" for name in (*bad, "dangling.md", "pipe.md")
    )


def test_a_file_whose_text_was_not_read_has_a_line_with_the_reason(installed: Folder, material: Path) -> None:
    """Counted apart, the same the second time, in `--json` too; `--each` names the others as well."""
    (material / "a.md").write_text("A paragraph.")
    (material / "b.jsonl").write_text('{"a":1}\n{"b":')
    (material / "c.pdf").write_bytes((INPUTS / "70-scan.pdf").read_bytes())
    (material / "d.txt").write_text(" \n")
    lines = [
        "partly read material/b.jsonl: left out: line 2 is cut off",
        "without text material/c.pdf: no text read: page 1 has no text layer",
        "without text material/d.txt: no text read: it holds none",
    ]
    first = installed.run(*IMPORT)
    assert (first.status, first.out) == (0, "1 kept, 0 unchanged, 1 partly read, 2 without text, 0 refused.\n")
    assert [line for line in first.err.splitlines() if "material/" in line] == lines
    again = installed.run(*IMPORT, "--each")
    counts = "0 kept, 1 unchanged, 1 partly read, 2 without text, 0 refused."
    assert again.out.splitlines() == ["unchanged material/a.md", *lines, counts]
    told = installed.json(*IMPORT)
    assert told["partlyRead"] == [{"path": "material/b.jsonl", "reason": "left out: line 2 is cut off"}]
    assert [(each["path"], each["outcome"]) for each in told["files"]] == [
        ("material/a.md", "unchanged"),
        ("material/b.jsonl", "partly read"),
        ("material/c.pdf", "without text"),
        ("material/d.txt", "without text"),
    ]


def test_what_came_with_an_e_mail_has_lines_of_its_own(installed: Folder, material: Path) -> None:
    """Attachments are assets as well: each is told, also inside a message inside, and what is not read says why."""
    inner = EmailMessage()
    inner["From"], inner["Subject"] = "c@example.org", "Inside"
    inner.set_content("The inner text.")
    inner.add_attachment(b"sku,qty\nA1,5\n", maintype="text", subtype="csv", filename="stock.csv")
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.org", "b@example.org", "Outside"
    mail.set_content("See what is attached.")
    mail.add_attachment(b"\x89PNG\r\n\x1a\n\0", maintype="image", subtype="png", filename="photo.png")
    mail.add_attachment(bytes(inner), maintype="application", subtype="octet-stream", filename="inner.eml")
    (material / "mail.eml").write_bytes(bytes(mail))
    first = installed.json(*IMPORT)
    assert {each["path"].removeprefix("material/"): each["outcome"] for each in first["files"]} == {
        "mail.eml": "kept",
        "mail.eml > photo.png": "without text",
        "mail.eml > inner.eml": "kept",
        "mail.eml > stock.csv": "kept",
    }
    [unread] = first["unread"]
    assert unread == {"path": "material/mail.eml > photo.png", "reason": "no text read: no recipe reads image/png"}
    assert counts(installed.json(*IMPORT)) == (0, 3, 0, 1, 0)


def test_what_a_card_lacks_is_said_with_the_hint(installed: Folder, material: Path) -> None:
    """What begins as a card does is told how it breaks its rules; a rule and prose, or TOML, is a note to keep."""
    for path in sorted(INPUTS.glob("5*.md")):
        (material / path.name).write_bytes(path.read_bytes())
    (material / "compose.yaml").write_text("---\nservices: {}\n")
    told = installed.json(*IMPORT, status=1)
    assert {each["path"].removeprefix("material/"): each["outcome"] for each in told["files"]} == {
        "50-trailing-space.md": "refused",
        "52-toml.md": "kept",
        "53-dots-end.md": "refused",
        "54-rule-first.md": "kept",
        "55-colon-title.md": "refused",
        "56-obsidian.md": "kept",
        "57-number-title.md": "refused",
        "58-crlf.md": "refused",
        "59-bom.md": "refused",
        "compose.yaml": "kept",
    }
    reasons = {each["path"].removeprefix("material/"): each["reason"] for each in told["refused"]}
    assert "The first fence has blanks behind it: write exactly `---`." in reasons["50-trailing-space.md"]
    assert "without markers" in reasons["53-dots-end.md"]
    assert "line 3, column 10" in reasons["55-colon-title.md"]
    assert "Put it in quotes." in reasons["57-number-title.md"]
    assert "save the file with LF line ends" in reasons["58-crlf.md"]
    assert "save it without one" in reasons["59-bom.md"]


def test_what_an_older_recipe_read_is_derived_again(installed: Folder, material: Path) -> None:
    """`derive` reads what is outdated, `import` as well; the older atoms are stale then."""
    (material / "a.md").write_text("A paragraph.")
    installed.good(*IMPORT)
    assert counts(installed.json("derive", *PLACE)) == (0, 0, 0, 0, 0)
    assert counts(installed.json("derive", *PLACE, "--every")) == (1, 0, 0, 0, 0)
    with sqlite3.connect(installed.path / "nexus-data" / "nexus.db") as database:
        database.execute("update asset_derivations set op_version = '0'")
    database.close()
    assert counts(installed.json("derive", *PLACE)) == (1, 0, 0, 0, 0)
    assert counts(installed.json("derive", *PLACE)) == (0, 0, 0, 0, 0)


def test_a_changed_file_becomes_the_next_version(installed: Folder, material: Path) -> None:
    """A card's file that changed makes version 2 of the same card; a raw file that changed is another asset."""
    (material / "card.md").write_text("---\ncard_type: note\n---\nFirst.\n")
    (material / "raw.txt").write_text("First.")
    assert installed.json(*IMPORT)["kept"] == 2
    (material / "card.md").write_text("---\ncard_type: note\n---\nSecond.\n")
    (material / "raw.txt").write_text("Second.")
    assert counts(installed.json(*IMPORT)) == (2, 0, 0, 0, 0)
    assert installed.json(*IMPORT)["unchanged"] == 2
    sealed = [path for path in (installed.path / "nexus-data" / "objects").rglob("*.txt") if path.is_file()]
    assert len(sealed) == 2


def test_paths_that_are_not_there_and_strange_places_are_refused(installed: Folder, material: Path) -> None:
    """A missing path, an unknown tenant, a wrong env, and a missing decision about training."""
    assert installed.json("import", "nowhere", *PLACE, "--train-ok", status=1)["refused"] == [
        {"path": "nowhere", "reason": "There is no such file."}
    ]
    assert "No such tenant" in installed.bad(
        "import", "material", "--tenant", "t_nobody", "--env", "dev", "--no-train-ok"
    )
    assert "env" in installed.bad("import", "material", "--tenant", "t_acme", "--env", "moon", "--no-train-ok")
    assert installed.run("import", "material", *PLACE).status == 2
    assert counts(installed.json(*IMPORT)) == (0, 0, 0, 0, 0)


def test_a_file_over_the_limit_is_refused(installed: Folder, material: Path) -> None:
    """A file larger than NEXUS_LARGEST_ASSET is named with the setting's value."""
    (material / "large.txt").write_text("x" * 2000)
    [refused] = installed.json(*IMPORT, status=1, largest_asset="1000")["refused"]
    assert "larger than 1000 bytes" in refused["reason"]


@pytest.mark.long
def test_hundreds_of_files_are_found_afterwards(installed: Folder, material: Path) -> None:
    """Three hundred Markdown files without front matter keys of their own are imported, and each is found by search."""
    words = [f"{first}{second}" for first in ("amber", "birch", "cedar") for second in range(100)]
    for n, word in enumerate(words):
        (material / f"{n // 50}").mkdir(exist_ok=True)
        (material / f"{n // 50}" / f"{word}.md").write_text(
            f"---\ntitle: About {word}\n---\nThe {word} is unlike others."
        )
    assert counts(installed.json(*IMPORT, "--card-type", "note")) == (300, 0, 0, 0, 0)
    installed.good("member", "set", "ann", *PLACE, "--role", "owner")
    headers = {"Authorization": f"Bearer {installed.json('token', 'ann')['token']}", "X-Nexus-Tenant": "t_acme"}
    port = free_port()
    process = installed.start("serve", "--port", str(port))
    try:
        until_answered(f"http://127.0.0.1:{port}", process, installed.log)
        for word in words[::60]:
            answer = httpx.post(
                f"http://127.0.0.1:{port}/graphql",
                json={"query": SEARCH, "variables": {"text": f"about {word}"}},
                headers=headers | {"X-Nexus-Env": "dev"},
                trust_env=False,
            ).json()
            assert answer["data"]["search"] == {"complete": True, "hits": [{"version": {"title": f"About {word}"}}]}
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_progress_is_a_bar_on_a_terminal(installed: Folder, material: Path) -> None:
    """On a terminal a bar with counts appears and is gone at the end; the summary stays."""
    for n in range(30):
        (material / f"{n}.md").write_text(note(f"card-{n}", f"The card {n}."))
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "nexus_graph", *IMPORT],
        cwd=installed.path,
        env=installed.environment | {"TERM": "xterm-256color", "COLUMNS": "100"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    seen = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        seen += piece
    os.close(master)
    assert process.wait(30) == 0
    shown = seen.decode()
    assert "━" in shown
    assert "Keeping files" in shown
    assert re.search(r"\d+/30", shown)
    assert "30 kept, 0 unchanged, 0 partly read, 0 without text, 0 refused." in shown
    assert shown.index("30 kept") > shown.rindex("━")
