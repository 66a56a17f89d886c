"""What the chapters on selection share (10, 11, 15, 16): the paper's numbers, names and colours, the task map, one
rule.

Source of the paper's: figures 3 to 5 and the stored outputs of Kung et al. 2023 (arXiv 2311.00288).
"""

from ..report import plots
from ..report.ledger import Finding
from ..report.stats import FAILS, HOLDS, OPEN, decide, holm, interval, smallest

METHOD, BASELINES = "uncertainty", ("random", "high_perplexity", "low_perplexity")
SHARE = 0.1
"""A gain below this share of what random selection adds counts as none: half of the paper's, which is .21 over its
four steps."""
FEWER = (0.75, 0.85)
"""The paper compares 272 tasks with 340, which is 80 %."""
NONE = 0.25
"""Tasks that add less than this share of what random ones add give no benefit; the paper's difficult ones add .14
and .18."""
PAPER_START, PAPER_TASKS = 44.15, (136, 204, 272, 340)
PAPER_ROUGE = {
    "random": (45.11, 46.07, 47.02, 47.63),
    "uncertainty": (45.82, 46.73, 47.83, 48.38),
    "high_perplexity": (44.66, 45.63, 46.41, 47.55),
    "low_perplexity": (45.58, 46.47, 46.84, 47.50),
}
"""ROUGE-L on the paper's test tasks, means of five splits, read off to within 0.03; with 68 tasks all have
PAPER_START."""
PAPER_RISE = {"ambiguous": (1.6, 2.6), "random": (0.7, 1.9), "easy": (0.0, 1.9), "difficult": (0.1, 0.35)}
"""ROUGE-L above the paper's first model by training on a group, at 136 and 204 tasks; read off to within 0.1."""

GROUPS = {"ambiguous": METHOD, "difficult": "difficult", "easy": "easy"}
"""The groups of the task map, and the strategies that train on them."""
GROUP_COLORS = {"": "#bdbdbd", "ambiguous": plots.BLUE, "difficult": plots.GREEN, "easy": plots.VERMILION}
"""The paper's colours of its groups."""
COLORS = {
    "random": plots.QUIET, METHOD: plots.BLUE, "high_perplexity": plots.ORANGE, "low_perplexity": plots.SKY,
    "inverse_confidence": plots.PURPLE, "easy": plots.VERMILION, "difficult": plots.GREEN, "clean": plots.BLACK,
}  # fmt: skip
NAMES = {
    METHOD: "prompt uncertainty", "easy": "easy tasks", "difficult": "difficult tasks",
    "uncertainty_diversity": "uncertainty + diversity", "balanced": "balanced families*", "clean": "clean tasks*",
}  # fmt: skip
"""A star marks an oracle, which knows what no strategy can know."""
TICKS = (0.001, 0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0)


def named(strategy: str) -> str:
    """A strategy in words.

    >>> named("high_perplexity"), named("uncertainty")
    ('high perplexity', 'prompt uncertainty')
    """
    return NAMES.get(strategy, strategy.replace("_", " "))


def style(strategy: str) -> dict:
    """Colour, mark and line of a strategy, the same in all figures."""
    return {"color": COLORS[strategy], "marker": plots.MARKERS[list(COLORS).index(strategy)], "linestyle": "-"}


# ---- the rules -------------------------------------------------------------------------------------------------------
# A table has a row per strategy, seed and round (0: the first model, which the strategies of a seed share), with
# `n_trained` tasks and `value`, the accuracy or likelihood that the rules look at.


def by_seed(frame, strategy: str, rounds):
    """The value of a strategy by seed, the mean over rounds: a Series."""
    rows = frame[(frame["strategy"] == strategy) & frame["round"].isin(list(rounds))]
    return rows.groupby("seed")["value"].mean()


def gain(frame, over: str, strategy: str = METHOD, rounds=None):
    """How much higher the value is under a strategy than under another, by seed, the mean over rounds (all after 0)."""
    rounds = range(1, frame["round"].max() + 1) if rounds is None else rounds
    return (by_seed(frame, strategy, rounds) - by_seed(frame, over, rounds)).dropna()


def rise(frame, strategy: str = "random", before: int = 0, after: int | None = None):
    """What the tasks of a strategy add from one round to another (the last), by seed."""
    after = frame["round"].max() if after is None else after
    return (by_seed(frame, strategy, [after]) - by_seed(frame, strategy, [before])).dropna()


def least(frame) -> float:
    """The gain that counts: SHARE of what random tasks add after the first ones."""
    return SHARE * interval(rise(frame)).mean


def compared(gains: dict, what: str, margin: float) -> Finding:
    """Whether prompt uncertainty beats each of several others, {strategy: gains by seed}."""
    if missing := [named(name) for name, values in gains.items() if not len(values)]:
        return Finding(OPEN, f"There are no runs of both {named(METHOD)} and {', '.join(missing)}.", n_seeds=0)
    text = "; ".join(f"over {named(name)} {interval(values)}" for name, values in gains.items())
    random, fewest = gains["random"], min(map(len, gains.values()))
    return Finding(beats(gains, margin), f"{what}: {text}.", interval(random), smallest(random), fewest)


