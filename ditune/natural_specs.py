"""What a run on tasks in natural language is: a map of tasks, an active selection, as dataclasses that check themselves.

Like `ditune.specs` it imports nothing heavy. Whether the data are at hand is not checked here, but when a run starts, so that
records of data that this machine lacks are found. Source of the sizes: Kung et al. 2023 (arXiv 2311.00288) and its code.
"""

from dataclasses import dataclass, field, fields

from . import natural
from .language_specs import DTYPES
from .pretrained import TuneSpec, check_model, tune_spec
from .select_specs import STRATEGIES
from .specs import Spec, unknown

SELECTIONS = tuple(name for name, needs in STRATEGIES.items() if needs in ((), ("uncertainty",), ("probability",)) and name not in ("balanced", "clean"))
"""The strategies that select real tasks: all but those that need the truth, or the rewriter's own representations."""


@dataclass(frozen=True)
class ScoreSpec(Spec):
    """Which model scores texts, and how its prompt uncertainty is measured."""

    model: str = "smollm2"
    """A name that `pretrained.load` takes. Paper: T5-large, adapted to language modelling."""
    dtype: str = "float32"
    most_letters: int = 4000
    """Longest input with its longest answer; longer ones are left out. Paper: 1,024 and 128 tokens, cut there."""
    k: int = 10
    """Perturbed prompts."""
    drop_rate: float = 0.2
    max_tokens: int = 128
    """Longest answer that the model writes."""
    seed: int = 0

    def check(self):
        check_model(self.model)
        if self.dtype not in DTYPES:
            raise unknown(f"{type(self).__name__} dtype", self.dtype, DTYPES)
        for name, most in (("most_letters", 10**6), ("k", 1000), ("max_tokens", 10**4)):
            self.require(1 <= getattr(self, name) <= most, name, f"1 to {most}")
        self.require(0 <= self.drop_rate <= 1, "drop_rate", "0 to 1")
        self.require(0 <= self.seed < 1 << 63, "seed", "0 or more, below 2^63")

    def part(self, kind: type["ScoreSpec"]):
        """The spec of another kind with the fields of this one that it has."""
        return kind(**{f.name: getattr(self, f.name) for f in fields(kind)})


@dataclass(frozen=True)
class MapSpec(ScoreSpec):
    """The prompt uncertainty, and what else is measured, of all tasks of some pools, by a pretrained model."""

    pool: tuple[str, ...] = ("natural_instructions",)
    """Pools, names that `natural.load` takes. Paper: Super-NaturalInstructions."""
    n: int = 10
    """Instances of a task."""
    most_head: int = 900
    """Longest prompt before the input, in tokens: positive examples that do not fit are left out."""

    def check(self):
        super().check()
        check_pools(self, "pool")
        self.require(1 <= self.n <= 1000, "n", "1 to 1000")
        self.require(self.most_head >= 32, "most_head", "32 or more")

    @property
    def n_steps(self) -> int:
        """Steps in which the run reports its progress, in hundredths of the tasks."""
        return 100

    @property
    def cost(self) -> float:
        """About proportional to the arithmetic of a run, in letters that are read; how many tasks there are is not known here."""
        return 1000 * (self.k + 1) * self.n * self.most_letters


def check_pools(spec: Spec, name: str) -> None:
    """SpecError, unless a field holds different names of pools, one or more."""
    pools = getattr(spec, name)
    for pool in pools:
        natural.check_name(pool)
    spec.require(len(set(pools)) == len(pools) > 0, name, "different pools, one or more")


@dataclass(frozen=True)
class FirstSpec(MapSpec):
    """The first round of an active selection: a pretrained model tuned on a few tasks, its test, its measures of the others.

    A seed draws validation, initial and candidate tasks, the order of training, the adapters' initial weights and the
    perturbed prompts. The test tasks are the same for all seeds. It is the same for all strategies of a seed.
    """

    test: tuple[str, ...] = ("natural_instructions",)
    """Pools that the test tasks are of; no task of theirs is trained on. A task that a pool states a split for keeps it."""
    n_test: int = 119
    n_test_instances: int = 100
    """Instances of a test or validation task whose first reference's likelihood is measured."""
    n_written: int = 100
    """Of these, the first ones, answered greedily for ROUGE-L."""
    left_out: tuple[str, ...] = ()
    """Tasks of the test pools that are not tested on, as their like are trained on."""
    n_validation: int = 68
    n_initial: int = 68
    n_candidates: int = 620
    """Tasks to select from, drawn by the seed."""
    share: float = 24 / 68
    """Share of classification tasks in initial tasks, candidates and selections; the validation tasks have as many of each."""
    n_instances: int = 200
    """Instances of a task that are trained on."""
    passes: float = 8.0
    """How often a training passes over its instances; it sets `n_steps` of `tune`."""
    tune: TuneSpec = field(default_factory=lambda: tune_spec("paper", batch_size=128, lr=5e-5))
    """LoRA; paper: all weights."""

    def check(self):
        super().check()
        check_pools(self, "test")
        for name in self.pool:
            self.require(name not in natural.POOLS or not natural.POOLS[name].eval_only, "pool", "no pool that is for evaluation only")
        for name in ("n_test", "n_test_instances", "n_initial", "n_candidates", "n_instances"):
            self.require(1 <= getattr(self, name) <= 10**6, name, f"1 to {10**6}")
        self.require(1 <= self.n_written <= self.n_test_instances, "n_written", "1 to n_test_instances")
        self.require(self.n_validation >= 0, "n_validation", "0 or more")
        self.require(0 <= self.share <= 1, "share", "0 to 1")
        self.require(0 < self.passes <= 1000, "passes", "above 0, up to 1000")

    def steps(self, n_examples: int) -> int:
        """Optimiser steps of a training on so many examples."""
        return max(1, round(self.passes * n_examples / self.tune.batch_size))

    @property
    def n_steps(self) -> int:
        """Steps in which the run reports its progress: its training, its tests and its measures."""
        return self.steps(self.n_initial * self.n_instances) + 2

    @property
    def cost(self) -> float:
        trained = 3 * self.passes * self.n_initial * self.n_instances
        return (trained + self.n_candidates * self.n * (self.k + 1)) * self.most_letters


@dataclass(frozen=True)
class RoundsSpec(FirstSpec):
    """The later rounds: a strategy selects tasks, the pretrained model is tuned anew on all of them, and tested, again and again."""

    strategy: str = "random"
    """One of SELECTIONS."""
    n_rounds: int = 4
    n_select: int = 68

    def check(self):
        super().check()
        if self.strategy not in SELECTIONS:
            raise unknown("RoundsSpec strategy", self.strategy, SELECTIONS)
        self.require(1 <= self.n_select <= self.n_candidates, "n_select", f"1 to n_candidates, {self.n_candidates}")
        most = -(-self.n_candidates // self.n_select)
        self.require(1 <= self.n_rounds <= most, "n_rounds", f"1 to {most}: after that no task is left")

    @property
    def first(self) -> FirstSpec:
        """The first round, which all strategies of the seed share."""
        return self.part(FirstSpec)

    @property
    def n_steps(self) -> int:
        numbers = [self.n_initial + r * self.n_select for r in range(1, self.n_rounds + 1)]
        return sum(self.steps(n * self.n_instances) + 1 for n in numbers)

    @property
    def cost(self) -> float:
        trained = 3 * self.n_steps * self.tune.batch_size * self.most_letters
        return min(trained, 0.9 * self.first.cost)  # the first round must come before
