"""Keys of issuers: rotated without a restart, and never more than what can verify a token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from structlog.testing import capture_logs
from token_house import AUDIENCE, EC, ISSUER, KEY, NOW, RSA, part, public, served, sign, trusted, write_keys

from nexus_graph.scope.errors import ConfigurationError, Unauthenticated, Unavailable
from nexus_graph.tenants import jwks
from nexus_graph.tenants.jwks import LARGEST_SET, Keys
from nexus_graph.tenants.tokens import Verifier

NEW = OKPKey.generate_key("Ed25519", {"kid": "key-2"})


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
    monkeypatch.setattr(jwks, "time", ticks)
    return ticks


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A JWKS file."""
    return write_keys(tmp_path / "jwks.json", KEY, EC, RSA)


@asynccontextmanager
async def answering(answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """An address that answers every request so. In the end every connection is closed."""
    under_way: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.append(cast("asyncio.Task[None]", asyncio.current_task()))
        with suppress(ConnectionError):
            try:
                await reader.readuntil(b"\r\n\r\n")
                await answer(writer)
                await writer.drain()
            finally:
                writer.close()
                await writer.wait_closed()

    async with asyncio.timeout(20), await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
        await asyncio.gather(*under_way)


async def test_a_new_key_is_found_and_a_withdrawn_one_stops_counting(file: Path, ticks: Ticks) -> None:
    """Rotation of the file: unknown ids are looked up at most every 30 s, known ones again after five minutes."""
    verifier = Verifier([trusted(file)])
    await verifier.verify(sign(), NOW)
    write_keys(file, NEW)
    with pytest.raises(Unauthenticated):
        await verifier.verify(sign(key=NEW), NOW)
    ticks.now += 31
    await verifier.verify(sign(key=NEW), NOW)
    with pytest.raises(Unauthenticated):
        await verifier.verify(sign(), NOW)
    write_keys(file, KEY)
    ticks.now += 299
    await verifier.verify(sign(key=NEW), NOW)
    ticks.now += 2
    with pytest.raises(Unauthenticated):
        await verifier.verify(sign(key=NEW), NOW)
    await verifier.verify(sign(), NOW)


async def test_issuers_rotate_their_keys_each_at_an_address_of_its_own(tmp_path: Path, ticks: Ticks) -> None:
    """Served over HTTP by another process. One that adds, replaces or loses its keys concerns nobody else."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = write_keys(tmp_path / "a" / "jwks", KEY), write_keys(tmp_path / "b" / "jwks", RSA)
    of_b: dict[str, Any] = {"iss": "https://b.example", "aud": "b"}
    with served(tmp_path) as address:
        b = trusted(f"{address}/b/jwks", issuer="https://b.example", audience="b", subject_prefix="b|")
        verifier = Verifier([trusted(f"{address}/a/jwks"), b])
        await verifier.load()
        assert (await verifier.verify(sign(), NOW)).subject == "ada"
        assert (await verifier.verify(sign("RS256", **of_b), NOW)).subject == "b|ada"

        write_keys(first, KEY, NEW)  # the new key is announced
        ticks.now += 31
        assert (await verifier.verify(sign(key=NEW), NOW)).subject == "ada"
        assert (await verifier.verify(sign(), NOW)).subject == "ada"

        write_keys(first, NEW)  # the old one is withdrawn, and the other issuer's address does not answer
        second.unlink()
        ticks.now += 301
        assert (await verifier.verify(sign(key=NEW), NOW)).subject == "ada"
        with pytest.raises(Unauthenticated):
            await verifier.verify(sign(), NOW)
        with capture_logs() as logs:
            assert (await verifier.verify(sign("RS256", **of_b), NOW)).subject == "b|ada"
        assert [line["event"] for line in logs] == ["token_keys.unreadable"]

        write_keys(second, NEW, EC)  # the other issuer has new keys, one of them the first issuer's
        ticks.now += 301
        for wrong in (sign("RS256", **of_b), sign("ES256", iss=ISSUER, aud=AUDIENCE)):
            with pytest.raises(Unauthenticated):
                await verifier.verify(wrong, NOW)
        assert (await verifier.verify(sign("ES256", **of_b), NOW)).subject == "b|ada"


async def test_a_set_is_fetched_once_however_many_ask(ticks: Ticks) -> None:
    """Tokens with made-up key ids can't make us call an issuer again and again."""
    fetched: list[str] = []

    async def answer(writer: asyncio.StreamWriter) -> None:
        fetched.append("once")
        body = json.dumps(public(KEY)).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    async with answering(answer) as address:
        verifier = Verifier([trusted(address)])
        await verifier.load()
        for _ in range(2):
            ticks.now += 31
            made_up = [verifier.verify(sign(header={"kid": f"key-{number}"}), NOW) for number in range(2, 50)]
            answers = await asyncio.gather(*made_up, return_exceptions=True)
            assert {type(each) for each in answers} == {Unauthenticated}
    assert len(fetched) == 3


OF_RSA = {**RSA.as_dict(private=False), "kid": "key-1"}
OTHER_KEYS: dict[str, dict[str, Any]] = {
    "of a kind yet to come": {"kty": "AKP", "kid": "key-1", "alg": "ML-DSA-65", "pub": "AA"},
    "of no kind": {"kid": "key-1"},
    "for encryption": {**KEY.as_dict(private=False), "use": "enc"},
    "for encryption, by its algorithm": {**OF_RSA, "alg": "RSA-OAEP"},
    "for another use": {**OF_RSA, "use": "tls"},
    "that may only sign": {**OF_RSA, "key_ops": ["sign"]},
    "of a curve that signs nothing": OKPKey.generate_key("X25519", {"kid": "key-1"}).as_dict(private=False),
    "of a curve that is not accepted": ECKey.generate_key("secp256k1", {"kid": "key-1"}).as_dict(private=False),
    "of the other Edwards curve": OKPKey.generate_key("Ed448", {"kid": "key-1", "alg": "EdDSA"}).as_dict(private=False),
    "that is secret": OctKey.generate_key(256, {"kid": "key-1"}).as_dict(private=True),
    "that is too short": {**OF_RSA, "n": part(b"\xff" * 128)},
    "that is broken": {"kty": "EC", "crv": "P-256", "kid": "key-1", "x": "AA", "y": "AA"},
    "without an id": {name: value for name, value in KEY.as_dict(private=False).items() if name != "kid"},
    "with a number for an id": {**KEY.as_dict(private=False), "kid": 1},
}


@pytest.mark.filterwarnings("ignore:Key size")  # a server goes on after it
@pytest.mark.parametrize("other", OTHER_KEYS.values(), ids=OTHER_KEYS)
async def test_a_set_may_hold_keys_that_are_not_for_tokens(tmp_path: Path, other: object) -> None:
    """They are passed over, and the others count; a set of nothing else stops the start."""
    file = tmp_path / "jwks.json"
    good = public(KEY)["keys"]
    for keys in ([other, *good], [None, "x", *good, other]):
        file.write_text(json.dumps({"keys": keys}))
        assert (await Verifier([trusted(file)]).verify(sign(), NOW)).subject == "ada"
    file.write_text(json.dumps({"keys": [other]}))
    with pytest.raises(ConfigurationError, match="no key with a key id that can verify"):
        await Keys(str(file)).load()


async def test_one_id_may_name_a_key_of_each_kind(tmp_path: Path) -> None:
    """RFC 7517, section 4.5: the algorithm of the token tells which is meant."""
    elliptic, rsa = ECKey.generate_key("P-256", {"kid": "one"}), RSAKey.generate_key(2048, {"kid": "one"})
    verifier = Verifier([trusted(write_keys(tmp_path / "jwks.json", elliptic, rsa))])
    for token in (sign("ES256", elliptic), sign("RS256", rsa), sign("PS512", rsa)):
        assert (await verifier.verify(token, NOW)).subject == "ada"


async def test_a_key_is_good_for_the_algorithm_that_it_names_and_no_other(tmp_path: Path) -> None:
    """Even where another would fit its kind."""
    key = RSAKey.generate_key(2048, {"kid": "one", "alg": "PS256"})
    verifier = Verifier([trusted(write_keys(tmp_path / "jwks.json", key))])
    assert (await verifier.verify(sign("PS256", key), NOW)).subject == "ada"
    with pytest.raises(Unauthenticated, match="unknown key"):
        await verifier.verify(sign("RS256", RSAKey.import_key(key.raw_value, {"kid": "one"})), NOW)


@pytest.mark.parametrize("named", ["EdDSA", "Ed25519", None])
@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
async def test_the_older_name_of_an_algorithm_counts_as_the_newer(tmp_path: Path, named: str | None, alg: str) -> None:
    """RFC 9864 deprecates `EdDSA`, which says no curve; Keycloak still writes it for keys of Ed25519."""
    file = tmp_path / "jwks.json"
    described = {**KEY.as_dict(private=False), **({"alg": named} if named else {})}
    file.write_text(json.dumps({"keys": [described]}))
    assert (await Verifier([trusted(file)]).verify(sign(alg), NOW)).subject == "ada"


@pytest.mark.parametrize("key_id", ["a", "1", "abc/d+e=", "Kid with spaces", "x" * 500, "ключ", "'; drop table", ""])
async def test_a_key_id_is_any_text(tmp_path: Path, key_id: str) -> None:
    """Case-sensitive, and nothing is read into it."""
    key = OKPKey.generate_key("Ed25519", {"kid": key_id})
    verifier = Verifier([trusted(write_keys(tmp_path / "jwks.json", key, RSA))])
    assert (await verifier.verify(sign(key=key), NOW)).subject == "ada"
    with pytest.raises(Unauthenticated, match="unknown key"):
        await verifier.verify(sign(key=key, header={"kid": key_id.swapcase() + " "}), NOW)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{",
        b"[]",
        b'"keys"',
        b'{"keys": 5}',
        b'{"keys": []}',
        b'{"keys": [{"kty": "OKP"}]}',
        b"\xff",
        b" " * LARGEST_SET + b"{}",
    ],
    ids=lambda content: repr(content)[:30],
)
async def test_a_broken_key_file_stops_the_start_and_later_only_the_unknown(
    file: Path, ticks: Ticks, content: bytes | None
) -> None:
    """At the start it is a ConfigurationError; while running, known keys go on and unknown ones are Unavailable."""
    verifier = Verifier([trusted(file)])
    await verifier.load()
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError):
        await Keys(str(file)).load()
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


