"""The ledger of claims: what the papers state, the rule that decides each statement, and the verdict on a table of
runs.

A claim is data beside one function, written down before the runs that decide it:

    Claim("D1", statement=..., source=..., measure=..., rule=..., margin=..., decide=d1)
    def d1(frame): ...    # -> Finding(HOLDS | FAILS | OPEN, "what was seen", effect)

A verdict says one of four things: *holds here*, *does not hold here*, *not settled* (with the smallest effect that the
runs could have seen), *out of reach* (of what). Runs of earlier sources are named beside it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from .stats import FAILS, HOLDS, OPEN, Bounds, Interval, decisions, digits, every, interval, smallest

WORDS = {HOLDS: "holds here", FAILS: "does not hold here", OPEN: "not settled"}
OUT_OF_REACH = "out of reach"
SEEDS = 6
"""Fewer seeds decide nothing: a test of signs over five cannot fall below 5 %."""
LEARNT, LOW, HIGH = 0.9, 0.1, 0.8
"""A model has learnt its rules above LEARNT on seen ones; it does not apply unseen ones below LOW, and does above
HIGH."""
NEGLIGIBLE = 0.05
"""A change of the accuracy that is smaller is no help and no harm."""


@dataclass(frozen=True)
class Finding:
    """What a table says about a claim."""

    outcome: str
    """HOLDS, FAILS or OPEN."""
    text: str
    """What was seen, in a sentence with its numbers."""
    effect: Interval | None = None
    """The number that decides, with its interval."""
    smallest: float | None = None
    """The smallest effect that these runs could have seen (`stats.smallest`)."""
    n_seeds: int | None = None
    """Seeds of the cell with the fewest; taken from the effect where it is not given."""

    @classmethod
    def of(cls, outcome: str, text: str, values) -> "Finding":
        """A finding whose effect is the mean of values by seed, or a ratio by seed (`Bounds`)."""
        if isinstance(values, Bounds):
            return cls(outcome, text, values.effect, values.smallest)
        return cls(outcome, text, interval(values), smallest(values))

    def unless(self, why: str) -> "Finding":
        """The same, which settles nothing where there is a reason: a control that does not hold, a table that is no
        test."""
        return replace(self, outcome=OPEN, text=f"{self.text} {why}") if why else self


def compared(changes: dict, margin: float = 0.0) -> tuple[dict[str, str], Finding]:
    """Several changes, {name: values by seed}, decided at Holm's levels: for each whether it is above the margin, and
    the finding that all are, with the smallest change.

    >>> outcomes, found = compared({"a": [0.5, 0.6, 0.7], "b": [0.1, 0.2]}, 0.1)
    >>> print(outcomes, found.outcome, found.text, found.effect)
    {'a': 'holds', 'b': 'open'} open a: 0.60 [0.35, 0.85], b: 0.15 [-0.49, 0.79] 0.15 [-0.49, 0.79]
    """
    found = {name: interval(values) for name, values in changes.items()}
    outcomes, least = decisions(found, margin), min(found.values(), key=lambda one: one.mean)
    text, n_seeds = ", ".join(f"{name}: {one}" for name, one in found.items()), min(one.n for one in found.values())
    return outcomes, Finding(every(outcomes.values()), text, least, max(map(smallest, changes.values())), n_seeds)


@dataclass(frozen=True)
class Claim:
    """A statement and the rule that decides it."""

    id: str
    statement: str
    """In our words, in one sentence."""
    source: str
    """Paper and section."""
    measure: str
    """What is compared, with its unit."""
    rule: str
    """When it holds and when it does not; otherwise it is not settled."""
    margin: str
    """The margin and why it is that."""
    decide: Callable[..., Finding] | None
    """Applies the rule to a table; None where a statement is out of reach."""
    scale: str = ""
    """What it would take, where it is out of reach."""
    n_seeds: int = SEEDS
    table: Callable | None = None
    """The table that the rule reads, a function of the chapter; the chapter's own where it is not given."""


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim, with what it rests on."""

    claim: Claim
    verdict: str
    finding: Finding
    marks: tuple[str, ...] = ()
    """What is not up to date or not complete in the table."""

    def text(self) -> str:
        """What was found, with the smallest effect that could have been seen where nothing is settled."""
        least = self.finding.smallest
        seen = least is not None and math.isfinite(least) and self.verdict == WORDS[OPEN]
        return self.finding.text + (f" The smallest effect that could have been seen: {digits(least)}." if seen else "")


def judge(claim: Claim, frame) -> Verdict:
    """The verdict on a claim from a tidy table of runs that differ in the claim's variable and in the seed only."""
    if claim.decide is None:
        return Verdict(claim, OUT_OF_REACH, Finding(OPEN, f"It would take {claim.scale}."))
    if frame.empty:
        return Verdict(claim, WORDS[OPEN], Finding(OPEN, "No runs are recorded."))
    finding = claim.decide(frame)
    n_seeds = finding.n_seeds if finding.n_seeds is not None else finding.effect.n if finding.effect else 0
    few = finding.outcome != OPEN and n_seeds < claim.n_seeds
    if few:
        finding = Finding(
            OPEN, f"{finding.text} By {n_seeds} of {claim.n_seeds} seeds.", finding.effect, finding.smallest, n_seeds
        )
    return Verdict(claim, WORDS[finding.outcome], finding, marks(frame))


def marks(frame) -> tuple[str, ...]:
    """What a reader must know of a table: runs that are of earlier sources."""
    stale = int((frame.drop_duplicates("key")["state"] == "stale").sum()) if "state" in frame else 0
    return (f"{stale} runs of earlier sources",) if stale else ()
