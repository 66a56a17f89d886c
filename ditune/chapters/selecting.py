"""What the chapters on selection share (10, 11, 15, 16): the paper's numbers, the statements A1 and A3 to A6 with their
rules, for tasks of any kind, and their figures.

Source of the paper's: figures 3 to 5 and the stored outputs of Kung et al. 2023 (arXiv 2311.00288). A table of runs has
a row a strategy, seed and round (0: the first model, which the strategies of a seed share), with `n_trained` tasks and
`value`, the measure that decides. Differences are taken seed by seed: a seed stands for the same pool, test, first
tasks and weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..report import plots, tables
from ..report.ledger import NEGLIGIBLE, SEEDS, Claim, Finding
from ..report.stats import OPEN, Blocks, beats, decide, holm_intervals, interval, smallest

SOURCE = "arXiv 2311.00288"
METHOD, BASELINES = "uncertainty", ("random", "high_perplexity", "low_perplexity")
FIRST_TWO = (1, 2)
"""The rounds of the paper's comparison of groups."""
SHARE = 0.1
"""A gain below this share of what random selection adds counts as none; the paper's is a third."""
FEWER = (0.75, 0.85)
"""The paper compares 272 tasks with 340, which is 80 %."""
NONE = 0.25
"""Tasks that add less than this share of what random ones add give no benefit; the paper's difficult ones add 17 %."""
PAPER_START = 44.15
PAPER_ROUGE = {
    "random": (45.11, 46.07, 47.02, 47.63),
    "uncertainty": (45.82, 46.73, 47.83, 48.38),
    "high_perplexity": (44.66, 45.63, 46.41, 47.55),
    "low_perplexity": (45.58, 46.47, 46.84, 47.50),
}
"""ROUGE-L at 136, 204, 272 and 340 tasks, means of five splits, read off to within 0.03; with 68 tasks PAPER_START."""
PAPER_RISE = {"ambiguous": (1.6, 2.6), "random": (0.7, 1.9), "easy": (0.0, 1.9), "difficult": (0.1, 0.35)}
"""ROUGE-L above the first model by training on a group, at 136 and 204 tasks; read off to within 0.1."""

GROUPS = {"ambiguous": METHOD, "difficult": "difficult", "easy": "easy"}
"""The groups of the task map, and the strategies that select them."""
GROUP_COLORS = {"": "#bdbdbd", "ambiguous": plots.BLUE, "difficult": plots.GREEN, "easy": plots.VERMILION}
COLORS = {
    "random": plots.QUIET, METHOD: plots.BLUE, "high_perplexity": plots.ORANGE, "low_perplexity": plots.SKY,
    "clean": plots.BLACK,
}  # fmt: skip
NAMES = {
    METHOD: "prompt uncertainty", "easy": "easy tasks", "difficult": "difficult tasks",
    "uncertainty_diversity": "uncertainty + diversity", "balanced": "balanced families*", "clean": "clean tasks*",
}  # fmt: skip
"""A star marks an oracle, which knows what no strategy can know."""


def named(strategy: str) -> str:
    """A strategy in words."""
    return NAMES.get(strategy, strategy.replace("_", " "))


def style(strategy: str) -> dict:
    """Colour, mark and line of a strategy, the same in all figures."""
    return {"color": COLORS[strategy], "marker": plots.MARKERS[list(COLORS).index(strategy)], "linestyle": "-"}


# ---- differences -----------------------------------------------------------------------------------------------------


def rounds_of(rows) -> range:
    """All rounds that follow a selection."""
    return range(1, int(rows["round"].max()) + 1)


def by_seed(rows, strategy: str, rounds, measure: str = "value"):
    """A measure under a strategy, the mean over these rounds: a Series over the seeds that have all of them."""
    groups = rows[(rows["strategy"] == strategy) & rows["round"].isin(list(rounds))].groupby("seed")[measure]
    return groups.mean()[groups.count() == len(list(rounds))]


def rise(rows, strategy: str = "random", rounds=None, before: int = 0):
    """What the tasks of a strategy add to the model of an earlier round, the mean over rounds (all), by seed."""
    return (by_seed(rows, strategy, rounds or rounds_of(rows)) - by_seed(rows, strategy, [before])).dropna()


