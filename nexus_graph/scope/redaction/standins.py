"""Whether what is given to a name is a secret, or stands where one will stand.

No secret: `***`, `${PASSWORD}`, `<token>`, `changeme`, a type, a path, the code that fetches it, or plain words.
"""

from __future__ import annotations

import re
from enum import Enum


class Sort(Enum):
    """What a name promises: a password, which people make up, or a key, which a machine has made."""

    PASSWORD = "password"  # noqa: S105 - a sort of names
    KEY = "key"


_SIGNS = re.compile(
    r"[*xX•.#_\-]++|\$[({]?.*|\{.*|%.*%|%\{.*|<.*|@.*@|!.*|&.*|\(.*|enc[({].*|arn:.*|projects/.*|https?:.*"
    r"|(?:vault|ref\+\w*|env|file|op|ssm|secret|awssm|gcpsm|keyring):.*|(?!.*[A-Za-z0-9]{20})(?:[.~]|[A-Za-z]:)?/[\w./-]*",
    re.IGNORECASE,
)
_FIRST_WORDS = (
    "a|admin|any|choose|confirm|current|db|dummy|enter|example|fake|forgot|insert|login|my|new|no|old|put|replace|sample|"
    "set|some|test|the|this|type|use|user|your"
)
_LAST_WORDS = "goes|here|in|key|me|password|secret|token|value"
_WORDS = re.compile(
    rf"[:<\"']?(?:(?:{_FIRST_WORDS})[ _-]?)*+"
    r"(?:pass(?:word|wd|phrase|code|wort)?|pwd|pw|secret|token|(?:api|access|secret|private|auth)?[ _-]?keys?|"
    rf"credentials?|value|here|goes|in|me)?(?:[ _-](?:{_LAST_WORDS}))*+",
    re.IGNORECASE,
)
_NAMES = frozenset(
    (
        "null", "none", "nil", "true", "false", "yes", "no", "on", "off", "undefined", "empty", "default", "unset",
        "unknown", "n/a", "tbd", "todo", "fixme", "required", "optional", "mandatory", "hidden", "redacted",
        "removed", "masked", "placeholder", "changeme", "change_me", "change-me", "changeit", "change_it",
        "replaceme", "replace_me", "example", "sample", "dummy", "string", "str", "text", "number", "integer",
        "boolean", "bool", "bytes", "object", "any", "array", "list", "include", "omit", "generated", "auto",
        "disabled", "enabled", "basic", "bearer", "digest", "oauth2", "saml2", "argon2", "argon2id", "bcrypt",
        "pbkdf2", "scrypt", "sha1", "sha256", "sha512", "md5", "hs256", "rs256", "es256", "utf8", "utf-8",
        "base64", "foobar",
    )
)  # fmt: skip
_CODE = re.compile(
    r"(?:self|this|os|process|config|configuration|settings|options|opts|props|env|environ|var|local|module|data|each|"
    r"req|request|res|response|args|params|ctx|context|input|form|secrets|inputs|vars|user|account|state|event|app|"
    r"credentials|creds|auth)\.[\w.]+"
)
_NO_WORD = re.compile(r"[^\W_]*[^\w\s.:/@-]|[^\W_]*[0-9]")
_NUMBERS = re.compile(r"[0-9.,:/-]+|v?[0-9]+(?:\.[0-9]+)+\S*")
_PIECES = re.compile(r"[A-Za-z0-9]{8,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/=_-]{20,}")
_TWO_LETTERS = re.compile(r"[A-Za-z][^A-Za-z]*[A-Za-z]")
_TWO_DIGITS = re.compile(r"[0-9][^0-9]*[0-9]")
_SPACE = re.compile(r"\s")
_DIGIT = re.compile(r"[0-9]")


def is_stand_in(value: str) -> bool:
    """Whether `value` is no secret by itself: signs, a variable, a reference, a word for what is meant, or a type."""
    named = value.lower().strip("\"'") in _NAMES or value.endswith("...")
    return named or _SIGNS.fullmatch(value) is not None or _WORDS.fullmatch(value) is not None


def is_secret(value: str, sort: Sort, *, plain: bool = False, spoken: bool = False) -> bool:
    """Whether `value` is a secret of this sort.

    `plain` stands without quotes under a name of an environment: words alone are passwords there. `spoken` stands after
    a name and a space only.
    """
    if sort is Sort.KEY:
        return is_key(value) and not _CODE.fullmatch(value)
    if len(value) < 5 or _SPACE.search(value) or is_stand_in(value) or _CODE.fullmatch(value):
        return False
    if _NUMBERS.fullmatch(value):
        return value.isdigit() and len(value) >= 6
    mixed = _DIGIT.search(value) is not None and any(each.isalpha() for each in value)
    if spoken:
        return mixed and len(value) >= 6 and "/" not in value
    return mixed or _NO_WORD.match(value) is not None or (plain and value.isalpha())


def is_key(value: str) -> bool:
    """Whether `value` looks random: a long run of letters and digits that no one would read."""
    if len(value) < 8 or not _DIGIT.search(value) or _SPACE.search(value) or is_stand_in(value):
        return False
    if any(_is_mixed(piece[0]) for piece in _PIECES.finditer(value)):
        return True
    return any(_is_mixed(run[0]) and run[0].lower() != run[0] for run in _BASE64.finditer(value))


def _is_mixed(piece: str) -> bool:
    cased = piece.lower() != piece != piece.upper()
    return _TWO_LETTERS.search(piece) is not None and (_DIGIT if cased else _TWO_DIGITS).search(piece) is not None
