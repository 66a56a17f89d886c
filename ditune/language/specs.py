"""What a run with a pretrained language model is, as dataclasses that check themselves.

They import nothing heavy. Whether the data are at hand is not checked here but before a run starts, so that records of
data that this machine lacks are found.

Sources: Zhang et al. 2024 (2405.19787) and its sister 2410.04717 (encrypted rewriting, mixtures); Kung et al. 2023
(2311.00288) and its code (tasks in natural language, instructions).
"""

from dataclasses import dataclass, field, fields

from ..rewriting.specs import EvalSpec, RunSpec, TaskSpec
from ..specs import Spec, unknown
from .catalogue import BENCHMARKS, POOLS, SETS, check_name
from .instructions import counts
from .pretrained import TuneSpec, check_model

# ---- encrypted rewriting ---------------------------------------------------------------------------------------------

OF_TUNING = ("n_rules", "n_examples", "no_op_share", "tail_alpha")
"""The fields in which the task that is tuned on may differ from the one that a rewriter was pretrained on: with the
others the same, rules have the same numbers in both, and rules set apart from one are set apart from the other."""


@dataclass(frozen=True)
class EncryptedSpec(Spec):
    """One tuning of a pretrained model with LoRA on encrypted rewriting, with its evaluations.

    Evaluations of "unseen" rules are of rules that neither the tuning nor, in a rewriter, the pretraining has seen.
    """

    base: RunSpec | str = "smollm2"
    """The pretrained model: a rewriter, trained as this run says, or a language model by name (`pretrained.load`),
    which reads and writes the example as text. Paper: Llama-2-7B."""
    task: TaskSpec = field(default_factory=lambda: TaskSpec(n_rules=9000, n_examples=40_000, no_op_share=0.4))
    """What is tuned on, before encryption. Paper: 40,000 examples with 40 % no-ops; the lengths of words are not
    stated."""
    tune: TuneSpec = field(default_factory=TuneSpec)
    evals: tuple[EvalSpec, ...] = (EvalSpec(n_examples=5000), EvalSpec(name="seen", rules="seen", n_examples=5000))
    """Paper: 5,000 examples."""
    seed: int = 0

    def check(self):
        RunSpec(task=self.task, evals=self.evals, seed=self.seed)
        self.require(self.task.alphabet_size <= 26, "task", "at most 26 letters, which are written as text")
        self.require(self.task.rules_in_prompt == 1, "task", "one rule in the prompt")
        if isinstance(self.base, str):
            check_model(self.base)
            return
        plain_task = self.base.task.replace(**{name: getattr(self.task, name) for name in OF_TUNING})
        same, seed = f"a run whose task differs from the one tuned on in {', '.join(OF_TUNING)} alone", self.seed
        self.require(plain_task == self.task, "base", same)
        unseen = f"a run of the same seed, {seed}, so that unseen rules are unseen in pretraining, too"
        self.require(self.base.seed == seed, "base", unseen)
        learned = self.base.model.position == "learned"
        self.require(learned, "base", "a model with learned positions, which can be exported to transformers")

    @property
    def n_pretraining(self) -> int:
        """Optimiser steps of a rewriter's pretraining; none for a language model."""
        return 0 if isinstance(self.base, str) else self.base.train.n_steps

    @property
    def n_steps(self) -> int:
        """Optimiser steps of pretraining and tuning, in which a run reports its progress."""
        return self.n_pretraining + self.tune.n_steps


@dataclass(frozen=True)
class FromScratchSpec(RunSpec):
    """A run on encrypted answers whose model starts from random weights: all of them are trained, nothing was
    pretrained."""

    def check(self):
        super().check()
        learned = self.model.position == "learned"
        self.require(learned, "model", 'position = "learned", so that it can be exported to transformers')
        self.require(self.task.rules_in_prompt == 1, "task", "one rule in the prompt")


