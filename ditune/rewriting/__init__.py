"""String rewriting, the step of a Markov algorithm: tasks, a small GPT-2, its training and evaluation."""

from . import runs

__all__ = ["runs"]  # imported so that the kinds of runs are known wherever a spec is