def gain(rows, over: str = "random", strategy: str = METHOD, rounds=None):
    """How much better a strategy is than another, the mean over rounds (all), by seed."""
    rounds = rounds or rounds_of(rows)
    return (by_seed(rows, strategy, rounds) - by_seed(rows, over, rounds)).dropna()


def by_strategy(rows, measure: str = "value"):
    """A measure averaged over the rounds: a row a strategy, a column a seed."""
    import pandas

    names = dict.fromkeys(["random", *rows["strategy"].dropna()])
    return pandas.DataFrame({name: by_seed(rows, name, rounds_of(rows), measure) for name in names}).T


def over_random(rows, measure: str = "value") -> dict:
    """The gain of every strategy over random selection, with the error pooled over all of them, at Holm's levels."""
    found = Blocks.of(by_strategy(rows, measure))
    return holm_intervals(found.differences("random"), df=found.df or None) if "random" in found.means else {}


def paper_share(strategy: str) -> float:
    """The paper's gain over random selection as a share of what random selection adds, averaged over its rounds.

    >>> [round(paper_share(name), 2) for name in ("uncertainty", "low_perplexity", "difficult")]
    [0.32, 0.06, -0.83]
    """
    table, start = (PAPER_ROUGE, PAPER_START) if strategy in PAPER_ROUGE else (PAPER_RISE, 0.0)
    ours, random = (sum(table[name]) / len(table[name]) for name in (strategy, "random"))
    return (ours - random) / (random - start)


# ---- the rules -------------------------------------------------------------------------------------------------------


def against(rows, gains: dict, margin: float, what: str, digits: str) -> Finding:
    """Whether something beats each of several others, {strategy: gains by seed}."""
    if missing := [named(name) for name, values in gains.items() if not len(values)]:
        return Finding(OPEN, f"There are no runs of both {named(METHOD)} and {', '.join(missing)}.", n_seeds=0)
    found = {name: interval(values) for name, values in gains.items()}
    least = min(found, key=lambda name: found[name].mean)
    text = ", ".join(f"over {named(name)} {value:{digits}}" for name, value in found.items())
    fewest = min(map(len, gains.values()))
    return Finding(beats(gains, margin), f"{what}: {text}.", found[least], smallest(gains[least]), fewest)


def consistent(rows, digits: str) -> Finding:
    """A1."""
    gains, margin = {name: gain(rows, name) for name in BASELINES}, SHARE * interval(rise(rows)).mean
    return against(rows, gains, margin, "Mean gain of prompt uncertainty", digits)


def fewer(rows, digits: str) -> Finding:
    """A3."""
    sizes, last = rows.groupby("round")["n_trained"].max(), rows["round"].max()
    rounds = [n for n, size in sizes.items() if n > 0 and FEWER[0] <= size / sizes[last] <= FEWER[1]]
    if not rounds:
        share = f"{FEWER[0]:.0%} to {FEWER[1]:.0%}"
        return Finding(OPEN, f"No round has {share} of the {sizes[last]:,} tasks of the last one.", n_seeds=0)
    some = by_seed(rows, METHOD, rounds[-1:])
    gains = {name: (some - by_seed(rows, name, [last])).dropna() for name in BASELINES}
    return against(rows, gains, 0.0, f"Gain of {sizes[rounds[-1]]:,} selected tasks over {sizes[last]:,}", digits)


def in_order(table, digits: str) -> Finding:
    """A4, from a table with a row a seed and group ("all": every task): value, margin."""
    mean, margin = table.pivot(index="seed", columns="group", values="value"), table.groupby("seed")["margin"].first()
    if not {*GROUPS} <= set(mean):
        return Finding(OPEN, "There are no runs that select one of the groups.", n_seeds=0)
    pairs = (("easy", "ambiguous"), ("ambiguous", "difficult"))
    steps = {one: (mean[one] - mean[other]).dropna() for one, other in pairs}
    outcome = beats({one: (values - margin).dropna() for one, values in steps.items()})
    everything, least = interval(mean["all"]), min(steps.values(), key=lambda values: values.mean())
    level = digits.lstrip("+")
    text = ", ".join(f"{name} {interval(mean[name]):{level}}" for name in ("easy", "ambiguous", "difficult"))
    learnt = "" if everything.low > NEGLIGIBLE else "Too little is answered right in all."
    return Finding(outcome, f"All tasks {everything:{level}}; {text}.", interval(least), smallest(least)).unless(learnt)


