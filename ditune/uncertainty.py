"""Prompt uncertainty: how far the probability of a model's answer moves when words of its prompt are dropped.

    U(task) = 1/(n k) sum_i sum_j |p(y_i | x_i, I_j) - p(y_i | x_i, I_0)|
    p(y | x, I) = exp(mean log-likelihood of the tokens of y, end-of-sequence included)

I_0 is the task's prompt, I_1 ... I_k are copies of it with words dropped, drawn once a task and shared by its n
instances x_i; y_i is the model's own greedy answer under I_0. Source: Kung et al. 2023 (arXiv 2311.00288), figure 2 and
the released code (PlusLabNLP/Active-IT); the paper's values are the defaults of `UncertaintySpec`.

The model is behind a `Scorer`. All prompts are left-aligned rows of token numbers, padded at the right; what is behind
the end of a row has no meaning.

Shapes: R tasks, n instances of a task, k perturbed prompts, B rows, T columns, A answer tokens, V tokens.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F

from .hashing import Stream, stream
from .model import HF_LAYER, attend, gelu, layer_norm, linear, rotary
from .specs import ModelSpec, Spec, unknown
from .tasks import Alphabet

PARTS = ("definition", "examples")
ANSWERS = ("own", "gold")
BATCH_TOKENS = 1 << 13  # tokens of a forward pass: on a CPU, what lies between the layers then stays in the cache

Tokens = tuple[int, ...]

Past = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of rows of P columns that a model has read, a pair a layer: (B, H, P, D), H heads of width D."""


@dataclass(frozen=True)
class UncertaintySpec(Spec):
    """How prompt uncertainty is measured. The defaults are those of every published command of the paper's code."""

    n: int = 10
    """Instances of a task, its first ones; a task that has fewer is measured on all it has. Paper: 10."""
    k: int = 10
    """Perturbed prompts of a task. Published commands: 10; the code's default is 20."""
    drop_rate: float = 0.2
    """Probability that a word is dropped. Paper: 0.2."""
    parts: tuple[str, ...] = PARTS
    """What words are dropped from: the definition, the inputs of the worked examples ("examples"), or both (paper)."""
    answer: str = "own"
    """"own": the model's greedy answer under the original prompt (paper); "gold": the right answer."""
    max_tokens: int = 128
    """Longest own answer, end-of-sequence not counted; a longer one is cut there. Paper: targets of 128 tokens."""

    def check(self):
        for name in ("n", "k", "max_tokens"):
            self.require(getattr(self, name) >= 1, name, "1 or more")
        self.require(0 <= self.drop_rate <= 1, "drop_rate", "0 to 1")
        self.require(len(self.parts) > 0, "parts", ", ".join(PARTS))
        for part in self.parts:
            if part not in PARTS:
                raise unknown("UncertaintySpec part", part, PARTS)
        if self.answer not in ANSWERS:
            raise unknown("UncertaintySpec answer", self.answer, ANSWERS)


# ---- prompts ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Segment:
    """A stretch of a prompt: its units (words, or single tokens), each dropped whole or kept, as token numbers."""

    units: tuple[Tokens, ...]
    part: str = ""
    """One of PARTS: its units can be dropped. "": they stay (the template, the outputs of the examples)."""

    @classmethod
    def letters(cls, tokens, part: str = "") -> "Segment":
        """A unit a token."""
        return cls(tuple((int(t),) for t in tokens), part)

    @classmethod
    def words(cls, text: str, encode: Callable[[str], list[int]], part: str = "") -> "Segment":
        """A unit a whitespace-separated word, as in the paper; `encode` gives the tokens of one word (with the space
        before it, where the tokeniser counts that in)."""
        return cls(tuple(tuple(encode(word)) for word in text.split()), part)


