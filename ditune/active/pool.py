"""The pool of symbolic tasks, and those of the test: token rows to train on and prompts to score, from `PoolSpec` and
seed.

What a task is says `specs.PoolSpec`. Rules, inputs and clean answers are those of `rewriting.tasks`, so every
answer that follows the rule equals what `markov` computes (tested). No x of a test rule is the x of a pool rule,
and no y its y.

Shapes: R tasks, N instances of a task, T tokens of a row, P of a prompt's head, L letters of a side, Z of an input.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch

from ..rewriting.hashing import Stream, permute, stream
from ..rewriting.specs import FAMILIES
from ..rewriting.tasks import Alphabet, generate
from .specs import NOISE, PoolSpec
from .uncertainty import PromptTask, Segment

N_WORKED = 2  # worked examples in a prompt: examples 0 and 1 of a task; its instances are the ones behind them


@dataclass(frozen=True)
class Tasks:
    """R tasks and what is known of them; a task's number is its place."""

    spec: PoolSpec
    family: torch.Tensor
    """(R,) index into specs.FAMILIES."""
    decision: torch.Tensor
    """(R,) bool: the kind."""
    noise: torch.Tensor
    """(R,) index into specs.NOISE."""
    tokens: torch.Tensor
    """(R, N, T) uint8: each instance as a whole row, prompt, answer and end-of-sequence."""

    def __len__(self) -> int:
        return len(self.family)

    def rows(self, numbers: torch.Tensor) -> torch.Tensor:
        """The rows of all instances of some tasks, (len(numbers) * N, T) uint8."""
        return self.tokens[numbers].flatten(0, 1)

    def others(self, numbers: torch.Tensor) -> torch.Tensor:
        """The numbers of all other tasks, increasing."""
        left = torch.ones(len(self), dtype=torch.bool)
        left[numbers] = False
        return left.nonzero()[:, 0]

    def heads(self, numbers: torch.Tensor) -> torch.Tensor:
        """Definition and worked examples of some tasks, which their instances share: (len(numbers), P) uint8."""
        return self.tokens[numbers, 0, : -2 * self.spec.z_len - 2]

    def prompts(self, numbers: torch.Tensor) -> list[PromptTask]:
        """Some tasks as uncertainty is measured on them: a letter is a unit, the signs and the examples' outputs
        stay."""
        return [prompt_task(self.spec, f"task {r}", self.tokens[r]) for r in numbers.tolist()]

    def columns(self) -> dict[str, list]:
        """What is known of each task, in words: task, family, kind, noise."""
        return {
            "task": list(range(len(self))),
            "family": [FAMILIES[f] for f in self.family.tolist()],
            "kind": ["decision" if d else "rewriting" for d in self.decision.tolist()],
            "noise": [NOISE[i] for i in self.noise.tolist()],
        }


@lru_cache(maxsize=2)
def pool_tasks(spec: PoolSpec, seed: int) -> Tasks:
    """The tasks to select from. Family, kind and noise are independent of one another; each has its exact share."""
    family = shared_out(spec.n_tasks, spec.shares, stream(seed, "pool/family"))
    decision = shared_out(spec.n_tasks, (1 - spec.decision_share, spec.decision_share), stream(seed, "pool/kind")) == 1
    clean = 1 - spec.noisy_share - spec.contradictory_share
    noise = shared_out(spec.n_tasks, (clean, spec.noisy_share, spec.contradictory_share), stream(seed, "pool/noise"))
    return Tasks(spec, family, decision, noise, instances(spec, seed, family, decision, noise, spec.n_instances, False))


@lru_cache(maxsize=2)
def unseen_tasks(spec: PoolSpec, seed: int) -> Tasks:
    """The tasks of the test: rules set apart from the pool's, the families in turn, clean."""
    family = torch.arange(spec.n_test) % len(FAMILIES)
    decision = shared_out(spec.n_test, (1 - spec.decision_share, spec.decision_share), stream(seed, "test/kind")) == 1
    noise = torch.zeros_like(family)
    rows = instances(spec, seed, family, decision, noise, spec.n_test_instances, True)
    return Tasks(spec, family, decision, noise, rows)


def shared_out(n: int, shares: tuple[float, ...], key: tuple[int, int]) -> torch.Tensor:
    """(n,) int64: each index into `shares` as often as its share of n asks for, to within rounding, in a hashed
    order."""
    bounds = (torch.tensor(shares, dtype=torch.float64).cumsum(0) * n).round()
    place = permute(torch.arange(n), torch.tensor([n]), key)
    return torch.searchsorted(bounds[:-1], place.double(), right=True)


