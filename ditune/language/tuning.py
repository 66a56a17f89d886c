"""Pretrained models at work: tuning on answers, likelihood of answers, greedy answers.

An example is a pair of token rows, prompt and answer. The model's head, which is as wide as its vocabulary, is applied
only where a token of an answer is predicted.

Shapes: B rows, T columns, N predicted tokens, V tokens, H heads of width D, P columns read before.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F

from ..active.scorers import Past, Prompts, Rows, equal_lengths, joined
from ..rewriting.hashing import permute, stream
from ..rewriting.optim import schedule
from ..store.files import load_checkpoint, save_checkpoint
from .pretrained import Pretrained, Tokens, TuneSpec, adapt

TRAIN_TOKENS = 1 << 10  # tokens of a forward and backward pass; more are no faster on a CPU, and memory grows with them
READ_TOKENS = 1 << 11  # tokens of a forward pass
DECODED_ROWS = 32  # rows that are continued together
SAVE_EVERY = 50  # steps between checkpoints

Example = tuple[Tokens, Tokens]
"""Prompt and answer."""


def encoded(
    lm: Pretrained, pairs: Iterable[tuple[str, str]], max_tokens: int, chat: bool = True, end: bool = True
) -> list[Example]:
    """Pairs of prompt and answer as tokens, the two encoded apart, so that no token holds letters of both.

    chat: the prompt is put to the model as a question, else it is text that the answer continues; end: the answer ends
    with end-of-sequence. Of an example longer than max_tokens the prompt loses its beginning, until it fills half of
    that, and then the answer its end. ValueError: a prompt or an answer has no token.
    """
    examples = []
    for number, (prompt, answer) in enumerate(pairs):
        left = lm.question(prompt) if chat else lm.start() + lm.encode(prompt)
        right = lm.encode(answer) + (lm.eos,) * end
        if not left or not right:
            raise ValueError(f"pair {number} has no token in its {'answer' if left else 'prompt'}")
        room = max_tokens - min(len(right), max_tokens // 2)
        left = left[-room:]
        examples.append((left, right[: max_tokens - len(left)]))
    return examples


# ---- the loss --------------------------------------------------------------------------------------------------------


def head_logits(model, at: torch.Tensor, **inputs) -> tuple[torch.Tensor, Past]:
    """Logits (N, V) at the marked places of the input, at (B, T) bool, in the order of its rows; keys and values."""
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda module, hidden: (hidden[0][at],))
    try:
        out = model(**inputs)
    finally:
        hook.remove()
    cache = out.past_key_values
    return out.logits.float(), [(layer.keys, layer.values) for layer in cache.layers] if cache else []


def answer_logits(lm: Pretrained, examples: list[Example]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of each token of the answers, given all before it: logits (N, V), the token (N,), and the number of its example
    (N,)."""
    rows = Rows.of([prompt + answer for prompt, answer in examples])
    begin = torch.tensor([len(prompt) for prompt, _ in examples])
    place = torch.arange(rows.tokens.shape[1])
    real = place < rows.length[:, None]
    at = real[:, 1:] & (place[1:] >= begin[:, None])  # what is read at t predicts t + 1
    device = lm.model.device
    inputs = {"input_ids": rows.tokens[:, :-1].to(device), "attention_mask": real[:, :-1].long().to(device)}
    logits, _ = head_logits(lm.model, at.to(device), use_cache=False, **inputs)
    return logits, rows.tokens[:, 1:][at].to(device), at.nonzero()[:, 0].to(device)


def answer_nll(lm: Pretrained, examples: list[Example]) -> torch.Tensor:
    """Negative log-likelihood of each answer given its prompt, summed over its tokens: (B,), nats."""
    logits, targets, row = answer_logits(lm, examples)
    each = F.cross_entropy(logits, targets, reduction="none")
    return torch.zeros(len(examples), device=each.device).index_add(0, row, each)


def buckets(n: list[int], n_tokens: int) -> list[list[int]]:
    """The numbers of rows of n tokens each, in groups of similar length: padded, a group has at most n_tokens tokens
    (or one row), of which at most a tenth is padding.

    >>> buckets([10, 50, 9, 52, 10], 100)
    [[2, 0, 4], [1], [3]]
    """
    groups, filled = [], 0
    for i in sorted(range(len(n)), key=n.__getitem__):
        size = (len(groups[-1]) + 1) * n[i] if groups else n_tokens + 1
        if size > n_tokens or filled + n[i] < 0.9 * size:
            groups.append([])
            filled = 0
        groups[-1].append(i)
        filled += n[i]
    return groups


