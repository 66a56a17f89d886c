"""What moves the threshold (chapter 07): conditions, what is said of them, figures and tables.

A condition is the training without a change or one of the chapter's variants, with its table of runs (`records.frame`).
Its threshold is compared with that without a change seed by seed: the same seed, where task and model are the same, is
the same rules and initial weights. Thresholds outside the numbers of rules tried are known by their bounds.
"""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FuncFormatter, NullFormatter
from pandas import DataFrame

from ..claims.ledger import LEARNT, sentence
from ..claims.number_of_rules import PAPER_CURVE
from ..experiments.common import literal
from ..experiments.rewriting import number_of_rules, varied
from ..figures import plotting
from ..figures.intervals import Bounds, bounds, crossing, interval
from ..figures.plotting import QUIET, SEEN, UNSEEN, WIDTH, accuracy_axes, made_by, number, seeds_curve, sign, table
from ..figures.shared import legend

UNCHANGED = "no change"
LEVEL = 0.5
FEWEST_SEEDS = 3
"""With fewer seeds nothing is said of whether a threshold moves."""
KINDS = (UNCHANGED, "model", "task", "data", "training")
"""Kinds of change, in the order in which they are shown; "data" is the number of examples."""
PART_OF_KIND = {"model": "model", "task": "task", "train": "training"}

RULE = (
    f"A change *moves the threshold* where, over at least {FEWEST_SEEDS} seeds that both have, the 95 % bootstrap interval of the ratio to the threshold without "
    "the change does not hold 1, both being interpolated between the numbers of rules that were tried with the change and without; where a threshold lies outside the numbers of rules tried, where the bounds of every seed's ratio lie on the same side of 1. "
    f"The thresholds of a condition are *not comparable* where, in any seed, the accuracy on seen rules is below {LEARNT} at the last number of rules before its "
    f"threshold: that model fails on unseen rules, and has not learnt its own either. In all other cases nothing is decided. The bootstrap interval of three seeds is their range: "
    "where a change does nothing, all three still lie on one side of 1 in one case of four."
)

EXPECTED = {"position": "lower", "z_len": "higher", "alphabet_size": "higher", "n_examples": "the same"}
"""What the explanation in the chapter says of the threshold where a field is larger, or positions rotary; of other fields it
says nothing. Written before the runs with these changes."""


# ---- conditions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Condition:
    """A training without a change or with one, and what its runs say of the threshold."""

    name: str
    kind: str
    expected: str
    """"lower", "higher", "the same", or "" where the chapter's explanation says nothing."""
    frame: DataFrame
    place: Bounds
    base: Bounds | None
    """The threshold without a change, from the numbers of rules of both, in the seeds that have learnt their own rules there."""
    ratio: Bounds | None
    """To the threshold without a change, over the seeds in which that is comparable, both from the numbers of rules tried in
    both: a wider grid places a threshold elsewhere. None where there is none."""
    unlearnt: list[int]
    """The seeds whose seen rules are not learnt just below the threshold."""

    @property
    def moved(self) -> str:
        """"lower" or "higher"; "not comparable"; or "open"."""
        if self.unlearnt:
            return "not comparable"
        if self.ratio is None or len(self.ratio.by_seed) < FEWEST_SEEDS:
            return "open"
        known = self.ratio.interval
        sides = [(known.low, known.high)] if known else list(self.ratio.by_seed.values())
        return "lower" if all(high < 1 for _, high in sides) else "higher" if all(low > 1 for low, _ in sides) else "open"


def conditions(frame, parameters: dict) -> list[Condition]:
    """The conditions that a table has runs of, by kind of change and then in the order of the parameter `variants`.

    parameters: those of the notebook, by name, as in `notebooks.Plan`.
    """
    parts = {name: literal(name, parameters[name], dict) for name in PART_OF_KIND}
    shared = [parameters[name] for name in ("n_rules", "first_seed", "n_seeds", "n_test")]
    variants = literal("variants", parameters["variants"], dict)
    runs = {UNCHANGED: number_of_rules(*shared, **parts)} | {name: varied(change, *shared, parts) for name, change in variants.items()}
    out = []
    for name, specs in runs.items():
        keys = {spec.key for spec in specs}
        rows = frame[frame["key"].isin(keys) & frame["eval"].isin(["unseen", "seen"])] if len(frame) else frame
        if len(rows):
            change = variants.get(name, {})
            ours, theirs = on_common_numbers(rows, out[0]) if out and out[0].name == UNCHANGED else (None, None)
            ratio = ours.over(theirs) if ours else None
            out.append(Condition(name, kind_of(change), expected(specs[0], runs[UNCHANGED][0]), rows, bounds(rows, LEVEL), theirs, ratio, unlearnt(rows)))
    return sorted(out, key=lambda condition: KINDS.index(condition.kind))


