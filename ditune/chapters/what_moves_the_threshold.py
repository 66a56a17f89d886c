"""07: the number of rules at which unseen rules are applied, under one change at a time (beyond both papers; T1 to T7).

A condition is the training of chapter 02 without a change, or with one of the parameter `variants`. Its threshold is
compared with that without a change seed by seed: the same seed is the same rules and initial weights. Probed models
are asked to apply rules of which training has shown both sides, one, or neither.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from ..report import plots, stats, tables
from ..report.ledger import LEARNT, Claim, Finding
from ..report.stats import FAILS, HOLDS, OPEN, Bounds, interval, threshold
from ..rewriting.specs import POSITIONS, ProbeSpec, RunSpec
from ..store import records
from .common import by_rules, cells, changed, literal
from .number_of_rules import PAPER_CURVE

UNCHANGED, PROBED = "no change", "probed"
KINDS = {UNCHANGED: plots.BLACK, "model": plots.BLUE, "task": plots.GREEN, "train": plots.VERMILION}
"""The parts of a run of which one is changed, as they are ordered and coloured."""
MOVED, SAME = 1.25, 1.5
"""A threshold has moved where its ratio is beyond MOVED, and is the same where it is within SAME."""
WHICH = ("trained rule", "y of another", "new y", "new x", "new rule")
"""What a probe asks for: rules put together from the sides of training rules and of unseen ones."""


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
    parts = {name: parameters[name] for name in ("task", "model", "train")}
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
    kinds = {name: next(part for part in (*KINDS, *change) if part in change) for name, change in variants.items()}
    condition = rows["key"].map(names).fillna(PROBED)
    return rows.assign(condition=condition, kind=condition.map(kinds).fillna(condition))


@dataclass(frozen=True)
class Change:
    """A condition: its threshold, and the ratio to that without a change on the numbers of rules that both have."""

    name: str  # marked where rules are not learnt
    kind: str
    rows: object
    place: Bounds
    ratio: Bounds | None
    learnt: bool
    """Whether seen rules are learnt just below the threshold: otherwise the model fails on its own rules too."""

    def finding(self, outcome: str, start: str = "") -> Finding:
        """What it says about a claim."""
        learnt = "" if self.learnt else " Its own rules are not learnt."
        text = f"{start}{self.name}: {self.ratio.factor}, at {self.place} rules.{learnt}"
        return Finding.of(outcome, text, self.ratio)


def changes(frame) -> list[Change]:
    """The conditions by kind, the one without a change first; it has no ratio."""
    rows, found = frame[frame["condition"] != PROBED], []
    base = rows[rows["condition"] == UNCHANGED]
    for (name, kind), own in rows.groupby(["condition", "kind"], sort=False):
        both = set(own["n_rules"]) & set(base["n_rules"])
        ours, theirs = (threshold(one[one["n_rules"].isin(both)]) for one in (own, base))
        curve = own.pivot_table(index="n_rules", columns="eval", values="exact_match")
        below = curve[(curve["unseen"] >= 0.5).cumsum() == 0]["seen"]
        learnt, ratio = not len(below) or below.iloc[-1] >= LEARNT, None if name == UNCHANGED else ours.over(theirs)
        found.append(Change(name + " †" * (not learnt), kind, own, threshold(own), ratio, learnt))
    return sorted(found, key=lambda c: list(KINDS).index(c.kind))


def loss_of(frame, which) -> tuple[int, object]:
    """The fewest rules probed (which: min), or the most, and the loss there by seed: the accuracy on trained rules less
    that on a trained x with another y."""
    rows = frame[(frame["condition"] == PROBED) & (frame["position"] == "learned")]
    n = which(rows["n_rules"])
    trained, other = (stats.by_seed(rows[rows["n_rules"] == n], name) for name in WHICH[:2])
    return int(n), trained - other


def moves(frame) -> Finding:
    """T1."""
    found = [c for c in changes(frame) if c.kind in ("model", "train") and c.learnt and c.ratio]
    if not found:
        return Finding(OPEN, "No change of model or training has learnt its rules.", n_seeds=0)
    level = stats.holm(len(found))[0]  # that of the clearest
    at_least = [interval(np.multiply(c.ratio.nearest, np.sign(sum(c.ratio.nearest)) or 1), level).low for c in found]
    clearest, start = found[int(np.argmax(at_least))], f"The clearest of {len(found)}: "
    if max(at_least) > np.log(MOVED):
        return clearest.finding(HOLDS, start)
    still = all(c.ratio.beyond(MOVED) == HOLDS for c in found)
    return min(found, key=lambda c: c.ratio.effect.n).finding(FAILS) if still else clearest.finding(OPEN, start)


def more_of(frame, column: str, expected: int) -> Finding:
    """T2 to T5: whether more in a column raises the threshold (1), lowers it (-1), or neither (0); rotary is most."""
    first, *others = changes(frame)
    values = {c.name: c.rows[column].iloc[0] for c in (first, *others)}
    change = next((c for c in others if values[c.name] != values[first.name] and c.ratio), None)
    if change is None:
        return Finding(OPEN, "No such change was tried.", n_seeds=0)
    side = expected if values[change.name] > values[first.name] else -expected
    return change.finding(change.ratio.beyond(MOVED if side else SAME, side) if change.learnt else OPEN)


def by_heart(frame) -> Finding:
    """T6."""
    n, loss = loss_of(frame, min)
    return Finding.of(stats.decide(interval(loss), 0.5), f"With {n:,} rules the loss is {interval(loss)}.", loss)


def carried_out(frame) -> Finding:
    """T7."""
    (few, below), (many, above) = loss_of(frame, min), loss_of(frame, max)
    text = f"With {many:,} rules the loss is {interval(above)}, with {few:,} it is {interval(below)}."
    outcome = stats.decide(interval(below / 4 - above)) if few < many else OPEN
    return Finding(outcome, text, interval(above), stats.smallest(below / 4 - above))


SOURCE = "this study"
MEASURE = "ratio of the numbers of rules at which the accuracy on unseen rules passes one half, seed by seed"
LOSS = "the loss: exact match on trained rules less that on trained x with another trained y, learned positions"
HALF = f"{MOVED} is half, on a logarithmic axis, of the paper's rise from 400 to 600 rules."
BOUND = f"""Nothing is decided where seen rules are not learnt ({LEARNT}) just below the threshold. A seed whose ratio
is only bounded counts with the bound nearest to 1."""
BEYOND = f"Holds where the factor is {MOVED} or more, does not hold where it is less. {BOUND}"
ANY = f"""Holds where one such change moves it by a factor of {MOVED} or more (Holm over the changes), does not hold
where all stay below. {BOUND}"""
NEAR = f"Holds where the factor is below {SAME} to either side, does not hold where it is more. {BOUND}"
CLAIMS = (
    Claim("T1", "The threshold is no constant of the task: another model or training moves it.", SOURCE, MEASURE, ANY,
          HALF, moves),
    Claim("T2", "Rotary positions lower the threshold.", SOURCE, MEASURE, BEYOND, HALF,
          partial(more_of, column="position", expected=-1)),
    Claim("T3", "More letters raise the threshold.", SOURCE, MEASURE, BEYOND, HALF,
          partial(more_of, column="alphabet_size", expected=1)),
    Claim("T4", "Longer inputs raise the threshold.", SOURCE, MEASURE, BEYOND, HALF,
          partial(more_of, column="z_len", expected=1)),
    Claim("T5", "Fewer examples of as many rules leave the threshold where it is.", SOURCE, MEASURE, NEAR,
          f"{SAME} is the paper's rise from 400 to 600 rules.", partial(more_of, column="n_examples", expected=0)),
    Claim("T6", "Below the threshold models know rules by heart: a known x with another known y fails.", SOURCE, LOSS,
          "At the fewest rules probed the loss is above 0.5.", "More is lost than is left.", by_heart),
    Claim("T7", "Above the threshold a known x with another known y is rewritten like a trained rule.", SOURCE, LOSS,
          "At the most rules probed the loss is below a quarter of that at the fewest.",
          "Three quarters of the loss are gone.", carried_out),
)  # fmt: skip


def answer(chapter) -> str:
    """The answer in a sentence."""
    what = "the number of rules from which on unseen ones are applied"
    said = {HOLDS: f"{what.capitalize()} is no constant of the task",
            FAILS: f"No change of model or training moves {what}",
            OPEN: f"It is not settled whether {what} is a constant of the task"}  # fmt: skip
    first, *others = changes(chapter.frame)
    judged = sorted((c for c in others if c.learnt and c.ratio), key=lambda c: c.ratio.effect.mean)
    ends = " to ".join(f"{c.ratio.factor} ({c.name})" for c in judged[:: max(1, len(judged) - 1)]) or "unknown ratios"
    start = said[chapter.judged[0].finding.outcome]
    return f"**{start}: it is {first.place}, and single changes move it by {ends}.**"


def figure_thresholds(chapter):
    """The threshold of each condition: a mark a seed, mean and interval; an arrow where only a bound is known. A seed
    is ringed where one of its runs was computed again."""
    import pandas

    found, trained = changes(chapter.frame), chapter.frame[chapter.frame["condition"] != PROBED]
    figure, (ax,) = plots.panels(1, height=0.36 * len(found) + 0.6)
    for y, change in enumerate(found):
        color, bounds = KINDS[change.kind], change.place.by_seed
        keys = [max(rows["key"], key=list(chapter.again).__contains__) for _, rows in change.rows.groupby("seed")]
        values = pandas.Series([low or high for low, high in bounds.values()], keys)
        plots.dots(ax, y, values, chapter.again, color=color, found=change.place.interval or stats.NOTHING)
        for (low, high), at in zip(bounds.values(), values):
            if low != high:
                arrow = {"arrowstyle": "<|-", "color": color, "shrinkA": 0, "shrinkB": 3}
                ax.annotate("", (at, y), (20 if low else -20, 0), textcoords="offset points", arrowprops=arrow)
        ax.plot([], [], "s", color=color, label=change.kind)
    ax.axvline(found[0].place.mean[0] or 1, color=plots.QUIET, linewidth=0.9, linestyle=":", zorder=1)
    ax.plot([stats.crossing(*zip(*PAPER_CURVE.items()))], [0.32], "x", color=plots.QUIET, label="the paper's")
    plots.lines(ax, {c.name: c for c in found})
    ax.set(xscale="log", xlim=(min(trained["n_rules"]) / 1.5, max(trained["n_rules"]) * 1.5))
    plots.rules_axis(ax)
    return plots.signed(figure, [ax], trained)


def table_thresholds(chapter) -> str:
    """The threshold of each condition, by seed, and its ratio to that without a change."""
    rows = []
    for c in changes(chapter.frame):
        lowest = min(stats.accuracy(one, "seen").mean for _, one in c.rows.groupby("n_rules"))
        rows.append([c.name, c.kind, c.place, c.place.seeds, c.ratio or "1", f"{lowest:.2f}"])
    header = ["change", "of", "threshold", "by seed", "ratio", "lowest accuracy on seen rules"]
    caption = "Thresholds; ratios to that without a change, on the same numbers of rules; †: own rules not learnt"
    return tables.table(caption, "tab-what-moves", header, rows)


def table_answers(chapter) -> str:
    """What probed models make of rules that they have seen in part."""
    found = cells(chapter.frame[chapter.frame["condition"] == PROBED], "n_rules", "position")
    measures = {which: (which,) for which in WHICH} | {"y of another: the y learnt with x": (WHICH[1], "memorised")}
    caption = "Right answers by what training has shown of a rule; last, answers by the y that training had with this x"
    return tables.by_cell(found, ["rules", "positions"], measures, caption, "tab-parts")
