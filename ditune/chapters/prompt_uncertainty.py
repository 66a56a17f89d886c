"""09: prompt uncertainty U itself: what it measures in this pool, and how far it can be repeated; no claim.

Source: Kung et al. 2023 (arXiv 2311.00288) and its released code, which has the variants without published numbers.
Rank correlations are Spearman's, over the tasks of a seed; means and intervals are over seeds.
"""

import numpy as np

from ..active.specs import MeasureSpec
from ..report import plots
from ..report.stats import interval
from . import symbolic_pool
from .common import literal, seeds_of, without

settings = symbolic_pool.settings
STABLE = 0.9
"""The rank correlation from which two orders of tasks are called alike: a convention of this chapter."""
SIZE = (5, 10)
"""Instances n and copies k with which the loop of chapter 10 measures."""


def runs(first_seed, n_seeds, pool, model, train, measurement) -> list[MeasureSpec]:
    """A measurement for each seed, in the course of a training and in many ways at its end.

    pool, model, train: as in chapter 10; measurement: the other fields of `MeasureSpec`.
    """
    fields = without("measurement", literal("measurement", measurement, dict), "seed", "pool", "model", "train")
    parts = symbolic_pool.parts_of(pool, model, train, fields)
    return [MeasureSpec.of(**parts, seed=seed) for seed in seeds_of(first_seed, n_seeds)]


def listed(chapter, name: str):
    """The rows of a list of each result, with key and seed: "sizes" and "variants", as `active.measuring` says."""
    import pandas

    found = ((record.spec, row) for record in chapter.records for row in record.result[name])
    return pandas.DataFrame({"key": spec.key, "seed": spec.seed} | row for spec, row in found)


def at_end(chapter):
    """Median U and mean prediction probability over the tasks at the end of training, by key."""
    import pandas

    rows = {}
    for record in chapter.records:
        last = max(record.result["maps"].items(), key=lambda one: int(one[0].split()[1]))[1]
        rows[record.spec.key] = {"median_u": np.median(last["uncertainty"]), "p": np.mean(last["probability"])}
    return pandas.DataFrame.from_dict(rows, orient="index")


def separate(chapter):
    """How far two separate measurements of SIZE agree, or of the largest that there are two of, by key; the size."""
    rows = listed(chapter, "sizes").dropna(subset="again")
    n, k = SIZE if SIZE in set(zip(rows["n"], rows["k"])) else max(zip(rows["n"], rows["k"]))
    return rows[(rows["n"] == n) & (rows["k"] == k)].set_index("key")["again"].astype(float), (n, k)


def agreements(chapter) -> dict:
    """What is compared with U as selected: rank correlations by key under headings, which hold None."""
    table = listed(chapter, "variants").set_index("key")
    of = {name: rows["rank"].astype(float).dropna() for name, rows in table.groupby("name", sort=False)}
    rates = [name for name in of if name.startswith("drop rate")]
    of["prediction probability"] = table[table["name"] == "as selected"]["probability"].astype(float).dropna()
    of["two separate measurements"] = separate(chapter)[0]
    headings = {
        "With the sign kept": ["signed difference"],
        "Measured otherwise": ["gold answer", "definition only", "examples only", "standard deviation"],
        "Other drop rates": rates, "Without copies": ["prediction probability"],
        "Measured twice": ["two separate measurements"],
    }  # fmt: skip
    return {line: of.get(line) for heading, names in headings.items() for line in (heading, *names)}


# ---- answer, figures -------------------------------------------------------------------------------------------------


def answer(chapter) -> str:
    """The answer in a sentence."""
    again, (n, k) = separate(chapter)
    loss = interval(-agreements(chapter)["signed difference"])
    damage = ", so that U measures damage" if loss.mean >= STABLE else ""
    return (
        f"**The median prompt uncertainty of this pool is {interval(at_end(chapter)['median_u'])}, the paper's "
        f"{symbolic_pool.PAPER_MEDIAN}; U agrees with the loss of probability at a rank correlation of {loss}{damage}; "
        f"two separate measurements (n = {n}, k = {k}) agree at {interval(again)}.**"
    )


def strength(chapter) -> str:
    """How many copies lost a letter, and how near U is to what it were if each ruined the answer, in two sentences."""
    own = listed(chapter, "variants").query("name == 'as selected'").set_index("key")
    lost = (own["n_scored"] - own["n_answered"]) / (own["n_answered"] * chapter.specs[0].k)
    return (
        f"Of the perturbed copies a share of {interval(lost)} lost at least one letter. If every copy made the answer "
        f"impossible, U would be p₀; its mean is {interval(own['mean'] / at_end(chapter)['p'])} of the mean of p₀."
    )


def figure_agreement(chapter):
    """Rank correlation of U as selected with other measures of the same tasks, and of two separate measurements."""
    lines = agreements(chapter)
    figure, (ax,) = plots.panels(1, height=0.25 * len(lines) + 0.4)
    plots.forest(ax, lines, again=chapter.again)
    ax.set(xlim=(-1.06, 1.06), xlabel="rank correlation over tasks")
    ax.axvline(0, color=plots.QUIET, linewidth=1)
    return plots.finished(figure, chapter.frame)


def figure_sizes(chapter):
    """Agreement of two separate measurements, and with the largest, against k, a colour for each n."""
    rows, panels = listed(chapter, "sizes"), {"again": "two separate measurements", "rank": "with the largest"}
    styles = plots.styles(sorted(set(rows["n"])), ordered=True)
    figure, axes = plots.panels(2, height=2.5, sharex=True)
    for ax, (column, title) in zip(axes, panels.items()):
        there = rows.dropna(subset=column).astype({column: float})
        for n in sorted(set(there["n"])):
            plots.curve(ax, there[there["n"] == n], "k", column, f"n = {n}", chapter.again, **styles[n])
        ax.set(title=title.capitalize(), ylim=(0, 1.04), ylabel="rank correlation")
    plots.rules_axis(axes[1], "perturbed copies k (logarithmic)")
    plots.legend(figure, axes, [f"n = {n}" for n in styles])
    return plots.finished(figure, chapter.frame)