def rule_numbers(family: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """The rule of each task, (R,): of its family, start[family] (of (4,)) and then the next ones."""
    of_family = torch.nn.functional.one_hot(family, len(FAMILIES))
    rank = (of_family.cumsum(0) - 1).gather(1, family[:, None])[:, 0]
    return (start[family] + rank) * len(FAMILIES) + family  # the families of TaskSpec come in turn


def instances(spec: PoolSpec, seed: int, family, decision, noise, n: int, unseen: bool) -> torch.Tensor:
    """The rows of n instances of each task, (R, n, T) uint8."""
    R, L = len(family), spec.side_len
    count = torch.bincount(family, minlength=len(FAMILIES))
    rule = rule_numbers(family, torch.zeros_like(count))
    examples = written(spec, seed, rule, decision, n + N_WORKED, unseen)  # (R, n + 2, x > y | z = a .)
    contradictory = noise == NOISE.index("contradictory")
    others = rule_numbers(family[contradictory], count)  # behind those of the pool, so nobody's
    definitions = written(spec, seed, others, decision[contradictory], 1, unseen)[..., : 2 * L + 2]
    examples[contradictory, :, : 2 * L + 2] = definitions
    noisy = (noise == NOISE.index("noisy")).nonzero()[:, 0]
    number, example = pairs(noisy, n + N_WORKED)
    letters = Stream.of(stream(seed, f"noise/{unseen}"), number, example).letters(0, spec.z_len, spec.alphabet_size)
    examples[noisy, :, -1 - spec.z_len : -1] = letters.unflatten(0, (-1, n + N_WORKED))
    definition, body, eos = examples.split([2 * L + 2, 2 * spec.z_len + 1, 1], dim=2)
    bar = torch.full((R, n, 1), Alphabet(spec.alphabet_size).bar, dtype=torch.uint8)
    worked = [part for j in range(N_WORKED) for part in (body[:, j : j + 1].expand(-1, n, -1), bar)]
    return torch.cat([definition[:, N_WORKED:], *worked, body[:, N_WORKED:], eos[:, N_WORKED:]], dim=2)


def written(spec: PoolSpec, seed: int, rule, decision, n: int, unseen: bool) -> torch.Tensor:
    """The first n examples of each rule as `tasks.generate` writes them: (R, n, 2 L + 2 Z + 4) uint8."""
    rows = torch.empty(len(rule), n, 2 * (spec.side_len + spec.z_len) + 4, dtype=torch.uint8)
    for kind, chosen in (("rewriting", ~decision), ("decision", decision)):
        if chosen.any():
            number, example = pairs(rule[chosen], n)
            rows[chosen] = generate(spec.task(kind), seed, number, example, unseen).tokens.unflatten(0, (-1, n))
    return rows


def answer_columns(spec: PoolSpec) -> torch.Tensor:
    """The columns of a row that are answered: those behind each "=", in the last case with end-of-sequence."""
    first = 2 * spec.side_len + 2 + spec.z_len + 1
    starts = range(first, spec.row_length, 2 * spec.z_len + 2)
    return torch.tensor([start + i for start in starts for i in range(spec.z_len)] + [spec.row_length - 1])


def pairs(number: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Each number with each of 0 .. n - 1, the latter running: (len(number) * n,) both."""
    return number.repeat_interleave(n), torch.arange(n).repeat(len(number))


def prompt_task(spec: PoolSpec, name: str, rows: torch.Tensor) -> PromptTask:
    """A task as a prompt, from its rows (N, T)."""
    signs, L, Z = Alphabet(spec.alphabet_size), spec.side_len, spec.z_len
    row = rows[0].tolist()
    prompt = [Segment.letters(row[:L], "definition"), Segment.letters([signs.arrow]),
              Segment.letters(row[L + 1 : 2 * L + 1], "definition"), Segment.letters([signs.bar])]  # fmt: skip
    for start in range(2 * L + 2, len(row) - 2 * Z - 2, 2 * Z + 2):
        z, output = row[start : start + Z], row[start + Z : start + 2 * Z + 2]  # = a |
        prompt += [Segment.letters(z, "examples"), Segment.letters(output)]
    tails = [tuple(r[-2 * Z - 2 :]) for r in rows.tolist()]  # z = a .
    return PromptTask(name, tuple(prompt), tuple(t[: Z + 1] for t in tails), tuple(t[Z + 1 : -1] for t in tails))
