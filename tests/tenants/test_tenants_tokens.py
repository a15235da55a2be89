"""Bearer tokens: whatever is not exactly right is refused, and says no more than it must."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from structlog.testing import capture_logs

from nexus_graph.scope.errors import ConfigurationError, Unauthenticated, Unavailable
from nexus_graph.tenants import tokens
from nexus_graph.tenants.tokens import LONGEST_TOKEN, Keys, Verifier, issue, new_development_key

NOW = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
ISSUER, AUDIENCE = "https://issuer.example", "nexus"
KEY = OKPKey.generate_key("Ed25519", {"use": "sig", "kid": "key-1"})
OTHER = OKPKey.generate_key("Ed25519", {"use": "sig", "kid": "key-1"})
EC = ECKey.generate_key("P-256", {"kid": "key-ec"})
RSA = RSAKey.generate_key(2048, {"kid": "key-rsa"})
SIGNERS = {"Ed25519": KEY, "ES256": EC, "RS256": RSA, "PS256": RSA}
Sign = Callable[..., str]


def write_keys(path: Path, *keys: Any) -> Path:
    """A JWKS file of the public halves."""
    path.write_text(json.dumps(KeySet(list(keys)).as_dict(private=False)))
    return path


@pytest.fixture
def jwks(tmp_path: Path) -> Path:
    """A JWKS file."""
    return write_keys(tmp_path / "jwks.json", KEY, EC, RSA)


@pytest.fixture
def verifier(jwks: Path) -> Verifier:
    """A verifier of that file's keys."""
    return Verifier(issuer=ISSUER, audience=AUDIENCE, keys=Keys(str(jwks)), development_keys=None)


def sign(alg: str = "Ed25519", key: Any = None, header: dict[str, Any] | None = None, **changed: Any) -> str:
    """A good token, but for what is changed; a claim of None is left out."""
    key = key or SIGNERS[alg]
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": int(NOW.timestamp()) + 600} | changed
    claims = {name: value for name, value in claims.items() if value is not None}
    head = {"alg": alg, "kid": key.kid} | (header or {})
    head = {name: value for name, value in head.items() if value is not None}
    return jws.serialize_compact(head, json.dumps(claims).encode(), key, algorithms=[alg])


