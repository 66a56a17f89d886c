"""Chapter 10: learning curves of strategies, what they selected, and how much of a gain the selected tasks account for.

A table of runs is one of `records.frame`, a row per run and round. A gain is a difference of exact match, seed by seed.
"""

import numpy as np
import pandas

from ..active.specs import STRATEGIES, SelectSpec
from ..claims import selection as rules
from ..claims.selection import precise
from ..figures import plotting, shared
from ..figures.intervals import Interval, interval
from ..figures.plotting import QUIET, accuracy_axes, made_by, sign, table
from ..rewriting.diversity import hill
from ..rewriting.specs import FAMILIES
from ..store import records
from .select_tables import selected

NAMES = {"uncertainty_diversity": "uncertainty + diversity", "balanced": "balanced families*", "clean": "clean tasks*"}
COLORS = {
    "random": QUIET, "uncertainty": plotting.BLUE, "easy": plotting.VERMILION, "difficult": plotting.GREEN, "high_perplexity": plotting.ORANGE,
    "low_perplexity": plotting.PURPLE, "inverse_confidence": plotting.SKY, "diversity": plotting.BLACK, "uncertainty_diversity": plotting.BLUE,
    "balanced": plotting.VERMILION, "clean": plotting.GREEN,
}  # fmt: skip
"""Those that select a group of the task map have the group's colour; two of one colour are in different panels."""
THEMES = {
    "Selections of the paper": ("random", "uncertainty", "high_perplexity", "low_perplexity"),
    "Other selections, and oracles*": ("random", "inverse_confidence", "diversity", "uncertainty_diversity", "balanced", "clean"),
}
PAPER_TASKS = (136, 204, 272, 340)
PAPER_ROUGE = {
    "random": (45.11, 46.07, 47.02, 47.63),
    "uncertainty": (45.82, 46.73, 47.83, 48.38),
    "high_perplexity": (44.66, 45.63, 46.41, 47.55),
    "low_perplexity": (45.58, 46.47, 46.84, 47.50),
}
"""ROUGE-L on the paper's test tasks, means of five splits, read off to within 0.03."""


def named(strategy: str) -> str:
    """A strategy in words; a star marks an oracle, which knows what no strategy can know.

    >>> named("high_perplexity"), named("clean")
    ('high perplexity', 'clean tasks*')
    """
    return NAMES.get(strategy, strategy.replace("_", " "))


# ---- learning curves -------------------------------------------------------------------------------------------------


def style(strategy: str) -> dict:
    """Colour and mark of a strategy, the same in all figures of chapters 10 and 11."""
    return {"color": COLORS[strategy], "marker": shared.MARKERS[list(COLORS).index(strategy)]}


def curves(ax, frame, strategies, words=named):
    """Exact match against the number of tasks: open marks are seeds, lines join means, bars are intervals of the means."""
    there = [name for name in strategies if name in set(frame["strategy"])]
    step = np.diff(np.unique(frame["n_trained"])).min()
    for i, strategy in enumerate(there):
        rows, aside = frame[frame["strategy"] == strategy], (i - (len(there) - 1) / 2) * 0.09 * step
        ax.plot(rows["n_trained"] + aside, rows["exact_match"], linestyle="", markersize=3, fillstyle="none", alpha=0.6, **style(strategy))
        means = {n: interval(group["exact_match"]) for n, group in rows.groupby("n_trained")}
        below, above = ([abs(bound - m.mean) for m, bound in bounds] for bounds in zip(*(((m, m.low), (m, m.high)) for m in means.values())))
        where = [n + aside for n in means]
        ax.errorbar(where, [m.mean for m in means.values()], yerr=np.nan_to_num([below, above]), capsize=2.5, linewidth=1.4, markersize=4, label=words(strategy), **style(strategy))
    accuracy_axes(ax)
    ax.set(ylim=(0, min(1, 1.12 * frame["exact_match"].max() + 0.02)), xticks=sorted(set(frame["n_trained"])))
    ax.legend(loc="upper left", fontsize=8.5, ncols=2, columnspacing=0.9, handlelength=1.6)


def curves_figure(tables: dict, themes: dict = THEMES, words=named):
    """Learning curves, {"profile laptop": table}: a panel for each table and theme, {title: strategies}."""
    panels = [(name, frame, title, names) for name, frame in tables.items() for title, names in themes.items()]
    figure, axes = plotting.plt.subplots(len(panels), 1, figsize=(plotting.WIDTH, plotting.PANEL * len(panels) + 0.5), squeeze=False)
    for ax, (name, frame, title, names) in zip(axes[:, 0], panels):
        curves(ax, frame, names, words)
        ax.set_title(f"{title}\n{name}" if title else name)
    axes[-1, 0].set_xlabel("tasks trained on")
    sign(figure, [made_by(frame, name) for name, frame in tables.items()])
    return figure


