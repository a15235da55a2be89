"""`move`: from one installation to another, the same bytes; interrupted, refused, disturbed."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from command_line import PLACE, Folder, note
from moving_steps import ask, beside, database_of, opened, proven, settings_of, told
from servers.postgres import PostgresServer
from servers.seaweedfs import SeaweedFS, bucket_settings
from servers.weaviate import WeaviateServer

from nexus_graph.administration import console
from nexus_graph.administration.moving import places, tables
from nexus_graph.administration.moving.command import Moved, move_all
from nexus_graph.administration.moving.tenant import scopes_of, standing_still
from nexus_graph.api.house import House
from nexus_graph.scope.errors import ConfigurationError, Unavailable
from nexus_graph.scope.redaction import redact
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.migrations import newest
from nexus_graph.stores.tables import schema_of_record
from nexus_graph.tenants import membership

PAGE = Path(__file__).parents[2] / "docs" / "moving.md"


@pytest.fixture(scope="session")
def demonstrated_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after the demo: two tenants with files, atoms, cards, locks and a pack."""
    path = tmp_path_factory.mktemp("demonstrated") / "here"
    path.mkdir()
    Folder(path).run("demo", "--once")
    return path


@pytest.fixture
def demonstrated(tmp_path: Path, demonstrated_once: Path) -> Folder:
    """A folder after the demo."""
    shutil.copytree(demonstrated_once, tmp_path / "here")
    return Folder(tmp_path / "here")


def test_every_table_moves_or_says_why_not() -> None:
    """A table is copied, shown last, shared by envs, or belongs to one installation with a reason."""
    groups = [tables.moving(), tables.shown_last(), tables.directory()]
    named = [table.name for group in groups for table in group]
    assert sorted([*named, *tables.STAY]) == sorted(schema_of_record().tables)
    assert named[0] == "journal_events"
    assert set(tables.STAY) == {"follower_turns", "index_copies", "rate_buckets", "stream_leases"}
    assert {table.name for table in tables.shown_last()} == tables.LAST
    assert {table.name for table in tables.directory()} == {"members", "tenants"}


def test_an_installation_moves_and_is_the_same(demonstrated: Folder) -> None:
    """The same digests on both sides and the same answers; run again, it proves again and changes nothing."""
    before = told(demonstrated)
    there = beside(demonstrated, "there")
    done = demonstrated.run("move", "--to", settings_of(there))
    assert done.status == 0, done
    assert "t_acme/dev: copied." in done.out
    assert "2 of 2 packs came again." in done.out
    assert "2 scopes proven, 0 differences." in done.out
    assert "Proving t_globex/dev: objects of the target: 9 of 9" in done.err
    heads = ask(demonstrated, "select * from journal_heads order by 1, 2")
    assert ask(there, "select * from journal_heads order by 1, 2") == heads
    first = database_of(there).read_bytes()
    again = demonstrated.json("move", "--to", settings_of(there))
    assert {scope["standing"] for scope in again["scopes"]} == {"SAME"}
    assert [scope["rows"]["written"] for scope in again["scopes"]] == [0, 0]
    assert len(proven(again)) > 40
    assert database_of(there).read_bytes() == first
    assert ask(demonstrated, "select * from journal_heads order by 1, 2") == heads
    assert there.json("check")["faults"] == []
    assert told(there) == before


@pytest.mark.long
def test_one_tenant_of_two_moves(demonstrated: Folder) -> None:
    """The other one is not there; it follows later, and the first is left alone."""
    there = beside(demonstrated, "there")
    moved = demonstrated.json("move", "--to", settings_of(there), "--tenant", "t_globex")
    assert {name.partition("/")[0] for name in proven(moved)} == {"t_globex"}
    assert [each["tenantId"] for each in there.json("tenant", "list")] == ["t_globex"]
    assert {row[0] for row in ask(there, "select tenant_id from cards")} == {"t_globex"}
    assert not (there.path / "nexus-data" / "objects" / "tenants" / "t_acme").exists()
    both = demonstrated.json("move", "--to", settings_of(there))
    assert [scope["standing"] for scope in both["scopes"]] == ["NEW", "SAME"]
    assert demonstrated.bad("move", "--to", settings_of(there), "--tenant", "t_nobody").startswith("nexus-graph: ")


