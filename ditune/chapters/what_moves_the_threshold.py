"""07: the number of rules at which unseen rules are applied, under one change at a time (beyond both papers; T1 to T7).

A condition is the training of chapter 02 without a change, or with one of the parameter `variants`. Its threshold is
compared with that without a change seed by seed: the same seed is the same rules and initial weights.
"""

import math
from dataclasses import dataclass
from functools import partial

from ..report import plots, stats, tables
from ..report.ledger import LEARNT, Claim, Finding
from ..report.stats import FAILS, HOLDS, OPEN, Bounds, Interval, interval
from ..rewriting.specs import POSITIONS, ProbeSpec, RunSpec
from ..store import records
from . import rules_seen_in_part
from .common import by_rules, changed, literal
from .number_of_rules import PAPER_CURVE
from .rules_seen_in_part import PROBED, figure_answers  # noqa: F401

UNCHANGED = "no change"
KINDS = {
    UNCHANGED: plots.BLACK,
    "model": plots.BLUE,
    "task": plots.GREEN,
    "data": plots.PURPLE,
    "training": plots.VERMILION,
}
"""Kinds of change as they are ordered and coloured; "data" is the number of examples."""
PARTS = {"model": "model", "task": "task", "train": "training"}
MOVED, SAME = 1.25, 1.5
"""A threshold has moved where its ratio is beyond MOVED, and is the same where it is within SAME."""


def runs(variants, n_rules, probed, first_seed, n_seeds, n_test, task, model, train) -> list[RunSpec]:
    """Trainings without a change and with each, and probes of models with learned and with rotary positions.

    variants: {name: {"task": ..., "model": ..., "train": ..., "n_rules": ...}}, each part optional: the fields that the
    variant changes, and its own numbers of rules. probed: numbers of rules.
    """
    found = conditions(locals())
    kinds = [literal("model", model, dict) | {"position": position} for position in POSITIONS]
    probes = [spec for own in kinds for spec in by_rules(probed, first_seed, n_seeds, n_test, task, own, train)]
    parts = [{name: getattr(spec, name) for name in ("task", "model", "train", "evals", "seed")} for spec in probes]
    return [spec for specs in found.values() for spec in specs] + [ProbeSpec.of(**own, n_probe=n_test) for own in parts]


def conditions(parameters: dict) -> dict[str, list[RunSpec]]:
    """The runs of each condition, by its name."""
    parts = {name: parameters[name] for name in PARTS}
    shared = [parameters[name] for name in ("first_seed", "n_seeds", "n_test")]
    found = {UNCHANGED: by_rules(parameters["n_rules"], *shared, **parts)}
    for name, change in literal("variants", parameters["variants"], dict).items():
        own = changed("variants", change, parts, "n_rules")
        found[name] = by_rules(change.get("n_rules", parameters["n_rules"]), *shared, **own)
    return found


def frame(chapter):
    """The runs with the columns `condition` and `kind`."""
    rows, variants = records.frame(chapter.specs), literal("variants", chapter.parameters["variants"], dict)
    names = {s.key: name for name, specs in reversed(conditions(chapter.parameters).items()) for s in specs}
    condition = rows["key"].map(names).fillna(PROBED)
    kind = condition.map({UNCHANGED: UNCHANGED} | {name: kind_of(change) for name, change in variants.items()})
    return rows.assign(condition=condition, kind=kind.fillna(PROBED))


def kind_of(change: dict) -> str:
    """The kind of a variant by what it changes.

    >>> kind_of({"task": {"n_examples": 5}}), kind_of({"train": {"lr": 0.1}, "n_rules": [10]})
    ('data', 'training')
    """
    if list(change.get("task", ())) == ["n_examples"]:
        return "data"
    return next((kind for part, kind in PARTS.items() if change.get(part)), UNCHANGED)


