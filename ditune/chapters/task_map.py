"""11: the task map as the paper draws it, what the pool knows of its groups, and training on each of them (A4 to A6).

Source: Kung et al. 2023 (arXiv 2311.00288). The runs are some of chapter 10's. A map is a table of
`symbolic_pool.task_map`.
"""

from ..active.specs import NOISE, SelectSpec
from ..report import plots, tables
from ..report.ledger import Claim, Finding
from ..report.stats import FAILS, HOLDS, OPEN, decide, every, holm_intervals, interval, smallest
from ..store import records
from . import active_selection, symbolic_pool
from .selecting import GROUP_COLORS, GROUPS, PAPER_RISE, SHARE, cube_root, paper_map, scatter
from .symbolic_pool import gated, lacking, rise, signed, training

frame, settings = symbolic_pool.frame, symbolic_pool.settings
STRATEGIES = {"random": "random"} | GROUPS
"""What is trained on, and the strategies that select it."""
FIRST_TWO = (1, 2)
"""The rounds of the paper's comparison of groups."""
APART = 0.1
"""Groups differ by less than this share of the mean learnability of all tasks where they are alike."""
BENEFIT = 0.25
"""Tasks that add less than this share of what random ones add are no benefit; the paper's difficult tasks add 17 %."""


def runs(first_seed, n_seeds, pool, model, train, loop) -> list[SelectSpec]:
    """Training on random tasks and on each group of the map: runs of chapter 10."""
    return active_selection.runs(list(STRATEGIES.values()), first_seed, n_seeds, pool, model, train, loop)


# ---- what the pool knows of the groups -------------------------------------------------------------------------------


def groups(chapter):
    """What is known of each group, a row a seed and group ("all": every task of the map): n; clean, noisy,
    contradictory (shares); uncertainty, probability (medians); learnable (mean); clean_only (the same, of clean tasks);
    median_u of the map; key and state of a run of the seed."""
    import pandas

    rows, maps = [], symbolic_pool.task_map(chapter.records)
    of_seed = chapter.frame.drop_duplicates("seed").set_index("seed")
    for seed, tasks in maps.groupby("seed"):
        tasks = tasks.assign(learnable=learnable(chapter, tasks))
        for group in (*GROUPS, "all"):
            one = tasks if group == "all" else tasks[tasks["group"] == group]
            row = {"seed": seed, "group": group, "n": len(one), "median_u": tasks["uncertainty"].median()}
            row |= {name: (one["noise"] == name).mean() for name in NOISE}
            row |= {name: one[name].median() for name in ("uncertainty", "probability")}
            row["learnable"] = one["learnable"].mean()
            row["clean_only"] = one[one["noise"] == "clean"]["learnable"].mean()
            rows.append(row | of_seed.loc[seed, ["key", "state"]].to_dict())
    return pandas.DataFrame(rows)


def learnable(chapter, tasks):
    """How well a task can be learnt: 0 where noise is planted in it, otherwise exact match on the test tasks of its
    family after the last round of random selection in its seed; not a number where that was not run."""
    seed = tasks["seed"].iloc[0]
    random = [spec for spec in chapter.specs if (spec.strategy, spec.seed) == ("random", seed)]
    slices = records.slices(random)
    if slices.empty:
        return float("nan")
    families = slices[(slices["slice"] == "family") & (slices["eval"] == f"round {random[0].n_rounds}")]
    return tasks["family"].map(families.set_index("value")["exact_match"]).where(tasks["noise"] == "clean", 0.0)


# ---- claims ----------------------------------------------------------------------------------------------------------


def in_order(table) -> Finding:
    """A4."""
    mean = {group: rows.set_index("seed")["learnable"] for group, rows in table.groupby("group")}
    pairs = {"easy over ambiguous": ("easy", "ambiguous"), "ambiguous over difficult": ("ambiguous", "difficult")}
    steps = {name: (mean[a] - mean[b]).dropna() for name, (a, b) in pairs.items()}
    found = {name: interval(values) for name, values in steps.items()}
    above = holm_intervals({name: interval((v - APART * mean["all"]).dropna()) for name, v in steps.items()})
    outcome = every(decide(one) for one in above.values())
    least = min(found, key=lambda name: found[name].mean)
    text = "; ".join(f"{name} {signed(value)}" for name, value in found.items())
    text = f"Learnability of all tasks {interval(mean['all'])}; {text}."
    return gated(table, Finding(outcome, text, found[least], smallest(steps[least])), interval(mean["all"]))