@dataclass(frozen=True)
class PromptTask:
    """A task as prompts: what all instances share, then the instance's input.

    Paper: the template of Tk-Instruct, definition and two positive examples.
    """

    name: str
    """Chooses the words that are dropped, so a task has the same perturbed prompts in whatever list it stands."""
    prompt: tuple[Segment, ...]
    inputs: tuple[Tokens, ...]
    """One an instance, with the sign or words that ask for the answer: at least one token, none ever dropped."""
    golds: tuple[Tokens, ...] = ()
    """Right answers without end-of-sequence, one an instance; needed for answer = "gold"."""

    def check(self, spec: UncertaintySpec) -> None:
        """Raise ValueError where the task cannot be measured."""
        if not self.inputs or not all(self.inputs):
            raise ValueError(f"task {self.name!r} needs at least one instance, and at least one token in each input")
        if spec.answer == "gold" and len(self.golds) != len(self.inputs):
            raise ValueError(f"task {self.name!r} has {len(self.golds)} gold answers for {len(self.inputs)} instances")


@dataclass
class Rows:
    """B rows of tokens (B, T) int64, of which the first `length` (B,) int64 count."""

    tokens: torch.Tensor
    length: torch.Tensor

    @classmethod
    def of(cls, rows: list[Tokens]) -> "Rows":
        width = max(map(len, rows))
        padded = [[*row, *[0] * (width - len(row))] for row in rows]
        return cls(torch.tensor(padded, dtype=torch.int64).view(len(rows), width), torch.tensor([len(row) for row in rows]))

    def __getitem__(self, index: torch.Tensor) -> "Rows":
        return Rows(self.tokens[index], self.length[index])

    def lists(self) -> list[Tokens]:
        """The rows without their padding."""
        return [tuple(row[:n]) for row, n in zip(self.tokens.tolist(), self.length.tolist())]


def stacked(blocks: list[Rows]) -> Rows:
    """The rows of several blocks, one after the other."""
    width = max(block.tokens.shape[1] for block in blocks)
    padded = [F.pad(block.tokens, (0, width - block.tokens.shape[1])) for block in blocks]
    return Rows(torch.cat(padded), torch.cat([block.length for block in blocks]))


def joined(left: Rows, right: Rows) -> Rows:
    """Each row of `left` followed by that of `right`."""
    columns = left.length[:, None] + torch.arange(right.tokens.shape[1])
    tokens = F.pad(left.tokens, (0, right.tokens.shape[1])).scatter(1, columns, right.tokens)
    length = left.length + right.length
    return Rows(tokens[:, : int(length.max())], length)


def perturbed(prompt: tuple[Segment, ...], k: int, drop_rate: float, seed: int, name: str = "", parts=PARTS) -> Rows:
    """The prompt and k copies of it in which each unit of `parts` is dropped with probability drop_rate: k + 1 rows.

    Whether copy j loses unit u is a function of (seed, name, j, u): a larger k adds copies, a larger rate drops more of
    the same words, and the choice of parts does not change what is dropped from each. All units may be dropped.
    """
    units = [(unit, segment.part in parts) for segment in prompt for unit in segment.units]
    tokens = torch.tensor([token for unit, _ in units for token in unit], dtype=torch.int64)
    unit_of = torch.tensor([u for u, (unit, _) in enumerate(units) for _ in unit], dtype=torch.int64)
    fixed = torch.tensor([not droppable for _, droppable in units], dtype=torch.bool)
    copies = torch.arange(k + 1)
    words = Stream.of(stream(seed, f"perturbation/{name}"), copies, torch.zeros_like(copies)).words(0, len(units))
    kept = ((words.long() & 0xFFFFFFFF) >= drop_rate * 2.0**32) | fixed | (copies == 0)[:, None]
    kept = kept[:, unit_of]  # (k + 1, T)
    return Rows(tokens[(~kept).to(torch.uint8).argsort(dim=1, stable=True)], kept.sum(dim=1))


# ---- scorers ---------------------------------------------------------------------------------------------------------


@dataclass
class Prompts:
    """B prompts: number b is row head[b] of `heads`, then row b of `tails` (one token or more). Instances of a task share
    their heads, so that a scorer can read a head once."""

    heads: Rows
    head: torch.Tensor
    tails: Rows

    def rows(self) -> Rows:
        """The whole prompts, for a scorer that reads them one by one."""
        return joined(self.heads[self.head], self.tails)


