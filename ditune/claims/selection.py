"""A1 and A3 to A6: which tasks to train on next (chapters 10 and 11).

Table: one row per run and round as in `records.frame`, where `strategy` selected the tasks of rounds 1, 2, ...; round 0 is the
first model, which all strategies of a seed share. A4 is decided from another table: one row per seed and group of the task
map, with the mean of `learnable` over the group's tasks, or over all of the map (`figures.task_map.group_table`).

A change is a difference of exact match on the test, seed by seed: a seed stands for the same pool, test, initial tasks and
initial weights under every strategy.
"""

import math

from ..claims.ledger import Finding, Scale, claim, sentence
from ..claims.paired import NEGLIGIBLE, SEEDS, above, below
from ..figures.intervals import Interval, interval

SOURCE = "arXiv 2311.00288"
WORLD = "On symbolic tasks: "
"""What the statements are decided on here; the paper's are about natural instructions."""
METHOD = "uncertainty"
BASELINES = ("random", "high_perplexity", "low_perplexity")
GROUPS = {"ambiguous": METHOD, "difficult": "difficult", "easy": "easy"}
"""The groups of the task map, and the strategies that train on them."""
GAIN = 0.005
"""A smaller gain is none: the paper's over random selection are 0.7 to 0.8 points of 100, and so would count."""
FEWER = (0.75, 0.85)
"""The paper compares 272 tasks with 340, which is 80 %."""
METRIC = "exact match on clean test tasks of unseen rules, of which each family has equally many; differences between strategies seed by seed, mean with 95 % bootstrap interval over seeds"
TAUGHT = (
    f"Against the statement it counts only where more tasks teach more: where the accuracy under random selection rises from the first model to the last by more than {NEGLIGIBLE} (lower bound). "
    f"Fewer than {SEEDS} seeds decide nothing."
)


# ---- what was measured -----------------------------------------------------------------------------------------------


def by_seed(frame, strategy: str, rounds):
    """Exact match after these rounds under a strategy, the mean over rounds of each seed that has all of them: a Series."""
    rows = frame[(frame["strategy"] == strategy) & frame["round"].isin(list(rounds))]
    groups = rows.groupby("seed")["exact_match"]
    return groups.mean()[groups.count() == len(rounds)]


def difference(first, second) -> Interval:
    """How much higher the second Series is, over the seeds of both."""
    values = (second - first).dropna()
    return interval(values) if len(values) else Interval(math.nan, math.nan, math.nan, 0)


def gain(frame, over: str, strategy: str = METHOD, rounds=None) -> Interval:
    """The gain of a strategy over another, averaged over rounds; over all but round 0 where none are named."""
    rounds = range(1, last_round(frame) + 1) if rounds is None else rounds
    return difference(by_seed(frame, over, rounds), by_seed(frame, strategy, rounds))


def rise(frame, strategy: str, number: int) -> Interval:
    """How much higher the accuracy is after a round than that of the first model."""
    return difference(by_seed(frame, strategy, [0]), by_seed(frame, strategy, [number]))


def last_round(frame) -> int:
    """The last round of the runs."""
    return int(frame["round"].max())


def decided(frame, holds: bool, fails: bool, text: str) -> Finding:
    """What a rule finds whose failure counts only where more tasks teach more; where they do not, the text says so."""
    taught = rise(frame, "random", last_round(frame))
    if fails and above(taught, NEGLIGIBLE):
        return Finding("fails", text)
    if fails:
        text += f" What speaks against the statement does not count: under random selection the rise from the first model to the last, {precise(taught)}, is not clearly above {NEGLIGIBLE}."
    return Finding("holds" if holds else "open", text)


def lacking(frame, names) -> list[str]:
    """The strategies that the table has no runs of."""
    there = set(frame["strategy"]) if "strategy" in frame else ()
    return [name for name in names if name not in there]


def precise(found: Interval | None, times: int = 1, digits: int = 3) -> str:
    """A gain with its interval; with three digits, as the paper's gains are about 0.01.

    >>> precise(interval([0.01, 0.03])), precise(interval([0.5])), precise(None)
    ('+0.020 [+0.010, +0.030]', '+0.500', 'not run')
    """
    if found is None or not found.n:
        return "not run"
    mean, low, high = (f"{times * value:+.{digits}f}" for value in (found.mean, found.low, found.high))
    return f"{mean} [{low}, {high}]" if found.n > 1 else mean


