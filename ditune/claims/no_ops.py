"""D5: inputs that do not hold x among the training examples, in several shares (chapter 03).

Table: one row per run and evaluation set as in `records.frame`, where `exact_match` is that on inputs that hold x, `no_op`
that on inputs that do not (not a number where the set has none), `mean` the mean of the two. Runs differ in no_op_share, number of
rules and seed only; share 0 is among them.
"""

import math

from ..intervals import Interval, crossing, differences, interval
from .ledger import HIGH, LEARNT, LOW, PAPER, Finding, Scale, cells, claim, sentence

MOST_MOVED = 5 / 3
"""Two thresholds are the same where they differ by at most this factor: "about 400" is 300 to 500 in the paper's words."""
SEEDS = 3


def with_inputs(frame, slices):
    """The table that D5 is judged on, from those of `records.frame` and `records.slices` of the same runs."""
    known = slices.reindex(columns=["key", "eval", "slice", "value", "exact_match"]).astype({"key": str, "eval": str})  # where there are none, these are no text
    parts = known[known["slice"] == "no_op"].pivot(index=["key", "eval"], columns="value", values="exact_match")
    parts = parts.reindex(columns=["False", "True"]).set_axis(["has_op", "no_op"], axis=1)
    out = frame.join(parts.astype(float), on=["key", "eval"])
    out["exact_match"] = out.pop("has_op").fillna(out["exact_match"])
    out["mean"] = (out["exact_match"] + out["no_op"]) / 2
    out.attrs = frame.attrs
    return out


def passing(frame, level: float = 0.5) -> dict[int, tuple[float, bool]]:
    """By seed, the number of rules at which the accuracy on unseen rules passes the level, and whether it does; where it does
    not, the end of the numbers of rules on the side where it would."""
    out = {}
    for seed, rows in frame[frame["eval"] == "unseen"].groupby("seed"):
        rows = rows.sort_values("n_rules")
        place = crossing(rows["n_rules"], rows["exact_match"], level)
        end = rows["n_rules"].max() if rows["exact_match"].iloc[-1] < level else rows["n_rules"].min()
        out[int(seed)] = (float(end), False) if place is None else (place, True)
    return out


def moved(without, share) -> tuple[Interval | None, bool]:
    """The threshold in the second table divided by that in the first, geometric mean over the seeds that pass in the first, and
    whether all seeds of both pass in both; where not, the ratio is only a bound."""
    first, second = passing(without), passing(share)
    seeds = [seed for seed in first if seed in second and first[seed][1]]
    if not seeds:
        return None, False
    logs = interval([math.log(second[seed][0] / first[seed][0]) for seed in seeds])
    passed = all(found for places in (first, second) for _, found in places.values())
    return Interval(math.exp(logs.mean), math.exp(logs.low), math.exp(logs.high), logs.n), passed


def within(found: Interval, low: float, high: float) -> bool:
    return found.n >= SEEDS and low <= found.low and found.high <= high


def below(found: Interval, bound: float) -> bool:
    return found.n >= SEEDS and found.high < bound


def above(found: Interval, bound: float) -> bool:
    return found.n >= SEEDS and found.low > bound


@claim(
    "D5",
    statement="With inputs that do not hold x among the training examples, unseen rules are applied from the same number of rules on, and the share of such inputs does not matter.",
    source=f"{PAPER}, symbolic experiments with no-ops",
    metric=(
        "exact match on those inputs of unseen rules that hold x, and for what was learnt the same of seen rules; ratios and differences between runs of the same seed, mean over "
        "seeds with its 95 % bootstrap interval"
    ),
    rule=(
        "Compares each share with no such inputs. Place: the number of rules at which the accuracy passes 0.5, log-interpolated per seed, divided by that without such inputs; "
        "geometric mean over seeds. Height: the difference in accuracy, at the numbers of rules at which unseen rules are applied without such inputs (lower bound at least "
        f"{HIGH}). Holds where, for every share, all seeds pass 0.5, the interval of the ratio lies within {1 / MOST_MOVED:.2f} to {MOST_MOVED:.2f} (the paper's about 400 is 300 to 500 in its own "
        f"words), and the interval of each difference, of which there is one at least, lies within -{LOW} to {LOW}. Fails where, for any share, the interval of the ratio or of a difference "
        f"lies outside these bounds altogether; where this is for the worse, only if the seen rules are learnt (lower bound at least {LEARNT}) at that number of rules or, "
        "for the ratio, at all numbers of rules at which the accuracy with that share is below 0.5. A seed that does not pass 0.5 counts as passing at the end of the numbers of rules tried; "
        f"its ratio is a bound and cannot make the claim hold. Fewer than {SEEDS} seeds in common decide nothing."
    ),
    smallest_scale=Scale(SEEDS),
)
def d5(frame) -> Finding:
    without = frame[frame["no_op_share"] == 0]
    shares = sorted(set(frame["no_op_share"]) - {0})
    if without.empty or not shares:
        return Finding("open", "There are no runs without such inputs to compare with, or none with them.")
    outcomes, parts = zip(*(d5_of_share(without, frame[frame["no_op_share"] == share], share) for share in shares))
    outcome = "fails" if "fails" in outcomes else "holds" if set(outcomes) == {"holds"} else "open"
    return Finding(outcome, sentence(list(parts)) + ".")


def d5_of_share(without, with_share, share: float) -> tuple[str, str]:
    """What one share says, and its numbers in words."""
    grid = {c.n_rules: c for c in cells(with_share)}
    applied = [c.n_rules for c in cells(without) if c.unseen.low >= HIGH]
    change = {n: found for n, found in differences(without, with_share).items() if n in applied and n in grid}
    ratio, passed = moved(without, with_share)
    learnt = all(c.learnt for c in grid.values() if c.unseen.mean < 0.5)
    same_height = change and all(within(found, -LOW, LOW) for found in change.values())
    other_height = any(above(found, LOW) or (below(found, -LOW) and grid[n].learnt) for n, found in change.items())
    same_place = ratio and passed and within(ratio, 1 / MOST_MOVED, MOST_MOVED)
    other_place = ratio and (below(ratio, 1 / MOST_MOVED) or (above(ratio, MOST_MOVED) and learnt))
    outcome = "fails" if other_place or other_height else "holds" if same_place and same_height else "open"
    bound = "" if passed else ", a bound, as not every seed passes 0.5 among the numbers of rules tried"
    place = f"the number of rules at which 0.5 is passed changes by a factor of {ratio}{bound}" if ratio else "without such inputs no seed passes 0.5 among the numbers of rules tried"
    worst = max(change, key=lambda n: abs(change[n].mean), default=None)
    height = f"beyond, the accuracy changes most at {worst:,} rules, by {change[worst]}" if change else "there is no number of rules at which unseen rules are applied without such inputs"
    return outcome, f"with {share:.0%} of such inputs {place}, and {height}"
