"""02: accuracy on unseen rules against the number of training rules, at a fixed number of examples (D1 to D4).

Source: Zhang et al. 2024 (arXiv 2405.19787), symbolic experiments; the curve is figure 2a of arXiv 2402.10891.
"""

from ..report import plots, tables
from ..report.ledger import HIGH, LEARNT, LOW, Claim, Finding
from ..report.stats import FAILS, HOLDS, OPEN, accuracy, threshold
from ..rewriting.specs import RunSpec
from .common import BY_SET, PAPER_SCALE, SETS, by_rules, cells

FEW_EXAMPLES = 20
"""Examples of each rule that count as few."""
SHARP = 3
"""A transition is sharp where so many times as many rules take the accuracy from LOW to HIGH."""
PAPER_CURVE = dict.fromkeys((10, 20, 50, 100, 200, 300), 0.0) | {
    400: 0.13, 500: 0.85, 600: 0.925, 1000: 0.98, 2000: 0.987, 2500: 0.983, 5000: 0.987,
    10_000: 0.993, 100_000: 0.991, 1_000_000: 0.991,
}  # fmt: skip
"""Accuracy on unseen rules by number of rules, N = 10^6: read off figure 2a of the paper's first version, to +-0.005.
Beside three values stands a spread: +-0.02 at 400 rules, +-0.03 at 500, +-0.015 at 600."""


def runs(n_rules, first_seed, n_seeds, n_test, task, model, train) -> list[RunSpec]:
    """A training for each number of rules and seed, at the same number of examples (the paper: 10 to 10^6 rules)."""
    return by_rules(n_rules, first_seed, n_seeds, n_test, task, model, train)


def sample(specs: list[RunSpec]) -> list[RunSpec]:
    """One seed at four numbers of rules across the transition: the headline curve, trained on the reader's machine."""
    seed = min(spec.seed for spec in specs)
    return [spec for spec in specs if spec.seed == seed and spec.task.n_rules in (100, 300, 1000, 10_000)]


def grid_of(frame) -> list[tuple]:
    """(number of rules, examples of each, accuracy on unseen rules, on seen rules), ascending."""
    found = [(n, rows["n_examples"].iloc[0] / n, rows) for (n,), rows in cells(frame, "n_rules").items()]
    return [(n, float(each), accuracy(rows), accuracy(rows, "seen")) for n, each, rows in found]


def said(cell) -> str:
    """A cell in words."""
    n, each, unseen, seen = cell
    examples = f"{round(each, 1):,.10g} example{'s' if each != 1 else ''} each"
    return f"{n:,} rules with {examples}: {unseen} on unseen rules, {seen} on seen ones"


def diverse_enough(frame) -> Finding:
    """D1."""
    grid = grid_of(frame)
    few = [c for c in grid if c[1] <= FEW_EXAMPLES]
    before = next((c for c in grid if c[3].low >= LEARNT and c[2].high <= LOW), None)
    after = [c for c in few if before and c[0] > before[0] and c[2].low >= HIGH]
    if after:
        last = after[-1]
        return Finding(HOLDS, f"{said(before)}; {said(last)}.", last[2], n_seeds=min(before[2].n, last[2].n))
    learnt = few and all(seen.low >= LEARNT and unseen.high < HIGH for _, _, unseen, seen in few)
    last = grid[-1]
    return Finding(FAILS if learnt else OPEN, f"{said(last)}.", last[2], n_seeds=min(c[2].n for c in grid))


def sharp(frame) -> Finding:
    """D4, its kind: how much of the number of rules the change takes."""
    grid, place = grid_of(frame), threshold(frame)
    learnt = [c for c in grid if c[3].low >= LEARNT]
    after = next((c for c in grid if c[2].low >= HIGH), None)
    before = [c for c in learnt if c[2].high <= LOW and after and c[0] < after[0]]
    between = [c for c in learnt if c[2].low > LOW and c[2].high < HIGH]
    at_most = after[0] / before[-1][0] if before else float("inf")
    at_least = between[-1][0] / between[0][0] if between else 1.0
    text = f"The accuracy passes one half at {place} rules"
    if before:
        text += f"; the rise from {LOW} to {HIGH} takes at most {at_most:.1f} times as many rules"
    outcome = HOLDS if at_most <= SHARP else FAILS if at_least > SHARP else OPEN
    return Finding(outcome, text + ".", place.interval, n_seeds=min(c[2].n for c in grid))


SOURCE = "arXiv 2405.19787, symbolic experiments"
MEASURE = "exact match on examples of unseen rules; for what was learnt, on new inputs of seen rules"
EMERGES = f"""Holds where at some number of rules the seen ones are learnt ({LEARNT} or more) and no unseen ones applied
({LOW} or less), and at a larger number, with at most {FEW_EXAMPLES} examples of each, unseen ones are ({HIGH} or more).
Does not hold where with so few examples seen rules are learnt and unseen ones stay below {HIGH}."""
RISES = f"""Holds where at most {SHARP} times as many rules lead from {LOW} or less (seen rules learnt) to {HIGH} or
more. Does not hold where numbers of rules further apart both lie between {LOW} and {HIGH}."""
CLAIMS = (
    Claim("D1", "Rules that were never seen are applied once the training rules are diverse enough, even with few "
          "examples of each.", "arXiv 2405.19787, abstract", MEASURE, EMERGES,
          "Bounds of intervals, far from one another: chance is 0.", diverse_enough),
    Claim("D4", "The change with the number of rules is sharp.", SOURCE, MEASURE, RISES,
          "The paper's rise, from 400 to 600 rules, is a factor of 1.5; twice that still is sharp.", sharp),
    Claim("D2", "Below 300 rules no unseen rule is applied.", SOURCE, MEASURE, "", "", None, PAPER_SCALE),
    Claim("D3", "From 1,000 rules on every run applies unseen rules.", SOURCE, MEASURE, "", "", None, PAPER_SCALE),
    Claim("D4n", "The change lies at about 400 rules.", SOURCE, MEASURE, "", "", None, PAPER_SCALE),
)  # fmt: skip


def answer(chapter) -> str:
    """The answer in a sentence."""
    few, *_, many = grid_of(chapter.frame)
    return (
        f"**Many rules with few examples each beat few rules with many: {few[0]:,} rules give {few[2]} on unseen "
        f"rules, {many[0]:,} give {many[2]}; one half is passed at {threshold(chapter.frame)} rules.**"
    )


def figure_accuracy(chapter):
    """Unseen and seen rules against the number of rules, the paper's curve in grey."""
    frame = chapter.frame
    figure, (ax,) = plots.panels(1, height=3.4)
    plots.curves(ax, {label: frame[frame["eval"] == name] for name, label in SETS.items()}, chapter.again)
    plots.paper(ax, PAPER_CURVE, "paper, unseen rules")
    return plots.signed(figure, [ax], frame)


def table_accuracy(chapter) -> str:
    """Accuracy by number of rules, with the values of the seeds."""
    caption = "Exact match by number of rules: mean with 95 % t-interval, and the value of each seed on unseen rules"
    return tables.by_cell(cells(chapter.frame, "n_rules"), ["rules"], BY_SET, caption, "tab-number-of-rules")
