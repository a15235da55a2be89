"""Keys, issuers, and tokens that they sign: good ones, but for what a test changes."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from nexus_graph.scope.issuers import TokenIssuer

NOW = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
STAMP = int(NOW.timestamp())
ISSUER, AUDIENCE = "https://issuer.example", "nexus"
KEY = OKPKey.generate_key("Ed25519", {"use": "sig", "kid": "key-1"})
OTHER = OKPKey.generate_key("Ed25519", {"use": "sig", "kid": "key-1"})
EC = ECKey.generate_key("P-256", {"kid": "key-ec"})
EC_384 = ECKey.generate_key("P-384", {"kid": "key-ec-384"})
EC_521 = ECKey.generate_key("P-521", {"kid": "key-ec-521"})
RSA = RSAKey.generate_key(2048, {"kid": "key-rsa"})
SIGNERS = {
    "Ed25519": KEY,
    "EdDSA": KEY,
    "ES256": EC,
    "ES384": EC_384,
    "ES512": EC_521,
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSA),
}
_PERMISSIVE = jws.JWSRegistry(algorithms=[*SIGNERS, "HS256"], strict_check_header=False)


def public(*keys: Any) -> dict[str, Any]:
    """A JWKS of the public halves."""
    return dict(KeySet(list(keys)).as_dict(private=False))


def write_keys(path: Path, *keys: Any) -> Path:
    """A JWKS file of the public halves."""
    path.write_text(json.dumps(public(*keys)))
    return path


def trusted(keys: object, **changed: Any) -> TokenIssuer:
    """An issuer whose keys are there, like `ISSUER` but for what is changed."""
    return TokenIssuer(**{"issuer": ISSUER, "audience": AUDIENCE, "keys": str(keys)} | changed)


def part(value: object) -> str:
    """A value, or bytes as they are, as a part of a compact token."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def sign(alg: str = "Ed25519", key: Any = None, header: dict[str, Any] | None = None, **changed: Any) -> str:
    """A good token, but for what is changed; a claim or header parameter of None is left out."""
    key = key or SIGNERS[alg]
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": STAMP + 600} | changed
    claims = {name: value for name, value in claims.items() if value is not None}
    head = {"alg": alg, "kid": key.kid} | (header or {})
    head = {name: value for name, value in head.items() if value is not None}
    return signed(head, json.dumps(claims).encode(), key)


def signed(header: dict[str, Any] | bytes, claims: bytes, key: Any) -> str:
    """Claims signed under a header, whatever either holds; a header in bytes needs an Ed25519 key."""
    text = f"{part(header)}.{part(claims)}"
    if isinstance(header, bytes):
        return f"{text}.{part(key.private_key.sign(text.encode()))}"
    name = "Ed25519" if header["alg"] == "EdDSA" else header["alg"]
    return f"{text}.{part(_PERMISSIVE.get_alg(name).sign(text.encode(), key))}"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The files of a folder, as another process serves them at the address."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split("(")[1].rstrip(")/ .\n")
        finally:
            process.terminate()
