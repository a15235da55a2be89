"""Tokens in the shape of those that identity providers document: their headers, claims and key sets; invented people.

Each provider signs with a key of its own. A shape is what its documentation lists for a person who signed in, or for a
program that calls by itself, as of 2026.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey, OKPKey, RSAKey
from token_house import STAMP, public, signed

from nexus_graph.scope.issuers import TokenIssuer

Json = dict[str, Any]

_CERTIFICATE = "MIIC/jCCAeagAwIBAgIJAJ" + "x" * 960
_TIMES = {"iat": STAMP, "exp": STAMP + 3600}


@dataclass(frozen=True)
class Shape:
    """One kind of token of one provider. `subject` is whom it must be taken for, without any prefix."""

    header: Json
    claims: Json
    key: Any
    issuer: Json
    others: list[Json] = field(default_factory=list)
    described: Json = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The `sub`."""
        subject: str = self.claims["sub"]
        return subject

    def trusted(self, folder: Path, **changed: Any) -> TokenIssuer:
        """Its issuer, whose key set is in a file of the folder."""
        file = folder / "jwks.json"
        [key] = public(self.key)["keys"]
        file.write_text(json.dumps({"keys": [*self.others, {**key, **self.described}]}))
        return TokenIssuer(**{**self.issuer, "keys": str(file), **changed})

    def token(self, **changed: Any) -> str:
        """A token of this shape, but for the claims that are changed; None takes one away."""
        claims = {name: value for name, value in (self.claims | changed).items() if value is not None}
        return signed({"alg": "RS256", "kid": self.key.kid} | self.header, json.dumps(claims).encode(), self.key)


@cache
def _rsa(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid})


_KEYCLOAK = "https://sso.acme.example/realms/acme"
_KEYCLOAK_CLAIMS: Json = {
    **_TIMES,
    "auth_time": STAMP - 60,
    "jti": "onrtac:0f9a7c1e-6d0b-4a53-9a5d-0d3c6f4f1c11",
    "iss": _KEYCLOAK,
    "aud": ["nexus-graph", "account"],
    "sub": "f6f1ab2c-9d7b-4b86-8f53-5f4e6b0b1a77",
    "typ": "Bearer",
    "azp": "settings-screen",
    "sid": "4b7d0f64-54d1-4d29-9c0a-53a9f0d6f0aa",
    "acr": "1",
    "allowed-origins": ["https://app.acme.example"],
    "realm_access": {"roles": ["default-roles-acme", "offline_access", "uma_authorization"]},
    "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
    "scope": "openid profile email",
    "email_verified": True,
    "name": "Ada Example",
    "preferred_username": "ada",
    "email": "ada@acme.example",
}
_KEYCLOAK_ISSUER = {"issuer": _KEYCLOAK, "audience": "nexus-graph"}
_KEYCLOAK_ENCRYPTION = {**public(_rsa("OaepKeyOfTheRealm"))["keys"][0], "use": "enc", "alg": "RSA-OAEP"}

_AUTH0 = "https://acme.eu.auth0.com/"
_AUTH0_CLAIMS: Json = {
    **_TIMES,
    "iss": _AUTH0,
    "sub": "auth0|6528f0a9c3d4e5f6a7b8c9d0",
    "aud": ["https://graph.acme.example", "https://acme.eu.auth0.com/userinfo"],
    "scope": "openid profile email read:cards",
    "azp": "dXqk3v7sJb2yT0mN8aZpQwErTyUiOpAs",
    "https://acme.example/roles": ["editor"],
}
_AUTH0_ISSUER = {"issuer": _AUTH0, "audience": "https://graph.acme.example"}

_ENTRA_TENANT = "72f988bf-1111-4222-8333-2d7cd011db47"
_ENTRA_ONE: Json = {
    "aud": "api://8c1f6d1a-0b3c-4f5e-9a7d-3b2c1d0e9f8a",
    "iss": f"https://sts.windows.net/{_ENTRA_TENANT}/",
    **_TIMES,
    "nbf": STAMP,
    "acr": "1",
    "aio": "AXQAi/8IAAAAtwGpBUu1y1Q5m0rXvA4Hn0lE6u5sP7Jd2K9f3hQbR8c=",
    "amr": ["pwd", "mfa"],
    "appid": "0f2d3c4b-5a69-4788-9a0b-1c2d3e4f5a6b",
    "appidacr": "0",
    "family_name": "Example",
    "given_name": "Ada",
    "ipaddr": "203.0.113.7",
    "name": "Ada Example",
    "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474",
    "rh": "0.AXwAv4j5cvGGr0GRqy180BHbR8A.",
    "scp": "access_as_user",
    "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
    "tid": _ENTRA_TENANT,
    "unique_name": "ada@acme.example",
    "upn": "ada@acme.example",
    "uti": "fqiBqXLPj0eQa82S-IYFAA",
    "ver": "1.0",
}
_ENTRA_TWO: Json = {
    **{name: _ENTRA_ONE[name] for name in ("aio", "name", "oid", "rh", "scp", "sub", "tid", "uti", "nbf")},
    **_TIMES,
    "aud": "8c1f6d1a-0b3c-4f5e-9a7d-3b2c1d0e9f8a",
    "iss": f"https://login.microsoftonline.com/{_ENTRA_TENANT}/v2.0",
    "azp": "0f2d3c4b-5a69-4788-9a0b-1c2d3e4f5a6b",
    "azpacr": "0",
    "preferred_username": "ada@acme.example",
    "ver": "2.0",
    "xms_ftd": "h0Z2pQ",
}
_ENTRA_KID = "nOo3ZDrODXEK1jKWhXslHR_KXEg"
_ENTRA_KEY = _rsa(_ENTRA_KID)
_ENTRA_DESCRIBED = {
    "use": "sig",
    "x5t": _ENTRA_KID,
    "x5c": [_CERTIFICATE],
    "cloud_instance_name": "microsoftonline.com",
}