# ---- mixtures of instructions ----------------------------------------------------------------------------------------

DTYPES = ("float32", "bfloat16")
EMBEDDINGS = ("minilm", "tiny")
"""minilm: all-MiniLM-L6-v2 (Apache-2.0; the paper does not name the model of its map); tiny: counts of words, for
tests."""


def check_set(name: str) -> None:
    """SpecError, unless the name is that of a benchmark or of a set of instructions."""
    if name not in BENCHMARKS:
        check_name("set", name)


@dataclass(frozen=True)
class TextEval(Spec):
    """A set of texts whose likelihood is measured: canonical solutions of problems, or answers to instructions."""

    name: str = "humaneval"
    """A benchmark (`codegen.BENCHMARKS`), of which the first problems of the test split are taken, each solution as it
    continues the prompt; or a set of instructions (`instructions.load`), of which rows are held out, the same for all
    runs, and put as questions."""
    n_examples: int = 164

    def check(self):
        check_set(self.name)
        self.require(1 <= self.n_examples <= 10**5, "n_examples", f"1 to {10**5}")

    @property
    def is_benchmark(self) -> bool:
        return self.name in BENCHMARKS


@dataclass(frozen=True)
class LanguageSpec(Spec):
    """One tuning of a pretrained model on a mixture of instruction sets, with its tests; without any examples the model
    as it is."""

    model: str = "smollm2"
    """A name that `pretrained.load` takes. Paper: DeepSeek-Coder-6.7B-Base, CodeQwen-7B-Base."""
    dtype: str = "float32"
    """Of its weights: "float32", or "bfloat16" for large models on a GPU. (Paper: 8 bits.)"""
    sets: tuple[str, ...] = ("oss_instruct",)
    """The sets of the mixture, names that `instructions.load` takes."""
    shares: tuple[float, ...] = (1.0,)
    """Share of each in the examples."""
    total: int = 20_000
    """Examples in all, none twice. Paper: 20,000."""
    most_letters: int = 10_000
    """Longest instruction, question and answer together; longer ones are neither trained nor tested on."""
    tune: TuneSpec = field(default_factory=lambda: TuneSpec(batch_size=4, n_steps=15_000))
    """Paper: 3 passes over 20,000 examples; the adapters' rank is not stated."""
    evals: tuple[TextEval, ...] = (TextEval(), TextEval(name="mbpp", n_examples=500))
    most_read: int = 1024
    """Longest text of an evaluation, in tokens; of a longer one the beginning of the prompt is left out."""
    n_generate: int = 0
    """Problems of each benchmark, the first ones, that are answered greedily and put to their tests in the sandbox."""
    most_written: int = 256
    """Longest of these answers, in tokens."""
    seed: int = 0
    """Draws the examples of each set, their order and the adapters' initial weights."""

    def check(self):
        check_model(self.model)
        if self.dtype not in DTYPES:
            raise unknown("LanguageSpec dtype", self.dtype, DTYPES)
        for name in self.sets:
            check_name("set", name)
        self.require(len(set(self.sets)) == len(self.sets), "sets", "different sets")
        self.require(len(self.shares) == len(self.sets), "shares", f"a share for each of {len(self.sets)} sets")
        self.require(self.total >= 0, "total", "0 or more")
        self.require(self.total == 0 or len(self.sets) > 0, "total", "0 where there are no sets")
        self.require(self.total > 0 or not self.sets, "sets", "none where total = 0")
        if self.sets:
            self.require(min(self.examples.values()) > 0, "shares", f"shares of at least one of {self.total} examples")
        names = [e.name for e in self.evals]
        self.require(len(names) > 0 and len(set(names)) == len(names), "evals", "one or more sets with different names")
        most = min((e.n_examples for e in self.evals if e.is_benchmark), default=0)
        self.require(0 <= self.n_generate <= most, "n_generate", "0 to the problems of each benchmark")
        self.require(self.most_letters >= 1, "most_letters", "1 or more")
        self.require(self.most_read >= 2, "most_read", "2 or more")
        self.require(self.most_written >= 1, "most_written", "1 or more")
        self.require(0 <= self.seed < 1 << 63, "seed", "0 or more, below 2^63")

    @property
    def examples(self) -> dict[str, int]:
        """How many examples of each set."""
        return counts(dict(zip(self.sets, self.shares)), self.total) if self.sets else {}

    @property
    def n_steps(self) -> int:
        """Optimiser steps, and one for each evaluation set, in which a run reports its progress."""
        return self.tune.n_steps * bool(self.sets) + len(self.evals)


