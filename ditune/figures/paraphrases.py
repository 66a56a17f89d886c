"""How far prompt uncertainty by dropped words agrees with that by natural paraphrases of the definition, and with itself between seeds
(chapter 15).

A map is a table of tasks, as in `figures.natural`; `paraphrased` and `definition` are the uncertainties by paraphrases and by words
dropped from the definition alone, of the tasks that have paraphrases.
"""

import itertools

import numpy as np
import pandas
from scipy import stats

from ..figures import plotting
from ..figures.intervals import Interval
from ..figures.plotting import sign

CUBE_ROOT = (np.cbrt, lambda root: root**3)
PAIRS = {
    "definition": ("definition", "paraphrased"),
    "whole prompt": ("uncertainty", "paraphrased"),
    "definition, probability": ("definition", "probability"),
    "paraphrased, probability": ("paraphrased", "probability"),
}


def correlation(first, second) -> Interval:
    """Spearman's rank correlation over n tasks, with its 95 % percentile bootstrap interval over the tasks; 0 where all values are equal.

    >>> print(correlation(range(20), range(40, 60)))
    1.00 [1.00, 1.00]
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)

    def rank(a, b):
        return stats.spearmanr(a, b).statistic if min(len(set(a)), len(set(b))) > 1 else 0.0

    bounds = stats.bootstrap((a, b), rank, paired=True, vectorized=False, method="percentile", n_resamples=2000, rng=0).confidence_interval
    return Interval(float(rank(a, b)), float(bounds.low), float(bounds.high), len(a))


def agreement(rows: pandas.DataFrame) -> dict[str, Interval]:
    """The correlations of PAIRS over the tasks of a map that have paraphrases; none of fewer than three tasks."""
    both = rows.dropna(subset=["paraphrased"])
    return {name: correlation(both[a], both[b]) for name, (a, b) in PAIRS.items()} if len(both) > 2 else {}


def agreement_figure(found_maps: dict[str, pandas.DataFrame], origins: list[str]):
    """Uncertainty by natural paraphrases against uncertainty by words dropped from the definition, a point a task, axes cube-root."""
    panels = {title: rows.dropna(subset=["paraphrased"]) for title, rows in found_maps.items()}
    figure, axes = plotting.plt.subplots(len(panels), 1, figsize=(plotting.WIDTH, 3.0 * len(panels) + 0.4), squeeze=False)
    for ax, (title, rows) in zip(axes[:, 0], panels.items()):
        reach = 1.1 * max([0.01, *rows["definition"], *rows["paraphrased"]])
        ax.plot([0, reach], [0, reach], color=plotting.QUIET, linewidth=0.8)
        ax.scatter(rows["definition"].astype(float), rows["paraphrased"].astype(float), s=26, color=plotting.BLUE, edgecolor="white", linewidth=0.4)
        ax.set_xscale("function", functions=CUBE_ROOT)
        ax.set_yscale("function", functions=CUBE_ROOT)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(plotting.mpl.ticker.FixedLocator([t for t in (0.001, 0.01, 0.03, 0.1, 0.2, 0.4, 0.7) if t <= reach]))
            axis.set_major_formatter(plotting.mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        ax.set(xlim=(0, reach), ylim=(0, reach), ylabel="by natural paraphrases")
        ranks = agreement(rows)
        ax.set_title(f"{title}\n{len(rows)} tasks" + (f", rank correlation {ranks['definition']}" if ranks else ""))
    axes[-1, 0].set_xlabel("prompt uncertainty by words dropped from the definition (cube-root axes)")
    sign(figure, origins)
    return figure


def agreement_in_words(rows: pandas.DataFrame, name: str) -> str:
    """How far the rankings agree, in sentences."""
    if not (ranks := agreement(rows)):
        return f"In {name}, too few tasks have paraphrases."
    return (
        f"In {name}, over {ranks['definition'].n} tasks, uncertainty by paraphrases has a rank correlation of {ranks['definition']} with that by words dropped from the definition, and of {ranks['whole prompt']} with that "
        f"by words dropped from the whole prompt. With the prediction probability, uncertainty by words dropped from the definition has {ranks['definition, probability']} and uncertainty by paraphrases {ranks['paraphrased, probability']}."
    )


def between_seeds(rows: pandas.DataFrame, name: str) -> str:
    """How far the first models of two seeds rank the candidates that both have alike, in a sentence; rows: the maps of all seeds."""
    maps = {seed: one.set_index("task") for seed, one in rows.groupby("seed")} if len(rows) else {}
    both = [(a, b, shared) for a, b in itertools.combinations(maps.values(), 2) if len(shared := a.index.intersection(b.index)) > 2]
    if not both:
        return ""
    least_most = [sorted(stats.spearmanr(a.loc[shared, axis], b.loc[shared, axis]).statistic for a, b, shared in both) for axis in ("uncertainty", "probability")]
    uncertainty, probability = (f"{min(each):.2f} to {max(each):.2f}" for each in least_most)
    return (
        f"In {name}, the first models of two seeds rank the candidates that both have by prompt uncertainty with a rank correlation of {uncertainty}, and by prediction probability with one of {probability}: the farther "
        "from 1, the more of what is selected is chance."
    )
