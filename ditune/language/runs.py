"""What computes the runs with pretrained language models, and whether their data are here.

Specs do not look for their data, so that records of data that this machine lacks are found. They are looked for before
any run starts, so that a missing or a broken set ends a command with one line; a run looks again when it starts.
"""

from operator import attrgetter

from ..rewriting.runs import seconds as seconds_of_training
from ..rewriting.runs import steps as steps_of_training
from ..specs import SpecError, unknown
from ..store.kinds import Kind, register
from .catalogue import BENCHMARKS, check_here
from .specs import (
    EncryptedSpec,
    FirstSpec,
    FromScratchSpec,
    InstructionMapSpec,
    InstructionsSpec,
    InstructSpec,
    LanguageSpec,
    MapSpec,
    RoundsSpec,
)
from .your_tasks import ChosenSpec, TasksSpec, ready

steps = attrgetter("n_steps")
SMOLLM2 = 30 * 576**2
"""Layers times squared width of SmolLM2."""


# ---- encrypted rewriting ---------------------------------------------------------------------------------------------


def encrypted(spec, checkpoint, progress):
    from .encrypted import tuned_run
    return tuned_run(spec, checkpoint, progress)


def from_scratch(run, checkpoint, progress):
    from .encrypted import from_scratch
    return from_scratch(run, checkpoint, progress)


def encrypted_seconds(spec: EncryptedSpec) -> float:
    length = spec.task.x_len[1] + spec.task.y_len[1] + 2 * spec.task.z_len[1]
    rewriter = not isinstance(spec.base, str)
    per_token = spec.base.model.n_layer * spec.base.model.n_embd**2 if rewriter else SMOLLM2
    examples = spec.tune.n_steps * spec.tune.batch_size
    examples += spec.n_pretraining * spec.base.train.batch_size if rewriter else 0
    return 1.3e-9 * examples * length * per_token


# ---- instructions ----------------------------------------------------------------------------------------------------


def tune(spec, checkpoint, progress):
    from .mixtures import tune_run
    return tune_run(spec, checkpoint, progress)


def tune_seconds(spec: LanguageSpec) -> float:
    """A step reads its examples three times; a written token is slow."""
    trained = 3 * spec.tune.n_steps * spec.tune.batch_size * bool(spec.sets)
    return 0.5 * (trained + sum(e.n_examples + 5 * spec.n_generate * e.is_benchmark for e in spec.evals))


def instruction_map(spec, checkpoint, progress):
    from .instruction_map import map_run
    return map_run(spec, checkpoint, progress)


def check_sets(spec: LanguageSpec | InstructionMapSpec) -> None:
    """SpecError, if a set of instructions or a benchmark is not here, or is a benchmark that cannot be read."""
    from . import codegen

    for name in dict.fromkeys((*spec.sets, *(test.name for test in getattr(spec, "evals", ())))):
        codegen.load(name) if name in BENCHMARKS else check_here("set", name)


# ---- tasks in natural language, and instructions as tasks ------------------------------------------------------------


def task_map(spec, checkpoint, progress):
    from .natural_runs import map_run
    return map_run(spec, checkpoint, progress)


def first_round(spec, checkpoint, progress):
    from .natural_runs import first_run
    return first_run(spec, checkpoint, progress)


def rounds(spec, checkpoint, progress, first):
    from .natural_runs import rounds_run
    return rounds_run(spec, checkpoint, progress, first)


def instructions(spec, checkpoint, progress):
    from .natural_runs import instructions_run
    return instructions_run(spec, checkpoint, progress)


def instruct(spec, checkpoint, progress, first):
    from .natural_runs import instruct_run
    return instruct_run(spec, checkpoint, progress, first)


def check_tasks(spec: MapSpec) -> None:
    """SpecError, if a pool is not here or cannot be read, if it has fewer tasks than the spec asks for, or if a task
    that is to be left out is none of those that are tested."""
    from .natural import usable

    for pool in (*spec.pool, *getattr(spec, "test", ())):
        usable((pool,), spec.most_letters)
    if not isinstance(spec, FirstSpec):
        return
    from .natural_runs import split_of

    tested = [task.name for task in usable(spec.test, spec.most_letters, "test")]
    for name in spec.left_out:
        if name not in tested:
            raise unknown("task in left_out", name, tested)
    found = split_of(spec)
    for part, pools, n in (
        ("test", spec.test, spec.n_test),
        ("validation", spec.pool, spec.n_validation),
        ("candidates", spec.pool, spec.n_candidates),
    ):
        if (left := len(found[part])) < n:
            of = f"with the share {spec.share:.2f} of classification tasks"
            raise SpecError(f"the pools {', '.join(pools)} have {left} tasks for {part!r} {of}; asked for: {n}")


def check_instructions(spec: InstructionsSpec) -> None:
    """SpecError, if a set of instructions is not here or has too few."""
    from .instructions import candidates_of, tests_of

    asked = {row.instruction for rows in tests_of(spec.test, spec.n_test, spec.most_letters).values() for row in rows}
    candidates_of(spec.pool, spec.n_candidates, spec.most_letters, spec.seed, asked)


def your_tasks(spec, checkpoint, progress):
    from .your_runs import tasks_run
    return tasks_run(spec, checkpoint, progress)


def chosen_tasks(spec, checkpoint, progress, first):
    from .your_runs import chosen_run
    return chosen_run(spec, checkpoint, progress, first)


def check_yours(spec: TasksSpec) -> None:
    """SpecError, if something is wrong with the tasks or the model."""
    ready(spec)


def map_of_sets_seconds(spec: InstructionMapSpec) -> float:
    return 0.05 * len(spec.sets) * spec.n_texts


def map_seconds(spec: MapSpec) -> float:
    """How many tasks there are is not known here."""
    return 1e-4 * 1000 * (spec.k + 1) * spec.n * spec.most_letters


def first_seconds(spec: FirstSpec) -> float:
    trained = 3 * spec.passes * spec.n_initial * spec.n_instances
    return 1e-4 * (trained + spec.n_candidates * spec.n * (spec.k + 1)) * spec.most_letters


def tuned_seconds(spec: RoundsSpec | InstructSpec) -> float:
    return 1e-4 * 3 * spec.n_steps * spec.tune.batch_size * spec.most_letters


def your_seconds(spec: TasksSpec) -> float:
    return 20.0 if isinstance(spec, ChosenSpec) else ready(spec).seconds


def instructions_seconds(spec: InstructionsSpec) -> float:
    return 4e-4 * spec.n_candidates * (spec.k + 1) * spec.most_letters


register(
    Kind(EncryptedSpec, encrypted, steps, encrypted_seconds),
    Kind(FromScratchSpec, from_scratch, steps_of_training, seconds_of_training),
    Kind(LanguageSpec, tune, steps, tune_seconds, check=check_sets),
    Kind(InstructionMapSpec, instruction_map, steps, map_of_sets_seconds, check=check_sets),
    Kind(MapSpec, task_map, steps, map_seconds, check=check_tasks),
    Kind(FirstSpec, first_round, steps, first_seconds, check=check_tasks),
    Kind(RoundsSpec, rounds, steps, tuned_seconds, begins_with=FirstSpec, check=check_tasks),
    Kind(InstructionsSpec, instructions, steps, instructions_seconds, check=check_instructions),
    Kind(InstructSpec, instruct, steps, tuned_seconds, begins_with=InstructionsSpec, check=check_instructions),
    Kind(TasksSpec, your_tasks, steps, your_seconds, check=check_yours),
    Kind(ChosenSpec, chosen_tasks, steps, your_seconds, begins_with=TasksSpec, check=check_yours),
)
