"""The loop of active instruction tuning on the symbolic pool: train from scratch, test, measure, select, again.

What is selected is decided by `active.selection`; here are the training on given tasks, the test, what the model says
of the tasks that are left, and the loop that is recorded. All on the CPU, in one thread. Source: Kung et al. 2023
(arXiv 2311.00288); its code starts three processes a round and rebuilds its data for each.

Shapes: R tasks, N instances of a task, B rows, T tokens of a row, P tokens of a prompt's head, A answer tokens, C
width.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F

from ..rewriting.evaluate import BATCH, answered
from ..rewriting.hashing import stream
from ..rewriting.model import forward, initial, layout, unflatten
from ..rewriting.optim import Optimizer, schedule
from ..rewriting.specs import FAMILIES, TaskSpec
from ..rewriting.tasks import Alphabet, batch_numbers
from ..store.files import load_checkpoint, save_checkpoint
from .pool import Tasks, answer_columns, pool_tasks, unseen_tasks
from .scorers import RewriterScorer, extended
from .selection import Candidates, select
from .specs import KINDS, STRATEGIES, SelectSpec, StartSpec
from .uncertainty import UncertaintySpec, measure, perplexity, probability, uncertainty

REPORT_EVERY = 16  # steps between two calls of progress


# ---- training on given tasks -----------------------------------------------------------------------------------------


class Training:
    """A model trained from scratch on rows (B, T): initial weights and order are those of the seed, whatever the
    rows."""

    def __init__(self, spec: StartSpec, rows: torch.Tensor):
        self.spec, self.rows = spec, rows
        self.shapes = layout(spec.model, Alphabet(spec.pool.alphabet_size).n_tokens, rows.shape[1] - 1)
        seed = stream(spec.seed, "initialisation")[0] & 0x7FFFFFFF
        self.flat = initial(spec.model, self.shapes, seed).requires_grad_(True)
        self.optimizer = Optimizer(spec.train, self.shapes, self.flat)

    def weights(self) -> dict[str, torch.Tensor]:
        return unflatten(self.flat.detach(), self.shapes)

    def batch(self, step: int) -> torch.Tensor:
        """The rows of a step, (1, B, T): each pass over the rows is another keyed permutation of them."""
        order = TaskSpec(n_rules=1, n_examples=len(self.rows))
        size = self.spec.train.batch_size
        return self.rows[batch_numbers(order, self.spec.seed, step * size, size, "cpu")][None]

    def loss(self, tokens: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of the answers' tokens, those of the worked examples and end-of-sequence included. The
        worked examples are scored because they are answers too: three for the cost of one row."""
        columns, weights = answer_columns(self.spec.pool), unflatten(self.flat, self.shapes)
        logits = forward(self.spec.model, weights, tokens[:, :, :-1].long(), int(columns[0]) - 1)
        targets = tokens[:, :, columns].long()
        return F.cross_entropy(logits[:, :, columns - columns[0]].flatten(0, 2), targets.flatten())

    def steps(self) -> Iterator[tuple[int, torch.Tensor]]:
        """Train to the end; after each step its number, from 1 on, and the loss before it."""
        for step in range(self.spec.train.n_steps):
            self.optimizer.lr_scale.fill_(schedule(self.spec.train, step))
            loss = self.loss(self.batch(step))
            (grad,) = torch.autograd.grad(loss, self.flat)
            self.optimizer.update(self.flat, grad)
            yield step + 1, loss.detach()


def exact_match(spec: StartSpec, weights: dict[str, torch.Tensor], tasks: Tasks) -> dict:
    """Exact match on all instances of the tasks, as `evaluate.evaluate` gives it: overall, by family and by kind."""
    rows = tasks.rows(torch.arange(len(tasks)))
    start, pad = rows.shape[1] - spec.pool.z_len - 1, Alphabet(spec.pool.alphabet_size).pad
    found = [answered(spec.model, weights, batch[None], start, pad) for batch in rows.split(BATCH)]
    right, nll = (torch.cat(parts, dim=1)[0].double() for parts in zip(*found))
    slices = {"family": {}, "kind": {}}
    for name, names, value in (("family", FAMILIES, tasks.family), ("kind", KINDS, tasks.decision.long())):
        for v in value.unique().tolist():
            of_value = right[value.repeat_interleave(tasks.tokens.shape[1]) == v]
            slices[name][names[v]] = [of_value.mean().item(), len(of_value)]
    return {"exact_match": right.mean().item(), "nll": nll.mean().item(), "n": len(right), "slices": slices}


