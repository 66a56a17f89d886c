"""How models fail on unseen rules (chapter 07): what they answer instead, rules seen in part, and which way is learnt sooner.

Tables are those of `records.frame`; those of probes have the sets of `ditune.probe.COMBINATIONS`.
"""

import matplotlib.pyplot as plt
import numpy as np
from pandas import DataFrame, concat
from scipy import stats

from ..claims.ledger import sentence
from ..figures import plotting
from ..figures.intervals import Bounds, interval
from ..figures.plotting import WIDTH, made_by, sign, table
from ..rewriting.probe import COMBINATIONS
from .thresholds import LEVEL, UNCHANGED, Condition

BY_HEART = "y learnt with this x"
ANSWERS = {"right": plotting.BLUE, BY_HEART: plotting.PURPLE, "copy of the input": plotting.VERMILION, "something else": plotting.GREEN}
"""What an answer can be, with the colour that it is drawn in, here and by `shared.grouped_panels`."""


# ---- answers ---------------------------------------------------------------------------------------------------------


def answers(rows: DataFrame) -> DataFrame:
    """The rows with a column a kind of ANSWERS; the shares of a row add up to 1.

    >>> answers(DataFrame({"exact_match": [0.5], "copies": [0.25]})).iloc[0, -4:].to_list()
    [0.5, 0.0, 0.25, 0.25]
    """
    by_heart = rows["memorised"].fillna(0.0) if "memorised" in rows else 0.0
    other = (1 - rows["exact_match"] - rows["copies"] - by_heart).clip(lower=0)
    return rows.assign(**dict(zip(ANSWERS, (rows["exact_match"], by_heart, rows["copies"], other))))


def answers_to_unseen(tables: dict[str, list[Condition]]) -> dict[str, dict[str, DataFrame]]:
    """For `shared.grouped_panels`: the answers to unseen rules without a change and with rotary positions, by kind, as "share"."""
    out = {}
    for origin, found in tables.items():
        for condition in found:
            if condition.name == UNCHANGED or set(condition.frame["position"]) == {"rotary"}:
                rows = answers(condition.frame[condition.frame["eval"] == "unseen"])
                kinds = [kind for kind in ANSWERS if kind != BY_HEART]
                out[f"{sentence([origin])}: {condition.name}"] = {kind: rows.assign(share=rows[kind]) for kind in kinds}
    return out


# ---- rules seen in part ----------------------------------------------------------------------------------------------


def of_probes(frame) -> DataFrame:
    """The rows of a table that are combinations of seen and unseen sides, in the order of COMBINATIONS."""
    if frame.empty:
        return frame
    rows = concat([frame[frame["eval"] == which] for which in COMBINATIONS])
    rows.attrs = {}  # how many runs the whole table should have
    return rows


def probe_panels(tables: dict):
    """Answers to rules seen in part, {"profile laptop": probes}: a column for each kind of positions, a row for each number of
    rules; bars: mean shares of the answers; points: the share that is right in each seed, with the interval of its mean."""
    cells = [(name, n) for name, rows in tables.items() for n in sorted(set(rows["n_rules"]))]
    positions = sorted({p for rows in tables.values() for p in rows["position"]})
    figure, axes = plt.subplots(len(cells), len(positions), figsize=(WIDTH, 1.45 * len(cells) + 1.1), sharex=True, sharey=True, squeeze=False)
    for line, (name, n) in zip(axes, cells):
        for ax, position in zip(line, positions):
            rows = tables[name]
            probe_panel(ax, answers(rows[(rows["n_rules"] == n) & (rows["position"] == position)]))
            ax.set_title(f"{position}, {n:,} rules" + f"\n{name}" * (len(tables) > 1), fontsize=10)
    handles = [plt.Rectangle((0, 0), 1, 1, color=color) for color in ANSWERS.values()]
    figure.legend(handles, ANSWERS, loc="outside upper left", ncols=2, handlelength=1.0, columnspacing=1.2)
    sign(figure, ["horizontal axis: share of the answers", *(made_by(rows, name) for name, rows in tables.items())])
    return figure


def probe_panel(ax, rows):
    """Stacked bars of one kind of model, a bar for each combination."""
    for y, which in enumerate(COMBINATIONS):
        one, left = rows[rows["eval"] == which].sort_values("seed"), 0.0
        if one.empty:
            continue
        for kind, color in ANSWERS.items():
            ax.barh(y, one[kind].mean(), left=left, height=0.72, color=color, linewidth=0)
            left += one[kind].mean()
        right = interval(one["right"])
        spread = np.nan_to_num([[right.mean - right.low], [right.high - right.mean]]).clip(min=0)
        ax.errorbar([right.mean], [y], xerr=spread, color="black", linewidth=0, elinewidth=1.4, capsize=2.5, zorder=3)
        offsets = 0.13 * (np.arange(len(one)) - (len(one) - 1) / 2)
        ax.plot(one["right"], y + offsets, linestyle="", marker="o", markersize=3.5, markerfacecolor="white", markeredgecolor="black", markeredgewidth=0.8, zorder=4)
    ax.set(yticks=range(len(COMBINATIONS)), yticklabels=COMBINATIONS, ylim=(len(COMBINATIONS) - 0.5, -0.5), xlim=(-0.03, 1.03))
    ax.grid(axis="y", visible=False)


