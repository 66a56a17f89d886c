"""Running algorithms (chapter 08): tables of outcomes, figures and tables; `figures.algorithms_words` says them in sentences.

An outcome is a share of one run of a model: a row of `records.slices` of its sets "harness/R", with the columns `harness`, `rules` (R, of an
algorithm), `model` (its training in a few words); `slice` and `value` are those of `ditune.running.measured`.
"""

import matplotlib.pyplot as plt
import numpy as np

from ..claims.ledger import sentence
from ..figures import plotting
from ..figures.intervals import Interval, interval
from ..figures.plotting import made_by, table
from ..figures.shared import group_styles, legend, split
from ..rewriting.specs import AlgorithmSpec
from ..store import records

HARNESSES = {"oracle": "rule chosen exactly", "in_order": "rules tried in order", "prompted": "all rules in the prompt"}
"""Who decides which rule is used, in words."""

# ---- tables of runs --------------------------------------------------------------------------------------------------


def outcomes(specs, folders=None):
    """What the models made of algorithms: one row for each run, harness, number of rules, slice and value."""
    rows = records.slices([spec for spec in specs if isinstance(spec, AlgorithmSpec)], folders)
    rows = rows[rows["eval"].str.contains("/")]
    sets = rows["eval"].str.split("/", expand=True)
    return rows.assign(harness=sets[0], rules=sets[1].astype(int), model=[model_name(row) for _, row in rows.iterrows()])


def model_name(row) -> str:
    """A training in a few words.

    >>> model_name({"n_rules": 10000, "no_op_share": 0.25, "rules_in_prompt": 3, "position": "rotary"})
    '10,000 × 3 rules, no-ops, rotary'
    """
    several = f" × {row['rules_in_prompt']}" if row["rules_in_prompt"] > 1 else ""
    parts = [f"{row['n_rules']:,}{several} rules", *["no-ops"] * (row["no_op_share"] > 0), *[row["position"]] * (row["position"] != "learned")]
    return ", ".join(parts)


def of(outs, harness: str, part: str, n_rules: int | None = None):
    """The rows of one harness and slice, with the numbers of rules asked for, or the most that there are."""
    rows = outs[(outs["harness"] == harness) & (outs["slice"] == part)]
    return rows[rows["rules"] == (n_rules or rows["rules"].max())]


def by_steps(outs, harness: str, part: str, n_rules: int | None = None):
    """The same of a slice whose values are numbers of steps: column `steps`."""
    rows = of(outs, harness, part, n_rules)
    return rows.assign(steps=rows["value"].astype(int))


def at(rows, steps: int):
    """The shares of right answers or runs at a number of steps."""
    return rows[rows["steps"] == steps]["exact_match"]


def by_model(rows) -> dict:
    """The rows by model, in the order of the runs."""
    return {model: rows[rows["model"] == model] for model in dict.fromkeys(rows["model"])}


# ---- figures ---------------------------------------------------------------------------------------------------------


def success(found: dict, frames: dict, harness: str):
    """Runs that end right against the number of steps, a curve a model, and dashed what the accuracy of single answers predicts:
    a panel a table, {"profile laptop": outcomes}; frames: the tables of the runs, for their origin."""
    rows = {name: (by_steps(outs, harness, "steps"), by_steps(outs, harness, "predicted")) for name, outs in found.items()}
    panels = {f"{sentence([name])}: {HARNESSES[harness]},\nalgorithms of {measured['rules'].iloc[0]} rules": (by_model(measured), by_model(said)) for name, (measured, said) in rows.items()}
    return with_predictions(panels, [made_by(frame, name) for name, frame in frames.items()])


def choosing(found: dict, frames: dict):
    """Algorithms of as many rules as the prompt holds, run by the models trained with no-ops: rules tried in order, or all in the prompt."""
    panels = {}
    for name, outs in found.items():
        outs = outs[outs["no_op_share"] > 0]
        n_rules = outs[outs["harness"] == "prompted"]["rules"].max()
        panels[f"{sentence([name])}: algorithms of {n_rules} rules"] = tuple(
            {f"{HARNESSES[h]}:\n{model}": rows for h in ("in_order", "prompted") for model, rows in by_model(by_steps(outs, h, part, n_rules)).items()} for part in ("steps", "predicted")
        )
    return with_predictions(panels, [made_by(frame, name) for name, frame in frames.items()])


def with_predictions(panels: dict, origins: list[str]):
    """Panels of measured and predicted shares by steps, {title: (measured, predicted)}."""
    return number_panels(panels, origins, "steps", "steps T of the exact run", "runs that end right (share)")


