"""15: which tasks in natural language to train on next (A1n, A3n to A6n), after two controls.

Source: Kung et al. 2023 (arXiv 2311.00288), tasks of Super-NaturalInstructions. The statements are those of chapters
10 and 11; here the measure is the likelihood of the first reference answer, in hundredths of a nat a token (about
percent of perplexity).
"""

import dataclasses

from ..language.catalogue import described
from ..language.pretrained import TuneSpec
from ..language.specs import MapSpec, RoundsSpec
from ..report import plots, tables
from ..report.ledger import Claim, Finding
from ..report.stats import FAILS, HOLDS, OPEN, decide, every, holm, interval, smallest
from ..specs import Spec
from ..store import records
from . import selecting
from .common import listed, seeds_of, without
from .natural_map import first_maps
from .selecting import FEWER, GROUPS, METHOD, NONE, PAPER_ROUGE, SHARE, gain, named, rise

RIGHT = 0.05
"""A smaller difference in ROUGE-L tells no groups apart."""
STRATEGIES = (METHOD, "high_perplexity", "low_perplexity", "inverse_confidence", "easy", "difficult")
UNIT = "hundredths of a nat a token"


def runs(
    model, dtype, map_pools, pools, test_pools, mapping, strategies, loop, tune, first_seed, n_seeds
) -> list[Spec]:
    """The pretrained model's map of tasks; the first round of each seed; its later rounds, by strategy.

    map_pools, pools, test_pools: names of pools (`natural.POOLS`) that are mapped, trained on, tested on; mapping: the
    other fields of `MapSpec`; loop: those of `RoundsSpec`; tune: fields of `TuneSpec` but for the steps.
    """
    shared, seeds = {"model": model, "dtype": dtype}, seeds_of(first_seed, n_seeds)
    mapped = without("mapping", mapping, "model", "dtype", "pool", "seed")
    loop = without("loop", loop, "model", "dtype", "pool", "test", "tune", "seed", "strategy")
    loop = loop | {"pool": listed("pools", pools, str), "test": listed("test_pools", test_pools, str)}
    how = TuneSpec.of(**without("tune", tune, "n_steps"))
    rounds = [
        RoundsSpec.of(**shared, **loop, tune=how, strategy=name, seed=seed)
        for name in dict.fromkeys(listed("strategies", strategies, str))
        for seed in seeds
    ]
    first = list(dict.fromkeys(run.first for run in rounds))
    return [MapSpec.of(**shared, **mapped, pool=listed("map_pools", map_pools, str), seed=seeds[0]), *first, *rounds]


def sample(specs: list[Spec]) -> list[Spec]:
    """None: the quickest run takes four minutes. The sample of 16 takes the same code; each night takes a part."""
    return []


# ---- tables of runs --------------------------------------------------------------------------------------------------


def frame(chapter):
    """A row per strategy, seed, round and kind of tasks tested (`tasks`), with `value`, the likelihood, and
    `rouge`, both times 100. All strategies of a seed have its untuned model as round -1 and its first one as round
    0."""
    import pandas

    rows = records.frame(chapter.specs)
    if not {"tasks", "strategy"} <= set(rows):
        return pandas.DataFrame()
    rows = rows[rows["eval"] != "map"].assign(round=lambda table: table["round"].fillna(-1).astype(int))
    later, shared = rows[rows["round"] > 0], rows[rows["round"] <= 0].drop(columns="strategy")
    first = later[["seed", "n_instances", "strategy"]].drop_duplicates().merge(shared, on=["seed", "n_instances"])
    out = pandas.concat([first[rows.columns], later], ignore_index=True)
    return out.assign(value=-100 * out["nll"], rouge=100 * out["rouge_l"], n_trained=out["n_trained"].astype(int))


def tested(frame):
    """The rows on test tasks, of the runs with the most instances of a task."""
    return frame[(frame["tasks"] == "test") & (frame["n_instances"] == frame["n_instances"].max())]


