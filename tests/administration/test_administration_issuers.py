"""The setting that names issuers: read from the file and the environment, and refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nexus_graph import config
from nexus_graph.scope.errors import ConfigurationError
from nexus_graph.scope.issuers import TokenIssuer

OKTA = {"issuer": "https://acme.okta.com/oauth2/default", "audience": "api://default", "keys": "https://acme.okta/keys"}
COGNITO = {
    "issuer": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab",
    "audience": ["web", "mobile"],
    "keys": "keys.json",
    "audience_claim": "client_id",
    "subject_prefix": "cognito|",
}
FILE = """\
data = "data"
erasure_ledger = "erasures.jsonl"
signing_secret = "a signing secret for tests only, 32+"
"""
TABLES = """
[[issuers]]
issuer = "https://acme.okta.com/oauth2/default"
audience = "api://default"
keys = "https://acme.okta/keys"

[[issuers]]
issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab"
audience = ["web", "mobile"]
keys = "keys.json"
audience_claim = "client_id"
subject_prefix = "cognito|"
"""


def loaded(folder: Path, tables: str = "", **environment: str) -> config.Loaded:
    """The settings of a file in a folder, and of an environment."""
    file = folder / "nexus.toml"
    file.write_text(FILE + tables)
    return config.load({f"NEXUS_{name.upper()}": value for name, value in environment.items()}, file)


def test_issuers_are_tables_in_the_file_and_json_in_the_environment(tmp_path: Path) -> None:
    """The same either way, but that a file of keys is found from where its name stands."""
    from_file = loaded(tmp_path, TABLES)
    expected = (TokenIssuer(**OKTA), TokenIssuer(**COGNITO | {"keys": str(tmp_path / "keys.json")}))
    assert from_file.config.issuers == expected
    from_environment = loaded(tmp_path, TABLES, issuers=json.dumps([COGNITO]))
    assert from_environment.config.issuers == (TokenIssuer(**COGNITO),)


def test_the_configuration_shows_issuers_as_the_environment_takes_them(tmp_path: Path) -> None:
    """What is shown can be copied."""
    [shown] = [each for each in loaded(tmp_path, TABLES).settings if each.name == "NEXUS_ISSUERS"]
    assert shown.source == str(tmp_path / "nexus.toml")
    assert loaded(tmp_path, issuers=shown.value).config.issuers == loaded(tmp_path, TABLES).config.issuers
    [unset] = [each for each in loaded(tmp_path, 'development_key = "x"').settings if each.name == "NEXUS_ISSUERS"]
    assert (unset.value, unset.source) == ("", "default")


WRONG: dict[str, tuple[object, str]] = {
    "no JSON": ("okta", r"NEXUS_ISSUERS is wrong: is no JSON\. Write \["),
    "no list": (OKTA, "NEXUS_ISSUERS is wrong: Input should be a valid tuple"),
    "a list of texts": (["okta"], r"NEXUS_ISSUERS\[0\] is wrong"),
    "no audience": ([{**OKTA, "audience": []}], r"NEXUS_ISSUERS\[0\]\.audience is wrong"),
    "an empty audience": ([{**OKTA, "audience": ""}], r"NEXUS_ISSUERS\[0\]\.audience\[0\] is wrong"),
    "an audience that is missing": (
        [OKTA, {"issuer": "b", "keys": "c"}],
        r"NEXUS_ISSUERS\[1\]\.audience is missing: Whom a token must be for",
    ),
    "keys that are missing": ([{"issuer": "b", "audience": "c"}], r"NEXUS_ISSUERS\[0\]\.keys is missing: JWKS file"),
    "another claim": ([{**OKTA, "audience_claim": "azp"}], r"NEXUS_ISSUERS\[0\]\.audience_claim is wrong"),
    "a prefix with a space": ([{**OKTA, "subject_prefix": "a b"}], r"NEXUS_ISSUERS\[0\]\.subject_prefix is wrong"),
    "an unknown member": ([{**OKTA, "jwks": "x"}], r"NEXUS_ISSUERS\[0\]\.jwks is no setting of Nexus Graph"),
    "one twice": (
        [OKTA, {**OKTA, "subject_prefix": "b"}],
        r"NEXUS_ISSUERS is wrong: the issuer '.*okta.*' is named twice",
    ),
    "people that would be mixed up": (
        [OKTA, {**OKTA, "issuer": "b"}],
        r"NEXUS_ISSUERS is wrong: two issuers have the subject_prefix '': one `sub` of both would be one person",
    ),
    "a prefix twice": (
        [{**OKTA, "subject_prefix": "a|"}, {**OKTA, "issuer": "b", "subject_prefix": "a|"}],
        r"two issuers have the subject_prefix 'a\|'",
    ),
    "the development issuer": ([{**OKTA, "issuer": "nexus-graph-development"}], "signs with the development key"),
    "nobody": ([], "NEXUS_ISSUERS is missing: whose bearer tokens are believed"),
}


@pytest.mark.parametrize(("issuers", "said"), WRONG.values(), ids=WRONG)
def test_wrong_issuers_are_refused_in_words(tmp_path: Path, issuers: object, said: str) -> None:
    """Each by the place and name of the member, as the environment and the file have it."""
    text = issuers if isinstance(issuers, str) else json.dumps(issuers)
    with pytest.raises(ConfigurationError, match=said):
        loaded(tmp_path, issuers=text)


def test_nobody_to_believe_is_told_with_all_else_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A development key is enough; without one and without issuers nobody could come in."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")  # a checkout may hold a nexus.toml of its own
    with pytest.raises(ConfigurationError, match="NEXUS_ISSUERS is missing: whose bearer tokens"):
        loaded(tmp_path)
    with pytest.raises(ConfigurationError, match=r"NEXUS_DATA is missing(.|\n)*NEXUS_ISSUERS is missing"):
        config.load({}, None)
    assert loaded(tmp_path, 'development_key = "key.json"').config.issuers == ()


@pytest.mark.parametrize("name", ["token_issuer", "token_audience", "token_keys"])
def test_the_settings_of_earlier_versions_say_what_took_their_place(tmp_path: Path, name: str) -> None:
    """From the file and from the environment."""
    told = (
        rf"NEXUS_{name.upper()} is no setting any more: NEXUS_ISSUERS names every issuer .* development key needs none"
    )
    more: dict[str, Any]
    for more in ({"tables": f'{name} = "x"\n'}, {name: "x"}):
        with pytest.raises(ConfigurationError, match=told):
            loaded(tmp_path, **more)
