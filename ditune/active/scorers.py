"""Scorers: what gives the likelihood of answers to prompts, and greedy answers, whatever the model behind it.

A rewriter of this study is one (`RewriterScorer`); a pretrained model can be another. All prompts are left-aligned rows
of token numbers, padded at the right; what is behind the end of a row has no meaning.

Shapes: B rows, T columns, A answer tokens, V tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F

from ..rewriting.model import HF_LAYER, attend, gelu, layer_norm, linear, rotary
from ..rewriting.specs import ModelSpec
from ..rewriting.tasks import Alphabet

BATCH_TOKENS = 1 << 13  # tokens of a forward pass: on a CPU, what lies between the layers then stays in the cache

Tokens = tuple[int, ...]

Past = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of rows of P columns that a model has read, a pair a layer: (B, H, P, D), H heads of width D."""


@dataclass
class Rows:
    """B rows of tokens (B, T) int64, of which the first `length` (B,) int64 count."""

    tokens: torch.Tensor
    length: torch.Tensor

    @classmethod
    def of(cls, rows: list[Tokens]) -> "Rows":
        width = max(map(len, rows))
        padded = [[*row, *[0] * (width - len(row))] for row in rows]
        tokens = torch.tensor(padded, dtype=torch.int64).view(len(rows), width)
        return cls(tokens, torch.tensor([len(row) for row in rows]))

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


@dataclass
class Prompts:
    """B prompts: number b is row head[b] of `heads`, then row b of `tails` (one token or more). Instances of a task
    share their heads, so that a scorer can read a head once."""

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


def extended(
    model: ModelSpec, w: dict[str, torch.Tensor], tokens: torch.Tensor, start: int, past: Past, head: torch.Tensor
) -> tuple[torch.Tensor, Past]:
    """Logits (B, T - start, V) of tokens (B, T) that follow heads, and the keys and values of both.

    Row b stands behind number head[b] of the heads `past`, which are P columns long; with P = 0 the logits are those of
    `rewriting.model.forward`. One model: the weights are (1, *shape).
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
    """A rewriter, one model (M = 1) of `rewriting.model`: weights {name: (1, *shape)} over the tokens of `alphabet`.

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
        """Numbers of prompts whose heads are of equal length, and of which equally many tokens follow, length (B,);
        with keys and values of heads, and which of these each prompt has."""
        whole = int((prompts.heads.length[prompts.head] + length).max())
        if self.model.position == "learned" and whole > (n := self.weights["wpe"].shape[1]):
            raise ValueError(f"prompt and answer have up to {whole} tokens; the model has {n} positions")
        nothing = torch.empty(1, self.model.n_head, 0, self.model.n_embd // self.model.n_head, device=self.device)
        for heads in equal_lengths(prompts.heads.length):
            P, first = int(prompts.heads.length[heads[0]]), torch.zeros_like(heads)
            tokens = prompts.heads.tokens[heads, :P].to(self.device)
            _, past = extended(self.model, self.weights, tokens, P, [(nothing, nothing)] * self.model.n_layer, first)
            nowhere = torch.full((len(prompts.heads.length),), -1)
            place = nowhere.scatter(0, heads, torch.arange(len(heads)))[prompts.head]
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
    """The row numbers in batches of equal length (B,), BATCH_TOKENS tokens each at most, n_before more a row counted
    in."""
    order = length.argsort(stable=True)
    lengths, counts = length[order].unique_consecutive(return_counts=True)
    for n, group in zip(lengths.tolist(), order.split(counts.tolist())):
        yield from group.split(max(1, BATCH_TOKENS // max(1, n + n_before)))
