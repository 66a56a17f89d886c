"""D9: how often x occurs in the training inputs (chapter 04).

Table: one row per run and evaluation set as in `records.frame`, where `exact_match` is that on all tested numbers of occurrences,
`met` that on the numbers which training had, `not_met` that on the others (not a number where there is none), and `kind` the tuple of the
numbers which training had. Runs differ in the kind, number of rules and seed only.
"""

import numpy as np

from ..claims.ledger import LEARNT, LOW, Finding, Scale, claim, sentence
from ..claims.paired import NEGLIGIBLE, SEEDS, above, below
from ..figures.intervals import Interval, differences, interval, threshold

PAPER_TABLE = {
    (1,): {2000: 0.71, 1000: 0.41, 500: 0.0, 200: 0.0},
    (10,): {2000: 0.88, 1000: 0.71, 500: 0.0, 200: 0.0},
    (20,): {2000: 0.73, 1000: 0.28, 500: 0.07, 200: 0.0},
    (1, 5, 10, 15, 20): {2000: 0.94, 1000: 0.94, 500: 0.62, 200: 0.0},
}
"""Accuracy on unseen rules by numbers of occurrences in training and number of rules, tested on 1 to 20: table 1 of 2402.10891."""
FEW = 0.5
"""The share of the threshold that counts as few rules: the paper's 200 are half of its about 400."""


def kind_of(occurrences) -> tuple[int, ...]:
    """A value of the column `occurrences`, in which a single number stands alone, as a tuple."""
    return tuple(occurrences) if isinstance(occurrences, tuple) else (int(occurrences),)


def with_kinds(frame, slices):
    """The table that D9 is judged on, from those of `records.frame` and `records.slices` of the same runs."""
    known = slices.reindex(columns=["key", "eval", "occurrences", "slice", "value", "exact_match", "n"]).astype({"key": str, "eval": str})
    known = known[known["slice"] == "occurrences"]
    had = [int(value) in kind_of(kind) for value, kind in zip(known["value"], known["occurrences"])]
    parts = known.assign(part=np.where(had, "met", "not_met"), right=known["exact_match"] * known["n"])
    sums = parts.groupby(["key", "eval", "part"])[["right", "n"]].sum().astype(float)
    shares = (sums["right"] / sums["n"]).unstack("part").reindex(columns=["met", "not_met"])
    out = frame.join(shares, on=["key", "eval"]).assign(kind=[kind_of(value) for value in frame["occurrences"]])
    out["met"] = out["met"].fillna(out["exact_match"].where(out["not_met"].isna()))  # where one number alone is tested
    return out


def words(kind: tuple[int, ...]) -> str:
    """Numbers of occurrences in words.

    >>> words((3,)), words((1, 2, 3))
    ('3', '1, 2, 3 mixed')
    """
    return ", ".join(map(str, kind)) + " mixed" * (len(kind) > 1)


def of(frame, kind, evaluation: str = "unseen", column: str = "exact_match") -> dict[int, Interval]:
    """By number of rules, what one kind of training reaches on an evaluation set."""
    rows = frame[(frame["kind"] == kind) & (frame["eval"] == evaluation)]
    return {int(n): interval(group[column]) for n, group in rows.groupby("n_rules")}