def ambiguous(rows, digits: str) -> Finding:
    """A5."""
    gains = {name: gain(rows, name, rounds=FIRST_TWO) for name in ("random", "easy", "difficult")}
    margin = SHARE * interval(rise(rows, rounds=FIRST_TWO)).mean
    return against(rows, gains, margin, "Mean gain of ambiguous tasks", digits)


def no_benefit(rows, digits: str) -> Finding:
    """A6."""
    added, random = (rise(rows, name, FIRST_TWO) for name in ("difficult", "random"))
    values = (NONE * random - added).dropna()
    if not len(values):
        return Finding(OPEN, "There are no runs of both difficult tasks and random.", n_seeds=0)
    text = f"Difficult tasks add {interval(added):{digits}}, random ones {interval(random):{digits}}."
    return Finding(decide(interval(values)), text, interval(added), smallest(values), len(values))


@dataclass(frozen=True)
class World:
    """Tasks of one kind, on which the statements are decided."""

    kind: str
    """How a statement begins."""
    suffix: str
    """Of the statements' names."""
    measure: str
    right: str
    """What the groups of the map are compared by, with its margin."""
    condition: str
    """What it takes to decide anything."""
    unfair: Callable
    """Of a table of runs, or of groups: why it decides nothing, in a sentence; nothing where it can."""
    groups: Callable
    """The table of a chapter that A4 is decided by."""
    rows: Callable = staticmethod(lambda rows: rows)
    """The rows of a table that count."""
    digits: str = "+.3f"
    n_seeds: int = SEEDS


LEVEL = "Holds where each lies above 0; does not hold where one lies below the margin, at Bonferroni's level."
PART = f"{SHARE:.0%} of what random tasks add to the first ones in these rounds; the paper's gain is a third."
STATEMENTS = {
    "A1": (
        "selecting the tasks of the highest prompt uncertainty consistently beats random selection and selection by "
        "high or low perplexity.",
        f"Looks at the gains over the three others, averaged over all rounds. {LEVEL}", PART, consistent,
    ),
    "A3": (
        "four fifths of the tasks, selected by prompt uncertainty, beat all, selected at random or by perplexity.",
        f"Compares {FEWER[0]:.0%} to {FEWER[1]:.0%} of the last round's tasks with the three others after it. {LEVEL}",
        "0: any advantage of fewer tasks counts.", fewer,
    ),
    "A4": (
        "the task map tells easy, ambiguous and difficult tasks apart without labels.",
        "Holds where the mean of easy tasks exceeds that of ambiguous ones, and this that of difficult ones, by more "
        f"than the margin; does not hold where one difference is smaller, at Bonferroni's level. Nothing is decided "
        f"where the mean over all tasks is not above {NEGLIGIBLE}.", "", in_order,
    ),
    "A5": (
        "training on ambiguous tasks helps more than training on as many random, easy or difficult ones.",
        f"Looks at the gains over the three others, averaged over the first two rounds, as in the paper. {LEVEL}", PART,
        ambiguous,
    ),
    "A6": (
        "training on difficult tasks, of low uncertainty and low probability, gives no benefit.",
        "Looks at what difficult tasks add to the first ones, averaged over the first two rounds, less the margin. "
        "Holds where that lies below 0; does not hold where it lies above.",
        f"{NONE:.0%} of what random tasks add; the paper's difficult tasks add 17 %.", no_benefit,
    ),
}  # fmt: skip


def claims(world: World, *ids: str) -> tuple[Claim, ...]:
    """The paper's statements about tasks of a kind."""
    return tuple(claim(world, id, *STATEMENTS[id]) for id in ids)


def claim(world: World, id: str, statement: str, rule: str, margin: str, decided_by: Callable) -> Claim:
    """One of them."""
    of_map = id == "A4"
    return Claim(
        id + world.suffix, f"{world.kind}: {statement}", SOURCE, world.right if of_map else world.measure,
        f"{rule} {world.condition}", margin or "As the measure says.",
        lambda table: decided_by(world.rows(table), world.digits).unless(world.unfair(table)),
        n_seeds=world.n_seeds, table=world.groups if of_map else None,
    )  # fmt: skip