class Scorer(Protocol):
    """A model as prompt uncertainty sees it. Answers are rows without end-of-sequence."""

    def log_likelihood(self, prompts: Prompts, answers: Rows) -> torch.Tensor:
        """Mean log-likelihood of the answer's tokens and of the end-of-sequence behind them, nats a token: (B,)."""

    def greedy(self, prompts: Prompts, max_tokens: int) -> Rows:
        """The most likely token again and again, up to end-of-sequence (left out) or to max_tokens tokens."""


def extended(model: ModelSpec, w: dict[str, torch.Tensor], tokens: torch.Tensor, start: int, past: Past, head: torch.Tensor) -> tuple[torch.Tensor, Past]:
    """Logits (B, T - start, V) of tokens (B, T) that follow heads, and the keys and values of both.

    Row b stands behind number head[b] of the heads `past`, which are P columns long; with P = 0 the logits are those of
    `ditune.model.forward`. One model: the weights are (1, *shape).
    """
    (B, T), P, C, V = tokens.shape, past[0][0].shape[2], model.n_embd, w["wte"].shape[1]
    x = F.embedding(tokens, w["wte"][0])
    if model.position == "learned":
        x = x + w["wpe"][0, P : P + T]
    x, present = x.view(1, B * T, C), []
    for i, (head_k, head_v) in enumerate(past):
        layer = {name: w[name][:, i] for name in HF_LAYER}
        qkv = linear(layer_norm(x, layer["ln_1_w"], layer["ln_1_b"]), layer["qkv_w"], layer["qkv_b"])
        q, k, v = qkv.view(B, T, 3, model.n_head, C // model.n_head).permute(2, 0, 3, 1, 4).unbind(0)
        if model.position == "rotary":
            q, k = rotary(q, P), rotary(k, P)
        if i == model.n_layer - 1:  # what the last layer would do for the columns before `start` is left out
            q, x = q[:, :, start:], x.view(B, T, C)[:, start:].reshape(1, -1, C)
        k, v = torch.cat([head_k[head], k], dim=2), torch.cat([head_v[head], v], dim=2)
        y = attend(q, k, v).transpose(1, 2).reshape(x.shape)
        x = x + linear(y, layer["proj_w"], layer["proj_b"])
        y = gelu(linear(layer_norm(x, layer["ln_2_w"], layer["ln_2_b"]), layer["fc_w"], layer["fc_b"]))
        x = x + linear(y, layer["out_w"], layer["out_b"])
        present.append((k, v))
    x = layer_norm(x, w["ln_f_w"], w["ln_f_b"])[0]
    return (x @ w["wte"][0].T).view(B, T - start, V).float(), present


class RewriterScorer:
    """A rewriter, one model (M = 1) of `ditune.model`: weights {name: (1, *shape)} over the tokens of `alphabet`.

    A head is read once, and what follows it is read in batches of rows whose heads are equally long, and whose tails
    are: no padding is ever computed and no mask is needed.
    """

    def __init__(self, model: ModelSpec, weights: dict[str, torch.Tensor], alphabet: Alphabet):
        if len(weights["wte"]) != 1:
            raise ValueError(f"a scorer takes one model; these weights hold {len(weights['wte'])}")
        self.model, self.weights, self.eos = model, weights, alphabet.eos
        self.device = weights["wte"].device

    @torch.no_grad()
    def log_likelihood(self, prompts: Prompts, answers: Rows) -> torch.Tensor:
        """See `Scorer`: (B,) float32 on the CPU."""
        tails, out = joined(prompts.tails, answers), torch.empty(len(prompts.head))
        for index, past, head in self.batches(prompts, tails.length):
            tokens = tails.tokens[index, : int(tails.length[index[0]])].to(self.device)
            start = int(prompts.tails.length[index].min())
            logits, _ = extended(self.model, self.weights, tokens, start - 1, past, head)
            targets = F.pad(tokens[:, start:], (0, 1), value=self.eos)
            each = logits.log_softmax(dim=-1).gather(-1, targets[..., None])[..., 0]
            scored = torch.arange(start, tokens.shape[1] + 1) >= prompts.tails.length[index, None]
            out[index] = (each.cpu() * scored).sum(dim=1) / scored.sum(dim=1)
        return out

    @torch.no_grad()
    def greedy(self, prompts: Prompts, max_tokens: int) -> Rows:
        """See `Scorer`."""
        tokens = torch.empty(len(prompts.head), max_tokens, dtype=torch.int64)
        for index, past, head in self.batches(prompts, prompts.tails.length + max_tokens):
            tails = prompts.tails.tokens[index, : int(prompts.tails.length[index[0]])]
            tokens[index] = self.decoded(tails.to(self.device), past, head, max_tokens).cpu()
        return Rows(tokens, (tokens != self.eos).sum(dim=1))

    def batches(self, prompts: Prompts, length: torch.Tensor) -> Iterator[tuple[torch.Tensor, Past, torch.Tensor]]:
        """Numbers of prompts whose heads are of equal length, and of which equally many tokens follow, length (B,); with
        keys and values of heads, and which of these each prompt has."""
        whole = int((prompts.heads.length[prompts.head] + length).max())
        if self.model.position == "learned" and whole > (n := self.weights["wpe"].shape[1]):
            raise ValueError(f"prompt and answer have up to {whole} tokens; the model has {n} positions")
        nothing = torch.empty(1, self.model.n_head, 0, self.model.n_embd // self.model.n_head, device=self.device)
        for heads in equal_lengths(prompts.heads.length):
            P, first = int(prompts.heads.length[heads[0]]), torch.zeros_like(heads)
            tokens = prompts.heads.tokens[heads, :P].to(self.device)
            _, past = extended(self.model, self.weights, tokens, P, [(nothing, nothing)] * self.model.n_layer, first)
            place = torch.full((len(prompts.heads.length),), -1).scatter(0, heads, torch.arange(len(heads)))[prompts.head]
            rows = (place >= 0).nonzero()[:, 0]
            for index in equal_lengths(length[rows], P):
                yield rows[index], past, place[rows[index]].to(self.device)

    def decoded(self, tails: torch.Tensor, past: Past, head: torch.Tensor, max_tokens: int) -> torch.Tensor:
        """Greedy answers (B, A) to tails (B, T) behind their heads, end-of-sequence wherever an answer has ended. Each
        column is read once; rows that have ended leave the batch."""
        answers = torch.full((len(tails), max_tokens), self.eos, device=self.device)
        going, tokens = torch.arange(len(tails), device=self.device), tails
        for column in range(max_tokens):
            logits, past = extended(self.model, self.weights, tokens, tokens.shape[1] - 1, past, head)
            answers[going, column] = best = logits[:, 0].argmax(dim=-1)
            head = (best != self.eos).nonzero()[:, 0]
            if len(head) == 0:
                break
            going, tokens = going[head], best[head, None]
        return answers


def equal_lengths(length: torch.Tensor, n_before: int = 0) -> Iterator[torch.Tensor]:
    """The row numbers in batches of equal length (B,), BATCH_TOKENS tokens each at most, n_before more a row counted in."""
    order = length.argsort(stable=True)
    lengths, counts = length[order].unique_consecutive(return_counts=True)
    for n, group in zip(lengths.tolist(), order.split(counts.tolist())):
        yield from group.split(max(1, BATCH_TOKENS // max(1, n + n_before)))


# ---- measures --------------------------------------------------------------------------------------------------------


@dataclass
class Scores:
    """What was measured: probabilities p (R, n, k + 1) float64 of the answers under I_0, I_1 ... I_k, NaN where a task
    has fewer than n instances; and the answers, without end-of-sequence, a list a task."""

    tasks: list[PromptTask]
    spec: UncertaintySpec
    p: torch.Tensor
    answers: list[list[Tokens]]

    def table(self) -> list[dict]:
        """One dict a task: name, the five measures below, n_instances measured, n_droppable units of the prompt."""
        columns = {measure.__name__: measure(self.p).tolist() for measure in MEASURES}
        columns["n_instances"] = [len(answers) for answers in self.answers]
        columns["n_droppable"] = [sum(len(s.units) for s in t.prompt if s.part in self.spec.parts) for t in self.tasks]
        return [{"name": t.name} | {name: values[r] for name, values in columns.items()} for r, t in enumerate(self.tasks)]


def uncertainty(p: torch.Tensor) -> torch.Tensor:
    """Prompt uncertainty U of each task, (R,): mean |p_j - p_0|; 0 to 1. Of p[:, :a, :b + 1], that of n = a and k = b."""
    return (p[..., 1:] - p[..., :1]).abs().nanmean(dim=(1, 2))


def signed(p: torch.Tensor) -> torch.Tensor:
    """Mean p_j - p_0 of each task, (R,): below 0 where dropped words make the answer less likely. A variant in the code."""
    return (p[..., 1:] - p[..., :1]).nanmean(dim=(1, 2))


def deviation(p: torch.Tensor) -> torch.Tensor:
    """Standard deviation of p_1 ... p_k, mean over the instances: (R,). A variant in the code; the divisor is taken as k,
    so that one copy has 0."""
    return p[..., 1:].std(dim=2, correction=0).nanmean(dim=1)


def probability(p: torch.Tensor) -> torch.Tensor:
    """Prediction probability of each task, (R,): mean p_0, the y axis of the task map (x is `uncertainty`)."""
    return p[..., 0].nanmean(dim=1)


def perplexity(p: torch.Tensor) -> torch.Tensor:
    """Perplexity of each task, (R,): exp(mean negative log-likelihood) = 1 / p_0, mean over the instances."""
    return p[..., 0].reciprocal().nanmean(dim=1)


MEASURES = (uncertainty, signed, deviation, probability, perplexity)


def measure(scorer: Scorer, tasks: list[PromptTask], spec: UncertaintySpec, seed: int) -> Scores:
    """Score the first n instances of each task under its prompt and k perturbed copies, in one call of the scorer.

    A task's scores do not depend on the other tasks. Where a prompt has nothing that can be dropped (an empty
    definition), U is 0 and says only that; `n_droppable` = 0 in the table tells such a task from a certain one.
    ValueError: no task, or one that cannot be measured.
    """
    if not tasks:
        raise ValueError("no task to measure")
    for task in tasks:
        task.check(spec)
    n_used = torch.tensor([min(spec.n, len(task.inputs)) for task in tasks])
    inputs = Rows.of([x for task in tasks for x in task.inputs[: spec.n]])
    heads = stacked([perturbed(t.prompt, spec.k, spec.drop_rate, seed, t.name, spec.parts) for t in tasks])
    task_of = torch.arange(len(tasks)).repeat_interleave(n_used)  # of each instance
    head = torch.arange(len(heads.length)).view(len(tasks), -1)  # (R, k + 1)
    if spec.answer == "own":
        answers = scorer.greedy(Prompts(heads[head[:, 0]], task_of, inputs), spec.max_tokens)
    else:
        answers = Rows.of([y for task in tasks for y in task.golds[: spec.n]])
    p = torch.full((len(tasks), spec.n, spec.k + 1), torch.nan, dtype=torch.float64)
    p[torch.arange(spec.n) < n_used[:, None]] = pair_probabilities(scorer, heads, head[task_of], inputs, answers)
    lists = iter(answers.lists())
    return Scores(tasks, spec, p, [[next(lists) for _ in range(n)] for n in n_used.tolist()])


def pair_probabilities(scorer: Scorer, heads: Rows, head: torch.Tensor, inputs: Rows, answers: Rows) -> torch.Tensor:
    """p (B, k + 1) float64 of the answers to B inputs behind the prompts `heads`, by number: head (B, k + 1).

    A copy that lost nothing is not scored; it has the probability of the original, column 0, exactly.
    """
    scored = heads.length[head] != heads.length[head[:, :1]]
    scored[:, 0] = True
    i, j = scored.nonzero(as_tuple=True)
    p = torch.zeros(head.shape, dtype=torch.float64)
    p[i, j] = scorer.log_likelihood(Prompts(heads, head[i, j], inputs[i]), answers[i]).double().exp()
    return torch.where(scored, p, p[:, :1])
