"""D12 to D15: instructions beyond code, and code generation (chapter 13).

Table: one row per run and evaluation set as in `records.frame`, where `nll_each` is the list of the negative log-likelihoods
of a set's answers, each the mean over the answer's tokens. The sets of a mixture come in the order code, general, reasoning;
a run with total = 0 is the model before any tuning.

Shapes: S seeds, P answers (problems, or rows held out of an instruction set), A mixtures.
"""

import functools
import math

import numpy as np

from ..claims.ledger import Finding, Scale, claim, sentence
from ..claims.paired import SEEDS, above, below
from ..figures.intervals import Interval
from ..language.catalogue import BENCHMARKS

SOURCE = "arXiv 2405.19787 and arXiv 2410.04717, code generation"
NEGLIGIBLE = 0.5
"""A gain that is smaller is no help: half a percent of the perplexity. Tuning on 200 examples gained about 4 in the trial that
the sizes were chosen by."""
ABOUT, MUCH, MORE = 0.1, 0.25, 3.75
"""The share of the paper's optimum, the share at which its gain is gone, and its 75K beside 20K instructions."""
DRAWS = 4000
METRIC = (
    "likelihood of the canonical solutions of all problems tested, each continued from its prompt; the gain of one model over another, in hundredths of a nat a token (about percent of "
    "perplexity), is taken problem by problem and seed by seed; its 95 % interval comes from drawing seeds and problems, both with replacement"
)


# ---- what was measured -----------------------------------------------------------------------------------------------


def parts(sets, shares) -> tuple[float, ...]:
    """The shares of a mixture as they stand in a table, where equal ones are one number, as a tuple.

    >>> parts("stdlib", 1.0), parts(("stdlib", "made_general"), 0.5), parts((), ())
    ((1.0,), (0.5, 0.5), ())
    """
    n = len(sets) if isinstance(sets, tuple) else 1
    return shares if isinstance(shares, tuple) else (shares,) * n


def arms(frame) -> dict[tuple[int, tuple[float, ...]], object]:
    """The rows of each mixture, {(total, shares): rows}, small totals and few domains first, then by share of code."""
    kinds = [(int(total), parts(sets, shares)) for total, sets, shares in zip(frame["total"], frame["sets"], frame["shares"])]
    order = sorted(set(kinds), key=lambda kind: (kind[0], len(kind[1]), [-share for share in kind[1]]))
    return {kind: frame[[one == kind for one in kinds]] for kind in order}


def common_total(found: dict) -> int:
    """The number of examples that most mixtures have; 0 where nothing was trained."""
    totals = [total for total, _ in found if total]
    return max(totals, key=lambda total: (totals.count(total), -total), default=0)


def at_total(frame) -> dict[tuple[float, ...], object]:
    """The rows of each mixture at the common total, by its shares."""
    found = arms(frame)
    return {shares: rows for (total, shares), rows in found.items() if total and total == common_total(found)}


def untuned(frame):
    """The rows of the model before any tuning, or None."""
    return arms(frame).get((0, ()))


def sets_of(rows) -> tuple[str, ...]:
    """The instruction sets of a mixture."""
    value = rows["sets"].iloc[0]
    return value if isinstance(value, tuple) else (value,)


def problems(rows) -> list[str]:
    """The benchmarks that the rows were tested on."""
    return [name for name in BENCHMARKS if name in set(rows["eval"])]


def likelihoods(rows, evals: list[str]) -> dict[int, np.ndarray]:
    """By seed, the negative log-likelihoods (P,) of all answers of the evaluation sets, one set behind the other; a seed that
    lacks a set is left out."""
    by_run = {(seed, name): each for seed, name, each in zip(rows["seed"], rows["eval"], rows["nll_each"])}
    return {int(s): np.concatenate([by_run[s, e] for e in evals]) for s in sorted(set(rows["seed"])) if evals and all((s, e) in by_run for e in evals)}


def gains(before, after, evals: list[str]) -> np.ndarray:
    """How much more likely the answers are after than before, (S, P) over the seeds of both, in hundredths of a nat a token.
    What has not been tuned is the same for all seeds."""
    first, second = likelihoods(before, evals), likelihoods(after, evals)
    if int(before["total"].iloc[0]) == 0 and first:
        first = dict.fromkeys(second, next(iter(first.values())))
    both = [seed for seed in second if seed in first and len(first[seed]) == len(second[seed])]
    return 100 * np.array([first[seed] - second[seed] for seed in both])