def gains_figure(tables: dict):
    """The gain of each strategy over random selection, averaged over the rounds: open marks are seeds, bars intervals."""
    orders = {name: strategies_by_gain(frame) for name, frame in tables.items()}
    heights = [0.34 * len(order) + 0.8 for order in orders.values()]
    figure, axes = plotting.plt.subplots(len(tables), 1, figsize=(plotting.WIDTH, sum(heights) + 0.6), sharex=True, squeeze=False, height_ratios=heights)
    for ax, (name, frame) in zip(axes[:, 0], tables.items()):
        rounds = range(1, rules.last_round(frame) + 1)
        ax.axvline(0, color=QUIET, linewidth=1)
        for at, strategy in enumerate(orders[name]):
            each = (rules.by_seed(frame, strategy, rounds) - rules.by_seed(frame, "random", rounds)).dropna()
            found = interval(each)
            error = np.nan_to_num([[found.mean - found.low], [found.high - found.mean]]).clip(min=0)
            ax.plot(each, np.full(len(each), at - 0.22), linestyle="", markersize=3.5, fillstyle="none", **style(strategy))
            ax.errorbar(found.mean, at, xerr=error, capsize=3, markersize=5, **style(strategy))
        ax.set(yticks=range(len(orders[name])), yticklabels=map(named, orders[name]), title=name, ylim=(-0.6, len(orders[name]) - 0.4))
    axes[-1, 0].set_xlabel("gain over random selection (exact match)")
    sign(figure, [made_by(frame, name) for name, frame in tables.items()])
    return figure


def strategies_by_gain(frame) -> list[str]:
    """The strategies that share seeds with random selection, the smallest gain first."""
    means = {name: rules.gain(frame, "random", name).mean for name in STRATEGIES if name != "random" and name in set(frame["strategy"])}
    return sorted((name for name, mean in means.items() if mean == mean), key=means.get)


# ---- what was selected -----------------------------------------------------------------------------------------------


def composition(specs: list[SelectSpec]) -> pandas.DataFrame:
    """What a run has trained on by each round: strategy, seed, round, clean (share of tasks without planted noise), families
    (effective number, 4 where all are equally frequent)."""
    rows = []
    for (strategy, seed), tasks in selected(specs).groupby(["strategy", "seed"]):
        for number in sorted(set(tasks["round"])):
            so_far = tasks[tasks["round"] <= number]
            known = {"clean": (so_far["noise"] == "clean").mean(), "families": hill(so_far["family"].value_counts())}
            rows.append({"strategy": strategy, "seed": seed, "round": number} | known)
    return pandas.DataFrame(rows)


def selected_figure(specs: dict[str, list[SelectSpec]], frames: dict):
    """The share of each family, and of tasks with planted noise, among the tasks that each strategy selected in all rounds."""
    chosen = {name: selected(of_runs).query("round > 0") for name, of_runs in specs.items()}
    orders = {name: [s for s in reversed(STRATEGIES) if s in set(tasks["strategy"])] for name, tasks in chosen.items()}
    heights = [0.34 * len(order) + 0.8 for order in orders.values()]
    figure, axes = plotting.plt.subplots(len(chosen), 1, figsize=(plotting.WIDTH, sum(heights) + 0.9), sharex=True, squeeze=False, height_ratios=heights)
    for ax, (name, tasks) in zip(axes[:, 0], chosen.items()):
        at, left = range(len(orders[name])), np.zeros(len(orders[name]))
        groups = {s: tasks[tasks["strategy"] == s] for s in orders[name]}
        for family, color in zip(FAMILIES, shared.COLORS):
            width = np.array([(rows["family"] == family).mean() for rows in groups.values()])
            ax.barh(at, width, left=left, color=color, alpha=0.75, height=0.72, label=family)
            left += width
        noise = [(rows["noise"] != "clean").mean() for rows in groups.values()]
        ax.plot(noise, at, linestyle="", marker="D", markersize=6, color="black", markeredgecolor="white", label="planted noise", clip_on=False, zorder=3)
        ax.set(yticks=at, yticklabels=map(named, orders[name]), title=name, xlim=(0, 1))
    axes[-1, 0].set_xlabel("share of the selected tasks")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=3, columnspacing=1.2)
    sign(figure, [made_by(frame, name) for name, frame in frames.items()])
    return figure


