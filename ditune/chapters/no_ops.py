"""03: inputs that do not hold x, "no-ops", among the training examples, in several shares (D5).

Source: Zhang et al. 2024 (arXiv 2405.19787), symbolic experiments with no-ops; the paper's curves are not known, only
its words. The control: no no-ops, and as many examples that hold x as the largest share of no-ops leaves, in smaller
batches, so that the number of steps stays.
"""

from ..report import plots, tables
from ..report.ledger import HIGH, LEARNT, LOW, Claim, Finding
from ..report.stats import FAILS, HOLDS, OPEN, Bounds, accuracy, threshold
from ..rewriting.specs import RunSpec
from ..store import records
from .common import by_rules, cells, listed, literal, with_inputs, without

PAPER_PLACE = (300, 500)
"""The paper's threshold at every share, "about 400": its own words place it at 300 and at 500."""
MOST_MOVED = 5 / 3
"""Two thresholds are the same where they differ by no larger factor: the ends of the paper's "about 400" do."""
NONE = "no no-ops"


def runs(no_op_shares, n_rules, first_seed, n_seeds, n_test, task, model, train) -> list[RunSpec]:
    """Trainings without no-ops (those of 02), with each share, and the control, for each number of rules and seed. All
    runs with no-ops are tested on inputs of which half are no-ops (the paper: shares 0.1 to 0.5)."""
    task, train = without("task", task, "n_rules", "no_op_share"), literal("train", train, dict)
    shares, shared = listed("no_op_shares", no_op_shares, (int, float)), (n_rules, first_seed, n_seeds, n_test)
    out = by_rules(*shared, task, model, train)
    for share in shares:
        out += by_rules(*shared, task | {"no_op_share": share}, model, train, {"no_op_share": 0.5})
    defaults, kept = RunSpec.of(task=task, train=train), 1 - max(shares)
    fewer = task | {"n_examples": max(1, round(kept * defaults.task.n_examples))}
    smaller = train | {"batch_size": max(1, round(kept * defaults.train.batch_size))}
    return out + by_rules(*shared, fewer, model, smaller)


def frame(chapter):
    """The runs with accuracies by kind of input (`common.with_inputs`)."""
    return with_inputs(records.frame(chapter.specs), chapter.slices)


def trainings(frame) -> dict:
    """The rows by training: without no-ops, the control, then the shares, ascending; all are there (`runs`)."""
    found, most = cells(frame, "no_op_share", "n_examples"), frame["n_examples"].max()

    def name(share, n):
        kept = "" if n == most else f", {100 * n / most:.3g} % of the data"
        return (f"{100 * share:g} % no-ops" if share else NONE) + kept

    return {name(*cell): found[cell] for cell in sorted(found, key=lambda cell: (cell[0], -cell[1]))}


def ratios(frame) -> dict[str, Bounds]:
    """How many times as many rules each share needs as no no-ops, and the largest share as the control."""
    places = {name: threshold(rows) for name, rows in trainings(frame).items()}
    *_, last = places
    none, control, *shares = places
    out = {f"{name} against as many examples": places[name].over(places[none]) for name in shares}
    return out | {f"{last} against as many inputs with x": places[last].over(places[control])}


def share_is_nothing(frame) -> Finding:
    """D5: whether the threshold stays where it is, the number of inputs that hold x being the same."""
    *others, (name, ratio) = ratios(frame).items()
    *_, (share, rows) = trainings(frame).items()
    weak = {n: own for n, own in rows.groupby("n_rules") if accuracy(own).mean < 0.5}
    unlearnt = [f"{n:,}" for n, own in weak.items() if accuracy(own, "seen").low < LEARNT]
    outcome = ratio.beyond(MOST_MOVED)
    if unlearnt and outcome == FAILS and ratio.effect.mean > 1:
        outcome = OPEN
    text = "; ".join(f"{name}: {one.factor}" for name, one in [(name, ratio), *others])
    text += f". With {share} seen rules are not learnt at {', '.join(unlearnt)} rules" if unlearnt else ""
    return Finding.of(outcome, text + ".", ratio)


