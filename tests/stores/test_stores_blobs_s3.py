"""An object server that speaks S3: what the contract can't ask of every store, on a real server and on broken ones."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from servers.process import free_ports
from servers.seaweedfs import ACCESS_KEY, SECRET_KEY, SeaweedFS, seaweedfs
from structlog.testing import capture_logs

from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.clock import system_clock
from nexus_graph.scope.errors import ConfigurationError, Conflict, NotFound, Unavailable
from nexus_graph.stores.blobs.base import Stat, Upload
from nexus_graph.stores.blobs.bucket import Answer, Bucket, ObjectServer
from nexus_graph.stores.blobs.s3 import S3Blobs

ROOT = Path(__file__).parents[2]
KEY = "tenants/t_acme/dev/raw/asset_1/report.txt"
DATA = b"Net sales rose in the third quarter.\n" * 1000
PART = 5 * 1024 * 1024
LARGE = bytes(range(256)) * 4096 * 12


@asynccontextmanager
async def opened(server: ObjectServer, **settings: Any) -> AsyncIterator[S3Blobs]:
    """A store, until the context closes."""
    blobs = S3Blobs(server, clock=system_clock, **{"whole": PART, "part": PART, **settings})
    await blobs.open()
    try:
        yield blobs
    finally:
        await blobs.close()


@pytest.fixture
async def blobs(s3_server: SeaweedFS) -> AsyncIterator[S3Blobs]:
    """An empty bucket."""
    with s3_server.bucket() as bucket:
        async with opened(s3_server.server(bucket)) as blobs:
            yield blobs


@pytest.fixture
async def versioned(s3_server: SeaweedFS) -> AsyncIterator[S3Blobs]:
    """An empty bucket that keeps versions."""
    with s3_server.bucket(versions="Enabled") as bucket:
        async with opened(s3_server.server(bucket)) as blobs:
            yield blobs


def bucket_of(blobs: S3Blobs) -> str:
    """The name of its bucket."""
    return blobs._bucket.server.bucket


def versions(server: SeaweedFS, blobs: S3Blobs) -> list[str]:
    """Every version and every marker of a removal that the owner of the bucket finds in it."""
    found = server.client().list_object_versions(Bucket=bucket_of(blobs))
    return [entry["VersionId"] for entry in [*found.get("Versions", ()), *found.get("DeleteMarkers", ())]]


async def form_for(blobs: S3Blobs, key: str = KEY, data: bytes = DATA, seconds: float = 60) -> Upload:
    """An upload of these bytes."""
    later = system_clock() + timedelta(seconds=seconds)
    return await blobs.upload(key, size=len(data), sha256=sha256(data), content_type="text/plain", expires_at=later)


async def post(upload: Upload, data: bytes = DATA) -> httpx.Response:
    """What a client does with it."""
    async with httpx.AsyncClient() as client:
        return await client.post(upload.address, data=dict(upload.fields), files={"file": data})


async def all_keys(blobs: S3Blobs) -> list[str]:
    """Every key."""
    return [key async for key in blobs.keys("")]


async def test_no_version_of_what_is_removed_can_be_read(s3_server: SeaweedFS, versioned: S3Blobs) -> None:
    """Uploads that were sent again leave versions: all of them go, and no marker tells that there was something."""
    form = await form_for(versioned)
    for _ in range(3):
        assert (await post(form)).status_code == 201
    await versioned.put(KEY + ".neighbour", DATA)
    kept = set(versions(s3_server, versioned))
    assert len(kept) == 4
    await versioned.remove(KEY)
    [left] = versions(s3_server, versioned)
    for version in kept - {left}:
        with pytest.raises(ClientError):
            s3_server.client().get_object(Bucket=bucket_of(versioned), Key=KEY, VersionId=version)
    assert await all_keys(versioned) == [KEY + ".neighbour"]


async def test_what_others_removed_is_listed_until_it_is_gone(s3_server: SeaweedFS, versioned: S3Blobs) -> None:
    """A key whose newest version is the mark of a removal can still be read by its owner: erasure has to find it."""
    await versioned.put(KEY, DATA)
    s3_server.client().delete_object(Bucket=bucket_of(versioned), Key=KEY)
    assert await versioned.stat(KEY) is None
    assert await all_keys(versioned) == [KEY]
    await versioned.remove(KEY)
    assert await all_keys(versioned) == []
    assert versions(s3_server, versioned) == []


async def test_versions_that_begin_later_are_noticed(s3_server: SeaweedFS, blobs: S3Blobs) -> None:
    """A bucket that starts to keep versions while it is used gives none of them away when an object is removed."""
    await blobs.put(KEY, DATA)
    assert await all_keys(blobs) == [KEY]
    enabled = {"Status": "Enabled"}
    s3_server.client().put_bucket_versioning(Bucket=bucket_of(blobs), VersioningConfiguration=enabled)
    await post(await form_for(blobs))
    await blobs.remove(KEY)
    assert versions(s3_server, blobs) == []
    s3_server.client().put_object(Bucket=bucket_of(blobs), Key="other", Body=DATA)
    s3_server.client().delete_object(Bucket=bucket_of(blobs), Key="other")
    assert await all_keys(blobs) == ["other"]


async def test_suspended_versions_are_removed_too(s3_server: SeaweedFS, versioned: S3Blobs) -> None:
    """Versions of the time before, and what is written without one since, all go."""
    await post(await form_for(versioned))
    suspended = {"Status": "Suspended"}
    s3_server.client().put_bucket_versioning(Bucket=bucket_of(versioned), VersioningConfiguration=suspended)
    await post(await form_for(versioned))
    assert len(versions(s3_server, versioned)) == 2
    await versioned.remove(KEY)
    assert versions(s3_server, versioned) == []
    assert await all_keys(versioned) == []


async def test_a_version_that_stays_is_told(versioned: S3Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says yes and keeps it does not pass for one that removed it."""
    await versioned.put(KEY, DATA)
    plain = Bucket.call

    async def keeping(self: Bucket, operation: str, given: Mapping[str, object], **how: Any) -> Answer:
        return {} if operation == "delete_object" else await plain(self, operation, given, **how)

    monkeypatch.setattr(Bucket, "call", keeping)
    with pytest.raises(Unavailable, match="keeps a version"):
        await versioned.remove(KEY)


