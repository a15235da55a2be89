"""Secrets by their names: `password: ...`, `"clientSecret": "..."`, `API_KEY=...`, `--token ...`, signed addresses.

A name is found by a piece of it, read to both sides and told by its last words. Then comes a sign of assignment, and
the value is judged by the name (see `standins`): a password may be anything but a stand-in, a key looks random.
"""

from __future__ import annotations

import re
from functools import lru_cache

from nexus_graph.scope.redaction.spans import Span, Spans, apart
from nexus_graph.scope.redaction.standins import Sort, is_key, is_secret
from nexus_graph.scope.redaction.texts import Text, Words

_PASSWORDS = (
    "password", "passwd", "passwort", "passphrase", "passcode", "pwd", "psk", "kennwort", "contraseña", "contrasena",
    "senha", "hasło", "wachtwoord", "mot de passe", "пароль", "lösenord", "adgangskode", "salasana", "şifre", "parola",
    "密码", "パスワード", "비밀번호", "wlan-schlüssel", "masterauth", "identified by",
)  # fmt: skip
_COVERED = ("pass", "pw", "requirepass")
_PIECES = Words(
    ("pass", "pw", "token", "secret", "key", *(name for name in _PASSWORDS if not name.startswith(_COVERED)))
)
_PASS = re.compile(r"(?:(?:^|[_.\- ]|admin|db|ftp|mail|redis|require|root|smtp|ssh|user)pass|(?:^|[_.\- ])pw)$")
_KEYS = re.compile(
    r"(?:secret|token|(?:secret|auth|nonce)[_.\- ]?salt|private[_.\- ]?key[_.\- ]?id|secret[_.\- ]?key[_.\- ]?base"
    r"|(?:access|account|admin|api|app|application|auth|client|consumer|cookie|crypt|deploy|encryption|fernet|function|"
    r"hmac|integration|jwt|licen[cs]e|logged_in|master|nonce|private|project|secret|secure_auth|server|service|session|"
    r"shared|signing|ssh|storage|subscription|webhook|write)[_.\- ]?key)$"
)
_KEY_ENDS = ("secret", "token", "salt", "key", "key_id", "key id", "keyid", "base")
_LONGEST_NAME = 32
_NO_KEYS = re.compile(
    r"(?:bos|cache|change|cls|continuation|csrf|cursor|eos|first|idempotency|last|mask|max|min|next|pad|page|prev|"
    r"previous|public|resume|sep|start|stop|sync|total|unk|xsrf)[_.\- ]?(?:token|key)$"
)
_BEFORE = re.compile(r"[\w$-]{0,48}+(?:\.[\w$-]{1,32}+){0,3}+(?: [A-Za-z]{2,12}+)?")  # backwards
_BEHIND = re.compile(r"(?:[\w-]|\.(?=\w)){0,48}+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NUMBER = re.compile(r"[_.-]?[0-9]+$")

_QUOTE = r"(?P<quote>\\?[\"'`])"
_NAMED = (
    r"(?:\\?[\"'`])?(?P<words>(?: [^\W\d_]{1,12}){1,4}+)?(?: ?\([^()\[\]\n=:]{1,24}\))?[ \t]{0,16}"
    r"(?::=|=>|\?=|[:=：](?![:=]))[ \t]{0,16}"
)
_ASSIGNMENTS = (
    # password: x, "password": "x", password (of the day) = x, $password = ConvertTo-SecureString "x"
    re.compile(rf"{_NAMED}(?:ConvertTo-SecureString |SecretStr\()?[brfu]{{0,2}}{_QUOTE}"),
    re.compile(rf"{_NAMED}(?P<plain>)"),
    # name: PASSWORD, value: x
    re.compile(
        r"(?:\\?[\"'])?,?[ \t]{0,4}(?:\r?\n)?[ \t]{0,24}"
        rf"[\"']?value[\"']?[ \t]{{0,4}}[:=][ \t]{{0,4}}(?:{_QUOTE}|(?P<plain>))"
    ),
)
_IS = re.compile(r"[ \t]{1,4}(?:is|lautet|ist|est|es|to)[ \t]{1,4}(?P<plain>)")
_SAID = (re.compile(rf"(?:[ \t]{{0,2}}\(|[ \t]{{1,4}}){_QUOTE}"), _IS)  # PASSWORD 'x', X-Api-Key "x"
_ARGUMENTS = (re.compile(rf"\\?[\"'][ \t]{{0,4}},[ \t]{{0,4}}{_QUOTE}"),)  # define('PASSWORD', 'x')
_OPTION = re.compile(rf" {{1,2}}(?:-p ?)?(?:{_QUOTE}|(?P<plain>))")
_ELEMENT = re.compile(r">(?P<value>[^<>\s\[\]]{1,512}+)</")
_QUOTED_VALUES = {quote: re.compile(rf"[^{quote}\\\n\[\]]{{1,512}}+(?=\\?{quote})") for quote in "\"'`"}
_PLAIN_VALUE = re.compile(r"(?:(?!&[\w.-]{1,32}=)[^\s\"'`,;<>\[\]\\(){}]){1,256}+(?!\()")


def named_secrets(text: Text) -> Spans:
    """The values of passwords, keys and tokens in settings, code, options and prose, and of what signs an address."""
    yield from apart((*_assigned(text), *_logins(text), *_signatures(text)))


def _assigned(text: Text) -> Spans:
    for piece, place in _PIECES.places(text):
        behind = _BEHIND.match(text, place + len(piece))
        end = behind.end() if behind else place
        before = _BEFORE.match(text[max(0, place - 80) : place][::-1])
        start = place - (before.end() if before else 0)
        sort = _sort_of(text[start:end])
        span = _value(text, start, end, sort) if sort else None
        if span is not None:
            yield span


@lru_cache(maxsize=1024)
def names_secret(label: str) -> bool:
    """Whether a key of a mapping names a password, key or token."""
    return _sort_of(label) is not None


def _sort_of(written: str) -> Sort | None:
    name = _NUMBER.sub("", _CAMEL.sub("_", written).lower().strip("_-$. "))[-_LONGEST_NAME:]
    if name.endswith(_PASSWORDS) or (name.endswith(("pass", "pw")) and _PASS.search(name)):
        return Sort.PASSWORD
    is_key = name.endswith(_KEY_ENDS) and _KEYS.search(name) and not _NO_KEYS.search(name)
    return Sort.KEY if is_key else None


def _value(text: str, start: int, end: int, sort: Sort) -> Span | None:
    """The span of the secret that the name from `start` to `end` is given."""
    if text[start - 1 : start] == "<":
        element = _ELEMENT.match(text, end)
        return element.span("value") if element and is_secret(element["value"], sort) else None
    name = text[start:end].rpartition(" ")[2]
    short = name.lower() == "pass"  # a word of many uses
    for sign in _ASSIGNMENTS if short else (*_ASSIGNMENTS, *_SAID, *(() if name.islower() else _ARGUMENTS)):
        if (matched := sign.match(text, end)) and not (sort is Sort.KEY and matched.groupdict().get("words")):
            return _judged(text, matched, sort, name)
    is_option = name.startswith("--")
    if (is_option or (sort is Sort.PASSWORD and not short)) and (matched := _OPTION.match(text, end)):
        span = _judged(text, matched, sort, name)
        return span if span and is_secret(text[slice(*span)], sort, spoken=not is_option) else None
    return None


def _judged(text: str, sign: re.Match[str], sort: Sort, name: str) -> Span | None:
    quote = sign.groupdict().get("quote")
    pattern = _PLAIN_VALUE if quote is None else _QUOTED_VALUES[quote[-1]]
    value = pattern.match(text, sign.end())
    if value is None:
        return None
    if quote is not None:
        return value.span() if is_secret(value[0], sort) else None
    written = value[0].rstrip(".:")
    is_setting = name.isupper() and "_" in name
    good = is_secret(written, sort, plain=is_setting, spoken=sign.re is _IS)
    return (sign.end(), sign.end() + len(written)) if good else None


_LOGIN = re.compile(
    r"[^\n\[\]]{0,240}?\s(?:-u|--user)[ =]{0,2}[\"']?[^\s:\"'\[\]]{1,64}:(?P<value>[^\s\"'\[\]]{1,128})"
)


def _logins(text: Text) -> Spans:
    """The password of `curl -u user:password`."""
    for place in text.places("curl "):
        login = _LOGIN.match(text, place + 4)
        if login and is_secret(login["value"], Sort.PASSWORD):
            yield login.span("value")


_SIGNATURE_NAMES = Words(("signature=", "sig=", "hmac="))
_SIGNATURE = re.compile(r"(?:signature|sig|hmac)=(?P<value>[A-Za-z0-9%._~+/-]{20,1100}+={0,2})", re.IGNORECASE)


def _signatures(text: Text) -> Spans:
    """What signs an address: `X-Amz-Signature`, `X-Goog-Signature`, `sig`, `Signature` and the like in its query."""
    for _, place in _SIGNATURE_NAMES.places(text):
        matched = _SIGNATURE.match(text, place) if not text[place - 1 : place].isalpha() else None
        if matched and is_key(matched["value"]):
            yield matched.span("value")
