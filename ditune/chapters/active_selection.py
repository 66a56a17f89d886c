"""10: a model is trained, a strategy selects the next tasks, again and again (A1, A3).

Source: Kung et al. 2023 (arXiv 2311.00288); the pool and the loop are those of `ditune.active`.
"""

from ..active.specs import SelectSpec
from ..report import plots, tables
from ..report.ledger import Claim, Finding
from ..report.stats import FAILS, HOLDS, OPEN, Blocks, holm, holm_intervals, interval, smallest
from . import symbolic_pool
from .common import listed, seeds_of, without
from .selecting import BASELINES, METHOD, PAPER_ROUGE, PAPER_START, SHARE, named, style
from .symbolic_pool import by_seed, gated, known, lacking, last_round, parts_of, rise, rounds_of, signed, training

frame, settings = symbolic_pool.frame, symbolic_pool.settings
FEWER = (0.75, 0.85)
"""The paper compares 272 tasks with 340, which is 80 %."""
KINDS = {
    "As in the paper": (METHOD, "high_perplexity", "low_perplexity"),
    "Others": ("difficult", "easy", "inverse_confidence", "diversity", "uncertainty_diversity"),
    "Oracles*": ("balanced", "clean"),
}
PANELS = {
    "The paper's selections": ("random", *BASELINES[1:], METHOD),
    "An oracle removes noise": ("random", METHOD, "clean"),
}


def runs(strategies, first_seed, n_seeds, pool, model, train, loop) -> list[SelectSpec]:
    """A run of each strategy for each seed.

    strategies: names in `active.specs.STRATEGIES`; pool, model, train: fields of `PoolSpec`, `ModelSpec` and
    `TrainSpec`, where not the study's; loop: the other fields of `SelectSpec`.
    """
    names, seeds = listed("strategies", strategies, str), seeds_of(first_seed, n_seeds)
    parts = parts_of(pool, model, train, without("loop", loop, "strategy", "seed", "pool", "model", "train"))
    return [SelectSpec.of(**parts, strategy=name, seed=seed) for seed in seeds for name in dict.fromkeys(names)]


# ---- claims ----------------------------------------------------------------------------------------------------------


def consistent_gain(rows) -> Finding:
    """A1."""
    return symbolic_pool.uncertain_beats(rows, BASELINES, rounds_of(rows), "Prompt uncertainty")


def fewer_tasks(rows) -> Finding:
    """A3."""
    if nothing := lacking(rows, (METHOD, *BASELINES)):
        return nothing
    last, sizes = last_round(rows), rows.groupby("round")["n_trained"].max()
    fewer = [number for number, n in sizes.items() if FEWER[0] <= n / sizes[last] <= FEWER[1]]
    if not fewer:
        share = f"{FEWER[0]:.0%} to {FEWER[1]:.0%}"
        return Finding(OPEN, f"No round has {share} of the {sizes[last]:,} tasks of the last one.")
    some = by_seed(rows, METHOD, fewer[-1:])
    gains = {name: (some - by_seed(rows, name, [last])).dropna() for name in BASELINES}
    found = holm_intervals({name: interval(values) for name, values in gains.items()})
    least = min(found, key=lambda name: found[name].mean)
    fails = any(one.high < 0 for one in found.values())
    outcome = FAILS if fails else HOLDS if all(one.low > 0 for one in found.values()) else OPEN
    text = f"{sizes[fewer[-1]]:,} tasks of prompt uncertainty have more accuracy than {sizes[last]:,} others by "
    text += ", ".join(f"{signed(value)} ({named(name)})" for name, value in found.items())
    return gated(rows, Finding(outcome, f"{text}.", found[least], smallest(gains[least])))


