"""An export holds what every layer allows, redacted, in the same bytes for the same state, whatever interrupts it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import export_house as house
import pytest
from export_house import BOTH, SMALL, STEPS, excluded, export, files, fill, find, keep, lines, manifest, publish, settle
from side_process import SIDE, place_of

from nexus_graph import cards, exports
from nexus_graph.atoms.model import Limits, collect
from nexus_graph.atoms.recipes import kind_of, recipe_for
from nexus_graph.exports import ExportKind, ExportRules, ExportState, writing
from nexus_graph.safeguards.consent import changing
from nexus_graph.scope.canonical import canonical, sha256
from nexus_graph.scope.errors import Withheld
from nexus_graph.scope.redaction import RULESET, values
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
LOG = Statement(
    "select action, ends, payload from journal_events where tenant_id = :tenant_id and env = :env and run_id = :run_id "
    "order by number"
)


@pytest.fixture
def anna(scope_of: MakeScope) -> Scope:
    """An owner of t_acme."""
    return scope_of("t_acme", who="anna")


async def test_each_record_is_in_it_or_left_out_for_its_reason(
    stores: Stores, anna: Scope, scope_of: MakeScope
) -> None:
    """Current cards and fresh atoms are covered; each layer that withholds one is named in the manifest."""
    bert = scope_of("t_acme", who="bert")
    plain = await publish(stores, anna, "plain")
    own = await publish(stores, anna, "own", train_ok=False)
    asset, atoms = await keep(stores, anna, "One.\n\nTwo.\n", train_ok=False)
    citing = await publish(stores, anna, "citing", more=f"artifact_refs: [{atoms[0]}]\n")
    theirs = await publish(stores, bert, "theirs")
    _, their_atoms = await keep(stores, bert, "Three.\n")
    await changing.set_own_opt_out(stores, STEPS, bert, True)
    await publish(stores, anna, "revised")
    revised = await publish(stores, anna, "revised", "Again.\n", expected_version=1)
    retired = await publish(stores, anna, "retired")
    await cards.retire(stores, house.MANIFESTS, anna, retired.card_id, 1)
    for scope in (scope_of("t_globex", who="anna"), scope_of("t_acme", env=Env.PROD, who="anna")):
        await publish(stores, scope, "foreign")

    done = await export(stores, anna)
    found = await files(stores, anna, done.export_id)
    assert {line["id"] for line in lines(found)} == {f"{plain.card_id}:1", f"{revised.card_id}:2"}
    assert excluded(found) == {
        f"{own.card_id}:1": "TRAIN_NOT_OK RECORD",
        f"{citing.card_id}:1": "TRAIN_NOT_OK ANCESTOR",
        f"{theirs.card_id}:1": "TRAIN_NOT_OK USER",
        atoms[0]: "TRAIN_NOT_OK ANCESTOR",
        atoms[1]: "TRAIN_NOT_OK ANCESTOR",
        their_atoms[0]: "TRAIN_NOT_OK USER",
    }
    assert (done.state, done.covered, done.position, done.included, done.excluded) == (ExportState.DONE, 8, 8, 2, 6)
    await changing.set_train_ok(stores, STEPS, anna, asset, True)
    again = lines(await files(stores, anna, (await export(stores, anna)).export_id))
    assert {f"{citing.card_id}:1", *atoms} < {line["id"] for line in again}


async def test_what_came_with_a_withheld_file_stays(stores: Stores, anna: Scope, scope_of: MakeScope) -> None:
    """However deep it was found, and whoever withholds what it was found in; a finished part is closed by it too."""
    mail, _ = await keep(stores, anna, "A mail.\n")
    inner, _ = await keep(stores, anna, "A mail in a mail.\n", found_in=mail)
    _, [file] = await keep(stores, scope_of("t_acme", who="bert"), "A file.\n", found_in=inner)
    before = await export(stores, anna)
    assert file in {line["id"] for line in lines(await files(stores, anna, before.export_id))}
    await changing.set_train_ok(stores, STEPS, anna, mail, False)
    found = await files(stores, anna, (await export(stores, anna)).export_id)
    assert lines(found) == []
    assert set(excluded(found).values()) == {"TRAIN_NOT_OK ANCESTOR"}
    assert file in excluded(found)
    with pytest.raises(Withheld):
        await exports.download_part(stores, anna, 60, before.export_id, 2)
    await changing.set_train_ok(stores, STEPS, anna, mail, True)
    assert await exports.download_part(stores, anna, 60, before.export_id, 2)


async def test_what_leaves_is_redacted(stores: Stores, anna: Scope) -> None:
    """Bodies, headers, labels, texts and places are without personal data, and the flags say what was there."""
    await publish(
        stores, anna, "card", "Mail zoe@example.com.\n", more="labels: [zoe@example.com]\nowner: 192.0.2.17\n"
    )
    await keep(stores, anna, "Call +49 30 901820.\n")
    found = await files(stores, anna, (await export(stores, anna)).export_id)
    card, atom = lines(found)
    assert card["content"]["body"] == "Mail [email].\n"
    assert card["content"]["labels"] == ["[email]"]
    assert card["content"]["header"]["owner"] == "[ip_address]"
    assert card["piiFlags"] == ["email", "ip_address"]
    assert atom["content"]["text"] == "Call [phone]."
    assert atom["piiFlags"] == ["phone"]
    assert not any(secret in data for data in found.values() for secret in (b"zoe", b"192.0", b"901820"))


async def test_the_same_state_gives_the_same_bytes(stores: Stores, anna: Scope, scope_of: MakeScope) -> None:
    """Two exports by different people at different times are equal, to the manifest's last byte."""
    await fill(stores, anna)
    first, second = await export(stores, anna), await export(stores, scope_of("t_acme", who="bert"))
    one, two = await files(stores, anna, first.export_id), await files(stores, anna, second.export_id)
    assert one == two
    assert first.manifest_digest == second.manifest_digest == sha256(one["manifest.json"])
    assert one["manifest.json"] == canonical(manifest(one))
    assert not any(first.export_id.encode() in data for data in one.values())