# ---- claims ----------------------------------------------------------------------------------------------------------


def more_instances(frame) -> Finding:
    """A0i."""
    rows = frame[(frame["tasks"] == "trained") & (frame["round"] == 0) & (frame["strategy"] == "random")]
    found = {n: group.groupby("seed")["value"].mean() for n, group in rows.groupby("n_instances")}
    if len(found) < 2:
        n = int(frame["n_instances"].max())
        text = f"All runs train on {n} instance{'s' * (n > 1)} of a task; none is tested on tasks that it trained on."
        return Finding(OPEN, text, n_seeds=0)
    values = (found[max(found)] - found[min(found)]).dropna()
    text = f"Of {max(found):.0f} instances of a task rather than {min(found):.0f} its model gains {interval(values)}."
    return Finding(decide(interval(values)), text, interval(values), smallest(values))


def more_tasks(frame) -> Finding:
    """A0n."""
    frame = tested(frame)
    values, form = rise(frame), rise(frame, before=-1, after=0)
    sizes = frame.groupby("round")["n_trained"].max()
    text = (
        f"In {UNIT}, {sizes.iloc[-1] - sizes[0]} random tasks after the first {sizes[0]} add {interval(values)}; "
        f"the first {sizes[0]} add {interval(form)}."
    )
    return Finding(decide(interval(values)), text, interval(values), smallest(values))


def settled(frame) -> bool:
    """Whether both controls hold."""
    return every(control(frame).outcome for control in (more_instances, more_tasks)) == HOLDS


def controlled(rule):
    """A rule that decides only where both controls hold."""

    def decided(frame) -> Finding:
        finding = rule(tested(frame))
        if finding.outcome == OPEN or settled(frame):
            return finding
        return dataclasses.replace(finding, outcome=OPEN, text=f"{finding.text} The controls do not both hold.")

    return decided


def in_order(tasks) -> Finding:
    """A4n, from the first models' maps."""
    mean = tasks.groupby(["group", "seed"])["rouge_l"].mean().unstack(0)
    if not {*GROUPS} <= set(mean):
        return Finding(OPEN, "A map has no task in one of the groups.", n_seeds=0)
    steps = [(mean[a] - mean[b]).dropna() for a, b in (("easy", "ambiguous"), ("ambiguous", "difficult"))]
    some = interval(tasks.groupby("seed")["rouge_l"].mean()).low > RIGHT
    apart = every(decide(interval(values), RIGHT) for values in steps)
    fails = some and any(interval(values, holm(2)[0]).high < RIGHT for values in steps)
    parts = ", ".join(f"{name} {interval(mean[name].dropna())}" for name in ("easy", "ambiguous", "difficult"))
    weaker = min(steps, key=lambda values: interval(values).mean)
    outcome = HOLDS if apart == HOLDS else FAILS if fails else OPEN
    return Finding(outcome, f"ROUGE-L of own answers: {parts}.", interval(weaker), smallest(weaker))