# ---- figures and tables ----------------------------------------------------------------------------------------------


def keyed(rows, strategy: str, values):
    """Values by seed as values by key, so that runs that were computed again here can be ringed."""
    of_strategy = rows[(rows["strategy"] == strategy) & (rows["round"] == rows["round"].max())]
    return values.rename(index=of_strategy.set_index("seed")["key"])


def figure_gains(chapter, rows, unit: str):
    """The gain of every strategy over random selection, averaged over rounds; the paper's in grey, as the same share of
    what random selection adds."""
    names = [name for name in by_strategy(rows).index if name != "random"]
    gains = {name: keyed(rows, name, gain(rows, strategy=name)) for name in names}
    figure, (ax,) = plots.panels(1, height=0.3 * len(names) + 0.5)
    plots.forest(ax, gains, [named(name) for name in names], chapter.again)
    theirs, added = PAPER_ROUGE | PAPER_RISE, rise(rows).mean()
    marks = [(paper_share(name) * added, y + 0.3) for y, name in enumerate(names) if name in theirs]
    label = "paper's gain, as a share of what random selection adds"
    if marks:
        ax.plot(*zip(*marks), label=label, **(plots.PAPER | {"linestyle": ""}))
    ax.axvline(0, color=plots.QUIET, linewidth=1)
    ax.set_xlabel(f"gain over random selection ({unit})")
    plots.legend(figure, [ax])
    return plots.finished(figure, chapter.frame)


def table_gains(chapter, rows, measures: dict[str, str], digits: str) -> str:
    """The gain of every strategy in each measure, {column: heading}, with the values of the seeds in the first."""
    found, lines, wide = {name: over_random(rows, name) for name in measures}, [], by_strategy(rows)
    for name in found["value"]:
        raw = ", ".join(f"{value:{digits}}" for value in wide.loc[name] - wide.loc["random"])
        lines.append([named(name), *(f"{gains[name]:{digits}}" for gains in found.values()), raw])
    caption = "Gains over random selection, averaged over rounds; t-intervals with pooled error at Holm's levels"
    header = ["selection", *measures.values(), "by seed"]
    return tables.table(caption, f"tab-gains-{chapter.name[:2]}", header, lines)


def grouped(tasks, selected: dict[str, list]):
    """A map with the group of each task, "" for none: the tasks that a strategy of GROUPS selected from it, {strategy:
    tasks}; a task in two of them is named by the first."""
    group = {task: name for name in reversed(GROUPS) for task in selected.get(GROUPS[name], ())}
    return tasks.assign(group=tasks["task"].map(group).fillna(""))


def paper_map():
    """The points of the published map that could be read off: group, uncertainty, probability."""
    import pandas

    from ..store import records

    return pandas.read_csv(records.root() / "book" / "data" / "paper_task_map.csv", comment="#", keep_default_na=False)


def figure_map(chapter, maps):
    """The map of the first seed by groups, the paper's in grey; uncertainty on a cube-root axis, as in the paper."""
    import numpy as np

    theirs, ours = paper_map(), maps[maps["seed"] == maps["seed"].min()]
    figure, (ax,) = plots.panels(1, height=3.6)
    for group, color in GROUP_COLORS.items():
        one, look = ours[ours["group"] == group], {"s": 14, "color": color, "edgecolor": "white", "linewidth": 0.4}
        ax.scatter(one["uncertainty"], one["probability"], label=group or "others", **look)
    grey = plots.PAPER | {"linestyle": "", "markersize": 3.5, "markeredgewidth": 0.7}
    ax.plot(theirs["uncertainty"], theirs["probability"], label="paper", **grey)
    ax.set_xscale("function", functions=(np.cbrt, lambda root: root**3))
    ticks = (0.001, 0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0)
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set(xlim=(0, 1), ylim=(-0.02, 1.04), xlabel="prompt uncertainty (cube-root axis)")
    ax.set_ylabel("prediction probability")
    plots.legend(figure, [ax], [*GROUPS, "others", "paper"])
    return plots.finished(figure, chapter.frame, f"{len(ours):,} tasks here, {len(theirs)} of the paper's")
