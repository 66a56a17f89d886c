"""What each notebook runs: its parameters in, a list of run specs out.

A function's keywords are the parameters of its notebook, so a notebook, the command line and a cluster build the same
specs. Nothing heavy is imported: a wrong parameter is reported before anything starts.
"""

import yaml

from .specs import EvalSpec, RunSpec, SpecError

MOST_SEEDS, MOST_SHOWN = 1000, 10**7  # larger numbers are mistakes of typing


def literal(name: str, value, kind: type):
    """A parameter as a value of the given kind; papermill's `-p` leaves lists as text, which is read here as YAML."""
    if isinstance(value, str) and kind is not str:
        try:
            value = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError):  # ValueError: a number of thousands of digits, a day that does not exist
            pass
    if isinstance(value, bool) or not isinstance(value, kind):
        raise SpecError(f"{name} = {value!r} has the wrong type; allowed: {kind.__name__}")
    return value


def rewriting_tasks(seed, task, n_examples) -> list[RunSpec]:
    """Checks the parameters of the chapter on the task, which trains nothing and so needs no runs.

    seed: of the streams that rules and inputs are drawn from; task: fields of `TaskSpec` that differ from the paper's;
    n_examples: how many examples are looked at.
    """
    RunSpec.of(task=literal("task", task, dict), seed=literal("seed", seed, int))
    if not 1 <= literal("n_examples", n_examples, int) <= MOST_SHOWN:
        raise SpecError(f"n_examples = {n_examples!r}; allowed: 1 to {MOST_SHOWN}")
    return []


def rewriting_run(task: dict, model: dict, train: dict, n_test: int, seed: int) -> RunSpec:
    """A run that is tested on n_test examples of unseen rules and as many of seen ones."""
    evals = [EvalSpec.of(name=rules, rules=rules, n_examples=n_test) for rules in ("unseen", "seen")]
    return RunSpec.of(task=task, model=model, train=train, evals=evals, seed=seed)


def number_of_rules(n_rules, n_seeds, n_test, task, model, train) -> list[RunSpec]:
    """Accuracy against the number of training rules at a fixed budget (2405.19787, symbolic experiments; D1-D4).

    n_rules: list of numbers of rules; n_seeds: seeds 0 .. n_seeds - 1 of each; n_test: examples of each evaluation set;
    task, model, train: fields of `TaskSpec`, `ModelSpec`, `TrainSpec` that differ from the paper's.
    """
    numbers, seeds = literal("n_rules", n_rules, list), literal("n_seeds", n_seeds, int)
    task, model, train = (literal(n, v, dict) for n, v in (("task", task), ("model", model), ("train", train)))
    if not numbers:
        raise SpecError("n_rules = []; allowed: at least one number")
    if not 1 <= seeds <= MOST_SEEDS:
        raise SpecError(f"n_seeds = {seeds!r}; allowed: 1 to {MOST_SEEDS}")
    if "n_rules" in task:
        raise SpecError(f"task = {task!r} holds n_rules; allowed: the other fields of TaskSpec, for n_rules is a parameter of its own")
    return [
        rewriting_run(task | {"n_rules": n}, model, train, literal("n_test", n_test, int), seed)
        for n in numbers
        for seed in range(seeds)
    ]


SPECS = {"01_rewriting_tasks": rewriting_tasks, "02_number_of_rules": number_of_rules}
"""The function of each notebook that trains, or whose parameters need a check; the other notebooks need no runs."""

SURVEYS = ("17_cost",)
"""Notebooks that draw on the records of all others and on `results/benchmarks/`, and make none of their own."""