# ---- what a change does ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """A condition: its threshold, and the ratio to that without a change on the numbers of rules that both have."""

    name: str
    kind: str
    rows: object
    place: Bounds
    ratio: Bounds | None
    learnt: bool
    """Whether seen rules are learnt just below the threshold: otherwise the model fails on its own rules too."""

    @property
    def logs(self) -> list[float]:
        """Logarithms of the ratio by seed; one that is only bounded counts with the bound nearest to 0."""
        bounds = self.ratio.by_seed.values() if self.ratio else ()
        return [math.log(low if low > 1 else high if high < 1 else 1.0) for low, high in bounds]

    @property
    def known(self) -> bool:
        """Whether the ratio is known in every seed."""
        return bool(self.ratio and self.ratio.interval)

    @property
    def factor(self) -> str:
        """The ratio in words, of which only a bound may be known."""
        return f"× {self.ratio}".replace("× > ", "more than × ").replace("× < ", "less than × ")

    @property
    def label(self) -> str:
        """The name, marked where rules are not learnt."""
        return self.name + " †" * (not self.learnt)

    def finding(self, outcome: str, start: str = "") -> Finding:
        """What it says about a claim."""
        logs = interval(self.logs)
        least = math.exp(min(stats.smallest(self.logs), 700.0))
        ratio = Interval(*(math.exp(min(v, 700.0)) for v in (logs.mean, logs.low, logs.high)), logs.n)
        learnt = "" if self.learnt else " Its own rules are not learnt."
        return Finding(
            outcome, f"{start}{self.name}: {self.factor}, at {self.place} rules.{learnt}", ratio, least, logs.n
        )


def changes(frame) -> list[Change]:
    """The conditions by kind, the one without a change first; none where that has no runs."""
    rows = frame[(frame["condition"] != PROBED) & frame["eval"].isin(["unseen", "seen"])]
    base = rows[rows["condition"] == UNCHANGED]
    found = [compared(one, base) for _, one in rows.groupby("condition", sort=False)]
    return sorted(found, key=lambda c: list(KINDS).index(c.kind)) if len(base) else []


def compared(rows, base) -> Change:
    """A condition beside the one without a change."""
    (name, kind), ratio = rows[["condition", "kind"]].iloc[0], None
    if name != UNCHANGED and (common := set(rows["n_rules"]) & set(base["n_rules"])):
        ours, theirs = (stats.threshold(one[one["n_rules"].isin(common)]) for one in (rows, base))
        ratio = ours.over(theirs)
    curve = rows.pivot_table(index="n_rules", columns="eval", values="exact_match")
    below = curve[(curve["unseen"] >= 0.5).cumsum() == 0]["seen"]
    return Change(name, kind, rows, stats.threshold(rows), ratio, not len(below) or below.iloc[-1] >= LEARNT)


# ---- claims ----------------------------------------------------------------------------------------------------------


def moves(frame) -> Finding:
    """T1."""
    found = [c for c in changes(frame) if c.kind in ("model", "training") and c.learnt and len(c.logs) > 1]
    if not found:
        return Finding(OPEN, "No change of model or training has two seeds and has learnt its rules.", n_seeds=0)
    level = stats.holm(len(found))[0]  # that of the clearest
    at_least = {c.name: interval([(1 if sum(c.logs) > 0 else -1) * v for v in c.logs], level).low for c in found}
    clearest = max(found, key=lambda c: at_least[c.name])
    if at_least[clearest.name] > math.log(MOVED):
        return clearest.finding(HOLDS, f"The clearest of {len(found)}: ")
    still = [stats.within(interval(c.logs), math.log(MOVED)) == HOLDS and c.known for c in found]
    fewest = min(found, key=lambda c: len(c.logs))
    return fewest.finding(FAILS) if all(still) else clearest.finding(OPEN, f"The clearest of {len(found)}: ")