def lengths(examples: list[Example]) -> list[int]:
    """Tokens of each example."""
    return [len(prompt) + len(answer) for prompt, answer in examples]


@torch.no_grad()
def mean_nll(lm: Pretrained, examples: list[Example]) -> torch.Tensor:
    """Negative log-likelihood of each answer, mean over its tokens: (B,) float64 on the CPU, nats a token."""
    out = torch.empty(len(examples), dtype=torch.float64)
    for group in buckets(lengths(examples), READ_TOKENS):
        out[group] = answer_nll(lm, [examples[i] for i in group]).double().cpu()
    return out / torch.tensor([len(answer) for _, answer in examples])


# ---- tuning ----------------------------------------------------------------------------------------------------------


def train(
    lm: Pretrained,
    examples: list[Example],
    spec: TuneSpec,
    seed: int,
    checkpoint: Path | None = None,
    progress=lambda step, n_steps: None,
) -> tuple[Pretrained, list[float]]:
    """The model with adapters trained on the examples, and the loss of each step's batch before the step, nats a token.

    The examples come in an order that depends on the seed and their number alone, all of them once before any comes
    again. There is no dropout. A checkpoint file, if there is one, is continued, and ends where an undisturbed training
    ends; progress(step, n_steps) is called after each step.
    """
    if not examples:
        raise ValueError("no examples to train on")
    lm = adapt(lm, spec, seed)
    parameters = [p for p in lm.model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=spec.lr, weight_decay=spec.weight_decay)
    losses = resumed(checkpoint, parameters, optimizer) if checkpoint else []
    for step in range(len(losses), spec.n_steps):
        optimizer.param_groups[0]["lr"] = spec.lr * schedule(spec, step)
        optimizer.zero_grad()
        losses.append(backward(lm, [examples[i] for i in batch(len(examples), spec.batch_size, seed, step)]))
        torch.nn.utils.clip_grad_norm_(parameters, spec.clip)
        optimizer.step()
        if checkpoint and ((step + 1) % SAVE_EVERY == 0 or step + 1 == spec.n_steps):
            save(checkpoint, parameters, optimizer, losses)
        progress(step + 1, spec.n_steps)
    return lm, losses


def report_from(progress, done: int, n_steps: int, step: int, _) -> None:
    """Report a step of one of several trainings, before which so many steps were done."""
    progress(done + step, n_steps)


def batch(n_examples: int, batch_size: int, seed: int, step: int) -> list[int]:
    """The numbers of the examples in the batch of a step; each pass over them has an order of its own."""
    slots, n = torch.arange(step * batch_size, (step + 1) * batch_size), torch.tensor([n_examples])
    passes = slots // n_examples
    parts = [permute(slots[passes == p] % n_examples, n, stream(seed, f"order/{p}")) for p in passes.unique().tolist()]
    return torch.cat(parts).tolist()


def backward(lm: Pretrained, examples: list[Example]) -> float:
    """Add the gradient of a batch's loss, the mean over all its answers' tokens however it is split; return the
    loss."""
    n_tokens, total = sum(len(answer) for _, answer in examples), 0.0
    for group in buckets(lengths(examples), TRAIN_TOKENS):
        loss = answer_nll(lm, [examples[i] for i in group]).sum() / n_tokens
        loss.backward()
        total += loss.item()
    return total


def save(path: Path, parameters: list[torch.Tensor], optimizer: torch.optim.Optimizer, losses: list[float]) -> None:
    """Write weights, optimiser and losses."""
    tensors = {f"{i}/weight": p for i, p in enumerate(parameters)}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"{i}/{name}": value for name, value in state.items()}
    save_checkpoint(path, {"losses": losses}, tensors)