@pytest.mark.parametrize("source", ["http://127.0.0.1:9/jwks", "https://127.0.0.1:9/jwks", "https://[/jwks"])
async def test_a_silent_address_is_unavailable(source: str) -> None:
    """Nobody listens there, or it is none; which it was is told, since there may be several."""
    with pytest.raises(Unavailable, match=r"keys of .*jwks can't be fetched"):
        await Keys(source).load()


ANSWERS = {
    "elsewhere": b"HTTP/1.1 302 Found\r\nlocation: /jwks2\r\ncontent-length: 0\r\n\r\n",
    "broken": b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n",
    "cut off": b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{",
    "no HTTP": b"no HTTP at all\r\n\r\n",
    "without end": b"HTTP/1.1 200 OK\r\n\r\n",
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_address_that_gives_no_set_is_unavailable(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is followed elsewhere, and nobody waited for without end."""
    monkeypatch.setattr(jwks, "_FETCH_SECONDS", 1.0)

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(ANSWERS[answer])
        while answer == "without end":
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with answering(say) as address:
        with pytest.raises(Unavailable, match="can't be fetched"):
            await Keys(address).load()


async def test_no_more_of_an_answer_is_read_than_a_set_may_have() -> None:
    """However much an address has to say: this one never ends."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b" " * 65_536)
            await writer.drain()

    async with answering(say) as address:
        with pytest.raises(ConfigurationError, match="larger than a JSON Web Key Set may be"):
            await Keys(address).load()
