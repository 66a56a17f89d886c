"""10: a model is trained, a strategy selects the next tasks, again and again (A1, A3).

Source: Kung et al. 2023 (arXiv 2311.00288); the pool and the loop are those of `ditune.active`.
"""

from ..active.specs import SelectSpec
from ..report import plots
from ..report.stats import Blocks
from . import selecting, symbolic_pool
from .common import listed, seeds_of, without
from .selecting import BASELINES, METHOD, named, over_random, style

frame, settings = symbolic_pool.frame, symbolic_pool.settings
CLAIMS = selecting.claims(symbolic_pool.WORLD, "A1", "A3")
PANELS = {
    "The paper's selections": (*BASELINES, METHOD),
    "An oracle removes noise": ("random", METHOD, "clean"),
}


def runs(strategies, first_seed, n_seeds, pool, model, train, loop) -> list[SelectSpec]:
    """A run of each strategy for each seed.

    strategies: names in `active.specs.STRATEGIES`; pool, model, train: fields of `PoolSpec`, `ModelSpec` and
    `TrainSpec`, where not the study's; loop: the other fields of `SelectSpec`.
    """
    names, seeds = listed("strategies", strategies, str), seeds_of(first_seed, n_seeds)
    fields = without("loop", loop, "strategy", "seed", "pool", "model", "train")
    parts = symbolic_pool.parts_of(pool, model, train, fields)
    return [SelectSpec.of(**parts, strategy=name, seed=seed) for seed in seeds for name in dict.fromkeys(names)]


def answer(chapter) -> str:
    """The answer in a sentence: the strategies but the oracle that removes noise are compared within seeds."""
    found = over_random(chapter.frame)
    alike = Blocks.of(selecting.by_strategy(chapter.frame).drop("clean", errors="ignore"))
    seen = "there are differences" if alike.p < 0.05 else "no difference is seen"
    text = f"In this pool {seen} among {len(alike.means)} ways of selecting (F = {alike.f:.2f}, p = {alike.p:.2f})"
    if METHOD in found:
        text += f"; prompt uncertainty gains {found[METHOD]:+.3f} in accuracy over random selection"
    if "clean" in found:
        text += f"; an oracle that avoids noise gains {found['clean']:+.3f}"
    return f"**{text}; the intervals hold for all comparisons at once.**"


def figure_gains(chapter):
    """The gain of every strategy over random selection."""
    return selecting.figure_gains(chapter, chapter.frame, "exact match")


def figure_curves(chapter):
    """Accuracy against the number of tasks."""
    rows = chapter.frame
    figure, axes = plots.panels(2, height=2.8, sharex=True)
    for ax, (title, names) in zip(axes, PANELS.items()):
        there = [name for name in names if name in set(rows["strategy"])]
        for i, name in enumerate(there):
            one, aside = rows[rows["strategy"] == name], (i - (len(there) - 1) / 2) * 0.12 * rows["n_trained"].min()
            one = one.assign(n_trained=one["n_trained"] + aside)
            plots.curve(ax, one, "n_trained", "value", named(name), chapter.again, False, **style(name))
        ax.set(title=title, ylabel=plots.ACCURACY, ylim=(0, None), xticks=sorted(set(rows["n_trained"])))
    axes[-1].set_xlabel("tasks trained on")
    plots.legend(figure, axes)
    return plots.finished(figure, rows)


def table_gains(chapter) -> str:
    """The gain of every strategy in both measures."""
    measures = {"value": "exact match", "likelihood": "log-likelihood of the answer (nats)"}
    return selecting.table_gains(chapter, chapter.frame, measures, "+.3f")
