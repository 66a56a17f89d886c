"""D1 to D4: accuracy on unseen rules against the number of training rules, at a fixed number of examples (chapter 02)."""

import math

from ..claims.ledger import (
    HIGH,
    LEARNT,
    LOW,
    METRIC,
    PAPER,
    PAPER_SCALE,
    Finding,
    Scale,
    cells,
    claim,
    said,
    said_of,
    sentence,
)
from ..figures.intervals import threshold

FEW_EXAMPLES = 20
"""Examples of each rule that count as few."""
SHARP = 2
"""A transition is sharp where twice as many rules take the accuracy from LOW to HIGH."""
PLACE = (300, 500)
"""What "about 400" means: the paper's own words place the threshold at 300 and at 500."""


PAPER_CURVE = dict.fromkeys((10, 20, 50, 100, 200, 300), 0.0) | {
    400: 0.13, 500: 0.85, 600: 0.925, 1000: 0.98, 2000: 0.987, 2500: 0.983, 5000: 0.987, 10_000: 0.993, 100_000: 0.991, 1_000_000: 0.991,
}  # fmt: skip
"""Accuracy on unseen rules by number of rules, N = 10^6: read off figure 2a of the paper's first version, to +-0.005. Beside
three values stands a spread: +-0.02 at 400 rules, +-0.03 at 500, +-0.015 at 600."""


@claim(
    "D1",
    statement="Rules that were never seen are applied correctly once the training rules are diverse enough, even where each of them has few examples.",
    source=f"{PAPER}, abstract",
    metric=METRIC,
    rule=(
        f"Holds where, at some number of rules, the seen rules are learnt (lower bound at least {LEARNT}) and the unseen ones are not applied (upper bound at "
        f"most {LOW}), and, at some larger number with at most {FEW_EXAMPLES} examples of each rule, the unseen ones are (lower bound at least {HIGH}). Fails "
        f"where, at every number of rules with at most {FEW_EXAMPLES} examples of each, the seen rules are learnt and the upper bound for unseen ones is below {HIGH}."
    ),
    smallest_scale=Scale(3),
)
def d1(frame) -> Finding:
    grid = cells(frame)
    without = [c for c in grid if c.learnt and c.unseen.high <= LOW]
    few = [c for c in grid if c.per_rule <= FEW_EXAMPLES]
    after = [c for c in few if c.unseen.low >= HIGH and without and c.n_rules > without[0].n_rules]
    if after:
        return Finding("holds", said([without[0], after[-1]]))
    if few and all(c.learnt and c.unseen.high < HIGH for c in few):
        return Finding("fails", said(few))
    missing = [] if without else ["no number of rules at which seen rules are learnt and unseen ones fail"]
    missing += [] if few else [f"no number of rules with at most {FEW_EXAMPLES} examples of each"]
    shown = [grid[0], grid[-1]] if grid else []
    return Finding("open", sentence([*missing, said(shown)]))


@claim(
    "D2",
    statement="Below 300 rules the accuracy on unseen rules stays at zero, however many examples each rule has.",
    source=f"{PAPER}, symbolic experiments; curve: figure 2a of arXiv 2402.10891",
    metric=METRIC,
    rule=(
        f"Looks at the numbers of rules below 300. Holds where, at all of them, the seen rules are learnt (lower bound at least {LEARNT}) and the upper "
        f"bound for unseen rules is at most {LOW}. Fails where the lower bound for unseen rules is above {LOW} at any of them."
    ),
    smallest_scale=PAPER_SCALE,
)
def d2(frame) -> Finding:
    below = [c for c in cells(frame) if c.n_rules < 300]
    if not below:
        return Finding("open", "No number of rules below 300 was tried.")
    highest = max(below, key=lambda c: c.unseen.mean)
    text = said_of("highest", highest, below)
    if any(c.unseen.low > LOW for c in below):
        return Finding("fails", text)
    if unlearnt := [c for c in below if not c.learnt]:
        return Finding("open", f"The seen rules are not learnt at {', '.join(f'{c.n_rules:,}' for c in unlearnt)} rules. " + text)
    return Finding("holds" if all(c.unseen.high <= LOW for c in below) else "open", text)


