"""Addresses in networks: IP (v4 and v6, with its zone) and MAC (IEEE 802)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from nexus_graph.scope.redaction.spans import Spans, apart
from nexus_graph.scope.redaction.texts import Text, Words

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_DOT = re.compile(r"\.(?<=[0-9].)[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
_FIRST_BACKWARDS = re.compile(r"(?P<octet>[0-9]{1,3}+)(?![\w.]|-[A-Za-z])", re.ASCII)
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}(?!\w)(?!\.[A-Za-z0-9])", re.ASCII)
_VERSIONED = frozenset(
    (
        "v", "ver", "version", "versions", "release", "releases", "rel", "revision", "rev", "build", "builds",
        "firmware", "driver", "update", "updates", "patch", "section", "sections", "clause", "clauses",
        "chapter", "article", "annex", "appendix", "table", "figure", "paragraph", "item", "abschnitt",
        "kapitel", "artikel", "ziffer", "oid", "since", "objectidentifier",
    )
)  # fmt: skip
_VERSION_BEFORE = re.compile(r"(?:(?<![/\w])[A-Z][A-Za-z]{1,30}/|[=<>~!]= ?|[\^~§] ?| notes (?:to|for) )$", re.ASCII)
_EARLIER_VERSION = re.compile(r"v?[0-9]{1,5}(?:\.[0-9]{1,5}){1,3} {0,3}(?:to|and|or|->|→|,|-|–) {0,3}$")
_WORD_BACKWARDS = re.compile(r"[a-z]{1,16}+(?![a-z])")
_HEADING_BEFORE = re.compile(r"(?:^|\n)[# \t]{0,12}$")
_CHAPTER_BEFORE = re.compile(r"(?<![a-z])(?:see|in|under|siehe|vgl\.|cf\.) $", re.IGNORECASE)
_RELEASE_AFTER = re.compile(r" (?:release|version|build)", re.IGNORECASE)
_HEADING_AFTER = re.compile(r"[ \t]{1,4}[A-Z]")


def ip_addresses(text: Text) -> Spans:
    """IP addresses to their whole length: v4; v6 compressed, in full, with v4 inside, with a zone; no port or prefix.

    Not one: version numbers (`version 1.2.3.4`, `pkg==1.2.3.4`, `Chrome/120.0.0.0`), the number of a heading
    (`3.1.2.4 Scope` at the start of a line), and what is nobody's: loopback, unspecified, multicast and reserved.
    """
    yield from apart((*_ipv4(text), *_ipv6(text)))


def _ipv4(text: Text) -> Spans:
    for dot in _DOT.finditer(text):
        first = _FIRST_BACKWARDS.match(text[max(0, dot.start() - 5) : dot.start()][::-1])
        match = _IPV4.match(text, dot.start() - len(first["octet"])) if first else None
        if not match or _is_version(text[max(0, match.start() - 48) : match.start()]):
            continue
        numbers = [int(number) for number in match[0].split(".")]
        if _is_somebodys(numbers[0]) and not _is_heading(text, match, numbers):
            yield match.span()


def _is_version(before: str) -> bool:
    """Whether what stands before four numbers says that they are a version or the number of a section."""
    earlier = _EARLIER_VERSION.search(before)
    word = _WORD_BACKWARDS.match(before[: earlier.start() if earlier else None].rstrip(" \t.:=#_\"'(").lower()[::-1])
    return (word is not None and word[0][::-1] in _VERSIONED) or _VERSION_BEFORE.search(before) is not None


def _is_somebodys(first: int) -> bool:
    """Whether addresses that begin with this byte are given out: not 0, loopback, multicast or reserved."""
    return first not in (0, 127) and first < 224


def _is_heading(text: str, match: re.Match[str], numbers: Sequence[int]) -> bool:
    if max(numbers) > 30:
        return False
    if _RELEASE_AFTER.match(text, match.end()):
        return True
    if numbers[0] != 10 and _CHAPTER_BEFORE.search(text, max(0, match.start() - 8), match.start()):
        return True
    if not _HEADING_AFTER.match(text, match.end()):
        return False
    return _HEADING_BEFORE.search(text, max(0, match.start() - 12), match.start()) is not None


# A colon as v6 has them, tried once in each run of the characters of an address.
_COLON = re.compile(r":(?=:[0-9A-Fa-f]|(?<=[0-9A-Fa-f]{2}:)(?::|[0-9A-Fa-f]{1,4}:))")
_RUN_BACKWARDS = re.compile(r"[0-9A-Fa-f]{0,4}+(?![\w:.])", re.ASCII)
_RUN = re.compile(r"[0-9A-Fa-f:]{2,39}+(?:\.[0-9]{1,3}){0,3}+(?!\w|\.[0-9])", re.ASCII)
_ZONE = re.compile(r"%(?:25)?[A-Za-z0-9][A-Za-z0-9_.~-]{0,15}")


def _ipv6(text: Text) -> Spans:
    end = 0
    for colon in _COLON.finditer(text):
        if colon.start() < end:
            continue
        first = _RUN_BACKWARDS.match(text[max(end, colon.start() - 5) : colon.start()][::-1])
        run = _RUN.match(text, colon.start() - len(first[0])) if first else None
        if not run:
            continue
        written = run[0][:-1] if run[0].endswith(":") and not run[0].endswith("::") else run[0]
        if not _is_ipv6(written):
            continue
        zone = _ZONE.match(text, run.start() + len(written)) if written.lower().startswith("fe") else None
        end = zone.end() if zone else run.start() + len(written)
        yield run.start(), end


def _is_ipv6(written: str) -> bool:
    try:
        address = ipaddress.IPv6Address(written)
    except ValueError:
        return False
    # Unicast is global, unique-local or link-local, and its first group has four digits, so that times, headings and
    # `a::b` in code don't count. What maps v4 begins with zeros, and what translates it with 64:ff9b (RFC 6052).
    if address.packed[:2] == b"\0\0" or address.packed[:4] == b"\0\x64\xff\x9b":
        return _holds_ipv4(written, address)
    unicast = address.is_link_local or address.packed[0] & 0xE0 == 0x20 or address.packed[0] & 0xFE == 0xFC
    in_full = written.index(":") == 4 and any(character.isdigit() for character in written)
    return unicast and in_full and any(address.packed[2:])


def _holds_ipv4(written: str, address: ipaddress.IPv6Address) -> bool:
    """Whether it is somebody's v4 address, mapped, translated or written out inside v6."""
    marked = address.packed[10:12] == b"\xff\xff" or address.packed[8:10] == b"\xff\xff" or address.packed[1] == 0x64
    return _is_somebodys(address.packed[12]) and (marked or "." in written)


