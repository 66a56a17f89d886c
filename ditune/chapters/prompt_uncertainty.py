"""09: prompt uncertainty U itself: what it measures in this pool, how far it can be repeated, what it costs; no claim.

Source: Kung et al. 2023 (arXiv 2311.00288) and its released code, which has the variants without published numbers.
Rank correlations are Spearman's, over the tasks of a seed; means and intervals are over seeds.
"""

from ..active.specs import MeasureSpec
from ..report import plots, tables
from ..report.stats import interval
from . import symbolic_pool
from .common import literal, seeds_of, without
from .symbolic_pool import known, parts_of, training

settings = symbolic_pool.settings
STABLE = 0.9
"""The rank correlation from which two orders of tasks are called alike: a convention of this chapter."""
SIZE = (5, 10)
"""Instances n and copies k with which the loop of chapter 10 measures."""
HEADINGS = {
    "With the sign kept": ("signed difference",),
    "Measured otherwise": ("gold answer", "definition only", "examples only", "standard deviation"),
    "Other drop rates": (),
    "Without copies": ("prediction probability",),
    "Measured twice": ("two separate measurements",),
}
MEANS = {"uncertainty": "uncertainty U", "probability": "probability p₀", "exact_match": "exact match, test"}
ORDERS = {"with_last": "U with U at the end", "with_probability": "U with p₀"}


def runs(first_seed, n_seeds, pool, model, train, measurement) -> list[MeasureSpec]:
    """A measurement for each seed, in the course of a training and in many ways at its end.

    pool, model, train: as in chapter 10; measurement: the other fields of `MeasureSpec`.
    """
    fields = without("measurement", literal("measurement", measurement, dict), "seed", "pool", "model", "train")
    parts = parts_of(pool, model, train, fields)
    return [MeasureSpec.of(**parts, seed=seed) for seed in seeds_of(first_seed, n_seeds)]


# ---- tables of measurements ------------------------------------------------------------------------------------------


def maps(chapter):
    """A row a run, point of training and task: key, seed, step, uncertainty, probability, perplexity."""
    import pandas

    return pandas.concat(
        pandas.DataFrame(points).assign(key=record.spec.key, seed=record.spec.seed, step=int(step.split()[1]))
        for record in chapter.records
        for step, points in record.result["maps"].items()
    )


def over_training(chapter):
    """A row a seed and point of training: means of U and p over the tasks, the median of U, exact match on the test,
    and rank correlations of U: with_last (with U at the end), with_probability."""
    import pandas

    right, rows = chapter.frame.assign(step=chapter.frame["eval"].str.split().str[1].astype(int)), []
    right = right.set_index(["key", "step"])["exact_match"]
    for (seed, key), tasks in maps(chapter).groupby(["seed", "key"]):
        last = tasks[tasks["step"] == tasks["step"].max()].set_index("task")["uncertainty"]
        for step, now in tasks.groupby("step"):
            now = now.set_index("task")
            u, p = now["uncertainty"], now["probability"]
            row = {"key": key, "seed": seed, "step": step, "exact_match": right[key, step], "median_u": u.median()}
            row |= {"uncertainty": u.mean(), "probability": p.mean()}
            rows.append(row | {"with_last": spearman(u, last[now.index]), "with_probability": spearman(u, p)})
    return pandas.DataFrame(rows)


def spearman(one, other) -> float:
    """The rank correlation of two columns; not a number where either is constant."""
    constant = min(one.nunique(), other.nunique()) < 2
    return float("nan") if constant else one.rank().corr(other.rank())


def at_end(chapter):
    """The rows of `over_training` at the end of training, by key."""
    rows = over_training(chapter)
    return rows[rows["step"] == rows.groupby("key")["step"].transform("max")].set_index("key")


def sizes(chapter):
    """How U depends on its size, as `measuring.sizes` says: key, seed, n, k, mean, rank, again."""
    return listed(chapter, lambda result: result["sizes"]).astype({"rank": float, "again": float})


def variants(chapter):
    """Other ways to measure U, as `measuring.variants` says: key, seed, name, mean, rank, probability, n_scored, ..."""
    return listed(chapter, lambda result: result["variants"]).astype({"rank": float, "probability": float})


def listed(chapter, rows_of):
    """What a function lists of each result, with key and seed."""
    import pandas

    found = ((record.spec, row) for record in chapter.records for row in rows_of(record.result))
    return pandas.DataFrame({"key": spec.key, "seed": spec.seed} | row for spec, row in found)


