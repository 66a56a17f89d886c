"""Means over seeds with t-intervals, tests of a difference against a margin, and where a curve passes a level.

Every interval here is Student's over seeds, at 95 %. `decide` is the one test that verdicts use: a difference holds
where its interval lies beyond the margin, it does not hold where the interval lies below it (equivalence, or a clear
opposite), and is not settled in between. `smallest` says how large an effect the runs could have seen.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import fdtrc, ndtri, stdtrit

LEVEL = 0.95
POWER = 0.8


@dataclass(frozen=True)
class Interval:
    """A mean over n seeds with its t-interval; the bounds of a single seed are infinite: it bounds nothing."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        mean, low, high = (round(value, 2) + 0.0 for value in (self.mean, self.low, self.high))  # 0.00, not -0.00
        return "–" if self.n == 0 else f"{mean:.2f} [{low:.2f}, {high:.2f}]" if self.n > 1 else f"{mean:.2f}"

    def __format__(self, spec: str) -> str:
        """With other digits, or signs: f"{found:+.3f}".

        >>> f"{interval([0.01, 0.02, 0.03]):+.3f}"
        '+0.020 [-0.005, +0.045]'
        """
        if not spec or not self.n:
            return str(self)
        digits = int(spec.rstrip("f").rpartition(".")[2])
        mean, low, high = (f"{round(value, digits) + 0.0:{spec}}" for value in (self.mean, self.low, self.high))
        return f"{mean} [{low}, {high}]" if self.n > 1 else mean

    @property
    def half(self) -> float:
        """Half of its width."""
        return (self.high - self.low) / 2


NOTHING = Interval(math.nan, math.nan, math.nan, 0)
"""The interval of no values; no comparison with it is true."""