@claim(
    "D3",
    statement="From 1,000 rules on the model generalises every time, down to a single example of each rule.",
    source=f"{PAPER}, symbolic experiments",
    metric=METRIC,
    rule=(
        f"Looks at the numbers of rules from 1,000 on. Holds where the lower bound for unseen rules is at least {HIGH} at all of them, and one of them is as large "
        f"as the number of examples. Fails where, at any of them, the seen rules are learnt (lower bound at least {LEARNT}) and the upper bound for unseen ones is "
        f"below {HIGH}; a model that has not learnt its own rules decides nothing."
    ),
    smallest_scale=PAPER_SCALE,
)
def d3(frame) -> Finding:
    above = [c for c in cells(frame) if c.n_rules >= 1000]
    if not above:
        return Finding("open", "No number of rules from 1,000 on was tried.")
    text = said_of("lowest", min(above, key=lambda c: c.unseen.mean), above)
    if any(c.learnt and c.unseen.high < HIGH for c in above):
        return Finding("fails", text)
    if above[-1].per_rule > 1:
        return Finding("open", "One example of each rule was not tried. " + text)
    return Finding("holds" if all(c.unseen.low >= HIGH for c in above) else "open", text)


@claim(
    "D4",
    statement="The change is sharp and lies at about 400 rules.",
    source=f"{PAPER}, symbolic experiments",
    metric="exact match on examples of unseen rules; place: the number of rules at which it passes 0.5, log-interpolated per seed, geometric mean with its 95 % bootstrap interval",
    rule=(
        f"Place: the interval of the threshold lies within {PLACE[0]} to {PLACE[1]} rules, the range that the paper's own words span. Sharp: at most {SHARP} times "
        f"as many rules lead from an accuracy whose upper bound is at most {LOW}, the seen rules being learnt, to one whose lower bound is at least {HIGH}. Holds where both are so. Fails where the "
        f"lower bound is above 0.5 at {PLACE[0]} rules or fewer; or where, the seen rules being learnt (lower bound at least {LEARNT}), the upper bound is below 0.5 at "
        f"{PLACE[1]} rules or more, or numbers of rules more than a factor of {SHARP} apart both have intervals between {LOW} and {HIGH}."
    ),
    smallest_scale=PAPER_SCALE,
)
def d4(frame) -> Finding:
    grid, place = cells(frame), threshold(frame)
    after = next((c for c in grid if c.unseen.low >= HIGH), None)
    before = [c for c in grid if c.learnt and c.unseen.high <= LOW and after and c.n_rules < after.n_rules]
    between = [c for c in grid if c.learnt and c.unseen.low > LOW and c.unseen.high < HIGH]
    early = any(c.unseen.low > 0.5 and c.n_rules <= PLACE[0] for c in grid)
    late = any(c.learnt and c.unseen.high < 0.5 and c.n_rules >= PLACE[1] for c in grid)
    at_most = after.n_rules / before[-1].n_rules if before else math.inf
    at_least = between[-1].n_rules / between[0].n_rules if between else 1.0
    inside = place is not None and PLACE[0] <= place.rules.low and place.rules.high <= PLACE[1]
    outcome = "fails" if early or late or at_least > SHARP else "holds" if inside and at_most <= SHARP else "open"
    where = f"the accuracy passes 0.5 at {place} rules" if place else "not every seed passes 0.5 within the numbers of rules tried"
    if before:
        width = f"the rise from {LOW} to {HIGH} takes a factor of {at_least:.1f} to {at_most:.1f} in the number of rules"
    else:
        width = f"no accuracy at most {LOW} on rules of which the seen ones are learnt comes before one at least {HIGH}"
    return Finding(outcome, sentence([where, width]) + ".")
