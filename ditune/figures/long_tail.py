"""Figures and tables of the chapter on rules with unequal numbers of examples, from tables of records.

A table of this chapter is `with_effective(records.frame(specs), specs)`: that of its runs, with the effective numbers of
rules of their examples as columns.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FuncFormatter

from .. import notebooks
from ..claims.ledger import sentence
from ..claims.long_tail import PEAKED, by_tail, whole
from ..claims.paired import accuracy, by_seed, change
from ..figures import plotting
from ..figures.intervals import Interval, interval
from ..figures.plotting import made_by, number, seeds_curve, sign, table
from ..figures.shared import group_styles, legend
from ..rewriting import diversity
from ..store import records
from .families import dots, shown

MEASURES = {
    "n_rules": "rules I",
    "met": "rules with an example",
    "half": "effective number of order ½",
    "entropy": "effective number of order 1",
    "simpson": "effective number of order 2",
}
"""Numbers of rules, from the one that counts rare rules most to the one that counts them least: `diversity.of_examples`."""
DRAWN = ("n_rules", "met", "half", "entropy")
SAME = ("n_examples", "alphabet_size", "x_len", "y_len", "z_len", "n_layer", "n_head", "n_embd", "position", "train_n_steps", "batch_size", "optimizer", "lr", "muon_lr")
"""Columns in which runs agree that belong to one curve."""


def with_effective(frame, specs):
    """The table with the numbers of `diversity.of_examples` of each run's training examples as columns."""
    measured = {spec.key: diversity.of_examples(spec.task, spec.seed) for spec in specs if len(frame) and spec.key in set(frame["key"])}
    names = next(iter(measured.values()), {})
    out = frame.assign(**{name: [measured[key][name] for key in frame["key"]] for name in names})
    out.attrs = frame.attrs
    return out


def chapter_02(profile: str):
    """The recorded runs of the chapter on the number of rules in a profile; none for other parameters."""
    planned = notebooks.plan(["02_number_of_rules"], profile) if profile in notebooks.profiles() else []
    return records.frame([spec for one in planned for spec in one.specs])


def without_tail(frame, others):
    """The runs without a tail on the whole budget: those of the table and, of `others` (chapter 02), those of its seeds and settings."""
    import pandas

    own = whole(frame)
    own = own[own["tail_alpha"].isna()]
    if own.empty or others.empty:
        return own
    same = others["seed"].isin(own["seed"]) & ~others["key"].isin(own["key"])
    for name in SAME:
        same &= others[name].map(str) == str(own[name].iloc[0])
    return pandas.concat([own, others[same]], ignore_index=True)


# ---- accuracy against alpha ------------------------------------------------------------------------------------------


def by_alpha(tables: dict):
    """Accuracy on unseen rules against alpha, a curve for each number of rules; the runs without a tail stand at the left."""
    figure, axes = plt.subplots(len(tables), 1, figsize=(plotting.WIDTH, (plotting.PANEL + 0.2) * len(tables) + 0.8), squeeze=False)
    numbers = sorted({int(n) for frame in tables.values() for n in whole(frame)["n_rules"]})
    styles = group_styles([f"{number(n)} rules" for n in numbers], ordered=True)
    for ax, (name, frame) in zip(axes[:, 0], tables.items()):
        alphas = sorted({float(a) for a in frame["tail_alpha"].dropna()})
        even = 4 * max(alphas, default=1.0)  # no tail is alpha without bound; it is drawn a little beyond the mildest
        rows = whole(frame)
        rows = rows[rows["eval"] == "unseen"].assign(place=rows["tail_alpha"].astype(float).fillna(even))
        for n, own in rows.groupby("n_rules"):
            seeds_curve(ax, own, "place", "exact_match", f"{number(n)} rules", **styles[f"{number(n)} rules"])
        plotting.accuracy_axes(ax, f"{sentence([name])}: {plotting.training(frame)}\n{plotting.sizes(frame)}")
        ax.axvline(PEAKED, color=plotting.QUIET, linestyle=":", linewidth=1.2, zorder=1, label="paper: 1k rules fail right of here")
        ax.set(xscale="log", xlim=(even * 1.6, min(alphas, default=1.0) / 1.6), xlabel="α (the smaller, the longer the tail)")
        ax.set_xticks([even, *alphas], ["no tail", *(f"{a:g}" for a in alphas)])
        ax.minorticks_off()
    legend(figure, axes[:, 0], list(styles))
    sign(figure, [made_by(frame, name) for name, frame in tables.items()])
    return figure