_OKTA = "https://acme.okta.com/oauth2/default"
_OKTA_CLAIMS: Json = {
    "ver": 1,
    "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
    "iss": _OKTA,
    "aud": "api://default",
    **_TIMES,
    "cid": "0oabucvyc38HLL1ef0h7",
    "uid": "00ub0oNGTSWTBKOLGLNR",
    "scp": ["openid", "profile", "email"],
    "auth_time": STAMP - 60,
    "sub": "ada@acme.example",
    "groups": ["Everyone", "Editors"],
}

_COGNITO = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI"
_COGNITO_KID = "MzMxODk4Y2Zt+HJ1/RjU5NDRhNGM2Zg=="
_COGNITO_CLAIMS: Json = {
    "sub": "c2e5f4a4-d081-7041-0b7e-8f6c1a2b3c4d",
    "cognito:groups": ["eu-west-1_AbCdEfGhI_Google", "editors"],
    "iss": _COGNITO,
    "version": 2,
    "client_id": "5k1h2j3l4m5n6o7p8q9r0s1t2u",
    "origin_jti": "aaaaaaaa-0000-4000-8000-000000000001",
    "event_id": "bbbbbbbb-0000-4000-8000-000000000002",
    "token_use": "access",
    "scope": "aws.cognito.signin.user.admin openid",
    "auth_time": STAMP - 60,
    **_TIMES,
    "jti": "cccccccc-0000-4000-8000-000000000003",
    "username": "Google_110169484474386276334",
}
_COGNITO_ISSUER = {"issuer": _COGNITO, "audience": "5k1h2j3l4m5n6o7p8q9r0s1t2u", "audience_claim": "client_id"}
_COGNITO_KEY = _rsa(_COGNITO_KID)

_GOOGLE = "https://accounts.google.com"
_GOOGLE_CLIENT = "1234987819200-4k2j1h0g9f8e7d6c5b4a.apps.googleusercontent.com"
_GOOGLE_CLAIMS: Json = {
    "iss": _GOOGLE,
    "azp": _GOOGLE_CLIENT,
    "aud": _GOOGLE_CLIENT,
    "sub": "10769150350006150715113082367",
    "hd": "acme.example",
    "email": "ada@acme.example",
    "email_verified": True,
    "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q",
    "nonce": "0394852-3190485-2490358",
    "name": "Ada Example",
    "picture": "https://lh3.googleusercontent.com/a/AbC=s96-c",
    "locale": "en",
    **_TIMES,
}
_GOOGLE_ISSUER = {"issuer": _GOOGLE, "audience": _GOOGLE_CLIENT}