def shown(gains: dict, least: float) -> str:
    """Gains over other strategies in words; where one's upper bound is below the least that the rule asks for, it says so."""
    return "; ".join(f"over {name.replace('_', ' ')}: {precise(found)}" + f" (upper bound below {least})" * below(found, least) for name, found in gains.items())


# ---- claims ----------------------------------------------------------------------------------------------------------


@claim(
    "A1",
    statement=f"{WORLD}selecting the tasks of the highest prompt uncertainty consistently beats random selection and selection by high or low perplexity.",
    source=f"{SOURCE}; abstract, on natural instructions",
    metric=METRIC,
    rule=(
        "Looks at the gain of prompt uncertainty over each of the three other selections. Holds where the gain averaged over all rounds has a lower bound above 0 for each of them, and after no single round an "
        f"upper bound below -{GAIN}. Fails where the averaged gain over one of them has an upper bound below {GAIN}, or the gain after some round one below -{GAIN}. Where both are so, it fails. {TAUGHT}"
    ),
    smallest_scale=Scale(SEEDS),
)
def a1(frame) -> Finding:
    if missing := lacking(frame, (METHOD, *BASELINES)):
        return Finding("open", f"There are no runs of {', '.join(missing)}.")
    gains = {name: gain(frame, name) for name in BASELINES}
    rounds = range(1, last_round(frame) + 1)
    worse = [f"{name} after round {number}" for name in BASELINES for number in rounds if below(gain(frame, name, rounds=[number]), -GAIN)]
    text = sentence([f"gain of prompt uncertainty, averaged over {len(rounds)} rounds, {shown(gains, GAIN)}", *(f"worse than {one}" for one in worse)]) + "."
    return decided(frame, not worse and all(above(found, 0) for found in gains.values()), bool(worse) or any(below(found, GAIN) for found in gains.values()), text)


@claim(
    "A3",
    statement=f"{WORLD}selecting by prompt uncertainty generalises better with fewer tasks: four fifths of the tasks, selected by it, beat all of them selected at random or by perplexity.",
    source=f"{SOURCE}; abstract and learning curves: 272 tasks beside 340",
    metric=METRIC,
    rule=(
        f"Compares prompt uncertainty after the round at which it has trained on {FEWER[0]:.0%} to {FEWER[1]:.0%} of the tasks of the last round with each of the three other selections after the last round. Holds where "
        f"the lower bound of each difference is above 0, fails where the upper bound of one is below 0. {TAUGHT}"
    ),
    smallest_scale=Scale(SEEDS),
)
def a3(frame) -> Finding:
    if missing := lacking(frame, (METHOD, *BASELINES)):
        return Finding("open", f"There are no runs of {', '.join(missing)}.")
    last, sizes = last_round(frame), frame.groupby("round")["n_trained"].max()
    fewer = [number for number, n in sizes.items() if FEWER[0] <= n / sizes[last] <= FEWER[1]]
    if not fewer:
        return Finding("open", f"No round has {FEWER[0]:.0%} to {FEWER[1]:.0%} of the {sizes[last]:,} tasks of the last one.")
    some = by_seed(frame, METHOD, fewer[-1:])
    gains = {name: difference(by_seed(frame, name, [last]), some) for name in BASELINES}
    text = f"Gain of {sizes[fewer[-1]]:,} tasks selected by prompt uncertainty over {sizes[last]:,} others, {shown(gains, 0)}."
    return decided(frame, all(above(found, 0) for found in gains.values()), any(below(found, 0) for found in gains.values()), text)


