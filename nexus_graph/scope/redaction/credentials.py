"""Secrets: private keys, URLs with a password, bearer and web tokens, and the keys of well-known providers."""

from __future__ import annotations

import binascii
import re

import orjson

from nexus_graph.scope.redaction.spans import Spans, apart

_PEM_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(r"-----END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
# Base64 over lines, also with its line ends escaped as in JSON, and the `Name: value` lines of encrypted and PGP keys.
_PEM_BODY = re.compile(r"(?:(?:\n|\\n)[A-Za-z-]{1,20}: (?:(?!----)[^\n\\\[\]])*+|[A-Za-z0-9+/=\s\\])*+")
_PEM_MATERIAL = re.compile(r"[A-Za-z0-9+/]{16}")
_PEM_LINES = re.compile(r"(?:(?:\s|\\[nr])*+[A-Za-z0-9+/=]{32,}+)++")


def private_keys(text: str) -> Spans:
    """PEM and PGP private key blocks, whole; of a block cut short, its marker and the key material that follows."""
    for begin in _PEM_BEGIN.finditer(text):
        body = _PEM_BODY.match(text, begin.end())
        end = body and _PEM_END.match(text, body.end())
        if body and end and _PEM_MATERIAL.search(body[0]):
            yield begin.start(), end.end()
        elif not end and (lines := _PEM_LINES.match(text, begin.end())):
            yield begin.start(), lines.end()


_USERINFO = re.compile(
    r"://(?<=[A-Za-z0-9]://)"
    r"(?P<userinfo>[^\s/?#@:\"'`<>\[\]]{0,128}+:(?P<password>[^\s/?#\"'`<>\[\]]{1,256}))@(?=[A-Za-z0-9\[])"
)
_STAND_IN = re.compile(r"[*xX•.]++|\$?\{.*\}|\$[A-Z_]++|%[A-Z_]++%|:?password|pass|pwd|secret", re.IGNORECASE)


def credential_urls(text: str) -> Spans:
    """The `user:password` of a URL, without its scheme and host; stand-ins like `***` and `${PASSWORD}` are left."""
    if "://" not in text:
        return
    for match in _USERINFO.finditer(text):
        if not _STAND_IN.fullmatch(match["password"]):
            yield match.span("userinfo")


_AUTHORIZATION = re.compile(
    r"(?<![\w-])(?:bearer[ \t]{1,4}+|authorization[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?(?:basic|token)[ \t]{1,4}+)"
    r"(?P<token>[A-Za-z0-9._~+/-]{12,}+={0,2})",
    re.ASCII | re.IGNORECASE,
)
_NOT_A_WORD = re.compile(r"[0-9]|[a-z][A-Z]")


def bearer_tokens(text: str) -> Spans:
    """What follows `Bearer`, or `Basic` and `token` in an Authorization header; a plain word is prose."""
    for match in _AUTHORIZATION.finditer(text):
        token = match["token"].rstrip(".")
        if _NOT_A_WORD.search(token):
            yield match.start("token"), match.start("token") + len(token)


_WEB_TOKEN = re.compile(
    r"(?<![A-Za-z0-9_-])(?P<header>eyJ[A-Za-z0-9_-]{10,}+)\.[A-Za-z0-9_-]{4,}+(?:\.[A-Za-z0-9_-]++){0,3}", re.ASCII
)
_LONGEST_HEADER = 4096


def json_web_tokens(text: str) -> Spans:
    """JSON Web Tokens, signed or encrypted, also cut short; their header decodes and names an algorithm (RFC 7515)."""
    if "eyJ" not in text:
        return
    for match in _WEB_TOKEN.finditer(text):
        if _names_an_algorithm(match["header"]):
            yield match.span()


def _names_an_algorithm(header: str) -> bool:
    if len(header) > _LONGEST_HEADER:
        return False
    try:
        decoded = orjson.loads(
            binascii.a2b_base64(header.replace("-", "+").replace("_", "/") + "=" * (-len(header) % 4))
        )
    except ValueError:
        return False
    return isinstance(decoded, dict) and "alg" in decoded


# Shapes published by the providers (and collected by secret scanners). A group `secret` narrows the span.
_SECRETS: tuple[tuple[str, str], ...] = (
    ("A", r"(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])"),
    (
        "aws",
        r"aws_?secret_?(?:access_?)?key[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
    ),
    (
        "AWS",
        r"AWS_?SECRET_?(?:ACCESS_?)?KEY[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
    ),
    ("gh", r"gh[pousr]_[A-Za-z0-9]{36,}+"),
    ("github_pat_", r"github_pat_[A-Za-z0-9_]{22,}+"),
    ("glpat-", r"glpat-[A-Za-z0-9_-]{20,}+"),
    ("xox", r"xox[abeoprs]-[A-Za-z0-9-]{10,}+"),
    ("xapp-", r"xapp-[0-9]-[A-Za-z0-9-]{10,}+"),
    ("hooks.slack.com", r"hooks\.slack\.com/services/(?P<secret>[A-Z0-9]{6,}+/[A-Z0-9]{6,}+/[A-Za-z0-9]{16,}+)"),
    ("k_", r"[rs]k_(?:live|test)_[A-Za-z0-9]{10,}+"),
    ("whsec_", r"whsec_[A-Za-z0-9+/]{24,}+=*+"),
    ("AIza", r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9])"),
    ("ya29.", r"ya29\.[A-Za-z0-9_-]{20,}+"),
    ("GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{28}(?![A-Za-z0-9])"),
    ("SG.", r"SG\.[A-Za-z0-9_-]{16,32}+\.[A-Za-z0-9_-]{16,64}+"),
    ("nxk_", r"nxk_[0-9a-f]{32}_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),  # an API key of this engine
    ("npm_", r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    ("pypi-", r"pypi-AgE[A-Za-z0-9_-]{50,}+"),
    ("hf_", r"hf_[A-Za-z0-9]{34}(?![A-Za-z0-9])"),
    ("dop_v1_", r"dop_v1_[a-f0-9]{64}(?![A-Za-z0-9])"),
    ("shp", r"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}(?![A-Za-z0-9])"),
    ("SharedAccessKey=", r"SharedAccessKey=(?P<secret>[A-Za-z0-9+/]{43}=)"),  # Azure Service Bus and Event Hubs
    ("sig=", r"sig=(?P<secret>[A-Za-z0-9%]{43,80}%3D)(?![A-Za-z0-9%])"),  # Azure shared access signatures
    ("Q~", r"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~-])"),  # client secrets of Entra ID
    ("AccountKey=", r"AccountKey=(?P<secret>[A-Za-z0-9+/]{86}==)"),
    ("hvs.", r"hvs\.[A-Za-z0-9_-]{24,}+"),
    ("SK", r"SK[0-9a-f]{32}(?![A-Za-z0-9])"),  # Twilio
    ("key-", r"key-[0-9a-f]{32}(?![A-Za-z0-9])"),  # Mailgun
    ("dapi", r"dapi[0-9a-f]{32}(?:-[0-9])?(?![A-Za-z0-9])"),
    (":AA", r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])"),  # Telegram
    ("lin_api_", r"lin_api_[A-Za-z0-9]{40}(?![A-Za-z0-9])"),
    ("dckr_pat_", r"dckr_pat_[A-Za-z0-9_-]{27}(?![A-Za-z0-9_-])"),
    ("gsk_", r"gsk_[A-Za-z0-9]{52}(?![A-Za-z0-9])"),
    ("AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[0-9A-Z]{58}(?![A-Za-z0-9])"),
    ("sk-", r"sk-(?:proj|svcacct|admin|ant|or)-[A-Za-z0-9_-]{20,}+"),
    ("sk-", r"sk-(?=[A-Za-z]{0,48}[0-9])[A-Za-z0-9]{20,}+"),
)
_SECRET_PATTERNS = tuple((hint, re.compile(rf"(?<![A-Za-z0-9_-])(?:{shape})", re.ASCII)) for hint, shape in _SECRETS)


def secret_keys(text: str) -> Spans:
    """Keys of cloud providers and APIs, by their published prefixes."""
    yield from apart(
        match.span("secret" if "secret" in pattern.groupindex else 0)
        for hint, pattern in _SECRET_PATTERNS
        if hint in text
        for match in pattern.finditer(text)
    )
