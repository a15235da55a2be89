"""Addresses in networks: e-mail (RFC 5321), IP (v4 and v6) and MAC (IEEE 802)."""

from __future__ import annotations

import ipaddress
import re

from nexus_graph.scope.redaction.spans import Spans, apart

_LETTER = "A-Za-zÀ-ÖØ-öø-ɏͰ-ϿЀ-ԯ"  # Latin, Greek, Cyrillic: scripts with spaces between words
_ALNUM = f"{_LETTER}0-9"
_LOCAL = rf"{_ALNUM}._%+'\-"
_EMAIL_HERE = re.compile(
    rf"[._%+'\-]*+(?P<address>(?P<local>[{_ALNUM}][{_LOCAL}]*+)@"
    rf"(?P<domain>(?:[{_ALNUM}]++(?:-++[{_ALNUM}]++)*+\.)+(?:xn--[A-Za-z0-9-]{{2,59}}+|[{_LETTER}]{{2,63}}+)(?![{_ALNUM}])))"
)
_EMAIL = re.compile(rf"(?<![{_LOCAL}]){_EMAIL_HERE.pattern}")
_NOT_DOMAINS = frozenset(
    ("png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "service", "timer", "socket", "target", "mount", "slice")
)


def emails(text: str) -> Spans:
    """E-mail addresses with a dotted domain.

    Not one: `git@host`, the user name of a URL, `package@1.2.3`, `icon@2x.png`, `getty@tty1.service`.
    """
    if "@" not in text:
        return
    match = _EMAIL.search(text)
    while match:
        after = None
        if _is_email(text, match):
            yield match.span("address")
            after = _EMAIL_HERE.match(text, match.end())  # what is found ends the run that the next one may start in
        match = after or _EMAIL.search(text, match.end())


def _is_email(text: str, match: re.Match[str]) -> bool:
    local, domain = match["local"], match["domain"]
    labels = domain.lower().split(".")
    if len(local) > 64 or len(domain) > 253 or max(map(len, labels)) > 63:
        return False
    is_version = labels[0].isdigit() and labels[1].isdigit()
    is_user_name = text[max(0, match.start() - 3) : match.start()] == "://"
    return not (local == "git" or labels[-1] in _NOT_DOMAINS or is_version or is_user_name)


_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4_START = re.compile(r"[0-9](?<![\w.][0-9])(?<![A-Za-z]-[0-9])(?=[0-9]{0,2}\.[0-9]{1,3}\.)", re.ASCII)
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}(?!\w)(?!\.[A-Za-z0-9])", re.ASCII)
_VERSION_BEFORE = re.compile(
    r"(?:(?i:(?<![A-Za-z])(?:v|ver|version|release|rel|revision|rev|build|firmware|update|patch|section|clause|chapter)s?)"
    r"[.\"']{0,2}\s{0,3}[:=#]?\s{0,3}[\"'(]?(?:v?[0-9]{1,5}(?:\.[0-9]{1,5}){1,3}\s{0,3}(?:to|and|or|->|→|,|-|–)\s{0,3})?"
    r"|(?<![/\w])[A-Z][A-Za-z]{1,30}/|[=<>~!]=\s?|[\^~§]\s?)$",
    re.ASCII,
)
_HEADING_BEFORE = re.compile(r"(?:^|\n)[#\s]{0,12}$")
_HEADING_AFTER = re.compile(r"[ \t]{1,4}[A-Z]")
# Global, unique-local and link-local unicast: the first group has four digits, so times and `a::b` in code don't count.
_IPV6 = re.compile(
    r"(?:[23][0-9a-f]|f[cd]|fe(?=[89ab]))(?<![\w:.]..)[0-9a-f]{2}:[0-9a-f:]{1,34}+(?!\w|\.[0-9])",
    re.ASCII | re.IGNORECASE,
)


def ip_addresses(text: str) -> Spans:
    """IP addresses, without port, prefix length or zone.

    Not one: version numbers (`version 1.2.3.4`, `pkg==1.2.3.4`, `Chrome/120.0.0.0`), the number of a heading
    (`3.1.2.4 Scope` at the start of a line), and what is nobody's: loopback, unspecified, multicast and reserved.
    """
    yield from apart((*_ipv4(text), *_ipv6(text)))


def _ipv4(text: str) -> Spans:
    for start in _IPV4_START.finditer(text):
        match = _IPV4.match(text, start.start())
        if not match or _VERSION_BEFORE.search(text, max(0, match.start() - 48), match.start()):
            continue
        address = ipaddress.IPv4Address(match[0])
        nobodys = address.is_loopback or address.is_multicast or address.is_reserved or address.packed[0] == 0
        if not nobodys and not _is_heading(text, match, address):
            yield match.span()


def _is_heading(text: str, match: re.Match[str], address: ipaddress.IPv4Address) -> bool:
    if max(address.packed) > 30 or not _HEADING_AFTER.match(text, match.end()):
        return False
    return _HEADING_BEFORE.search(text, max(0, match.start() - 12), match.start()) is not None


def _ipv6(text: str) -> Spans:
    for match in _IPV6.finditer(text):
        written = match[0][:-1] if match[0].endswith(":") and not match[0].endswith("::") else match[0]
        try:
            ipaddress.IPv6Address(written)
        except ValueError:
            continue
        if any(character.isdigit() for character in written):
            yield match.start(), match.start() + len(written)


_BYTE = "[0-9A-Fa-f]{2}"
_MAC = re.compile(
    rf"(?<![\w:.\-])(?:{_BYTE}(?P<gap>[:\-]){_BYTE}(?:(?P=gap){_BYTE}){{4}}"
    rf"|[0-9A-Fa-f]{{4}}\.[0-9A-Fa-f]{{4}}\.[0-9A-Fa-f]{{4}})(?!\w)(?![:.\-]\w)",
    re.ASCII,
)


def mac_addresses(text: str) -> Spans:
    """Hardware addresses of one device: six bytes with colons or hyphens, or three groups of four digits with dots.

    Not one: what has no letter (times, dates and part numbers look like that), and addresses of groups or of nobody.
    """
    for match in _MAC.finditer(text):
        digits = match[0].replace(":", "").replace("-", "").replace(".", "")
        of_one_device = not int(digits[:2], 16) & 1
        written_out = match["gap"] is not None or any(digit.isdigit() for digit in digits)
        if of_one_device and written_out and not digits.isdigit():
            yield match.span()