# ---- tasks in natural language ---------------------------------------------------------------------------------------

SELECTIONS = ("random", "high_perplexity", "low_perplexity", "uncertainty", "easy", "difficult", "inverse_confidence")
"""The strategies that select real tasks: all but those that need the truth, or the rewriter's own representations."""


@dataclass(frozen=True)
class ScoreSpec(Spec):
    """Which model scores texts, and how its prompt uncertainty is measured."""

    model: str = "smollm2"
    """A name that `pretrained.load` takes. Paper: T5-large, adapted to language modelling."""
    dtype: str = "float32"
    """Of the weights: "float32", or "bfloat16" for large models on a GPU."""
    most_letters: int = 4000
    """Longest input with its longest answer; longer ones are left out. Paper: 1,024 and 128 tokens, cut there."""
    k: int = 10
    """Perturbed prompts."""
    drop_rate: float = 0.2
    """Probability that a word is dropped. Paper: 0.2."""
    max_tokens: int = 128
    """Longest answer that the model writes."""
    seed: int = 0
    """Draws what is random: splits, order, dropped words."""

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


def check_pools(spec: Spec, name: str) -> None:
    """SpecError, unless a field holds different names of pools, one or more."""
    pools = getattr(spec, name)
    for pool in pools:
        check_name("pool", pool)
    spec.require(len(set(pools)) == len(pools) > 0, name, "different pools, one or more")


@dataclass(frozen=True)
class FirstSpec(MapSpec):
    """The first round of an active selection: a pretrained model tuned on a few tasks, its test, its measures of the
    others.

    A seed draws validation, initial and candidate tasks, the order of training, the adapters' initial weights and the
    perturbed prompts. The test tasks are the same for all seeds. It is the same for all strategies of a seed.
    """

    test: tuple[str, ...] = ("natural_instructions",)
    """Pools that the test tasks are of; no task of theirs is trained on. A task that a pool states a split for keeps
    it."""
    n_test: int = 119
    """Tasks that are tested on."""
    n_test_instances: int = 100
    """Instances of a test or validation task whose first reference's likelihood is measured."""
    n_written: int = 100
    """Of these, the first ones, answered greedily for ROUGE-L."""
    left_out: tuple[str, ...] = ()
    """Tasks of the test pools that are not tested on, as their like are trained on."""
    n_validation: int = 68
    """Tasks kept for validation."""
    n_initial: int = 68
    """Tasks of the first round."""
    n_candidates: int = 620
    """Tasks to select from, drawn by the seed."""
    share: float = 24 / 68
    """Share of classification tasks in initial tasks, candidates and selections; the validation tasks have as many of
    each."""
    n_instances: int = 200
    """Instances of a task that are trained on."""
    passes: float = 8.0
    """How often a training passes over its instances; it sets `n_steps` of `tune`."""
    tune: TuneSpec = field(default_factory=lambda: TuneSpec(batch_size=128, lr=5e-5))
    """LoRA; paper: all weights."""

    def check(self):
        super().check()
        check_pools(self, "test")
        for name in self.pool:
            known = POOLS.get(name)
            self.require(not (known and known.eval_only), "pool", "no pool that is for evaluation only")
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


