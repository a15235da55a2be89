"""Secrets by their form: private keys, URLs with a password, bearer and web tokens."""

from __future__ import annotations

import binascii
import re

import orjson

from nexus_graph.scope.redaction.spans import Spans, apart
from nexus_graph.scope.redaction.standins import is_stand_in
from nexus_graph.scope.redaction.texts import Text, Words

_PEM_BEGIN = re.compile(r"(?P<dashes>-----|---- )BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?(?:-----| ----)")
_PEM_END = re.compile(r"(?:-----|---- )END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?(?:-----| ----)")
# Base64 over lines, also with its line ends escaped as in JSON, and the `Name: value` lines of encrypted and PGP keys.
_PEM_BODY = re.compile(r"(?:(?:\n|\\n)[A-Za-z-]{1,20}: (?:(?!----)[^\n\\\[\]])*+|[A-Za-z0-9+/=\s\\])*+")
_PEM_MATERIAL = re.compile(r"[A-Za-z0-9+/]{16}")
_PEM_LINES = re.compile(r"(?:(?:\s|\\[nr])*+[A-Za-z0-9+/=]{32,}+)++")
_PUTTY = re.compile(
    r"PuTTY-User-Key-File-[0-9]: "
    r"(?:(?!Private-MAC)(?:[A-Za-z0-9-]{1,40}: )?[^\n\[\]:]{1,200}+\n){1,80}+Private-MAC: [0-9a-f]{40,64}+"
)
_PKCS8 = "IBADANBgkqhkiG9w0BAQEFAASC"  # how the Base64 of an RSA key goes on, without a frame
_BARE = re.compile(rf"MII[A-Za-z0-9+/]{{1,3}}{_PKCS8}[A-Za-z0-9+/]{{64,}}+={{0,2}}")
_KEY_MARKS = ("PRIVATE KEY", "PuTTY-User-Key-File-", _PKCS8)


def private_keys(text: Text) -> Spans:
    """PEM, PGP, SSH2 and PuTTY private key blocks, whole; of a block cut short, its marker and the key material."""
    if any(mark in text for mark in _KEY_MARKS):
        yield from apart((*_framed(text), *_putty(text), *(match.span() for match in _BARE.finditer(text))))


def _framed(text: Text) -> Spans:
    for begin in _PEM_BEGIN.finditer(text):
        body = _PEM_BODY.match(text, begin.end())
        end = body and _PEM_END.match(text, body.end())
        if body and end and _PEM_MATERIAL.search(body[0]):
            yield begin.start(), end.end()
        elif not end and (lines := _PEM_LINES.match(text, begin.end())):
            yield begin.start(), lines.end()


def _putty(text: Text) -> Spans:
    for place in text.places("PuTTY-User-Key-File-"):
        if match := _PUTTY.match(text, place):
            yield match.span()


_USERINFO = re.compile(
    r"://(?<=[A-Za-z0-9]://)"
    r"(?P<userinfo>(?:[^\s/?#@:\"'`<>\[\]]{0,128}+:(?P<password>[^\s/?#\"'`<>\[\]]{1,256})"
    r"|(?=[A-Za-z_-]{0,80}[0-9])(?=[0-9_-]{0,80}[A-Za-z])[A-Za-z0-9_-]{32,128}))@(?=[A-Za-z0-9\[])"
)
_QUERY_NAMES = Words(("password=", "passwd=", "pwd="))
_QUERY_PASSWORD = re.compile(r"[^\s&;#\"'`<>\[\]]{1,256}")
_QUERY_SIGNS = ("?", "&", ";")
_QUERY_REACH = 512
_NO_ADDRESS = " \t\n\"'<>[]"


def credential_urls(text: Text) -> Spans:
    """The `user:password` of a URL without its scheme and host, a long key in its place, or the password in its query.

    Stand-ins like `***` and `${PASSWORD}` are left.
    """
    if "://" not in text:
        return
    userinfo = (
        match.span("userinfo")
        for match in _USERINFO.finditer(text)
        if match["password"] is None or not _is_no_password(match["password"])
    )
    yield from apart((*userinfo, *_query_passwords(text)))


