"""Lines that hold a secret, for the labelled set: credentials, tokens, keys of providers, private keys."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator

from labelled_characters import ALPHANUMERIC, HEX, LETTERS, some


def credential_urls(chance: random.Random) -> Iterator[tuple[str, str]]:
    for scheme in ("postgres", "postgresql+asyncpg", "mysql", "redis", "amqp", "mongodb+srv", "https", "ftp", "smtp"):
        for _ in range(3):
            user = chance.choice(("app", "", "admin", "svc-1"))
            password = some(chance, ALPHANUMERIC + "!$%&*_-", 12)
            yield "in a URL", f"{scheme}://«credential_url:{user}:{password}»@db.example.com:5432/shop?ssl=1#a"
    yield (
        "user alone is the secret, hard",
        "https://«credential_url:0a1b2c3d4e5f60718293a4b5c6d7e8f9»@errors.example.com/4",
    )
    yield "password in the query, hard", "jdbc:mysql://db/shop?user=app&password=«credential_url:s3cr3tpw»"


def tokens(chance: random.Random) -> Iterator[tuple[str, str]]:
    for form in ("Authorization: Bearer {}", "authorization: bearer {}", '"Authorization": "Basic {}"', "Bearer {}"):
        for _ in range(6):
            token = some(chance, ALPHANUMERIC, 30) + "1aB"
            yield "after its label", form.format(f"«bearer_token:{token}»")
    yield "in the query, hard", "/stream?access_token=«bearer_token:" + some(chance, ALPHANUMERIC, 32) + "»"


def web_tokens(chance: random.Random) -> Iterator[tuple[str, str]]:
    for algorithm in ("HS256", "RS256", "ES256", "EdDSA", "PS512", "none"):
        for _ in range(4):
            head = {"alg": algorithm, "typ": "JWT"} | ({"kid": some(chance, HEX, 8)} if chance.random() < 0.5 else {})
            parts = [head, {"sub": some(chance, LETTERS, 8), "exp": 1700000000}]
            encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
            signature = "" if algorithm == "none" else some(chance, ALPHANUMERIC + "_-", 42) + "A"
            yield algorithm, f"«json_web_token:{'.'.join([*encoded, signature])}»"
    yield "cut in its header, hard", "«json_web_token:eyJhbGciOiJIUzI1NiIsInR5cC…»"


def secret_keys(chance: random.Random) -> Iterator[tuple[str, str]]:
    def key(prefix: str, alphabet: str, length: int, after: str = "") -> str:
        return prefix + some(chance, alphabet, length) + after

    base32, wide = LETTERS.upper() + "234567", ALPHANUMERIC + "_-"
    for _ in range(2):
        yield "AWS", key("AKIA", base32, 16)
        yield "AWS", key("ASIA", base32, 16)
        yield "AWS", f"aws_secret_access_key={'«secret_key:' + key('', ALPHANUMERIC + '/+', 40)}»"
        yield "Google", key("AIza", wide, 34, "a")
        yield "Google", key("ya29.", wide, 40, "a")
        yield "Google", key("GOCSPX-", wide, 27, "a")
        yield "Azure", f"AccountName=a;AccountKey=«secret_key:{key('', ALPHANUMERIC + '/+', 86)}==»;"
        yield "Azure", f"SharedAccessKey=«secret_key:{key('', ALPHANUMERIC + '/+', 43)}=»"
        yield "Azure", key("", ALPHANUMERIC, 3, "8Q~" + some(chance, ALPHANUMERIC, 34))
        yield "Azure", f"?sv=2022-11-02&sig=«secret_key:{key('', ALPHANUMERIC, 43)}%3D»"
        yield "GitHub", key(chance.choice(("ghp_", "gho_", "ghs_")), ALPHANUMERIC, 36)
        yield "GitHub", key("github_pat_", ALPHANUMERIC, 22, "_" + some(chance, ALPHANUMERIC, 59))
        yield "GitLab", key("glpat-", ALPHANUMERIC, 20)
        yield "Slack", key("xoxb-", "0123456789", 12, "-" + some(chance, ALPHANUMERIC, 24))
        yield (
            "Slack",
            "https://hooks.slack.com/services/«secret_key:T0123ABCD/B0123ABCD/" + some(chance, ALPHANUMERIC, 24) + "»",
        )
        yield "Stripe", key(chance.choice(("sk_live_", "rk_live_", "sk_test_")), ALPHANUMERIC, 24)
        yield "Stripe", key("whsec_", ALPHANUMERIC, 32)
        yield "OpenAI", key("sk-proj-", wide, 47, "a")
        yield "OpenAI", key("sk-", ALPHANUMERIC, 46, "1a")
        yield "Anthropic", key("sk-ant-api03-", wide, 92, "a")
        yield "this engine", key("nxk_", HEX, 32, "_" + some(chance, ALPHANUMERIC, 43))
        yield "npm", key("npm_", ALPHANUMERIC, 36)
        yield "Hugging Face", key("hf_", ALPHANUMERIC, 34)
        yield "Shopify", key("shpat_", HEX, 32)
        yield "SendGrid", key("SG.", ALPHANUMERIC, 22, "." + some(chance, ALPHANUMERIC, 43))
        yield "Twilio", key("SK", HEX, 32)
        yield "Telegram", key("6123456789:AA", ALPHANUMERIC, 33)
    yield "no known shape, hard", f"api_key=«secret_key:{some(chance, HEX, 32)}»"
    yield "a password, hard", "password: «secret_key:hunter2!summer»"
    yield "no known shape, hard", f"DD_API_KEY: «secret_key:{some(chance, HEX, 32)}»"


def private_keys(chance: random.Random) -> Iterator[tuple[str, str]]:
    for name in ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY"):
        for newline in ("\n", "\\n", "\r\n"):
            lines = [some(chance, ALPHANUMERIC + "+/", 64) for _ in range(3)]
            body = newline.join([f"-----BEGIN {name}-----", *lines, f"-----END {name}-----"])
            yield "with escaped line ends" if newline == "\\n" else "as a file", f"«private_key:{body}»"
    for _ in range(5):
        lines = [some(chance, ALPHANUMERIC + "+/", 64) for _ in range(2)]
        yield "cut short", "«private_key:" + "\n".join(["-----BEGIN PRIVATE KEY-----", *lines]) + "»"
    yield (
        "without its frame, hard",
        "«private_key:MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" + some(chance, ALPHANUMERIC, 120) + "»",
    )


SECRETS: dict[str, Callable[[random.Random], Iterator[tuple[str, str]]]] = {
    "credential_url": credential_urls,
    "bearer_token": tokens,
    "json_web_token": web_tokens,
    "secret_key": secret_keys,
    "private_key": private_keys,
}