async def test_one_of_two_processes_has_the_key(s3_server: SeaweedFS, blobs: S3Blobs) -> None:
    """Each of thirty keys that two processes want holds the bytes of the one that was told so."""
    names, writers = ("left", "right"), []
    for name in names:
        script = str(Path(__file__).parent / "s3_writer.py")
        command = [sys.executable, script, s3_server.address, bucket_of(blobs), ACCESS_KEY, SECRET_KEY, name]
        pipe = asyncio.subprocess.PIPE
        writers.append(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))
    async with asyncio.timeout(60):
        for writer in writers:
            assert writer.stdout is not None
            assert await writer.stdout.readline() == b"ready\n"
        answers = await asyncio.gather(*(writer.communicate(b"go\n") for writer in writers))
    won = {name: set(answer[0].decode().split()) for name, answer in zip(names, answers, strict=True)}
    held = {str(number): (await blobs.read(f"race/{number}")).decode() for number in range(30)}
    assert won == {name: {number for number, text in held.items() if text == f"{name} {number}"} for name in names}


async def test_an_object_without_a_checksum_is_read_and_hashed(s3_server: SeaweedFS, blobs: S3Blobs) -> None:
    """What somebody else stored, whole or in parts, has the size and SHA-256 of its bytes all the same."""
    client, bucket = s3_server.client(), bucket_of(blobs)
    client.put_object(Bucket=bucket, Key=KEY, Body=DATA)
    assert "ChecksumSHA256" not in client.head_object(Bucket=bucket, Key=KEY, ChecksumMode="ENABLED")
    assert await blobs.stat(KEY) == Stat(len(DATA), sha256(DATA))
    await blobs.put("large", LARGE)
    composite = client.head_object(Bucket=bucket, Key="large", ChecksumMode="ENABLED")["ChecksumSHA256"]
    assert composite.endswith("-3"), "of three parts, not of the object"
    assert await blobs.stat("large") == Stat(len(LARGE), sha256(LARGE))


