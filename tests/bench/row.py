"""One row of the table of targets: what was measured, beside whom, and whether that is what was wished for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A figure and its target. `ours` and `peers` say what the figure was made of, with their units.

    `figure` is None where it could not be measured; then `ours` says why. `highest` says that the target is a bound
    from above, otherwise from below.
    """

    number: str
    work: str
    figure: float | None
    target: float
    ours: str
    peers: str
    highest: bool = True

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        if self.figure is None:
            return False
        return self.figure <= self.target if self.highest else self.figure >= self.target


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| # | work | measured | target | ours | the peer |", "|---|---|---|---|---|---|"]
    for row in rows:
        figure = "not measured" if row.figure is None else f"{row.figure:.3g}"
        bound = f"{'<=' if row.highest else '>='} {row.target:g}{'' if row.met else ', missed'}"
        lines.append(f"| {row.number} | {row.work} | {figure} | {bound} | {row.ours} | {row.peers} |")
    return "\n".join(lines) + "\n"
