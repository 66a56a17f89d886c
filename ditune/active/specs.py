"""What an active selection is: the pool of tasks, and the loop that selects from it, as dataclasses that check
themselves.

Like `ditune.specs` it imports nothing heavy. Source of the sizes: Kung et al. 2023 (arXiv 2311.00288) and its released
code (PlusLabNLP/Active-IT).
"""

import math
from dataclasses import dataclass, field

from ..rewriting.specs import FAMILIES, ModelSpec, TaskSpec, TrainSpec
from ..specs import Spec, unknown

KINDS = ("rewriting", "decision")
NOISE = ("clean", "noisy", "contradictory")
STRATEGIES = {
    "random": (),
    "high_perplexity": ("probability",),
    "low_perplexity": ("probability",),
    "uncertainty": ("uncertainty",),
    "easy": ("uncertainty",),
    "difficult": ("uncertainty",),
    "inverse_confidence": ("probability",),
    "diversity": ("features",),
    "uncertainty_diversity": ("uncertainty", "features"),
    "balanced": (),
    "clean": (),
}
"""The strategies, functions of `selection`, and what has to be measured for each: the model's probabilities
under the original prompts, under perturbed ones as well, its representations of prompts. The last two know the truth
instead."""
MOST_TOKENS = 1 << 28  # of a pool: 256 MB


@dataclass(frozen=True)
class PoolSpec(Spec):
    """A pool of symbolic tasks and the tasks of the test: what instances are drawn from.

    A task is a rule x -> y with instances. Its prompt is a definition and two worked examples (Tk-Instruct's template),

        x > y | z1 = a1 | z2 = a2 | z =

    and the model writes the answer and end-of-sequence. Tasks differ in three ways:

    - family of the rule's sides: `specs.FAMILIES` with k = 2, of very unequal shares in the pool, of equal ones in the
    test; - kind, as classification and generation in the paper: in a "rewriting" task every input holds x, so that the
    answer
      is always rewritten; in a "decision" task half of the inputs do not, and are to be copied;
    - noise, in the pool alone: "noisy" answers, those of the worked examples too, are random letters; a "contradictory"
      definition is that of another rule of the family than the one that the worked examples and all answers follow.

    The defaults are those of the study: sizes at which training on a tenth of the pool teaches little, and on half of
    it much, in ten seconds a training. Letters are few so that left sides are met with several right ones, which can
    then not be learned by heart. The paper's values are given with each.
    """

    n_tasks: int = 1500
    """Tasks to choose from, the initial ones included. Paper: 68 + 620."""
    n_instances: int = 32
    """Instances of a task that are trained on. Paper: 200."""
    n_test: int = 120
    """Test tasks, of unseen rules, clean, the families in turn. Paper: 119."""
    n_test_instances: int = 8
    """Instances of a test task. Paper: 100."""
    alphabet_size: int = 8
    """Letters of the alphabet."""
    side_len: int = 3
    """Letters of x and of y."""
    z_len: int = 4
    """Letters of an input, and so of an answer."""
    shares: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)
    """Share of each of specs.FAMILIES (uniform, repeated, periodic, mirrored) in the pool."""
    decision_share: float = 0.35
    """Share of decision tasks in pool, test and every selection. Paper: 24 of 68 are classification."""
    noisy_share: float = 0.1
    """Share of tasks whose answers are random letters."""
    contradictory_share: float = 0.1
    """Share of tasks whose definition is that of another rule."""

    def check(self):
        for name in ("n_tasks", "n_instances", "n_test", "n_test_instances"):
            self.require(1 <= getattr(self, name) <= 10**6, name, f"1 to {10**6}")
        self.require(self.side_len >= 3, "side_len", "3 or more: with k = 2, two letters are of several families")
        enough = f"at least {self.side_len}, the letters of a side: the input must hold x"
        self.require(self.z_len >= self.side_len, "z_len", enough)
        self.require(8 <= self.alphabet_size <= 200, "alphabet_size", "8 to 200")
        whole = len(self.shares) == len(FAMILIES) and min(self.shares) >= 0 and abs(sum(self.shares) - 1) < 1e-9
        self.require(whole, "shares", f"{len(FAMILIES)} numbers >= 0 with the sum 1, for {', '.join(FAMILIES)}")
        for name in ("decision_share", "noisy_share", "contradictory_share"):
            self.require(0 <= getattr(self, name) <= 1, name, "0 to 1")
        both = self.noisy_share + self.contradictory_share
        self.require(both <= 1, "contradictory_share", "at most 1 with noisy_share")
        n_pairs = self.task("rewriting", n_rules=1).n_pairs(False)
        fewer = f"fewer: they would need {self.n_rules} rules, and {self.alphabet_size} letters allow {n_pairs}"
        self.require(self.n_rules <= n_pairs, "n_tasks", fewer)
        fewer = f"fewer tasks or instances: all have at most {MOST_TOKENS} tokens"
        for name, instances in (("n_tasks", self.n_instances), ("n_test", self.n_test_instances)):
            n_tokens = getattr(self, name) * (instances + 2) * self.row_length
            self.require(n_tokens <= MOST_TOKENS, name, fewer)

    @property
    def row_length(self) -> int:
        """T: tokens of a row, definition, two worked examples, input, answer and end-of-sequence."""
        return 2 * self.side_len + 2 + 3 * (2 * self.z_len + 2)

    @property
    def n_rules(self) -> int:
        """Rules that the tasks are numbered from: each task's own, and those that contradict; as many of each
        family."""
        of_family = math.ceil(max(self.shares) * self.n_tasks) + 1
        others = math.ceil(self.contradictory_share * self.n_tasks) + 1
        return len(FAMILIES) * (of_family + min(of_family, others) | 1)  # odd: rules that give way then find others

    def task(self, kind: str, n_rules: int | None = None) -> TaskSpec:
        """The rules and inputs of the tasks of one kind; the rules of both kinds are the same."""
        return TaskSpec(
            n_rules=n_rules or self.n_rules,
            n_examples=n_rules or self.n_rules,
            alphabet_size=self.alphabet_size,
            x_len=self.side_len,
            y_len=self.side_len,
            z_len=self.z_len,
            families=FAMILIES,
            k=2,
            no_op_share=0.5 if kind == "decision" else 0.0,
        )