def separate(chapter):
    """How far two separate measurements of the size SIZE agree, or of the largest that there are two of, by key; the
    size."""
    rows = sizes(chapter).dropna(subset="again")
    rows = rows.assign(pairs=rows["n"] * (rows["k"] + 1))
    ours = rows[(rows["n"] == SIZE[0]) & (rows["k"] == SIZE[1])]
    ours = ours if len(ours) else rows[rows["pairs"] == rows["pairs"].max()].drop_duplicates("key")
    return ours.set_index("key")["again"], (int(ours["n"].iloc[0]), int(ours["k"].iloc[0])) if len(ours) else SIZE


# ---- answer, figures, tables -----------------------------------------------------------------------------------------


def answer(chapter) -> str:
    """The answer in a sentence."""
    again, (n, k) = separate(chapter)
    loss = interval(-variants(chapter).query("name == 'signed difference'")["rank"])
    damage = ", so that U measures damage" if loss.mean >= STABLE else ""
    return (
        f"**The median prompt uncertainty of this pool is {interval(at_end(chapter)['median_u'])}, the paper's "
        f"{symbolic_pool.PAPER_MEDIAN}; U agrees with the loss of probability at a rank correlation of {loss}{damage}; "
        f"two separate measurements (n = {n}, k = {k}) agree at {interval(again)}.**"
    )


def strength(chapter) -> str:
    """How many copies lost a letter, and how near U is to what it were if each ruined the answer, in two sentences."""
    end, spec = at_end(chapter), chapter.specs[0]
    table = variants(chapter).query("name == 'as selected'").set_index("key")
    lost = (table["n_scored"] - table["n_answered"]) / (table["n_answered"] * spec.k)
    share = interval(end["uncertainty"] / end["probability"])
    return (
        f"Of the perturbed copies a share of {interval(lost)} lost at least one letter. If every copy made the answer "
        f"impossible, U would be p₀; its mean is {share} of the mean of p₀."
    )


def cost(chapter) -> str:
    """What a measurement took beside the training before it, in two sentences."""
    spec, results = chapter.specs[0], [record.result for record in chapter.records]
    n_tasks, n = spec.pool.n_tasks - spec.n_initial, min(spec.n, spec.pool.n_instances)
    took = sum(result["seconds"]["as selected"] for result in results) / len(results)
    before = sum(result["train_s"] for result in results) / len(results)
    return (
        f"A measurement of {n_tasks:,} tasks asks for {n} greedy answers and at most {n * (spec.k + 1)} scored pairs a "
        f"task. It took {took:.2g} s, the training before it {before:.2g} s, on one core."
    )


def agreements(chapter) -> dict:
    """What is compared with U as selected: rank correlations by key under each of HEADINGS, which hold None."""
    table, lines = variants(chapter).set_index("key"), {}
    of = {name: rows["rank"].dropna() for name, rows in table.groupby("name", sort=False)}
    of["prediction probability"] = at_end(chapter)["with_probability"].dropna()
    of["two separate measurements"] = separate(chapter)[0]
    for heading, names in HEADINGS.items():
        lines[heading] = None
        lines |= {name: of[name] for name in names or [name for name in of if name.startswith("drop rate")]}
    return lines


def correlations(ax, which: str = "y"):
    """An axis of rank correlations."""
    getattr(ax, f"set_{which}lim")(-1.06, 1.06)
    getattr(ax, f"set_{which}label")("rank correlation over tasks")
    (ax.axvline if which == "x" else ax.axhline)(0, color=plots.QUIET, linewidth=1)


def figure_agreement(chapter):
    """Rank correlation of U as selected with other measures of the same tasks, and of two separate measurements."""
    lines = agreements(chapter)
    figure, (ax,) = plots.panels(1, height=0.25 * len(lines) + 0.4)
    plots.forest(ax, lines, again=chapter.again)
    correlations(ax, "x")
    return plots.finished(figure, chapter.frame, training(chapter.specs))


