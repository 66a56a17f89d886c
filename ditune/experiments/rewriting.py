"""The chapters on string rewriting, 01 to 08: parameters in, list of run specs out.

Parameters that several chapters have: n_rules, a list of numbers of training rules I; first_seed and n_seeds, the seeds
first_seed .. first_seed + n_seeds - 1 of each cell; n_test, examples of each evaluation set; task, model, train, the fields
of `TaskSpec`, `ModelSpec`, `TrainSpec` that differ from the paper's. A cell that two chapters share is one run.
"""

from ..chapters.common import listed, literal, rewriting_run, seeds_of, tested, without
from ..rewriting.specs import RunSpec
from ..specs import SpecError


def number_of_rules(n_rules, first_seed, n_seeds, n_test, task, model, train) -> list[RunSpec]:
    """02: accuracy against the number of training rules at a fixed budget (2405.19787, symbolic experiments; D1-D4)."""
    task, model, train = without("task", task, "n_rules"), literal("model", model, dict), literal("train", train, dict)
    return [
        rewriting_run(task | {"n_rules": n}, model, train, tested(n_test), seed)
        for n in listed("n_rules", n_rules, int)
        for seed in seeds_of(first_seed, n_seeds)
    ]


def long_tail(
    tail_alphas, n_rules, kept_share, halved_rules, first_seed, n_seeds, n_test, task, model, train
) -> list[RunSpec]:
    """06: rules with unequal numbers of examples (2405.19787, long tail; D6, D11; the paper: alpha 2 to 0.03, I = 1k, 10k, 100k).

    tail_alphas: of the weights U^(1/alpha) of the rules; without a tail it is chapter 02. Halving: kept_share of the examples
    of halved_rules rules, evenly over the rules or with the longest of these tails; and all of the examples.
    """
    task, model, train = (
        without("task", task, "n_rules", "tail_alpha"),
        literal("model", model, dict),
        literal("train", train, dict),
    )
    alphas, numbers = listed("tail_alphas", tail_alphas, (int, float)), listed("n_rules", n_rules, int)
    shared = (first_seed, n_seeds, n_test)
    runs = number_of_rules(numbers, *shared, task, model, train)
    for alpha in alphas:
        runs += number_of_rules(numbers, *shared, task | {"tail_alpha": float(alpha)}, model, train)
    if not 0 < literal("kept_share", kept_share, (int, float)) <= 1:
        raise SpecError(f"kept_share = {kept_share!r}; allowed: a number above 0, at most 1")
    half = task | {"n_examples": round(kept_share * RunSpec.of(task=task).task.n_examples)}
    for tail in (None, float(min(alphas))):
        runs += number_of_rules(
            [literal("halved_rules", halved_rules, int)], *shared, half | {"tail_alpha": tail}, model, train
        )
    return list(dict.fromkeys(runs + number_of_rules([halved_rules], *shared, task, model, train)))