CLAIMS = (
    Claim(
        "A1",
        "On symbolic tasks: selecting the tasks of the highest prompt uncertainty consistently beats random selection "
        "and selection by high or low perplexity.",
        f"{symbolic_pool.SOURCE}; abstract, on natural instructions",
        symbolic_pool.MEASURE,
        "Looks at the gain of prompt uncertainty over each of the three others, averaged over all rounds. Holds where "
        f"all three lie above 0. Does not hold where one lies below {SHARE:.0%} of what random selection adds, by "
        f"Bonferroni's interval over the three. {symbolic_pool.RULE}",
        "The paper's gain over random selection is 22 to 32 % of what random selection adds; "
        f"{SHARE:.0%} is less than that. {symbolic_pool.WHY}",
        consistent_gain,
        n_seeds=symbolic_pool.SEEDS,
    ),
    Claim(
        "A3",
        "On symbolic tasks: four fifths of the tasks, selected by prompt uncertainty, beat all of them selected at "
        "random or by perplexity.",
        f"{symbolic_pool.SOURCE}; abstract and learning curves: 272 tasks beside 340",
        symbolic_pool.MEASURE,
        f"Compares prompt uncertainty with {FEWER[0]:.0%} to {FEWER[1]:.0%} of the tasks of the last round with each "
        "of the three others after it. Holds where all three differences lie above 0; does not hold where one lies "
        f"below 0; Holm's levels over the three. {symbolic_pool.RULE}",
        f"0: any advantage of fewer tasks counts. {symbolic_pool.WHY}",
        fewer_tasks,
        n_seeds=symbolic_pool.SEEDS,
    ),
)


# ---- answer, figures, tables -----------------------------------------------------------------------------------------


def strategies_of(rows) -> list[str]:
    """The strategies other than random selection, in the order of KINDS."""
    there = set(rows["strategy"])
    return [name for names in KINDS.values() for name in names if name in there]


def averaged(rows, measure: str = "exact_match"):
    """A measure averaged over the rounds: a row a strategy, a column a seed."""
    import pandas

    names = ("random", *strategies_of(rows))
    return pandas.DataFrame({name: by_seed(rows, name, rounds_of(rows), measure) for name in names}).T


def pooled(rows, measure: str = "exact_match") -> Blocks:
    """The strategies compared within seeds, those but the oracle that removes noise."""
    return Blocks.of(averaged(rows, measure).drop("clean", errors="ignore"))


def gains(rows, measure: str = "exact_match") -> dict:
    """The gain of every strategy over random selection, with the error pooled over all strategies, at Holm's levels."""
    found = Blocks.of(averaged(rows, measure))
    return holm_intervals(found.differences("random"), df=found.df or None) if "random" in found.means else {}


def answer(chapter) -> str:
    """The answer in a sentence."""
    rows, found = chapter.frame, gains(chapter.frame)
    alike = pooled(rows)
    seen = "there are differences" if alike.p < 0.05 else "no difference is seen"
    test = f"(F = {alike.f:.2f}, p = {alike.p:.2f})"
    parts = [f"in this pool {seen} among {len(alike.means)} ways of selecting tasks {test}"]
    if METHOD in found:
        parts.append(f"prompt uncertainty gains {signed(found[METHOD])} in accuracy over random selection")
    if "clean" in found:
        parts.append(f"an oracle that avoids noise gains {signed(found['clean'])}")
    text = "; ".join(parts) + "; the intervals hold for all comparisons at once"
    return f"**{text[0].upper()}{text[1:]}.**"


def could_be_seen(chapter) -> str:
    """How large a difference these runs could have seen, beside what random selection adds, in a sentence."""
    added = interval(rise(chapter.frame, "random", rounds_of(chapter.frame)))
    wide, low, high = averaged(chapter.frame), 0.22 * added.mean, 0.32 * added.mean
    least = Blocks.of(wide).smallest(holm(max(1, len(wide) - 1))[0])
    return (
        f"Random selection adds {signed(added)} to the accuracy of the first model, averaged over the rounds. A gain "
        f"of the paper's share of that would be {low:.3f} to {high:.3f}; the smallest one that these runs could have "
        f"seen, among as many comparisons, is {least:.3f}."
    )


