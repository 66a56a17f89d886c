"""What prompt uncertainty costs: `ditune.active.uncertainty` against one instance and one pair at a time, on one core.

The plain procedure asks the same model what the released code asks (PlusLabNLP/Active-IT), in the same number of
questions: an answer for every instance, token by token until its end and without a cache of what was read, then a
scoring pass for each pair of instance and prompt. It does no more than the formula needs. The released code also
generated ten answers for each one that it used (62,000 for 6,200); that is a row of its own.
"""

import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from ditune.active.scorers import RewriterScorer
from ditune.active.uncertainty import PromptTask, Segment, UncertaintySpec, perturbed
from ditune.active.uncertainty import measure as scores
from ditune.rewriting.model import forward, initial, layout, unflatten
from ditune.rewriting.specs import ModelSpec, TaskSpec
from ditune.rewriting.tasks import Alphabet, generate, prompt_length, row_length
from ditune.store.threads import keep_freed_memory

from . import limit
from .timing import bound, matmul_rate, now, row

TASK = TaskSpec(n_rules=100_000, x_len=3, y_len=3, z_len=6)
MODEL = ModelSpec(n_layer=3, n_head=2, n_embd=64)  # the model of the study
N_EXAMPLES = 2  # worked examples in a prompt
PLAIN = "an instance, a pair at a time"
UNUSED = 10  # answers that the released code generated for each one that it used


def examples(first_rule: int, n_rules: int, n_each: int) -> torch.Tensor:
    """Rows "x>y|z=answer." of n_each examples of each of n_rules rules: (n_rules, n_each, T) int64."""
    rule = torch.arange(first_rule, first_rule + n_rules).repeat_interleave(n_each)
    return generate(TASK, 0, rule, torch.arange(n_each).repeat(n_rules)).tokens.long().unflatten(0, (n_rules, n_each))


def prompt_rows(rows: torch.Tensor, signs: Alphabet) -> torch.Tensor:
    """One row a rule, "x>y|z=answer|z=answer|z=answer.", of rows (R, N_EXAMPLES + 1, T) of one rule each."""
    rest = rows[:, 1:, prompt_length(TASK) - TASK.z_len[0] - 1 :].clone()
    whole = torch.cat([rows[:, 0], rest.flatten(1)], dim=1)
    ends = torch.where(whole[:, :-1] == signs.eos, signs.bar, whole[:, :-1])
    return torch.cat([ends, whole[:, -1:]], dim=1)


def trained(signs: Alphabet, n_steps: int, batch: int = 32) -> dict[str, torch.Tensor]:
    """Weights of a model trained for a few steps, so that its answers have the length of right ones."""
    n_tail = row_length(TASK) - prompt_length(TASK)  # the answer and its end
    shapes = layout(MODEL, signs.n_tokens, prompt_rows(examples(0, 1, N_EXAMPLES + 1), signs).shape[1] - 1)
    flat = initial(MODEL, shapes, 0).requires_grad_(True)
    optimizer = torch.optim.AdamW([flat], lr=3e-3)
    for step in range(n_steps):
        rows = prompt_rows(examples(1000 + step * batch, batch, N_EXAMPLES + 1), signs)
        logits = forward(MODEL, unflatten(flat, shapes), rows[None, :, :-1], rows.shape[1] - n_tail - 1)
        optimizer.zero_grad()
        F.cross_entropy(logits.flatten(0, 2), rows[:, -n_tail:].flatten()).backward()
        optimizer.step()
    return unflatten(flat.detach(), shapes)


def prompt_tasks(n_tasks: int, n_instances: int, signs: Alphabet) -> list[PromptTask]:
    """Tasks of one rule each: definition "x>y", two examples, and inputs "z=". Signs are the template and stay."""
    n_x, n_y, n_z = TASK.x_len[0], TASK.y_len[0], TASK.z_len[0]
    tasks = []
    for r, rows in enumerate(examples(0, n_tasks, N_EXAMPLES + n_instances).tolist()):
        x, y = rows[0][:n_x], rows[0][n_x + 1 : n_x + 1 + n_y]
        prompt = [Segment.letters(x, "definition"), Segment.letters([signs.arrow]), Segment.letters(y, "definition"), Segment.letters([signs.bar])]
        tails = [row[n_x + n_y + 2 :] for row in rows]  # "z=answer."
        for tail in tails[:N_EXAMPLES]:
            prompt += [Segment.letters(tail[:n_z], "examples"), Segment.letters([*tail[n_z:-1], signs.bar])]
        tasks.append(PromptTask(f"rule {r}", tuple(prompt), tuple(tuple(tail[: n_z + 1]) for tail in tails[N_EXAMPLES:])))
    return tasks


@torch.no_grad()
def one_answer(scorer: RewriterScorer, prompt: tuple[int, ...], max_tokens: int) -> tuple[int, ...]:
    """The greedy answer to one prompt, a forward pass a token."""
    answer = ()
    while len(answer) < max_tokens:
        rows = torch.tensor([[prompt + answer]])
        token = int(forward(scorer.model, scorer.weights, rows, rows.shape[-1] - 1).argmax())
        if token == scorer.eos:
            break
        answer += (token,)
    return answer


@torch.no_grad()
def one_probability(scorer: RewriterScorer, prompt: tuple[int, ...], answer: tuple[int, ...]) -> float:
    """The probability of one answer to one prompt, in one forward pass."""
    logits = forward(scorer.model, scorer.weights, torch.tensor([[prompt + answer]]), len(prompt) - 1)[0, 0]
    nll = F.cross_entropy(logits, torch.tensor([*answer, scorer.eos]))
    return float(torch.exp(-nll))


