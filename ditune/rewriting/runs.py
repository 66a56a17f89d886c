"""What computes the runs on string rewriting."""

from ..store.kinds import Kind, register
from .specs import AlgorithmSpec, ProbeSpec, RunSpec


def train(run, checkpoint, progress):
    from .train import train_run
    return train_run(run, checkpoint, progress)


def train_pack(runs, checkpoint, progress):
    from .train import train_pack
    return train_pack(runs, checkpoint, progress)


def probe(spec, checkpoint, progress):
    from .probe import probe_run
    return probe_run(spec, checkpoint, progress)


def probe_pack(specs, checkpoint, progress):
    from .probe import probe_pack
    return probe_pack(specs, checkpoint, progress)


def execute(spec, checkpoint, progress):
    from .running import run_algorithms
    return run_algorithms(spec, checkpoint, progress)


# ---- sizes -----------------------------------------------------------------------------------------------------------


def steps(spec: RunSpec) -> int:
    """Optimiser steps of a training."""
    return spec.train.n_steps


def seconds(spec: RunSpec) -> float:
    """From the multiplications of a training, at the rate of one core."""
    length = spec.task.x_len[1] + spec.task.y_len[1] + 2 * spec.task.z_len[1] + 4
    return 1.3e-9 * spec.train.n_steps * spec.train.batch_size * length * spec.model.n_layer * spec.model.n_embd**2


def shape(run: RunSpec):
    """What runs of a pack share."""
    from .train import run_shape

    return run_shape(run)


def most(run: RunSpec) -> int:
    """Most members of a pack on the GPU that is here; 1 without one."""
    from .packs import pack_members

    return pack_members(run)


register(
    Kind(RunSpec, train, steps, seconds, pack=train_pack, shape=shape, most=most),
    Kind(ProbeSpec, probe, steps, seconds, pack=probe_pack, shape=shape, most=most),
    Kind(AlgorithmSpec, execute, steps, seconds),
)