async def test_what_an_upload_in_parts_leaves_is_cleared(s3_server: SeaweedFS, blobs: S3Blobs) -> None:
    """Parts that nobody put together go once they are old, or at once where all have to, below a prefix alone."""
    client, bucket = s3_server.client(), bucket_of(blobs)
    for key in (KEY, "tenants/t_globex/dev/raw/asset_2/x"):
        begun = client.create_multipart_upload(Bucket=bucket, Key=key)
        client.upload_part(Bucket=bucket, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=DATA)
    assert await blobs.clear_unfinished(system_clock() - timedelta(hours=1)) == 0
    assert await blobs.clear_unfinished(None, "tenants/t_acme/") == 1
    assert await blobs.clear_unfinished(system_clock() + timedelta(hours=1)) == 1
    assert await blobs.clear_unfinished(None) == 0


async def test_a_cancelled_put_leaves_nothing(blobs: S3Blobs) -> None:
    """Whoever gives up in the middle leaves neither an object in parts nor parts of an object."""
    for milliseconds in range(0, 400, 50):
        task = asyncio.create_task(blobs.put(KEY, LARGE))
        await asyncio.sleep(milliseconds / 1000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        found = await blobs.stat(KEY)
        assert found is None or found == Stat(len(LARGE), sha256(LARGE))
        await blobs.remove(KEY)
    assert await blobs.clear_unfinished(None) <= 1  # one whose answer had not come
    assert await all_keys(blobs) == []


async def test_a_download_address_expires(blobs: S3Blobs) -> None:
    """After its time it answers nothing."""
    await blobs.put(KEY, DATA)
    later = system_clock() + timedelta(seconds=3)
    address = await blobs.download(KEY, filename="r.txt", content_type="text/plain", expires_at=later)
    async with httpx.AsyncClient() as client:
        assert (await client.get(address)).status_code == 200
        await asyncio.sleep(3.5)
        assert (await client.get(address)).status_code == 403


async def test_a_page_of_another_origin_may_upload(s3_server: SeaweedFS, blobs: S3Blobs) -> None:
    """A server takes the rule that docs/s3.md shows, and lets a browser show a page of that origin the answer."""
    [*_, text] = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "s3.md").read_text("utf-8"), re.DOTALL)
    rules, client, bucket = json.loads(text), s3_server.client(), bucket_of(blobs)
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    assert client.get_bucket_cors(Bucket=bucket)["CORSRules"] == rules
    form, origin = await form_for(blobs), rules[0]["AllowedOrigins"][0]
    async with httpx.AsyncClient(headers={"Origin": origin}) as page:
        answer = await page.post(form.address, data=dict(form.fields), files={"file": DATA})
    assert answer.status_code == 201
    assert answer.headers["access-control-allow-origin"] in (origin, "*")


async def test_an_upload_that_is_no_form_is_refused(blobs: S3Blobs) -> None:
    """The address of a form takes nothing by itself."""
    form = await form_for(blobs)
    async with httpx.AsyncClient() as client:
        assert (await client.put(form.address, content=DATA)).is_client_error
        assert (await client.post(form.address, files={"file": DATA})).is_client_error
    assert await all_keys(blobs) == []


async def test_writes_ask_for_encryption(s3_server: SeaweedFS, blobs: S3Blobs) -> None:
    """As the settings say, in one write, in parts and in a form."""
    async with opened(s3_server.server(bucket_of(blobs), encryption="AES256")) as encrypting:
        await encrypting.put("whole", DATA)
        await encrypting.put("large", LARGE)
        assert (await post(await form_for(encrypting))).status_code == 201
        for key, data in (("whole", DATA), ("large", LARGE), (KEY, DATA)):
            head = s3_server.client().head_object(Bucket=bucket_of(blobs), Key=key)
            assert head["ServerSideEncryption"] == "AES256", key
            assert await encrypting.stat(key) == Stat(len(data), sha256(data))
            assert await encrypting.read(key, start=5, size=7) == data[5:12]
    keyed = s3_server.server("b", encryption="aws:kms", encryption_key="a-key")
    async with opened(keyed) as other:
        fields = (await form_for(other)).fields
    assert fields["x-amz-server-side-encryption"] == "aws:kms"
    assert fields["x-amz-server-side-encryption-aws-kms-key-id"] == "a-key"