def only_no_ops(frame) -> Finding:
    """D5b: whether models that have learnt their rules, and apply no others, answer no-ops of others."""
    *_, (name, rows) = trainings(frame).items()
    found = [(accuracy(own, "unseen", "no_op"), n, own) for n, own in rows.groupby("n_rules")
             if accuracy(own, "seen").low >= LEARNT and accuracy(own).high <= LOW]  # fmt: skip
    if not found:
        return Finding(OPEN, f"With {name} at no number of rules are seen ones learnt and unseen ones not.", n_seeds=0)
    no_op, n, own = max(found, key=lambda cell: cell[0].low)
    none = len(found) > 1 and all(cell[0].high < HIGH for cell in found)
    text = f"{n:,} rules, {name}: {no_op} of the no-ops of unseen rules are right, {accuracy(own)} of the inputs that "
    text += f"hold x; of these {accuracy(own, 'unseen', 'copied')} are copied."
    return Finding(HOLDS if no_op.low >= HIGH else FAILS if none else OPEN, text, no_op)


SOURCE = "arXiv 2405.19787, symbolic experiments with no-ops"
NO_MOVE = f"""Compares the largest share with training on as many inputs that hold x and no no-ops. Holds where the
ratio lies within {1 / MOST_MOVED:.2f} to {MOST_MOVED:.2f}, does not hold where it lies outside; above, only if seen
rules are learnt ({LEARNT}) where fewer than half of the inputs are right. Changed after three seeds, which settle it by
neither rule: before, the comparison was with as many examples."""
COPIES = f"""Holds where at some number of rules the seen ones are learnt ({LEARNT}), inputs of unseen ones that hold x
are not answered ({LOW} or less) and no-ops are ({HIGH} or more). Does not hold where at all of several such numbers
fewer no-ops are right. Entered after three seeds had been seen."""
CLAIMS = (
    Claim("D5", "The share of no-ops does not change the number of rules from which unseen rules are applied.", SOURCE,
          "number of rules at which the accuracy on inputs of unseen rules that hold x passes 0.5; ratios seed by seed",
          NO_MOVE, "The paper's about 400 is 300 to 500 in its own words: a factor of 5/3.", share_is_nothing),
    Claim("D5b", "With too few rules a model answers only the no-ops of unseen rules.", SOURCE,
          "exact match on inputs of unseen rules, no-ops and those that hold x apart, at the largest share of no-ops",
          COPIES, "Bounds of intervals, far from one another.", only_no_ops),
)  # fmt: skip


def answer(chapter) -> str:
    """The answer in a sentence."""
    share, found = f"{100 * chapter.frame['no_op_share'].max():g} % no-ops", ratios(chapter.frame)
    whole, control = (found[f"{share} against as many {what}"] for what in ("examples", "inputs with x"))
    start = f"Among as many examples, {share} multiply the number of rules that a model needs by {whole}"
    return f"**{start}; among as many inputs that hold the pattern, by {control}.**"


def figure_accuracy(chapter):
    """Accuracy on inputs of unseen rules that hold x, a curve for each training."""
    figure, (ax,) = plots.panels(1, height=3.6)
    unseen = chapter.frame[chapter.frame["eval"] == "unseen"]
    plots.curves(ax, trainings(unseen), chapter.again)
    ax.axvspan(*PAPER_PLACE, color="#e3e3e3", linewidth=0, zorder=0, label="paper, every share")
    return plots.signed(figure, [ax], unseen)


def table_accuracy(chapter) -> str:
    """Accuracies by training and number of rules, on unseen rules by kind of input."""
    found = {(name, n): own for name, rows in trainings(chapter.frame).items() for n, own in rows.groupby("n_rules")}
    measures = {"unseen rules, x": ("unseen",), "no-ops": ("unseen", "no_op"), "x, copied": ("unseen", "copied"),
                "seen rules, x": ("seen",)}  # fmt: skip
    caption = "Shares of answers that are right, and of inputs that hold x and are copied: mean with 95 % t-interval"
    return tables.by_cell(found, ["training", "rules"], measures, caption, "tab-no-ops")


def table_thresholds(chapter) -> str:
    """The number of rules at which one half is passed, by training, with the values of the seeds."""
    places = {name: threshold(rows) for name, rows in trainings(chapter.frame).items()}
    rows = [[name, place, place.seeds, place.over(places[NONE]) or "–"] for name, place in places.items()]
    caption = "Rules at which half of the inputs of unseen rules that hold x are right: geometric mean, 95 % t-interval"
    return tables.table(caption, "tab-no-ops-thresholds", ["training", "rules", "by seed", f"ratio to {NONE}"], rows)