def on_common_numbers(rows, base: Condition) -> tuple[Bounds, Bounds]:
    """The threshold in a table and that without a change: both from the numbers of rules of both, in seeds that have learnt
    their own rules without the change."""
    theirs = base.frame[~base.frame["seed"].isin(base.unlearnt)]
    common = set(rows["n_rules"]) & set(theirs["n_rules"])
    return tuple(bounds(one[one["n_rules"].isin(common)], LEVEL) for one in (rows, theirs))


def kind_of(change: dict) -> str:
    """The kind of a variant by what it changes.

    >>> kind_of({}), kind_of({"task": {"n_examples": 5}}), kind_of({"train": {"lr": 0.1}, "n_rules": [10]})
    ('no change', 'data', 'training')
    """
    if list(change.get("task", ())) == ["n_examples"]:
        return "data"
    return next((kind for part, kind in PART_OF_KIND.items() if change.get(part)), UNCHANGED)


def expected(spec, base) -> str:
    """What the chapter's explanation says of the threshold of one run's settings against another's."""
    for part in ("model", "task"):
        for field, where_more in EXPECTED.items():
            ours, theirs = (getattr(getattr(run, part), field, None) for run in (spec, base))
            if ours != theirs:
                less = ours == "learned" if field == "position" else ours < theirs
                return {"higher": "lower", "lower": "higher"}.get(where_more, where_more) if less else where_more
    return ""


def unlearnt(frame) -> list[int]:
    """Seeds whose accuracy on seen rules is below LEARNT at the last number of rules before their threshold.

    A failure on unseen rules says something of their number only where the model has learnt its own; a success counts
    in any case, so numbers of rules beyond the threshold do not matter.
    """
    out = []
    for seed, rows in frame.groupby("seed"):
        curve = rows.pivot(index="n_rules", columns="eval", values="exact_match").sort_index()
        before = curve[(curve["unseen"] >= LEVEL).cumsum() == 0]
        if len(before) and before["seen"].iloc[-1] < LEARNT:
            out.append(int(seed))
    return out


def in_words(found: list[Condition]) -> str:
    """What the rule finds of all changes, in sentences."""
    if not found or found[0].name != UNCHANGED:
        return "The training without a change has no runs, so there is nothing to compare with."
    lines = [f"Without a change the accuracy on unseen rules passes one half at {found[0].place} rules."]
    if found[0].unlearnt:
        lines.append(f"Below it the seen rules are not learnt in {len(found[0].unlearnt)} of {len(found[0].place.by_seed)} seeds, which are left out.")
    for outcome, text in SENTENCES.items():
        if named := [c.name + f" ({factor(c)})" * (not c.unlearnt) for c in found[1:] if c.moved == outcome]:
            lines.append(text.format("; ".join(named)))
    return " ".join(lines)


SENTENCES = {
    "lower": "The threshold is lower with {}.",
    "higher": "It is higher with {}.",
    "open": "Nothing is decided of {}.",
    "not comparable": "Not comparable, as seen rules are not learnt: {}.",
}


def constant_in_words(found: list[Condition]) -> str:
    """Whether the threshold is one number, in a sentence: how many changes move it, and how far."""
    if len(found) < 2:
        return "There are runs of no change to compare."
    judged = [c for c in found[1:] if c.moved in ("lower", "higher")]
    comparable_changes = [c for c in found[1:] if not c.unlearnt and c.ratio]
    if not judged:
        return f"Of {len(found) - 1} change{'s' * (len(found) > 2)} none is shown to move it; where there are fewer than {FEWEST_SEEDS} seeds, none can be."
    furthest = max(judged, key=lambda c: abs(sum(np.log(np.clip(c.ratio.mean, 1e-6, 1e6)))))
    return f"Of the {len(comparable_changes)} changes that can be compared, {len(judged)} {'move' if len(judged) > 1 else 'moves'} it, the furthest {furthest.name} ({factor(furthest)})."


