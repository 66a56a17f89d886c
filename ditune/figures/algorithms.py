"""Running algorithms (chapter 08): tables of outcomes, figures, tables and words.

An outcome is a share of one run of a model: a row of `records.slices` of its sets "harness/R", with the columns `harness`, `rules` (R, of an
algorithm), `model` (its training in a few words); `slice` and `value` are those of `ditune.running.measured`.
"""

import matplotlib.pyplot as plt
import numpy as np

from .. import plotting, records
from ..claims.ledger import LEARNT, sentence
from ..intervals import Interval, interval
from ..plotting import made_by, table
from ..running_specs import AlgorithmSpec
from .shared import group_styles, legend, split

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


# ---- words -----------------------------------------------------------------------------------------------------------


def compared(change: Interval, more: str, less: str, even: str) -> str:
    """Which of three is said of a difference: by the bounds of its interval, or, of one seed, by its sign.

    >>> compared(interval([0.1, 0.2]), "more", "less", "as often"), compared(interval([-0.1]), "more", "less", "as often")
    ('more (0.15 [0.10, 0.20])', 'less in the one seed tried (-0.10)')
    """
    if change.n < 2:
        return f"{more if change.mean > 0 else less if change.mean < 0 else even} in the one seed tried ({change.mean:.2f})"
    return f"{more if change.low > 0 else less if change.high < 0 else even} ({change})"


def plain_model(outs) -> str:
    """The model of chapter 02 that is looked at: the most rules, no no-ops."""
    rows = outs[(outs["no_op_share"] == 0) & (outs["rules_in_prompt"] == 1)]
    return rows.loc[rows["n_rules"].idxmax(), "model"]


def with_no_ops(outs, prompted: bool = False) -> str:
    """The model trained with no-ops, with one rule in its prompt or several; of several models the last."""
    rows = outs[(outs["no_op_share"] > 0) & ((outs["rules_in_prompt"] > 1) == prompted)]
    return list(dict.fromkeys(rows["model"]))[-1]


def paired(first, second) -> Interval:
    """The second less the first: means of each seed's shares, over the seeds of both."""
    by_seed = [rows.groupby("seed")["exact_match"].mean() for rows in (first, second)]
    return interval((by_seed[1] - by_seed[0]).dropna())


def among(name: str) -> str:
    """Which runs a sentence is about.

    >>> among("profile laptop"), among("own parameters")
    ('In profile laptop', 'With own parameters')
    """
    return f"{'With' if name == 'own parameters' else 'In'} {name}"


def summary(outs, name: str) -> str:
    """One sentence on the runs of the plain model and of the one that has met no-ops."""
    said = []
    for model in (plain_model(outs), with_no_ops(outs)):
        means = [interval(by_model(by_steps(outs, harness, "steps"))[model].groupby("seed")["exact_match"].mean()) for harness in ("oracle", "in_order")]
        said.append(f"{means[0]} of the runs end right where the rule is chosen exactly and {means[1]} where the rules are tried in order ({model})")
    return f"{among(name)}, {'; '.join(said)}."


def findings(outs, frame) -> list[str]:
    """What was found on algorithms, in sentences that the numbers decide."""
    plain, careful, chooser = plain_model(outs), with_no_ops(outs), with_no_ops(outs, prompted=True)
    few = outs["rules"].min()
    return [states_in_words(outs, frame, plain), steps_in_words(outs, plain), *(refusing_in_words(outs, model) for model in (plain, careful)), choosing_in_words(outs, frame, careful, chooser, few), breaks_in_words(outs, careful)]


def states_in_words(outs, frame, model: str) -> str:
    """Whether single steps are harder on the states of runs than on the test's inputs."""
    states = by_model(of(outs, "oracle", "answers"))[model]
    states = states[states["value"] == "applies"]
    runs = frame[frame["key"].isin(states["key"]) & (frame["eval"] == "unseen")]
    change = paired(runs, states)
    return (
        f"**The states.** Single steps of unseen rules are right in {interval(runs['exact_match'])} of the test's inputs and in {interval(states['exact_match'])} of the states that exact runs "
        f"pass through ({model}); the states are {compared(change, 'easier', 'harder', 'no easier and no harder')}."
    )


def steps_in_words(outs, model: str) -> str:
    """How success falls with the number of steps, beside the prediction."""
    measured, said = (by_model(by_steps(outs, "oracle", part))[model] for part in ("steps", "predicted"))
    few, most = measured["steps"].min(), measured["steps"].max()
    return (
        f"**The steps** ({model}). Where the rule is chosen exactly, {interval(at(measured, few))} of the runs of {few} step{'s' * int(few > 1)} end right and {interval(at(measured, most))} of those of "
        f"{most} steps, of which the accuracy of single steps predicts {interval(at(said, most))}. Over all numbers of steps, runs end right {compared(gap(outs, 'oracle', model, 'predicted'), 'more often than predicted', 'less often than predicted', 'as often as predicted')}."
    )