@dataclass(frozen=True)
class StartSpec(Spec):
    """The first model of a loop: trained on initial tasks, drawn at random from the pool with the shares of both kinds.

    A seed draws the pool, the test and the initial tasks, the initial weights, the order of training and the perturbed
    prompts, each from a stream of its own; whatever selects then, the first model of a seed is the same.
    """

    pool: PoolSpec = field(default_factory=PoolSpec)
    """Where tasks are drawn from."""
    model: ModelSpec = field(default_factory=lambda: ModelSpec(n_layer=3, n_head=2, n_embd=64, position="rotary"))
    """The rewriter."""
    train: TrainSpec = field(
        default_factory=lambda: TrainSpec(n_steps=180, batch_size=64, optimizer="muon", lr=1e-2, muon_lr=3e-2)
    )
    """Of every training, however many tasks there are, so that accuracy rises through tasks and not through steps.
    (Paper: 8 passes over the instances, so that steps rise with the tasks.)"""
    n_initial: int = 150
    """Paper: 68."""
    n: int = 10
    """Instances of a task on which uncertainty is measured."""
    k: int = 10
    """Perturbed prompts of a task."""
    drop_rate: float = 0.2
    """Probability that a letter of the definition, or of the inputs of the worked examples, is dropped."""
    seed: int = 0
    """Draws pool, test, initial tasks, weights, order and dropped words."""

    def check(self):
        fewer = f"1 to {self.pool.n_tasks - 1}, fewer than the tasks of the pool"
        self.require(1 <= self.n_initial < self.pool.n_tasks, "n_initial", fewer)
        for name in ("n", "k"):
            self.require(1 <= getattr(self, name) <= 1000, name, "1 to 1000")
        self.require(0 <= self.drop_rate <= 1, "drop_rate", "0 to 1")
        self.require(1 <= self.train.n_steps * self.train.batch_size <= 1 << 31, "train", "at most 2^31 rows in all")
        self.require(not self.train.bf16, "train", "bf16 = False: these trainings run on a CPU")
        self.require(0 <= self.seed < 1 << 63, "seed", "0 or more, below 2^63")

    @property
    def n_trainings(self) -> int:
        """Trainings of a run."""
        return 1

    @property
    def n_steps(self) -> int:
        """Optimiser steps of all of them, in which a run reports its progress."""
        return self.n_trainings * self.train.n_steps


@dataclass(frozen=True)
class SelectSpec(StartSpec):
    """One run of the loop: a model is trained from scratch on the tasks so far, and a strategy selects the next
    ones."""

    strategy: str = "random"
    """One of STRATEGIES."""
    n_rounds: int = 4
    """Selections (the paper's steps), each followed by a training. Paper: 4."""
    n_select: int = 150
    """Tasks of each. Paper: 68, of which 24 are classification."""

    def check(self):
        super().check()
        if self.strategy not in STRATEGIES:
            raise unknown("SelectSpec strategy", self.strategy, STRATEGIES)
        self.require(self.n_select >= 1, "n_select", "1 or more")
        most = -(-(self.pool.n_tasks - self.n_initial) // self.n_select)
        self.require(1 <= self.n_rounds <= most, "n_rounds", f"1 to {most}: after that no task is left")

    @property
    def n_trainings(self) -> int:
        """One on the initial tasks, one after each selection."""
        return self.n_rounds + 1


@dataclass(frozen=True)
class MeasureSpec(StartSpec):
    """The uncertainty of the pool, measured while the first model is trained, and in other ways when it has been."""

    n_points: int = 6
    """Measurements in the course of training, at equal distances, the last step included."""
    k_most: int = 20
    """Perturbed prompts of the last measurement, of which smaller k are the first ones."""
    drop_rates: tuple[float, ...] = (0.1, 0.2, 0.4)
    """Drop rates of the last measurement."""

    def check(self):
        super().check()
        steps = self.train.n_steps
        self.require(1 <= self.n_points <= steps, "n_points", f"1 to {steps}, the steps of training")
        self.require(self.k <= self.k_most <= 1000, "k_most", f"{self.k} to 1000: k and more")
        self.require(all(0 < rate <= 1 for rate in self.drop_rates), "drop_rates", "numbers above 0, up to 1")