def _is_no_password(password: str) -> bool:
    return is_stand_in(password) or password.lower() in ("pass", ":password")


def _query_passwords(text: Text) -> Spans:
    for name, place in _QUERY_NAMES.places(text):
        password = _QUERY_PASSWORD.match(text, place + len(name)) if text[place - 1 : place] in _QUERY_SIGNS else None
        if not password or "://" not in (before := text[max(0, place - _QUERY_REACH) : place]):
            continue
        address = before.rpartition("://")[2]
        plain = password[0].isalpha() and len(password[0]) < 8
        if not any(sign in address for sign in _NO_ADDRESS) and not plain and not is_stand_in(password[0]):
            yield password.span()


_GIVEN = r"(?P<token>[A-Za-z0-9._~+/-]{12,}+={0,2})"
_BEARER = re.compile(rf"(?<![\w-])bearer[ \t]{{1,4}}+{_GIVEN}", re.ASCII | re.IGNORECASE)
_AUTHORIZATION = re.compile(
    r"authorization[\"']?[ \t]{0,4}(?:[:=]>?|,|(?=[ \t]))[ \t]{0,4}[\"']?"
    rf"(?:basic|token|apikey)[ \t]{{1,4}}+{_GIVEN}",
    re.ASCII | re.IGNORECASE,
)
_ACCESS_TOKEN = re.compile(rf"(?<![\w.-])access_token={_GIVEN}", re.ASCII)
_TOKEN_LABELS = {"bearer": _BEARER, "authorization": _AUTHORIZATION, "access_token=": _ACCESS_TOKEN}
_TOKEN_WORDS = Words(_TOKEN_LABELS)
_NOT_A_WORD = re.compile(r"[0-9]|[a-z][A-Z]")


def bearer_tokens(text: Text) -> Spans:
    """What follows `Bearer`, `Basic`, `Token` or `ApiKey` in a header, or `access_token=`; a plain word is prose."""
    yield from apart(_tokens(text))


def _tokens(text: Text) -> Spans:
    for word, place in _TOKEN_WORDS.places(text):
        match = _TOKEN_LABELS[word].match(text, place)
        token = match["token"].rstrip(".") if match else ""
        if match and _NOT_A_WORD.search(token):
            yield match.start("token"), match.start("token") + len(token)


_WEB_TOKEN = re.compile(
    r"(?P<header>eyJ[A-Za-z0-9_-]{10,}+)\.(?:[A-Za-z0-9_-]{4,}+|(?=\.))"
    r"(?:\.[A-Za-z0-9_-]++){0,3}(?P<unsigned>\.(?![A-Za-z0-9_.-]))?",
    re.ASCII,
)
_CUT = re.compile(r"eyJhbGci[A-Za-z0-9_-]{8,}+…?", re.ASCII)
_LONGEST_HEADER = 4096


def json_web_tokens(text: Text) -> Spans:
    """JSON Web Tokens, signed, encrypted or neither, also cut short; their header names an algorithm (RFC 7515)."""
    end = 0
    for place in text.places("eyJ"):
        before = text[place - 1] if place else " "
        if place < end or before in "_-" or (before.isascii() and before.isalnum()):
            continue
        match = _WEB_TOKEN.match(text, place)
        algorithm = _algorithm(match["header"]) if match else None
        if match and algorithm is not None:
            end = match.end() if algorithm == "none" or not match["unsigned"] else match.end() - 1
            yield place, end
        elif not match and (cut := _CUT.match(text, place)):
            end = cut.end()
            yield place, end


def _algorithm(header: str) -> str | None:
    """The algorithm that a token's header names, or None."""
    if len(header) > _LONGEST_HEADER:
        return None
    try:
        decoded = orjson.loads(
            binascii.a2b_base64(header.replace("-", "+").replace("_", "/") + "=" * (-len(header) % 4))
        )
    except ValueError:
        return None
    return str(decoded["alg"]) if isinstance(decoded, dict) and "alg" in decoded else None