def test_a_move_that_was_killed_goes_on(demonstrated: Folder) -> None:
    """Killed between two batches, nothing of the tenant can be seen; what was copied is not copied again."""
    there = beside(demonstrated, "there")
    process = demonstrated.start("move", "--to", settings_of(there))
    with closing(sqlite3.connect(database_of(there), timeout=60, isolation_level=None)) as database:
        deadline = time.monotonic() + 60
        while True:  # who holds the write lock stands between two batches
            database.execute("begin immediate")
            if database.execute("select count(*) from journal_events").fetchone()[0]:
                break
            database.execute("rollback")
            assert time.monotonic() < deadline, demonstrated.log.read_text()
            time.sleep(0.003)  # the other one comes through
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        database.execute("rollback")
    copied = sum(ask(there, f"select count(*) from {table.name}")[0][0] for table in tables.moving())  # noqa: S608
    assert copied > 0
    for name in ("journal_heads", "api_keys", "members", "tenants"):
        assert ask(there, f"select count(*) from {name}") == [(0,)]  # noqa: S608
    moved = demonstrated.json("move", "--to", settings_of(there))
    assert [scope["standing"] for scope in moved["scopes"]] == ["BEGUN", "NEW"]
    assert moved["scopes"][0]["rows"]["there"] == copied
    proven(moved)
    events = ask(demonstrated, "select count(*) from journal_events where action = 'tenant.moving'")
    assert events == [(2,)]  # one a scope: the second run found its own


@pytest.mark.long
def test_what_the_source_wrote_since_is_copied_anew(demonstrated: Folder) -> None:
    """A source that went on is copied anew; a target that went on is left alone; when both did, it is refused."""
    there = beside(demonstrated, "there")
    proven(demonstrated.json("move", "--to", settings_of(there)))
    demonstrated.good("member", "set", "new@acme.example", *PLACE, "--role", "member")
    moved = demonstrated.json("move", "--to", settings_of(there))
    assert [scope["standing"] for scope in moved["scopes"]] == ["BEHIND", "SAME"]
    proven(moved)
    assert "new@acme.example" in there.good("member", "list", "--tenant", "t_acme", "--env", "dev")
    there.good("member", "set", "newer@acme.example", *PLACE, "--role", "member")
    moved = demonstrated.json("move", "--to", settings_of(there))
    assert [scope["standing"] for scope in moved["scopes"]] == ["AHEAD", "SAME"]
    assert "newer@acme.example" in there.good("member", "list", "--tenant", "t_acme", "--env", "dev")
    demonstrated.good("member", "set", "newest@acme.example", *PLACE, "--role", "member")
    before = database_of(there).read_bytes()
    said = demonstrated.bad("move", "--to", settings_of(there))
    assert "holds t_acme/dev already" in said
    assert "did not come from this source" in said
    assert database_of(there).read_bytes() == before


def test_the_page_tells_how(stocked: Folder) -> None:
    """The commands of docs/moving.md, one after the other."""
    beside(stocked, "here/new")
    [block] = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    commands = [line.split("nexus-graph ") for line in block.splitlines()]
    assert len(commands) == 4
    for setting, command in commands:
        config = setting.strip().removeprefix("NEXUS_CONFIG=") or None
        done = stocked.run(*command.split(), config=config)
        assert done.status == 0, done


@pytest.mark.long
def test_both_went_on_in_different_envs(stocked: Folder) -> None:
    """Members are shared by envs: what each side did elsewhere can't be put together."""
    there = beside(stocked, "there")
    stocked.good("member", "set", "one@acme.example", "--tenant", "t_acme", "--env", "prod", "--role", "owner")
    proven(stocked.json("move", "--to", settings_of(there)))
    stocked.good("member", "set", "two@acme.example", *PLACE, "--role", "member")
    there.good("member", "set", "three@acme.example", "--tenant", "t_acme", "--env", "prod", "--role", "member")
    said = stocked.bad("move", "--to", settings_of(there))
    assert "The target went on with t_acme/prod after an earlier move" in said


@pytest.mark.long
def test_a_moved_tenant_comes_home(stocked: Folder) -> None:
    """Moved on and back into where it came from: the chain tells that nothing there is lost by it."""
    there = beside(stocked, "there")
    proven(stocked.json("move", "--to", settings_of(there)))
    (there.path / "more.md").write_text(note("five", "The card number five."))
    there.good("import", "more.md", *PLACE, "--train-ok")
    home = there.json("move", "--to", _whole(stocked))
    assert [scope["standing"] for scope in home["scopes"]] == ["BEHIND"]
    proven(home)
    assert ask(stocked, "select count(*) from cards") == [(5,)]
    assert stocked.json("check")["faults"] == []


def _whole(folder: Folder) -> str:
    """The settings file, with what tests otherwise say in the environment."""
    file = folder.path / "nexus.toml"
    file.write_text(file.read_text() + 'embedder = "hashing"\n')
    return str(file)


