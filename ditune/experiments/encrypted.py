"""Chapter 12: a pretrained model learns to rewrite and then encrypt. Parameters in, list of specs out.

Parameters that other chapters have too are explained in `ditune.experiments.rewriting`.
"""

from ..chapters.common import listed, literal, rewriting_run, seeds_of, tested, without
from ..language.specs import EncryptedSpec, FromScratchSpec
from ..rewriting.specs import RunSpec, TaskSpec
from ..specs import Spec, SpecError


def encrypted_rewriting(bases, n_rules, from_scratch, halved_rules, kept_share, tail_alpha, first_seed, n_seeds, n_test, task, tune, model, train) -> list[Spec]:
    """12: replace, then encrypt (2405.19787, encrypted rewriting; D10, and D11 for a pretrained model).

    bases: pretrained models, a language model as {"name": ...}, or a rewriter by the fields of `TaskSpec` in which its
    pretraining differs from what is tuned on; each is tuned on each of n_rules, and the first decides the claims. from_scratch:
    numbers of rules on which models with random weights are trained in full. Halving, of the first base: kept_share of the
    examples of halved_rules rules, evenly over the rules or with a tail; and all of them. tune: fields of `TuneSpec`.
    """
    task, tune = without("task", task, "n_rules", "tail_alpha"), literal("tune", tune, dict)
    model, train = literal("model", model, dict), literal("train", train, dict)
    numbers, seeds, evals = listed("n_rules", n_rules, int), seeds_of(first_seed, n_seeds), tested(n_test)
    starts = [pretrained(base, task, model, train, evals) for base in listed("bases", bases, dict)]
    first_decides(starts)
    tasks = [(start, {"n_rules": n}) for start in starts for n in numbers]
    tasks += [(starts[0], fields) for fields in halves(task, halved_rules, kept_share, tail_alpha)]
    runs: list[Spec] = []
    for start, fields in tasks:
        for seed in seeds:
            base = start.replace(seed=seed) if isinstance(start, RunSpec) else start
            runs.append(EncryptedSpec.of(base=base, task=task | fields, tune=tune, evals=evals, seed=seed))
    for n in listed("from_scratch", from_scratch, int):
        runs += [FromScratchSpec.of(task=task | {"n_rules": n}, model=model, train=train, evals=evals, seed=seed) for seed in seeds]
    return list(dict.fromkeys(runs))


def pretrained(base: dict, task: dict, model: dict, train: dict, evals: list) -> RunSpec | str:
    """A pretrained model: its name, or the run that makes it."""
    if "name" not in base:
        return rewriting_run(task | base, model, train, evals, 0)
    if len(base) > 1:
        raise SpecError(f"bases: {base!r} has a name and other fields; allowed: the name of a language model alone, or fields of TaskSpec")
    return literal("name", base["name"], str)


def first_decides(starts: list[RunSpec | str]) -> None:
    """Refuse an order in which the first is not the model that decides the claims."""
    rules = [start.task.n_rules for start in starts if isinstance(start, RunSpec)]
    if isinstance(starts[0], RunSpec) and (len(rules) < len(starts) or rules[0] < max(rules)):
        raise SpecError("bases: allowed first: a language model where there is one, else the rewriter of the most rules; it decides the claims")


def halves(task: dict, halved_rules, kept_share, tail_alpha) -> list[dict]:
    """The fields of the tasks with all examples, and with an even and an uneven part of them."""
    n, share = literal("halved_rules", halved_rules, int), literal("kept_share", kept_share, (int, float))
    if not 0 < share < 1:
        raise SpecError(f"kept_share = {share!r}; allowed: a share above 0 and below 1")
    kept = round(share * TaskSpec.of(**task | {"n_rules": n}).n_examples)
    return [{"n_rules": n}, {"n_rules": n, "n_examples": kept}, {"n_rules": n, "n_examples": kept, "tail_alpha": literal("tail_alpha", tail_alpha, (int, float))}]


def of_pretraining(specs: list[Spec]) -> list[RunSpec]:
    """The runs that pretrain the rewriters of these runs, each once."""
    return list(dict.fromkeys(spec.base for spec in specs if isinstance(spec, EncryptedSpec) and isinstance(spec.base, RunSpec)))