async def test_clients_are_sent_to_the_public_address(s3_server: SeaweedFS, blobs: S3Blobs) -> None:
    """The server itself goes another way, and the signature is good where clients come."""
    await blobs.put(KEY, DATA)
    public = s3_server.address.replace("127.0.0.1", "localhost")
    server = s3_server.server(bucket_of(blobs), public_endpoint=public)
    later = system_clock() + timedelta(minutes=1)
    async with opened(server) as two_faced, httpx.AsyncClient() as client:
        address = await two_faced.download(KEY, filename="r.txt", content_type="text/plain", expires_at=later)
        assert address.startswith(f"{public}/")
        assert (await client.get(address)).content == DATA
        form = await form_for(two_faced, "other")
        assert form.address.startswith(f"{public}/")
        assert (await post(form)).status_code == 201
        assert await two_faced.read("other") == DATA


async def test_a_bucket_may_stand_in_the_host() -> None:
    """AWS's own addresses, and those of an endpoint that is told so; else it stands in the path."""
    later = system_clock() + timedelta(minutes=1)
    aws = ObjectServer("nexus", "eu-central-1", access_key="a", secret_key="b")
    other = replace(aws, endpoint="https://s3.example")
    wanted = {
        "https://nexus.s3.eu-central-1.amazonaws.com/": aws,
        "https://nexus.s3.example/": other,
        "https://s3.example/nexus": replace(other, addressing="path"),
    }
    for start, server in wanted.items():
        async with opened(server, prefix="here") as blobs:
            address = await blobs.download(KEY, filename="r", content_type="text/plain", expires_at=later)
            assert (await form_for(blobs)).address.rstrip("/") == start.rstrip("/")
        assert address.startswith(f"{start.rstrip('/')}/here/{KEY}?")


def wait_until_it_reads(server: SeaweedFS, bucket: str) -> None:
    """Until the whole of it is back: it answers a while before it finds its own disk."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(ClientError):
            server.client().get_object(Bucket=bucket, Key=KEY)["Body"].read()
            return
        time.sleep(0.1)
    pytest.fail("not back after 30 s")


@pytest.mark.servers
async def test_a_server_that_stops_is_unavailable_until_it_is_back(tmp_path: Path) -> None:
    """Each call ends within its deadline while nobody answers, and succeeds again right after."""
    with seaweedfs(tmp_path) as server, server.bucket() as bucket:
        async with opened(server.server(bucket)) as patient:
            await patient.put(KEY, DATA)  # the first write of a new server makes its volumes, and takes its time
        async with opened(replace(server.server(bucket), seconds=1.0)) as blobs:
            await blobs.put("large", LARGE * 4)
            async with blobs.reading("large") as pieces:
                assert await anext(pieces)
                server.stop()
                with pytest.raises(Unavailable):
                    [_ async for _ in pieces]
            deeds: list[Callable[[], Awaitable[object]]] = [
                lambda: blobs.stat(KEY),
                lambda: blobs.measure(KEY),
                lambda: blobs.read(KEY),
                lambda: blobs.put("new", DATA),
                lambda: blobs.put("large", LARGE),
                lambda: blobs.remove(KEY),
                lambda: all_keys(blobs),
                lambda: blobs.clear_unfinished(None),
                blobs.ready,
                blobs.require_fit,
            ]
            for deed in deeds:
                started = time.monotonic()
                with pytest.raises(Unavailable):
                    await deed()
                assert time.monotonic() - started < 3
            assert (await form_for(blobs)).fields  # made here
            server.start()
            wait_until_it_reads(server, bucket)
            assert await blobs.read(KEY) == DATA
            await blobs.ready()
            assert (await post(await form_for(blobs, "form"))).status_code == 201
            assert await all_keys(blobs) == ["form", "large", KEY]


async def test_what_a_server_lacks_stops_the_start(s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong credentials, no such bucket, and a server that does not heed a condition or a checksum."""
    with s3_server.bucket() as bucket:
        server = s3_server.server(bucket)
        for wrong, word in (
            (replace(server, secret_key="wrong"), "SignatureDoesNotMatch"),
            (replace(server, access_key="nobody"), "InvalidAccessKeyId"),
            (replace(server, bucket="no-such-bucket"), "NoSuchBucket"),
        ):
            async with opened(wrong) as blobs:
                with pytest.raises(ConfigurationError, match=word):
                    await blobs.require_fit()
        plain = Bucket.call
        for passed_over, deed, word in (
            ("IfNoneMatch", "put_object", "conditional writes"),
            ("IfNoneMatch", "complete_multipart_upload", "conditional writes"),
            ("ChecksumSHA256", "put_object", "checksums"),
        ):

            async def careless(
                self: Bucket,
                operation: str,
                given: Mapping[str, object],
                name: str = passed_over,
                of: str = deed,
                **how: Any,
            ) -> Answer:
                heeded = {each: value for each, value in given.items() if operation != of or each != name}
                return await plain(self, operation, heeded, **how)

            monkeypatch.setattr(Bucket, "call", careless)
            async with opened(server) as blobs:
                with pytest.raises(ConfigurationError, match=word):
                    await blobs.require_fit()
                assert await all_keys(blobs) == []
                assert await blobs.clear_unfinished(None) == 0
        monkeypatch.undo()


