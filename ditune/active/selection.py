"""Selection of the next tasks: strategies over what is measured on the tasks that are left, and the groups of the task
map.

A strategy takes the candidates of one kind and gives the places of those it selects. Candidates stand in a hashed
order, so that ties are broken by it, and what is selected does not depend on the order in which tasks were listed.
Nothing here knows what the model is. Ranks, as all that a strategy computes, are within a kind.

Sources: prompt uncertainty, perplexity and the groups of the task map: Kung et al. 2023 (arXiv 2311.00288) and its
code; inverse confidence: arXiv 2507.21482; k-centre: Sener & Savarese 2018 (arXiv 1708.00489).

Shapes: R candidates, n of them selected, C width of a representation, S tasks that have been selected before.
"""

import math
from dataclasses import dataclass, fields, replace

import torch

from ..rewriting.hashing import Stream, stream
from ..specs import unknown


@dataclass(frozen=True)
class Candidates:
    """R tasks that can be selected, and what strategies may know of them, (R,) each. What no strategy in use needs may
    be left None."""

    number: torch.Tensor
    """int64, each once."""
    decision: torch.Tensor
    """bool: the kind, of which every selection has a fixed share."""
    family: torch.Tensor | None = None
    """int64; for oracles."""
    clean: torch.Tensor | None = None
    """bool; for oracles."""
    uncertainty: torch.Tensor | None = None
    probability: torch.Tensor | None = None
    perplexity: torch.Tensor | None = None
    features: torch.Tensor | None = None
    """(R, C) representation of each task's prompt."""
    chance: torch.Tensor | None = None
    """float64, above 0 and up to 1, hashed from the number: the order, and the dice of those that draw lots."""

    def __getitem__(self, places: torch.Tensor) -> "Candidates":
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Candidates(**{name: None if value is None else value[places] for name, value in values.items()})

    def in_hashed_order(self, seed: int, name: str) -> "Candidates":
        """The candidates in an order that depends on their numbers and on the stream `name` of the seed alone."""
        numbers = Stream.of(stream(seed, name), self.number, torch.zeros_like(self.number))
        words = numbers.words(0, 2).long() & 0xFFFFFFFF
        chance = words[:, 0].double() * 2.0**-32 + (words[:, 1].double() + 0.5) * 2.0**-64
        return replace(self, chance=chance)[chance.argsort()]


# ---- strategies ------------------------------------------------------------------------------------------------------


def lowest(key: torch.Tensor, n: int) -> torch.Tensor:
    """The places of the n lowest of key (R,), ties in order: (n,)."""
    return key.argsort(stable=True)[:n]


def ranks(key: torch.Tensor) -> torch.Tensor:
    """How many of key (R,) are lower than each: equal ones have equal ranks.

    >>> ranks(torch.tensor([0.5, 0.1, 0.5, 0.9])).tolist()
    [1, 0, 1, 3]
    """
    return torch.searchsorted(key.sort().values, key)


def random(tasks: Candidates, trained: torch.Tensor, n: int) -> torch.Tensor:
    """The first in the hashed order. (Unseeded in the released code.)"""
    return lowest(tasks.chance, n)


def high_perplexity(tasks: Candidates, trained: torch.Tensor, n: int) -> torch.Tensor:
    """Highest mean perplexity of the model's own answers: paper's baseline."""
    return lowest(-tasks.perplexity, n)


def low_perplexity(tasks: Candidates, trained: torch.Tensor, n: int) -> torch.Tensor:
    """Lowest mean perplexity: paper's baseline."""
    return lowest(tasks.perplexity, n)


def uncertainty(tasks: Candidates, trained: torch.Tensor, n: int) -> torch.Tensor:
    """Highest prompt uncertainty U: the paper's method, and the "ambiguous" tasks of its map."""
    return lowest(-tasks.uncertainty, n)


def easy(tasks: Candidates, trained: torch.Tensor, n: int) -> torch.Tensor:
    """Lowest rank(U) + rank(-p): low uncertainty, high probability."""
    return lowest(ranks(tasks.uncertainty) + ranks(-tasks.probability), n)


def difficult(tasks: Candidates, trained: torch.Tensor, n: int) -> torch.Tensor:
    """Lowest rank(U) + rank(p): low uncertainty, low probability."""
    return lowest(ranks(tasks.uncertainty) + ranks(tasks.probability), n)


def inverse_confidence(tasks: Candidates, trained: torch.Tensor, n: int) -> torch.Tensor:
    """Drawn without replacement with probabilities proportional to 1 / p, p the mean confidence in the own answers.

    The task with the smallest of exponential waiting times of rates 1 / p comes first, then the next (Efraimidis &
    Spirakis 2006): each is what a draw in proportion would give.
    """
    return lowest(-tasks.chance.log() * tasks.probability, n)