_BYTE = "[0-9A-Fa-f]{2}"
_GAP = re.compile(
    rf"(?P<gap>[:\-])(?<=[0-9A-Fa-f]{{2}}.)(?<![\w:.\-]...){_BYTE}(?:(?P=gap){_BYTE}){{4}}(?!\w)(?![:.\-]\w)", re.ASCII
)
_DOTTED = re.compile(
    r"\.(?<=[0-9A-Fa-f]{4}.)(?<![\w:.\-].....)[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?!\w)(?![:.\-]\w)", re.ASCII
)
_COMPACT = re.compile(r"[^\w\n\[\]]{1,4}(?P<mac>[0-9A-Fa-f]{12})(?!\w)(?![:.\-]\w)", re.ASCII)
_GROUPS = ("ffffffffffff", "000000000000", "01005e", "3333", "0180c2", "01000c")
_NAMED = re.compile(
    r"(?<![a-z])(?:mac(?:[ _-]?addr(?:ess|esse)?\.?)?|mac-adresse|hwaddr|ether|lladdr|bssid|physical address)"
    r"[^\w\n\[\]]{1,6}$",
    re.IGNORECASE,
)
_NAMES = Words(("mac", "hwaddr", "ether", "lladdr", "bssid", "physical address"))


def mac_addresses(text: Text) -> Spans:
    """Hardware addresses: six bytes with colons or hyphens, three groups with dots, or twelve digits after a label.

    Not one: what has no letter and no label (times, dates and part numbers look like that), words of hexadecimal
    letters with dots, and addresses of groups or of nobody.
    """
    yield from apart((*_spaced(text), *_dotted(text), *_compact(text)))


def _spaced(text: Text) -> Spans:
    for gap in _GAP.finditer(text):
        start = gap.start() - 2
        digits = text[start : gap.end()].replace(gap["gap"], "")
        if not _is_group(digits) and (not digits.isdigit() or _is_named(text, start)):
            yield start, gap.end()


def _dotted(text: Text) -> Spans:
    for dot in _DOTTED.finditer(text):
        start = dot.start() - 4
        digits = text[start : dot.end()].replace(".", "")
        mixed = not digits.isalpha() and not digits.isdigit()
        if not _is_group(digits) and (mixed or _is_named(text, start)):
            yield start, dot.end()


def _compact(text: Text) -> Spans:
    for _, place in _NAMES.places(text):
        labelled = _COMPACT.search(text, place + 3, place + 40)
        if labelled and not _is_group(labelled["mac"]) and _is_named(text, labelled.start("mac")):
            yield labelled.span("mac")


def _is_group(digits: str) -> bool:
    return digits.lower().startswith(_GROUPS)


def _is_named(text: str, start: int) -> bool:
    return _NAMED.search(text, max(0, start - 28), start) is not None
