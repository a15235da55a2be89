"""What a kill switch is, and what it halts. Values only, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from nexus_graph.scope.errors import Halted, Invalid

LONGEST_REASON: Final = 500
OBJECTS: Final = "objects"
"""The provider that keeps raw bytes. The others are the embedders, by their kind."""

UNSTOPPABLE: Final = frozenset(
    {
        "approveLock",
        "audit",
        "budget",
        "editLock",
        "engageKillSwitch",
        "killSwitches",
        "lock",
        "locks",
        "proposal",
        "proposeLock",
        "rejectLock",
        "releaseKillSwitch",
        "revokeKey",
        "revokeLock",
        "revokeMember",
        "viewer",
    }
)
"""Actions that no switch halts: they release one, take rights away, or tell what is going on."""


class Target(StrEnum):
    """What a switch halts."""

    EVERYTHING = "EVERYTHING"
    ACTION = "ACTION"
    PROVIDER = "PROVIDER"


@dataclass(frozen=True, slots=True)
class Switch:
    """One engaging of the kill switch. `name` is the action or provider, empty for everything."""

    switch_id: str
    target: Target
    name: str
    reason: str
    engaged_by: str
    engaged_at: datetime
    released_by: str | None
    released_at: datetime | None

    def halts(self, action: str | None, provider: str | None) -> bool:
        """Whether it halts an action, or the use of a provider. A released switch halts nothing."""
        if self.released_at is not None:
            return False
        named = {Target.EVERYTHING: "", Target.ACTION: action, Target.PROVIDER: provider}
        return self.name == named[self.target]

    def error(self) -> Halted:
        """What the halted are told."""
        what = {
            Target.EVERYTHING: "Everything in this tenant and env",
            Target.ACTION: f"The action {self.name}",
            Target.PROVIDER: f"The provider {self.name}",
        }
        return Halted(
            f"{what[self.target]} is halted by the kill switch.",
            since=self.engaged_at,
            reason=self.reason,
            hint=f"An owner or admin may release {self.switch_id}, under an approved Strategy Lock that allows it.",
        )


@dataclass(frozen=True, slots=True)
class Known:
    """What can be halted by name: actions (fields of the graph and followers) and providers."""

    actions: frozenset[str]
    providers: frozenset[str]

    def check(self, target: Target, name: str) -> None:
        """Raises Invalid, listing what there is, for a name that nothing has."""
        names = {Target.EVERYTHING: frozenset({""}), Target.ACTION: self.actions, Target.PROVIDER: self.providers}
        if name in names[target]:
            return
        path = ("input", "name")
        if target is Target.EVERYTHING:
            raise Invalid(
                "EVERYTHING has no name.", hint="Leave the name out, or name an ACTION or PROVIDER.", path=path
            )
        if name in UNSTOPPABLE:
            hint = "It releases switches, takes rights away, or tells what is going on."
            raise Invalid(f"No switch halts {name}.", hint=hint, path=path)
        raise Invalid(
            f"There is no such {target.lower()} to halt.", hint=f"Known: {', '.join(sorted(names[target]))}.", path=path
        )


def checked_reason(reason: str) -> str:
    """The reason without blanks around it. Raises Invalid unless 1 to 500 characters are left."""
    stripped = reason.strip()
    if not 1 <= len(stripped) <= LONGEST_REASON:
        raise Invalid(f"A reason has 1 to {LONGEST_REASON} characters.", path=("input", "reason"))
    return stripped


def refused_by(engaged: Sequence[Switch], action: str | None, provider: str | None = None) -> Halted | None:
    """What the first of the engaged switches has against an action, or the use of a provider, if any."""
    if action in UNSTOPPABLE:
        return None
    return next((switch.error() for switch in engaged if switch.halts(action, provider)), None)
