"""What the chapters share: reading parameters, and runs of rewriting that are tested on seen and unseen rules.

Parameters that several chapters have: n_rules, a list of numbers of training rules; first_seed and n_seeds, the seeds
first_seed .. first_seed + n_seeds - 1 of each cell; n_test, examples of each evaluation set; task, model, train, the
fields of `TaskSpec`, `ModelSpec`, `TrainSpec` that differ from the paper's. A cell that two chapters share is one run.
"""

import yaml

from ..rewriting.specs import EvalSpec, RunSpec, TaskSpec
from ..specs import SpecError

REACHED = 0.5
"""Rules of a kind are reached above this accuracy, the one at which thresholds are placed."""
SETS = {"unseen": "unseen rules", "seen": "seen rules"}
BY_SET = {label: (name,) for name, label in SETS.items()}
"""The evaluation sets of `tested`, and their headings in `tables.by_cell`."""
MOST_SEEDS, MOST_SHOWN = 1000, 10**7  # larger numbers are mistakes of typing
PAPER_SCALE = "the paper's sizes and 50 passes over 10^6 examples: half an hour of an H100 for each run"
"""What it takes to decide a statement that names a number of rules."""


def literal(name: str, value, kind: type):
    """A parameter as a value of the given kind; papermill's `-p` leaves lists as text, which is read here as YAML."""
    if isinstance(value, str) and kind is not str:
        try:
            value = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError):  # ValueError: a number of thousands of digits, a day that does not exist
            pass
    if isinstance(value, bool) or not isinstance(value, kind):
        raise SpecError(f"{name} = {value!r} has the wrong type; allowed: {getattr(kind, '__name__', 'a number')}")
    return value


def listed(name: str, value, kind: type = object) -> list:
    """A parameter that is a list of at least one value of the given kind."""
    values = literal(name, value, list)
    if not values:
        raise SpecError(f"{name} = []; allowed: at least one value")
    for one in values:
        if kind is not object and (isinstance(one, bool) or not isinstance(one, kind)):
            raise SpecError(f"{name} = {values!r}; allowed: a list of {kind.__name__}")
    return values


def seeds_of(first_seed, n_seeds) -> range:
    """The seeds first_seed .. first_seed + n_seeds - 1."""
    first, n = literal("first_seed", first_seed, int), literal("n_seeds", n_seeds, int)
    if not 1 <= n <= MOST_SEEDS:
        raise SpecError(f"n_seeds = {n!r}; allowed: 1 to {MOST_SEEDS}")
    return range(first, first + n)


def without(name: str, values, *parameters: str) -> dict:
    """A mapping of fields that does not hold those that are parameters of their own."""
    values = literal(name, values, dict)
    for parameter in parameters:
        if parameter in values:
            other = f"allowed: the other fields, for {parameter} is a parameter of its own"
            raise SpecError(f"{name} = {values!r} holds {parameter}; {other}")
    return values


def changed(name: str, change, parts: dict[str, dict], *more: str) -> dict[str, dict]:
    """Task, model and training with the fields of a change; `more` are parts that the change may hold beside these."""
    for part in literal(name, change, dict):
        if part not in (*parts, *more):
            raise SpecError(f"{name}: {part!r} is no part of a change; allowed: {', '.join((*more, *parts))}")
    return {part: literal(part, own, dict) | literal(part, change.get(part, {}), dict) for part, own in parts.items()}


def tested(n_test: int, task: dict | None = None) -> list[EvalSpec]:
    """Evaluation sets "unseen" and "seen" of n_test examples each, of the task trained on or of another."""
    other = TaskSpec.of(**task) if task else None
    n_test = literal("n_test", n_test, int)
    return [EvalSpec.of(name=rules, rules=rules, n_examples=n_test, task=other) for rules in ("unseen", "seen")]


def rewriting_run(task: dict, model: dict, train: dict, evals: list[EvalSpec], seed: int) -> RunSpec:
    """A run of the given settings."""
    return RunSpec.of(task=task, model=model, train=train, evals=evals, seed=seed)


def by_rules(n_rules, first_seed, n_seeds, n_test, task, model, train, other=None, more=None) -> list[RunSpec]:
    """A run for each number of rules and seed, tested on its own task or on one that differs in the fields `other`;
    more: further sets of unseen rules, {name: fields in which their task differs}."""
    task, model, train = without("task", task, "n_rules"), literal("model", model, dict), literal("train", train, dict)
    found = []
    for n in listed("n_rules", n_rules, int):
        own = task | {"n_rules": n}
        evals = tested(n_test, own | other if other else None)
        evals += [EvalSpec.of(name=e, n_examples=n_test, task=own | fields) for e, fields in (more or {}).items()]
        found += [rewriting_run(own, model, train, evals, seed) for seed in seeds_of(first_seed, n_seeds)]
    return found


def cells(frame, *columns) -> dict[tuple, object]:
    """The rows by the values of some columns, in their order."""
    return dict(list(frame.groupby(list(columns))))


def means_of(measured: dict[str, dict], rows, name: str, places: int = 0) -> str:
    """The mean of a measure over the runs of some rows, for a table; measured: by key."""
    keys = rows["key"].unique()
    return f"{sum(measured[key][name] for key in keys) / len(keys):,.{places}f}"


def tuples(values, n: int = 1) -> list[tuple]:
    """A column of tuples of a table, where a tuple of n equal values stands as that value."""
    return [value if isinstance(value, tuple) else (value,) * n for value in values]


def pooled(slices):
    """The accuracy of each run and evaluation set over several slices (`records.slices`)."""
    sums = slices.assign(right=slices["exact_match"] * slices["n"]).groupby(["key", "eval"])[["right", "n"]].sum()
    return sums["right"] / sums["n"]


def with_inputs(frame, slices):
    """The table of runs by kind of input, from `records.frame` and `records.slices` of the same runs.

    exact_match is the accuracy on inputs that hold x, no_op that on inputs that do not (not a number where the set has
    none), copied the share of the inputs that hold x which are answered by a copy.
    """
    parts = slices[slices["slice"] == "no_op"].set_index(["key", "eval"])
    holds_x, no_op = (parts[parts["value"] == value] for value in ("False", "True"))
    out = frame.join(holds_x[["exact_match", "n"]].add_suffix("_x"), on=["key", "eval"])
    out = out.join(no_op["exact_match"].rename("no_op"), on=["key", "eval"])
    out["copied"] = out["copies"] * out["n"] / out.pop("n_x").fillna(out["n"])
    out["exact_match"] = out.pop("exact_match_x").fillna(out["exact_match"])
    return out