ABOUT = "arXiv 2311.00288"
MEASURE = f"likelihood of the first reference of each test task, of other collections than those trained on, {UNIT}"
CONTROL = "0: a control asks for a direction."
NEEDS = "It takes both controls, A0i and A0n, to hold."
PART = f"{SHARE:.0%} of what random tasks add after the first ones, half of the paper's gain."
CLAIMS = (
    Claim(
        "A0i",
        "Control: more instances of a task help that task.",
        "this study",
        f"likelihood of answers to new instances of the tasks trained on, {UNIT}",
        "Holds where the most instances of a task give a higher likelihood than the fewest; does not hold where a "
        "lower one.",
        CONTROL,
        more_instances,
    ),
    Claim(
        "A0n",
        "Control: more random tasks help on other tasks.",
        "this study",
        MEASURE,
        "Holds where the likelihood rises from the first model to the last under random selection; does not hold "
        "where it falls.",
        CONTROL,
        more_tasks,
    ),
    Claim(
        "A1n",
        "Selecting tasks by prompt uncertainty beats random selection and selection by perplexity.",
        f"{ABOUT}, abstract",
        MEASURE,
        "Looks at the gains over random selection and over high and low perplexity, averaged over the rounds. Holds "
        f"where each lies above 0. Does not hold where one lies below the margin, with Holm's correction. {NEEDS}",
        PART,
        controlled(selecting.consistently),
    ),
    Claim(
        "A3n",
        "Four fifths of the tasks, selected by prompt uncertainty, beat all of them selected otherwise.",
        f"{ABOUT}, abstract and learning curves",
        MEASURE,
        f"Compares the round with {FEWER[0]:.0%} to {FEWER[1]:.0%} of the last round's tasks with the three others' "
        "last round. Holds where each difference lies above 0. Does not hold where one lies below, with Holm's "
        f"correction. {NEEDS}",
        "0: the statement is that fewer are better.",
        controlled(selecting.with_fewer),
    ),
    Claim(
        "A4n",
        "The task map tells easy, ambiguous and difficult tasks apart without labels.",
        f"{ABOUT}, task map",
        "ROUGE-L of the first model's own answers, mean of each group of its map",
        "Holds where answers to easy tasks are right more often than to ambiguous ones, and these than to difficult "
        "ones, by more than the margin. Does not hold where one of the two differences lies below it, with Holm's "
        f"correction, though some answers are right: more than {RIGHT} over all tasks.",
        f"{RIGHT} of ROUGE-L.",
        in_order,
        table=first_maps,
    ),
    Claim(
        "A5n",
        "Training on ambiguous tasks helps more than training on random, easy or difficult ones.",
        f"{ABOUT}, training on groups of the map",
        MEASURE,
        "Looks at the gains over the three others, averaged over two rounds as in the paper. Holds where each lies "
        f"above 0. Does not hold where one lies below the margin, with Holm's correction. {NEEDS}",
        PART,
        controlled(selecting.ambiguous),
    ),
    Claim(
        "A6n",
        "Training on difficult tasks gives no benefit.",
        f"{ABOUT}, training on groups of the map",
        MEASURE,
        "Looks at what two selections of difficult tasks add, less the margin. Holds where this lies below 0, does "
        f"not hold where it lies above. {NEEDS}",
        f"{NONE:.0%} of what two selections of random tasks add; in the paper difficult tasks add less than a fifth.",
        controlled(selecting.no_benefit),
    ),
)


# ---- answer, figures, tables -----------------------------------------------------------------------------------------


def answer(chapter) -> str:
    """The answer in a sentence."""
    frame = tested(chapter.frame)
    end = "; where more training is not shown to help, no selection can be told from another"
    end = "" if settled(chapter.frame) else end
    return (
        f"**Tasks of high prompt uncertainty gain {interval(gain(frame, 'random'))} {UNIT} over as many random "
        f"tasks, which themselves add {interval(rise(frame))} to the first ones{end}.**"
    )


def keyed(frame, strategy: str, values):
    """Values by seed as values by key of the last round's run, so that those computed again here can be ringed."""
    rows = frame[(frame["strategy"] == strategy) & (frame["round"] == frame["round"].max())]
    return values.rename(index=rows.set_index("seed")["key"])


