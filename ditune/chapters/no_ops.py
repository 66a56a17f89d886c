"""03: inputs that do not hold x, "no-ops", among the training examples, in several shares (D5).

Source: Zhang et al. 2024 (arXiv 2405.19787), symbolic experiments with no-ops; the paper's curves are not known, only
its words. The control: no no-ops, and as many examples that hold x as the largest share of no-ops leaves, in smaller
batches, so that the number of steps stays.
"""

import math

from ..report import plots, tables
from ..report.ledger import HIGH, LEARNT, LOW, Claim, Finding
from ..report.stats import FAILS, HOLDS, OPEN, Bounds, accuracy, by_seed, interval, smallest, threshold, within
from ..rewriting.specs import RunSpec
from .common import PAPER_SCALE, by_rules, listed, literal, rewriting_run, seeds_of, tested, with_inputs, without

PAPER_PLACE = (300, 500)
"""The paper's threshold at every share, "about 400": its own words place it at 300 and at 500."""
MOST_MOVED = 5 / 3
"""Two thresholds are the same where they differ by no larger factor: the ends of the paper's "about 400" do."""
NONE = "no no-ops"


def runs(no_op_shares, n_rules, first_seed, n_seeds, n_test, task, model, train) -> list[RunSpec]:
    """Trainings without no-ops (those of 02), with each share, and the control, for each number of rules and seed.

    All runs with no-ops are tested on inputs of which half are no-ops (the paper: shares 0.1 to 0.5).
    """
    task = without("task", task, "n_rules", "no_op_share")
    model, train = literal("model", model, dict), literal("train", train, dict)
    shares, numbers = listed("no_op_shares", no_op_shares, (int, float)), listed("n_rules", n_rules, int)
    out = by_rules(numbers, first_seed, n_seeds, n_test, task, model, train)
    for share in shares:
        for n in numbers:
            own = task | {"n_rules": n, "no_op_share": share}
            evals = tested(n_test, own | {"no_op_share": 0.5})
            out += [rewriting_run(own, model, train, evals, seed) for seed in seeds_of(first_seed, n_seeds)]
    defaults, kept = RunSpec.of(task=task, train=train), 1 - max(shares)
    fewer = task | {"n_examples": max(1, round(kept * defaults.task.n_examples))}
    smaller = train | {"batch_size": max(1, round(kept * defaults.train.batch_size))}
    return out + by_rules(numbers, first_seed, n_seeds, n_test, fewer, model, smaller)


def frame(chapter):
    """The runs with accuracies by kind of input (`common.with_inputs`)."""
    from ..store import records

    return with_inputs(records.frame(chapter.specs), chapter.slices)


def trainings(frame) -> dict:
    """The rows by training: without no-ops, the control, then the shares, ascending."""
    most, none = frame["n_examples"].max(), frame["no_op_share"] == 0
    control = frame[none & (frame["n_examples"] < most)]
    out = {NONE: frame[none & (frame["n_examples"] == most)]}
    if len(control):
        out[control_name(frame)] = control
    return out | {f"{100 * share:g} % no-ops": rows for share, rows in frame[~none].groupby("no_op_share")}


def control_name(frame) -> str:
    """What the control is called, by the share of the examples that it has."""
    return f"{NONE}, {100 * frame['n_examples'].min() / frame['n_examples'].max():.3g} % of the data"


def most_no_ops(frame) -> tuple[str, object]:
    """The training with the largest share of no-ops: its name and its rows."""
    return list(trainings(frame).items())[-1]


def ratios(frame) -> dict[str, Bounds]:
    """How many times as many rules each share needs as no no-ops, and the largest share as the control."""
    places = {name: threshold(rows) for name, rows in trainings(frame).items()}
    control, last = places.get(control_name(frame)), list(places)[-1]
    shares = {name: place for name, place in places.items() if not name.startswith(NONE)}
    out = {f"{name} against\nas many examples": place.over(places[NONE]) for name, place in shares.items()}
    if control:
        out[f"{last} against\nas many inputs with x"] = places[last].over(control)
    return {name: ratio for name, ratio in out.items() if ratio}


# ---- claims ----------------------------------------------------------------------------------------------------------