async def test_the_manifest_names_every_line_and_part(stores: Stores, anna: Scope) -> None:
    """Digests of lines and parts, counts and sizes are those of the files; records stand in the order of their ids."""
    await fill(stores, anna)
    done = await export(stores, anna)
    found = await files(stores, anna, done.export_id)
    told = manifest(found)
    assert told["ruleset"] == RULESET
    assert told["counts"] == {"covered": 9, "excluded": 0, "included": 9}
    assert [part["records"] for part in told["parts"]] == [2, 2, 2, 2, 1]
    for part in told["parts"]:
        data = found.pop(part["name"])
        assert (part["digest"], part["sizeBytes"]) == (sha256(data), len(data))
        named = [entry for entry in told["included"] if entry["part"] == part["part"]]
        assert [entry["digest"] for entry in named] == [sha256(line) for line in data.splitlines(keepends=True)]
        assert [entry["id"] for entry in named] == [line["id"] for line in house.lines({"part": data})]
        assert all(canonical(line) + b"\n" in data for line in house.lines({"part": data}))
    assert [*found] == ["manifest.json"]
    ids = [entry["id"] for entry in told["included"]]
    assert ids == sorted(ids[:5]) + sorted(ids[5:])


async def test_parts_end_by_size_too(stores: Stores, anna: Scope) -> None:
    """A part takes no line beyond its size, but one line at least."""
    await fill(stores, anna)
    wide = await export(stores, anna, kinds=[ExportKind.CARD], rules=ExportRules())
    [size] = [len(data) for name, data in (await files(stores, anna, wide.export_id)).items() if "part" in name]
    for limit, parts in ((size, 1), (size - 1, 2), (1, 5)):
        done = await export(stores, anna, kinds=[ExportKind.CARD], rules=ExportRules(size=limit))
        assert done.parts == parts


