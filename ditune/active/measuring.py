"""The measure itself: prompt uncertainty of the pool while a model is trained, and measured in other ways at the end.

What is asked: does U settle as training goes on, how many instances and perturbed prompts does it take, what do the
drop rate and the perturbed part change, what does it cost? The paper shows none of this. Source of the variants: the
code of Kung et al. 2023 (PlusLabNLP/Active-IT).

Shapes: R tasks, n instances of a task, k perturbed prompts.
"""

import time
from pathlib import Path

import torch
from scipy.stats import spearmanr

from .loop import (
    REPORT_EVERY,
    Training,
    exact_match,
    initial_tasks,
    scorer_of,
    task_map,
    uncertainty_spec,
    with_measures,
)
from .pool import Tasks, pool_tasks, unseen_tasks
from .selection import Candidates
from .specs import MeasureSpec
from .uncertainty import deviation, measure, probability, signed, uncertainty

SIZES = (1, 2, 5, 10, 20, 50, 100)
"""Numbers of instances and of perturbed prompts, as far as a run has them, at which U is compared."""


def measure_run(spec: MeasureSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """Train the first model and measure the tasks that are left; plain data:

    metrics: {"step s": step and exact match on the test}; curve: [{step, loss, uncertainty, probability}], the last two
    means over tasks; maps: {"step s": `loop.task_map`}; example, sizes and variants: what these functions give, of
    the trained model; seconds: {name of variant: of its measurement}; wall_s, train_s, tokens, tokens_per_s, device. It
    takes a minute and has no checkpoint.
    """
    started, n_steps = time.perf_counter(), spec.train.n_steps
    pool, test = pool_tasks(spec.pool, spec.seed), unseen_tasks(spec.pool, spec.seed)
    first = initial_tasks(spec, pool)
    training, left = Training(spec, pool.rows(first)), pool.others(first)
    tasks = Candidates(left, pool.decision[left])
    points = {round((i + 1) * n_steps / spec.n_points) for i in range(spec.n_points)}
    metrics, curve, maps, train_s, since = {}, [], {}, 0.0, time.perf_counter()
    for step, loss in training.steps():
        if step % REPORT_EVERY == 0 or step == n_steps:
            progress(step, n_steps)
        if step in points:
            train_s += time.perf_counter() - since
            metrics[f"step {step}"] = {"step": step} | exact_match(spec, training.weights(), test)
            now = with_measures(scorer_of(spec, training.weights()), pool, tasks, uncertainty_spec(spec), spec.seed)
            maps[f"step {step}"] = task_map(now)
            means = {"uncertainty": now.uncertainty.mean().item(), "probability": now.probability.mean().item()}
            curve.append({"step": step, "loss": loss.item()} | means)
            since = time.perf_counter()
    tokens = n_steps * spec.train.batch_size * spec.pool.row_length
    found = {"metrics": metrics, "curve": curve, "maps": maps, "sizes": sizes(spec, training, pool, tasks)}
    found["example"] = example(spec, training, pool, now)
    found["variants"], found["seconds"] = variants(spec, training, pool, tasks)
    shared = {"tokens": tokens, "train_s": train_s, "tokens_per_s": tokens / train_s, "device": "cpu"}
    return found | shared | {"wall_s": time.perf_counter() - started}


def example(spec: MeasureSpec, training: Training, pool: Tasks, tasks: Candidates) -> dict:
    """One task in full: of the clean ones (of all, where none is clean) that of the median U. Its number; answers, the
    model's to each instance; p, a list of k + 1 probabilities for each. The prompts are those of
    `uncertainty.perturbed`."""
    order = tasks.uncertainty.argsort(stable=True)
    clean = order[pool.noise[tasks.number[order]] == 0]
    order = clean if len(clean) else order
    number = tasks.number[order[len(order) // 2]]
    scores = measure(scorer_of(spec, training.weights()), pool.prompts(number[None]), uncertainty_spec(spec), spec.seed)
    return {"task": int(number), "answers": scores.answers[0], "p": scores.p[0, : len(scores.answers[0])].tolist()}


def sizes(spec: MeasureSpec, training: Training, pool: Tasks, tasks: Candidates) -> list[dict]:
    """U from fewer instances n and perturbed prompts k, all parts of one measurement with spec.n and spec.k_most: n, k,
    mean over tasks; rank, Spearman's correlation over tasks with U of the whole; again, that with U from n other
    instances and k other prompts, None where there are not as many."""
    scorer, how = scorer_of(spec, training.weights()), uncertainty_spec(spec, k=spec.k_most)
    p = measure(scorer, pool.prompts(tasks.number), how, spec.seed).p
    (_, N, _), found = p[:, : spec.pool.n_instances].shape, []
    for n in sorted({*(s for s in SIZES if s < N), N}):
        for k in sorted({*(s for s in SIZES if s < spec.k_most), spec.k_most}):
            u, again = uncertainty(p[:, :n, : k + 1]), None
            if 2 * n <= N and 2 * k <= spec.k_most:
                others = torch.cat([p[:, n : 2 * n, :1], p[:, n : 2 * n, k + 1 : 2 * k + 1]], dim=2)
                again = agreement(u, uncertainty(others))
            rank = agreement(u, uncertainty(p))
            found.append({"n": n, "k": k, "mean": u.mean().item(), "rank": rank, "again": again})
    return found


def variants(
    spec: MeasureSpec, training: Training, pool: Tasks, tasks: Candidates
) -> tuple[list[dict], dict[str, float]]:
    """U as the loop measures it, with one thing changed (drop rate, perturbed part, whose answer), and other measures
    of the same probabilities. Of each: name; mean over tasks; rank and probability, Spearman's correlations with U as
    the loop measures it and with the prediction probability; n_scored, n_answered. Then the seconds."""
    changes = {"as selected": {}, "definition only": {"parts": ("definition",)}}
    changes |= {"examples only": {"parts": ("examples",)}, "gold answer": {"answer": "gold"}}
    changes |= {f"drop rate {rate:g}": {"drop_rate": rate} for rate in spec.drop_rates if rate != spec.drop_rate}
    found, seconds, prompts = [], {}, pool.prompts(tasks.number)
    for name, change in changes.items():
        started, scorer = time.perf_counter(), scorer_of(spec, training.weights())
        p = measure(scorer, prompts, uncertainty_spec(spec, **change), spec.seed).p
        took, measures = time.perf_counter() - started, {name: uncertainty}
        if not found:
            first, p_0 = uncertainty(p), probability(p)
            measures |= {"signed difference": signed, "standard deviation": deviation}
        for of, function in measures.items():
            u, seconds[of] = function(p), took
            known = {"rank": agreement(u, first), "probability": agreement(u, p_0)}
            known |= {"n_scored": scorer.n_scored, "n_answered": scorer.n_answered}
            found.append({"name": of, "mean": u.mean().item()} | known)
    return found, seconds


def agreement(one: torch.Tensor, other: torch.Tensor) -> float | None:
    """Spearman's rank correlation of two measurements (R,) of the same tasks; None where either is constant."""
    constant = (one == one[0]).all() or (other == other[0]).all()
    return None if constant else float(spearmanr(one.numpy(), other.numpy()).statistic)
