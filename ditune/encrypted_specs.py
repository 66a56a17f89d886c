"""What a run of encrypted rewriting is: replace, then encrypt, as dataclasses that check themselves.

The answer of a rewriting example is passed through a letter substitution: each letter of the alphabet stands for another one,
the same throughout a run, while the prompt stays as it is. A pretrained model has to combine what it can, to rewrite,
with what is new to it. Like `ditune.specs` this module imports nothing heavy.

Source: Zhang et al. 2024 (2405.19787), encrypted rewriting. The cipher is not stated there. Ours puts the letters on a
circle in an order that the seed draws, and each stands for the next one: so no letter stands for itself, and no text from
which a language model may know a cipher (such as shifts of the alphabet) has used this one.
"""

from dataclasses import dataclass, field

from .pretrained import TuneSpec, check_model
from .specs import EvalSpec, RunSpec, Spec, TaskSpec

OF_TUNING = ("n_rules", "n_examples", "no_op_share", "tail_alpha")
"""The fields in which the task that is tuned on may differ from the one that a rewriter was pretrained on: with the others
the same, rules have the same numbers in both, and rules set apart from one are set apart from the other."""

SMOLLM2 = 30 * 576**2  # layers times squared width of SmolLM2, for an idea of what a language model costs


@dataclass(frozen=True)
class EncryptedSpec(Spec):
    """One tuning of a pretrained model with LoRA on encrypted rewriting, with its evaluations.

    Evaluations of "unseen" rules are of rules that neither the tuning nor, in a rewriter, the pretraining has seen.
    """

    base: RunSpec | str = "smollm2"
    """The pretrained model: a rewriter, trained as this run says, or a language model by name (`pretrained.load`), which
    reads and writes the example as text. Paper: Llama-2-7B."""
    task: TaskSpec = field(default_factory=lambda: TaskSpec(n_rules=9000, n_examples=40_000, no_op_share=0.4))
    """What is tuned on, before encryption. Paper: 40,000 examples with 40 % no-ops; the lengths of words are not stated."""
    tune: TuneSpec = field(default_factory=TuneSpec)
    evals: tuple[EvalSpec, ...] = (EvalSpec(n_examples=5000), EvalSpec(name="seen", rules="seen", n_examples=5000))
    """Paper: 5,000 examples."""
    seed: int = 0

    def check(self):
        RunSpec(task=self.task, evals=self.evals, seed=self.seed)
        self.require(self.task.alphabet_size <= 26, "task", "an alphabet of at most 26 letters, which are written as text")
        self.require(self.task.rules_in_prompt == 1, "task", "one rule in the prompt")
        if isinstance(self.base, str):
            check_model(self.base)
            return
        plain_task = self.base.task.replace(**{name: getattr(self.task, name) for name in OF_TUNING})
        self.require(plain_task == self.task, "base", f"a run whose task differs from the one tuned on in {', '.join(OF_TUNING)} alone")
        self.require(self.base.seed == self.seed, "base", f"a run of the same seed, {self.seed}, so that unseen rules are unseen in pretraining, too")
        self.require(self.base.model.position == "learned", "base", "a model with learned positions, which can be exported to transformers")

    @property
    def n_pretraining(self) -> int:
        """Optimiser steps of a rewriter's pretraining; none for a language model."""
        return 0 if isinstance(self.base, str) else self.base.train.n_steps

    @property
    def n_steps(self) -> int:
        """Optimiser steps of pretraining and tuning, in which a run reports its progress."""
        return self.n_pretraining + self.tune.n_steps

    @property
    def cost(self) -> float:
        """About proportional to the arithmetic of a run."""
        length = self.task.x_len[1] + self.task.y_len[1] + 2 * self.task.z_len[1]
        per_token = SMOLLM2 if isinstance(self.base, str) else self.base.model.n_layer * self.base.model.n_embd**2
        examples = self.tune.n_steps * self.tune.batch_size + (0 if isinstance(self.base, str) else self.n_pretraining * self.base.train.batch_size)
        return examples * length * per_token


@dataclass(frozen=True)
class FromScratchSpec(RunSpec):
    """A run on encrypted answers whose model starts from random weights: all of them are trained, nothing was pretrained."""

    def check(self):
        super().check()
        self.require(self.model.position == "learned", "model", 'position = "learned", so that it can be exported to transformers')
        self.require(self.task.rules_in_prompt == 1, "task", "one rule in the prompt")
