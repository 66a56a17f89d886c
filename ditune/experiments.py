"""What each notebook runs: its parameters in, a list of run specs out.

A function's keywords are the parameters of its notebook, so a notebook, the command line and a cluster build the same
specs. Nothing heavy is imported: a wrong parameter is reported before anything starts.
"""

import yaml

from .specs import EvalSpec, RunSpec, SpecError


def literal(name: str, value, kind: type):
    """A parameter as a value of the given kind; papermill's `-p` leaves lists as text, which is read here as YAML."""
    if isinstance(value, str) and kind is not str:
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError:
            pass
    if isinstance(value, bool) or not isinstance(value, kind):
        raise SpecError(f"{name} = {value!r} has the wrong type; allowed: {kind.__name__}")
    return value


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
    if not numbers or seeds < 1:
        raise SpecError(f"n_rules = {numbers!r}, n_seeds = {seeds!r}; allowed: at least one number and one seed")
    return [
        rewriting_run(task | {"n_rules": n}, model, train, literal("n_test", n_test, int), seed)
        for n in numbers
        for seed in range(seeds)
    ]


SPECS = {"02_number_of_rules": number_of_rules}
"""The function of each notebook that trains; the other notebooks need no runs."""

SURVEYS = ("17_cost",)
"""Notebooks that draw on the records of all others and on `results/benchmarks/`, and make none of their own."""