# ---- accuracy against an effective number ----------------------------------------------------------------------------


def redrawn(frame, even, origins: list[str]):
    """Accuracy on unseen rules of the runs with a tail against four numbers of rules, a panel each; behind, in grey, the curve of
    the runs without a tail, whose four numbers are the same."""
    tailed = whole(frame)
    tailed = tailed[tailed["tail_alpha"].notna() & (tailed["eval"] == "unseen")]
    even = even[even["eval"] == "unseen"]
    figure, axes = plt.subplots(2, 2, figsize=(plotting.WIDTH, 1.75 * plotting.PANEL + 0.7), sharex=True, sharey=True)
    styles = group_styles([f"{number(n)} rules" for n in sorted(set(tailed["n_rules"]))], ordered=True)
    for ax, (measure, words) in zip(axes.flat, ((m, MEASURES[m]) for m in DRAWN)):
        for _, own in even.groupby("seed"):
            own = own.sort_values("n_rules")
            ax.plot(own["n_rules"], own["exact_match"], color="#b5b5b5", linewidth=1.0, marker=".", markersize=3, zorder=1, label="no tail")
        for n, own in tailed.groupby("n_rules"):
            style = styles[f"{number(n)} rules"] | {"linestyle": "", "markersize": 4.5, "markerfacecolor": "white"}
            ax.plot(own[measure], own["exact_match"], markeredgecolor=style["color"], label=f"{number(n)} rules", zorder=3, **style)
        plotting.accuracy_axes(ax, words.replace(" of ", "\nof "))
        ax.set(xscale="log")
        ax.xaxis.set_major_formatter(FuncFormatter(number))
        ax.label_outer()
    for ax in axes[1]:
        ax.set_xlabel("rules (logarithmic)")
    legend(figure, axes.flat, [*styles, "no tail"] if len(even) else list(styles))
    sign(figure, origins)
    return figure


def expected(even, seed: int, n_rules) -> np.ndarray:
    """What the curve without a tail of a seed says for numbers of rules, linear in their logarithm; not a number outside of it."""
    curve = even[(even["eval"] == "unseen") & (even["seed"] == seed)].sort_values("n_rules")
    if curve.empty:
        return np.full(len(n_rules), math.nan)
    return np.interp(np.log(n_rules), np.log(curve["n_rules"]), curve["exact_match"], left=math.nan, right=math.nan)


def gaps(frame, even, measure: str):
    """For each run with a tail on the whole budget, its accuracy on unseen rules less what its seed's curve without a tail says
    for its number of rules by the measure: rows with a column `gap`, those outside of that curve left out."""
    tailed = whole(frame)
    tailed = tailed[tailed["tail_alpha"].notna() & (tailed["eval"] == "unseen")]
    predicted = [expected(even, seed, [n])[0] for seed, n in zip(tailed["seed"], tailed[measure])]
    return tailed.assign(gap=tailed["exact_match"] - predicted).dropna(subset=["gap"])


def by_seed_of(gap, absolute: bool):
    """The mean gap, or its mean size, over the cells of each seed."""
    return (gap["gap"].abs() if absolute else gap["gap"]).groupby(gap["seed"]).mean()


def gap_by_seed(gap, absolute: bool) -> Interval:
    """Mean and interval of these over the seeds."""
    values = by_seed_of(gap, absolute)
    return interval(values) if len(values) else Interval(math.nan, math.nan, math.nan, 0)


def gap_table(frame, even, caption: str, name: str) -> str:
    """How far the runs with a tail lie from the curve without one, if redrawn by each measure."""
    found = {measure: gaps(frame, even, measure) for measure in MEASURES}
    rows = [[words, len(found[m]), *(shown(gap_by_seed(found[m], absolute)) for absolute in (True, False))] for m, words in MEASURES.items()]
    return table(caption, name, ["number of rules", "runs", "mean size of the gap", "mean gap"], rows)


def closest(frame, even, name: str) -> str:
    """By which measure the runs with a tail lie closest to the curve without one, in a sentence."""
    sizes = {words: by_seed_of(gaps(frame, even, measure), True) for measure, words in MEASURES.items()}
    sizes = {words: values for words, values in sizes.items() if len(values)}
    if len(sizes) < 2:
        return f"The runs of {name} have no tails that can be compared with runs without one."
    best, second, *_, worst = sorted(sizes, key=lambda words: sizes[words].mean())
    size = {words: shown(interval(sizes[words])) for words in (best, second, worst)}
    text = f"In the runs of {name} the tails lie closest to the curve without a tail if redrawn by the {best}: the gap is {size[best]} on average"
    text += f", against {size[second]} by the {second} (seed by seed larger by {shown(interval((sizes[second] - sizes[best]).dropna()))})"
    return f"{text} and {size[worst]} by the {worst}, the worst of the {len(sizes)}."