def figure_training(chapter):
    """Means of U, p and exact match in the course of training; rank correlations of U."""
    rows = over_training(chapter)
    figure, axes = plots.panels(2, height=2.5, sharex=True)
    styles = plots.styles([*MEANS, *ORDERS])
    for ax, columns in zip(axes, (MEANS, ORDERS)):
        for column, label in columns.items():
            one = rows.dropna(subset=column)
            if len(one):
                plots.curve(ax, one, "step", column, label, chapter.again, False, **styles[column])
    axes[0].set(ylabel="mean", ylim=(-0.04, 1.04))
    correlations(axes[1])
    axes[1].set(xlabel="optimiser steps", ylim=(-0.25, 1.06))
    plots.legend(figure, axes)
    return plots.finished(figure, chapter.frame)


def figure_sizes(chapter):
    """Agreement of two separate measurements, and with the largest, against k, a colour for each n."""
    rows, panels = sizes(chapter), {"again": "two separate measurements", "rank": "with the largest measurement"}
    styles = plots.styles(sorted(set(rows["n"])), ordered=True)
    figure, axes = plots.panels(2, height=2.5, sharex=True)
    for ax, (column, title) in zip(axes, panels.items()):
        for n, style in styles.items():
            one = rows[rows["n"] == n].dropna(subset=column)
            if len(one):
                plots.curve(ax, one, "k", column, f"n = {n}", chapter.again, **style)
        ax.set(title=title.capitalize(), ylim=(0, 1.04), ylabel="rank correlation")
    plots.rules_axis(axes[1], "perturbed copies k (logarithmic)")
    plots.legend(figure, axes, [f"n = {n}" for n in styles])
    return plots.finished(figure, chapter.frame)


def table_variants(chapter) -> str:
    """By way to measure: mean, agreement with U as selected and with p, pairs scored."""
    rows, caption = [], "Ways to measure U: means and rank correlations with 95 % t-intervals over seeds"
    for name, group in variants(chapter).groupby("name", sort=False):
        means = [interval(group[column]) for column in ("mean", "rank", "probability")]
        rows.append([name, *means, f"{group['n_scored'].mean():,.0f}"])
    header = ["measured", "mean", "with U as selected", "with p₀", "pairs scored"]
    return tables.table(caption, "tab-unc-variants", header, rows)


def table_sizes(chapter) -> str:
    """By n and k: questions to the model and agreement."""
    rows, caption = [], "Smaller measurements of U: rank correlations with 95 % t-intervals over seeds"
    for (n, k), group in sizes(chapter).groupby(["n", "k"]):
        rows.append([n, k, n * (k + 1), interval(group["again"]), interval(group["rank"])])
    header = ["n", "k", "pairs of a task", "two separate ones", "with the largest"]
    return tables.table(caption, "tab-unc-sizes", header, rows)


def example(chapter) -> str:
    """The recorded task of the first run in full: its prompts, the probabilities of an answer, and U."""
    import torch

    from ..active.pool import pool_tasks
    from ..active.uncertainty import perturbed
    from ..rewriting.tasks import Alphabet

    spec, found = chapter.records[0].spec, chapter.records[0].result["example"]
    letters, p = Alphabet(spec.pool.alphabet_size), found["p"]
    task = pool_tasks(spec.pool, spec.seed).prompts(torch.tensor([found["task"]]))[0]
    heads = perturbed(task.prompt, spec.k, spec.drop_rate, spec.seed, task.name).lists()
    rows = [
        [f"$I_{{{j}}}$", f"`{letters.text(head)}{letters.text(task.inputs[0])}`", f"{p[0][j]:.3f}"]
        + [f"{abs(p[0][j] - p[0][0]):.3f}" if j else ""]
        for j, head in enumerate(heads)
    ]
    changes = [[abs(q - one[0]) for q in one[1:]] for one in p]
    first, whole = sum(changes[0]) / spec.k, sum(map(sum, changes)) / (spec.k * len(p))
    given, gold = (f"`{letters.text(tokens)}`" for tokens in (found["answers"][0], task.golds[0]))
    is_known = known(spec.pool, spec.seed).loc[found["task"]]
    caption = f"A {is_known['family']} {is_known['kind']} task: an instance behind the prompt and its {spec.k} copies"
    header = ["", "prompt and input", "p of the answer", "change"]
    text = (
        f"Under $I_0$ the model answers {given}; the right answer is {gold}. The last column has the mean {first:.3f}. "
        f"The mean over all {len(p)} instances is the uncertainty of the task: U = {whole:.3f}."
    )
    return tables.table(caption, "tab-unc-example", header, rows) + "\n\n" + text
