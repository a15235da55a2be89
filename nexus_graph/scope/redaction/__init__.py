"""Personal data and secrets: found by shape and check digit, replaced by the name of their kind.

In comes any text or JSON value; out goes the same value with `[email]`, `[iban]`, ... where something was found, and
the sorted kinds as flags. The journal takes only `Redacted`, which only `redact` can make. Nothing is guessed by a
model, nothing is looked up, and the same input gives the same output in every process.

    RULESET        the version that travels with everything redacted; raise it whenever a rule changes
    find           the findings of a text: sorted, apart from each other, in code points
    find_each      the findings of each of many texts, which takes less time than one by one
    redact_text    a text without them
    redact         a JSON value without them, as `Redacted`
    pii_flags      the kinds found in a JSON value
"""

from nexus_graph.scope.redaction.findings import RULESET, Finding, find, find_each, redact_text
from nexus_graph.scope.redaction.values import Redacted, pii_flags, redact

__all__ = ["RULESET", "Finding", "Redacted", "find", "find_each", "pii_flags", "redact", "redact_text"]
