"""What was found in a text, and where: precedence and the algebra of spans.

Detectors run in the order of `DETECTORS`; where two would claim the same characters, the earlier one has them. What is
claimed becomes a wall that no later match can cross: the text is searched on with square brackets in its place, just
as it reads after redaction, and no pattern accepts a square bracket. The search repeats around what was found until
nothing new turns up, so what `redact_text` returns holds no finding, and redacting it again changes nothing (up to
`_MAX_ROUNDS` findings glued to each other without a space, each hidden by the next).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from nexus_graph.scope.redaction.accounts import credit_cards, ibans
from nexus_graph.scope.redaction.addresses import emails
from nexus_graph.scope.redaction.births import birth_dates
from nexus_graph.scope.redaction.credentials import bearer_tokens, credential_urls, json_web_tokens, private_keys
from nexus_graph.scope.redaction.excerpts import Views, joined, lines_around
from nexus_graph.scope.redaction.networks import ip_addresses, mac_addresses
from nexus_graph.scope.redaction.people import uk_nhs_numbers, us_itins, us_ssns
from nexus_graph.scope.redaction.phones import phones
from nexus_graph.scope.redaction.providers import provider_keys
from nexus_graph.scope.redaction.settings import named_secrets
from nexus_graph.scope.redaction.spans import Detector, Spans, apart
from nexus_graph.scope.redaction.texts import Text
from nexus_graph.scope.redaction.wallets import crypto_wallets

RULESET = "pii-3"


def secret_keys(text: Text) -> Spans:
    """Keys of services by their shapes, and secrets of any kind by the names that they are given to."""
    yield from apart((*provider_keys(text), *named_secrets(text)))


DETECTORS: tuple[tuple[str, Detector], ...] = (
    ("private_key", private_keys),
    ("credential_url", credential_urls),
    ("bearer_token", bearer_tokens),
    ("json_web_token", json_web_tokens),
    ("secret_key", secret_keys),
    ("email", emails),
    ("crypto_wallet", crypto_wallets),
    ("iban", ibans),
    ("credit_card", credit_cards),
    ("birth_date", birth_dates),
    ("us_ssn", us_ssns),
    ("us_itin", us_itins),
    ("uk_nhs", uk_nhs_numbers),
    ("mac_address", mac_addresses),
    ("ip_address", ip_addresses),
    ("phone", phones),
)
"""Each kind with its detector, in order of precedence."""

FEWEST_DIGITS = {
    **dict.fromkeys(("credit_card", "us_ssn", "us_itin", "uk_nhs", "phone"), 7),
    "birth_date": 4,
}
"""How many digits at least are in one line of anything that is found of a kind, with one figure for many kinds."""

# The bulk of what the journal takes: ids and digests that the engine makes, where hexadecimal digits hold no finding,
# and names of a few letters, too short for any secret.
_HOLDS_NOTHING = re.compile(
    r"(?:(?!shp)[a-z]{2,12}_)?(?:[0-9a-f]{32}|[0-9a-f]{64})(?:[:@][0-9]{1,9})?|[A-Za-z_. -]{0,14}"
)
# Without a digit, a sign that something begins with or a long run, there is nothing in a text.
_MAY_HOLD = re.compile(r"[0-9@\uff20:=>\"'`\uff1a]|--|[A-Za-z0-9_-]{16}|[ (][aA][tT][ )]|[bB](?i:earer)")

_TOGETHER = 2**16  # characters
_MAX_ROUNDS = 8  # two are enough for all but contrived chains; the bound keeps the time linear


@dataclass(frozen=True, slots=True)
class Finding:
    """`text[start:end]` (code points) is of this kind."""

    kind: str
    start: int
    end: int


def holds_nothing(text: str) -> bool:
    """Whether a glance is enough to say that nothing will be found."""
    return _HOLDS_NOTHING.fullmatch(text) is not None


def find(text: str) -> list[Finding]:
    """The findings of `text`, sorted by place, never overlapping. Time is linear in the length of the text."""
    if holds_nothing(text) or not _MAY_HOLD.search(text):
        return []
    findings: list[Finding] = []
    regions = [(0, len(text))]
    for _ in range(_MAX_ROUNDS):
        found = [finding for start, end in regions for finding in _search(text[start:end], start)]
        if not found:
            break
        findings += found
        text = _walled(text, sorted(found, key=_place))
        regions = list(lines_around(Text(text), ((each.start, each.end) for each in sorted(found, key=_place))))
    return sorted(findings, key=_place)


def find_each(texts: Iterable[str]) -> Iterator[list[Finding]]:
    """The findings of each text, as `find` gives them. Many short texts take a fraction of the time that way."""
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= _TOGETHER:
            yield from _find_together(batch)
            batch, size = [], 0
    yield from _find_together(batch)


def _find_together(texts: Sequence[str]) -> Iterator[list[Finding]]:
    pieces = ["" if holds_nothing(text) else text for text in texts]
    whole, starts = joined(pieces)
    findings = iter(find(whole))
    finding = next(findings, None)
    for start, piece in zip(starts, pieces, strict=True):
        own = []
        while finding is not None and finding.start < start + len(piece):
            own.append(Finding(finding.kind, finding.start - start, finding.end - start))
            finding = next(findings, None)
        yield own


def _search(text: str, offset: int) -> list[Finding]:
    """What each detector finds in a text, one after the other; `offset` is where the text begins in the whole."""
    findings: list[Finding] = []
    clear = Text(text)
    views = Views(clear)
    for kind, detector in DETECTORS:
        found = [Finding(kind, start, end) for start, end in views.spans(detector, FEWEST_DIGITS.get(kind, 0))]
        if found:
            views.wall(clear := Text(_walled(clear, found)))
            findings += found
    return [Finding(each.kind, each.start + offset, each.end + offset) for each in findings] if offset else findings


def _place(finding: Finding) -> int:
    return finding.start


def redact_text(text: str) -> str:
    """`text` with each finding replaced by its kind in square brackets; everything else stays as it is."""
    return replace_findings(text, find(text))


def replace_findings(text: str, findings: Sequence[Finding]) -> str:
    """`text` with these findings, sorted and apart from each other, replaced by their kinds in square brackets."""
    return _replace(text, findings, [f"[{finding.kind}]" for finding in findings])


def _walled(text: str, findings: Sequence[Finding]) -> str:
    """`text` with square brackets in the place of these findings, sorted and apart from each other."""
    return _replace(text, findings, ["[" * (finding.end - finding.start) for finding in findings])


def _replace(text: str, findings: Sequence[Finding], replacements: Sequence[str]) -> str:
    pieces: list[str] = []
    end = 0
    for finding, replacement in zip(findings, replacements, strict=True):
        pieces += (text[end : finding.start], replacement)
        end = finding.end
    return "".join((*pieces, text[end:]))