def figure_gains(chapter):
    """The gain of every strategy over random selection, averaged over rounds; the paper's in grey, as the same share of
    what random selection adds."""
    wide = averaged(chapter.frame)
    keys = chapter.frame.drop_duplicates("key").set_index(["strategy", "seed"])["key"]
    lines = {}
    for kind, names in KINDS.items():
        lines[kind] = None
        for name in (name for name in names if name in wide.index):
            values = (wide.loc[name] - wide.loc["random"]).dropna()
            lines[name] = values.set_axis([keys[name, seed] for seed in values.index])
    figure, (ax,) = plots.panels(1, height=0.27 * len(lines) + 0.5)
    plots.forest(ax, lines, [named(name) for name in lines], chapter.again)
    added = rise(chapter.frame, "random", rounds_of(chapter.frame)).mean()
    theirs = {name: added * paper_share(name) for name in KINDS["As in the paper"] if name in lines}
    places, grey = [list(lines).index(name) + 0.3 for name in theirs], plots.PAPER | {"linestyle": ""}
    ax.plot(list(theirs.values()), places, label="paper's gain, as a share of what random selection adds", **grey)
    ax.axvline(0, color=plots.QUIET, linewidth=1)
    ax.set_xlabel("gain over random selection (exact match)")
    plots.legend(figure, [ax])
    return plots.finished(figure, chapter.frame, training(chapter.specs))


def paper_share(strategy: str) -> float:
    """The paper's gain over random selection, averaged over rounds, as a share of what random selection adds.

    >>> round(paper_share("uncertainty"), 2)
    0.32
    """
    ours, random = (sum(PAPER_ROUGE[name]) / 4 for name in (strategy, "random"))
    return (ours - random) / (random - PAPER_START)


def figure_curves(chapter):
    """Accuracy against the number of tasks."""
    rows = chapter.frame
    figure, axes = plots.panels(2, height=2.8, sharex=True)
    for ax, (title, names) in zip(axes, PANELS.items()):
        there = [name for name in names if name in set(rows["strategy"])]
        for i, name in enumerate(there):
            one = rows[rows["strategy"] == name]
            aside = (i - (len(there) - 1) / 2) * 0.12 * rows["n_trained"].min()
            one = one.assign(n_trained=one["n_trained"] + aside)
            plots.curve(ax, one, "n_trained", "exact_match", named(name), chapter.again, False, **style(name))
        ax.set(title=title, ylabel=plots.ACCURACY, ylim=(0, None), xticks=sorted(set(rows["n_trained"])))
    axes[-1].set_xlabel("tasks trained on")
    plots.legend(figure, axes)
    return plots.finished(figure, rows, training(chapter.specs))


def figure_selected(chapter):
    """What each strategy selected: the share of tasks with planted noise, and the effective number of families."""
    found = composition(chapter.records)
    names = [name for name in ("random", *strategies_of(chapter.frame)) if name in set(found["strategy"])]
    figure, axes = plots.panels(1, 2, height=0.27 * len(names) + 0.4, sharey=True)
    labels = {"noise": "share with noise", "families": "effective families"}
    for ax, (column, label) in zip(axes, labels.items()):
        values = {named(name): found[found["strategy"] == name].set_index("key")[column] for name in names}
        plots.forest(ax, values, again=chapter.again)
        ax.set_xlabel(label)
    return plots.finished(figure, chapter.frame)


def composition(found):
    """What each run selected in all rounds: key, strategy, seed, noise (share of tasks with planted noise), families
    (effective number, 4 where all are equally frequent)."""
    import pandas

    from ..rewriting.diversity import hill

    rows = []
    for record in found:
        spec, chosen = record.spec, sum(record.result["selected"][1:], [])
        tasks = known(spec.pool, spec.seed).loc[chosen]
        of_tasks = {"noise": (tasks["noise"] != "clean").mean(), "families": hill(tasks["family"].value_counts())}
        rows.append({"key": spec.key, "strategy": spec.strategy, "seed": spec.seed} | of_tasks)
    return pandas.DataFrame(rows)


def table_gains(chapter) -> str:
    """The gain of every strategy in both measures, with the values of the seeds."""
    rows, wide = [], averaged(chapter.frame)
    right, likely = gains(chapter.frame), gains(chapter.frame, "nll")
    for name, found in right.items():
        raw = ", ".join(f"{round(value, 3) + 0.0:+.3f}" for value in wide.loc[name] - wide.loc["random"])
        nats = likely[name]
        rows.append([named(name), signed(found), raw, signed(type(nats)(-nats.mean, -nats.high, -nats.low, nats.n))])
    header = ["selection", "exact match", "by seed", "log-likelihood of the answer (nats)"]
    caption = "Gains over random selection, averaged over rounds; t-intervals with pooled error at Holm's levels"
    return tables.table(caption, "tab-active-gains", header, rows)
