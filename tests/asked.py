"""What is asked in tests of scorers and of prompt uncertainty: a small scorer, one whose probabilities are known, tasks and rows
drawn at random; and a plain answer and probability, a token at a time."""

import math
import zlib

import torch

from ditune.active.scorers import Prompts, RewriterScorer, Rows
from ditune.active.uncertainty import PromptTask, Segment, UncertaintySpec
from ditune.rewriting.model import forward, initial, layout, unflatten
from ditune.rewriting.specs import ModelSpec
from ditune.rewriting.tasks import Alphabet

SIGNS = Alphabet(6)
POSITIONS = 40
SMALL = UncertaintySpec(n=3, k=4, drop_rate=0.3, max_tokens=5)


def rewriter(position="learned", seed=1):
    """A small scorer with weights far from their initial values; its greedy answers are of all lengths."""
    model = ModelSpec(n_layer=2, n_head=2, n_embd=16, position=position)
    shapes = layout(model, SIGNS.n_tokens, POSITIONS)
    flat = initial(model, shapes, seed)
    flat = flat + 0.3 * torch.randn(flat.shape, generator=torch.Generator().manual_seed(seed))
    return RewriterScorer(model, unflatten(flat, shapes), SIGNS)


class Known:
    """A scorer whose likelihoods are a given function of prompt and answer; it keeps what it was asked."""

    def __init__(self, likelihood=lambda prompt, answer: -(zlib.crc32(repr((prompt, answer)).encode()) % 1000) / 500):
        self.likelihood, self.scored, self.continued = likelihood, [], []

    def log_likelihood(self, prompts, answers):
        pairs = list(zip(prompts.rows().lists(), answers.lists()))
        self.scored += pairs
        return torch.tensor([self.likelihood(*pair) for pair in pairs], dtype=torch.float64)

    def greedy(self, prompts, max_tokens):
        self.continued += prompts.rows().lists()
        return Rows.of([self.answer(prompt) for prompt in prompts.rows().lists()])

    @staticmethod
    def answer(prompt):
        return (*prompt[-2:], 5)


def random_tasks(n_tasks=4, n_instances=5, seed=3):
    """Definition, two examples of which the inputs can be dropped, instances: all of unequal lengths."""
    random = torch.Generator().manual_seed(seed)

    def word(low, high):
        length = torch.randint(low, high + 1, (), generator=random)
        return tuple(torch.randint(0, 6, (int(length),), generator=random).tolist())

    def prompt():
        segments = [Segment.letters(word(2, 5), "definition"), Segment.letters([SIGNS.bar])]
        for _ in range(2):
            segments += [Segment.letters(word(2, 4), "examples"), Segment.letters([SIGNS.equals, *word(2, 4), SIGNS.bar])]
        return tuple(segments)

    return [
        PromptTask(f"task {r}", prompt(), *(tuple(zip(*[((*word(1, 4), SIGNS.equals), word(0, 3)) for _ in range(n_instances)]))))
        for r in range(n_tasks)
    ]


def answered_plainly(scorer, prompt, max_tokens):
    """The greedy answer, a token at a time."""
    answer = ()
    while len(answer) < max_tokens:
        best = int(forward(scorer.model, scorer.weights, torch.tensor([[prompt + answer]]))[0, 0, -1].argmax())
        if best == SIGNS.eos:
            break
        answer += (best,)
    return answer


def probability_plainly(scorer, prompt, answer):
    """exp(-mean negative log-likelihood), a token at a time, end-of-sequence last."""
    nll, given = 0.0, prompt
    for token in (*answer, SIGNS.eos):
        nll -= float(forward(scorer.model, scorer.weights, torch.tensor([[given]]))[0, 0, -1].log_softmax(-1)[token])
        given += (token,)
    return math.exp(-nll / (len(answer) + 1))


def random_rows(n, low, high, seed):
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(low, high + 1, (n,), generator=random).tolist()
    return Rows.of([tuple(torch.randint(0, SIGNS.n_tokens, (t,), generator=random).tolist()) for t in lengths])


def random_prompts(n, seed, n_heads=4):
    """n prompts with few heads, one of them empty and one unused."""
    heads, tails = random_rows(n_heads, 1, 5, seed), random_rows(n, 1, 5, seed + 1)
    heads.length[0] = 0
    return Prompts(heads, torch.randint(0, n_heads - 1, (n,), generator=torch.Generator().manual_seed(seed)), tails)


def whole(rows):
    """Prompts that share nothing."""
    return Prompts(Rows.of([()] * len(rows.length)), torch.arange(len(rows.length)), rows)