def test_refusals_name_what_is_wrong(stocked: Folder) -> None:
    """Nothing is read or written, and the message says what to do."""
    there = beside(stocked, "there")

    def refused(to: Path | str, status: int = 2) -> str:
        return stocked.bad("move", "--to", str(to), status=status)

    assert "There is no configuration file" in refused(stocked.path / "nowhere.toml")
    assert "keep their rows at the same place" in refused(_whole(stocked))
    assert "NEXUS_SIGNING_SECRET differs" in refused(settings_of(beside(stocked, "b", signing_secret="x" * 32)))
    server = {"address": "http://127.0.0.1:9", "openai_model": "m", "key": "k", "dimensions": "8"}
    other = beside(stocked, "c", embedder="openai", **{f"embedder_{name}": value for name, value in server.items()})
    assert "The target's embedder is " in refused(settings_of(other))
    ask(there, "update alembic_version set version_num = '0019'")
    assert f"The target, {settings_of(there)}: The database is at schema 0019" in refused(settings_of(there))
    ask(there, f"update alembic_version set version_num = '{newest()}'")  # noqa: S608
    there.good("tenant", "create", "t_acme", "--env", "dev")
    assert "holds t_acme/dev already" in refused(settings_of(there), 1)
    assert ask(stocked, "select count(*) from journal_events where action = 'tenant.moving'") == [(0,)]


async def test_installations_that_share_a_vector_server_are_refused(stocked: Folder) -> None:
    """Their copies would have the same names there."""
    weaviate = {"vectors": "weaviate", "weaviate_address": "http://127.0.0.1:1", "weaviate_grpc_address": "http://a:2"}
    there = beside(stocked, "there")
    async with opened(stocked) as here, opened(there) as target:
        one, other = (house.config.model_copy(update=weaviate) for house in (here, target))
    with pytest.raises(ConfigurationError, match="NEXUS_WEAVIATE_PREFIX"):
        places.require_two_ends(one, other)
    places.require_two_ends(one, other.model_copy(update={"weaviate_prefix": "Other"}))


async def moved(here: House, there: House, meddle: Callable[[str], Any] | None = None) -> Moved:
    """Move everything; `meddle` is told of every step."""

    def tick(text: str, *, total: int | None = None, advance: int = 1) -> None:
        if meddle is not None:
            meddle(text)

    return await move_all(here, there, None, tick)


@pytest.mark.long
async def test_a_write_that_slips_in_is_noticed(demonstrated: Folder) -> None:
    """Between two tenants the source can be written: the first one's journal tells at the end."""
    there = beside(demonstrated, "there")
    slipped: list[str] = []

    def meddle(text: str) -> None:
        if text == "Moving t_globex, tenant 2 of 2" and not slipped:
            slipped.append(demonstrated.good("member", "set", "late@acme.example", *PLACE, "--role", "member"))
            slipped.append(demonstrated.good("tenant", "create", "t_late", "--env", "dev"))

    async with opened(demonstrated) as here, opened(there) as target:
        found = await moved(here, target, meddle)
        assert slipped
        assert found.differences == []
        [head] = ask(there, "select seq from journal_heads where tenant_id = 't_acme'")
        assert found.late == [f"t_acme/dev went on from entry {head[0]} to entry {head[0] + 1}.", "t_late was made."]
        again = await moved(here, target)
        assert again.late == again.differences == []


@pytest.mark.long
async def test_nobody_writes_at_the_source_meanwhile(stocked: Folder) -> None:
    """Another process that wants to write waits, and is told to try again."""
    async with opened(stocked) as here:
        async with standing_still(here.stores, scopes_of("t_acme")):
            said = stocked.bad("member", "set", "late@acme.example", *PLACE, "--role", "member")
            assert "busy with another process" in said
        stocked.good("member", "set", "late@acme.example", *PLACE, "--role", "member")


CORRUPTED = [
    ("update atoms set text = 'Another.' where rowid = 1", "t_acme/dev: atoms: 2 at the source"),
    ("delete from card_labels where rowid = 1", "t_acme/dev: card_labels: "),
    ("update card_versions set text = text || ' ' where rowid = 1", "t_acme/dev: card_versions: "),
    ("update journal_events set actor_id = 'nobody' where seq = 3", "t_acme/dev: journal: broken at the target, seq 3"),
    ("update index_vectors set vector = randomblob(length(vector)) where rowid = 1", "t_acme/dev: index_vectors: "),
]