def share_is_nothing(frame) -> Finding:
    """D5: whether the threshold stays where it is, the number of inputs that hold x being the same."""
    found = ratios(frame)
    name, ratio = list(found.items())[-1] if found else ("", None)
    if "with x" not in name:
        return Finding(OPEN, "There is no control with as many inputs that hold x.")
    share, rows = most_no_ops(frame)
    cells = {n: (accuracy(own), accuracy(own, "seen")) for n, own in rows.groupby("n_rules")}
    unlearnt = [n for n, (unseen, seen) in cells.items() if unseen.mean < 0.5 and not seen.low >= LEARNT]
    outcome = moved(ratio)
    if unlearnt and outcome == FAILS and ratio.mean[0] > 1:
        outcome = OPEN
    text = f"{in_line(name)}: {factor(ratio)}"
    text += "".join(f"; {in_line(other)}: {factor(value)}" for other, value in found.items() if other != name)
    if unlearnt:
        text += f". With {share} seen rules are not learnt at {', '.join(f'{n:,}' for n in unlearnt)} rules"
    least = math.exp(min(smallest(ratio.logs()[:, 0]), 700.0)) if ratio.interval else None
    return Finding(outcome, text + ".", ratio.interval, least, n_seeds=len(ratio.by_seed))


def moved(ratio: Bounds) -> str:
    """HOLDS where a ratio of thresholds lies within the margin, FAILS where it lies outside, if only by bounds."""
    if ratio.interval:
        return within(interval(ratio.logs()[:, 0]), math.log(MOST_MOVED))
    sides = ratio.by_seed.values()
    outside = all(low > MOST_MOVED for low, _ in sides) or all(high < 1 / MOST_MOVED for _, high in sides)
    return FAILS if outside else OPEN


def factor(ratio: Bounds) -> str:
    """A ratio of numbers of rules in words.

    >>> factor(Bounds({0: (2.0, 2.0)})), factor(Bounds({0: (0.0, float("inf"))}))
    ('a factor of 2.00', 'an unknown factor')
    """
    return "an unknown factor" if str(ratio) == "not bounded" else f"a factor of {ratio}"


def in_line(name: str) -> str:
    """A label on one line."""
    return name.replace("\n", " ")


def only_no_ops(frame) -> Finding:
    """D5b: whether models that have learnt their rules, and apply no others, answer no-ops of others."""
    name, rows = most_no_ops(frame)
    cells = [(n, accuracy(own), accuracy(own, "unseen", "no_op"), own) for n, own in rows.groupby("n_rules")
             if accuracy(own, "seen").low >= LEARNT and accuracy(own).high <= LOW]  # fmt: skip
    if not cells:
        return Finding(OPEN, f"With {name} at no number of rules are seen ones learnt and unseen ones not.", n_seeds=0)
    n, unseen, no_op, own = max(cells, key=lambda cell: cell[2].low)
    outcome = HOLDS if no_op.low >= HIGH else FAILS if all(c[2].high < HIGH for c in cells) and len(cells) > 1 else OPEN
    text = f"{n:,} rules, {name}: {no_op} of the no-ops of unseen rules are right, {unseen} of the inputs that hold x"
    return Finding(outcome, f"{text}; of these {accuracy(own, 'unseen', 'copied')} are copied.", no_op)


SOURCE = "arXiv 2405.19787, symbolic experiments with no-ops"
CLAIMS = (
    Claim(
        "D5",
        "The share of no-ops does not change the number of rules from which unseen rules are applied.",
        SOURCE,
        "number of rules at which the accuracy on inputs of unseen rules that hold x passes 0.5; ratios seed by seed",
        "Compares the largest share with training on as many inputs that hold x and no no-ops. Holds where the "
        f"interval of the ratio lies within {1 / MOST_MOVED:.2f} to {MOST_MOVED:.2f}, does not hold where it lies "
        f"outside. A ratio above that counts only if the seen rules are learnt (at least {LEARNT}) at the numbers of "
        "rules where fewer than half of the inputs are right. Changed after three seeds, which settle it by neither "
        "rule: before, the comparison was with as many examples.",
        "The paper's about 400 is 300 to 500 in its own words: a factor of 5/3.",
        share_is_nothing,
    ),
    Claim(
        "D5b",
        "With too few rules a model answers only the no-ops of unseen rules.",
        SOURCE,
        "exact match on inputs of unseen rules, no-ops and those that hold x apart, at the largest share of no-ops",
        f"Holds where at some number of rules the seen ones are learnt (at least {LEARNT}), inputs of unseen ones "
        f"that hold x are not answered (at most {LOW}) and no-ops are (at least {HIGH}). Does not hold where at two "
        f"such numbers or more, and at all of them, fewer than {HIGH} of the no-ops are right. Entered after three "
        "seeds had been seen.",
        "Bounds of intervals, far from one another.",
        only_no_ops,
    ),
    Claim("D5n", "The change lies at about 400 rules at every share of no-ops.", SOURCE, "", "", "", None, PAPER_SCALE),
)  # fmt: skip


