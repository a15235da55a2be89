"""Bearer tokens: whatever is not exactly right is refused, and says no more than it must."""

from __future__ import annotations

import hmac
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from token_house import (
    AUDIENCE,
    EC,
    EC_384,
    EC_521,
    ISSUER,
    KEY,
    NOW,
    OTHER,
    RSA,
    SIGNERS,
    STAMP,
    part,
    sign,
    signed,
    trusted,
    write_keys,
)

from nexus_graph.scope.errors import Unauthenticated
from nexus_graph.scope.issuers import DEVELOPMENT
from nexus_graph.tenants import tokens
from nexus_graph.tenants.tokens import Verifier, issue, new_development_key
from nexus_graph.tenants.unverified import LARGEST_HEADER, LONGEST_TOKEN


@pytest.fixture(scope="module")
def jwks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JWKS file."""
    return write_keys(tmp_path_factory.mktemp("keys") / "jwks.json", KEY, EC, EC_384, EC_521, RSA)


@pytest.fixture(scope="module")
def verifier(jwks: Path) -> Verifier:
    """A verifier of that file's keys."""
    return Verifier([trusted(jwks)])


@pytest.mark.parametrize("alg", SIGNERS)
async def test_a_good_token_says_who_and_until_when(verifier: Verifier, alg: str) -> None:
    """Each accepted algorithm with its own kind of key."""
    claims = await verifier.verify(sign(alg), NOW)
    assert (claims.subject, claims.development) == ("ada", False)
    assert claims.expires_at == NOW + timedelta(seconds=600)


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
    "subject with what can't be seen": {"sub": "ad\u200ba"},
    "subject that turns the writing around": {"sub": "ad\u202ea"},
    "subject too long": {"sub": "x" * 321},
    "subject that is no text": {"sub": 5},
    "subject that is a list": {"sub": ["ada"]},
    "no expiry": {"exp": None},
    "expiry as text": {"exp": str(STAMP + 600)},
    "expiry true": {"exp": True},
    "expiry beyond all calendars": {"exp": 10**30},
    "expiry beyond all floats": {"exp": 10**400},
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


async def test_a_signature_is_proven_once_and_all_else_asked_each_time(
    jwks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that comes again is not checked with its key again, and still ends; what is known of it is let go of."""
    proofs, plain = list[str](), jws.deserialize_compact

    def counted(text: str, *arguments: Any, **named: Any) -> Any:
        proofs.append(text)
        return plain(text, *arguments, **named)

    monkeypatch.setattr(jws, "deserialize_compact", counted)
    verifier, token = Verifier([trusted(jwks)]), sign()
    first = await verifier.verify(token, NOW)
    assert await verifier.verify(token, NOW) == first
    assert proofs == [token]
    assert token not in repr(verifier._proven)
    with pytest.raises(Unauthenticated, match="expired"):
        await verifier.verify(token, NOW + timedelta(hours=1))
    verifier.forget(None)
    assert await verifier.verify(token, NOW) == first
    assert proofs == [token] * 2


async def test_a_signature_counts_for_as_long_as_its_key_does(tmp_path: Path) -> None:
    """Another key under the same id, or none, and a token that was good is refused."""
    verifier, token = Verifier([trusted(write_keys(tmp_path / "one", KEY))]), sign()
    await verifier.verify(token, NOW)
    for keys in (OTHER, EC):
        verifier._known = Verifier([trusted(write_keys(tmp_path / "other", keys))])._known
        with pytest.raises(Unauthenticated):
            await verifier.verify(token, NOW)
    verifier._known = Verifier([trusted(write_keys(tmp_path / "again", KEY))])._known
    assert (await verifier.verify(token, NOW)).subject == "ada"


async def test_what_is_known_of_tokens_is_bounded(jwks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that came longest ago goes; one that is refused takes no place."""
    monkeypatch.setattr(tokens, "MOST_PROVEN", 3)
    verifier = Verifier([trusted(jwks)])
    for number in range(5):
        await verifier.verify(sign(sub=f"ada-{number}"), NOW)
        with pytest.raises(Unauthenticated):
            await verifier.verify(sign(key=OTHER, sub=f"eve-{number}"), NOW)
    assert [known.claims["sub"] for known, _ in verifier._proven.values()] == ["ada-2", "ada-3", "ada-4"]


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
        "public RSA key as a secret, under its algorithm's name": with_secret(rsa_pem, "key-rsa").replace(
            part({"alg": "HS256", "kid": "key-rsa"}), part({"alg": "RS256", "kid": "key-rsa"})
        ),
        "no key id": sign(header={"kid": None}),
        "key id number": f"{part({'alg': 'Ed25519', 'kid': 1})}.{body}.{signature}",
        "key id list": f"{part({'alg': 'Ed25519', 'kid': ['key-1']})}.{body}.{signature}",
        "unknown key id": sign(header={"kid": "key-9"}),
        "key inside the token": sign(key=OTHER, header={"jwk": OTHER.as_dict(private=False)}),
        "address of keys inside the token": sign(key=OTHER, header={"jku": "https://evil.example/jwks"}),
        "certificate inside the token": sign(key=OTHER, header={"x5c": ["AA=="], "x5u": "https://evil.example/x"}),
        "changed claims": f"{head}.{part(claims)}.{signature}",
        "no signature": f"{head}.{body}.",
        "signature of another token": ".".join([*sign(sub="bob").split(".")[:2], signature]),
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
    "public RSA key as a secret, under its algorithm's name",
    "no key id",
    "key id number",
    "key id list",
    "unknown key id",
    "key inside the token",
    "address of keys inside the token",
    "certificate inside the token",
    "changed claims",
    "no signature",
    "signature of another token",
    "too long",
]


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_token_is_refused(verifier: Verifier, jwks: Path, name: str) -> None:
    """Without the private key there is no way in: no algorithm, key or header that the attacker chose counts."""
    tokens_by_name = forged(jwks)
    assert list(tokens_by_name) == FORGED
    with pytest.raises(Unauthenticated):
        await verifier.verify(tokens_by_name[name], NOW)


