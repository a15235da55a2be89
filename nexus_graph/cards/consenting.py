"""The cards' part in consent: each version has a declared value, an author and the artifacts that it cites."""

from __future__ import annotations

import orjson

from nexus_graph.cards import table
from nexus_graph.safeguards.consent.changing import Step
from nexus_graph.safeguards.consent.table import allowed
from nexus_graph.scope.errors import Conflict, NotFound
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Work

_FLIP = "update card_versions set train_ok = not train_ok where tenant_id = :tenant_id and env = :env"
_REEVALUATE = Statement(
    f"{_FLIP} and train_ok <> (declared_train_ok and {allowed('card_versions.created_by')} "
    f"and {table.artifacts_allow('card_versions')}) returning version"
)
_DECLARED = Statement(
    "select version, header, declared_train_ok from card_versions "
    "where tenant_id = :tenant_id and env = :env and card_id = :card_id order by version desc"
)
_DECLARE = Statement(
    "update card_versions set declared_train_ok = :train_ok "
    "where tenant_id = :tenant_id and env = :env and card_id = :card_id and version = :version"
)


async def reevaluate(work: Work) -> int:
    """Make the effective consent of every version follow from its layers. Returns how many changed."""
    return len(await work.write(_REEVALUATE, installation=work.limits.train_ok))


async def declare(work: Work, card_id: str, train_ok: bool) -> bool:
    """Set what is declared of all versions of a card, but never against the text of one that withholds consent itself.

    Raises NotFound, and Conflict when the current version is such a one; returns whether anything changed.
    """
    rows = await work.rows(_DECLARED, card_id=card_id)
    if not rows:
        raise NotFound("asset or card", path=("input", "id"))
    if train_ok and not _text_allows(rows[0]["header"]):
        hint = "Publish a version whose header does not say train_ok: false."
        raise Conflict("The card's own text withholds consent.", hint=hint, path=("input", "id"))
    others = [row for row in rows if bool(row["declared_train_ok"]) != train_ok]
    chosen = [row["version"] for row in others if not train_ok or _text_allows(row["header"])]
    if chosen:
        await work.write_many(
            _DECLARE, [{"card_id": card_id, "version": version, "train_ok": train_ok} for version in chosen]
        )
    return bool(chosen)


def _text_allows(header: str) -> bool:
    return orjson.loads(header).get("train_ok", True) is not False


CARDS = Step("cards", reevaluate, "card_", declare)