# ---- answer, figures, tables -----------------------------------------------------------------------------------------


def answer(chapter) -> str:
    """The answer in a sentence."""
    found = [factor(ratio) for ratio in ratios(chapter.frame).values()]
    share = f"{100 * chapter.frame['no_op_share'].max():g} % no-ops"
    control = f"; among as many inputs that hold the pattern, by {found[-1]}" if len(found) > 1 else ""
    whole = found[-2] if len(found) > 1 else found[-1]
    return f"**Among as many examples, {share} multiply the number of rules that a model needs by {whole}{control}.**"


def figure_accuracy(chapter):
    """Accuracy on inputs of unseen rules that hold x, a curve for each training."""
    found = trainings(chapter.frame)
    figure, (ax,) = plots.panels(1, height=3.6)
    ax.axvspan(*PAPER_PLACE, color="#e3e3e3", linewidth=0, zorder=0, label="paper, every share")
    for (name, rows), style in zip(found.items(), plots.styles(found).values()):
        plots.curve(ax, rows[rows["eval"] == "unseen"], "n_rules", "exact_match", name, chapter.again, **style)
    plots.accuracy_axis(ax)
    plots.rules_axis(ax)
    plots.legend(figure, [ax], list(found))
    return plots.finished(figure, chapter.frame, plots.training(chapter.frame), plots.sizes(chapter.frame))


def figure_ratios(chapter):
    """How many times as many rules each training needs, and the margin of D5."""
    found = {name: ratio.logs()[:, 0] for name, ratio in ratios(chapter.frame).items() if ratio.interval}
    figure, (ax,) = plots.panels(1, height=0.75 * max(1, len(found)) + 0.3)
    ax.axvspan(-math.log(MOST_MOVED), math.log(MOST_MOVED), color="#e3e3e3", linewidth=0, zorder=0)
    plots.forest(ax, found)
    ticks = (0.25, 0.5, 1, 2, 4, 8)
    ax.set_xticks([math.log(tick) for tick in ticks], [f"{tick:g}" for tick in ticks])
    ax.set_xlabel("times as many rules (logarithmic); grey: the margin")
    return plots.finished(figure, chapter.frame)


def figure_answers(chapter):
    """What models do with inputs of unseen rules: no-ops that are right, and inputs with x that are copied."""
    unseen, found = chapter.frame[chapter.frame["eval"] == "unseen"], trainings(chapter.frame)
    figure, axes = plots.panels(2, height=2.5, sharex=True)
    parts = {"no_op": "No-ops: answered right", "copied": "Inputs that hold x: copied, which is wrong"}
    for ax, (column, title) in zip(axes, parts.items()):
        for (name, rows), style in zip(found.items(), plots.styles(found).values()):
            rows = rows[(rows["eval"] == "unseen") & rows[column].notna()]
            if len(rows):
                plots.curve(ax, rows, "n_rules", column, name, chapter.again, **style)
        plots.accuracy_axis(ax, title)
        ax.set_ylabel("share")
        plots.rules_axis(ax)
    axes[0].set_xlabel("")
    plots.legend(figure, axes, list(found))
    return plots.finished(figure, unseen)


def table_accuracy(chapter) -> str:
    """Accuracies by training and number of rules, on unseen rules by kind of input."""
    rows = []
    for name, own in trainings(chapter.frame).items():
        for n, group in own.groupby("n_rules"):
            raw = ", ".join(f"{value:.2f}" for value in by_seed(group))
            others = [accuracy(group, "unseen", column) for column in ("no_op", "copied")]
            rows.append([name, f"{n:,}", accuracy(group), raw, *others, accuracy(group, "seen")])
    caption = "Shares of answers that are right, and of inputs that hold x and are copied: mean with 95 % t-interval"
    header = ["training", "rules", "unseen rules, x", "by seed", "no-ops", "x, copied", "seen rules, x"]
    return tables.table(caption, "tab-no-ops", header, rows)


def table_thresholds(chapter) -> str:
    """The number of rules at which one half is passed, by training, with the values of the seeds."""
    rows = []
    for name, own in trainings(chapter.frame).items():
        place = threshold(own)
        raw = ", ".join(str(Bounds({seed: bounds})) for seed, bounds in place.by_seed.items())
        rows.append([name, place, raw, place.over(threshold(trainings(chapter.frame)[NONE])) or "–"])
    caption = "Rules at which half of the inputs of unseen rules that hold x are right: geometric mean, 95 % t-interval"
    return tables.table(caption, "tab-no-ops-thresholds", ["training", "rules", "by seed", f"ratio to {NONE}"], rows)
