"""The measure itself: prompt uncertainty of the pool while a model is trained, and measured in other ways at the end.

What is asked: does U settle as training goes on, how many instances and perturbed prompts does it take, what do the drop
rate and the perturbed part change, what does it cost? The paper shows none of this. Source of the variants: the code of
Kung et al. 2023 (PlusLabNLP/Active-IT).

Shapes: R tasks, n instances of a task, k perturbed prompts.
"""

import time
from pathlib import Path
from statistics import fmean

import torch

from .active import REPORT_EVERY, Training, exact_match, initial_tasks, rounded, scorer_of, task_map, uncertainty_spec
from .pool import Tasks, pool_tasks, unseen_tasks
from .select_specs import MeasureSpec
from .selection import Candidates
from .train import keep_freed_memory
from .uncertainty import measure, perplexity, probability, uncertainty

SIZES = (1, 2, 5, 10, 20, 50, 100)
"""Numbers of instances and of perturbed prompts, as far as a run has them, at which U is compared."""


def measure_run(spec: MeasureSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """Train the first model and measure the tasks that are left; plain data:

    metrics: {"step s": exact match on the test}; curve: [{step, loss, uncertainty, probability}], the last two means over
    tasks; maps: {"step s": `active.task_map`}; sizes: [{n, k, uncertainty (R,)}] and variants: [{name, n_scored, n_answered,
    uncertainty (R,), probability (R,)}] of the trained model; seconds: {name of variant: of its measurement}; wall_s, train_s,
    tokens, tokens_per_s, device. It takes a minute and has no checkpoint.
    """
    torch.set_num_threads(1)
    keep_freed_memory()
    started, n_steps = time.perf_counter(), spec.train.n_steps
    pool, test = pool_tasks(spec.pool, spec.seed), unseen_tasks(spec.pool, spec.seed)
    first = initial_tasks(spec, pool)
    left = torch.ones(len(pool), dtype=torch.bool)
    left[first] = False
    tasks = Candidates(left.nonzero()[:, 0], pool.decision[left])
    training = Training(spec, pool.rows(first))
    points = {round((i + 1) * n_steps / spec.n_points) for i in range(spec.n_points)}
    metrics, curve, maps, train_s, since = {}, [], {}, 0.0, time.perf_counter()
    for step, loss in training.steps():
        if step % REPORT_EVERY == 0 or step == n_steps:
            progress(step, n_steps)
        if step in points:
            train_s += time.perf_counter() - since
            metrics[f"step {step}"] = {"step": step} | exact_match(spec, training.weights(), test)
            maps[f"step {step}"] = found = task_map(scored(spec, training, pool, tasks))
            curve.append({"step": step, "loss": loss.item()} | {name: fmean(found[name]) for name in ("uncertainty", "probability")})
            since = time.perf_counter()
    tokens = n_steps * spec.train.batch_size * spec.pool.row_length
    shared = {"tokens": tokens, "train_s": train_s, "tokens_per_s": tokens / train_s, "device": "cpu"}
    found = {"metrics": metrics, "curve": curve, "maps": maps, "sizes": sizes(spec, training, pool, tasks.number)} | shared
    found["variants"], found["seconds"] = variants(spec, training, pool, tasks.number)
    return found | {"wall_s": time.perf_counter() - started}


def scored(spec: MeasureSpec, training: Training, pool: Tasks, tasks: Candidates) -> Candidates:
    """The tasks with what the model says of them now."""
    p = measure(scorer_of(spec, training.weights()), pool.prompts(tasks.number), uncertainty_spec(spec), spec.seed).p
    return Candidates(tasks.number, tasks.decision, uncertainty=uncertainty(p), probability=probability(p), perplexity=perplexity(p))


def sizes(spec: MeasureSpec, training: Training, pool: Tasks, numbers: torch.Tensor) -> list[dict]:
    """U from fewer instances and perturbed prompts, all parts of one measurement with spec.n and spec.k_most."""
    scorer, how = scorer_of(spec, training.weights()), uncertainty_spec(spec, k=spec.k_most)
    p = measure(scorer, pool.prompts(numbers), how, spec.seed).p
    return [
        {"n": n, "k": k, "uncertainty": rounded(uncertainty(p[:, :n, : k + 1]))}
        for n in sorted({*(s for s in SIZES if s < spec.n), spec.n})
        for k in sorted({*(s for s in SIZES if s < spec.k_most), spec.k_most})
    ]


def variants(spec: MeasureSpec, training: Training, pool: Tasks, numbers: torch.Tensor) -> tuple[list[dict], dict[str, float]]:
    """U as the run measures it, and with one thing changed: drop rate, perturbed part, whose answer. Then the seconds."""
    changes = {"as selected": {}, "definition only": {"parts": ("definition",)}, "examples only": {"parts": ("examples",)}, "gold answer": {"answer": "gold"}}
    changes |= {f"drop rate {rate:g}": {"drop_rate": rate} for rate in spec.drop_rates if rate != spec.drop_rate}
    prompts, found, seconds = pool.prompts(numbers), [], {}
    for name, change in changes.items():
        started, scorer = time.perf_counter(), scorer_of(spec, training.weights())
        p = measure(scorer, prompts, uncertainty_spec(spec, **change), spec.seed).p
        seconds[name] = time.perf_counter() - started
        values = {"uncertainty": rounded(uncertainty(p)), "probability": rounded(probability(p))}
        found.append({"name": name, "n_scored": scorer.n_scored, "n_answered": scorer.n_answered} | values)
    return found, seconds