def part(value: object) -> str:
    """A value as a part of a compact token."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@pytest.mark.parametrize("alg", SIGNERS)
async def test_a_good_token_says_who_and_until_when(verifier: Verifier, alg: str) -> None:
    """Each accepted algorithm with its own kind of key."""
    claims = await verifier.verify(sign(alg), NOW)
    assert (claims.subject, claims.development) == ("ada", False)
    assert claims.expires_at == NOW + timedelta(seconds=600)


STAMP = int(NOW.timestamp())
WRONG: dict[str, dict[str, Any]] = {
    "issuer": {"iss": "https://else.example"},
    "issuer prefix": {"iss": ISSUER + ".evil.example"},
    "no issuer": {"iss": None},
    "issuer list": {"iss": [ISSUER]},
    "audience": {"aud": "else"},
    "audiences": {"aud": ["else", "others"]},
    "no audience": {"aud": None},
    "no subject": {"sub": None},
    "empty subject": {"sub": ""},
    "subject with a space": {"sub": "ada lovelace"},
    "subject with a control character": {"sub": "ada\x00"},
    "subject that is half a surrogate": {"sub": "\ud800"},
    "subject too long": {"sub": "x" * 201},
    "subject that is no text": {"sub": 5},
    "subject that is a list": {"sub": ["ada"]},
    "no expiry": {"exp": None},
    "expiry as text": {"exp": str(STAMP + 600)},
    "expiry true": {"exp": True},
    "expiry not a number": {"exp": float("nan")},
    "expiry infinite": {"exp": float("inf")},
    "expiry beyond all calendars": {"exp": 10**30},
    "not yet valid": {"nbf": STAMP + 31},
    "issued in the future": {"iat": STAMP + 3600},
}


@pytest.mark.parametrize("claims", WRONG.values(), ids=WRONG)
async def test_a_wrong_claim_is_refused(verifier: Verifier, claims: dict[str, Any]) -> None:
    """Issuer, audience, subject and times, missing, wrong or of another type: all in the same words."""
    with pytest.raises(Unauthenticated, match=r"^The token is not valid: signature, issuer, audience"):
        await verifier.verify(sign(**claims), NOW)


async def test_an_expired_token_says_so(verifier: Verifier) -> None:
    """Who only ran out of time is told, so that a client knows to fetch a new token and come back."""
    with pytest.raises(Unauthenticated, match=r"^The token has expired") as caught:
        await verifier.verify(sign(exp=STAMP - 31), NOW)
    assert caught.value.expired
    with pytest.raises(Unauthenticated) as otherwise:
        await verifier.verify(sign(iss="https://else.example"), NOW)
    assert not otherwise.value.expired


@pytest.mark.parametrize("claims", [{"exp": STAMP - 29}, {"nbf": STAMP + 29}, {"aud": ["else", AUDIENCE]}])
async def test_clocks_may_differ_a_little_and_audiences_be_many(verifier: Verifier, claims: dict[str, Any]) -> None:
    """Half a minute either way is forgiven; one of several audiences is enough."""
    assert (await verifier.verify(sign(**claims), NOW)).subject == "ada"


def forged(jwks: Path) -> dict[str, str]:
    """Tokens that somebody without the private key can make."""
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "exp": STAMP + 600}
    public_pem = KEY.as_pem(private=False)
    rsa_pem = RSA.as_pem(private=False)
    good = sign()
    head, body, signature = good.split(".")

    def with_secret(secret: bytes, kid: str) -> str:
        signed = f"{part({'alg': 'HS256', 'kid': kid})}.{part(claims)}"
        return f"{signed}.{part(hmac.digest(secret, signed.encode(), 'sha256'))}"

    private: Any = KEY.private_key

    def signed_by_hand(header: dict[str, Any]) -> str:
        signed = f"{part(header)}.{part(claims)}"
        return f"{signed}.{part(private.sign(signed.encode()))}"

    return {
        "another key under the same id": sign(key=OTHER),
        "none": f"{part({'alg': 'none', 'kid': 'key-1'})}.{part(claims)}.",
        "None in capitals": f"{part({'alg': 'NONE', 'kid': 'key-1'})}.{part(claims)}.",
        "no algorithm": f"{part({'kid': 'key-1'})}.{part(claims)}.{signature}",
        "algorithm list": f"{part({'alg': ['Ed25519'], 'kid': 'key-1'})}.{part(claims)}.{signature}",
        "public Ed25519 key as a secret": with_secret(public_pem, "key-1"),
        "public RSA key as a secret": with_secret(rsa_pem, "key-rsa"),
        "JWKS file as a secret": with_secret(jwks.read_bytes(), "key-1"),
        "algorithm of another key type": f"{part({'alg': 'RS256', 'kid': 'key-1'})}.{body}.{signature}",
        "no key id": sign(header={"kid": None}),
        "key id number": f"{part({'alg': 'Ed25519', 'kid': 1})}.{body}.{signature}",
        "unknown key id": sign(header={"kid": "key-9"}),
        "key inside the token": sign(key=OTHER, header={"jwk": OTHER.as_dict(private=False)}),
        "changed claims": f"{head}.{part(claims)}.{signature}",
        "no signature": f"{head}.{body}.",
        "signature of another token": ".".join([*sign(sub="bob").split(".")[:2], signature]),
        "unknown critical header": signed_by_hand({"alg": "Ed25519", "kid": "key-1", "crit": ["x"], "x": 1}),
        "too long": good + "A" * LONGEST_TOKEN,
    }


FORGED = [
    "another key under the same id",
    "none",
    "None in capitals",
    "no algorithm",
    "algorithm list",
    "public Ed25519 key as a secret",
    "public RSA key as a secret",
    "JWKS file as a secret",
    "algorithm of another key type",
    "no key id",
    "key id number",
    "unknown key id",
    "key inside the token",
    "changed claims",
    "no signature",
    "signature of another token",
    "unknown critical header",
    "too long",
]


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_token_is_refused(verifier: Verifier, jwks: Path, name: str) -> None:
    """Without the private key there is no way in: no algorithm, key or header that the attacker chose counts."""
    tokens_by_name = forged(jwks)
    assert list(tokens_by_name) == FORGED
    with pytest.raises(Unauthenticated):
        await verifier.verify(tokens_by_name[name], NOW)


GARBAGE = {
    "empty": "",
    "word": "garbage",
    "two parts": "a.b",
    "four parts": "a.b.c.d",
    "dots": "..",
    "not base64": "!!!.???.###",
    "not ASCII": "é.é.é",
    "header null": f"{part(None)}.{part({})}.AA",
    "header number": f"{part(5)}.{part({})}.AA",
    "header list": f"{part([])}.{part({})}.AA",
    "header text": f"{part('x')}.{part({})}.AA",
    "header text that holds its name": f"{part('alg')}.{part({})}.AA",
    "header list that holds its name": f"{part(['alg'])}.{part({})}.AA",
    "header not UTF-8": f"{part(bytes([255, 254]))}.{part({})}.AA",
    "header nested deep": f"{part(b'[' * 5000)}.{part({})}.AA",
    "header nested deep in an object": part(b'{"a":' * 1100) + f".{part({})}.AA",
    "NUL": "\x00.\x00.\x00",
}


@pytest.mark.parametrize("token", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_is_refused(verifier: Verifier, token: str) -> None:
    """What is no token at all ends in the same kind of error, never in a crash."""
    with pytest.raises(Unauthenticated):
        await verifier.verify(token, NOW)


@pytest.mark.parametrize("claims", [b"[" * 5000, b"null", b"5", b"[]", b'"x"', b"\xff", b""])
async def test_signed_claims_that_are_no_object_are_refused(verifier: Verifier, claims: bytes) -> None:
    """Even under a good signature."""
    token = jws.serialize_compact({"alg": "Ed25519", "kid": "key-1"}, claims, KEY, algorithms=["Ed25519"])
    with pytest.raises(Unauthenticated):
        await verifier.verify(token, NOW)


@given(st.text(max_size=60), st.text(alphabet="ABCabc019_-.", max_size=200), st.integers(0, 300))
async def test_no_text_and_no_damaged_token_gets_in(text: str, ascii_text: str, place: int) -> None:
    """Random texts, and a good token with one character changed, end in Unauthenticated."""
    keys = Keys("unused")
    keys._keys = {"key-1": KeySet([KEY])}
    keys._fetched = float("inf")
    verifier = Verifier(issuer=ISSUER, audience=AUDIENCE, keys=keys, development_keys=None)
    good = sign()
    place %= len(good) - 2  # the last character may carry unused bits
    damaged = good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :]
    for token in (text, ascii_text, damaged):
        with pytest.raises(Unauthenticated):
            await verifier.verify(token, NOW)


class Ticks:
    """The monotonic clock, moved by hand."""

    def __init__(self) -> None:
        self.now = 1.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Ticks:
    """The clock that the keys look at."""
    ticks = Ticks()
    monkeypatch.setattr(tokens, "time", ticks)
    return ticks


async def test_a_new_key_is_found_and_a_withdrawn_one_stops_counting(jwks: Path, ticks: Ticks) -> None:
    """Rotation of the file: unknown ids are looked up at most every 30 s, known ones again after five minutes."""
    verifier = Verifier(issuer=ISSUER, audience=AUDIENCE, keys=Keys(str(jwks)), development_keys=None)
    new = OKPKey.generate_key("Ed25519", {"kid": "key-2"})
    await verifier.verify(sign(), NOW)
    write_keys(jwks, new)
    with pytest.raises(Unauthenticated):
        await verifier.verify(sign(key=new), NOW)
    ticks.now += 31
    await verifier.verify(sign(key=new), NOW)
    with pytest.raises(Unauthenticated):
        await verifier.verify(sign(), NOW)
    write_keys(jwks, KEY)
    ticks.now += 299
    await verifier.verify(sign(key=new), NOW)
    ticks.now += 2
    with pytest.raises(Unauthenticated):
        await verifier.verify(sign(key=new), NOW)
    await verifier.verify(sign(), NOW)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"keys": []}', b'{"keys": [{"kty": "OKP"}]}', b"\xff"])
async def test_a_broken_key_file_stops_the_start_and_later_only_the_unknown(
    jwks: Path, ticks: Ticks, content: bytes | None
) -> None:
    """At the start it is a ConfigurationError; while running, known keys go on and unknown ones are Unavailable."""
    keys = Keys(str(jwks))
    verifier = Verifier(issuer=ISSUER, audience=AUDIENCE, keys=keys, development_keys=None)
    await keys.load()
    if content is None:
        jwks.unlink()
    else:
        jwks.write_bytes(content)
    with pytest.raises(ConfigurationError):
        await Keys(str(jwks)).load()
    ticks.now += 301
    with capture_logs() as logs:
        assert (await verifier.verify(sign(), NOW)).subject == "ada"
        ticks.now += 31
        with pytest.raises(Unavailable):
            await verifier.verify(sign(header={"kid": "key-9"}), NOW)
    assert {line["event"] for line in logs} == {"token_keys.unreadable"}


@pytest.mark.parametrize(
    "source",
    ["http://issuer.example/jwks", "http://127.0.0.1.evil.example/jwks", "http://localhost.evil/", "ftp://x/y"],
)
async def test_keys_never_come_over_an_open_line(source: str) -> None:
    """Only https, a file, or this very machine."""
    with pytest.raises(ConfigurationError, match="https"):
        await Keys(source).load()


async def test_a_silent_address_is_unavailable() -> None:
    """Nobody listens there."""
    with pytest.raises(Unavailable):
        await Keys("http://127.0.0.1:9/jwks").load()


async def test_a_development_key_is_told_apart(tmp_path: Path, jwks: Path) -> None:
    """Its tokens are marked, and its file does not vouch for other keys."""
    key = new_development_key()
    development = Keys(str(write_keys(tmp_path / "development.json", key)))
    verifier = Verifier(issuer=ISSUER, audience=AUDIENCE, keys=Keys(str(jwks)), development_keys=development)
    lifetime = timedelta(hours=1)
    token = issue(key, issuer=ISSUER, audience=AUDIENCE, subject="ada", now=NOW, lifetime=lifetime)
    claims = await verifier.verify(token, NOW)
    assert (claims.subject, claims.development, claims.expires_at) == ("ada", True, NOW + lifetime)
    assert not (await verifier.verify(sign(), NOW)).development
    alone = Verifier(issuer=ISSUER, audience=AUDIENCE, keys=Keys(str(jwks)), development_keys=None)
    with pytest.raises(Unauthenticated):
        await alone.verify(token, NOW)
