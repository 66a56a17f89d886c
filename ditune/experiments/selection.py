"""Chapters 09 to 11: which tasks to train on next. Parameters in, list of specs out.

Parameters that other chapters have too are explained in `ditune.chapters.common`.
"""

from ..active.specs import MeasureSpec, SelectSpec
from ..chapters.common import listed, literal, seeds_of, without

OF_MAP = ("random", "uncertainty", "easy", "difficult")
"""The strategies that train on a group of the task map, and random selection; uncertainty takes the ambiguous tasks."""


def prompt_uncertainty(first_seed, n_seeds, pool, model, train, measurement) -> list[MeasureSpec]:
    """09: the uncertainty of a pool's tasks, in the course of a training and measured in many ways (2311.00288; no claim).

    pool, model, train: as in `active_selection`; measurement: the other fields of `MeasureSpec`.
    """
    fields = parts_of(pool, model, train, without("measurement", measurement, "seed", "pool", "model", "train"))
    return [MeasureSpec.of(**fields, seed=seed) for seed in seeds_of(first_seed, n_seeds)]


def active_selection(strategies, first_seed, n_seeds, pool, model, train, loop) -> list[SelectSpec]:
    """10: a model is trained, a strategy selects the next tasks, again and again (2311.00288; A1, A3).

    strategies: names in `select_specs.STRATEGIES`, a run a seed each; pool, model, train: fields of `PoolSpec`, `ModelSpec` and
    `TrainSpec`, where not the study's; loop: the other fields of `SelectSpec`.
    """
    names, seeds = listed("strategies", strategies, str), seeds_of(first_seed, n_seeds)
    parts = parts_of(pool, model, train, without("loop", loop, "strategy", "seed", "pool", "model", "train"))
    return [SelectSpec.of(**parts, strategy=name, seed=seed) for seed in seeds for name in dict.fromkeys(names)]


def task_map(first_seed, n_seeds, pool, model, train, loop) -> list[SelectSpec]:
    """11: the map of the tasks, and training on each of its groups (2311.00288; A4-A6). These are runs of chapter 10."""
    return active_selection(list(OF_MAP), first_seed, n_seeds, pool, model, train, loop)


def parts_of(pool, model, train, fields: dict) -> dict:
    """The fields of a spec of the loop, with those of its parts; a part of which nothing is set is the study's."""
    parts = {"pool": literal("pool", pool, dict), "model": literal("model", model, dict), "train": literal("train", train, dict)}
    return {name: values for name, values in parts.items() if values} | fields
