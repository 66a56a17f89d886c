"""The kinds of specs that have records: for each class of specs, what computes it and which sources determine the result.

A runner is named, not imported, so that looking up a record loads nothing heavy.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass

from .encrypted_specs import EncryptedSpec, FromScratchSpec
from .instruct_specs import InstructionsSpec, InstructSpec
from .instruction_map_specs import InstructionMapSpec
from .language_specs import LanguageSpec
from .natural_specs import FirstSpec, MapSpec, RoundsSpec
from .running_specs import AlgorithmSpec, ProbeSpec
from .select_specs import MeasureSpec, SelectSpec
from .specs import RunSpec, Spec


@dataclass(frozen=True)
class Kind:
    """How the results of one class of specs are made."""

    spec: type[Spec]
    runner: str
    """"module:function", called as function(spec, checkpoint, progress=...); it returns the result as plain data."""
    sources: tuple[str, ...]
    """What determines the result, as `provenance.sources_hash` takes it; specs' values are in the record anyway."""
    steps: Callable[[Spec], int]
    """The number of steps that the runner reports progress in."""
    cost: Callable[[Spec], float]
    """Expected cost in any unit; the most expensive runs start first."""
    shape: str = ""
    """"module:function" of a spec: what specs share that can be computed as a pack; none, if there are no packs."""
    packer: str = ""
    """"module:function", called as function(specs, checkpoint, progress=...); it returns a result for each."""
    memory: str = ""
    """"module:function" of a spec: bytes that it needs as a member of a pack."""
    data: str = ""
    """"module:function", called as function(spec) before anything starts; SpecError where the data of a run are not here."""


def run_steps(spec: RunSpec) -> int:
    """Optimiser steps of a training."""
    return spec.train.n_steps


def run_cost(spec: RunSpec) -> float:
    """About proportional to the arithmetic of a training."""
    length = spec.task.x_len[1] + spec.task.y_len[1] + 2 * spec.task.z_len[1]
    return spec.train.n_steps * spec.train.batch_size * length * spec.model.n_layer * spec.model.n_embd**2


TRAINING = ("hashing", "rules", "tasks", "model", "optim", "train", "evaluate", "specs.TaskSpec")
"""The sources of a training and its evaluation."""

ACTIVE = (*TRAINING, "scorers", "uncertainty", "pool", "selection", "active", "select_specs.PoolSpec")
"""What determines a selection of tasks."""

ENCRYPTED = (*TRAINING, "scorers", "pretrained", "language", "encrypted")
"""What determines the tuning of a model on encrypted rewriting."""

LANGUAGE = (
    *TRAINING, "scorers", "pretrained", "language", "instructions", "substitutes", "codegen", "calls", "sandbox", "jail",
    "language_specs.LanguageSpec", "tuning",
)  # fmt: skip
"""What determines the tuning of a language model on instructions."""

NATURAL = (
    *TRAINING, "scorers", "uncertainty", "selection", "pretrained", "language", "instructions", "substitutes", "natural", "made_tasks", "prompting",
    "natural_runs", "natural_specs.FirstSpec", "natural_specs.RoundsSpec",
)  # fmt: skip
"""What determines a selection among tasks in natural language."""

INSTRUCT = (*NATURAL, "self_instruct", "instruct_runs", "instruct_specs.InstructSpec")
"""What determines a selection among instructions."""


def of_natural(spec: type[Spec], runner: str, sources: tuple[str, ...], data: str) -> Kind:
    """A kind of runs on natural language."""
    return Kind(spec, f"ditune.{runner}", sources, steps=operator.attrgetter("n_steps"), cost=operator.attrgetter("cost"), data=f"ditune.at_hand:{data}")


KINDS = {
    "RunSpec": Kind(
        spec=RunSpec,
        runner="ditune.train:train_run",
        sources=TRAINING,
        steps=run_steps,
        cost=run_cost,
        shape="ditune.train:run_shape",
        packer="ditune.train:train_pack",
        memory="ditune.backends:member_bytes",
    ),
    "ProbeSpec": Kind(
        spec=ProbeSpec,
        runner="ditune.probe:probe_run",
        sources=(*TRAINING, "probe"),
        steps=run_steps,
        cost=run_cost,
        shape="ditune.train:run_shape",
        packer="ditune.probe:probe_pack",
        memory="ditune.backends:member_bytes",
    ),
    "SelectSpec": Kind(
        spec=SelectSpec,
        runner="ditune.active:select_run",
        sources=ACTIVE,
        steps=operator.attrgetter("n_steps"),
        cost=operator.attrgetter("cost"),
    ),
    "MeasureSpec": Kind(
        spec=MeasureSpec,
        runner="ditune.measuring:measure_run",
        sources=(*ACTIVE, "measuring"),
        steps=operator.attrgetter("n_steps"),
        cost=operator.attrgetter("cost"),
    ),
    "AlgorithmSpec": Kind(
        spec=AlgorithmSpec,
        runner="ditune.running:run_algorithms",
        sources=(*TRAINING, "running", "markov"),
        steps=run_steps,
        cost=run_cost,
    ),
    "EncryptedSpec": Kind(
        spec=EncryptedSpec,
        runner="ditune.encrypted:tuned_run",
        sources=ENCRYPTED,
        steps=operator.attrgetter("n_steps"),
        cost=operator.attrgetter("cost"),
    ),
    "LanguageSpec": Kind(
        spec=LanguageSpec,
        runner="ditune.tuning:tune_run",
        sources=LANGUAGE,
        steps=operator.attrgetter("n_steps"),
        cost=operator.attrgetter("cost"),
        data="ditune.at_hand:check_sets",
    ),
    "InstructionMapSpec": Kind(
        spec=InstructionMapSpec,
        runner="ditune.instruction_map:map_run",
        sources=("hashing", "pretrained", "instructions", "substitutes", "codegen", "calls", "sandbox", "jail", "embeddings", "instruction_map"),
        steps=operator.attrgetter("n_steps"),
        cost=operator.attrgetter("cost"),
        data="ditune.at_hand:check_sets",
    ),
    "FromScratchSpec": Kind(
        spec=FromScratchSpec,
        runner="ditune.encrypted:from_scratch",
        sources=ENCRYPTED,
        steps=run_steps,
        cost=run_cost,
    ),
    "MapSpec": of_natural(MapSpec, "natural_runs:map_run", NATURAL, "check_tasks"),
    "FirstSpec": of_natural(FirstSpec, "natural_runs:first_run", NATURAL, "check_tasks"),
    "RoundsSpec": of_natural(RoundsSpec, "natural_runs:rounds_run", NATURAL, "check_tasks"),
    "InstructionsSpec": of_natural(InstructionsSpec, "instruct_runs:instructions_run", INSTRUCT, "check_instructions"),
    "InstructSpec": of_natural(InstructSpec, "instruct_runs:instruct_run", INSTRUCT, "check_instructions"),
}
"""The classes of specs that have records, by name."""


def kind_of(spec: Spec) -> Kind:
    """The kind of a spec."""
    return KINDS[type(spec).__name__]