def factor(condition: Condition) -> str:
    """The ratio as it is written beside a condition: × 0.12 [0.10, 0.15]."""
    if condition.unlearnt:
        return "not comparable"
    return f"× {condition.ratio}" if condition.ratio else "no seed to compare with"


def agreement(condition: Condition) -> str:
    """Whether what was measured agrees with what the chapter's explanation expects of a change."""
    if condition.moved in ("lower", "higher"):
        return "yes" if condition.moved == condition.expected else "no"
    enough = condition.ratio is not None and len(condition.ratio.by_seed) >= FEWEST_SEEDS and condition.ratio.interval
    return "not contradicted" if condition.expected == "the same" and condition.moved == "open" and enough else "not decided"


OUTCOMES = {"yes": "came out as expected", "no": "came out otherwise", "not contradicted": "not contradicted", "not decided": "not decided"}


def expectations_in_words(found: list[Condition]) -> str:
    """How many of the explanation's expectations were met, in a sentence."""
    said = [agreement(c) for c in found if c.expected]
    if not said:
        return "It says nothing of these changes."
    return f"Of {len(said)} expected changes " + ", ".join(f"{said.count(kind)} {words}" for kind, words in OUTCOMES.items() if kind in said) + "."


# ---- figures ---------------------------------------------------------------------------------------------------------

COLORS = (plotting.BLACK, plotting.BLUE, plotting.GREEN, plotting.PURPLE, plotting.VERMILION)
KIND_COLORS = dict(zip(KINDS, COLORS))


def dots(tables: dict, frames: dict):
    """The threshold of each condition, one panel a table of runs, {"profile laptop": [Condition]}: a point a seed, the geometric
    mean with its interval, an arrow where the threshold lies outside the numbers of rules tried; and the paper's, from its curve."""
    tables = {name: found for name, found in tables.items() if found}
    rows = [len(found) for found in tables.values()]
    figure, axes = plt.subplots(len(tables), 1, figsize=(WIDTH, 0.36 * sum(rows) + 1.1 * len(rows) + 0.7), sharex=True, squeeze=False, height_ratios=[n + 1 for n in rows])
    for ax, (name, found) in zip(axes[:, 0], tables.items()):
        for y, condition in enumerate(found):
            dot_row(ax, y, condition)
        if found[0].name == UNCHANGED:
            ax.plot([crossing(*zip(*PAPER_CURVE.items()), LEVEL)], [0.32], linestyle="", marker="+", markersize=8, color=QUIET)
            if found[0].place.interval:
                ax.axvline(found[0].place.mean[0], color=QUIET, linewidth=0.9, linestyle=":", zorder=1)
        labels = [c.name + " †" * bool(c.unlearnt) for c in found]
        ax.set(yticks=range(len(found)), yticklabels=labels, ylim=(len(found) - 0.4, -0.6), xscale="log")
        for tick, condition in zip(ax.get_yticklabels(), found):
            tick.set_color(KIND_COLORS[condition.kind])
        ax.margins(x=0.15)  # room for arrows
        ax.xaxis.set_major_formatter(FuncFormatter(number))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_title(sentence([name]))
    axes[-1, 0].set_xlabel("threshold: number of training rules (logarithmic)")
    handles = [plt.Line2D([], [], linestyle="", marker="s", color=KIND_COLORS[kind], label=kind) for kind in KINDS if any(c.kind == kind for found in tables.values() for c in found)]
    handles.append(plt.Line2D([], [], linestyle="", marker="+", markersize=8, color=QUIET, label="the paper's"))
    figure.legend(handles=handles, loc="outside upper left", ncols=3, columnspacing=1.2, handletextpad=0.2)
    sign(figure, [made_by(frames[name], name) for name in tables])
    return figure