# ---- what the model says of tasks ------------------------------------------------------------------------------------


class CountingScorer(RewriterScorer):
    """A rewriter that counts the pairs of prompt and answer that it has scored, and the answers that it has given."""

    n_scored = n_answered = 0

    def log_likelihood(self, prompts, answers):
        self.n_scored += len(prompts.head)
        return super().log_likelihood(prompts, answers)

    def greedy(self, prompts, max_tokens):
        self.n_answered += len(prompts.head)
        return super().greedy(prompts, max_tokens)


def scorer_of(spec: StartSpec, weights: dict[str, torch.Tensor]) -> CountingScorer:
    """The scorer of a model in training."""
    return CountingScorer(spec.model, weights, Alphabet(spec.pool.alphabet_size))


def uncertainty_spec(spec: StartSpec, **changes) -> UncertaintySpec:
    """How uncertainty is measured in a run; an own answer longer than any right one is cut to their length."""
    shared = {"n": spec.n, "k": spec.k, "drop_rate": spec.drop_rate, "max_tokens": spec.pool.z_len}
    return UncertaintySpec(**shared | changes)


@torch.no_grad()
def representations(spec: StartSpec, weights: dict[str, torch.Tensor], heads: torch.Tensor) -> torch.Tensor:
    """What the last layer reads of definitions with worked examples (R, P): its attention's values, mean over the
    columns, (R, C). They are a linear map of the normalised hidden states."""
    found = []
    nothing = torch.empty(1, spec.model.n_head, 0, spec.model.n_embd // spec.model.n_head)
    for batch in heads.long().split(BATCH):
        first = torch.zeros(len(batch), dtype=torch.int64)
        _, read = extended(spec.model, weights, batch, batch.shape[1], [(nothing, nothing)] * spec.model.n_layer, first)
        found.append(read[-1][1].mean(dim=2).flatten(1))  # of the last layer's keys and values (R, H, P, D)
    return torch.cat(found)


def with_measures(scorer, pool: Tasks, tasks: Candidates, how: UncertaintySpec, seed: int) -> Candidates:
    """The tasks with what the model's answers say of them, in as many digits as a record holds: what is selected can be
    selected again from it."""
    p = measure(scorer, pool.prompts(tasks.number), how, seed).p
    measures = {m.__name__: m(p).round(decimals=7) for m in (uncertainty, probability, perplexity)}
    return replace(tasks, **measures)


def measure_candidates(spec: SelectSpec, scorer: CountingScorer, pool: Tasks, left: torch.Tensor) -> Candidates:
    """The tasks that are left, with what the strategy needs to know of them."""
    tasks = Candidates(left, pool.decision[left], pool.family[left], pool.noise[left] == 0)
    needs = STRATEGIES[spec.strategy]
    if "uncertainty" in needs:
        tasks = with_measures(scorer, pool, tasks, uncertainty_spec(spec), spec.seed)
    if "probability" in needs:  # with no letter dropped, nothing but the original prompts is scored
        tasks = with_measures(scorer, pool, tasks, uncertainty_spec(spec, k=1, drop_rate=0.0), spec.seed)
    if "features" in needs:
        tasks = replace(tasks, features=representations(spec, scorer.weights, pool.heads(left)))
    return tasks


def task_map(tasks: Candidates) -> dict[str, list]:
    """The columns of the task map: task, uncertainty, probability, perplexity."""
    measures = ("uncertainty", "probability", "perplexity")
    return {"task": tasks.number.tolist()} | {name: getattr(tasks, name).tolist() for name in measures}


# ---- the loop --------------------------------------------------------------------------------------------------------


def initial_tasks(spec: StartSpec, pool: Tasks) -> torch.Tensor:
    """The numbers of the tasks that the first model is trained on."""
    everything = Candidates(torch.arange(len(pool)), pool.decision)
    return select("random", everything, spec.n_initial, spec.pool.decision_share, spec.seed, "selection/0")


def select_run(spec: SelectSpec, checkpoint: Path, progress=lambda step, n_steps: None) -> dict:
    """Run the loop, going on behind the last whole round if the checkpoint file exists; plain data:

    metrics: {"round r": exact match on the test after r selections, as in `exact_match`, with round, n_trained (tasks)
    and n_clean (of them)}; curve: [{round, step, loss}]; selected: the task numbers of the initial tasks and of each
    selection; map: `task_map` of the tasks left by the first model, or None where the strategy has no need of it;
    costs: [{round, n_scored, n_answered, n_read}], the pairs, greedy answers and prompts that selections took;
    n_parameters, tokens (trained on, prompts included), wall_s (this call), train_s, score_s (over all calls),
    tokens_per_s, device.
    """
    started = time.perf_counter()
    pool, test = pool_tasks(spec.pool, spec.seed), unseen_tasks(spec.pool, spec.seed)
    new = {"selected": [initial_tasks(spec, pool).tolist()], "metrics": {}, "curve": [], "costs": [], "map": None}
    state, _ = load_checkpoint(checkpoint) or (new | {"train_s": 0.0, "score_s": 0.0}, {})
    for number in range(len(state["metrics"]), spec.n_rounds + 1):
        one_round(spec, pool, test, state, number, progress)
        save_checkpoint(checkpoint, state)
    tokens = (spec.n_rounds + 1) * spec.train.n_steps * spec.train.batch_size * spec.pool.row_length
    n_parameters = Training(spec, pool.rows(torch.arange(1))).flat.shape[1]
    costs = {"tokens_per_s": tokens / state["train_s"], "wall_s": time.perf_counter() - started, "device": "cpu"}
    return state | {"n_parameters": n_parameters, "tokens": tokens} | costs


def one_round(spec: SelectSpec, pool: Tasks, test: Tasks, state: dict, number: int, progress) -> None:
    """Train on the tasks so far and test; then, but for the last round, select. What is found is added to the state."""
    started = time.perf_counter()
    trained = torch.tensor(sum(state["selected"], []))
    training, n_steps = Training(spec, pool.rows(trained)), spec.train.n_steps
    points = {round((i + 1) * n_steps / spec.train.n_evals) for i in range(spec.train.n_evals)}
    for step, loss in training.steps():
        if step in points:
            state["curve"].append({"round": number, "step": step, "loss": loss.item()})
        if step % REPORT_EVERY == 0 or step == n_steps:
            progress(number * n_steps + step, spec.n_steps)
    state["train_s"] += time.perf_counter() - started
    known = {"round": number, "n_trained": len(trained), "n_clean": int((pool.noise[trained] == 0).sum())}
    state["metrics"][f"round {number}"] = known | exact_match(spec, training.weights(), test)
    if number < spec.n_rounds:
        started = time.perf_counter()
        scorer = scorer_of(spec, training.weights())
        state["selected"].append(next_tasks(spec, pool, scorer, trained, state, number).tolist())
        state["score_s"] += time.perf_counter() - started


def next_tasks(
    spec: SelectSpec, pool: Tasks, scorer: CountingScorer, trained: torch.Tensor, state: dict, number: int
) -> torch.Tensor:
    """The numbers of the next tasks; the map of round 0 and what it cost are added to the state."""
    tasks = measure_candidates(spec, scorer, pool, pool.others(trained))
    before = None if tasks.features is None else representations(spec, scorer.weights, pool.heads(trained))
    n_read = 0 if before is None else len(pool)
    costs = {"n_scored": scorer.n_scored, "n_answered": scorer.n_answered, "n_read": n_read}
    state["costs"].append({"round": number} | costs)
    if number == 0 and "uncertainty" in STRATEGIES[spec.strategy]:
        state["map"] = task_map(tasks)
    share, name = spec.pool.decision_share, f"selection/{number + 1}"
    return select(spec.strategy, tasks, spec.n_select, share, spec.seed, name, before)
