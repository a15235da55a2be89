"""Every setting, read once, from the environment (`NEXUS_*`) and a `nexus.toml`. Nothing else reads the environment.

The environment wins over the file. Unknown names are refused and everything missing is named at once: there is no
silent fallback anywhere.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from nexus_graph.scope.errors import ConfigurationError
from nexus_graph.scope.issuers import TokenIssuer, require_told_apart
from nexus_graph.scope.limits import Limits
from nexus_graph.scope.objects import ObjectSettings, object_problems
from nexus_graph.scope.redaction import redact_text
from nexus_graph.scope.scope import Env
from nexus_graph.scope.vector_settings import VectorSettings
from nexus_graph.stores.database.place import Place, PostgresPlace, PostgresSettings

PREFIX = "NEXUS_"
FILE_SETTING = "NEXUS_CONFIG"
DEFAULT_FILE = Path("nexus.toml")

_ORIGIN = r"^https?://[^\s@/?#]+$"
_LEDGER_BUCKET = re.compile(
    r"s3://(?P<bucket>[A-Za-z0-9.-]+)(/(?P<prefix>[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*))?/?"
)
_GONE = ("token_issuer", "token_audience", "token_keys")
_NOBODY = (
    "NEXUS_ISSUERS is missing: whose bearer tokens are believed. docs/operations.md shows how to name them; for "
    "development, `nexus-graph init` makes NEXUS_DEVELOPMENT_KEY instead."
)


class Config(PostgresSettings, ObjectSettings, VectorSettings):
    """The settings of one process. Times in seconds, sizes in bytes, unless the name says otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path = Field(description="Folder of the embedded stores: database and objects.")
    issuers: tuple[TokenIssuer, ...] = Field(
        (),
        description="Whose bearer tokens are believed: tables in the file, a JSON list in the environment; see below.",
    )
    development_key: Path | None = Field(
        None, description="Local private key (JWK) of `nexus-graph init`; its tokens are good in env dev only."
    )
    erasure_ledger: str = Field(
        min_length=1,
        description="Tells of every erasure, out of a restore's reach: a file outside of the data folder, or "
        "s3://BUCKET/PREFIX, another bucket of the same object server.",
    )
    signing_secret: SecretStr = Field(description="Signs cursors and upload addresses; at least 32 characters.")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8300, ge=0, le=65535, description="Port to listen on.")
    public_url: str | None = Field(None, description="How clients reach this server; http://HOST:PORT when unset.")

    embedder: str = Field("onnx", description="Who makes vectors: onnx, hashing or openai.")
    embedder_model: Path | None = Field(
        None, description="Folder with tokenizer.json and model.onnx; the installed MiniLM when unset."
    )
    embedder_address: str | None = Field(None, description="Base address of an OpenAI-compatible embeddings server.")
    embedder_openai_model: str | None = Field(None, description="Model name to ask that server for.")
    embedder_key: SecretStr | None = Field(None, description="Bearer key for that server.")
    embedder_dimensions: int | None = Field(None, ge=1, le=8192, description="Dimensions of its vectors.")

    largest_asset: int = Field(64 * 1024 * 1024, ge=1, description="Bytes of the largest raw asset.")
    reservation_seconds: int = Field(3600, ge=1, description="How long an upload may take before it is swept.")
    address_seconds: int = Field(300, ge=1, description="How long a download address is good.")
    derive_seconds: int = Field(30, ge=1, description="Time limit of one derivation.")
    derive_memory: int = Field(1024 * 1024 * 1024, ge=64 * 1024 * 1024, description="Memory limit of one derivation.")
    derive_workers: int = Field(1, ge=1, le=64, description="Processes that derive.")
    index_wait_seconds: float = Field(10.0, ge=0, description="How long a publishing waits to be indexed.")
    poll_seconds: float = Field(
        0.5, gt=0, lt=1, description="How long another process's writes, a kill switch among them, may go unseen."
    )
    heartbeat_seconds: float = Field(15.0, gt=0, description="Pause after which a quiet stream sends a heartbeat.")
    largest_request: int = Field(2 * 1024 * 1024, ge=1024, description="Bytes of the largest GraphQL request.")
    operation_seconds: float = Field(30.0, gt=0, description="How long a query or mutation may take.")
    request_seconds: float = Field(15.0, gt=0, description="How long a request may take to arrive.")
    send_seconds: float = Field(5.0, gt=0, description="How long a client may leave a message unread.")
    sockets: int = Field(10_000, ge=1, description="Websockets of one server.")
    ticket_seconds: int = Field(60, ge=1, le=600, description="How long a stream ticket opens a stream.")
    origins: str = Field(
        "", description="Origins of web pages that may call, separated by commas; this server's own always may."
    )
    documents: Literal["any", "trusted"] = Field(
        "any", description="Which documents are run: any, or trusted ones alone."
    )
    operations: Path | None = Field(None, description="Folder with trusted documents besides the shipped ones.")
    introspection_envs: str = Field(
        "dev,staging", description="Envs in which the schema can be introspected, separated by commas; empty: in none."
    )
    graphiql: Path | None = Field(
        None, description="Folder `node_modules` with GraphiQL and React; /graphiql says what it needs when unset."
    )
    quota_stored_bytes: int = Field(10 * 1024**3, ge=0, description="Stored bytes of a tenant and env.")
    quota_assets: int = Field(100_000, ge=0, description="Raw assets of a tenant and env.")
    quota_cards: int = Field(100_000, ge=0, description="Cards of a tenant and env.")
    quota_index_writes: int = Field(1_000_000, ge=0, description="Cards indexed a day in a tenant and env.")
    quota_live_streams: int = Field(1_000, ge=0, description="Live streams of a tenant and env.")
    actor_streams: int = Field(200, ge=1, description="Live streams of one actor.")
    actor_sockets: int = Field(100, ge=1, description="Websockets of one actor on one server.")
    actor_burst: int = Field(20_000, ge=1, le=10**9, description="Points in the full budget of an actor.")
    actor_per_second: int = Field(1_000, ge=1, le=10**9, description="Points that fill an actor's budget each second.")
    tenant_burst: int = Field(80_000, ge=1, le=10**9, description="Points in the full budget of a tenant.")
    tenant_per_second: int = Field(4_000, ge=1, le=10**9, description="Points that fill a tenant's budget each second.")
    introspection_burst: int = Field(
        20, ge=1, le=10**9, description="Introspections in an actor's full budget for them."
    )
    introspection_per_second: float = Field(0.2, gt=0, description="Introspections that fill it each second.")
    lock_seconds: int = Field(30 * 86_400, ge=1, description="How long a Strategy Lock lives at the most.")
    session_seconds: int = Field(86_400, ge=1, description="How long session memory lives unless it says otherwise.")
    longest_session_seconds: int = Field(30 * 86_400, ge=1, description="How long session memory lives at the most.")
    train_ok: bool = Field(True, description="Whether anything of this installation may be exported for training.")
    metrics_token: SecretStr | None = Field(
        None,
        min_length=16,
        description="Bearer token that a scraper of /metrics sends; no metrics are shown when unset.",
    )
    traces_address: str | None = Field(
        None,
        pattern=r"^https?://[^\s@]+$",
        description="Base address of an OpenTelemetry collector (OTLP over HTTP); needs the extra `traces`.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe line to log.")

    @field_validator("issuers", mode="before")
    @classmethod
    def _from_json(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError('is no JSON. Write [{"issuer": "...", "audience": "...", "keys": "..."}]') from error

    @field_validator("issuers")
    @classmethod
    def _told_apart(cls, value: tuple[TokenIssuer, ...]) -> tuple[TokenIssuer, ...]:
        require_told_apart(value)
        return value

    @field_validator("signing_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 32:
            raise ValueError("must have at least 32 characters")
        return value

    @field_validator("public_url")
    @classmethod
    def _of_the_web(cls, value: str | None) -> str | None:
        if value is not None and not (value.startswith(("http://", "https://")) and urlsplit(value).hostname):
            raise ValueError(f"{value!r} is no address. Write https://api.example or http://127.0.0.1:8300")
        return value

    @field_validator("introspection_envs")
    @classmethod
    def _of_envs(cls, value: str) -> str:
        if unknown := sorted(set(_listed(value)) - {env.value for env in Env}):
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(Env)}")
        return value

    @model_validator(mode="after")
    def _as_a_whole(self) -> Self:
        if wrong_ledger := self._wrong_ledger():
            raise ValueError(wrong_ledger)
        if self.postgres is None and (self.postgres_owner or self.postgres_signals):
            raise ValueError("NEXUS_POSTGRES is missing: the address with the application's role")
        if wrong_vectors := self.wrong_vectors() or self._wrong_offloading():
            raise ValueError(wrong_vectors)
        if wrong := object_problems({name: getattr(self, name) for name in self.model_fields_set}):
            raise ValueError("; ".join(wrong))
        return self

    def _wrong_offloading(self) -> str | None:
        bucket, ledger = self.weaviate_offload_bucket, self.ledger
        if bucket is None:
            return None
        if self.objects != "s3":
            return "NEXUS_WEAVIATE_OFFLOAD_BUCKET is set, and NEXUS_OBJECTS, which says how to reach it, is not s3"
        others = {"NEXUS_S3_BUCKET": self.s3_bucket}
        if not isinstance(ledger, Path):
            others["NEXUS_ERASURE_LEDGER"] = ledger[0]
        for name, other in others.items():
            if bucket == other:
                return f"NEXUS_WEAVIATE_OFFLOAD_BUCKET must be another bucket than {name}, which Weaviate is no part of"
        return None

    def _wrong_ledger(self) -> str | None:
        place = self.ledger
        if isinstance(place, Path):
            if "://" in self.erasure_ledger:
                return "NEXUS_ERASURE_LEDGER is no place. Write a path, or s3://BUCKET/PREFIX"
            if place.resolve().is_relative_to(self.data.resolve()):
                return "NEXUS_ERASURE_LEDGER must lie outside of NEXUS_DATA, which a restore takes back"
        elif self.objects != "s3":
            return "NEXUS_ERASURE_LEDGER is a bucket, and NEXUS_OBJECTS, which says how to reach one, is not s3"
        elif place[0] == self.s3_bucket:
            return "NEXUS_ERASURE_LEDGER must be another bucket than NEXUS_S3_BUCKET, which a restore takes back"
        return None

    @property
    def ledger(self) -> Path | tuple[str, str]:
        """Where the ledger of erasures is: a file, or a bucket and the beginning of its keys."""
        found = _LEDGER_BUCKET.fullmatch(self.erasure_ledger)
        return Path(self.erasure_ledger) if found is None else (found["bucket"], found["prefix"] or "")

    @property
    def address(self) -> str:
        """How clients reach this server, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def introspecting(self) -> frozenset[Env]:
        """The envs in which the schema can be introspected."""
        return frozenset(Env(name) for name in _listed(self.introspection_envs))

    @property
    def limits(self) -> Limits:
        """What each tenant and actor is given, unless a quota of the tenant's own says otherwise."""
        return Limits(
            stored_bytes=self.quota_stored_bytes,
            assets=self.quota_assets,
            cards=self.quota_cards,
            index_writes=self.quota_index_writes,
            live_streams=self.quota_live_streams,
            actor_streams=self.actor_streams,
            actor_sockets=self.actor_sockets,
            actor_burst=self.actor_burst,
            actor_per_second=self.actor_per_second,
            tenant_burst=self.tenant_burst,
            tenant_per_second=self.tenant_per_second,
            introspection_burst=self.introspection_burst,
            introspection_per_second=self.introspection_per_second,
            lock_seconds=self.lock_seconds,
            session_seconds=self.session_seconds,
            longest_session_seconds=self.longest_session_seconds,
            train_ok=self.train_ok,
        )

    @property
    def database(self) -> Place:
        """Where the database is: on a Postgres server, or the embedded file."""
        if self.postgres is None:
            return self.data / "nexus.db"
        return PostgresPlace.of(self)

    @property
    def objects_folder(self) -> Path:
        """The folder of the embedded object store."""
        return self.data / "objects"


def _listed(value: str) -> list[str]:
    return [name for part in value.split(",") if (name := part.strip())]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as `nexus-graph config` shows it."""

    name: str
    value: str
    source: str
    description: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and where each came from."""

    config: Config
    settings: tuple[Setting, ...]


def load(environment: Mapping[str, str] | None = None, file: Path | None = None, **given: Any) -> Loaded:
    """Read all settings. `given` (from the command line) wins over the environment, and that over the file.

    Raises ConfigurationError that names every unknown, missing and wrong setting.
    """
    environment = dict(os.environ if environment is None else environment)
    named = environment.pop(FILE_SETTING, None)
    path = file or (Path(named) if named else DEFAULT_FILE)
    from_file = _read_file(path, required=file is not None or named is not None)
    from_environment = {
        name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)
    }
    given = {name: value for name, value in given.items() if value is not None}
    merged: dict[str, Any] = {**from_file, **from_environment, **given}
    for name in ("data", "erasure_ledger", "development_key", "embedder_model", "operations", "graphiql", "s3_ca"):
        if name in from_file and merged[name] is from_file[name]:
            merged[name] = _beside(path, from_file[name])
    if "issuers" in from_file and merged["issuers"] is from_file["issuers"]:
        merged["issuers"] = _with_keys_beside(path, from_file["issuers"])
    try:
        config = Config(**merged)
    except ValidationError as error:
        nobody = [] if "issuers" in merged or "development_key" in merged else [_NOBODY]
        alone = any(problem["loc"] for problem in error.errors())  # what goes together was not looked at then
        together = [f"{line}." for line in object_problems(merged)] if alone else []
        raise ConfigurationError(_explain([*_problems(error), *together, *nobody], path)) from error
    if not config.issuers and config.development_key is None:
        raise ConfigurationError(_explain([_NOBODY], path))
    sources = {**dict.fromkeys(from_file, str(path)), **dict.fromkeys(from_environment, "environment")}
    sources |= dict.fromkeys(given, "command line")
    return Loaded(config, tuple(_settings(config, sources)))


