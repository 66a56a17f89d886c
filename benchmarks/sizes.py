"""The runs that are measured: those of the profiles, and tiny ones for a quick look."""

from ditune import notebooks
from ditune.rewriting.specs import EvalSpec, RunSpec

TINY_TASK = {"alphabet_size": 8, "x_len": 2, "y_len": 2, "z_len": 5, "n_rules": 50, "n_examples": 2000}


def of_profile(profile: str, n_rules: int = 10_000) -> RunSpec:
    """The run of a profile with so many training rules, seed 0."""
    (planned,) = notebooks.plan(["02_number_of_rules"], profile)
    return next(run for run in planned.specs if run.task.n_rules == n_rules)


def tiny() -> RunSpec:
    """A run of a second."""
    evals = [EvalSpec(name=rules, rules=rules, n_examples=64) for rules in ("unseen", "seen")]
    train = {"n_steps": 40, "batch_size": 16, "optimizer": "muon", "lr": 3e-3, "muon_lr": 1.2e-2, "n_evals": 1}
    return RunSpec.of(task=TINY_TASK, model={"n_layer": 2, "n_head": 2, "n_embd": 16}, train=train, evals=evals)


def with_adamw(run: RunSpec, batch_size: int | None = None, bf16: bool = False) -> RunSpec:
    """The run with the paper's optimiser, AdamW at 1e-3, which all peers have, and another batch."""
    steps = {"n_steps": 1_000_000, "n_evals": 1, "batch_size": batch_size or run.train.batch_size}
    return run.replace(train=run.train.replace(optimizer="adamw", lr=1e-3, bf16=bf16, **steps))
