"""Prompt uncertainty, and the selection of tasks by it (Kung et al. 2023, arXiv 2311.00288)."""

from . import runs

__all__ = ["runs"]  # imported so that the kinds of runs are known wherever a spec is
