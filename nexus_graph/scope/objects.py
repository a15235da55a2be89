"""The settings of the object store: files of the data folder, or a bucket that is reached by S3."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, Field, SecretStr

_ADDRESS = r"^https?://[^\s/@?#]+(/[^\s@?#]*)?$"

LONGEST_SIGNATURE: Final = 7 * 86_400
"""Seconds that S3 takes a presigned address for, at the most."""


class ObjectSettings(BaseModel):
    """Where objects lie, and how a bucket is spoken to."""

    objects: Literal["files", "s3"] = Field(
        "files", description="Where objects lie: in files of the data folder, or in a bucket of S3 (docs/s3.md)."
    )
    s3_bucket: str | None = Field(None, min_length=1, description="The bucket.")
    s3_region: str | None = Field(None, min_length=1, description="Its region; what other servers than AWS's ask for.")
    s3_endpoint: str | None = Field(
        None, pattern=_ADDRESS, description="Address of the object server; AWS's of the region when unset."
    )
    s3_public_endpoint: str | None = Field(
        None, pattern=_ADDRESS, description="Its address for browsers and other clients, if that is another one."
    )
    s3_access_key: str | None = Field(
        None, min_length=1, description="Access key; without one, where AWS's own tools look for credentials."
    )
    s3_secret_key: SecretStr | None = Field(None, min_length=1, description="The secret of the access key.")
    s3_prefix: str = Field(
        "",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*)?$",
        max_length=200,
        description="Beginning of every key, without a slash at its end.",
    )
    s3_addressing: Literal["path", "virtual"] | None = Field(
        None,
        description="Where the bucket's name stands in addresses: in the path or the host; unset: path on an endpoint.",
    )
    s3_ca: Path | None = Field(None, description="File of certificate authorities (PEM) that vouch for the endpoint.")
    s3_encryption: Literal["AES256", "aws:kms"] | None = Field(
        None, description="Encryption that writes ask for; the bucket's own when unset."
    )
    s3_encryption_key: str | None = Field(None, min_length=1, description="Key of `aws:kms`; its own when unset.")
    s3_seconds: float = Field(
        10.0, ge=0.5, le=300, description="How long the object server may leave a call unanswered."
    )


def object_problems(given: Mapping[str, object]) -> list[str]:
    """What is wrong with the settings that were given, taken together; each by itself is another's affair."""
    ours = [name for name in given if name.startswith("s3_")]
    if given.get("objects", "files") != "s3":
        return [f"{_told(name)} is set, and NEXUS_OBJECTS is not s3" for name in ours]
    wrong = [
        f"{_told(name)} is missing, as NEXUS_OBJECTS is s3" for name in ("s3_bucket", "s3_region") if name not in ours
    ]
    if ("s3_access_key" in ours) != ("s3_secret_key" in ours):
        wrong.append("NEXUS_S3_ACCESS_KEY and NEXUS_S3_SECRET_KEY go together")
    if "s3_encryption_key" in ours and given.get("s3_encryption") != "aws:kms":
        wrong.append("NEXUS_S3_ENCRYPTION_KEY needs NEXUS_S3_ENCRYPTION to be aws:kms")
    if "s3_ca" in ours and not Path(str(given["s3_ca"])).is_file():
        wrong.append("NEXUS_S3_CA is no file")
    for name in ("reservation_seconds", "address_seconds"):
        seconds = given.get(name)
        if isinstance(seconds, int) and seconds > LONGEST_SIGNATURE:
            wrong.append(f"{_told(name)} is over {LONGEST_SIGNATURE}, and S3 takes no address for longer")
    return wrong


def _told(name: str) -> str:
    return f"NEXUS_{name.upper()}"
