"""Several issuers at once: each is believed for its own tokens and people, and for nobody else's."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OKPKey
from token_house import ISSUER, KEY, NOW, OTHER, sign, trusted, write_keys

from nexus_graph.scope.errors import Unauthenticated
from nexus_graph.tenants.tokens import Verifier, issue, new_development_key

SECOND = "https://second.example"


@pytest.fixture
def verifier(tmp_path: Path) -> Verifier:
    """Two issuers whose keys have the same id; the people of the second bear a prefix."""
    return Verifier(
        [
            trusted(write_keys(tmp_path / "first.json", KEY)),
            trusted(
                write_keys(tmp_path / "second.json", OTHER),
                issuer=SECOND,
                audience=["graph", "graph-mobile"],
                subject_prefix="second|",
            ),
        ]
    )


def of_second(**changed: Any) -> str:
    """A good token of the second issuer, but for what is changed."""
    wanted: dict[str, Any] = {"key": OTHER, "iss": SECOND, "aud": "graph"} | changed
    return sign(**wanted)


async def test_one_subject_of_two_issuers_is_two_people(verifier: Verifier) -> None:
    """A membership of one is no membership of the other."""
    assert (await verifier.verify(sign(), NOW)).subject == "ada"
    assert (await verifier.verify(of_second(), NOW)).subject == "second|ada"


@pytest.mark.parametrize(
    "token",
    [
        sign(key=OTHER),
        of_second(key=KEY),
        sign(iss=SECOND),
        sign(iss=SECOND, aud="graph"),
        sign(aud="graph"),
        of_second(aud="nexus"),
        of_second(iss=ISSUER, aud="nexus"),
        of_second(iss=f"{SECOND}/"),
        of_second(iss=SECOND.upper()),
        of_second(iss="https://third.example"),
        of_second(iss=[SECOND]),
        of_second(iss=None),
    ],
    ids=[
        "the first, by the second's key",
        "the second, by the first's key",
        "the second, by the first's key and for its audience",
        "the second, by the first's key and for the right audience",
        "the first, for the second's audience",
        "the second, for the first's audience",
        "the second, as the first",
        "almost the second",
        "the second in capitals",
        "somebody else",
        "a list",
        "nobody",
    ],
)
async def test_an_issuer_is_believed_for_its_own_tokens_alone(verifier: Verifier, token: str) -> None:
    """Its keys sign nothing in another's name, even under the same key id, and its audience is no other's."""
    with pytest.raises(Unauthenticated, match="not valid"):
        await verifier.verify(token, NOW)


async def test_one_of_several_audiences_is_enough(verifier: Verifier) -> None:
    """Of the issuer's, as of the token's."""
    for audience in ("graph", "graph-mobile", ["else", "graph-mobile"]):
        assert (await verifier.verify(of_second(aud=audience), NOW)).subject == "second|ada"
    with pytest.raises(Unauthenticated):
        await verifier.verify(of_second(aud=["else", "graph-web"]), NOW)


@pytest.mark.parametrize("subject", ["second|ada", "second|"])
async def test_nobody_can_name_themselves_into_another_issuers_people(verifier: Verifier, subject: str) -> None:
    """Where people choose their own `sub`, one might begin as the other issuer's do."""
    with pytest.raises(Unauthenticated, match="not valid"):
        await verifier.verify(sign(sub=subject), NOW)
    assert (await verifier.verify(sign(sub="second"), NOW)).subject == "second"
    assert (await verifier.verify(of_second(sub=subject), NOW)).subject == f"second|{subject}"


async def test_the_longest_prefix_tells_whose_somebody_is(tmp_path: Path) -> None:
    """Also where one issuer's prefix begins with another's."""
    first, second = OKPKey.generate_key("Ed25519", {"kid": "1"}), OKPKey.generate_key("Ed25519", {"kid": "1"})
    verifier = Verifier(
        [
            trusted(write_keys(tmp_path / "first.json", first), subject_prefix="a"),
            trusted(write_keys(tmp_path / "second.json", second), issuer=SECOND, subject_prefix="ab"),
        ]
    )
    assert (await verifier.verify(sign(key=second, iss=SECOND, sub="c"), NOW)).subject == "abc"
    assert (await verifier.verify(sign(key=first, sub="c"), NOW)).subject == "ac"
    with pytest.raises(Unauthenticated):
        await verifier.verify(sign(key=first, sub="bc"), NOW)


async def test_a_prefix_alone_is_nobody(tmp_path: Path) -> None:
    """A token without a subject does not borrow one from its issuer's prefix; one that is too long stays too long."""
    verifier = Verifier([trusted(write_keys(tmp_path / "jwks.json", KEY), subject_prefix="okta|")])
    for subject in ("", None, "x" * 316):
        with pytest.raises(Unauthenticated):
            await verifier.verify(sign(sub=subject), NOW)
    assert (await verifier.verify(sign(sub="x" * 315), NOW)).subject == "okta|" + "x" * 315


async def test_the_development_key_may_name_anybody(tmp_path: Path) -> None:
    """In env dev, where alone it is good: what is tried there must be tried as the people of every issuer."""
    key = new_development_key()
    second = trusted(write_keys(tmp_path / "second.json", OTHER), issuer=SECOND, subject_prefix="second|")
    verifier = Verifier([second], write_keys(tmp_path / "development.json", key))
    token = issue(key, subject="second|ada", now=NOW, lifetime=timedelta(hours=1))
    claims = await verifier.verify(token, NOW)
    assert (claims.subject, claims.development) == ("second|ada", True)