def more_of(frame, column: str, expected: int) -> Finding:
    """T2 to T5: whether more in a column raises the threshold (1), lowers it (-1), or neither (0); rotary is most."""
    first, *others = changes(frame) or [None]
    values = {c.name: c.rows[column].iloc[0] for c in (first, *others) if c}
    change = next((c for c in others if values[c.name] != values[first.name] and c.logs), None)
    if change is None:
        return Finding(OPEN, "No such change was tried.", n_seeds=0)
    side = expected if values[change.name] > values[first.name] else -expected
    found = interval([(side or 1) * value for value in change.logs])
    outcome = stats.decide(found, math.log(MOVED)) if side else stats.within(found, math.log(SAME))
    says_near = outcome == FAILS and found.high >= 0 if side else outcome == HOLDS  # which a bound alone cannot
    return change.finding(OPEN if not change.learnt or (says_near and not change.known) else outcome)


SOURCE = "this study"
MEASURE = "ratio of the numbers of rules at which the accuracy on unseen rules passes one half, seed by seed"
HALF = f"{MOVED} is half, on a logarithmic axis, of the paper's rise from 400 to 600 rules."
BOUND = (
    f"Nothing is decided where seen rules are not learnt ({LEARNT}) just below the threshold. A seed whose ratio is "
    "only bounded counts with the bound nearest to 1."
)
BEYOND = f"Holds where the factor is {MOVED} or more, does not hold where it is less. {BOUND}"
EXPECTED = {
    "T2": ("Rotary positions lower the threshold.", "position", -1),
    "T3": ("More letters raise the threshold.", "alphabet_size", 1),
    "T4": ("Longer inputs raise the threshold.", "z_len", 1),
}
"""What follows where a rule is carried out by comparing letters, place by place; written before these runs."""
CLAIMS = (
    Claim(
        "T1", "The threshold is no constant of the task: another model or training moves it.", SOURCE, MEASURE,
        f"Holds where one such change moves it by a factor of {MOVED} or more (Holm over the changes), does not hold "
        f"where all stay below. {BOUND}", HALF, moves,
    ),
    *(
        Claim(id, text, SOURCE, MEASURE, BEYOND, HALF, partial(more_of, column=column, expected=side))
        for id, (text, column, side) in EXPECTED.items()
    ),
    Claim(
        "T5", "Fewer examples of as many rules leave the threshold where it is.", SOURCE, MEASURE,
        f"Holds where the factor is below {SAME} to either side, does not hold where it is more. {BOUND}",
        f"{SAME} is the paper's rise from 400 to 600 rules.", partial(more_of, column="n_examples", expected=0),
    ),
    *rules_seen_in_part.CLAIMS,
)  # fmt: skip


# ---- answer, figures, tables -----------------------------------------------------------------------------------------


def answer(chapter) -> str:
    """The answer in a sentence."""
    what = "the number of rules from which on unseen ones are applied"
    start = {HOLDS: f"{what.capitalize()} is no constant of the task"}
    start[FAILS] = f"No change of model or training moves {what}"
    open_ = f"It is not settled whether {what} is a constant of the task"
    said = start.get(chapter.judged[0].finding.outcome, open_)
    first, *others = changes(chapter.frame)
    judged = sorted((c for c in others if c.learnt and c.logs), key=lambda c: sum(c.logs) / len(c.logs))
    ends = " to ".join(f"{c.factor} ({c.name})" for c in judged[:: max(1, len(judged) - 1)]) or "unknown ratios"
    return f"**{said}: it is {first.place}, and single changes move it by {ends}.**"


