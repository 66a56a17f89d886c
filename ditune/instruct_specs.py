"""What a selection among instructions is, each a task of its own: their measures, tunings on those selected, as dataclasses that
check themselves.

Like `ditune.natural_specs` it leaves to the runs whether the data are at hand. Source of the sizes: Kung et al. 2023 (arXiv 2311.00288).
"""

from dataclasses import dataclass, field

from . import instructions, self_instruct
from .natural_specs import SELECTIONS, ScoreSpec
from .pretrained import TuneSpec, tune_spec
from .specs import unknown


@dataclass(frozen=True)
class InstructionsSpec(ScoreSpec):
    """Instructions, each a task with one instance, measured by a pretrained model that has not been tuned on any of them."""

    pool: str = "alpaca"
    """A set that `instructions.load` takes, of data made by the Self-Instruct pipeline. Paper: 52,000 of Alpaca."""
    test: tuple[str, ...] = ("self_instruct_seed",)
    """Sets of instructions that people wrote and answered, tested by the likelihood of these answers (`self_instruct.read`). Paper: the
    models' own answers to instructions, which GPT-4, ChatGPT and people judge."""
    n_candidates: int = 52_000
    n_test: int = 175
    """Instructions of each test set."""

    def check(self):
        super().check()
        self.require(self.pool not in ("human", self_instruct.SEED_TASKS), "pool", "a set to select from; this one is for tests only")
        instructions.check_name(self.pool)
        for name in self.test:
            self_instruct.check_name(name)
        self.require(len(set(self.test)) == len(self.test) > 0 and self.pool not in self.test, "test", "different sets, one or more, and not that of the pool")
        for name in ("n_candidates", "n_test"):
            self.require(1 <= getattr(self, name) <= 10**6, name, f"1 to {10**6}")

    @property
    def n_steps(self) -> int:
        """Steps in which the run reports its progress: its test and its measures."""
        return 2

    @property
    def cost(self) -> float:
        return self.n_candidates * (self.k + 1) * self.most_letters * 4


@dataclass(frozen=True)
class InstructSpec(InstructionsSpec):
    """Tunings on the instructions that a strategy selects, as many as each budget says, each from the pretrained model."""

    strategy: str = "random"
    budgets: tuple[int, ...] = (1000, 2000, 4000, 8000, 16000)
    """Instructions; those of a smaller budget are among those of a larger one."""
    passes: float = 3.0
    tune: TuneSpec = field(default_factory=lambda: tune_spec("paper", batch_size=128, lr=2e-5))

    def check(self):
        super().check()
        if self.strategy not in SELECTIONS:
            raise unknown("InstructSpec strategy", self.strategy, SELECTIONS)
        ordered = all(a < b for a, b in zip((0, *self.budgets), self.budgets))
        self.require(ordered and 0 < len(self.budgets) and self.budgets[-1] <= self.n_candidates, "budgets", f"ascending numbers from 1 to {self.n_candidates}")
        self.require(0 < self.passes <= 1000, "passes", "above 0, up to 1000")

    @property
    def first(self) -> InstructionsSpec:
        """The measures of the pretrained model, which all strategies of the seed share."""
        return self.part(InstructionsSpec)

    def steps(self, n_examples: int) -> int:
        """Optimiser steps of a training on so many examples."""
        return max(1, round(self.passes * n_examples / self.tune.batch_size))

    @property
    def n_steps(self) -> int:
        return sum(self.steps(n) + 1 for n in self.budgets)

    @property
    def cost(self) -> float:
        return min(3 * self.n_steps * self.tune.batch_size * self.most_letters, 0.9 * self.first.cost)