def accounted(frame, found: pandas.DataFrame, strategy: str = rules.METHOD) -> dict[str, Interval]:
    """How much of a strategy's gain over random selection its tasks account for, by clean share and number of families.

    In each seed the gains of the strategies that do not look at uncertainty, after each round, are fitted by least squares as a sum of two terms, in
    proportion to how much more clean and how much more balanced their tasks were than the random ones. The fit says what gain
    the strategy's tasks let expect. Means over the rounds: "gain", "expected", "rest", the two factors "clean" (for ten more clean
    tasks among a hundred) and "families" (for one more effective family), and "explained", the share of the fitted gains' sum of squares.
    """
    joined = frame.merge(found, on=["strategy", "seed", "round"]).query("round > 0").set_index(["strategy", "round", "seed"])
    values, rows = joined[["exact_match", "clean", "families"]], []
    for _, of_seed in values.groupby(level="seed"):
        if not {"random", strategy} <= set(of_seed.index.get_level_values("strategy")):
            continue
        change = of_seed.droplevel("seed").sub(of_seed.xs("random").droplevel("seed"), level="round", axis=0).drop("random", level="strategy")
        ours = change.xs(strategy)
        others = change[["uncertainty" not in STRATEGIES[name] for name in change.index.get_level_values("strategy")]]
        factors = np.linalg.lstsq(others[["clean", "families"]], others["exact_match"], rcond=None)[0] if len(others) else np.zeros(2)
        left = others["exact_match"] - others[["clean", "families"]] @ factors
        squares = (others["exact_match"] ** 2).sum()
        explained = 1 - (left**2).sum() / squares if squares > 0 else 0.0
        gain, expected = ours["exact_match"].mean(), float((ours[["clean", "families"]] @ factors).mean())
        rows.append({"gain": gain, "expected": expected, "rest": gain - expected, "clean": factors[0] / 10, "families": factors[1], "explained": explained})
    return {name: interval(column) for name, column in pandas.DataFrame(rows).items()}


# ---- tables ----------------------------------------------------------------------------------------------------------


def answers(frame, found: pandas.DataFrame) -> dict[str, Interval | None]:
    """The questions of the chapter, and their answers in exact match, averaged over the rounds; None where runs lack."""
    pairs = {
        "uncertainty over random": ("random", "uncertainty"),
        "diversity over random": ("random", "diversity"),
        "uncertainty + diversity over diversity alone": ("diversity", "uncertainty_diversity"),
        "uncertainty over balanced families*": ("balanced", "uncertainty"),
        "balanced families* over random": ("random", "balanced"),
        "clean tasks* over random": ("random", "clean"),
        "inverse confidence over random": ("random", "inverse_confidence"),
    }
    out = {name: None if rules.lacking(frame, both) else rules.gain(frame, *both) for name, both in pairs.items()}
    split = accounted(frame, found)
    out["uncertainty over random, of which clean share and balance account for"] = split.get("expected")
    out["uncertainty over random, the rest"] = split.get("rest")
    out["by the fit, ten more clean tasks among a hundred"] = split.get("clean")
    out["by the fit, one more effective family"] = split.get("families")
    out["share of the gains' sum of squares that the fit explains"] = split.get("explained")
    return out


def answers_table(tables: dict, compositions: dict, caption: str, name: str) -> str:
    """The answers from each table of runs side by side."""
    found = {runs: answers(frame, compositions[runs]) for runs, frame in tables.items()}
    rows = [[question, *(precise(values[question]) for values in found.values())] for question in next(iter(found.values()))]
    return table(caption, name, ["gain in exact match", *found], rows)


def clear(found: Interval | None) -> str:
    """Whether a difference is clear, by its interval.

    >>> [clear(interval(values)) for values in ([0.1, 0.2], [-0.1, -0.2], [-0.1, 0.1], [0.1])]
    ['clearly more', 'clearly less', 'not clearly more or less', 'a single seed']
    """
    if found is None or found.n < 2:
        return "a single seed" if found and found.n else "not run"
    return "clearly more" if found.low > 0 else "clearly less" if found.high < 0 else "not clearly more or less"


