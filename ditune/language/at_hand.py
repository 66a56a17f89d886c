"""Whether the data of runs are at hand: looked at before any run starts, so that a missing or a broken set ends a command with one line.

Specs do not look for their data, so that records of data that this machine lacks are found. A run looks again when it starts.
"""

import json
from pathlib import Path

from ..specs import SpecError, unknown
from . import codegen
from .instructions import check_set
from .natural import find, parsed, usable
from .self_instruct import candidates_of, tests_of
from .specs import FirstSpec, InstructionMapSpec, InstructionsSpec, LanguageSpec, MapSpec


def check_tasks(spec: MapSpec) -> None:
    """SpecError, if a pool is not here or cannot be read, if it has fewer tasks than the spec asks for, or if a task that is to be left out
    is none of those that are tested."""
    for pool in (*spec.pool, *getattr(spec, "test", ())):
        check_pool(pool, spec.most_letters)
    if isinstance(spec, FirstSpec):
        check_split(spec)


def check_pool(name: str, most_letters: int) -> None:
    """SpecError, if the pool is not here, cannot be read, or has no task with so short an input."""
    try:
        usable((name,), most_letters)
    except Exception as error:
        place = find(name)
        for path in sorted(place.glob("tasks/*.json")) if place and place.is_dir() else ():
            check_file(path)
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"the pool {name!r} has a task that cannot be read: {type(error).__name__}: {error}") from error


def check_file(path: Path) -> None:
    """SpecError, if the file of a task cannot be read."""
    try:
        parsed(json.loads(path.read_text(encoding="utf-8")), path.stem, "")
    except Exception as error:
        raise SpecError(f"{path} cannot be read as a task: {type(error).__name__}: {error}") from error


def check_split(spec: FirstSpec) -> None:
    """SpecError, if the pools leave fewer tasks than the spec asks for, or a task to be left out is unknown."""
    from .natural_runs import split_of  # loads torch

    tested = [task.name for task in usable(spec.test, spec.most_letters, "test")]
    for name in spec.left_out:
        if name not in tested:
            raise unknown("task in left_out", name, tested)
    found = split_of(spec)
    for part, pools, n in (("test", spec.test, spec.n_test), ("validation", spec.pool, spec.n_validation), ("candidates", spec.pool, spec.n_candidates)):
        if len(found[part]) < n:
            raise SpecError(f"the pools {', '.join(pools)} have {len(found[part])} tasks for {part!r} with the share {spec.share:.2f} of classification tasks; asked for: {n}")


def check_sets(spec: LanguageSpec | InstructionMapSpec) -> None:
    """SpecError, if a set of instructions or a benchmark is not here."""
    for name in dict.fromkeys((*spec.sets, *(test.name for test in getattr(spec, "evals", ())))):
        codegen.load(name) if name in codegen.BENCHMARKS else check_set(name)


def check_instructions(spec: InstructionsSpec) -> None:
    """SpecError, if a set of instructions is not here or has too few."""
    asked = {row.instruction for rows in tests_of(spec.test, spec.n_test, spec.most_letters).values() for row in rows}
    candidates_of(spec.pool, spec.n_candidates, spec.most_letters, spec.seed, asked)
