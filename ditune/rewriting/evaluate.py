"""Exact match of whole answers, overall and by slice, without generating a token.

A prompt is answered right if the most likely token is the right one at every position of the answer, end of sequence
included, given the right tokens before it. Row by row this equals greedy decoding, which would have produced those very
tokens (tested against `greedy`), at the cost of one forward pass. Logits are compared in fp32.

Shapes: M models, B examples, T positions, A answer positions.
"""

import torch

from .model import forward
from .specs import EvalSpec, ModelSpec, RunSpec, TaskSpec
from .tasks import Alphabet, prompt_length, row_length, training_examples, unseen_examples

BATCH = 512
BATCH_TOKENS = 1 << 19  # on a GPU so many at once, where these are more rows: a small batch leaves it idle
SLICES = ("no_op", "occurrences", "family", "k", "x_len", "z_len")


@torch.no_grad()
def said(spec: ModelSpec, w: dict[str, torch.Tensor], tokens: torch.Tensor, start: int) -> tuple:
    """Logarithms of the probabilities of tokens from column `start` of rows (M, B, T) on, (M, B, T - start, V), and
    the most likely tokens, (M, B, T - start)."""
    logits = forward(spec, w, tokens[:, :, :-1].long(), start - 1).float()
    return logits.log_softmax(dim=-1), logits.argmax(dim=-1)


@torch.no_grad()
def answered(
    spec: ModelSpec, w: dict[str, torch.Tensor], tokens: torch.Tensor, start: int, pad: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of rows (M, B, T) whose answers start at column `start` or later: is the whole answer right (M, B) bool, and the
    mean negative log-likelihood of its tokens (M, B). What of a prompt lies behind `start` is not scored."""
    return verdicts(*said(spec, w, tokens, start), answer_targets(tokens, start, pad), pad)


def verdicts(log_p: torch.Tensor, best: torch.Tensor, targets: torch.Tensor, pad: int) -> tuple:
    """What `answered` gives, from what was said and the targets, (M, B, A)."""
    scored = targets != pad
    nll = -log_p.gather(-1, targets.long()[..., None])[..., 0]
    return ((best == targets) | ~scored).all(dim=-1), (nll * scored).sum(dim=-1) / scored.sum(dim=-1)


def answer_targets(tokens: torch.Tensor, start: int, pad: int) -> torch.Tensor:
    """Tokens from column `start` on, those up to a row's "=" replaced by padding: (..., T - start).

    The sign "=" is two below `pad` in `Alphabet`; where inputs differ in length, prompts end at different columns.
    """
    tail = tokens[..., start:]
    is_sign = tail == pad - 2
    in_prompt = is_sign.flip(-1).cumsum(-1).flip(-1) > 0
    return torch.where(in_prompt, pad, tail)


@torch.no_grad()
def greedy(spec: ModelSpec, w: dict[str, torch.Tensor], prompt: torch.Tensor, n_tokens: int) -> torch.Tensor:
    """The n_tokens most likely tokens after each prompt (M, B, T), one at a time: (M, B, n_tokens)."""
    rows = prompt.long()
    for _ in range(n_tokens):
        best = forward(spec, w, rows, rows.shape[-1] - 1).argmax(dim=-1)
        rows = torch.cat([rows, best], dim=-1)
    return rows[:, :, prompt.shape[-1] :]


def eval_task(run: RunSpec, which: EvalSpec) -> TaskSpec:
    """The task that an evaluation set is drawn from."""
    return which.task or run.task


def eval_examples(run: RunSpec, which: EvalSpec, first: int, n: int, device, copy: bool = False):
    """Examples first .. first + n - 1 of an evaluation set. Seen rules: example numbers behind the training budget."""
    number = torch.arange(first, first + n, device=device)
    task = eval_task(run, which)
    if which.rules == "unseen":
        return unseen_examples(task, run.seed, number, copy)
    return training_examples(task, run.seed, number + run.task.n_examples, copy)


def evaluate(runs: list[RunSpec], w: dict[str, torch.Tensor], index: int, n: int, copies: bool = True) -> list[dict]:
    """Results of M runs on the first n examples of their index-th evaluation set: one dict a run with

    exact_match: share of right answers; copies: share of answers that repeat the input (where that is not right);
    nll: mean negative log-likelihood of the answer's tokens, nats; n; slices: {name: {value: [exact_match, n]}}.

    `copies` takes a second pass, of the rows that may be copies, and can be left out.
    """
    tokens = len(runs) * row_length(eval_task(runs[0], runs[0].evals[index]))  # of one example of each run
    batch = max(BATCH, BATCH_TOKENS // tokens) if w["wte"].is_cuda else BATCH
    batches = [evaluate_batch(runs, w, index, first, min(batch, n - first), copies) for first in range(0, n, batch)]
    columns = {name: torch.cat([found[name] for found, _ in batches], dim=1).cpu() for name in batches[0][0]}
    return [
        summary({k: v[m] for k, v in columns.items()}, [known[m] for _, known in batches]) for m in range(len(runs))
    ]


def evaluate_batch(runs, w, index, first, count, copies) -> tuple[dict[str, torch.Tensor], list[dict]]:
    """Of one batch: right, nll and (with `copies`) copied, (M, count) each, and the slices' tensors of each run."""
    model, device = runs[0].model, w["wte"].device
    pad = Alphabet(runs[0].task.alphabet_size).pad
    start = prompt_length(eval_task(runs[0], runs[0].evals[index]))
    examples = [eval_examples(r, r.evals[index], first, count, device) for r in runs]
    tokens = torch.stack([e.tokens for e in examples])
    targets = answer_targets(tokens, start, pad)
    log_p, best = said(model, w, tokens, start)
    right, nll = verdicts(log_p, best, targets, pad)
    found = {"right": right, "nll": nll}
    if copies:
        rows = torch.stack([eval_examples(r, r.evals[index], first, count, device, copy=True).tokens for r in runs])
        likely = may_copy(best, targets, answer_targets(rows, start, pad), pad) & ~right
        chosen = likely.any(dim=0).nonzero()[:, 0]
        found["copied"] = torch.zeros_like(right)
        if len(chosen):
            found["copied"][:, chosen] = answered(model, w, rows[:, chosen], start, pad)[0] & ~right[:, chosen]
    return found, [e.slices for e in examples]


def may_copy(best: torch.Tensor, targets: torch.Tensor, copy: torch.Tensor, pad: int) -> torch.Tensor:
    """Rows that a second pass could show to be copies, (M, B) bool: as far as the targets and the copy, (M, B, A) both,
    begin alike, and for one token more, the first pass has shown what is said of the copy."""
    alike = (targets == copy).long().cumprod(dim=-1)
    known = torch.nn.functional.pad(alike[..., :-1], (1, 0), value=1).bool()
    return ((best == copy) | (copy == pad) | ~known).all(dim=-1)


def summary(columns: dict[str, torch.Tensor], known: list[dict]) -> dict:
    """Means over the examples of one run, and the exact match by each slice that takes more than one value."""
    right = columns["right"].double()
    slices = {}
    for name in SLICES:
        value = torch.cat([batch[name] for batch in known]).cpu()
        kinds = value.unique().tolist()
        if len(kinds) > 1:
            slices[name] = {str(v): [right[value == v].mean().item(), int((value == v).sum())] for v in kinds}
    found = {
        "exact_match": right.mean().item(),
        "nll": columns["nll"].double().mean().item(),
        "n": len(right),
        "slices": slices,
    }
    return found | ({"copies": columns["copied"].double().mean().item()} if "copied" in columns else {})
