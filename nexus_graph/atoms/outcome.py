"""What became of an asset when it was read last: nothing is kept without a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from nexus_graph.atoms import recipes
from nexus_graph.atoms.model import Omitted, Reading, Recipe
from nexus_graph.atoms.recipes import Kind
from nexus_graph.atoms.recipes.kinds import ENCRYPTED_OFFICE
from nexus_graph.scope.errors import NexusError

LONGEST_REASON = 2000


class DerivationState(StrEnum):
    """How much of an asset's text is in its atoms."""

    NOT_ASKED = "NOT_ASKED"
    NO_RECIPE = "NO_RECIPE"
    NO_TEXT = "NO_TEXT"
    PARTLY_READ = "PARTLY_READ"
    DONE = "DONE"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of the last derivation of an asset.

    `reason` is told for all but `NOT_ASKED` and `DONE`. `kind` is None before the bytes were looked at; `op` and
    `op_version` are None where no recipe was found. `left_out` also holds what was left out on purpose.
    """

    state: DerivationState
    reason: str | None = None
    left_out: tuple[Omitted, ...] = ()
    kind: Kind | None = None
    op: str | None = None
    op_version: str | None = None
    atoms: int = 0
    at: datetime | None = None

    @property
    def outdated(self) -> bool:
        """Whether deriving again may give something else: the recipe has moved on, or there is one now.

        Also where nobody looked at the bytes to decide the kind, as before 0.3.0.
        """
        if self.kind is None:
            return self.state is not DerivationState.NOT_ASKED
        if self.op is None:
            return recipes.recipe_for(self.kind) is not None
        recipe = recipes.RECIPES.get(self.op)
        return recipe is None or recipe.version != self.op_version

    def intends(self, omitted: Omitted) -> bool:
        """Whether it was left out on purpose, since a reader of the file does not see it either."""
        recipe = recipes.RECIPES.get(self.op or "")
        omission = recipe.leaves_out.get(omitted.what) if recipe else None
        return omission is not None and omission.intended


NOT_ASKED = Outcome(DerivationState.NOT_ASKED)
"""Of an asset that nobody has read yet."""


def of_reading(reading: Reading, recipe: Recipe, kind: Kind, now: datetime) -> Outcome:
    """The outcome of a file that a recipe has read."""
    return _of(len(reading.drafts), reading.left_out, recipe, kind, now)


def without(outcome: Outcome, recipe: Recipe, more: Sequence[Omitted]) -> Outcome:
    """The outcome of a file that a recipe has read, and more was left out of it in the end."""
    if outcome.kind is None or outcome.at is None:
        raise ValueError("Nothing was read.")
    return _of(outcome.atoms, (*outcome.left_out, *more), recipe, outcome.kind, outcome.at)


def _of(atoms: int, left_out: Sequence[Omitted], recipe: Recipe, kind: Kind, now: datetime) -> Outcome:
    missed = [omitted for omitted in left_out if not recipe.leaves_out[omitted.what].intended]
    if not atoms:
        words = recipe.tell(missed) or recipe.tell(left_out) or "it holds none"
        state, reason = DerivationState.NO_TEXT, f"no text read: {words}"
    elif missed:
        state, reason = DerivationState.PARTLY_READ, f"left out: {recipe.tell(missed)}"
    else:
        state, reason = DerivationState.DONE, ""
    return Outcome(state, _short(reason) or None, tuple(left_out), kind, recipe.op, recipe.version, atoms, now)


def of_refusal(error: NexusError, recipe: Recipe | None, kind: Kind | None, now: datetime) -> Outcome:
    """The outcome of a file that could not be read."""
    op, version = (recipe.op, recipe.version) if recipe else (None, None)
    words = f"{error} {error.hint or ''}".strip()
    return Outcome(DerivationState.REFUSED, _short(words), (), kind, op, version, 0, now)


def without_recipe(kind: Kind, now: datetime) -> Outcome:
    """The outcome of a file of a kind that nothing reads."""
    return Outcome(DerivationState.NO_RECIPE, _short(f"no text read: {unread(kind)}"), (), kind, None, None, 0, now)


def unread(kind: Kind) -> str:
    """Why nothing reads a kind."""
    if kind.media_type == ENCRYPTED_OFFICE:
        return "it is encrypted"
    return f"no recipe reads {kind.media_type}"


def _short(reason: str) -> str:
    return reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 1]}…"