def _read_file(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if required:
            raise ConfigurationError(f"There is no configuration file {path}.") from None
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The configuration file {path} can't be read: {error}.") from error


def _beside(path: Path, value: object) -> object:
    """A path in a configuration file begins at that file."""
    return value if not isinstance(value, str) or "://" in value else str(path.parent / value)


def _with_keys_beside(path: Path, issuers: object) -> object:
    """Issuers whose files of keys are found from the configuration file; what is no issuer is refused later."""
    if not isinstance(issuers, list):
        return issuers
    return [
        {name: _beside(path, value) if name == "keys" else value for name, value in each.items()}
        if isinstance(each, dict)
        else each
        for each in issuers
    ]


def _problems(error: ValidationError) -> list[str]:
    """What is wrong with each setting, a line each. Members of an issuer are named as `NEXUS_ISSUERS[0].audience`."""
    lines = []
    for problem in error.errors():
        said = problem["msg"].removeprefix("Value error, ")
        name, fields = PREFIX, Config.model_fields
        for part in problem["loc"]:
            if isinstance(part, int):
                name, fields = f"{name}[{part}]", TokenIssuer.model_fields
            else:
                name += part.upper() if name == PREFIX else f".{part}"
        last = problem["loc"][-1] if problem["loc"] else None
        field = fields.get(str(last))
        if last is None:
            lines.append(f"{said}.")
        elif problem["type"] == "missing":
            lines.append(f"{name} is missing: {field.description if field else ''}")
        elif last in _GONE:
            lines.append(
                f"{name} is no setting any more: NEXUS_ISSUERS names every issuer with its audience and keys, as "
                "docs/operations.md shows. A development key needs none of them: take the line out."
            )
        elif problem["type"] == "extra_forbidden":
            lines.append(f"{name} is no setting of Nexus Graph; docs/configuration.md lists them all.")
        else:
            lines.append(f"{name} is wrong: {said}.")
    return lines


def _explain(problems: Sequence[str], path: Path) -> str:
    return "\n".join([*problems, f"Set them in the environment or in {path}. For development, run `nexus-graph init`."])


def _settings(config: Config, sources: Mapping[str, str]) -> list[Setting]:
    found = []
    for name, field in Config.model_fields.items():
        value = getattr(config, name)
        shown = "********" if isinstance(value, SecretStr) else "" if value is None else redact_text(_text(value))
        found.append(Setting(PREFIX + name.upper(), shown, sources.get(name, "default"), field.description or ""))
    return found


def _text(value: object) -> str:
    """A setting as the environment takes it."""
    if not isinstance(value, tuple):
        return str(value)
    return json.dumps([each.model_dump(mode="json", exclude_defaults=True) for each in value]) if value else ""
