"""D6 and D11: rules with unequal numbers of examples, and half of the examples left out (chapter 06)."""

from ..claims.ledger import LEARNT, PAPER, Finding, Scale, claim
from ..claims.paired import NEGLIGIBLE, REACHED, SEEDS, above, accuracy, below, change

WIDE = 10
"""Many rules are so many times the few: the paper's 10,000 and 1,000."""
PEAKED = 0.2
"""The paper's 1,000 rules suffer from tails of a smaller alpha."""
METRIC = "exact match on examples of unseen rules, mean over seeds with its 95 % bootstrap interval; changes are taken seed by seed; seen rules are drawn as often as in training"


def whole(frame):
    """The runs on the whole budget of examples."""
    return frame[frame["n_examples"] == frame["n_examples"].max()]


def by_tail(rows) -> dict[float | None, object]:
    """The rows by alpha, None: without a tail, then from the mildest to the longest."""
    found = {None: rows[rows["tail_alpha"].isna()]} if rows["tail_alpha"].isna().any() else {}
    tailed = rows[rows["tail_alpha"].notna()]
    return found | {float(a): tailed[tailed["tail_alpha"] == a] for a in sorted(tailed["tail_alpha"].unique(), reverse=True)}


def harm(before, after) -> str:
    """Whether the second condition lowers the accuracy on unseen rules: "yes", in models that have learnt the rules as they
    were given, "no" or "open"."""
    found = change(before, after, "unseen")
    learnt = accuracy(after, "seen").low >= LEARNT
    return "no" if above(found, -NEGLIGIBLE) else "yes" if below(found, -NEGLIGIBLE) and learnt else "open"


HARM = (
    f"A condition harms where the change that it makes has an upper bound below -{NEGLIGIBLE} and its own seen rules are learnt (lower bound at least {LEARNT}); it does not "
    f"where the lower bound is above -{NEGLIGIBLE}; fewer than {SEEDS} seeds decide nothing."
)


@claim(
    "D6",
    statement="Generalisation is robust to how the examples are spread over the rules: with many rules no long tail hurts; with few, though enough of them, the longest tails do.",
    source=f"{PAPER}, abstract and long tail; the paper: 10,000 and more rules, and 1,000 rules with alpha below 0.2",
    metric=METRIC,
    rule=(
        f"Few and many are the smallest and the largest number of rules tried; the few must be enough without a tail (lower bound above {REACHED}), and the many at least {WIDE} times as many, as in the paper. {HARM} "
        f"Holds where no tail harms with many rules, and with few the longest does, its alpha being below {PEAKED}. Fails where a tail harms with many, or the longest does not with few."
    ),
    smallest_scale=Scale(SEEDS),
)
def d6(frame) -> Finding:
    grid = {int(n): by_tail(rows) for n, rows in whole(frame).groupby("n_rules")}
    grid = {n: tails for n, tails in grid.items() if None in tails and len(tails) > 1}
    if not grid or max(grid) < WIDE * min(grid):
        return Finding("open", f"Two numbers of rules, one {WIDE} times the other, were not tried with and without tails.")
    few, many, longest = min(grid), max(grid), min(a for a in grid[min(grid)] if a)
    enough = above(accuracy(grid[few][None], "unseen"), REACHED)
    text = " ".join(said(n, grid[n]) for n in (few, many))
    at_few = harm(grid[few][None], grid[few][longest]) if enough and longest < PEAKED else "open"
    at_many = [harm(grid[many][None], rows) for alpha, rows in grid[many].items() if alpha]
    if "yes" in at_many or at_few == "no":
        return Finding("fails", text)
    if not enough:
        return Finding("open", f"It is not clear that {few:,} rules are enough without a tail. {text}")
    return Finding("holds" if at_few == "yes" and set(at_many) == {"no"} else "open", text)


def said(n_rules: int, tails: dict) -> str:
    """The accuracy without a tail, and the change that each tail makes, in words."""
    changes = (f"alpha = {alpha:g}: {change(tails[None], rows, 'unseen')}" for alpha, rows in tails.items() if alpha)
    return f"{n_rules:,} rules: {accuracy(tails[None], 'unseen')} on unseen rules without a tail; change with {', '.join(changes)}."


@claim(
    "D11",
    statement="With many rules, leaving out half of the examples evenly over the rules does no harm; leaving them out unevenly does.",
    source=f"{PAPER}, where it is said of a pretrained model and encrypted rewriting with 9,000 rules; decided here for its symbolic counterpart, plain rewriting learnt from random weights",
    metric=METRIC,
    rule=(
        f"Compares the runs on part of the examples with those on all of them, at the same number of rules and of steps; all of them must be enough (lower bound above {REACHED}). {HARM} "
        f"Holds where the even part does not harm and the part with the longest tail does. Fails where the even part harms, or the other does not."
    ),
    smallest_scale=Scale(SEEDS),
)
def d11(frame) -> Finding:
    parts = frame[frame["n_examples"] < frame["n_examples"].max()]
    full = whole(frame)
    everything = full[full["tail_alpha"].isna() & full["n_rules"].isin(parts["n_rules"])]
    tails = by_tail(parts)
    if everything.empty or None not in tails or len(tails) < 2:
        return Finding("open", "There are no runs on all examples, on an even and on an uneven part of them.")
    even, uneven = tails[None], tails[min(a for a in tails if a)]
    text = f"All examples: {accuracy(everything, 'unseen')} on unseen rules; change with the even part: {change(everything, even, 'unseen')}, "
    text += f"with the uneven one: {change(everything, uneven, 'unseen')}; seen rules: {accuracy(even, 'seen')} and {accuracy(uneven, 'seen')}."
    if not above(accuracy(everything, "unseen"), REACHED):
        return Finding("open", f"It is not clear that all examples are enough. {text}")
    found = harm(everything, even), harm(everything, uneven)
    outcome = "holds" if found == ("no", "yes") else "fails" if found[0] == "yes" or found[1] == "no" else "open"
    return Finding(outcome, text)
