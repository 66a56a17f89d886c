"""06: rules with unequal numbers of examples, and half of the examples left out (D6, D11).

Each rule draws a weight U^(1/alpha), and examples are drawn in proportion: the smaller alpha, the longer the tail.
Source: Zhang et al. 2024 (arXiv 2405.19787), long tail; the paper: alpha 2 to 0.03; 1,000, 10,000 and 100,000 rules.
"""

import math
from dataclasses import replace

from ..report import plots, stats, tables
from ..report.ledger import NEGLIGIBLE, Claim, Finding, compared
from ..report.stats import FAILS, HOLDS, OPEN, accuracy, change, differences
from ..rewriting.specs import RunSpec
from ..store import records
from .common import BY_SET, REACHED, by_rules, cells, listed, literal, means_of, without

WIDE = 10
"""Many rules are so many times the few: the paper's 10,000 and 1,000."""
PEAKED = 0.2
"""The paper's 1,000 rules suffer from tails of a smaller alpha."""
NO_TAIL = math.inf
"""The alpha of equal weights."""


def runs(
    tail_alphas, n_rules, kept_share, halved_rules, first_seed, n_seeds, n_test, task, model, train
) -> list[RunSpec]:
    """A training for each number of rules, tail and seed; without a tail it is chapter 02. Halving: kept_share of the
    examples of halved_rules rules, evenly over the rules or with the longest of the tails; and all of the examples."""
    task = without("task", task, "n_rules", "tail_alpha")
    alphas, numbers = listed("tail_alphas", tail_alphas, (int, float)), listed("n_rules", n_rules, int)
    shared, halved = (first_seed, n_seeds, n_test), [literal("halved_rules", halved_rules, int)]
    found = by_rules(numbers, *shared, task, model, train)
    for alpha in alphas:
        found += by_rules(numbers, *shared, task | {"tail_alpha": float(alpha)}, model, train)
    kept = literal("kept_share", kept_share, (int, float)) * RunSpec.of(task=task).task.n_examples
    half = task | {"n_examples": round(kept)}
    for tail in (None, float(min(alphas))):
        found += by_rules(halved, *shared, half | {"tail_alpha": tail}, model, train)
    return list(dict.fromkeys(found + by_rules(halved, *shared, task, model, train)))


def sample(specs: list[RunSpec]) -> list[RunSpec]:
    """One seed of the longest tail at the most rules."""
    tailed = [spec for spec in specs if spec.task.tail_alpha]
    key = {spec: (-spec.task.n_examples, spec.task.tail_alpha, -spec.task.n_rules, spec.seed) for spec in tailed}
    return sorted(tailed, key=key.get)[:1]


def frame(chapter):
    """The runs with a column alpha, NO_TAIL where there is none."""
    rows = records.frame(chapter.specs)
    return rows.assign(alpha=rows["tail_alpha"].astype(float).fillna(NO_TAIL))


def whole(frame):
    """The runs on the whole budget of examples."""
    return frame[frame["n_examples"] == frame["n_examples"].max()]


def by_tail(rows) -> dict[float, object]:
    """The rows by alpha: without a tail, then from the mildest to the longest; nothing where one of the two lacks."""
    found = dict(reversed(list(rows.groupby("alpha"))))
    return found if len(found) > 1 and NO_TAIL in found else {}


def tail(alpha: float) -> str:
    """A tail in words."""
    return f"α = {alpha:g}" if alpha < NO_TAIL else "no tail"


def tails(frame) -> dict[int, dict]:
    """The runs on the whole budget by number of rules and tail, where there are runs with and without one."""
    return {int(n): found for n, rows in whole(frame).groupby("n_rules") if (found := by_tail(rows))}


OPPOSITE = {HOLDS: FAILS, FAILS: HOLDS, OPEN: OPEN}


def harmless(before, others: dict, what: str) -> tuple[dict, Finding]:
    """Whether each of several conditions leaves the accuracy on unseen rules where it is, at Holm's levels, and the
    finding that all do. A fall counts where seen rules are answered no worse."""
    outcomes, found = compared({name: differences(before, rows) for name, rows in others.items()}, -NEGLIGIBLE)
    for name, rows in others.items():
        lost = outcomes[name] == FAILS and change(before, rows, "seen").low < -NEGLIGIBLE
        outcomes[name] = OPEN if lost or accuracy(before).low <= REACHED else outcomes[name]
    text = f"{what}: {accuracy(before)} on unseen rules; change with {found.text}."
    return outcomes, replace(found, outcome=stats.every(outcomes.values()), text=text)