def resumed(path: Path, parameters: list[torch.Tensor], optimizer: torch.optim.Optimizer) -> list[float]:
    """Put a checkpoint's weights and optimiser in place; return the losses until then, none without a checkpoint."""
    state, tensors = load_checkpoint(path) or ({"losses": []}, {})
    states = {}
    for name, value in tensors.items():
        i, _, what = name.partition("/")
        if what == "weight":
            parameters[int(i)].data.copy_(value)
        else:
            states.setdefault(int(i), {})[what] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": states})
    return state["losses"]


# ---- likelihood and greedy answers -----------------------------------------------------------------------------------


class LanguageScorer:
    """A pretrained model as a `scorers.Scorer`.

    Heads are read once. What follows them is read in batches of equally long heads and tails, without padding; greedy
    answers then go on in batches of any lengths. `suppress`: tokens that no greedy answer has; `stop`: text after
    which one may end, checked at every token.
    """

    def __init__(self, lm: Pretrained, suppress: tuple[int, ...] = (), stop: tuple[str, ...] = ()):
        self.lm, self.model, self.suppress, self.stop = lm, lm.model, list(suppress), stop
        self.device = lm.model.device

    @torch.no_grad()
    def log_likelihood(self, prompts: Prompts, answers: Rows) -> torch.Tensor:
        """See `Scorer`: (B,) float32 on the CPU."""
        ends = Rows(torch.full((len(prompts.head), 1), self.lm.eos), self.ended(answers).long())
        both, out = joined(joined(prompts.tails, answers), ends), torch.empty(len(prompts.head))
        self.check_room(prompts, both.length - 1)
        for index, past, head in self.batches(prompts, both.length):
            tokens = both.tokens[index, : int(both.length[index[0]])]
            at = torch.arange(1, tokens.shape[1]) >= prompts.tails.length[index, None]
            inputs = {"input_ids": tokens[:, :-1].to(self.device), "past_key_values": cache(past, head)}
            logits, _ = head_logits(self.model, at.to(self.device), **inputs)
            nll = F.cross_entropy(logits, tokens[:, 1:][at].to(self.device), reduction="none").cpu()
            out[index] = -torch.zeros(len(index)).index_add(0, at.nonzero()[:, 0], nll) / at.sum(dim=1)
        return out

    def ended(self, answers: Rows) -> torch.Tensor:
        """Whether end-of-sequence is scored as a token of each answer, (B,) bool: of all."""
        return torch.ones(len(answers.length), dtype=torch.bool)

    def check_room(self, prompts: Prompts, length: torch.Tensor) -> None:
        """ValueError, if a prompt's head and the length (B,) behind it are more than the model's positions."""
        most = getattr(self.model.config, "max_position_embeddings", None)
        if most and (n := int((prompts.heads.length[prompts.head] + length).max())) > most:
            name = self.lm.name
            raise ValueError(f"prompt and answer have up to {n} tokens; the model {name!r} has {most} positions")

    def batches(self, prompts: Prompts, length: torch.Tensor) -> Iterator[tuple[torch.Tensor, Past, torch.Tensor]]:
        """Numbers of prompts whose heads are of equal length, and of which equally many tokens follow, length (B,);
        with keys and values of heads, and which of these each prompt has."""
        used = prompts.head.unique()
        for some in equal_lengths(prompts.heads.length[used]):
            heads = used[some]
            P, past = int(prompts.heads.length[heads[0]]), []
            if P:
                tokens = prompts.heads.tokens[heads, :P].to(self.device)
                none = torch.zeros_like(tokens, dtype=torch.bool)
                _, past = head_logits(self.model, none, input_ids=tokens, past_key_values=cache())
            nowhere = torch.full((len(prompts.heads.length),), -1)
            place = nowhere.scatter(0, heads, torch.arange(len(heads)))[prompts.head]
            rows = (place >= 0).nonzero()[:, 0]
            for same in equal_lengths(length[rows], P):
                for part in same.split(max(1, READ_TOKENS // int(length[rows[same[0]]]))):
                    yield rows[part], past, place[rows[part]].to(self.device)

    @torch.no_grad()
    def greedy(self, prompts: Prompts, max_tokens: int) -> Rows:
        """See `Scorer`."""
        self.check_room(prompts, prompts.tails.length + max_tokens)
        answers: list[Tokens] = [()] * len(prompts.head)
        columns = prompts.heads.length[prompts.head], prompts.head, prompts.tails.length
        keys = list(zip(*(column.tolist() for column in columns)))
        order = torch.tensor(sorted(range(len(keys)), key=keys.__getitem__))
        for index in order.split(DECODED_ROWS):
            part = Prompts(prompts.heads, prompts.head[index], prompts.tails[index])
            for i, answer in zip(index.tolist(), self.decoded(part, max_tokens)):
                answers[i] = answer
        return Rows.of(answers)

    def decoded(self, prompts: Prompts, max_tokens: int) -> list[Tokens]:
        """Greedy answers to a batch of prompts. Each column is read once; rows that have ended leave the batch."""
        logits, past, length = self.prefilled(prompts)
        answers: list[list[int]] = [[] for _ in length]
        going, kept = torch.arange(len(length), device=self.device), cache(past)
        place = torch.arange(int(length.max()), device=self.device)
        seen = place >= length.max() - length[:, None]  # padded at the left
        for column in range(max_tokens):
            logits[:, self.suppress] = -torch.inf
            best = logits.argmax(dim=-1)
            said = enumerate(zip(going.tolist(), best.tolist()))
            stay = [row for row, (i, token) in said if self.goes_on(answers[i], token)]
            if not stay or column == max_tokens - 1:
                break
            if len(stay) < len(going):
                kept.batch_select_indices(torch.tensor(stay, device=self.device))
                going, seen, best = going[stay], seen[stay], best[stay]
            seen = F.pad(seen, (0, 1), value=True)
            place = (length[going] + column)[:, None]
            at = torch.ones_like(place, dtype=torch.bool)
            inputs = {"input_ids": best[:, None], "attention_mask": seen.long(), "position_ids": place}
            logits, _ = head_logits(self.model, at, past_key_values=kept, **inputs)
        return [tuple(answer) for answer in answers]

    def goes_on(self, answer: list[int], token: int) -> bool:
        """Add the token to the answer, and say whether the answer goes on."""
        if token == self.lm.eos:
            return False
        answer.append(token)
        return not (self.stop and any(text in self.lm.decode(tuple(answer)) for text in self.stop))

    def prefilled(self, prompts: Prompts) -> tuple[torch.Tensor, Past, torch.Tensor]:
        """Logits (B, V) behind each prompt, keys and values of its columns, padded at the left; their numbers (B,)."""
        length = prompts.heads.length[prompts.head] + prompts.tails.length
        logits, whole = None, []
        for index, past, head in self.batches(prompts, prompts.tails.length):
            tokens = prompts.tails.tokens[index, : int(prompts.tails.length[index[0]])].to(self.device)
            at = torch.zeros_like(tokens, dtype=torch.bool)
            at[:, -1] = True
            last, now = head_logits(self.model, at, input_ids=tokens, past_key_values=cache(past, head))
            if logits is None:
                logits = last.new_empty(len(length), last.shape[1])
                T = int(length.max())
                whole = [tuple(x.new_zeros(len(length), x.shape[1], T, x.shape[3]) for x in kv) for kv in now]
            logits[index] = last
            for kv, all_kv in zip(now, whole):
                for x, all_x in zip(kv, all_kv):
                    all_x[index, :, -x.shape[2] :] = x
        return logits, whole, length.to(self.device)


def cache(past: Past = (), rows: torch.Tensor | slice = slice(None)):
    """What `past` holds for some rows, as transformers takes it."""
    from transformers import DynamicCache

    made = DynamicCache()
    for layer, (k, v) in enumerate(past):
        made.update(k[rows], v[rows], layer)
    return made


def complete(
    lm: Pretrained, texts: list[str], max_tokens: int, suppress: tuple[int, ...] = (), stop: tuple[str, ...] = ()
) -> list[str]:
    """The greedy continuation of each text, of up to max_tokens tokens.

    Trailing spaces of a prompt often belong into one token with what follows: strip them. suppress, stop: see
    `LanguageScorer`; the text that stops an answer is part of it.
    """
    tails = Rows.of([lm.start() + lm.encode(text) for text in texts])
    prompts = Prompts(Rows.of([()]), torch.zeros(len(texts), dtype=torch.int64), tails)
    return [lm.decode(answer) for answer in LanguageScorer(lm, suppress, stop).greedy(prompts, max_tokens).lists()]