def figure_gains(chapter):
    """What tuning adds at all, and what each selection gains over a random one; the paper's gains in proportion."""
    frame = tested(chapter.frame)
    sizes = frame.groupby("round")["n_trained"].max()
    control = {
        f"first {sizes[0]} tasks": keyed(frame, "random", rise(frame, before=-1, after=0)),
        f"{sizes.iloc[-1] - sizes[0]} more": keyed(frame, "random", rise(frame)),
    }
    there = [name for name in STRATEGIES if name in set(frame["strategy"])]
    gains = {name: keyed(frame, name, gain(frame, "random", name)) for name in there}
    figure, (above, below) = plots.panels(2, height=2.3, height_ratios=[2, 1.2 + len(gains)])
    plots.forest(above, control, again=chapter.again, color=plots.QUIET)
    above.set(title="Control: what random tasks add", xlim=(min(0.0, above.get_xlim()[0]), None))
    plots.forest(below, gains, [named(name) for name in gains], chapter.again)
    theirs, reference = selecting.paper_shares(), interval(rise(frame)).mean
    marks = [(theirs[name] * reference, y) for y, name in enumerate(gains) if name in theirs]
    label = "paper, as the same share of what random tasks add"
    below.plot(*zip(*marks), label=label, **(plots.PAPER | {"linestyle": "", "markersize": 6, "zorder": 6}))
    below.axvline(0, color=plots.QUIET, linewidth=0.8)
    below.set(title="Gain over as many random tasks", xlabel="likelihood of right answers (0.01 nats a token)")
    plots.legend(figure, [below])
    return plots.finished(figure, chapter.frame)


def table_gains(chapter) -> str:
    """What each selection gains over a random one."""
    frame, rows = tested(chapter.frame), []
    for name in STRATEGIES:
        values, rouge = gain(frame, "random", name), gain(frame.assign(value=frame["rouge"]), "random", name)
        theirs = selecting.mean_gain(PAPER_ROUGE[name], PAPER_ROUGE["random"]) if name in PAPER_ROUGE else None
        if len(values):
            cells = [interval(values), ", ".join(f"{value:+.1f}" for value in values), interval(rouge)]
            rows.append([named(name), *cells, "–" if theirs is None else f"{theirs:+.2f}"])
    header = ["selection", f"likelihood, {UNIT}", "by seed", "ROUGE-L, points", "paper, ROUGE-L"]
    return tables.table("Gains over random selection, averaged over the rounds", "tab-natural-gains", header, rows)


SETTINGS = {
    "model": ("T5-large LM-adapted, 770M, all weights", lambda s: f"{s.model}, LoRA of rank {s.tune.rank}"),
    "trained on": ("Super-NaturalInstructions", lambda s: licensed(s.pool)),
    "tested on": ("119 tasks of it, other categories", lambda s: f"{s.n_test} tasks of {licensed(s.test)}"),
    "first tasks, a selection, candidates": ("68, 68, 620", lambda s: f"{s.n_initial}, {s.n_select}, {s.n_candidates}"),
    "rounds": ("4", lambda s: s.n_rounds),
    "instances of a task, passes": ("200, 8", lambda s: f"{s.n_instances}, {s.passes:g}"),
    "rate, batch": ("5e-5, 128", lambda s: f"{s.tune.lr:g}, {s.tune.batch_size}"),
    "instances tested": ("100 (ROUGE-L)", lambda s: f"{s.n_test_instances} (likelihood), {s.n_written} (ROUGE-L)"),
    "instances n, prompts k, drop rate": ("10, 10, 0.2", lambda s: f"{s.n}, {s.k}, {s.drop_rate:g}"),
    "longest input": ("1,024 tokens", lambda s: f"{s.most_letters} letters"),
}


def licensed(pools) -> str:
    """Pools with their licences."""
    return ", ".join(f"{pool} ({described(pool).licence})" for pool in pools)


def table_settings(chapter) -> str:
    """The paper's settings beside ours, folded."""
    spec = next(spec for spec in chapter.specs if isinstance(spec, RoundsSpec))
    rows = [[what, paper, here(spec)] for what, (paper, here) in SETTINGS.items()]
    rows.append(["seeds (paper: splits)", 5, len({spec.seed for spec in chapter.specs})])
    text = tables.table("The paper's settings and ours", "tab-settings-15", ["setting", "paper", "here"], rows)
    return tables.folded("Settings, beside the paper's", text)
