"""SeaweedFS, a real S3 server: `.ci/servers/seaweedfs` installs it. Without it the tests skip."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus_graph.stores.blobs.bucket import ObjectServer
from servers.process import CACHE, Process, free_ports, program, start

VERSION = "4.48"
REGION = "us-east-1"
ACCESS_KEY = "nexus"
SECRET_KEY = "a secret key for tests only"


@dataclass(slots=True)
class SeaweedFS:
    """A server that runs in a folder of its own, and can be stopped and started again in its place."""

    weed: Path
    folder: Path
    more: tuple[str, ...] = ()
    ports: list[int] = field(default_factory=lambda: free_ports(8))
    _process: Process | None = None
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def address(self) -> str:
        """Where it speaks S3."""
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def log(self) -> Path:
        """What it writes."""
        return self.folder / "log"

    def start(self) -> None:
        """Start it and wait until it answers."""
        s3, s3_rpc, master, master_rpc, volume, volume_rpc, filer, filer_rpc = self.ports
        self._process = start(
            [
                self.weed,
                *("server", "-s3", "-filer", f"-dir={self.folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
                *(f"-master.port={master}", f"-master.port.grpc={master_rpc}", "-master.telemetry=false"),
                *("-master.volumeSizeLimitMB=64", "-volume.max=0", "-volume.preStopSeconds=0"),
                *(f"-volume.port={volume}", f"-volume.port.grpc={volume_rpc}"),
                *(f"-filer.port={filer}", f"-filer.port.grpc={filer_rpc}"),
                *(
                    f"-s3.port={s3}",
                    f"-s3.port.grpc={s3_rpc}",
                    "-s3.port.iceberg=0",
                    "-s3.port.lance=0",
                    "-s3.iam=false",
                ),
                *(f"-s3.config={self._credentials()}", "-s3.allowDeleteBucketNotEmpty=true"),
                "-s3.autoCreateBucket=false",
                *self.more,
            ],
            self.log,
            self._answers,
            environment={"TMPDIR": str(self.folder), "WEED_S3_SSE_KEY": "for tests only"},
        )

    def stop(self) -> None:
        """Kill it: its own way to end takes ten seconds, and a server that fails does not say good-bye either."""
        if self._process is not None:
            self._process.end(signal.SIGKILL)

    def server(self, bucket: str, **other: Any) -> ObjectServer:
        """How to speak to it."""
        given: dict[str, Any] = {"region": REGION, "endpoint": self.address, "addressing": "path"}
        given |= {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
        return ObjectServer(bucket, **{**given, **other})

    def client(self) -> Any:
        """Its owner's own client, which waits for each answer."""
        return client_at(self.address)

    @contextmanager
    def bucket(self, *, versions: str | None = None) -> Iterator[str]:
        """A bucket of a test's own, with versioning `Enabled` or `Suspended`, or as it is by itself."""
        name, client = f"bucket-{next(self._numbers)}", self.client()
        client.create_bucket(Bucket=name)
        if versions is not None:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versions})
        yield name
        client.delete_bucket(Bucket=name)

    def _credentials(self) -> Path:
        path = self.folder / "credentials.json"
        keys = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
        path.write_text(json.dumps({"identities": [{"name": "tests", "credentials": keys, "actions": ["Admin"]}]}))
        return path

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.address}/healthz", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False


@cache
def client_at(address: str) -> Any:
    """The owner's own client of a server, which waits for each answer."""
    from botocore.config import Config
    from botocore.session import get_session

    return get_session().create_client(
        "s3",
        region_name=REGION,
        endpoint_url=address,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
    )


@contextmanager
def seaweedfs(folder: Path, *more: str) -> Iterator[SeaweedFS]:
    """A server until the context closes. Skips the test where it is not installed."""
    server = SeaweedFS(program("weed", "seaweedfs", CACHE / f"seaweedfs-{VERSION}" / "bin" / "weed"), folder, more)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """One server for all tests that do not harm it."""
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


def bucket_settings(server: SeaweedFS, bucket: str, prefix: str = "house") -> dict[str, str]:
    """Where the objects lie."""
    named = {"endpoint": server.address, "bucket": bucket, "region": REGION, "prefix": prefix}
    named |= {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
    return {"objects": "s3", **{f"s3_{name}": value for name, value in named.items()}}