class Clock:
    """Adds up the seconds of each kind of work, or whatever else `read` counts."""

    def __init__(self, read: Callable[[], float]):
        self.read, self.seconds = read, {"generation": 0.0, "scoring": 0.0}

    def time(self, kind: str, work, *arguments):
        start = self.read()
        result = work(*arguments)
        self.seconds[kind] += self.read() - start
        return result


class Timed:
    """A scorer under a clock."""

    def __init__(self, scorer: RewriterScorer, clock: Clock):
        self.greedy = lambda *rows: clock.time("generation", scorer.greedy, *rows)
        self.log_likelihood = lambda *rows: clock.time("scoring", scorer.log_likelihood, *rows)


Found = tuple[list[float], dict[str, float]]
"""U of each task; seconds of generation, of scoring, and of all."""


def batched(scorer: RewriterScorer, tasks: list[PromptTask], spec: UncertaintySpec, read=now) -> Found:
    """`ditune.active.uncertainty.measure`."""
    start, clock = read(), Clock(read)
    found = [line["uncertainty"] for line in scores(Timed(scorer, clock), tasks, spec, 0).table()]
    return found, clock.seconds | {"all": read() - start}


def one_by_one(scorer: RewriterScorer, tasks: list[PromptTask], spec: UncertaintySpec, read=now) -> Found:
    """The plain procedure."""
    start, clock, found = read(), Clock(read), []
    for task in tasks:
        heads, total = perturbed(task.prompt, spec.k, spec.drop_rate, 0, task.name, spec.parts).lists(), 0.0
        for x in task.inputs:
            answer = clock.time("generation", one_answer, scorer, heads[0] + x, spec.max_tokens)
            p = [clock.time("scoring", one_probability, scorer, head + x, answer) for head in heads]
            total += sum(abs(p[j] - p[0]) for j in range(1, spec.k + 1))
        found.append(total / (len(task.inputs) * spec.k))
    return found, clock.seconds | {"all": read() - start}


def counted(procedure, *arguments) -> dict[str, float]:
    """Operations of the matrix products of a procedure, by kind of work."""
    with FlopCounterMode(display=False) as counter:
        return procedure(*arguments, read=counter.get_total_flops)[1]


def bounds(what: str, ours: float, theirs: float, seconds_of_peer: float, rate: float) -> list[dict]:
    """The ratio to the plain procedure by arithmetic alone: operations of ours and of the plain one, on the same tasks."""
    return [
        bound(what, PLAIN, f"both did their matrix products equally fast: {ours / 1e9:.3g} GFLOP in ours, {theirs / 1e9:.3g} in the plain procedure, as counted", theirs / ours),
        bound(what, PLAIN, f"ours did them at the machine's best rate, {rate / 1e9:.0f} GFLOP/s, and nothing else", seconds_of_peer * rate / ours),
    ]


def measure(quick: bool = False, *, n_tasks: int = 500, n_instances: int = 10, k: int = 10, n_single: int = 20, n_steps: int = 150, repetitions: int = 3) -> list[dict]:
    """Processor seconds on one core for n_tasks tasks: of ditune, and of the plain procedure, which is measured on the
    first n_single tasks and scaled. AssertionError where they differ in a score by more than 1e-5."""
    if quick:
        n_tasks, n_single, n_steps, repetitions = 10, 1, 5, 1
    torch.set_num_threads(1)
    keep_freed_memory()
    signs, n_tail = Alphabet(TASK.alphabet_size), row_length(TASK) - prompt_length(TASK)
    scorer = RewriterScorer(MODEL, trained(signs, n_steps), signs)
    tasks, spec = prompt_tasks(n_tasks, n_instances, signs), UncertaintySpec(n=n_instances, k=k, max_tokens=n_tail - 1)
    batched(scorer, tasks[:2], spec), one_by_one(scorer, tasks[:1], spec)  # warms up
    rounds = [(batched(scorer, tasks, spec), one_by_one(scorer, tasks[:n_single], spec)) for _ in range(repetitions)]
    worst = max(abs(a - b) for (ours, _), (plain, _) in rounds for a, b in zip(ours, plain))
    assert worst < 1e-5, f"scores differ by {worst}"
    ours = {kind: [seconds[kind] for (_, seconds), _ in rounds] for kind in ("generation", "scoring", "all")}
    plain = {kind: [seconds[kind] * n_tasks / n_single for _, (_, seconds) in rounds] for kind in ours}
    wasteful = [a + (UNUSED - 1) * g for a, g in zip(plain["all"], plain["generation"])]
    note = f"{n_tasks} tasks x {n_instances} instances x {k + 1} prompts; plain: measured on {n_single} tasks and scaled; U differs by at most {worst:.1e}"
    names = {"all": "prompt uncertainty", "generation": "prompt uncertainty, generation", "scoring": "prompt uncertainty, scoring"}
    rows = [row(what, "s", ours[kind], plain[kind], PLAIN, 10.0, note) for kind, what in names.items()]
    rate = statistics.median(matmul_rate(limit.large()))
    mine, theirs = (counted(procedure, scorer, tasks[:n_single], spec) for procedure in (batched, one_by_one))
    for kind, what in names.items():
        rows += bounds(what, mine[kind], theirs[kind], statistics.median(plain[kind]) * n_single / n_tasks, rate)
    peer = f"the same, {UNUSED} answers generated for each one used"
    return [*rows, row("prompt uncertainty, answers unused", "s", ours["all"], wasteful, peer, None, note)]