def figure_thresholds(chapter):
    """The threshold of each condition: a mark a seed, mean and interval; an arrow where only a bound is known."""
    found, trained = changes(chapter.frame), chapter.frame[chapter.frame["condition"] != PROBED]
    figure, (ax,) = plots.panels(1, height=0.36 * len(found) + 0.6)
    for y, change in enumerate(found):
        threshold_line(ax, y, change, list(chapter.again))
        ax.plot([], [], "s", color=KINDS[change.kind], label=change.kind)
    ax.axvline(math.log10(found[0].place.mean[0] or 1), color=plots.QUIET, linewidth=0.9, linestyle=":", zorder=1)
    ax.plot(
        [math.log10(stats.crossing(*zip(*PAPER_CURVE.items())))], [0.32], "x", color=plots.QUIET, label="the paper's"
    )
    ax.set_yticks(range(len(found)), [c.label for c in found])
    low, high = min(trained["n_rules"]) / 1.5, max(trained["n_rules"]) * 1.5
    shown = [m * 10**k for k in range(1, 7) for m in (1, 3) if low < m * 10**k < high]
    ax.set_xticks([math.log10(n) for n in shown], [plots.number(n) for n in shown])
    ax.set(ylim=(len(found) - 0.4, -0.6), xlim=(math.log10(low), math.log10(high)), xlabel=plots.RULES)
    ax.grid(axis="y", visible=False)
    plots.legend(figure, [ax], list(KINDS))
    return plots.finished(figure, trained, plots.sizes(trained), plots.training(trained))


def threshold_line(ax, y: int, change: Change, again: list[str]):
    """One condition on an axis of logarithms; a seed is ringed where one of its runs was computed again."""
    import pandas

    color = KINDS[change.kind]
    keys = {seed: max(rows["key"], key=again.__contains__) for seed, rows in change.rows.groupby("seed")}
    values = {keys[seed]: math.log10(high if low == 0 else low) for seed, (low, high) in change.place.by_seed.items()}
    if change.place.interval:
        plots.dots(ax, y, pandas.Series(values), again, color=color)
    else:
        plots.points(ax, list(values.values()), [y] * len(values), [key in again for key in values], color=color)
    for (low, high), at in zip(change.place.by_seed.values(), values.values()):
        if low != high:
            arrow = {"arrowstyle": "<|-", "color": color, "shrinkA": 0, "shrinkB": 3}
            ax.annotate("", (at, y), (-20 if low == 0 else 20, 0), textcoords="offset points", arrowprops=arrow)
    if change.ratio:
        ax.annotate(
            change.factor.replace("more than", ">").replace("less than", "<"),
            (1.02, y),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8.5,
            color=plots.QUIET,
        )


def figure_curves(chapter):
    """Accuracy against the number of rules, a panel a condition, without a change in grey."""
    found = changes(chapter.frame)
    figure, axes = plots.panels(-(-len(found) // 2), 2, height=1.45, sharex=True, sharey=True)
    base = found[0].rows[found[0].rows["eval"] == "unseen"].groupby("n_rules")["exact_match"].mean()
    for ax, change in zip(axes, found):
        ax.plot(base.index, base, color=plots.QUIET, linestyle=":", linewidth=1.4, label="unseen, no change")
        for name, style in (("seen", plots.SEEN), ("unseen", plots.UNSEEN)):
            rows = change.rows[change.rows["eval"] == name]
            plots.curve(ax, rows, "n_rules", "exact_match", f"{name} rules", chapter.again, **style)
        plots.accuracy_axis(ax, change.label)
        plots.rules_axis(ax, "rules")
        ax.set_ylabel("exact match")
        ax.label_outer()
    for ax in axes[len(found) :]:
        ax.remove()
        axes[len(found) - 2].tick_params(labelbottom=True)
    plots.legend(figure, axes[: len(found)], ["unseen rules", "seen rules"])
    return plots.finished(figure, chapter.frame[chapter.frame["condition"] != PROBED])


def table_thresholds(chapter) -> str:
    """The threshold of each condition, by seed, and its ratio to that without a change."""
    rows = []
    for c in changes(chapter.frame):
        seeds = ", ".join(str(Bounds({seed: both})) for seed, both in c.place.by_seed.items())
        lowest = min(stats.accuracy(one, "seen").mean for _, one in c.rows.groupby("n_rules"))
        rows.append([c.label, c.kind, c.place, seeds, c.ratio or "1", f"{lowest:.2f}"])
    header = ["change", "of", "threshold", "by seed", "ratio", "lowest accuracy on seen rules"]
    caption = "Thresholds; ratios to that without a change, on the same numbers of rules; †: own rules not learnt"
    return tables.table(caption, "tab-what-moves", header, rows)