def refusing_in_words(outs, model: str) -> str:
    """What it costs that the model decides whether a rule applies."""
    answers = by_model(of(outs, "in_order", "answers"))[model]
    refused = interval(answers[answers["value"] == "refuses"]["exact_match"])
    chosen, tried = (by_model(by_steps(outs, harness, "steps"))[model] for harness in ("oracle", "in_order"))
    return (
        f"**Whether a rule applies** ({model}). A rule that does not apply is left alone in {refused} of the cases. Where the rules are tried in order, {interval(tried.groupby('seed')['exact_match'].mean())} of all runs "
        f"end right, and {interval(chosen.groupby('seed')['exact_match'].mean())} where the rule is chosen exactly; trying in order does {compared(paired(chosen, tried), 'better', 'worse', 'as well')}."
    )


def choosing_in_words(outs, frame, careful: str, chooser: str, n_rules: int) -> str:
    """Rules tried in order against rules in the prompt, on the same algorithms, and whether both models have learnt their own rules."""
    tried, listed = (by_model(by_steps(outs, harness, "steps", n_rules))[model] for harness, model in (("in_order", careful), ("prompted", chooser)))
    means = [interval(rows.groupby("seed")["exact_match"].mean()) for rows in (tried, listed)]
    seen = [interval(frame[frame["key"].isin(rows["key"]) & (frame["eval"] == "seen")]["exact_match"]) for rows in (tried, listed)]
    unclear, clear = (ambiguous(outs[outs["model"] == chooser], "prompted", value) for value in ("yes", "no"))
    learnt = "both have learnt" if min(s.low if s.n > 1 else s.mean for s in seen) >= LEARNT else "not both have learnt"
    return (
        f"**Who chooses.** Of the same algorithms of {n_rules} rules, {means[0]} end right where a model reads one rule at a time ({careful}), and {means[1]} where another reads all of them and chooses ({chooser}); "
        f"the second does {compared(paired(tried, listed), 'better', 'worse', 'as well')}. With {seen[0]} and {seen[1]} right answers on seen rules that apply, {learnt} what they were trained on, at a bound of {LEARNT}; "
        f"{'they differ in their training all the same' if learnt[0] == 'b' else 'this compares trainings and not ways of asking'}. Where more than one place or rule applies, the second is right in {unclear} of the states, "
        f"and in {clear} of the others."
    )


def breaks_in_words(outs, model: str) -> str:
    """The most frequent kind of the first wrong answer, and whether later steps are harder than early ones."""
    said = []
    for harness in ("oracle", "in_order"):
        rows = by_model(of(outs, harness, "broke")).get(model)
        if rows is not None:
            kind, share = max(first_errors(rows).items(), key=lambda item: item[1])
            said.append(f"“{kind}” where {'the rule is chosen exactly' if harness == 'oracle' else 'rules are tried in order'} ({share:.0%})")
    along = by_model(by_steps(outs, "oracle", "place"))[model]
    first, last = along["steps"].min(), along["steps"].max()
    later = f" Of the answers where a rule applies, {interval(at(along, first))} are right at step {first} and {interval(at(along, last))} at step {last}."
    found = f"The most frequent first error is {', and '.join(said)}." if said else "No run has a wrong answer."
    return f"**Where runs break** ({model}). {found}{later}"


def lengths_in_words(rows) -> str:
    """Accuracy on lengths inside and outside those trained on, by kind of positions."""
    said = []
    for position, group in split(rows, "position").items():
        low, high = group["z_len"].iloc[0]
        parts = {"trained": group["length"].between(low, high), "shorter": group["length"] < low, "longer": group["length"] > high}
        said.append(f"{position} positions: " + ", ".join(f"{interval(group[where].groupby('seed')['exact_match'].mean())} on {name} lengths" for name, where in parts.items() if where.any()))
    return f"**Lengths.** {'; '.join(said)}."


def which_in_words(frame) -> str:
    """Accuracy on unseen rules by the occurrence that is replaced, beside that on seen ones."""
    said = []
    for which, rows in split(frame.assign(replace_which=frame["replace_which"].astype(str)), "replace_which").items():
        unseen, seen = (interval(rows[rows["eval"] == e]["exact_match"]) for e in ("unseen", "seen"))
        said.append(f"{f'number {which}' if which.isdigit() else which} {unseen} (seen rules {seen})")
    return f"**Which occurrence.** On unseen rules, where x occurs more than once in part of the inputs: {', '.join(said)}."
