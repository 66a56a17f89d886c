"""What computes the runs of active selection on the symbolic pool."""

from operator import attrgetter

from ..store.kinds import Kind, register
from .specs import MeasureSpec, SelectSpec, StartSpec


def select(spec, checkpoint, progress):
    from .loop import select_run
    return select_run(spec, checkpoint, progress)


def measure(spec, checkpoint, progress):
    from .measuring import measure_run
    return measure_run(spec, checkpoint, progress)


def seconds(spec: StartSpec) -> float:
    """From the multiplications of its trainings, and of all that a measurement of the pool reads, at the rate of one
    core."""
    heads, pairs = spec.pool.n_tasks * (spec.k + 1), spec.pool.n_tasks * spec.n * (spec.k + 1)
    measured = heads * spec.pool.row_length + 2 * pairs * spec.pool.z_len
    trained = 3 * spec.train.n_steps * spec.train.batch_size * spec.pool.row_length
    return 4e-10 * spec.n_trainings * (trained + measured) * spec.model.n_layer * spec.model.n_embd**2


steps = attrgetter("n_steps")
register(Kind(SelectSpec, select, steps, seconds), Kind(MeasureSpec, measure, steps, seconds))