def ambiguous_help(rows) -> Finding:
    """A5."""
    others = ("random", "easy", "difficult")
    return symbolic_pool.uncertain_beats(rows, others, FIRST_TWO, "Training on ambiguous tasks")


def difficult_do_not(rows) -> Finding:
    """A6."""
    if nothing := lacking(rows, ("difficult", "random")):
        return nothing
    ours, random = (rise(rows, name, FIRST_TWO) for name in ("difficult", "random"))
    above = (ours - BENEFIT * random).dropna()
    found = interval(above)
    outcome = HOLDS if found.high < 0 else FAILS if found.low > 0 else OPEN
    effect, theirs = interval(ours), interval(random)
    text = f"Difficult tasks add {signed(effect)} in the first two rounds, random ones {signed(theirs)}."
    return gated(rows, Finding(outcome, text, effect, smallest(above)))


CLAIMS = (
    Claim(
        "A4",
        "On symbolic tasks: the task map tells easy, ambiguous and difficult tasks apart without labels.",
        f"{symbolic_pool.SOURCE}; task map",
        "learnability of a task, which only the pool knows: 0 where noise is planted in it, otherwise the exact match "
        "on test tasks of its family after the last round of random selection; means of groups, seed by seed",
        "Holds where easy tasks are more learnable than ambiguous ones, and these more than difficult ones, both by "
        f"more than {APART:.0%} of the mean over all tasks. Does not hold where one of the differences lies below. "
        f"Holm's levels over the two. {symbolic_pool.RULE}",
        f"Groups that differ by less than {APART:.0%} of the mean are alike. {symbolic_pool.WHY}",
        in_order,
        n_seeds=symbolic_pool.SEEDS,
        table=groups,
    ),
    Claim(
        "A5",
        "On symbolic tasks: training on ambiguous tasks improves generalisation, more than training on as many random, "
        "easy or difficult ones.",
        f"{symbolic_pool.SOURCE}; training on groups of the task map",
        symbolic_pool.MEASURE,
        "Looks at the gain of ambiguous tasks over each of the others, averaged over the first two rounds, as in the "
        f"paper. Holds where all three lie above 0. Does not hold where one lies below {SHARE:.0%} of what random "
        f"selection adds, by Bonferroni's interval over the three. {symbolic_pool.RULE}",
        f"As for A1; the paper's gain over random tasks is 62 % of what these add. {symbolic_pool.WHY}",
        ambiguous_help,
        n_seeds=symbolic_pool.SEEDS,
    ),
    Claim(
        "A6",
        "On symbolic tasks: training on difficult tasks, of low uncertainty and low probability, gives no benefit.",
        f"{symbolic_pool.SOURCE}; training on groups of the task map",
        symbolic_pool.MEASURE,
        "Looks at what difficult tasks add to the first model, averaged over the first two rounds, less "
        f"{BENEFIT:.0%} of what random ones add. Holds where that lies below 0; does not hold where it lies above. "
        f"{symbolic_pool.RULE}",
        f"The paper's difficult tasks add 17 % of what random ones do. {symbolic_pool.WHY}",
        difficult_do_not,
        n_seeds=symbolic_pool.SEEDS,
    ),
)


# ---- answer, figures, tables -----------------------------------------------------------------------------------------


def answer(chapter) -> str:
    """The answer in a sentence."""
    table, parts = groups(chapter), []
    clean = {group: interval(rows["clean"]) for group, rows in table.groupby("group")} if len(table) else {}
    adds = {name: interval(rise(chapter.frame, name, FIRST_TWO)) for name in ("difficult", "random")}
    if clean:
        middle, theirs = table.drop_duplicates("seed")["median_u"].mean(), symbolic_pool.PAPER_MEDIAN
        parts.append(f"the median prompt uncertainty of this pool is {middle:.2f}, the paper's {theirs}")
        parts.append(f"a share of {clean['difficult']} of the tasks that the map calls difficult is clean")
    parts.append(f"training on difficult tasks adds {signed(adds['difficult'])}, on random {signed(adds['random'])}")
    text = "; ".join(parts)
    return f"**{text[0].upper()}{text[1:]}.**"


def first_seed(chapter):
    """The map of the first seed, and its seed."""
    maps = symbolic_pool.task_map(chapter.records)
    return maps[maps["seed"] == maps["seed"].min()]


