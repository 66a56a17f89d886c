"""D10: a pretrained model that is tuned to rewrite and then encrypt (chapter 12).

Table: one row per run and evaluation set as in `records.frame`, where `exact_match` is that on inputs that hold x, `no_op` that
on inputs that do not, and `copied` the share of the inputs that hold x which are answered by the encrypted input, as if the rule did
not apply (`no_ops.with_inputs`). Runs differ in the number of rules tuned on and in the seed only.
"""

from ..claims.ledger import HIGH, LEARNT, LOW, PAPER, Cell, Finding, Scale, cells, claim
from ..claims.paired import SEEDS
from ..figures.intervals import Interval, interval

FEW = 100
"""Rules that count as few: in the paper's symbolic experiments up to 300 do not suffice, for words that are longer than ours; how many
few are for its pretrained model is not known."""


def no_ops_of(frame, n_rules: int) -> Interval:
    """Accuracy on no-ops of unseen rules at a number of rules."""
    return interval(frame[(frame["n_rules"] == n_rules) & (frame["eval"] == "unseen")]["no_op"])


@claim(
    "D10",
    statement="A pretrained model that is tuned to rewrite and then encrypt shows the same: with few rules it solves only the no-ops of unseen rules.",
    source=f"{PAPER}, encrypted rewriting; the paper: Llama-2-7B with LoRA, numbers of rules and accuracies not known",
    metric=(
        "exact match on encrypted answers to unseen rules, no-ops and inputs that hold x apart, mean over seeds with its 95 % bootstrap interval; for what was learnt, that on freshly drawn "
        "inputs of seen rules that hold x. The pretrained model is the language model where there is one, else the rewriter of the most rules; it is tuned on all examples, as many of each rule"
    ),
    rule=(
        f"Holds where, at some number of rules, the seen rules are learnt (lower bound at least {LEARNT}), the no-ops of unseen rules are solved (lower bound at least {HIGH}) and inputs of unseen "
        f"rules that hold x are not (upper bound at most {LOW}), and at some larger number these are solved as well (lower bound at least {HIGH}). Fails where, at the smallest number of rules, of at "
        f"most {FEW}, inputs of unseen rules that hold x are solved in part (lower bound above {LOW}), or where there the seen rules are learnt and not even the no-ops of unseen ones are solved (upper "
        f"bound below {HIGH}). Fewer than {SEEDS} seeds decide nothing."
    ),
    smallest_scale=Scale(SEEDS),
)
def d10(frame) -> Finding:
    grid = cells(frame)
    if not grid:
        return Finding("open", "There are no runs with both evaluation sets.")
    no_ops = {c.n_rules: no_ops_of(frame, c.n_rules) for c in grid}
    only = [c for c in grid if c.learnt and c.unseen.high <= LOW and no_ops[c.n_rules].low >= HIGH]
    after = [c for c in grid if c.unseen.low >= HIGH and only and c.n_rules > only[0].n_rules]
    enough, first = grid[0].unseen.n >= SEEDS, grid[0]
    if after and enough:
        return Finding("holds", said([only[0], after[-1]], no_ops))
    solved = first.unseen.low > LOW
    neither = first.learnt and no_ops[first.n_rules].high < HIGH
    outcome = "fails" if enough and first.n_rules <= FEW and (solved or neither) else "open"
    half = f" With {only[0].n_rules:,} rules it is as stated; that more rules solve the inputs that hold x is not shown, for which a lower bound of {HIGH} is asked." if only and outcome == "open" else ""
    return Finding(outcome, said([first, grid[-1]] if len(grid) > 1 else [first], no_ops) + half)


def said(shown: list[Cell], no_ops: dict[int, Interval]) -> str:
    """The numbers of rules in words, with their accuracies."""
    parts = (f"{c.n_rules:,} rules: {c.unseen} on inputs of unseen rules that hold x, {no_ops[c.n_rules]} on their no-ops, {c.seen} on inputs of seen rules that hold x" for c in shown)
    return "; ".join(parts) + "."