@pytest.mark.parametrize(("statement", "named"), CORRUPTED)
async def test_a_corrupted_row_is_noticed_and_nothing_is_shown(stocked: Folder, statement: str, named: str) -> None:
    """What changed at the target behind the move's back is named, and the tenant stays out of sight."""
    ask(stocked, "insert into card_labels select tenant_id, env, card_id, 'kept' from cards limit 1")
    there, done = beside(stocked, "there"), list[Any]()

    def meddle(text: str) -> None:
        if text == "Copying t_acme/dev: objects" and not done:  # the last step before the proof
            done.append(ask(there, statement))

    async with opened(stocked) as here, opened(there) as target:
        found = await moved(here, target, meddle)
        assert any(line.startswith(named) for line in found.differences), found.differences
        assert ask(there, "select count(*) from tenants") == ask(there, "select count(*) from journal_heads") == [(0,)]
        again = await moved(here, target)  # what is no copy goes, and is copied anew; what is missing is added
        assert again.differences == []
        assert again.envs[0].rows.anew != statement.startswith("delete")
        assert ask(there, "select count(*) from tenants") == [(1,)]


async def test_a_corrupted_object_is_noticed(stocked: Folder) -> None:
    """Bytes that are not the source's, what is missing and what is more are named."""
    there, done = beside(stocked, "there"), list[Any]()
    folder = there.path / "nexus-data" / "objects" / "tenants" / "t_acme" / "dev"

    def meddle(text: str) -> None:
        if text == "Proving t_acme/dev: rows" and not done:
            [file] = [file for file in folder.rglob("*") if file.is_file()]
            (file.parent / "more.txt").write_bytes(b"more")
            done.append(file)
            file.chmod(0o600)
            file.write_bytes(b"other bytes")

    async with opened(stocked) as here, opened(there) as target:
        found = await moved(here, target, meddle)
        assert sorted(line.partition(": it ")[2] for line in found.differences) == [
            "has other bytes at the target",
            "is more at the target",
        ]
        again = await moved(here, target)
        assert again.differences == []
        assert again.envs[0].objects.written == again.envs[0].objects.removed == 1
        done[0].unlink()
        third = await moved(here, target)
        assert [line.endswith("it is missing at the target") for line in third.differences] == [True]


@pytest.mark.long
async def test_a_proof_reads_every_pack_again(demonstrated: Folder) -> None:
    """A pack that its question does not give at the target is named, whatever the rows say."""
    there = beside(demonstrated, "there")
    proven(demonstrated.json("move", "--to", settings_of(there)))
    async with opened(demonstrated) as here, opened(there) as target:
        ask(there, "update index_definitions set state = 'another'")
        found = await moved(here, target)
    assert [line for line in found.differences if ": asked again, " in line]
    assert [line for line in found.differences if "index_definitions" in line]


@pytest.mark.long
def test_erasures_are_told_to_the_ledger(stocked: Folder) -> None:
    """A target knows what was erased, and starts; one whose own ledger knows more is refused."""
    from nexus_graph.safeguards.erasure.ledger import LedgerEntry

    entry = LedgerEntry(
        "erasure_1", "t_acme", "dev", "SUBJECT", False, "ab" * 32, "key", (), (), "2026-11-01", "c" * 64
    )
    (stocked.path / "erasures.jsonl").write_bytes(entry.document() + b"\n")
    row = {"erasure_id": "erasure_1", "kind": "SUBJECT", "mentions": 0, "subject_digest": "ab" * 32, "digest": "d"}
    row |= {
        "tenant_id": "t_acme",
        "env": "dev",
        "state": "CERTIFIED",
        "doomed": "{}",
        "counts": "{}",
        "mentioned": "{}",
    }
    row |= {"planned_by": "erased", "planned_at": 1, "expires_at": 1, "findings": "[]"}
    names, values = ", ".join(row), ", ".join(map(repr, row.values()))
    ask(stocked, f"insert into erasures ({names}) values ({values})")  # noqa: S608
    there = beside(stocked, "there")
    moved = stocked.json("move", "--to", settings_of(there))
    proven(moved)
    assert moved["scopes"][0]["erasures"] == 1
    assert there.json("check")["faults"] == []
    assert [each["erasure_id"] for each in there.json("erasure", "ledger")] == ["erasure_1"]
    (stocked.path / "erasures.jsonl").unlink()
    stocked.good("member", "set", "new@acme.example", *PLACE, "--role", "member")
    said = stocked.bad("move", "--to", settings_of(there))
    assert "names erasures that the source does not know (erasure_1 of t_acme/dev)" in said