async def test_its_run_tells_how_far_it_is(stores: Stores, anna: Scope) -> None:
    """One run of kind EXPORT: requested, an entry a part, finished; it ends with that."""
    await fill(stores, anna)
    done = await export(stores, anna)
    async with stores.read(anna) as read:
        log = await read.rows(LOG, run_id=done.run_id)
    assert [row["action"] for row in log] == ["export.requested", *["export.part_written"] * 5, "export.finished"]
    assert [row["ends"] for row in log] == [None] * 6 + ["SUCCEEDED"]
    assert '"position":4' in log[2]["payload"]


async def test_nothing_to_export_is_an_export(stores: Stores, anna: Scope) -> None:
    """An empty scope, or one in which everything is withheld, gives a manifest and no part."""
    assert (await export(stores, anna)).included == 0
    await publish(stores, anna, "own", train_ok=False)
    done = await export(stores, anna)
    assert [*await files(stores, anna, done.export_id)] == ["manifest.json"]
    assert (done.state, done.parts, done.excluded) == (ExportState.DONE, 0, 1)


@pytest.mark.parametrize("after", [False, True], ids=["before it is stored", "before it is counted"])
async def test_a_failure_at_any_step_changes_no_byte(
    stores: Stores, anna: Scope, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """Wherever an object store fails, going on gives what an export without failures gave."""
    await fill(stores, anna)
    whole = await files(stores, anna, (await export(stores, anna)).export_id)
    put = stores.blobs.put
    for step in range(len(whole)):
        seen = 0

        async def failing(key: str, data: bytes, step: int = step) -> None:
            nonlocal seen
            seen += 1
            if seen == step + 1:
                if after:
                    await put(key, data)
                raise ConnectionError
            await put(key, data)

        started = await exports.start(stores, anna, BOTH)
        monkeypatch.setattr(stores.blobs, "put", failing)
        with pytest.raises(ConnectionError):
            await writing.write(stores, SMALL, anna, started.export_id)
        monkeypatch.setattr(stores.blobs, "put", put)
        assert (await find(stores, anna, started.export_id)).state is ExportState.RUNNING
        await settle(stores)
        assert await files(stores, anna, started.export_id) == whole


@pytest.mark.parametrize("step", ["2", "4+"])
async def test_a_killed_process_changes_no_byte(stores: Stores, anna: Scope, tmp_path: Path, step: str) -> None:
    """SIGKILL in the middle of a part: the next process goes on, and the bytes are those of an uninterrupted one."""
    await fill(stores, anna)
    rules = ExportRules(records=1)
    whole = await files(stores, anna, (await export(stores, anna, rules)).export_id)
    started = await exports.start(stores, anna, BOTH)
    command = [
        sys.executable,
        str(Path(house.__file__)),
        place_of(stores.database),
        str(tmp_path),
        started.export_id,
        step,
    ]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=30, env=SIDE)
    assert done.returncode == -9, done.stderr
    left = await find(stores, anna, started.export_id)
    assert 0 < left.parts < 9
    await settle(stores, rules)
    assert await files(stores, anna, started.export_id) == whole


