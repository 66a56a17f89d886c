"""What a tuning of a pretrained model is: the model, the mixture of instructions, the training and the tests, as dataclasses
that check themselves.

Like `ditune.specs` it imports nothing heavy. Whether the data are at hand is not checked here, but when a run starts, so that
records of data that this machine lacks are found. Source: Zhang et al. 2024 (2405.19787) and its sister 2410.04717.
"""

from dataclasses import dataclass, field

from .codegen import BENCHMARKS
from .instructions import check_name, counts
from .pretrained import TuneSpec, check_model, tune_spec
from .specs import Spec, unknown

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class TextEval(Spec):
    """A set of texts whose likelihood is measured: canonical solutions of problems, or answers to instructions."""

    name: str = "humaneval"
    """A benchmark (`codegen.BENCHMARKS`), of which the first problems of the test split are taken, each solution as it continues
    the prompt; or a set of instructions (`instructions.load`), of which rows are held out, the same for all runs, and put as
    questions."""
    n_examples: int = 164

    def check(self):
        if self.name not in BENCHMARKS:
            check_name(self.name)
        self.require(1 <= self.n_examples <= 10**5, "n_examples", f"1 to {10**5}")

    @property
    def is_benchmark(self) -> bool:
        return self.name in BENCHMARKS


@dataclass(frozen=True)
class LanguageSpec(Spec):
    """One tuning of a pretrained model on a mixture of instruction sets, with its tests; without any examples the model as it is."""

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
    tune: TuneSpec = field(default_factory=lambda: tune_spec("paper_code"))
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
            check_name(name)
        self.require(len(set(self.sets)) == len(self.sets), "sets", "different sets")
        self.require(len(self.shares) == len(self.sets), "shares", f"a share for each of {len(self.sets)} sets")
        self.require(self.total == 0 or len(self.sets) > 0, "total", "0 where there are no sets")
        self.require(self.total > 0 or not self.sets, "sets", "none where total = 0")
        if self.sets:
            self.require(min(self.examples.values()) > 0, "shares", f"shares of at least one of {self.total} examples")
        names = [e.name for e in self.evals]
        self.require(len(names) > 0 and len(set(names)) == len(names), "evals", "one or more sets with different names")
        self.require(0 <= self.n_generate <= min((e.n_examples for e in self.evals if e.is_benchmark), default=0), "n_generate", "0 to the problems of each benchmark")
        self.require(self.most_letters >= 1, "most_letters", "1 or more")
        self.require(self.most_read >= 2 and self.most_written >= 1, "most_read", "2 or more, and most_written 1 or more")
        self.require(0 <= self.seed < 1 << 63, "seed", "0 or more, below 2^63")

    @property
    def examples(self) -> dict[str, int]:
        """How many examples of each set."""
        return counts(dict(zip(self.sets, self.shares)), self.total) if self.sets else {}

    @property
    def n_steps(self) -> int:
        """Optimiser steps, and one for each evaluation set, in which a run reports its progress."""
        return self.tune.n_steps * bool(self.sets) + len(self.evals)

    @property
    def cost(self) -> float:
        """About proportional to the arithmetic of a run: a step reads its examples three times, a written token is slow."""
        trained = 3 * self.tune.n_steps * self.tune.batch_size * bool(self.sets)
        return trained + sum(e.n_examples + 5 * self.n_generate * e.is_benchmark for e in self.evals)