@pytest.mark.long
def test_installations_may_share_their_objects(stocked: Folder) -> None:
    """Only the rows move then, and every object is still proven."""
    there = beside(stocked, "there", data="../shared-data")
    (there.path.parent / "shared-data").mkdir(exist_ok=True)
    target = there.path.parent / "shared-data" / "objects"
    shutil.move(stocked.path / "nexus-data" / "objects", target)
    (stocked.path / "nexus-data" / "objects").symlink_to(target)
    moved = stocked.json("move", "--to", settings_of(there))
    assert moved["scopes"][0]["objects"] == {"written": 0, "there": 0, "removed": 0}
    assert proven(moved)["t_acme/dev objects"]["count"] == 1


def test_from_files_to_servers_and_back(
    demonstrated: Folder, postgres: PostgresServer, s3_server: SeaweedFS, weaviate: WeaviateServer
) -> None:
    """SQLite and files to Postgres, S3 and Weaviate and back: the same digests, the same answers, at every station."""
    before = told(demonstrated)
    postgres.create("moved")
    place = postgres.place("moved")
    rows = {"postgres": place.address, "postgres_owner": place.owner or ""}
    vectors = weaviate.settings("Moved")
    with s3_server.bucket() as bucket:
        there = beside(demonstrated, "there", **rows, **vectors, **bucket_settings(s3_server, bucket))
        first = proven(demonstrated.json("move", "--to", settings_of(there)))
        assert told(there) == before
        assert there.json("check", "--repair")["left"] == []
        assert there.json("check")["faults"] == []
        again = demonstrated.json("move", "--to", settings_of(there), "--tenant", "t_globex")
        assert [scope["standing"] for scope in again["scopes"]] == ["AHEAD"]  # by the copies of its vectors
        back = beside(demonstrated, "back")
        second = proven(there.json("move", "--to", settings_of(back)))
    assert told(back) == before
    assert back.json("check")["faults"] == []
    same = {"cards", "card_versions", "card_labels", "atoms", "assets", "packs", "index_vectors", "objects", "members"}
    for name in (f"{tenant}/dev {what}" for tenant in ("t_acme", "t_globex") for what in same):
        assert first.get(name) == second.get(name), name


async def test_a_move_to_postgres_that_was_killed_goes_on(demonstrated: Folder, postgres: PostgresServer) -> None:
    """Killed while it waits for a table: the batches before it are not copied again."""
    postgres.create("killed")
    place = postgres.place("killed")
    owner = place.owner or ""
    there = beside(demonstrated, "there", postgres=place.address, postgres_owner=owner, postgres_seconds="60")
    holder = await asyncpg.connect(owner)
    try:
        async with holder.transaction():
            await holder.execute("lock table atoms in exclusive mode")
            process = demonstrated.start("move", "--to", settings_of(there))
            deadline = time.monotonic() + 60
            while not await holder.fetchval("select count(*) from pg_locks where not granted"):
                assert time.monotonic() < deadline, demonstrated.log.read_text()
                await asyncio.sleep(0.05)
            process.send_signal(signal.SIGKILL)
            process.wait(30)
    finally:
        await holder.close()
    held = int(postgres.sql("select count(*) from journal_events", database="killed"))
    assert held > 0
    assert postgres.sql("select count(*) from journal_heads", database="killed").strip() == "0"
    moved = demonstrated.json("move", "--to", settings_of(there))
    assert moved["scopes"][0]["standing"] == "BEGUN"
    assert moved["scopes"][0]["rows"]["there"] > held
    proven(moved)


async def test_nobody_writes_at_a_postgres_source_meanwhile(stocked: Folder, postgres: PostgresServer) -> None:
    """Works of every env and of the members wait; those of another tenant do not."""
    postgres.create("still")
    place = postgres.place("still")
    given = {"postgres": place.address, "postgres_owner": place.owner or "", "postgres_seconds": "1"}
    folder = Folder(stocked.path, **given)
    folder.good("migrate")
    for tenant in ("t_acme", "t_other"):
        folder.good("tenant", "create", tenant, "--env", "dev")
    async with opened(folder) as here:
        async with standing_still(here.stores, scopes_of("t_acme")):
            for scope in scopes_of("t_acme"):
                with pytest.raises(Unavailable):
                    async with here.stores.work(scope, RunKind.ADMIN) as work:
                        work.record(Event("member.set", "member", "", redact({}), membership.DIRECTORY))
            with pytest.raises(Unavailable):
                await membership.set_member(here.stores, console.operator("t_acme", "dev"), "a@acme.example", "owner")
            await membership.set_member(here.stores, console.operator("t_other", "dev"), "a@acme.example", "owner")
        await membership.set_member(here.stores, console.operator("t_acme", "dev"), "a@acme.example", "owner")