HEADERS: dict[str, dict[str, Any]] = {
    "private parameters": {"ver": "1.0", "nonce": "AbC", "cat": "cl_Xp", "deep": {"er": [1, {"x": None}]}},
    "certificates": {"x5c": ["TUlJQ" * 300], "x5t": "AbC-_1", "x5t#S256": "x" * 43},
    "keys of somebody": {"jwk": {"kty": "OKP"}, "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x"},
    "JWT": {"typ": "JWT"},
    "jwt": {"typ": "jwt"},
    "at+jwt": {"typ": "at+jwt"},
    "at+jwt in full": {"typ": "application/at+jwt"},
    "in capitals": {"typ": "application/AT+JWT"},
    "payload as usual": {"b64": True},
    "the largest": {"x": "y" * (LARGEST_HEADER - len(json.dumps({"alg": "Ed25519", "kid": "key-1", "x": ""})))},
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
async def test_what_a_header_may_hold(verifier: Verifier, header: dict[str, Any]) -> None:
    """What nobody here knows or looks at is passed over (RFC 7515, section 4)."""
    assert (await verifier.verify(sign(header=header), NOW)).subject == "ada"


BAD_HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "something critical": ({"crit": ["exp"], "exp": 1}, "critical"),
    "something critical that is not there": ({"crit": ["exp"]}, "critical"),
    "nothing critical": ({"crit": []}, "critical"),
    "a critical registered parameter": ({"crit": ["kid"]}, "critical"),
    "critical text": ({"crit": "kid"}, "critical"),
    "critical null": ({"crit": [None]}, "critical"),
    "critical number": ({"crit": 5}, "critical"),
    "a payload in clear": ({"b64": False, "crit": ["b64"]}, "critical"),
    "a payload in clear, hidden": ({"b64": False}, "critical"),
    "a payload that is not false": ({"b64": 0}, "critical"),
    "a logout token": ({"typ": "logout+jwt"}, "another type"),
    "a proof of possession": ({"typ": "dpop+jwt"}, "another type"),
    "a type that is no text": ({"typ": ["JWT"]}, "another type"),
    "one byte too many": ({"x": HEADERS["the largest"]["x"] + "y"}, "header is too large"),
    "keys at no address": ({"jku": 5}, "not valid"),
    "certificates that are none": ({"x5c": "AA=="}, "not valid"),
}


