"""Chapters 09 to 11: which tasks to train on next. Parameters in, list of specs out.

Parameters that other chapters have too are explained in `ditune.chapters.common`.
"""

from ..active.specs import MeasureSpec
from ..chapters.common import literal, seeds_of, without


def prompt_uncertainty(first_seed, n_seeds, pool, model, train, measurement) -> list[MeasureSpec]:
    """09: the uncertainty of a pool's tasks, in the course of a training and measured in many ways (2311.00288; no claim).

    pool, model, train: as in `active_selection`; measurement: the other fields of `MeasureSpec`.
    """
    fields = parts_of(pool, model, train, without("measurement", measurement, "seed", "pool", "model", "train"))
    return [MeasureSpec.of(**fields, seed=seed) for seed in seeds_of(first_seed, n_seeds)]


def parts_of(pool, model, train, fields: dict) -> dict:
    """The fields of a spec of the loop, with those of its parts; a part of which nothing is set is the study's."""
    parts = {"pool": literal("pool", pool, dict), "model": literal("model", model, dict), "train": literal("train", train, dict)}
    return {name: values for name, values in parts.items() if values} | fields
