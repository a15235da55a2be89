"""The objects of an installation, behind everybody's back: in a folder, or in a bucket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from servers.seaweedfs import client_at


class Objects(Protocol):
    """What lies there under which key."""

    def all(self) -> Iterator[tuple[str, bytes]]:
        """Every key with its bytes; in a bucket all versions, and a marker of a removal without any bytes."""

    def written(self) -> list[tuple[str, str]]:
        """Every key, with what changes whenever it is written."""

    def change(self, key: str, data: bytes) -> None:
        """Put other bytes under a key."""


@dataclass(frozen=True, slots=True)
class InFolder:
    """Files of the data folder."""

    folder: Path

    def all(self) -> Iterator[tuple[str, bytes]]:
        """See `Objects`."""
        for path in self._files():
            yield str(path.relative_to(self.folder)), path.read_bytes()

    def written(self) -> list[tuple[str, str]]:
        """See `Objects`."""
        return [(str(path), f"{path.stat().st_size} {path.stat().st_mtime_ns}") for path in self._files()]

    def change(self, key: str, data: bytes) -> None:
        """See `Objects`."""
        path = self.folder / key
        path.chmod(0o600)
        path.write_bytes(data)

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


@dataclass(frozen=True, slots=True)
class InBucket:
    """Below a prefix of a bucket of the tests' own server."""

    address: str
    bucket: str
    prefix: str

    def all(self) -> Iterator[tuple[str, bytes]]:
        """See `Objects`."""
        for key, version, marker in self._versions():
            named = {"Bucket": self.bucket, "Key": key, "VersionId": version}
            yield (
                key.removeprefix(self.prefix),
                b"" if marker else client_at(self.address).get_object(**named)["Body"].read(),
            )

    def written(self) -> list[tuple[str, str]]:
        """See `Objects`."""
        return [(key, version) for key, version, _ in self._versions()]

    def change(self, key: str, data: bytes) -> None:
        """See `Objects`."""
        client_at(self.address).put_object(Bucket=self.bucket, Key=self.prefix + key, Body=data)

    def _versions(self) -> list[tuple[str, str, bool]]:
        """Key, version and whether it is the marker of a removal."""
        found = client_at(self.address).list_object_versions(Bucket=self.bucket, Prefix=self.prefix)
        assert not found["IsTruncated"]
        entries = [
            (entry["Key"], entry["VersionId"], kind == "DeleteMarkers")
            for kind in ("Versions", "DeleteMarkers")
            for entry in found.get(kind, ())
        ]
        return sorted(entries)


def objects_of(folder: Path, environment: Mapping[str, str]) -> Objects:
    """The objects of an installation with such an environment; `folder` is where they lie in files."""
    if environment.get("NEXUS_OBJECTS") != "s3":
        return InFolder(folder)
    named = (environment[f"NEXUS_S3_{name}"] for name in ("ENDPOINT", "BUCKET", "PREFIX"))
    address, bucket, prefix = named
    return InBucket(address, bucket, f"{prefix}/")
