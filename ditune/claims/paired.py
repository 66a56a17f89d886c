"""Comparisons of two conditions seed by seed, and what counts as a change: shared by the claims of several chapters.

A seed stands for the same streams of rules, inputs and initial weights in both conditions.
"""

import math

from ..figures.intervals import Interval, interval
from .ledger import HIGH, LEARNT

NEGLIGIBLE = 0.05
"""A change of the accuracy that is smaller is no help and no harm."""
REACHED = 0.5
"""Rules of a kind that was not trained on are reached above this accuracy, the one at which thresholds are placed."""
SEEDS = 3
"""Fewer seeds decide nothing."""


def above(found: Interval, bound: float) -> bool:
    """Whether enough seeds have an interval above a bound."""
    return found.n >= SEEDS and found.low > bound


def below(found: Interval, bound: float) -> bool:
    """Whether enough seeds have an interval below a bound."""
    return found.n >= SEEDS and found.high < bound


def by_seed(rows, name: str):
    """Accuracy on an evaluation set by seed, a Series."""
    return rows[rows["eval"] == name].groupby("seed")["exact_match"].mean()


def accuracy(rows, name: str) -> Interval:
    """Accuracy on an evaluation set over the seeds; not a number where the rows lack it."""
    values = by_seed(rows, name)
    return interval(values) if len(values) else Interval(math.nan, math.nan, math.nan, 0)


def change(before, after, name: str) -> Interval:
    """How much higher the accuracy on an evaluation set is in the second condition, over the seeds of both."""
    values = (by_seed(after, name) - by_seed(before, name)).dropna()
    return interval(values) if len(values) else Interval(math.nan, math.nan, math.nan, 0)


def trained(rows) -> bool:
    """Whether the models have learnt their own rules, or apply unseen rules of the kind that they were trained on."""
    return accuracy(rows, "seen").low >= LEARNT or accuracy(rows, "unseen").low >= HIGH


TRAINED = f"trained (lower bound at least {LEARNT} on seen rules, or at least {HIGH} on unseen rules of the kind trained on)"
