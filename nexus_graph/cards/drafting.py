"""A draft: a card's text read, judged by its manifest and searched for personal data, before any row is looked at."""

from __future__ import annotations

from dataclasses import dataclass

from nexus_graph.cards.format import CARD_KEY, Parsed, parse, place
from nexus_graph.cards.header import Path
from nexus_graph.cards.manifests import Manifests, filter_fields
from nexus_graph.cards.model import ArtifactKind
from nexus_graph.scope.canonical import digest
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import pii_flags
from nexus_graph.scope.scope import Scope


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that is well-formed and fits its manifest, with what was found in it. `strategic` as its manifest says."""

    parsed: Parsed
    singleton_key: str | None
    strategic: bool
    fields: list[tuple[str, str | float | bool]]
    handling: Handling


def card_id_of(scope: Scope, key: str) -> str:
    """The id of the card that bears this key in the scope, whether it exists yet or not."""
    return f"card_{digest([scope.tenant_id, scope.env.value, key])[:32]}"


def artifact_kind(ref: str) -> ArtifactKind:
    """What the id of an artifact names."""
    return ArtifactKind.ASSET if ref.startswith("asset_") else ArtifactKind.ATOM


def examine(manifests: Manifests, text: str | bytes, train_ok: bool) -> Draft:
    """Read and judge a text. It takes a while for a long one, so not on the event loop. Raises Invalid."""
    parsed = parse(text)
    manifests.validate(parsed)
    manifest = manifests.get(parsed.card_type)
    stated = parsed.header.get("train_ok", True)
    if not isinstance(stated, bool):
        raise invalid(parsed, ("train_ok",), "train_ok is not true or false.", "Write true or false without quotes.")
    return Draft(
        parsed=parsed,
        singleton_key=manifest.singleton_of(parsed) if manifest else None,
        strategic=manifest.strategic if manifest else False,
        fields=filter_fields(parsed, manifest) if manifest else [],
        handling=Handling(pii_flags(parsed.text), train_ok and stated),
    )


def target(scope: Scope, parsed: Parsed, card_id: str | None, key: str | None) -> tuple[str | None, str | None]:
    """The id and the key of the card that is meant, as far as they are known."""
    if key is not None and not CARD_KEY.fullmatch(key):
        raise Invalid("The key is malformed.", hint=f"It must match ^{CARD_KEY.pattern}$.", path=("input", "key"))
    key = parsed.key or key
    if key is None:
        stated = parsed.header.get("card_id")
        return card_id or (stated if isinstance(stated, str) else None), None
    named = card_id_of(scope, key)
    if card_id not in (None, named):
        hint = "Leave one of the two out; a card keeps its key."
        raise invalid(parsed, ("key",), "key names another card than cardId does.", hint)
    return named, key


def invalid(parsed: Parsed, path: Path, message: str, hint: str) -> Invalid:
    """The error for a value in the header, with its place in the text."""
    line, column = place(parsed, path)
    return Invalid(message, hint=hint, path=("header", *path), line=line, column=column)