def many_are_robust(frame) -> Finding:
    """D6."""
    found = tails(frame)
    if not found or max(found) < WIDE * min(found):
        return Finding(OPEN, f"It takes two numbers of rules, one {WIDE} times the other, with and without tails.")
    before, *tailed = found[max(found)].values()
    return harmless(before, dict(zip(list(map(tail, found[max(found)]))[1:], tailed)), f"{max(found):,} rules")[1]


def few_are_not(frame) -> Finding:
    """D6f."""
    found = tails(frame)
    longest = min(found[min(found)]) if found else NO_TAIL
    if longest >= PEAKED or max(found) < WIDE * min(found):
        return Finding(OPEN, f"It takes a tail of α below {PEAKED}, and {WIDE} times as many rules beside the few.")
    own = found[min(found)]
    finding = harmless(own[NO_TAIL], {tail(longest): own[longest]}, f"{min(found):,} rules")[1]
    return replace(finding, outcome=OPPOSITE[finding.outcome])


def halving(frame) -> Finding:
    """D11."""
    part = frame[frame["n_examples"] < frame["n_examples"].max()]
    found, everything = by_tail(part), tails(frame).get(part["n_rules"].min())
    if not found or not everything:
        return Finding(OPEN, "There are no runs on all examples, on an even and on an uneven part of them.")
    parts = {"an even part": found[NO_TAIL], "an uneven part": found[min(found)]}
    outcomes, finding = harmless(everything[NO_TAIL], parts, "All examples")
    even, uneven = outcomes.values()
    return replace(finding, outcome=stats.every([even, OPPOSITE[uneven]]))


SOURCE = "arXiv 2405.19787, abstract and long tail"
MEASURE = "change of the exact match on unseen rules, seed by seed; seen rules are drawn as often as in training"
MARGIN = f"{NEGLIGIBLE}, a twentieth of the way from no answer to all."
HARM = f"""A condition harms where it lowers the accuracy, above {REACHED} without it, by more than {NEGLIGIBLE}, and
seen rules lose less; it does not where it lowers it by less (Holm's levels). Changed after three seeds: before, seen
rules had to be learnt to 0.9, which no condition surely is."""
MANY = f"""Looks at the largest number of rules, at least {WIDE} times the smallest. Holds where no tail harms, does not
hold where one does. {HARM}"""
FEW = f"""Looks at the smallest number of rules and the longest tail, its alpha below {PEAKED}. Holds where it harms,
does not hold where it does not. {HARM}"""
HALVES = f"""Holds where the even part does not harm and the uneven one does. Does not hold where the even part harms
or the uneven one does not. {HARM}"""
CLAIMS = (
    Claim("D6", "With many rules no long tail hurts.", SOURCE, MEASURE, MANY, MARGIN, many_are_robust),
    Claim("D6f", "With few rules, though enough of them, the longest tails hurt.", SOURCE, MEASURE, FEW, MARGIN,
          few_are_not),
    Claim("D11", "Of the examples of many rules half may be left out evenly over the rules, and not unevenly.",
          "arXiv 2405.19787, of a pretrained model, encrypted rewriting and 9,000 rules (D11e); here plain rewriting",
          MEASURE, HALVES, MARGIN, halving),
)  # fmt: skip


def answer(chapter) -> str:
    """The answer in a sentence."""
    found = tails(chapter.frame)
    longest = min(found[max(found)])
    costs = [f"{change(own[NO_TAIL], own[longest])} with {n:,} rules" for n, own in sorted(found.items(), reverse=True)]
    return f"**The longest tail (α = {longest:g}) changes the accuracy on unseen rules by {', by '.join(costs)}.**"


def figure_tails(chapter):
    """Accuracy on unseen rules against the number of rules, a curve for each tail."""
    rows = whole(chapter.frame)
    rows = rows[rows["eval"] == "unseen"]
    figure, (ax,) = plots.panels(1, height=3.2)
    groups = {tail(alpha): own for alpha, own in reversed(list(rows.groupby("alpha")))}
    plots.curves(ax, groups, chapter.again, ordered=True)
    return plots.signed(figure, [ax], rows)


def table_accuracy(chapter) -> str:
    """Accuracy by number of examples, of rules and tail, and how many rules a tail leaves (`diversity.of_examples`)."""
    from ..rewriting.diversity import of_examples

    measured, found = {spec.key: of_examples(spec.task, spec.seed) for spec in chapter.specs}, {}
    for (size, n, alpha), rows in cells(chapter.frame, "n_examples", "n_rules", "alpha").items():
        counts = [means_of(measured, rows, count) for count in ("met", "half", "entropy")]
        found[(size, n, tail(alpha), *counts)] = rows
    header = ["examples", "rules", "tail", "rules with an example", "effective, order ½", "order 1"]
    caption = "Exact match, mean with 95 % t-interval, by number of rules and tail; effective numbers of rules"
    return tables.by_cell(found, header, BY_SET, caption, "tab-long-tail")