@claim(
    "D9",
    statement="At the same number of rules, training inputs with mixed numbers of occurrences of x beat inputs with any single number; where rules are few, nothing works.",
    source="arXiv 2402.10891, table 1",
    metric=(
        "exact match on unseen rules over the whole range of occurrences; for what was learnt, that on seen rules at the numbers of occurrences which training had; differences between runs "
        "of the same seed; means over seeds with their 95 % bootstrap intervals"
    ),
    rule=(
        f"Better: at every number of rules at which the mix works at all (lower bound above {LOW}), of which there is one at least, the lower bound of its difference to each single number is above "
        f"{NEGLIGIBLE}, and training on that number has learnt its seen rules (lower bound at least {LEARNT}). Few rules: at most {FEW} times the number at which training on one occurrence, tested on one occurrence, passes 0.5 (the lower bound of this threshold; the paper's 200 are half of "
        f"its about 400); there, all kinds of training have learnt their seen rules (lower bound at least {LEARNT}) and have an upper bound of at most {LOW} on unseen ones. Holds where both "
        f"are so and such a number of rules was tried. Fails where, at any number of rules, the upper bound of the difference to a single number is below -{NEGLIGIBLE}, the mix having learnt its seen "
        f"rules; or where, at few rules in this sense, any kind of training has a lower bound above {LOW}. Fewer than {SEEDS} seeds in common decide nothing."
    ),
    smallest_scale=Scale(SEEDS),
)
def d9(frame) -> Finding:
    kinds = sorted(set(frame["kind"]))
    mixes, singles = [k for k in kinds if len(k) > 1], [k for k in kinds if len(k) == 1]
    if not mixes or not singles:
        return Finding("open", "There is no mix, or no single number to compare it with.")
    better, found = zip(*(compared(frame, mix, single) for mix in mixes for single in singles))
    nothing, few = d9_few(frame, kinds)
    outcomes = {*better, nothing}
    outcome = "fails" if "fails" in outcomes else "holds" if outcomes == {"holds"} else "open"
    return Finding(outcome, sentence([*found, few]) + ".")


def compared(frame, mix, single) -> tuple[str, str]:
    """Whether a mix is better than a single number of occurrences, and their differences in words."""
    change = differences(frame[frame["kind"] == single], frame[frame["kind"] == mix])
    reached, own, theirs = of(frame, mix), of(frame, mix, "seen", "met"), of(frame, single, "seen", "met")
    works = [n for n in reached if reached[n].low > LOW]
    worse = [n for n in change if below(change[n], -NEGLIGIBLE) and n in own and own[n].low >= LEARNT]
    learnt = [n for n in works if n in theirs and theirs[n].low >= LEARNT]
    better = works and all(n in change and above(change[n], NEGLIGIBLE) for n in works) and learnt == works
    numbers = ", ".join(f"{found} at {n:,}" for n, found in change.items()) or "not known"
    text = f"{words(mix)} less {words(single)}, by number of rules: {numbers}" + ("" if works else ", where the mix does not work")
    text += f"; against the statement: worse at {', '.join(f'{n:,}' for n in worse)}" if worse else ""
    text += f" ({words(single)} alone has not learnt its own rules in all of them)" if learnt != works else ""
    return "fails" if worse else "holds" if better else "open", text


def d9_few(frame, kinds) -> tuple[str, str]:
    """Whether nothing works where rules are few, and the highest accuracy there in words."""
    once = frame[frame["kind"] == (1,)]
    place = threshold(once.assign(exact_match=once["met"]))
    if place is None:
        return "open", "training on one occurrence does not pass 0.5 on one occurrence in every seed among the numbers of rules tried, so that none of them counts as few"
    few = [int(n) for n in sorted(set(frame["n_rules"])) if n <= FEW * place.rules.low]
    if not few:
        return "open", f"training on one occurrence passes 0.5 on one occurrence at {place} rules, and no number of rules that counts as few was tried"
    reached = {(kind, n): found for kind in kinds for n, found in of(frame, kind).items() if n in few and found.n >= SEEDS}
    learnt = all(found.low >= LEARNT for kind in kinds for n, found in of(frame, kind, "seen", "met").items() if n in few)
    complete = len(reached) == len(kinds) * len(few)
    nothing = complete and learnt and all(found.high <= LOW for found in reached.values())
    outcome = "fails" if any(found.low > LOW for found in reached.values()) else "holds" if nothing else "open"
    if not reached:
        return "open", "with few rules there are not enough seeds"
    kind, n = max(reached, key=lambda cell: reached[cell].mean)
    unlearnt = "" if learnt else ", where not all kinds have learnt their seen rules"
    against = ", against the statement that nothing works there" if outcome == "fails" else ""
    return outcome, f"with few rules ({', '.join(f'{n:,}' for n in few)}) the highest is {reached[kind, n]}, by {words(kind)} at {n:,}{unlearnt}{against}"
