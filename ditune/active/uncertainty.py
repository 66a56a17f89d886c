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

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..rewriting.hashing import Stream, stream
from ..specs import Spec, unknown
from .scorers import Prompts, Rows, Scorer, stacked

PARTS = ("definition", "examples")
ANSWERS = ("own", "gold")

Tokens = tuple[int, ...]


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
        names = [{"name": task.name} for task in self.tasks]
        return [row | {name: values[r] for name, values in columns.items()} for r, row in enumerate(names)]


def uncertainty(p: torch.Tensor) -> torch.Tensor:
    """Prompt uncertainty U of each task, (R,): mean |p_j - p_0|; 0 to 1. Of p[:, :a, :b + 1], that of n = a and k =
    b."""
    return (p[..., 1:] - p[..., :1]).abs().nanmean(dim=(1, 2))


def signed(p: torch.Tensor) -> torch.Tensor:
    """Mean p_j - p_0 of each task, (R,): below 0 where dropped words make the answer less likely. A variant in the
    code."""
    return (p[..., 1:] - p[..., :1]).nanmean(dim=(1, 2))


def deviation(p: torch.Tensor) -> torch.Tensor:
    """Standard deviation of p_1 ... p_k, mean over the instances: (R,). A variant in the code; the divisor is taken as
    k, so that one copy has 0."""
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