async def test_a_bucket_that_is_missing_is_not_an_empty_one(s3_server: SeaweedFS) -> None:
    """Nothing is told to be gone because the whole bucket is."""
    async with opened(s3_server.server("no-such-bucket")) as blobs:
        for deed in (blobs.read(KEY), blobs.stat(KEY), blobs.put(KEY, DATA), all_keys(blobs), blobs.remove(KEY)):
            with pytest.raises(Unavailable):
                await deed


Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def saying(text: bytes) -> Answering:
    """A server that answers everything with this and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(text)
            await writer.drain()
        writer.close()

    return answer


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that takes everything and says nothing."""
    with suppress(OSError):
        while await reader.read(65_536):
            pass
    writer.close()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(silent, id="silent"),
        pytest.param(saying(b""), id="closes"),
        pytest.param(saying(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), id="500"),
        *(
            pytest.param(saying(said), id=name, marks=pytest.mark.long)
            for name, said in {
                "other": b"\x16\x03\x01 what is this?",
                "rubbish": b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nrubbish",
                "short": b"HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n<?xml version='1.0'?><a>",
                "503": b"HTTP/1.1 503 Slow Down\r\nContent-Length: 9\r\n\r\nSlow down",
                "301": b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
                "403": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
                "400": b"HTTP/1.1 400 Bad\r\nContent-Length: 5\r\n\r\n<html",
            }.items()
        ),
    ],
)
async def test_a_broken_server_is_unavailable_and_nothing_else(answer: Answering) -> None:
    """Whatever it sends, no error of a driver comes through, in time, and neither error nor log tells an address."""
    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    secret = "zQ8w-not-for-a-log"
    server = ObjectServer("nexus-bucket", "r", f"http://127.0.0.1:{port}", access_key="AKIA1", secret_key=secret)
    server = replace(server, addressing="path", seconds=0.5)
    told = []
    async with opened(server) as blobs:
        deeds: list[Awaitable[object]] = [blobs.put(KEY, DATA), blobs.put(KEY, LARGE), blobs.read(KEY), blobs.stat(KEY)]
        deeds += [all_keys(blobs), blobs.remove(KEY), blobs.ready()]
        with capture_logs() as lines:
            for deed in deeds:
                started = time.monotonic()
                with pytest.raises(Unavailable) as refusal:
                    await deed
                assert time.monotonic() - started < 2
                assert refusal.value.__cause__ is None
                assert refusal.value.__suppress_context__
                told.append(f"{refusal.value.message} {refusal.value.hint}")
    listening.close()
    await asyncio.sleep(0.01)  # for what is still answering
    for text in (*told, str(lines)):
        for word in (secret, "AKIA1", "nexus-bucket", "127.0.0.1", str(port), "t_acme"):
            assert word not in text
    assert lines


async def test_without_the_extra_the_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing and how to get it."""
    monkeypatch.setitem(sys.modules, "aiobotocore.session", None)
    with pytest.raises(ConfigurationError, match="nexus-graph\\[s3\\]"):
        await S3Blobs(ObjectServer("b", "r"), clock=system_clock).open()


async def test_credentials_that_nobody_has_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without keys in the settings, and none where AWS's own tools look, the start names it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    async with opened(ObjectServer("b", "r", "http://127.0.0.1:1", addressing="path")) as blobs:
        later = system_clock() + timedelta(minutes=1)
        for deed in (
            blobs.ready(),
            form_for(blobs),
            blobs.download(KEY, filename="r", content_type="text/plain", expires_at=later),
        ):
            with pytest.raises(Unavailable):
                await deed
        with pytest.raises(ConfigurationError, match="credentials"):
            await blobs.require_fit()


async def test_the_ambient_credentials_are_good_too(
    s3_server: SeaweedFS, blobs: S3Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys of the environment, where the settings name none."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")  # which is not a setting of ours
    async with opened(s3_server.server(bucket_of(blobs), access_key=None, secret_key=None)) as ambient:
        await ambient.put(KEY, DATA)
        assert (await post(await form_for(ambient, "form"))).status_code == 201
    assert await blobs.read(KEY) == DATA


async def test_a_store_that_is_not_open_says_so() -> None:
    """A mistake of ours is none of the server's."""
    blobs = S3Blobs(ObjectServer("b", "r"), clock=system_clock)
    for deed in (blobs.stat(KEY), form_for(blobs), blobs.ready()):
        with pytest.raises(RuntimeError, match="not open"):
            await deed


