"""Tokens as Keycloak, Auth0, Entra, Okta, Cognito and Google make them pass, each for whom it was meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from provider_tokens import SHAPES, Shape
from token_house import NOW, trusted, write_keys

from nexus_graph.scope.errors import Unauthenticated
from nexus_graph.tenants.model import subject
from nexus_graph.tenants.tokens import Verifier


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> Shape:
    """Each kind of token."""
    return SHAPES[request.param]()


async def test_a_token_passes_for_its_subject(shape: Shape, tmp_path: Path) -> None:
    """Alone, and beside another issuer, when its people bear a prefix; every such subject can be a member."""
    claims = await Verifier([shape.trusted(tmp_path)]).verify(shape.token(), NOW)
    assert (claims.subject, claims.development) == (shape.subject, False)
    assert claims.expires_at.timestamp() == shape.claims["exp"]
    other = trusted(write_keys(tmp_path / "other.json", shape.key))
    beside = Verifier([other, shape.trusted(tmp_path, subject_prefix="idp:")])
    assert (await beside.verify(shape.token(), NOW)).subject == subject(f"idp:{shape.subject}")


WRONG: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://issuer.example"},
    "another audience": {"aud": "another-app", "client_id": "another-app"},
    "several other audiences": {"aud": ["another-app", "account"], "client_id": "another-app"},
    "no audience": {"aud": None, "client_id": None},
    "another audience beside ours": {"aud": "another-app"},
    "no subject": {"sub": None},
    "no end": {"exp": None},
    "an end that is past": {"exp": 1},
}


@pytest.mark.parametrize("claims", WRONG.values(), ids=WRONG)
async def test_what_is_not_for_us_is_refused(shape: Shape, tmp_path: Path, claims: dict[str, Any]) -> None:
    """Under the provider's good signature."""
    verifier = Verifier([shape.trusted(tmp_path)])
    assert await verifier.verify(shape.token(), NOW)
    with pytest.raises(Unauthenticated):
        await verifier.verify(shape.token(**claims), NOW)


async def test_an_access_token_without_an_audience_needs_to_be_asked_for(tmp_path: Path) -> None:
    """Cognito's has a `client_id` only: it counts where the issuer's settings say so, and an ID token does not then."""
    access, identity = SHAPES["Cognito"](), SHAPES["Cognito, an ID token"]()
    asked = Verifier([access.trusted(tmp_path)])
    assert await asked.verify(access.token(), NOW)
    with pytest.raises(Unauthenticated):
        await asked.verify(identity.token(), NOW)
    by_default = Verifier([access.trusted(tmp_path, audience_claim="aud")])
    assert await by_default.verify(identity.token(), NOW)
    with pytest.raises(Unauthenticated):
        await by_default.verify(access.token(), NOW)


async def test_other_tokens_of_a_provider_are_no_bearer_tokens(tmp_path: Path) -> None:
    """A logout token, by its type; a token for Microsoft Graph, whose signature is over another header."""
    keycloak, entra = SHAPES["Keycloak"](), SHAPES["Entra, with a nonce in its header"]()
    keycloak.header["typ"] = "logout+jwt"
    with pytest.raises(Unauthenticated, match="another type"):
        await Verifier([keycloak.trusted(tmp_path)]).verify(keycloak.token(), NOW)
    verifier = Verifier([entra.trusted(tmp_path)])
    head, _, rest = entra.token().partition(".")
    entra.header["nonce"] = "a digest of that nonce, which is what they sign"
    signature = entra.token().rpartition(".")[2]
    with pytest.raises(Unauthenticated, match="not valid"):
        await verifier.verify(f"{head}.{rest.partition('.')[0]}.{signature}", NOW)
