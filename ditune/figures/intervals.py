"""Means over seeds with bootstrap intervals, and where a curve passes a level.

With three to five seeds a bootstrap interval is rough and tends to be too short; figures show every seed beside it.
"""

import functools
import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A mean over n seeds, and the middle 95 % of its bootstrap distribution (not a number for a single seed)."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        mean, low, high = (round(value, 2) + 0.0 for value in (self.mean, self.low, self.high))  # 0.00, not -0.00
        return f"{mean:.2f} [{low:.2f}, {high:.2f}]" if self.n > 1 else f"{mean:.2f}"


def interval(values) -> Interval:
    """The mean of the values and its percentile bootstrap interval; the same values give the same bounds.

    >>> print(interval([0.0, 0.0, 0.0]), interval([0.5]))
    0.00 [0.00, 0.00] 0.50
    """
    return _interval(tuple(map(float, values)))


@functools.lru_cache(maxsize=4096)
def _interval(values: tuple[float, ...]) -> Interval:
    mean = float(np.mean(values))
    if len(set(values)) < 2:  # nothing to draw from
        bound = mean if len(values) > 1 else math.nan
        return Interval(mean, bound, bound, len(values))
    bounds = stats.bootstrap((values,), np.mean, method="percentile", rng=0).confidence_interval
    return Interval(mean, float(bounds.low), float(bounds.high), len(values))


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share of n independent trials; the share may be a mean over repetitions of these trials, so that
    the successes are no whole number, which `scipy.stats.binomtest` needs.

    >>> [round(bound, 3) for bound in wilson(0.5, 10)]
    [0.237, 0.763]
    """
    z2 = float(stats.norm.ppf(0.975)) ** 2 / n
    middle, half = share + z2 / 2, math.sqrt(z2 * (share * (1 - share) + z2 / 4))
    return (middle - half) / (1 + z2), (middle + half) / (1 + z2)


def crossing(n_rules, accuracy, level: float) -> float | None:
    """Where a curve first rises through the level, linear in log n_rules; None where it never or always is above.

    >>> crossing([100, 10_000], [0.0, 1.0], 0.5)
    1000.0
    """
    for (a, p), (b, q) in pairwise(sorted(zip(n_rules, accuracy))):
        if p < level <= q:
            return round(math.exp(math.log(a) + (level - p) / (q - p) * math.log(b / a)), 6)
    return None


def differences(first, second) -> dict[int, Interval]:
    """By number of rules, how much higher the accuracy on unseen rules is in the second table: mean over the seeds of both.

    A seed draws the same rules, inputs and initial weights in both tables where their specs agree in these.
    """
    by_run = [frame[frame["eval"] == "unseen"].set_index(["n_rules", "seed"])["exact_match"] for frame in (first, second)]
    change = (by_run[1] - by_run[0]).dropna()  # of the runs that both have
    return {int(n): interval(values) for n, values in change.groupby("n_rules")}


@dataclass(frozen=True)
class Threshold:
    """The number of rules at which the accuracy on unseen rules passes a level: per seed, and the geometric mean."""

    by_seed: dict[int, float]
    rules: Interval

    def __str__(self) -> str:
        return f"{self.rules.mean:,.0f} [{self.rules.low:,.0f}, {self.rules.high:,.0f}]"


def threshold(frame, level: float = 0.5) -> Threshold | None:
    """The threshold of each seed and the interval of their geometric mean; None unless every seed has one in the grid."""
    if frame.empty:
        return None
    unseen = frame[frame["eval"] == "unseen"]
    by_seed = {int(s): crossing(rows["n_rules"], rows["exact_match"], level) for s, rows in unseen.groupby("seed")}
    if not by_seed or None in by_seed.values():
        return None
    logs = interval([math.log(n) for n in by_seed.values()])
    return Threshold(by_seed, Interval(math.exp(logs.mean), math.exp(logs.low), math.exp(logs.high), logs.n))


# ---- thresholds outside the numbers tried ----------------------------------------------------------------------------


def bracket(n_rules, accuracy, level: float = 0.5) -> tuple[float, float]:
    """Bounds of the number of rules at which a curve first is at the level: equal where `crossing` interpolates it; from
    0 to the smallest number where that is above already; from the largest to infinity where none is.

    >>> bracket([100, 10_000], [0.0, 1.0]), bracket([100, 300], [0.6, 0.9]), bracket([100, 300], [0.0, 0.2])
    ((1000.0, 1000.0), (0.0, 100.0), (300.0, inf))
    """
    curve = sorted(zip(n_rules, accuracy))
    if curve[0][1] >= level:
        return 0.0, float(curve[0][0])
    place = crossing(n_rules, accuracy, level)
    return (place, place) if place else (float(curve[-1][0]), math.inf)


@dataclass(frozen=True)
class Bounds:
    """A positive quantity by seed, (low, high): equal where it is known; low is 0, or high infinite, where it is not bounded."""

    by_seed: dict[int, tuple[float, float]]

    @property
    def mean(self) -> tuple[float, float]:
        """Bounds of the geometric mean over the seeds."""
        low, high = _logs(self).mean(axis=0)
        return math.exp(low), math.exp(high)

    @property
    def interval(self) -> Interval | None:
        """The geometric mean with its interval; None unless it is known for every seed."""
        if any(low != high for low, high in self.by_seed.values()):
            return None
        logs = interval(_logs(self)[:, 0])
        return Interval(math.exp(logs.mean), math.exp(logs.low), math.exp(logs.high), logs.n)

    def over(self, other: "Bounds") -> "Bounds | None":
        """The ratio to another quantity, seed by seed, over the seeds of both; None where there are none."""
        seeds = [s for s in self.by_seed if s in other.by_seed]
        with np.errstate(divide="ignore"):
            ratios = {s: tuple(np.divide(self.by_seed[s], other.by_seed[s][::-1]).tolist()) for s in seeds}
        return Bounds(ratios) if ratios else None

    def __str__(self) -> str:
        """The mean with its interval (without one for a single seed), or the bound that is known of it.

        >>> print(Bounds({0: (400.0, 400.0)}), Bounds({0: (0.0, 10.0), 1: (0.0, 10.0)}), Bounds({0: (3000.0, math.inf)}))
        400 < 10 > 3,000
        """
        low, high = self.mean
        if known := self.interval:
            return _digits(low) + (f" [{_digits(known.low)}, {_digits(known.high)}]" if known.n > 1 else "")
        if low == 0 and math.isinf(high):
            return "not bounded"
        return f"< {_digits(high)}" if low == 0 else f"> {_digits(low)}"


def bounds(frame, level: float = 0.5) -> Bounds:
    """What the table says of the threshold of each seed, whether or not it lies within the numbers of rules tried."""
    unseen = frame[frame["eval"] == "unseen"]
    return Bounds({int(s): bracket(rows["n_rules"], rows["exact_match"], level) for s, rows in unseen.groupby("seed")})


def _logs(quantity: Bounds) -> np.ndarray:
    """Logarithms of the bounds: (seeds, 2)."""
    with np.errstate(divide="ignore"):
        return np.log(np.array(list(quantity.by_seed.values()), dtype=float))


def _digits(value: float) -> str:
    """A positive number with at least two digits: 1,234, 56, 7.80, 0.40, 0.025."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"