@dataclass(frozen=True)
class RoundsSpec(FirstSpec):
    """The later rounds: a strategy selects tasks, the pretrained model is tuned anew on all of them, and tested, again
    and again."""

    strategy: str = "random"
    """One of SELECTIONS."""
    n_rounds: int = 4
    """Selections, each followed by a tuning."""
    n_select: int = 68
    """Tasks of each selection."""

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


# ---- selection among instructions ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InstructionsSpec(ScoreSpec):
    """Instructions, each a task with one instance, measured by a pretrained model that has not been tuned on any of
    them."""

    pool: str = "alpaca"
    """A set that `instructions.load` takes, of data made by the Self-Instruct pipeline. Paper: 52,000 of Alpaca."""
    test: tuple[str, ...] = ("self_instruct_seed",)
    """Sets of instructions that people wrote and answered, tested by the likelihood of these answers
    (`catalogue.HUMAN`). Paper: the models' own answers to instructions, which GPT-4, ChatGPT and people judge."""
    n_candidates: int = 52_000
    """Instructions to select from, drawn by the seed."""
    n_test: int = 175
    """Instructions of each test set."""

    def check(self):
        super().check()
        for_tests = self.pool == "human" or self.pool in SETS and SETS[self.pool].eval_only
        self.require(not for_tests, "pool", "a set to select from; this one is for tests only")
        for name in (self.pool, *self.test):
            check_name("set", name)
        different = len(set(self.test)) == len(self.test) > 0 and self.pool not in self.test
        self.require(different, "test", "different sets, one or more, and not that of the pool")
        for name in ("n_candidates", "n_test"):
            self.require(1 <= getattr(self, name) <= 10**6, name, f"1 to {10**6}")

    @property
    def n_steps(self) -> int:
        """Steps in which the run reports its progress: its test and its measures."""
        return 2


@dataclass(frozen=True)
class InstructSpec(InstructionsSpec):
    """Tunings on the instructions that a strategy selects, as many as each budget says, each from the pretrained
    model."""

    strategy: str = "random"
    budgets: tuple[int, ...] = (1000, 2000, 4000, 8000, 16000)
    """Instructions; those of a smaller budget are among those of a larger one."""
    passes: float = 3.0
    tune: TuneSpec = field(default_factory=lambda: TuneSpec(batch_size=128, lr=2e-5))

    def check(self):
        super().check()
        if self.strategy not in SELECTIONS:
            raise unknown("InstructSpec strategy", self.strategy, SELECTIONS)
        ordered = all(a < b for a, b in zip((0, *self.budgets), self.budgets))
        within = len(self.budgets) > 0 and self.budgets[-1] <= self.n_candidates
        self.require(ordered and within, "budgets", f"ascending numbers from 1 to {self.n_candidates}")
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


# ---- the map of instruction sets -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InstructionMapSpec(Spec):
    """A map of instruction sets by sentence embeddings; nothing is trained."""

    sets: tuple[str, ...] = ("oss_instruct", "alpaca")
    """Names that `instructions.load` takes, or benchmarks."""
    n_texts: int = 2000
    """Of each set, or all where there are fewer."""
    n_draws: int = 1000
    """Of half of the texts, from which the intervals come."""
    embedding: str = "minilm"
    """One of EMBEDDINGS. Paper: not named."""
    seed: int = 0
    """Draws the texts."""

    def check(self):
        for name in self.sets:
            check_set(name)
        self.require(len(set(self.sets)) == len(self.sets) > 1, "sets", "two different sets or more")
        if self.embedding not in EMBEDDINGS:
            raise unknown("embedding", self.embedding, EMBEDDINGS)
        for name, least in (("n_texts", 4), ("n_draws", 2), ("seed", 0)):
            self.require(least <= getattr(self, name) <= 10**6, name, f"{least} to {10**6}")

    @property
    def n_steps(self) -> int:
        """Steps in which the run reports its progress."""
        return 1
