"""Chapters 15 and 16: which tasks in natural language, and which instructions, to train on next."""

from ..chapters.common import listed, literal, seeds_of, without
from ..language.instructions import DOMAINS, at_hand
from ..language.pretrained import TuneSpec
from ..language.self_instruct import human_at_hand
from ..language.specs import InstructionsSpec, InstructSpec, MapSpec, RoundsSpec
from ..specs import Spec

HUMAN = "human"


def natural_instructions(model, dtype, map_pools, pools, test_pools, mapping, strategies, loop, tune, first_seed, n_seeds) -> list[Spec]:
    """15: the map of tasks in natural language, and selection among them (2311.00288; A1n, A3n to A6n).

    map_pools, pools, test_pools: names of pools (`natural.POOLS`): those mapped, trained on, tested on; mapping: the other fields of
    `MapSpec`, for the pretrained model's map; strategies: names in `natural_specs.SELECTIONS`, a run a seed each; loop: the other fields of
    `RoundsSpec`; tune: fields of `TuneSpec` but for the steps. The first rounds of the seeds are runs of their own.
    """
    shared, seeds = {"model": model, "dtype": dtype}, seeds_of(first_seed, n_seeds)
    mapped = without("mapping", mapping, "model", "dtype", "pool", "seed")
    loop = without("loop", loop, "model", "dtype", "pool", "test", "tune", "seed", "strategy")
    how = TuneSpec.of(**without("tune", tune, "n_steps"))
    names = listed("strategies", strategies, str)
    rounds = [
        RoundsSpec.of(**shared, **loop, pool=listed("pools", pools, str), test=listed("test_pools", test_pools, str), tune=how, strategy=name, seed=seed)
        for name in dict.fromkeys(names)
        for seed in seeds
    ]
    first = list(dict.fromkeys(run.first for run in rounds))
    return [MapSpec.of(**shared, **mapped, pool=listed("map_pools", map_pools, str), seed=seeds[0]), *first, *rounds]


def self_instruct(model, dtype, pool, test, measurement, strategies, budgets, passes, tune, first_seed, n_seeds) -> list[Spec]:
    """16: selection among instructions, each a task of its own (2311.00288; A2).

    pool: a set of instructions by name, or a domain for the one at hand (`instructions.at_hand`); test: names of sets, "human" for
    those at hand that people wrote; measurement: the other fields of `InstructionsSpec`; strategies: a run a seed each, with all budgets; passes:
    how often a training passes over its instructions; tune: fields of `TuneSpec` but for the steps.
    """
    pool = at_hand(pool) if pool in DOMAINS else literal("pool", pool, str)
    tests = [one for name in listed("test", test, str) for one in (human_at_hand() if name == HUMAN else [name])]
    measurement = without("measurement", measurement, "model", "dtype", "pool", "test", "seed")
    shared = {"model": model, "dtype": dtype, "pool": pool, "test": tests} | measurement
    how = TuneSpec.of(**without("tune", tune, "n_steps"))
    runs = [
        InstructSpec.of(**shared, strategy=strategy, budgets=listed("budgets", budgets, int), passes=literal("passes", passes, (int, float)), tune=how, seed=seed)
        for strategy in dict.fromkeys(listed("strategies", strategies, str))
        for seed in seeds_of(first_seed, n_seeds)
    ]
    first: list[InstructionsSpec] = list(dict.fromkeys(run.first for run in runs))
    return [*first, *runs]