def probe_table(rows, caption: str, name: str) -> str:
    """The shares of `probe_panels` as numbers, over seeds with intervals."""
    lines = []
    for (position, n), group in answers(rows).groupby(["position", "n_rules"]):
        for which in COMBINATIONS:
            one = group[group["eval"] == which]
            lines.append([position, f"{n:,}", which, *(interval(one[kind]) if len(one) else "–" for kind in list(ANSWERS)[:3])])
    return table(caption, name, ["positions", "rules I", "asked for", *list(ANSWERS)[:3]], lines)


def by_heart_in_words(rows) -> str:
    """What the probes say of each kind of model: the accuracy on trained rules, and on trained x with the y of another rule."""
    lines = []
    for (position, n), group in answers(rows).groupby(["position", "n_rules"]):
        own, other = (group[group["eval"] == which] for which in ("trained rule", "y of another"))
        lines.append(f"{position} positions, {n:,} rules: {interval(own['right'])} and {interval(other['right'])}, and in {interval(other[BY_HEART])} of the latter the y learnt with this x")
    return "Right on trained rules, and on trained x with the y of another trained rule: " + "; ".join(lines) + "."


# ---- which way is learnt sooner --------------------------------------------------------------------------------------


FEWEST_CONDITIONS = 5


def first_step(steps, accuracy, level: float = LEVEL) -> tuple[float, float]:
    """Bounds of the step at which a learning curve first is at the level: equal where it is interpolated, linearly from 0 at
    step 0; from the last step to infinity where it never is.

    >>> first_step([50, 100], [0.0, 1.0]), first_step([50, 100], [1.0, 0.0]), first_step([50, 100], [0.0, 0.2])
    ((75.0, 75.0), (25.0, 25.0), (100.0, inf))
    """
    curve = [(0.0, 0.0), *sorted(zip(steps, accuracy))]
    for (a, p), (b, q) in zip(curve, curve[1:]):
        if p < level <= q:
            step = float(a + (level - p) / (q - p) * (b - a))
            return step, step
    return float(curve[-1][0]), float("inf")


def paces(curves: DataFrame, condition: Condition) -> dict[str, tuple[int, Bounds]]:
    """How soon a condition's models learn: {"seen": (numbers of rules, steps), "unseen": (...)}: one half of the seen rules at the
    fewest rules tried, and one half of the unseen ones at the most."""
    own = curves[curves["key"].isin(set(condition.frame["key"]))]
    out = {}
    for name, n in (("seen", own["n_rules"].min()), ("unseen", own["n_rules"].max())):
        runs = own[own["n_rules"] == n].groupby("seed")
        out[name] = int(n), Bounds({int(seed): first_step(rows["step"], rows[name]) for seed, rows in runs})
    return out


def pace_table(curves: DataFrame, found: list[Condition], caption: str, name: str) -> str:
    """For each condition the steps to learn its fewest rules, to apply unseen ones with its most, and its threshold."""
    rows = []
    for condition in found:
        pace = paces(curves, condition)
        steps = [f"{place} ({n:,} rules)" for n, place in (pace["seen"], pace["unseen"])]
        rows.append([condition.name + " †" * bool(condition.unlearnt), *steps, condition.place])
    return table(caption, name, ["change", "steps to half of seen rules", "steps to half of unseen rules", "threshold"], rows)


def pace_in_words(curves: DataFrame, found: list[Condition]) -> str:
    """Whether the threshold is higher where unseen rules are applied later: the rank correlation over the conditions that
    have learnt their rules and have both numbers in every seed."""
    pairs = [(paces(curves, condition)["unseen"][1], condition.place) for condition in found if not condition.unlearnt]
    known = [(step.mean[0], place.mean[0]) for step, place in pairs if step.interval and place.interval]
    if len(known) < FEWEST_CONDITIONS:
        return f"Conditions that have both numbers and have learnt their rules: {len(known)}, too few to say whether one rises with the other."
    rho = stats.spearmanr(*zip(*known)).statistic
    return f"Over the {len(known)} conditions that have both numbers and have learnt their rules, the rank correlation of these steps with the threshold is {rho:.2f}."