def crossed(values: np.ndarray) -> Interval:
    """The mean of values (S, P) and its interval over seeds and answers: both are drawn with replacement, independently
    (the pigeonhole bootstrap of Owen 2007). For one seed it is over the answers alone, for none there is none.

    >>> found = crossed(np.array([[1.0, 1.0], [3.0, 3.0]]))
    >>> (found.mean, found.low, found.high, found.n)
    (2.0, 1.0, 3.0, 2)
    """
    if not values.size:
        return Interval(math.nan, math.nan, math.nan, 0)
    seeds, answers = drawn(*values.shape)
    low, high = np.quantile(((seeds @ values) * answers).sum(axis=1), [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high), len(values))


@functools.lru_cache(maxsize=8)
def drawn(*sizes: int) -> list[np.ndarray]:
    """The weights of n things in each draw of n with replacement, (DRAWS, n) for each n; always the same draws."""
    draw = np.random.default_rng(0)
    return [draw.multinomial(n, np.full(n, 1 / n), DRAWS) / n for n in sizes]


def gain(before, after, evals: list[str] | None = None) -> Interval:
    """The mean gain with its interval, on all problems unless other sets are named; not a number where one side is missing."""
    if before is None or after is None:
        return crossed(np.empty((0, 0)))
    return crossed(gains(before, after, problems(after) if evals is None else evals))


def mean_gain(pairs: list) -> Interval:
    """The mean over pairs (before, after) of their gains on all problems, problem by problem, over the seeds that all have."""
    each = [gains(before, after, problems(after)) for before, after in pairs]
    same = len({values.shape for values in each}) == 1
    return crossed(np.mean(each, axis=0) if same else np.empty((0, 0)))


def nearest(found: dict, share: float) -> tuple[float, ...] | None:
    """The mixture of code and general instructions whose general share is nearest to a share."""
    return min((shares for shares in found if len(shares) == 2), key=lambda shares: abs(shares[1] - share), default=None)


def taught(frame, found: dict) -> bool:
    """Whether code alone has taught the model something: rows of its set that were held out are more likely than before."""
    alone = found.get((1.0,))
    return alone is not None and above(gain(untuned(frame), alone, [sets_of(alone)[0]]), 0)


def taken_in(found: dict, shares: tuple[float, ...]) -> bool:
    """Whether a mixture has taught more than code alone in each of its other domains: held-out rows of these are more likely."""
    rows = found[shares]
    return all(above(gain(found.get((1.0,)), rows, [name]), 0) for name in sets_of(rows)[1:])


LEARNT = (
    "Low gains count only where the tuning has taught something: where held-out rows of the code set are more likely after tuning on code alone than before, and held-out rows of the other "
    f"sets more likely after the mixture than after code alone (lower bounds above 0). Fewer than {SEEDS} seeds decide nothing."
)


def named(shares: tuple[float, ...]) -> str:
    """A mixture in words.

    >>> named((1.0,)), named((0.9, 0.1)), named((0.9, 0.05, 0.05))
    ('code only', '10 % general', '5 % general + 5 % reasoning')
    """
    others = [f"{100 * share:g} % {domain}" for share, domain in zip(shares[1:], ("general", "reasoning"))]
    return " + ".join(others) or "code only"


# ---- claims ----------------------------------------------------------------------------------------------------------


@claim(
    "D12",
    statement="At a fixed number of instructions, putting instructions beyond code in the place of some of those about code improves code generation.",
    source=f"{SOURCE}; abstract",
    metric=METRIC,
    rule=(
        f"Looks at the mean gain over code alone of all mixtures of two domains, code and general, at the same number of examples. Holds where its lower bound is above {NEGLIGIBLE}. "
        f"Fails where its upper bound is below {NEGLIGIBLE}. {LEARNT}"
    ),
    smallest_scale=Scale(SEEDS),
)
def d12(frame) -> Finding:
    found = at_total(frame)
    mixed = [shares for shares in found if len(shares) == 2]
    if (1.0,) not in found or not mixed:
        return Finding("open", "It takes code alone and a mixture of two domains.")
    mean = mean_gain([(found[1.0,], found[shares]) for shares in mixed])
    each = [f"{named(shares)}: {gain(found[1.0,], found[shares])}" for shares in mixed]
    text = sentence([f"mean gain over code alone: {mean}", *each]) + "."
    fails = below(mean, NEGLIGIBLE) and taught(frame, found) and all(taken_in(found, shares) for shares in mixed)
    return Finding("holds" if above(mean, NEGLIGIBLE) else "fails" if fails else "open", text)


