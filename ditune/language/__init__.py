"""Pretrained language models: instructions and tasks in natural language, tuning, code generation."""

from . import runs

__all__ = ["runs"]  # imported so that the kinds of runs are known wherever a spec is
