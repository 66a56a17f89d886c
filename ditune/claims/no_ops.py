"""D5: no-ops, inputs that do not hold x, among the training examples, in several shares (chapter 03).

Table: one row per run and evaluation set as in `records.frame`, where `exact_match` is that on inputs that hold x, `no_op`
that on inputs that do not (not a number where the set has none), `mean` the mean of the two, and `copied` the share of the inputs that
hold x which are answered by a copy. Runs differ in no_op_share, number of rules and seed only; share 0 is among them.
"""

from ..chapters.common import with_inputs  # noqa: F401
from ..claims.ledger import HIGH, LEARNT, PAPER, Finding, Scale, cells, claim, sentence
from ..claims.paired import NEGLIGIBLE, SEEDS, above, below
from ..figures.intervals import Bounds, bounds, differences

MOST_MOVED = 5 / 3
"""Two thresholds are the same where they differ by at most this factor: "about 400" is 300 to 500 in the paper's words."""


@claim(
    "D5",
    statement="With no-ops among the training examples unseen rules are applied from the same number of rules on, and the share of no-ops does not matter.",
    source=f"{PAPER}, symbolic experiments with no-ops",
    metric=(
        "exact match on those inputs of unseen rules that hold x; for what was learnt, the same of seen rules; ratios and differences between runs of the same seed; means "
        "over seeds with their 95 % bootstrap intervals"
    ),
    rule=(
        "Compares each share with none. Place: the ratio of the numbers of rules at which the accuracy passes 0.5, log-interpolated per seed, as a geometric mean over seeds. Height: the "
        f"difference in accuracy, at the numbers of rules at which unseen rules are applied without no-ops (lower bound at least {HIGH}). Holds where, for every share, the interval of the "
        f"ratio lies within {1 / MOST_MOVED:.2f} to {MOST_MOVED:.2f} (the paper's about 400 is 300 to 500 in its own words) and the interval of each difference, of which there is one at least, "
        f"within -{NEGLIGIBLE} to {NEGLIGIBLE}. Fails where, for any share, one of these intervals lies outside altogether; where this is for the worse, only if the seen rules are learnt (lower "
        f"bound at least {LEARNT}) at that number of rules or, for the ratio, at all numbers of rules at which the accuracy with that share is below 0.5. Where a seed does not pass 0.5 among "
        f"the numbers of rules tried, its ratio is only bounded; this cannot make the claim hold, and makes it fail if the bounds of every seed lie outside. Fewer than {SEEDS} seeds in common decide nothing."
    ),
    smallest_scale=Scale(SEEDS),
)
def d5(frame) -> Finding:
    without = frame[frame["no_op_share"] == 0]
    shares = sorted(set(frame["no_op_share"]) - {0})
    if without.empty or not shares:
        return Finding("open", "There are no runs with no-ops, or none without to compare them with.")
    outcomes, parts = zip(*(d5_of_share(without, frame[frame["no_op_share"] == share], share) for share in shares))
    outcome = "fails" if "fails" in outcomes else "holds" if set(outcomes) == {"holds"} else "open"
    return Finding(outcome, sentence(list(parts)) + ".")


def d5_of_share(without, with_share, share: float) -> tuple[str, str]:
    """What one share says, and its numbers in words."""
    grid = {c.n_rules: c for c in cells(with_share)}
    applied = [c.n_rules for c in cells(without) if c.unseen.low >= HIGH]
    change = {n: found for n, found in differences(without, with_share).items() if n in applied and n in grid}
    higher = any(above(found, NEGLIGIBLE) for found in change.values())
    lower = any(below(found, -NEGLIGIBLE) and grid[n].learnt for n, found in change.items())
    same = change and all(above(found, -NEGLIGIBLE) and below(found, NEGLIGIBLE) for found in change.values())
    ratio = bounds(with_share).over(bounds(without))
    place = moved(ratio)
    unlearnt = [c.n_rules for c in grid.values() if c.unseen.mean < 0.5 and not c.learnt]
    outcome = "fails" if higher or lower or place == "earlier" or (place == "later" and not unlearnt) else "holds" if same and place == "same" else "open"
    worst = max(change, key=lambda n: abs(change[n].mean), default=None)
    text = f"{100 * share:g} % no-ops: ratio of the numbers of rules at which the accuracy passes 0.5: {ratio or 'not known'}{not_learnt(unlearnt)}"
    if worst is None:
        return outcome, f"{text}; no number of rules suffices without no-ops"
    return outcome, f"{text}; where unseen rules are applied without no-ops, the accuracy changes most at {worst:,} rules, by {change[worst]}{not_learnt([] if grid[worst].learnt else [worst])}"


def not_learnt(numbers: list[int]) -> str:
    """A remark on the numbers of rules at which seen rules are not learnt, if there are any."""
    return f" (with no-ops the seen rules are not learnt at {', '.join(f'{n:,}' for n in numbers)})" if numbers else ""


def moved(ratio: Bounds | None) -> str:
    """Whether a threshold is the "same" as another, "earlier", "later" or not decided ("open"), by their ratio."""
    if ratio is None or len(ratio.by_seed) < SEEDS:
        return "open"
    known = ratio.interval
    sides = [(known.low, known.high)] if known else list(ratio.by_seed.values())
    if all(high < 1 / MOST_MOVED for _, high in sides):
        return "earlier"
    if all(low > MOST_MOVED for low, _ in sides):
        return "later"
    return "same" if known and 1 / MOST_MOVED <= known.low and known.high <= MOST_MOVED else "open"