SHAPES: dict[str, Callable[[], Shape]] = {
    "Keycloak": lambda: Shape(
        {"typ": "JWT"},
        _KEYCLOAK_CLAIMS,
        _rsa("FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE"),
        _KEYCLOAK_ISSUER,
        others=[_KEYCLOAK_ENCRYPTION],
        described={"use": "sig", "alg": "RS256", "x5c": [_CERTIFICATE], "x5t": "AbC", "x5t#S256": "DeF"},
    ),
    "Keycloak, elliptic": lambda: Shape(
        {"alg": "ES256", "typ": "JWT"},
        _KEYCLOAK_CLAIMS | {"sub": "f:9b2d4f6a-1c3e-4a5b-8d7f-0e1f2a3b4c5d:ada.example"},
        ECKey.generate_key("P-256", {"kid": "bTa-0Rm"}),
        _KEYCLOAK_ISSUER,
        others=[_KEYCLOAK_ENCRYPTION],
    ),
    "Keycloak, Edwards": lambda: Shape(
        {"alg": "EdDSA", "typ": "at+jwt"},
        _KEYCLOAK_CLAIMS | {"aud": "nexus-graph"},
        OKPKey.generate_key("Ed25519", {"kid": "ed-1"}),
        _KEYCLOAK_ISSUER,
        described={"alg": "EdDSA", "use": "sig"},
    ),
    "Keycloak, a service account": lambda: Shape(
        {"typ": "JWT"},
        {name: value for name, value in _KEYCLOAK_CLAIMS.items() if name not in ("sid", "auth_time", "name", "email")}
        | {"azp": "importer", "client_id": "importer", "preferred_username": "service-account-importer"},
        _rsa("FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE"),
        _KEYCLOAK_ISSUER,
    ),
    "Auth0": lambda: Shape({"typ": "JWT"}, _AUTH0_CLAIMS, _rsa("NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4"), _AUTH0_ISSUER),
    "Auth0, by RFC 9068": lambda: Shape(
        {"typ": "at+jwt", "alg": "PS256"},
        _AUTH0_CLAIMS
        | {
            "sub": "google-oauth2|110169484474386276334",
            "client_id": "dXqk3v7sJb2yT0mN8aZpQwErTyUiOpAs",
            "jti": "9Qk3v7",
        },
        _rsa("h3Xo2vQ-1"),
        _AUTH0_ISSUER,
        described={"alg": "PS256", "use": "sig"},
    ),
    "Auth0, a program": lambda: Shape(
        {"typ": "JWT"},
        {**_TIMES, "iss": _AUTH0, "aud": "https://graph.acme.example", "gty": "client-credentials"}
        | {"sub": "dXqk3v7sJb2yT0mN8aZpQwErTyUiOpAs@clients", "azp": "dXqk3v7sJb2yT0mN8aZpQwErTyUiOpAs"},
        _rsa("NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4"),
        _AUTH0_ISSUER,
    ),
    "Entra 1.0": lambda: Shape(
        {"typ": "JWT", "x5t": _ENTRA_KID},
        _ENTRA_ONE,
        _ENTRA_KEY,
        {"issuer": _ENTRA_ONE["iss"], "audience": _ENTRA_ONE["aud"]},
        described=_ENTRA_DESCRIBED,
    ),
    "Entra 2.0": lambda: Shape(
        {"typ": "JWT"},
        _ENTRA_TWO,
        _ENTRA_KEY,
        {"issuer": _ENTRA_TWO["iss"], "audience": _ENTRA_TWO["aud"]},
        described={**_ENTRA_DESCRIBED, "issuer": _ENTRA_TWO["iss"]},
    ),
    "Entra, with a nonce in its header": lambda: Shape(
        {"typ": "JWT", "x5t": _ENTRA_KID, "nonce": "u4JVx0lqHk3oTzK0s0Qm1c2d3e4f5g6h7i8j9k0l1m2"},
        _ENTRA_ONE,
        _ENTRA_KEY,
        {"issuer": _ENTRA_ONE["iss"], "audience": _ENTRA_ONE["aud"]},
        described=_ENTRA_DESCRIBED,
    ),
    "Okta": lambda: Shape({}, _OKTA_CLAIMS, _rsa("45js03w0djwedsw"), {"issuer": _OKTA, "audience": "api://default"}),
    "Okta, a program": lambda: Shape(
        {},
        {name: value for name, value in _OKTA_CLAIMS.items() if name not in ("uid", "auth_time", "groups")}
        | {"sub": "0oabucvyc38HLL1ef0h7", "scp": ["graph.read"]},
        _rsa("45js03w0djwedsw"),
        {"issuer": _OKTA, "audience": "api://default"},
    ),
    "Cognito": lambda: Shape(
        {}, _COGNITO_CLAIMS, _COGNITO_KEY, _COGNITO_ISSUER, described={"alg": "RS256", "use": "sig"}
    ),
    "Cognito, a program": lambda: Shape(
        {},
        {name: _COGNITO_CLAIMS[name] for name in ("iss", "version", "client_id", "token_use", "jti", "auth_time")}
        | {**_TIMES, "sub": _COGNITO_CLAIMS["client_id"], "scope": "graph/read"},
        _COGNITO_KEY,
        _COGNITO_ISSUER,
    ),
    "Cognito, an ID token": lambda: Shape(
        {},
        {name: value for name, value in _COGNITO_CLAIMS.items() if name not in ("client_id", "scope", "username")}
        | {
            "aud": _COGNITO_CLAIMS["client_id"],
            "token_use": "id",
            "cognito:username": "ada",
            "email": "ada@acme.example",
        },
        _COGNITO_KEY,
        {"issuer": _COGNITO, "audience": _COGNITO_CLAIMS["client_id"]},
    ),
    "Google, an ID token": lambda: Shape(
        {"typ": "JWT"},
        _GOOGLE_CLAIMS,
        _rsa("b1a8259eb07660ef23781c85b7849bfa0a1c806c"),
        _GOOGLE_ISSUER,
        others=[public(_rsa("e863fe292fa2a2967cd7551c42a1211bcac55071"))["keys"][0]],
        described={"alg": "RS256", "use": "sig"},
    ),
    "Google, elliptic": lambda: Shape(
        {"alg": "ES256", "typ": "JWT"},
        _GOOGLE_CLAIMS | {"sub": "110169484474386276334", "azp": "importer@acme-prod.iam.gserviceaccount.com"},
        ECKey.generate_key("P-256", {"kid": "mpf0DA"}),
        _GOOGLE_ISSUER,
        described={"alg": "ES256", "use": "sig"},
    ),
}
"""Each made anew, but for its key of RSA."""