def number_panels(panels: dict, origins: list[str], x: str, xlabel: str, ylabel: str, band=None):
    """Panels one above the other, {title: (groups, dashed groups)}, on a linear axis of small numbers, where the marks of seeds are
    set aside by the same distance everywhere (`shared.grouped_panels` is for logarithmic axes). band: (from, to, label)."""
    styles = group_styles([label for groups, _ in panels.values() for label in groups])
    figure, axes = plt.subplots(len(panels), 1, figsize=(plotting.WIDTH, (plotting.PANEL - 0.3) * len(panels) + 1.2), sharex=True, squeeze=False)
    for ax, (title, (groups, dashed)) in zip(axes[:, 0], panels.items()):
        if band:
            ax.axvspan(*band[:2], color="#e3e3e3", linewidth=0, zorder=0, label=band[2])
        for label, rows in groups.items():
            seeds_and_means(ax, rows, x, label, styles[label])
        for label, rows in dashed.items():
            means = rows.groupby(x)["exact_match"].mean()
            ax.plot(means.index, means, color=styles[label]["color"], linestyle="--", linewidth=1.2)
        plotting.accuracy_axes(ax, title)
        ax.set(ylabel=ylabel, xticks=sorted({n for rows in groups.values() for n in rows[x]}))
    axes[-1, 0].set_xlabel(xlabel)
    legend(figure, axes[:, 0], first=list(styles))
    plotting.sign(figure, origins)
    return figure


def seeds_and_means(ax, rows, x: str, label: str, style: dict):
    """An open mark for each seed, a line through the means, their intervals as bars."""
    seeds = sorted(rows["seed"].unique())
    open_mark = {"marker": style["marker"], "markersize": 4, "markerfacecolor": "white", "markeredgecolor": style["color"], "markeredgewidth": 0.9}
    for i, seed in enumerate(seeds):
        one = rows[rows["seed"] == seed]
        ax.plot(one[x] + 0.14 * (i - (len(seeds) - 1) / 2), one["exact_match"], linestyle="", zorder=4, **open_mark)
    means = {n: interval(group["exact_match"]) for n, group in rows.groupby(x)}
    reach = [[m.mean - m.low for m in means.values()], [m.high - m.mean for m in means.values()]]
    bars = np.nan_to_num(reach).clip(min=0)
    ax.errorbar(list(means), [m.mean for m in means.values()], yerr=bars, capsize=3.5, elinewidth=1.6, capthick=1.6, zorder=3, label="_means", **style | {"marker": ""})
    ax.plot([], [], label=label, markersize=4, markerfacecolor="white", **style)


KINDS = {
    "copied": plotting.SKY, "applied in vain": plotting.VERMILION, "wrong place": plotting.ORANGE, "another rule": plotting.PURPLE,
    "wrong letters": plotting.BLUE, "no word": plotting.BLACK,
}  # fmt: skip
"""The kinds of `ditune.running.kind_of_error`."""


def breaks(outs, frame, origin: str):
    """Kinds of the first wrong answer, as shares of the runs that have one: a bar for each harness and model."""
    bars = [(f"{HARNESSES[harness]}:\n{model}", rows) for harness in HARNESSES for model, rows in by_model(of(outs, harness, "broke")).items()]
    figure, ax = plt.subplots(figsize=(plotting.WIDTH, 0.62 * len(bars) + 1.6))
    for at, (_, rows) in enumerate(bars):
        left = 0.0
        for kind, share in first_errors(rows).items():
            ax.barh(at, share, left=left, color=KINDS[kind], height=0.62)
            left += share
    ax.set(yticks=range(len(bars)), xlim=(0, 1), xlabel="share of the runs with a wrong answer")
    ax.set_yticklabels([label for label, _ in bars], fontsize=9)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    handles = [plt.Rectangle((0, 0), 1, 1, color=color) for color in KINDS.values()]
    figure.legend(handles, list(KINDS), loc="outside upper left", ncols=3, handlelength=0.9, columnspacing=1.2)
    plotting.sign(figure, [made_by(frame, origin)])
    return figure


def first_errors(rows) -> dict[str, float]:
    """The share of each kind among the first wrong answers, over the runs of all seeds."""
    counts = (rows["exact_match"] * rows["n"]).groupby(rows["value"]).sum()
    return {kind: counts.get(kind, 0.0) / counts.sum() for kind in KINDS}