def figure_map(chapter):
    """The map of the first seed by groups, the paper's in grey."""
    theirs, ours = paper_map(), first_seed(chapter)
    figure, (ax,) = plots.panels(1, height=3.6)
    scatter(ax, ours, GROUP_COLORS, size=14)
    grey = plots.PAPER | {"linestyle": "", "markersize": 3.5, "markeredgewidth": 0.7}
    ax.plot(theirs["uncertainty"], theirs["probability"], label="paper", **grey)
    cube_root(ax, "x", 1.0)
    ax.set(xlim=(0, 1), xlabel="prompt uncertainty (cube-root axis)")
    plots.legend(figure, [ax], [*GROUPS, "others", "paper"])
    one = chapter.frame[chapter.frame["seed"] == ours["seed"].iloc[0]]
    return plots.finished(figure, one, f"{len(ours):,} tasks here, {len(theirs)} of the paper's")


def figure_groups(chapter):
    """The share of tasks with planted noise, and the learnability, of each group."""
    table = groups(chapter).set_index("key")
    figure, axes = plots.panels(1, 2, height=1.7, sharey=True)
    columns = {"share with planted noise": 1 - table["clean"], "learnability": table["learnable"]}
    for ax, (label, values) in zip(axes, columns.items()):
        plots.forest(ax, {group: values[table["group"] == group] for group in (*GROUPS, "all")}, again=chapter.again)
        ax.set_xlabel(label)
    return plots.finished(figure, chapter.frame)


def figure_training(chapter):
    """What training on each group adds to the first model in the first two rounds; the paper's in grey, scaled so that
    random tasks add as much."""
    rows = chapter.frame
    keys = rows.drop_duplicates("key").set_index(["strategy", "seed"])["key"]
    names = [name for name, strategy in STRATEGIES.items() if strategy in set(rows["strategy"])]
    added = {name: rise(rows, STRATEGIES[name], FIRST_TWO) for name in names}
    values = {n: v.set_axis([keys[STRATEGIES[n], seed] for seed in v.index]) for n, v in added.items()}
    figure, (ax,) = plots.panels(1, height=1.7)
    plots.forest(ax, values, again=chapter.again)
    scale = added["random"].mean() / sum(PAPER_RISE["random"])
    grey = plots.PAPER | {"linestyle": ""}
    theirs = [scale * sum(PAPER_RISE[name]) for name in names]
    ax.plot(theirs, [y + 0.3 for y in range(len(names))], label="paper, scaled to the same gain of random", **grey)
    ax.set_xlabel("rise above the first model (exact match)")
    plots.legend(figure, [ax])
    return plots.finished(figure, rows, training(chapter.specs))


def table_groups(chapter) -> str:
    """What the pool knows of each group."""
    columns = {
        "uncertainty": "uncertainty", "probability": "probability", "noisy": "noisy", "contradictory": "contradictory",
        "learnable": "learnability", "clean_only": "of clean tasks",
    }  # fmt: skip
    table = groups(chapter)
    rows = [
        [group, *(interval(table[table["group"] == group][column]) for column in columns)] for group in (*GROUPS, "all")
    ]
    caption = "What the pool knows of the groups: medians, shares, mean learnability; 95 % t-intervals over seeds"
    return tables.table(caption, "tab-task-map-groups", ["group", *columns.values()], rows)


def examples(chapter) -> str:
    """One task of each group in the first seed, that of the group's median uncertainty, as text."""
    from ..active.pool import pool_tasks
    from ..rewriting.tasks import Alphabet

    rows, parts = first_seed(chapter), []
    spec = next(record.spec for record in chapter.records if record.spec.seed == rows["seed"].iloc[0])
    tokens, letters = pool_tasks(spec.pool, spec.seed).tokens, Alphabet(spec.pool.alphabet_size)
    for group in GROUPS:
        of_group = rows[rows["group"] == group].sort_values(["uncertainty", "task"])
        task = of_group.iloc[len(of_group) // 2]
        known = f"{task['family']}, {task['kind']}, {task['noise']}; uncertainty {task['uncertainty']:.3f}, "
        text = letters.text(tokens[int(task["task"]), 0].tolist())
        parts.append(f"**{group}** ({known}probability {task['probability']:.3f})\n\n```text\n{text}\n```")
    return "\n\n".join(parts)