@claim(
    "D13",
    statement="The best share of general instructions lies in between: about 10 % help, and at 25 % the gain is gone.",
    source=f"{SOURCE}; 20K instructions, DeepSeek-Coder",
    metric=METRIC,
    rule=(
        f"Looks at the mixture whose general share is nearest to {100 * ABOUT:g} % and at the one with the largest share, at least {100 * MUCH:g} %. Holds where the first gains over code alone (lower bound above "
        f"{NEGLIGIBLE}) and over the second (lower bound above {NEGLIGIBLE}), and the second does not gain over code alone (lower bound at most {NEGLIGIBLE}). Fails where the second does gain over code "
        f"alone, or where the first gains too little over code alone or over the second (an upper bound below {NEGLIGIBLE}). {LEARNT}"
    ),
    smallest_scale=Scale(SEEDS),
)
def d13(frame) -> Finding:
    found = at_total(frame)
    some, much = nearest(found, ABOUT), nearest(found, 1.0)
    if (1.0,) not in found or some == much or much[1] < MUCH:
        return Finding("open", f"It takes code alone, a mixture with about {100 * ABOUT:g} % general instructions and one with at least {100 * MUCH:g} %.")
    at_some, at_much, between = gain(found[1.0,], found[some]), gain(found[1.0,], found[much]), gain(found[much], found[some])
    text = f"Gain over code alone with {named(some)}: {at_some}, with {named(much)}: {at_much}; gain of the first over the second: {between}."
    learnt = taught(frame, found) and taken_in(found, some) and taken_in(found, much)
    if above(at_much, NEGLIGIBLE) or (learnt and (below(at_some, NEGLIGIBLE) or below(between, NEGLIGIBLE))):
        return Finding("fails", text)
    return Finding("holds" if above(at_some, NEGLIGIBLE) and above(between, NEGLIGIBLE) else "open", text)


def passes(rows) -> float:
    """How often a run passes over its examples."""
    one = rows.iloc[0]
    return one["n_steps"] * one["batch_size"] / one["total"]


@claim(
    "D14",
    statement="A mixture beats almost four times as many instructions about code alone (20K and 75K).",
    source=f"{SOURCE}; DeepSeek-Coder beside Magicoder",
    metric=METRIC,
    rule=(
        f"Looks at the mixture of two domains whose general share is nearest to {100 * ABOUT:g} %, and at code alone with at least {MORE} times as many examples and as many passes over them. Holds where the lower bound "
        f"of the gain of the first over the second is above {NEGLIGIBLE}. Fails where its upper bound is below {NEGLIGIBLE}. {LEARNT}"
    ),
    smallest_scale=Scale(SEEDS),
)
def d14(frame) -> Finding:
    found, total = at_total(frame), common_total(arms(frame))
    some = nearest(found, ABOUT)
    larger = [rows for (n, shares), rows in arms(frame).items() if shares == (1.0,) and n >= MORE * total and some and math.isclose(passes(rows), passes(found[some]), rel_tol=0.05)]
    if not larger:
        return Finding("open", f"It takes a mixture, and code alone with {MORE} times as many examples and as many passes over them.")
    more = larger[0]
    better = gain(more, found[some])
    text = f"Gain of {total:,} examples with {named(some)} over {int(more['total'].iloc[0]):,} examples of code alone: {better}; gain of the latter over {total:,} of code alone: {gain(found.get((1.0,)), more)}."
    fails = below(better, NEGLIGIBLE) and taught(frame, found) and taken_in(found, some)
    return Finding("holds" if above(better, NEGLIGIBLE) else "fails" if fails else "open", text)


@claim(
    "D15",
    statement="Three domains beat two: general instructions and reasoning in the place of general ones alone.",
    source=f"{SOURCE}; CodeQwen with 18/1/1 and 16/2/2 of OSS-Instruct, Alpaca and CoT-Collection",
    metric=METRIC,
    rule=(
        f"Looks at all pairs of a mixture of three domains and one of two, with the same share of code and the same number of examples; the mean over the pairs of the gain of three over two. Holds where its lower "
        f"bound is above {NEGLIGIBLE}. Fails where its upper bound is below {NEGLIGIBLE}. {LEARNT}"
    ),
    smallest_scale=Scale(SEEDS),
)
def d15(frame) -> Finding:
    found = at_total(frame)
    pairs = [(two, three) for two in found for three in found if len(two) == 2 and len(three) == 3 and math.isclose(two[0], three[0], abs_tol=1e-6)]
    if not pairs:
        return Finding("open", "It takes a mixture of two domains and one of three with the same share of code.")
    mean = mean_gain([(found[two], found[three]) for two, three in pairs])
    each = [f"{named(three)} over {named(two)}: {gain(found[two], found[three])}" for two, three in pairs]
    text = sentence([f"mean gain of three domains over two: {mean}", *each]) + "."
    fails = below(mean, NEGLIGIBLE) and taught(frame, found) and all(taken_in(found, shares) for pair in pairs for shares in pair)
    return Finding("holds" if above(mean, NEGLIGIBLE) else "fails" if fails else "open", text)