def interval(values, level: float = LEVEL) -> Interval:
    """The mean of the values and its t-interval.

    >>> print(interval([0.0, 0.5, 1.0]), interval([0.5]), interval([]))
    0.50 [-0.74, 1.74] 0.50 –
    """
    values = np.asarray(list(values), dtype=float)
    values, n = values[~np.isnan(values)], int((~np.isnan(values)).sum())
    if n < 2:
        return Interval(float(values[0]), -math.inf, math.inf, 1) if n else NOTHING
    mean = float(values.mean())
    half = t_quantile(n - 1, level) * float(values.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def t_quantile(df: float, level: float = LEVEL) -> float:
    """The quantile of Student's distribution that bounds a two-sided interval.

    >>> round(t_quantile(5), 3)
    2.571
    """
    return float(stdtrit(df, (1 + level) / 2))


def smallest(values, level: float = LEVEL) -> float:
    """The smallest mean that so many values with their spread would have shown to differ from 0, with a power of 80 %;
    infinite for fewer than two values. Values (S, P) are those of `crossed`.

    >>> round(smallest([0.0, 0.1, -0.1, 0.05, -0.05, 0.0]), 3)
    0.101
    """
    values = np.asarray(list(values), dtype=float)
    if min(values.shape) < 2:
        return math.inf
    plain = float(values.std(ddof=1)) / math.sqrt(len(values)), len(values) - 1.0
    error, df = crossed_error(values) if values.ndim == 2 else plain
    return (t_quantile(df, level) + float(stdtrit(df, POWER))) * error


def crossed(values, level: float = LEVEL) -> Interval:
    """The mean of values (S, P), which S seeds have on the same P answers, and its t-interval over both: it speaks of
    other seeds and of other answers. Those of a single seed or answer have no bounds.

    >>> print(crossed([[1.0, 3.0], [1.0, 3.0]]), crossed([[1.0, 1.0], [3.0, 3.0]]), crossed([[1.0, 3.0]]))
    2.00 [-10.71, 14.71] 2.00 [-10.71, 14.71] 2.00
    """
    values = np.asarray(values, dtype=float)
    if not values.size:
        return NOTHING
    mean, n = float(values.mean()), len(values)
    if min(values.shape) < 2:
        return Interval(mean, -math.inf, math.inf, n)
    error, df = crossed_error(values)
    half = t_quantile(df, level) * error
    return Interval(mean, mean - half, mean + half, n)


def crossed_error(values: np.ndarray) -> tuple[float, float]:
    """The standard error of a mean over seeds and answers, from the spread of the means of both (what the two count
    twice is taken off), and its degrees of freedom (Satterthwaite)."""
    (S, P), of_seeds, of_answers = values.shape, values.mean(axis=1), values.mean(axis=0)
    rest = values - of_seeds[:, None] - of_answers + values.mean()
    a, b = float(of_seeds.var(ddof=1)) / S, float(of_answers.var(ddof=1)) / P
    variance = max(a, b, a + b - float((rest**2).sum()) / ((S - 1) * (P - 1) * S * P))
    parts = a**2 / (S - 1) + b**2 / (P - 1)
    return math.sqrt(variance), max(variance**2 / parts, min(S, P) - 1.0) if parts else S - 1.0


# ---- decisions -------------------------------------------------------------------------------------------------------

HOLDS, FAILS, OPEN = "holds", "fails", "open"


def decide(found: Interval, margin: float = 0.0) -> str:
    """Whether an effect that a statement says to be above the margin is: HOLDS where its interval lies above, FAILS
    where it lies below, OPEN otherwise. For a statement that something is small give the negated interval.

    >>> [decide(Interval((low + high) / 2, low, high, 6), 0.1) for low, high in ((0.2, 0.4), (-0.05, 0.05), (0, 0.2))]
    ['holds', 'fails', 'open']
    """
    return HOLDS if found.low > margin else FAILS if found.high < margin else OPEN


def within(found: Interval, margin: float) -> str:
    """Whether an effect is smaller than the margin, to either side: HOLDS where its interval lies within, FAILS where
    it lies outside altogether, OPEN otherwise.

    >>> [within(Interval(0, low, high, 6), 0.1) for low, high in ((-0.05, 0.05), (0.2, 0.3), (-0.3, -0.2), (0, 0.2))]
    ['holds', 'fails', 'fails', 'open']
    """
    inside, outside = -margin <= found.low and found.high <= margin, found.low > margin or found.high < -margin
    return HOLDS if inside else FAILS if outside else OPEN


def every(outcomes) -> str:
    """Of a statement with several parts: HOLDS where all do, FAILS where one fails, OPEN otherwise."""
    outcomes = list(outcomes)
    return FAILS if FAILS in outcomes else HOLDS if outcomes and set(outcomes) == {HOLDS} else OPEN


def holm(n: int) -> list[float]:
    """The levels of the intervals of n comparisons, the clearest first, that keep the error over all of them at 5 %
    (Holm).

    >>> [round(level, 4) for level in holm(3)]
    [0.9833, 0.975, 0.95]
    """
    return [1 - (1 - LEVEL) / (n - i) for i in range(n)]


def holm_intervals(found: dict[str, Interval], margin: float = 0.0, df: int | None = None) -> dict[str, Interval]:
    """The intervals of several comparisons at Holm's levels: the clearest, the farthest from the margin, has the
    widest; from the first that does not exclude the margin on, all have its level. df: degrees of freedom where not
    n - 1.

    >>> print(*holm_intervals({"a": interval([0.2, 0.3, 0.4]), "b": interval([0.0, 0.1])}).values())
    0.30 [-0.06, 0.66] 0.05 [-1.22, 1.32]
    """
    wide, levels = {}, iter(holm(len(found)))
    level = next(levels, LEVEL)
    for name in sorted(found, key=lambda name: -distance(found[name], margin)):
        wide[name] = one = widened(found[name], level, df)
        if one.low > margin or one.high < margin:
            level = next(levels, LEVEL)
    return {name: wide[name] for name in found}


def decisions(found: dict[str, Interval], margin: float = 0.0) -> dict[str, str]:
    """`decide` for each of several comparisons at Holm's levels.

    >>> decisions({"a": interval([0.5, 0.6, 0.7]), "b": interval([0.1, 0.2])}, 0.1)
    {'a': 'holds', 'b': 'open'}
    """
    return {name: decide(one, margin) for name, one in holm_intervals(found, margin).items()}


def beats(gains: dict, margin: float = 0.0) -> str:
    """Whether something is better than each of several others, {other: gains by seed}: HOLDS where every interval lies
    above 0; FAILS where one lies below the margin, at Bonferroni's level; OPEN otherwise.

    >>> beats({"a": [1.0, 1.1, 0.9], "b": [2.0, 2.1, 1.9]}), beats({"a": [0.0, 0.1, -0.1], "b": [9.0, 0.0, 3.0]}, 0.5)
    ('holds', 'fails')
    """
    if gains and all(interval(values).low > 0 for values in gains.values()):
        return HOLDS
    level = holm(max(1, len(gains)))[0]
    return FAILS if any(interval(values, level).high < margin for values in gains.values()) else OPEN


def distance(found: Interval, margin: float) -> float:
    """How far a mean is from the margin, in halves of its interval."""
    return abs(found.mean - margin) / found.half if found.half > 0 else math.inf if found.mean != margin else 0.0


def widened(found: Interval, level: float, df: int | None = None) -> Interval:
    """The same mean with an interval of another level."""
    if found.n < 2:
        return found
    df = df or found.n - 1
    half = found.half * t_quantile(df, level) / t_quantile(df)
    return Interval(found.mean, found.mean - half, found.mean + half, found.n)


# ---- conditions within seeds -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Blocks:
    """Conditions compared within seeds: a two-way analysis without interaction; its residual is the error of
    differences."""

    means: dict[str, float]
    n: int
    df: int
    sd: float
    """Standard deviation of the residuals."""
    f: float
    p: float
    """That all conditions are alike."""

    @classmethod
    def of(cls, wide) -> "Blocks":
        """Of a table with a row a condition and a column a seed; seeds that lack a condition are left out.

        >>> import pandas
        >>> found = Blocks.of(pandas.DataFrame({0: [0.1, 0.3], 1: [0.2, 0.5]}, index=["a", "b"]))
        >>> print(found.differences("a")["b"], round(found.f, 3), round(found.p, 3))
        0.25 [-0.39, 0.89] 25.0 0.126
        """
        wide = wide.dropna(axis=1)
        values, (rows, n) = wide.to_numpy(dtype=float), wide.shape
        df, means = (rows - 1) * (n - 1), values.mean(axis=1, keepdims=True) if n else values
        named = dict(zip(wide.index, map(float, means[:, 0]))) if n else {}
        if df < 1:
            return cls(named, n, 0, math.nan, math.nan, math.nan)
        residual = values - means - values.mean(axis=0, keepdims=True) + values.mean()
        error = float((residual**2).sum() / df)
        between = float(n * ((means - values.mean()) ** 2).sum() / (rows - 1))
        f = between / error if error > 0 else math.inf if between > 0 else 0.0
        return cls(named, n, df, math.sqrt(error), f, float(fdtrc(rows - 1, df, f)))

    def differences(self, baseline: str, level: float = LEVEL) -> dict[str, Interval]:
        """How much higher every other condition is than the baseline, with the pooled error."""
        half = t_quantile(self.df, level) * self.sd * math.sqrt(2 / self.n) if self.df else math.inf
        above = {name: mean - self.means[baseline] for name, mean in self.means.items() if name != baseline}
        return {name: Interval(mean, mean - half, mean + half, self.n) for name, mean in above.items()}


# ---- seed by seed ----------------------------------------------------------------------------------------------------


def by_seed(rows, name: str = "unseen", measure: str = "exact_match"):
    """A measure on an evaluation set by seed, a Series."""
    return rows[rows["eval"] == name].groupby("seed")[measure].mean()


def accuracy(rows, name: str = "unseen", measure: str = "exact_match") -> Interval:
    """A measure on an evaluation set over the seeds."""
    return interval(by_seed(rows, name, measure))


def differences(before, after, name: str = "unseen", measure: str = "exact_match"):
    """How much higher a measure is in the second condition, a Series over the seeds of both: a seed stands for the same
    streams of rules, inputs and initial weights."""
    return (by_seed(after, name, measure) - by_seed(before, name, measure)).dropna()


def change(before, after, name: str = "unseen", measure: str = "exact_match") -> Interval:
    """The mean of `differences` with its interval."""
    return interval(differences(before, after, name, measure))


# ---- ranks -----------------------------------------------------------------------------------------------------------


def correlation(first, second) -> Interval:
    """Spearman's rank correlation over n pairs with its 95 % interval (Fisher's transformation, the error of Bonett and
    Wright 2000); 0 where all values of one are equal.

    >>> print(correlation(range(20), range(20)), correlation([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]))
    1.00 [1.00, 1.00] 0.80 [-0.46, 0.99]
    """
    a, b = (ranked(values) for values in (first, second))
    n, spread = len(a), float(a.std() * b.std())
    r = float(((a - a.mean()) * (b - b.mean())).mean() / spread) if n and spread else 0.0
    if n < 4:
        return Interval(r, -1.0, 1.0, n)
    half = float(ndtri((1 + LEVEL) / 2)) * math.sqrt((1 + r**2 / 2) / (n - 3))
    z = math.atanh(min(max(r, -1 + 1e-12), 1 - 1e-12))
    return Interval(r, math.tanh(z - half), math.tanh(z + half), n)


def ranked(values) -> np.ndarray:
    """The ranks of values; equal ones have the mean of theirs."""
    _, place, counts = np.unique(np.asarray(list(values), dtype=float), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


# ---- shares ----------------------------------------------------------------------------------------------------------


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share of n independent trials; the share may be a mean over repetitions of these
    trials.

    >>> [round(bound, 3) for bound in wilson(0.5, 10)]
    [0.237, 0.763]
    """
    z2 = float(ndtri((1 + LEVEL) / 2)) ** 2 / n
    middle, half = share + z2 / 2, math.sqrt(z2 * (share * (1 - share) + z2 / 4))
    return (middle - half) / (1 + z2), (middle + half) / (1 + z2)


# ---- thresholds ------------------------------------------------------------------------------------------------------


def crossing(n_rules, accuracy, level: float = 0.5) -> float | None:
    """Where a curve first rises through the level, linear in log n_rules; None where it never or always is above.

    >>> crossing([100, 10_000], [0.0, 1.0], 0.5)
    1000.0
    """
    for (a, p), (b, q) in pairwise(sorted(zip(n_rules, accuracy))):
        if p < level <= q:
            return round(math.exp(math.log(a) + (level - p) / (q - p) * math.log(b / a)), 6)
    return None


def bracket(n_rules, accuracy, level: float = 0.5) -> tuple[float, float]:
    """Bounds of the number of rules at which a curve first is at the level: equal where `crossing` interpolates it;
    from 0 to the smallest number where that is above already; from the largest to infinity where none is.

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
    """A positive quantity by seed, (low, high): equal where it is known; low is 0, or high infinite, where it is not
    bounded."""

    by_seed: dict[int, tuple[float, float]]

    @property
    def mean(self) -> tuple[float, float]:
        """Bounds of the geometric mean over the seeds."""
        low, high = self.logs().mean(axis=0)
        return math.exp(low), math.exp(high)

    @property
    def interval(self) -> Interval | None:
        """The geometric mean with its interval; None unless it is known for every seed."""
        if any(low != high for low, high in self.by_seed.values()):
            return None
        logs = interval(self.logs()[:, 0])
        return Interval(math.exp(logs.mean), math.exp(logs.low), math.exp(min(logs.high, 700.0)), logs.n)

    def over(self, other: "Bounds") -> "Bounds | None":
        """The ratio to another quantity, seed by seed, over the seeds of both; None where there are none."""
        seeds = [s for s in self.by_seed if s in other.by_seed]
        with np.errstate(divide="ignore"):
            ratios = {s: tuple(np.divide(self.by_seed[s], other.by_seed[s][::-1]).tolist()) for s in seeds}
        return Bounds(ratios) if ratios else None

    def logs(self) -> np.ndarray:
        """Logarithms of the bounds: (seeds, 2)."""
        with np.errstate(divide="ignore"):
            return np.log(np.array(list(self.by_seed.values()), dtype=float))

    @property
    def factor(self) -> str:
        """A ratio in words.

        >>> Bounds({0: (2.0, 2.0)}).factor, Bounds({0: (2.0, math.inf)}).factor, Bounds({0: (0.0, math.inf)}).factor
        ('× 2.00', 'more than × 2.00', '× not bounded')
        """
        return f"× {self}".replace("× > ", "more than × ").replace("× < ", "less than × ")

    @property
    def seeds(self) -> str:
        """The values of the seeds, or what bounds them."""
        return ", ".join(str(Bounds({seed: both})) for seed, both in self.by_seed.items())

    @property
    def nearest(self) -> list[float]:
        """Logarithms of a ratio by seed; one that is only bounded counts with the bound nearest to 1."""
        return [math.log(low if low > 1 else high if high < 1 else 1.0) for low, high in self.by_seed.values()]

    def beyond(self, margin: float, side: int = 0) -> str:
        """Whether a ratio is beyond the margin to one side (1: larger, -1: smaller), or, to no side, within it to both.
        That it is near to 1 no bound can show.

        >>> Bounds({s: (2.0, 2.0 + s) for s in range(2)}).beyond(1.5, 1), Bounds({0: (0.5, 3), 1: (0.5, 3)}).beyond(1.5)
        ('holds', 'open')
        """
        found = interval([(side or 1) * value for value in self.nearest])
        outcome = decide(found, math.log(margin)) if side else within(found, math.log(margin))
        near = outcome == FAILS and found.high >= 0 if side else outcome == HOLDS
        return OPEN if near and not self.interval else outcome

    @property
    def effect(self) -> Interval:
        """A ratio with its interval, as `nearest` counts it."""
        logs = interval(self.nearest)
        return Interval(*(math.exp(min(v, 700.0)) for v in (logs.mean, logs.low, logs.high)), logs.n)

    @property
    def smallest(self) -> float:
        """The smallest ratio that so many seeds would have shown to differ from 1 (`smallest`)."""
        return math.exp(min(smallest(self.nearest), 700.0))

    def __str__(self) -> str:
        """The mean with its interval (without one for a single seed), or the bound that is known of it.

        >>> print(Bounds({0: (400, 400)}), Bounds({0: (0, 10), 1: (0, 10)}), Bounds({0: (3000, math.inf)}))
        400 < 10 > 3,000
        """
        low, high = self.mean
        if known := self.interval:
            return digits(low) + (f" [{digits(known.low)}, {digits(known.high)}]" if known.n > 1 else "")
        if low == 0 and math.isinf(high):
            return "not bounded"
        return f"< {digits(high)}" if low == 0 else f"> {digits(low)}"


def threshold(frame, level: float = 0.5) -> Bounds:
    """The number of rules at which the accuracy on unseen rules passes the level, by seed, or what bounds it."""
    unseen = frame[frame["eval"] == "unseen"]
    return Bounds({int(s): bracket(rows["n_rules"], rows["exact_match"], level) for s, rows in unseen.groupby("seed")})


def digits(value: float) -> str:
    """A positive number with at least two digits: 1,234, 56, 7.80, 0.40, 0.025."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"
