"""Issuers of bearer tokens: whose word counts for who somebody is, and how their people are told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

DEVELOPMENT = "nexus-graph-development"
"""Who signs with the key of `nexus-graph init`."""
DEVELOPMENT_AUDIENCE = "nexus-graph"


class TokenIssuer(BaseModel):
    """Somebody whose bearer tokens are believed: one entry of the setting `issuers`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(min_length=1, description="The `iss` of its tokens, to the letter.")
    audience: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=1, description="Whom a token must be for: a text, or a list of texts of which one is enough."
    )
    keys: str = Field(min_length=1, description="JWKS file or https address with the keys that sign its tokens.")
    audience_claim: Literal["aud", "client_id"] = Field(
        "aud", description="The claim that names the audience; access tokens of Amazon Cognito have `client_id` alone."
    )
    subject_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._:@|/-]{0,50}$",
        description="Stands before the `sub` of its tokens wherever a member is named; of two issuers one needs it.",
    )

    @field_validator("audience", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


def development(keys: Path) -> TokenIssuer:
    """The issuer of a development installation, which signs with a key of its own."""
    return TokenIssuer(issuer=DEVELOPMENT, audience=(DEVELOPMENT_AUDIENCE,), keys=str(keys))


def require_told_apart(issuers: Sequence[TokenIssuer]) -> None:
    """Raises ValueError for issuers that nobody could tell from each other, or whose people would be mixed up."""
    if any(each.issuer == DEVELOPMENT for each in issuers):
        raise ValueError(f"{DEVELOPMENT!r} is who signs with the development key")
    for name in _repeated(each.issuer for each in issuers):
        raise ValueError(f"the issuer {name!r} is named twice")
    for prefix in _repeated(each.subject_prefix for each in issuers):
        raise ValueError(
            f"two issuers have the subject_prefix {prefix!r}: one `sub` of both would be one person. "
            "Give each its own, at most one may go without"
        )


def person(issuer: TokenIssuer, subject: str, issuers: Iterable[TokenIssuer]) -> str:
    """The name of an issuer's subject among those of all issuers.

    Raises ValueError when it begins as the names of another issuer's people do: nobody may speak for them.
    """
    name = issuer.subject_prefix + subject
    longest = max((each.subject_prefix for each in issuers if name.startswith(each.subject_prefix)), key=len)
    if longest != issuer.subject_prefix:
        raise ValueError(f"a subject that begins with {longest!r} belongs to another issuer")
    return name


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]