@claim(
    "A4",
    statement=f"{WORLD}the task map tells easy, ambiguous and difficult tasks apart without labels.",
    source=f"{SOURCE}; task map",
    metric=(
        "learnability of a task, which only the pool knows: 0 where noise is planted in it, otherwise the exact match on test tasks of its family after the last round of random selection; its mean over each group, "
        "differences between groups seed by seed, with 95 % bootstrap intervals over seeds"
    ),
    rule=(
        f"Holds where easy tasks are more learnable than ambiguous ones, and these more than difficult ones, by more than {GAIN} (lower bounds). Fails where one of the two differences has an upper bound below {GAIN}, "
        f"which counts only where tasks can be learnt: where the mean over all tasks of the map is above {NEGLIGIBLE} (lower bound). Fewer than {SEEDS} seeds decide nothing."
    ),
    smallest_scale=Scale(SEEDS),
)
def a4(groups) -> Finding:
    return in_order(groups, "learnable", "Learnability", GAIN, NEGLIGIBLE)


def in_order(groups, column: str, what: str, margin: float, some: float) -> Finding:
    """Whether a column of a table of groups, a row per seed and group, falls from easy to ambiguous to difficult tasks by more than
    the margin each; that it does not counts only where the mean over "all" tasks is above `some`."""
    mean = {group: rows.set_index("seed")[column] for group, rows in groups.groupby("group")}
    if not GROUPS.keys() <= mean.keys():
        return Finding("open", "There is no map of all three groups.")
    steps = [difference(mean["ambiguous"], mean["easy"]), difference(mean["difficult"], mean["ambiguous"])]
    parts = [f"{group} {interval(mean[group])}" for group in ("easy", "ambiguous", "difficult")]
    text = f"{what}: {', '.join(parts)}; easy above ambiguous by {precise(steps[0])}, ambiguous above difficult by {precise(steps[1])}."
    if above(interval(mean["all"]), some) and any(below(step, margin) for step in steps):
        return Finding("fails", text)
    return Finding("holds" if all(above(step, margin) for step in steps) else "open", text)


@claim(
    "A5",
    statement=f"{WORLD}training on ambiguous tasks improves generalisation, more than training on as many random, easy or difficult ones.",
    source=f"{SOURCE}; training on groups of the task map",
    metric=METRIC,
    rule=(
        "Looks at the gain of ambiguous tasks over each of the other three, averaged over the first two rounds, as in the paper. Holds where the lower bound is above 0 for each of them. Fails where the upper bound "
        f"for one of them is below {GAIN}. Where both are so, it fails. {TAUGHT}"
    ),
    smallest_scale=Scale(SEEDS),
)
def a5(frame) -> Finding:
    others = ("random", "easy", "difficult")
    if missing := lacking(frame, (METHOD, *others)):
        return Finding("open", f"There are no runs of {', '.join(missing)}.")
    gains = {name: gain(frame, name, rounds=(1, 2)) for name in others}
    text = f"Gain of ambiguous tasks, averaged over the first two rounds, {shown(gains, GAIN)}."
    return decided(frame, all(above(found, 0) for found in gains.values()), any(below(found, GAIN) for found in gains.values()), text)


@claim(
    "A6",
    statement=f"{WORLD}training on difficult tasks, those that are answered with certainty and low probability, gives no benefit.",
    source=f"{SOURCE}; training on groups of the task map",
    metric=METRIC,
    rule=(
        f"Looks at how much the accuracy rises from the first model to the one after two selections of difficult tasks. Holds where the upper bound of the rise is below {NEGLIGIBLE} and random selection rises by more "
        f"(lower bound of its rise above {NEGLIGIBLE}). Fails where the lower bound of the rise is above {NEGLIGIBLE}. Fewer than {SEEDS} seeds decide nothing."
    ),
    smallest_scale=Scale(SEEDS),
)
def a6(frame) -> Finding:
    if missing := lacking(frame, ("difficult", "random")):
        return Finding("open", f"There are no runs of {', '.join(missing)}.")
    difficult, random = rise(frame, "difficult", 2), rise(frame, "random", 2)
    text = f"Rise after two selections: {precise(difficult)} with difficult tasks, {precise(random)} with random ones; gain of difficult ones over random ones after the second: {precise(gain(frame, 'random', 'difficult', (2,)))}."
    if above(difficult, NEGLIGIBLE):
        return Finding("fails", text)
    return Finding("holds" if below(difficult, NEGLIGIBLE) and above(random, NEGLIGIBLE) else "open", text)