async def test_consent_taken_back_on_the_way_counts(
    stores: Stores, anna: Scope, scope_of: MakeScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the export stands, it ends as a new one would, and no file is left of what was taken back."""
    bert = scope_of("t_acme", who="bert")
    await fill(stores, anna)
    for number in range(3):
        await publish(stores, bert, f"bert{number}", more=f"artifact_refs: [{(await keep(stores, bert, 'B.'))[0]}]\n")
    put, rewound = stores.blobs.put, 0
    for step in range(8):  # after each of seven parts, and after the manifest
        await changing.set_own_opt_out(stores, STEPS, bert, False)
        seen = 0

        async def put_and_flip(key: str, data: bytes, step: int = step) -> None:
            nonlocal seen
            await put(key, data)
            seen += 1
            if seen == step + 1:
                await changing.set_own_opt_out(stores, STEPS, bert, True)

        monkeypatch.setattr(stores.blobs, "put", put_and_flip)
        done = await export(stores, anna)
        monkeypatch.setattr(stores.blobs, "put", put)
        expected = await files(stores, anna, (await export(stores, anna)).export_id)
        assert await files(stores, anna, done.export_id) == expected
        assert (done.included, done.excluded) == (9, 4)
        async with stores.read(anna) as read:
            rewound += sum(row["action"] == "export.part_withdrawn" for row in await read.rows(LOG, run_id=done.run_id))
    assert rewound >= 4


async def test_two_processes_at_once_write_one_export(stores: Stores, anna: Scope) -> None:
    """Every part is counted once, and the bytes are the same."""
    await fill(stores, anna)
    whole = await files(stores, anna, (await export(stores, anna)).export_id)
    started = await exports.start(stores, anna, BOTH)
    await asyncio.gather(*(writing.write(stores, SMALL, anna, started.export_id) for _ in range(3)))
    done = await find(stores, anna, started.export_id)
    assert (done.state, done.included) == (ExportState.DONE, 9)
    assert await files(stores, anna, started.export_id) == whole


async def test_a_damaged_part_is_written_again(stores: Stores, anna: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is asked for every part before the export is done; one that is missing is written anew."""
    await fill(stores, anna)
    whole = await files(stores, anna, (await export(stores, anna)).export_id)
    put = stores.blobs.put
    lost: list[str] = []

    async def losing(key: str, data: bytes) -> None:
        await put(key, data)
        if key.endswith("part-00004.jsonl") and not lost:
            lost.append(key)
            await stores.blobs.remove(key.replace("00004", "00002"))

    monkeypatch.setattr(stores.blobs, "put", losing)
    assert await files(stores, anna, (await export(stores, anna)).export_id) == whole
    assert lost


async def test_what_can_not_be_redacted_stays(stores: Stores, anna: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record beyond the bounds of redaction is left out; the others leave."""
    small, large = await publish(stores, anna, "small"), await publish(stores, anna, "large", "x" * 400)
    monkeypatch.setattr(values, "MAX_CHARACTERS", 300)
    found = await files(stores, anna, (await export(stores, anna)).export_id)
    assert [line["id"] for line in lines(found)] == [f"{small.card_id}:1"]
    assert excluded(found) == {f"{large.card_id}:1": "TOO_LARGE"}


async def test_an_export_that_is_given_up_has_failed(
    stores: Stores, anna: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three attempts its run ends, and it says so; the next export is none the worse."""
    await fill(stores, anna)

    async def broken(*_: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(writing, "_put", broken)
    monkeypatch.setattr("nexus_graph.stores.follower.asyncio.sleep", broken_sleep)
    failed = await export(stores, anna)
    assert failed.state is ExportState.FAILED
    monkeypatch.undo()
    assert (await export(stores, anna)).state is ExportState.DONE
    assert (await find(stores, anna, failed.export_id)).parts == 0


async def broken_sleep(_: float) -> None:
    """No pause between two attempts."""


async def test_a_part_is_a_file_that_can_be_imported(stores: Stores, anna: Scope) -> None:
    """It is JSON Lines, and each of its records comes back as an atom."""
    await fill(stores, anna)
    found = await files(stores, anna, (await export(stores, anna)).export_id)
    parts = {name: data for name, data in found.items() if name != "manifest.json"}
    assert parts
    for name, data in parts.items():
        recipe = recipe_for(kind_of(data, name, "application/octet-stream"))
        assert recipe is not None
        reading = collect(recipe, data, {}, Limits())
        assert [draft.text.encode() for draft in reading.drafts] == data.splitlines()
        assert reading.left_out == []