def in_words(found: dict[str, Interval | None]) -> str:
    """The answers to the questions of the chapter, in sentences."""
    questions = {
        "Does prompt uncertainty beat random selection?": "uncertainty over random",
        "Does it where both select for diversity as well?": "uncertainty + diversity over diversity alone",
        "Does it by the fit, with clean share and balance taken out?": "uncertainty over random, the rest",
        "What is there to gain by cleanness, as an oracle shows?": "clean tasks* over random",
        "And by balanced families?": "balanced families* over random",
    }
    return " ".join(f"{question} {precise(found[name])} in exact match, {clear(found[name])}." for question, name in questions.items())


def by_family(specs: list[SelectSpec]) -> str:
    """The accuracy on the test tasks of each family after the last round, over all strategies, in a sentence; intervals over seeds."""
    slices = records.slices(specs)
    rows = slices[(slices["slice"] == "family") & (slices["eval"] == f"round {specs[0].n_rounds}")] if len(slices) else slices
    seeds = {spec.key: spec.seed for spec in specs}
    said = [f"{family} {interval(one.groupby(one['key'].map(seeds))['exact_match'].mean())}" for family, one in (rows.groupby("value", sort=False) if len(rows) else ())]
    return f"Accuracy after the last round by family, mean over all strategies: {', '.join(said)}." if said else "No runs are recorded."


def paper_table(tables: dict, caption: str, name: str) -> str:
    """Gains over random selection after each round, the paper's (points of ROUGE-L) beside ours (exact match times 100)."""
    rows = []
    for strategy in ("uncertainty", "high_perplexity", "low_perplexity"):
        for number, n in enumerate(PAPER_TASKS, 1):
            theirs = PAPER_ROUGE[strategy][number - 1] - PAPER_ROUGE["random"][number - 1]
            rows.append([named(strategy) if number == 1 else "", number, n, f"{theirs:+.2f}", *(points(frame, strategy, number) for frame in tables.values())])
    return table(caption, name, ["selection", "round", "tasks (paper)", "paper", *tables], rows)


def points(frame, strategy: str, number: int) -> str:
    """The gain over random selection after a round, times 100, with its interval and the number of tasks."""
    found = rules.gain(frame, "random", strategy, (number,))
    return f"{hundredfold(found)} ({int(frame[frame['round'] == number]['n_trained'].max()):,} tasks)" if found.n else "not run"


def hundredfold(found: Interval) -> str:
    """A difference of exact match times 100, with its interval.

    >>> hundredfold(interval([0.01, 0.03]))
    '+2.0 [+1.0, +3.0]'
    """
    return precise(found, times=100, digits=1)


def passes(spec: SelectSpec, number: int) -> float:
    """How often the training of a round passes over its rows."""
    return spec.train.n_steps * spec.train.batch_size / ((spec.n_initial + number * spec.n_select) * spec.pool.n_instances)


SETTINGS = {
    "tasks to choose from, initial ones included": ("688", lambda s: f"{s.pool.n_tasks:,}"),
    "initial tasks": ("68", lambda s: f"{s.n_initial:,}"),
    "tasks of a selection": ("68", lambda s: f"{s.n_select:,}"),
    "rounds": ("4", lambda s: s.n_rounds),
    "share of one kind": ("24 of 68 classification", lambda s: f"{s.pool.decision_share:.0%} decision"),
    "instances of a task trained on": ("200", lambda s: s.pool.n_instances),
    "test tasks": ("119", lambda s: s.pool.n_test),
    "training": ("8 passes from a pretrained T5-large", lambda s: f"{s.train.n_steps} steps from random weights, {s.model.n_layer} × {s.model.n_embd}"),
    "passes over the rows, first to last model": ("8", lambda s: f"{passes(s, 0):.2g} to {passes(s, s.n_rounds):.2g}"),
    "instances n, perturbed prompts k, drop rate": ("10, 10, 0.2", lambda s: f"{s.n}, {s.k}, {s.drop_rate:g}"),
    "families of the pool": ("not known", lambda s: ", ".join(f"{share:.0%} {f}" for share, f in zip(s.pool.shares, FAMILIES))),
    "planted noise": ("not known", lambda s: f"{s.pool.noisy_share:.0%} noisy, {s.pool.contradictory_share:.0%} contradictory"),
}


def settings_table(specs: dict[str, list[SelectSpec]], caption: str, name: str) -> str:
    """The paper's settings and those of sets of runs."""
    rows = [[what, paper, *(value(of_runs[0]) for of_runs in specs.values())] for what, (paper, value) in SETTINGS.items()]
    rows.append(["seeds (paper: splits)", "5", *(len({spec.seed for spec in of_runs}) for of_runs in specs.values())])
    return table(caption, name, ["setting", "paper", *specs], rows)