@pytest.mark.parametrize(("header", "said"), BAD_HEADERS.values(), ids=BAD_HEADERS)
async def test_what_a_header_may_not_hold(verifier: Verifier, header: dict[str, Any], said: str) -> None:
    """Under a good signature: nothing critical is understood here, and other kinds of tokens are not for us."""
    with pytest.raises(Unauthenticated, match=said):
        await verifier.verify(sign(header=header), NOW)


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg": "Ed25519", "alg": "Ed25519", "kid": "key-1"}',
        b'{"alg": "Ed25519", "kid": "key-9", "kid": "key-1"}',
        b'{"alg": "Ed25519", "kid": "key-1", "x": {"y": 1, "y": 2}}',
        b'{"alg": "Ed25519", "kid": "key-1", "x": NaN}',
        b'{"alg": "Ed25519", "kid": "key-1", "x": ' + b"1" * 5_000 + b"}",
        b'{"alg": "Ed25519", "kid": "key-1", "x": ' + b"[" * 4_000 + b"]" * 4_000 + b"}",
        b'{"alg": "Ed25519", "kid": "key-1", "x": ' + b'{"a":' * 1_300 + b"1" + b"}" * 1_300 + b"}",
        b'\xef\xbb\xbf{"alg": "Ed25519", "kid": "key-1"}',
        '{"alg": "Ed25519", "kid": "key-1"}'.encode("utf-16"),
    ],
    ids=[
        "alg twice",
        "kid twice",
        "twice within",
        "NaN",
        "a long number",
        "deep lists",
        "deep objects",
        "BOM",
        "UTF-16",
    ],
)
async def test_a_header_that_can_be_read_in_two_ways_is_refused(verifier: Verifier, header: bytes) -> None:
    """Names that stand twice, what is no JSON, and what is nested or long beyond reason, under a good signature."""
    with pytest.raises(Unauthenticated, match="no signed JSON Web Token"):
        await verifier.verify(signed(header, json.dumps({"iss": ISSUER}).encode(), KEY), NOW)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('"exp": 1, "sub": "ada", "sub": "eve"', "no signed JSON Web Token"),
        ('"exp": 1, "sub": "ada", "x": {"y": 1, "y": 1}', "no signed JSON Web Token"),
        ('"exp": NaN, "sub": "ada"', "no signed JSON Web Token"),
        ('"exp": Infinity, "sub": "ada"', "no signed JSON Web Token"),
        (f'"exp": {"9" * 5_000}, "sub": "ada"', "no signed JSON Web Token"),
        ('"exp": 1e999, "sub": "ada"', "not valid"),
    ],
    ids=["a claim twice", "a member twice", "not a number", "infinite", "a long number", "beyond all floats"],
)
async def test_claims_that_can_be_read_in_two_ways_are_refused(verifier: Verifier, more: str, said: str) -> None:
    """Under a good signature: whoever reads the first or the last of two would see somebody else."""
    text = json.dumps({"iss": ISSUER, "aud": AUDIENCE})[:-1]
    with pytest.raises(Unauthenticated, match=said):
        await verifier.verify(signed({"alg": "Ed25519", "kid": "key-1"}, f"{text}, {more}}}".encode(), KEY), NOW)


async def test_a_token_may_be_as_long_as_its_header_and_claims_may_be(verifier: Verifier) -> None:
    """A chain of certificates and the groups of somebody who is in very many; one character more is too long."""
    spare = LONGEST_TOKEN - len(sign(header=HEADERS["the largest"], groups=[""]))
    token = sign(header=HEADERS["the largest"], groups=["g" * (spare * 3 // 4)])
    assert LONGEST_TOKEN - 3 <= len(token) <= LONGEST_TOKEN
    assert (await verifier.verify(token, NOW)).subject == "ada"
    with pytest.raises(Unauthenticated, match="too long"):
        await verifier.verify(sign(header=HEADERS["the largest"], groups=["g" * (spare * 3 // 4 + 4)]), NOW)


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
    "claims nested deep": f"{part({'alg': 'Ed25519', 'kid': 'key-1'})}.{part(b'[' * 12_000)}.AA",
    "not base64 in a way that some pass over": f"{part({'alg': 'Ed25519', 'kid': 'key-1'})}\n.{part({})}.AA",
    "padded": f"{part({'alg': 'Ed25519', 'kid': 'key-12'})}==.{part({})}.AA",
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
    with pytest.raises(Unauthenticated):
        await verifier.verify(signed({"alg": "Ed25519", "kid": "key-1"}, claims, KEY), NOW)


@given(st.text(max_size=60), st.text(alphabet="ABCabc019_-.", max_size=200), st.integers(0, 300))
async def test_no_text_and_no_damaged_token_gets_in(verifier: Verifier, text: str, ascii_text: str, place: int) -> None:
    """Random texts, and a good token with one character changed, end in Unauthenticated."""
    good = sign()
    place %= len(good) - 2  # the last character may carry unused bits
    damaged = good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :]
    for token in (text, ascii_text, damaged):
        with pytest.raises(Unauthenticated):
            await verifier.verify(token, NOW)


async def test_a_development_key_is_told_apart(tmp_path: Path, jwks: Path) -> None:
    """Its tokens are marked, and neither its file nor that of an issuer vouches for the other's tokens."""
    key = new_development_key()
    stored = tmp_path / "development.json"
    stored.write_text(json.dumps({"keys": [key.as_dict(private=True)]}))
    verifier = Verifier([trusted(jwks)], stored)
    lifetime = timedelta(hours=1)
    token = issue(key, subject="ada", now=NOW, lifetime=lifetime)
    claims = await verifier.verify(token, NOW)
    assert (claims.subject, claims.development, claims.expires_at) == ("ada", True, NOW + lifetime)
    assert not (await verifier.verify(sign(), NOW)).development
    strangers = (
        (Verifier([trusted(jwks)]), token),
        (verifier, issue(key, subject="ada", now=NOW, lifetime=lifetime, issuer=ISSUER, audience=AUDIENCE)),
        (verifier, sign(iss=DEVELOPMENT, aud="nexus-graph")),
    )
    for one, other in strangers:
        with pytest.raises(Unauthenticated):
            await one.verify(other, NOW)