async def test_conflicts_and_misses_are_ours(blobs: S3Blobs) -> None:
    """What a caller may do something about has our own words."""
    await blobs.put(KEY, DATA)
    with pytest.raises(Conflict) as conflict:
        await blobs.put(KEY, b"other")
    with pytest.raises(NotFound) as missing:
        await blobs.read("other")
    for error in (conflict.value, missing.value):
        assert error.__cause__ is None
        assert error.hint


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = system_clock()
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    )
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = builder.add_extension(here, critical=False).sign(key, hashes.SHA256())
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(signed.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


@pytest.mark.servers
async def test_an_authority_of_ones_own_vouches_for_the_server(tmp_path: Path) -> None:
    """Encrypted, with the certificate that the settings name; one that nobody vouches for is not spoken to."""
    paths, [port] = certificate(tmp_path), free_ports(1)
    (tmp_path / "server").mkdir()
    options = (f"-s3.cert.file={paths[0]}", f"-s3.key.file={paths[1]}", f"-s3.port.https={port}")
    with seaweedfs(tmp_path / "server", *options) as server, server.bucket() as bucket:
        encrypted = replace(server.server(bucket), endpoint=f"https://127.0.0.1:{port}")
        async with opened(replace(encrypted, authorities=paths[0])) as blobs:
            await blobs.require_fit()
            await blobs.put(KEY, LARGE)
            assert await blobs.read(KEY) == LARGE
        async with opened(replace(encrypted, seconds=2.0)) as blobs:
            with pytest.raises(Unavailable):
                await blobs.read(KEY)
        wrong = tmp_path / "wrong.pem"
        wrong.write_text("no certificate")
        with pytest.raises(ConfigurationError):
            await S3Blobs(replace(encrypted, authorities=wrong), clock=system_clock).open()


async def test_a_folder_is_cleared_whoever_wrote_it(s3_server: SeaweedFS, blobs: S3Blobs, versioned: S3Blobs) -> None:
    """Keys that are none of ours, former versions, markers and uploads that never ended; neighbours stay."""
    for store in (blobs, versioned):
        client, bucket = s3_server.client(), bucket_of(store)
        for key in ("one_a/t1_1/node/.hidden/a b", "one_a/t1_1/node/x", "one_a/t1_10/x", "one_b/t1_1/x", "two/x"):
            for data in (b"1", b"2"):
                client.put_object(Bucket=bucket, Key=key, Body=data)
        client.delete_object(Bucket=bucket, Key="one_b/t1_1/x")
        client.create_multipart_upload(Bucket=bucket, Key="one_c/t1_1/x")
        assert await store.folders("one_") == {"one_a/", "one_b/", "one_c/"}, "SeaweedFS keeps an empty one for a while"
        assert await store.folders("one_a/") == {"one_a/t1_1/", "one_a/t1_10/"}
        assert [await store.holds(folder) for folder in ("one_a/t1_1/", "one_c/", "one_d/")] == [True, True, False]
        assert await store.holds("one_b/") is (store is versioned)
        before, beside = await store.contents("one_a/t1_1/"), await store.contents("one_a/t1_10/")
        assert len({before, beside, ""}) == 3
        assert await store.contents("one_b/") == ""
        client.delete_object(Bucket=bucket, Key="one_a/t1_1/node/x")
        assert await store.contents("one_a/t1_1/") not in ("", before)
        for folder in ("one_a/t1_1/", "one_b/", "one_c/"):
            await store.clear(folder)
            assert not await store.holds(folder)
        assert await store.contents("one_a/t1_10/") == beside
        assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")
        for folder in ("one_", "two"):
            await store.clear(folder)
        assert versions(s3_server, store) == []
