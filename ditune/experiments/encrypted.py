"""Chapter 12: a pretrained model learns to rewrite and then encrypt. Parameters in, list of specs out.

Parameters that other chapters have too are explained in `ditune.experiments.rewriting`.
"""

from ..encrypted_specs import EncryptedSpec, FromScratchSpec
from ..specs import RunSpec, Spec, SpecError, TaskSpec
from .common import listed, literal, rewriting_run, seeds_of, tested, without


def encrypted_rewriting(bases, n_rules, from_scratch, halved_rules, kept_share, tail_alpha, first_seed, n_seeds, n_test, task, tune, pretraining, model, train) -> list[Spec]:
    """12: replace, then encrypt (2405.19787, encrypted rewriting; D10, and D11 for a pretrained model).

    bases: pretrained models, a rewriter by the number of rules that it was pretrained on, or a language model by name; each is
    tuned on each of n_rules. from_scratch: numbers of rules on which models with random weights are trained in full. Halving, of
    the first base: kept_share of the examples of halved_rules rules, evenly over the rules or with a tail; and all of them.
    tune: fields of `TuneSpec`; pretraining: fields in which a rewriter's task in pretraining differs from the one tuned on.
    """
    task, before = without("task", task, "n_rules", "tail_alpha"), without("pretraining", pretraining, "n_rules", "tail_alpha")
    model, train, tune = literal("model", model, dict), literal("train", train, dict), literal("tune", tune, dict)
    numbers, seeds, evals = listed("n_rules", n_rules, int), seeds_of(first_seed, n_seeds), tested(n_test)
    names = listed("bases", bases, (int, str))
    runs: list[Spec] = []

    def tuned(base: int | str, fields: dict) -> None:
        for seed in seeds:
            start = base if isinstance(base, str) else rewriting_run(task | before | {"n_rules": base}, model, train, evals, seed)
            runs.append(EncryptedSpec.of(base=start, task=task | fields, tune=tune, evals=evals, seed=seed))

    for base in names:
        for n in numbers:
            tuned(base, {"n_rules": n})
    for fields in halves(task, halved_rules, kept_share, tail_alpha):
        tuned(names[0], fields)
    for n in listed("from_scratch", from_scratch, int):
        runs += [FromScratchSpec.of(task=task | {"n_rules": n}, model=model, train=train, evals=evals, seed=seed) for seed in seeds]
    return list(dict.fromkeys(runs))


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