def lengths(found: dict, frames: dict):
    """Accuracy on unseen rules by the length of the input, a curve for each kind of positions: a panel a table of `lengths_of`."""
    panels = {sentence([name]): (split(rows, "position"), {}) for name, rows in found.items()}
    low, high = next(iter(found.values()))["z_len"].iloc[0]
    origins = [made_by(frame, name) for name, frame in frames.items()]
    return number_panels(panels, origins, "length", "length of the input", "exact match (share)", (low - 0.4, high + 0.4, "lengths trained on"))


def lengths_of(specs, folders=None):
    """The accuracy on each length of input of the runs that are tested on several: column `length`."""
    rows = records.slices([spec for spec in specs if any(e.name == "lengths" for e in spec.evals)], folders)
    rows = rows[(rows["eval"] == "lengths") & (rows["slice"] == "z_len")]
    return rows.assign(length=rows["value"].astype(int))


# ---- tables ----------------------------------------------------------------------------------------------------------


def gap(outs, harness: str, model: str, part: str, n_rules: int | None = None) -> Interval:
    """How much more often runs end right than `part` ("predicted", "predicted_by_test") says: mean over the numbers of steps, by seed."""
    rows = [by_model(by_steps(outs, harness, name, n_rules))[model].groupby("seed")["exact_match"].mean() for name in ("steps", part)]
    return interval(rows[0] - rows[1])


def runs_table(outs, caption: str, name: str) -> str:
    """By harness, number of rules and model: success at the fewest and the most steps, what is predicted there, and the gap."""
    rows = []
    for harness in HARNESSES:
        for n_rules in sorted(set(outs[outs["harness"] == harness]["rules"])):
            for model in by_model(of(outs, harness, "steps", n_rules)):
                measured, said = (by_model(by_steps(outs, harness, part, n_rules))[model] for part in ("steps", "predicted"))
                few, most = measured["steps"].min(), measured["steps"].max()
                ends = [f"{t}: {interval(at(measured, t))}, predicted {at(said, t).mean():.2f}" for t in (few, most)]
                rows.append([f"{HARNESSES[harness]}, R = {n_rules}", model, *ends, gap(outs, harness, model, "predicted", n_rules)])
    header = ["which rule, rules R", "trained on", "fewest steps T", "most steps T", "measured less predicted, all T"]
    return table(caption, name, header, rows)


def ambiguous(outs, harness: str, value: str) -> Interval | str:
    """Accuracy on the states where more than one place or rule applies ("yes"), or only one ("no"); a dash where there are none."""
    states = of(outs, harness, "ambiguous")
    found = states[states["value"] == value]["exact_match"]
    return interval(found) if len(found) else "–"


def answers_table(outs, frame, caption: str, name: str) -> str:
    """By model: single answers on the test's inputs and on the states of the exact runs, where a rule applies and where none does."""
    rows = []
    for model, group in by_model(outs).items():
        runs = frame[frame["key"].isin(group["key"])]
        seen, *test = (interval(runs[runs["eval"] == e]["exact_match"]) for e in ("seen", "unseen", "no_ops"))
        harness = "prompted" if "prompted" in set(group["harness"]) else "in_order"
        states = of(group, harness, "answers")
        on = [interval(states[states["value"] == value]["exact_match"]) for value in ("applies", "refuses")]
        rows.append([model, seen, test[0], on[0], ambiguous(group, harness, "yes"), test[1], on[1]])
    header = ["trained on", "seen rules apply: test", "an unseen rule applies: test", "states of runs", "of these, more than one place or rule", "no rule applies: test", "states of runs"]
    return table(caption, name, header, rows)


def which_table(frame, slices, caption: str, name: str) -> str:
    """By the occurrence that is replaced: accuracy on unseen rules by number of occurrences, and on seen rules."""
    rows = []
    for which in dict.fromkeys(frame["replace_which"]):
        unseen, seen = (frame[(frame["replace_which"] == which) & (frame["eval"] == e)] for e in ("unseen", "seen"))
        parts = slices[(slices["replace_which"] == which) & (slices["eval"] == "unseen") & (slices["slice"] == "occurrences")]
        by_count = [f"{n}: {interval(group['exact_match'])}" for n, group in parts.groupby("value")]
        rows.append([f"{which}" if isinstance(which, str) else f"number {which}", interval(unseen["exact_match"]), "; ".join(by_count) or "–", interval(seen["exact_match"])])
    return table(caption, name, ["occurrence replaced", "unseen rules", "by number of occurrences", "seen rules"], rows)
