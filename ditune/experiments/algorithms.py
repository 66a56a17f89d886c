"""Chapter 08: whole Markov algorithms, and variations of the single step. Parameters in, list of run specs out.

Parameters that other chapters have too are explained in `ditune.experiments.rewriting`.
"""

from ..chapters.common import listed, literal, rewriting_run, seeds_of, tested, without
from ..rewriting.specs import AlgorithmSpec, EvalSpec, RunSpec, TaskSpec
from ..specs import SpecError


def running_algorithms(
    models, algorithms, which, which_task, trained_z_len, tested_z_len, positions, first_seed, n_seeds, n_test, task, model, train
) -> list[RunSpec]:
    """08: models of single steps execute algorithms of unseen rules; two variations of the single step (beyond both papers).

    models: list of {"task": ..., "model": ..., "train": ...}, the fields in which each differs; after its training each
    executes algorithms; algorithms: fields of `AlgorithmSpec`. which: occurrences that are replaced, one run each, in the
    task with the fields which_task. trained_z_len, tested_z_len: ranges of lengths of inputs, for each kind of positions.
    """
    parts = {"task": literal("task", task, dict), "model": literal("model", model, dict), "train": literal("train", train, dict)}
    seeds, fields = seeds_of(first_seed, n_seeds), without("algorithms", algorithms, "task", "model", "train", "evals", "seed")
    runs = [execution(merged("models", change, parts), fields, n_test, seed) for change in listed("models", models) for seed in seeds]
    comparable(runs)
    for one in listed("which", which):
        own = parts["task"] | literal("which_task", which_task, dict) | {"replace_which": one}
        runs += [rewriting_run(own, parts["model"], parts["train"], tested(n_test), seed) for seed in seeds]
    trained, other = ({**parts["task"], "z_len": bounds(name, value)} for name, value in (("trained_z_len", trained_z_len), ("tested_z_len", tested_z_len)))
    for position in listed("positions", positions, str):
        evals = [*tested(n_test), EvalSpec.of(name="lengths", n_examples=n_test, task=other)]
        runs += [rewriting_run(trained, parts["model"] | {"position": position}, parts["train"], evals, seed) for seed in seeds]
    return runs


def bounds(name: str, value) -> list[int]:
    """A parameter that is a range of lengths."""
    found = listed(name, value, int)
    if len(found) != 2 or not found[0] < found[1]:
        raise SpecError(f"{name} = {found!r}; allowed: [shortest, longest], two different lengths")
    return found


def comparable(runs: list[AlgorithmSpec]) -> None:
    """Refuse models that lack one of the kinds that the chapter compares, or that share no algorithms."""
    alone, several = ([run.task.no_op_share for run in runs if (run.task.rules_in_prompt > 1) == many] for many in (False, True))
    if not alone or not several or min(alone) > 0 or max(alone) == 0 or min(several) == 0:
        raise SpecError("models: allowed: at least one without no-ops, one with no-ops, and one with several rules in the prompt and no-ops: they are compared")
    for run in runs:
        if any(run.task.rules_in_prompt not in other.algorithm_rules for other in runs if run.task.rules_in_prompt > 1):
            raise SpecError(f"algorithms: algorithm_rules lacks {run.task.rules_in_prompt}, the rules in a model's prompt; allowed: all of these, so that models run the same algorithms")


def merged(name: str, change, parts: dict[str, dict]) -> dict[str, dict]:
    """Task, model and training with the fields of a change."""
    change = without(name, change)
    for part in change:
        if part not in parts:
            raise SpecError(f"{name}: {part!r} is no part of a change; allowed: {', '.join(parts)}")
    return {part: fields | literal(part, change.get(part, {}), dict) for part, fields in parts.items()}


def execution(parts: dict[str, dict], fields: dict, n_test, seed: int) -> AlgorithmSpec:
    """A run that trains a model, tests it on inputs with x and on inputs without, and has it execute algorithms."""
    n_rules = parts["task"].get("rules_in_prompt", 1)
    with_x, without_x = (TaskSpec.of(**parts["task"] | {"no_op_share": share}) for share in (0.0, 1.0))
    evals = [*tested(n_test, with_x.to_dict()), EvalSpec.of(name="no_ops", n_examples=n_test, task=without_x)]
    return AlgorithmSpec.of(**parts, evals=evals, seed=seed, **fields | ({"algorithm_rules": [n_rules]} if n_rules != 1 else {}))
