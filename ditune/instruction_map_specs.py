"""What a map of instruction sets is, as a dataclass that checks itself.

Whether the sets are at hand is not checked here, but when a run starts, so that records of sets that this machine lacks are found.
"""

from dataclasses import dataclass

from .codegen import BENCHMARKS
from .embeddings import EMBEDDINGS
from .instructions import check_name
from .specs import Spec, unknown


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
    """One of `embeddings.EMBEDDINGS`. Paper: not named."""
    seed: int = 0
    """Draws the texts."""

    def check(self):
        for name in self.sets:
            if name not in BENCHMARKS:
                check_name(name)
        self.require(len(set(self.sets)) == len(self.sets) > 1, "sets", "two different sets or more")
        if self.embedding not in EMBEDDINGS:
            raise unknown("embedding", self.embedding, EMBEDDINGS)
        for name, least in (("n_texts", 4), ("n_draws", 2), ("seed", 0)):
            self.require(least <= getattr(self, name) <= 10**6, name, f"{least} to {10**6}")

    @property
    def n_steps(self) -> int:
        """Steps in which the run reports its progress."""
        return 1

    @property
    def cost(self) -> float:
        """About proportional to the arithmetic of a run."""
        return float(len(self.sets) * self.n_texts)