def consistently(frame) -> Finding:
    """A1: over all rounds, against each baseline."""
    return compared({name: gain(frame, name) for name in BASELINES}, "Gain of prompt uncertainty", least(frame))


def with_fewer(frame) -> Finding:
    """A3: some of the tasks, selected, against all of the others."""
    sizes, last = frame.groupby("round")["n_trained"].max(), frame["round"].max()
    rounds = [n for n, size in sizes.items() if n > 0 and FEWER[0] <= size / sizes[last] <= FEWER[1]]
    if not rounds:
        return Finding(OPEN, f"No round has {FEWER[0]:.0%} to {FEWER[1]:.0%} of the tasks of the last one.", n_seeds=0)
    some = by_seed(frame, METHOD, rounds[-1:])
    gains = {name: (some - by_seed(frame, name, [last])).dropna() for name in BASELINES}
    return compared(gains, f"Gain of {sizes[rounds[-1]]} selected tasks over {sizes[last]} others", 0.0)


def ambiguous(frame) -> Finding:
    """A5: over two rounds, as in the paper, against each of the other groups."""
    gains = {name: gain(frame, name, rounds=(1, 2)) for name in ("random", "easy", "difficult")}
    return compared(gains, "Gain of ambiguous tasks", least(frame))


def no_benefit(frame) -> Finding:
    """A6: what two selections of difficult tasks add, against NONE of what random ones add."""
    added, random = rise(frame, "difficult", after=2), rise(frame, after=2)
    values = (NONE * random - added).dropna()
    text = f"After two selections difficult tasks have added {interval(added)}, random ones {interval(random)}."
    return Finding(decide(interval(values)), text, interval(added), smallest(values), len(values))


def beats(gains: dict, margin: float) -> str:
    """Whether a method beats each of several others, {name: gains by seed}: HOLDS where every interval lies above 0,
    FAILS where one lies below the margin, in the wider interval that Holm's correction asks for; OPEN otherwise.

    >>> beats({"a": [1.0, 1.1, 0.9], "b": [2.0, 2.1, 1.9]}, 0.5)
    'holds'
    >>> beats({"a": [0.0, 0.1, -0.1], "b": [9.0, 0.0, 3.0]}, 0.5)
    'fails'
    """
    if gains and all(interval(values).low > 0 for values in gains.values()):
        return HOLDS
    level = holm(max(1, len(gains)))[0]
    return FAILS if any(interval(values, level).high < margin for values in gains.values()) else OPEN


def paper_shares() -> dict[str, float]:
    """The paper's gain of each strategy over random selection, mean over its steps, as a share of what random tasks
    add.

    >>> {name: round(share, 2) for name, share in paper_shares().items()}
    {'uncertainty': 0.21, 'high_perplexity': -0.11, 'low_perplexity': 0.04, 'easy': -0.18, 'difficult': -0.57}
    """
    random, groups = PAPER_ROUGE["random"], {name: PAPER_RISE[name] for name in ("easy", "difficult")}
    shares = {name: mean_gain(values, random) / (random[-1] - PAPER_START) for name, values in PAPER_ROUGE.items()}
    random = PAPER_RISE["random"]
    shares |= {name: mean_gain(values, random) / random[-1] for name, values in groups.items()}
    return {name: share for name, share in shares.items() if name != "random"}


def mean_gain(values, others) -> float:
    """The mean difference of two curves."""
    return sum(a - b for a, b in zip(values, others)) / len(values)


# ---- the task map ----------------------------------------------------------------------------------------------------


def paper_map():
    """The points of the published map that could be read off: group, uncertainty, probability."""
    import pandas

    from ..store import records

    return pandas.read_csv(records.root() / "book" / "data" / "paper_task_map.csv", comment="#", keep_default_na=False)


def scatter(ax, rows, colors: dict, column: str = "group", size: float = 20):
    """The tasks of a map, coloured by a column; those named first lie below. Uncertainty on a cube-root axis, as in
    the paper."""
    for value, color in colors.items():
        one = rows[rows[column] == value]
        look = {"s": size, "color": color, "edgecolor": "white", "linewidth": 0.4}
        ax.scatter(one["uncertainty"], one["probability"], label=value or "others", **look)
    reach = 1.05 * max(rows["uncertainty"].max(), 0.01)
    cube_root(ax, "x", reach)
    ax.set(xlim=(0, reach), ylim=(-0.02, 1.04), ylabel="prediction probability")


def cube_root(ax, which: str, reach: float):
    """A cube-root axis, "x" or "y", with ticks up to `reach`."""
    import numpy as np
    from matplotlib.ticker import FixedLocator, FuncFormatter

    getattr(ax, f"set_{which}scale")("function", functions=(np.cbrt, lambda root: root**3))
    axis = getattr(ax, f"{which}axis")
    axis.set_major_locator(FixedLocator([tick for tick in TICKS if tick <= reach]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