def tails_table(frame, even, caption: str, name: str) -> str:
    """Each number of rules and alpha: accuracy and numbers of rules by all measures, with what an even spread over as many gives."""
    rows = []
    for n, group in whole(frame).groupby("n_rules"):
        for alpha, own in by_tail(group).items():
            runs = own.drop_duplicates("key")
            counts = ("met", "half", "entropy", "simpson")
            as_many = [gaps(own, even, m).eval("exact_match - gap").mean() if alpha else math.nan for m in counts]
            texts = ["–" if math.isnan(value) else f"{value:.2f}" for value in as_many]
            numbers = [f"{runs[m].mean():,.0f}" + (f" ({text})" if alpha else "") for m, text in zip(counts, texts)]
            rows.append([f"{n:,}", "none" if alpha is None else f"{alpha:g}", shown(accuracy(own, "unseen")), *numbers, shown(accuracy(own, "seen"))])
    header = ["rules I", "α", "unseen rules", "with an example", "order ½", "order 1", "order 2", "seen rules"]
    return table(caption, name, header, rows)


# ---- half of the examples --------------------------------------------------------------------------------------------


def halves(frame) -> dict[str, object]:
    """The runs on all examples, on an even part and on a part with a tail, all with the same number of rules."""
    parts, full = frame[frame["n_examples"] < frame["n_examples"].max()], whole(frame)
    rows = full[full["tail_alpha"].isna() & full["n_rules"].isin(parts["n_rules"])]
    kept = f"{parts['n_examples'].max() / frame['n_examples'].max():.0%}" if len(parts) else ""
    cut = {f"{kept}, even" if alpha is None else f"{kept}, α = {alpha:g}": own for alpha, own in by_tail(parts).items()} if len(parts) else {}
    return {"all, even": rows} | cut if len(rows) else cut


def halving(tables: dict):
    """Accuracy on unseen and on seen rules with all and with a part of the examples, a panel a table."""
    found = {name: halves(frame) for name, frame in tables.items()}
    figure, axes = plt.subplots(len(tables), 1, figsize=(plotting.WIDTH, 1.9 * len(tables) + 1.1), sharex=True, squeeze=False)
    for ax, (name, parts) in zip(axes[:, 0], found.items()):
        for y, rows in enumerate(parts.values()):
            for shift, evaluation, style in ((-0.14, "unseen", plotting.UNSEEN), (0.14, "seen", plotting.SEEN)):
                if len(values := by_seed(rows, evaluation)):
                    dots(ax, y + shift, values, style)
        for text, style in (("unseen rules", plotting.UNSEEN), ("seen rules", plotting.SEEN)):
            ax.plot([], [], label=text, markersize=4, markerfacecolor="white", **style)
        n = next((f"{int(rows['n_rules'].iloc[0]):,} rules" for rows in parts.values() if len(rows)), "no runs")
        ax.set(ylim=(len(parts) - 0.4, -0.6), xlim=(-0.03, 1.03), title=f"{sentence([name])}: {n}")
        ax.set_yticks(range(len(parts)), list(parts))
        ax.grid(axis="y", visible=False)
    axes[-1, 0].set_xlabel("exact match (share)")
    legend(figure, axes[:, 0], ["unseen rules", "seen rules"])
    sign(figure, [made_by(frame, name) for name, frame in tables.items()])
    return figure


def halving_table(frame, caption: str, name: str) -> str:
    """All and a part of the examples: examples, rules met and effective, accuracy, and the change against all."""
    parts, rows = halves(frame), []
    for words, own in parts.items():
        runs, full = own.drop_duplicates("key"), parts.get("all, even")
        against = "–" if full is None or own is full else shown(change(full, own, "unseen"))
        numbers = [f"{runs[m].mean():,.0f}" for m in ("n_examples", "met", "entropy")]
        rows.append([words, *numbers, shown(accuracy(own, "unseen")), against, shown(accuracy(own, "seen"))])
    return table(caption, name, ["examples", "number", "rules with one", "effective rules (order 1)", "unseen rules", "change", "seen rules"], rows)
