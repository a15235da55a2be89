"""What became of every file of an import: one line each, and no file without one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import typer

from nexus_graph.administration import console
from nexus_graph.atoms import NOT_ASKED, DerivationState, Outcome
from nexus_graph.scope.errors import NexusError


class Fate(StrEnum):
    """What became of a file. The first two are read whole."""

    KEPT = "kept"
    UNCHANGED = "unchanged"
    PARTLY_READ = "partly read"
    UNREAD = "without text"
    REFUSED = "refused"


_FATES = {
    DerivationState.NOT_ASKED: Fate.UNREAD,
    DerivationState.NO_RECIPE: Fate.UNREAD,
    DerivationState.NO_TEXT: Fate.UNREAD,
    DerivationState.PARTLY_READ: Fate.PARTLY_READ,
}


@dataclass(frozen=True, slots=True)
class Line:
    """A file, what became of it, and why where it was not read whole."""

    path: str
    fate: Fate
    reason: str | None = None

    def say(self) -> str:
        """The line as people read it."""
        return f"{self.fate} {self.path}" + (f": {self.reason}" if self.reason else "")


@dataclass(slots=True)
class Report:
    """The lines of an import, in the order in which the files were found."""

    lines: list[Line] = field(default_factory=list)

    def add(self, path: object, fate: Fate, reason: str | None = None) -> None:
        """Tell of one more file."""
        self.lines.append(Line(str(path), fate, reason))

    def of(self, fate: Fate) -> list[Line]:
        """The lines of one fate."""
        return [line for line in self.lines if line.fate is fate]

    def as_json(self) -> dict[str, Any]:
        """Counts, the files that were not read whole with their reasons, and every file with its fate."""
        counts = Counter(line.fate for line in self.lines)
        told = {
            name: [{"path": line.path, "reason": line.reason} for line in self.of(fate)]
            for name, fate in (("partlyRead", Fate.PARTLY_READ), ("unread", Fate.UNREAD), ("refused", Fate.REFUSED))
        }
        files = [{"path": line.path, "outcome": line.fate.value, "reason": line.reason} for line in self.lines]
        return {"kept": counts[Fate.KEPT], "unchanged": counts[Fate.UNCHANGED], **told, "files": files}

    def end(self, *, as_json: bool, each: bool = False) -> None:
        """Tell it all, and end the command with the status of a refusal where a file was refused."""
        console.document(self.as_json()) if as_json else self.say(each=each)
        if self.of(Fate.REFUSED):
            raise typer.Exit(console.REFUSED)

    def say(self, *, each: bool) -> None:
        """The counts of all fates, after a line for each file that was not read whole: a warning, on standard error.

        With `each` they come after a line for each file, which was asked for and goes to standard output.
        """
        for line in self.lines:
            if each:
                console.say(line.say())
            elif line.fate not in (Fate.KEPT, Fate.UNCHANGED):
                console.err.print(line.say(), markup=False)
        counts = Counter(line.fate for line in self.lines)
        console.say(", ".join(f"{counts[fate]} {fate}" for fate in Fate) + ".")


def fate(outcome: Outcome | None, *, changed: bool) -> tuple[Fate, str | None]:
    """What the outcome of its derivation makes of a file that is kept, and why."""
    known = outcome or NOT_ASKED
    if known.state is DerivationState.DONE:
        return (Fate.KEPT if changed else Fate.UNCHANGED), None
    if known.state is DerivationState.REFUSED:
        return Fate.REFUSED, f"kept, but not read: {known.reason}"
    return _FATES[known.state], known.reason or "no text read: nobody has read it yet"


def reason(error: NexusError) -> str:
    """An error as one line: what was wrong, and what to do."""
    return f"{error} {error.hint}" if error.hint else str(error)