def diversity(tasks: Candidates, trained: torch.Tensor, n: int) -> torch.Tensor:
    """k-centre greedy over the representations of the prompts."""
    return k_centre(tasks.features, trained, n)


def uncertainty_diversity(tasks: Candidates, trained: torch.Tensor, n: int) -> torch.Tensor:
    """k-centre greedy among the quarter of the candidates with the highest U, or n where that is more."""
    top = lowest(-tasks.uncertainty, max(n, math.ceil(len(tasks.number) / 4)))
    return top[k_centre(tasks.features[top], trained, n)]


def balanced(tasks: Candidates, trained: torch.Tensor, n: int) -> torch.Tensor:
    """An oracle: as many of each family as there are, to within one, clean and noisy alike, otherwise random."""
    order = lowest(tasks.chance, len(tasks.number))
    of_family = torch.nn.functional.one_hot(tasks.family[order])
    turn = (of_family.cumsum(0) * of_family).sum(1)  # a task is the turn-th of its family
    return order[lowest(turn, n)]


def clean(tasks: Candidates, trained: torch.Tensor, n: int) -> torch.Tensor:
    """An oracle: random among the clean tasks; others only where these do not suffice."""
    return lowest((~tasks.clean).double() + tasks.chance, n)


def k_centre(features: torch.Tensor, centres: torch.Tensor, n: int) -> torch.Tensor:
    """Again and again the one of features (R, C) that is farthest from all centres (S, C) and those picked: (n,)
    places."""
    distance = torch.cdist(features, centres).amin(1) if len(centres) else torch.full((len(features),), math.inf)
    picked = []
    for _ in range(n):
        picked.append(int(distance.argmax()))
        distance = distance.minimum((features - features[picked[-1]]).norm(dim=1))
        distance[picked] = -1.0
    return torch.tensor(picked, dtype=torch.int64)


FUNCTIONS = (
    random, high_perplexity, low_perplexity, uncertainty, easy, difficult, inverse_confidence, diversity,
    uncertainty_diversity, balanced, clean,
)  # fmt: skip
STRATEGIES = {function.__name__: function for function in FUNCTIONS}

GROUPS = {"ambiguous": "uncertainty", "difficult": "difficult", "easy": "easy"}
"""The groups of the task map, and the strategies that select them."""


# ---- a selection -----------------------------------------------------------------------------------------------------


def quotas(n: int, decision_share: float, n_rewriting: int, n_decision: int) -> tuple[int, int]:
    """How many of n tasks to select are of each kind, where so many are left; what one kind lacks the other fills.

    >>> quotas(60, 0.35, 300, 200), quotas(60, 0.35, 300, 5), quotas(60, 0.35, 8, 30)
    ((39, 21), (55, 5), (8, 30))
    """
    n = min(n, n_rewriting + n_decision)
    of_decision = min(max(round(n * decision_share), n - n_rewriting), n_decision)
    return n - of_decision, of_decision


def select(
    strategy: str,
    tasks: Candidates,
    n: int,
    decision_share: float,
    seed: int,
    name: str,
    trained: torch.Tensor | None = None,
) -> torch.Tensor:
    """The numbers of the n tasks that a strategy selects, increasing; all of them where no more are left.

    Each kind has its share (paper: 24 of 68 are classification); where a kind has too few tasks, all of them are taken
    and the other fills. `name`: the stream that breaks ties and draws lots. `trained`: representations (S, C) of the
    tasks selected before, for strategies that look for what is far from these.
    """
    if strategy not in STRATEGIES:
        raise unknown("strategy", strategy, STRATEGIES)
    tasks, chosen = tasks.in_hashed_order(seed, name), []
    n_decision = int(tasks.decision.sum())
    trained = torch.empty(0, 0) if trained is None else trained
    for kind, n_kind in enumerate(quotas(n, decision_share, len(tasks.number) - n_decision, n_decision)):
        of_kind = tasks[(tasks.decision == bool(kind)).nonzero()[:, 0]]
        if n_kind:
            picked = of_kind[STRATEGIES[strategy](of_kind, trained, n_kind)]
            chosen.append(picked.number)
            if picked.features is not None:
                trained = torch.cat([trained.reshape(-1, picked.features.shape[1]), picked.features])
    return torch.cat(chosen or [tasks.number[:0]]).sort().values


def groups(tasks: Candidates, n: int, decision_share: float, seed: int, name: str) -> dict[str, torch.Tensor]:
    """The groups of the task map: the numbers of the n tasks in each. A task can be in two, as in the paper."""
    return {group: select(strategy, tasks, n, decision_share, seed, name) for group, strategy in GROUPS.items()}