def dot_row(ax, y: int, condition: Condition):
    """One condition: its seeds, mean and interval or bound, and the ratio at the right."""
    color = KIND_COLORS[condition.kind]
    seeds = list(condition.place.by_seed.items())
    for i, (seed, (low, high)) in enumerate(seeds):
        at = y + 0.14 * (i - (len(seeds) - 1) / 2)
        marker = {"marker": "x" if seed in condition.unlearnt else "o", "markersize": 4.5, "markerfacecolor": "white", "markeredgecolor": color, "markeredgewidth": 1.0}
        if low != high:
            there, by = (high, -22) if low == 0 else (low, 22)
            ax.annotate("", (there, at), (by, 0), textcoords="offset points", arrowprops={"arrowstyle": "<|-", "color": color, "linewidth": 1.0, "shrinkA": 0, "shrinkB": 3})
        ax.plot([high if low == 0 else low], [at], linestyle="", zorder=4, **marker)
    if known := condition.place.interval:
        bars = np.nan_to_num([[known.mean - known.low], [known.high - known.mean]]).clip(min=0)
        ax.errorbar([known.mean], [y], xerr=bars, color=color, marker="|", markersize=9, markeredgewidth=1.8, elinewidth=1.8, capsize=0, zorder=3)
    if condition.name != UNCHANGED:
        ax.annotate(factor(condition), (1.0, y), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center", fontsize=8.5, color=QUIET, annotation_clip=False)


def panels(found: list[Condition], frame, origin: str):
    """Accuracy on unseen and seen rules against the number of rules, a panel for each condition, and without a change in grey."""
    columns, rows = 2, -(-len(found) // 2)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, 1.55 * rows + 1.2), sharex=True, sharey=True, squeeze=False)
    base = found[0].frame[found[0].frame["eval"] == "unseen"] if found[0].name == UNCHANGED else None
    for ax, condition in zip(axes.flat, found):
        if base is not None and condition.name != UNCHANGED:
            means = base.groupby("n_rules")["exact_match"].mean()
            ax.plot(means.index, means, color=QUIET, linestyle=":", linewidth=1.4, label="unseen, without the change")
        for name, style in (("seen", SEEN), ("unseen", UNSEEN)):
            seeds_curve(ax, condition.frame[condition.frame["eval"] == name], "n_rules", "exact_match", f"{name} rules", **style)
        accuracy_axes(ax, condition.name + " †" * bool(condition.unlearnt))
        ax.set(xscale="log", ylabel="exact match" if ax in axes[:, 0] else "")
        ax.xaxis.set_major_formatter(FuncFormatter(number))
    for ax in axes.flat[len(found) :]:
        ax.remove()
        axes[-2, -1].tick_params(labelbottom=True)
    legend(figure, axes.flat[: len(found)], first=["unseen rules", "seen rules"])
    sign(figure, ["number of training rules: horizontal axis, logarithmic", made_by(frame, origin)])
    return figure


# ---- tables ----------------------------------------------------------------------------------------------------------


def threshold_table(found: list[Condition], caption: str, name: str) -> str:
    """Threshold and ratio of each condition, what the rule says, and the lowest mean accuracy on seen rules."""
    rows = []
    for c in found:
        seen = c.frame[c.frame["eval"] == "seen"].groupby("n_rules")["exact_match"].apply(interval)
        least = min(seen.index, key=lambda n: seen[n].mean)
        base, ratio, said = ("–", "1", "") if c.name == UNCHANGED else ("–", "–", c.moved) if c.unlearnt or not c.ratio else (c.base, c.ratio, c.moved)
        rows.append([c.name + " †" * bool(c.unlearnt), c.kind, c.place, base, ratio, said, f"{seen[least].mean:.2f} ({least:,} rules)"])
    return table(caption, name, ["change", "of", "threshold", "no change, on the same numbers of rules", "ratio, seed by seed on these", "the rule says", "lowest accuracy on seen rules"], rows)


def expectation_table(found: list[Condition], caption: str, name: str) -> str:
    """The changes of which the chapter's explanation says something: what it expects, what was measured."""
    rows = [[c.name, c.expected, c.ratio or "–", c.moved, agreement(c)] for c in found if c.expected] or [["none", "", "", "", ""]]
    return table(caption, name, ["change", "expected", "ratio", "the rule says", "agrees"], rows)
