"""Many models in one program, and what a step costs as one of its sizes grows.

A pack pays on a GPU, where launches and not arithmetic bound a small model. On a CPU it brings little, as the rows show.
A packed run must end where it ends alone, which is checked.
"""

from functools import partial

import torch

from ditune.rewriting.specs import RunSpec
from ditune.rewriting.tasks import row_length
from ditune.rewriting.train import Pack

from . import sizes
from .timing import check, in_turn, point, row, seconds

MEMBERS = (1, 4, 16, 64)
ON_A_CPU = "one core, where a pack saves little; a process a core gains as many times as there are cores"


def pack_of(run: RunSpec, n_models: int, device: str) -> Pack:
    """A pack of runs that differ in their seed."""
    return Pack([run.replace(seed=s) for s in range(n_models)], device)


def step_seconds(pack: Pack, n_steps: int):
    """A function that gives the seconds of a step on data that are ready."""
    batches = pack.data(0, n_steps).unbind(1)
    return lambda: seconds(lambda: [pack.advance(batch) for batch in batches], pack.device) / n_steps


def members(run: RunSpec, numbers, n_steps: int, repetitions: int, device: str) -> list[dict]:
    """Steps a second of all members together, against one run alone; and the seconds of a pack's step as a curve."""
    sides = {m: step_seconds(pack_of(run, m, device), -(-n_steps // m) if device == "cpu" else n_steps) for m in numbers}
    times = in_turn(sides, repetitions)
    rates = {m: [m / s for s in values] for m, values in times.items()}
    size = f"{run.model.n_layer} x {run.model.n_embd}, batch {run.train.batch_size}"
    note = ON_A_CPU if device == "cpu" else ""
    rows = [row(f"pack of {m}, {size}", "model steps/s", rates[m], rates[1], "one run", None, note) for m in numbers if m > 1]
    return rows + [point("pack's step", "members of the pack", m, "s", times[m], size) for m in numbers]


def alone(run: RunSpec, n_models: int, n_steps: int, device: str) -> list[dict]:
    """The losses after n_steps of the members of a pack, and of the same runs one at a time."""
    runs = [run.replace(seed=s) for s in range(n_models)]
    together, single = last_losses(Pack(runs, device), n_steps), [last_losses(Pack([r], device), n_steps)[0] for r in runs]
    return [check(f"loss after {n_steps} steps in a pack of {n_models}, {device}", "nats", together, single, "each alone", f"largest difference of a member {largest_difference(together, single):.1e}")]


def last_losses(pack: Pack, n_steps: int) -> list[float]:
    """The losses of the members before the last of n_steps steps."""
    for batch in pack.data(0, n_steps).unbind(1):
        losses = pack.advance(batch)
    return losses.tolist()


def largest_difference(ours: list[float], other: list[float]) -> float:
    """Between numbers that should be equal."""
    return max(abs(a - b) for a, b in zip(ours, other, strict=True))


def curve(name: str, x_name: str, runs: dict[float, RunSpec], n_steps: int, repetitions: int, device: str) -> list[dict]:
    """The seconds of a step for each of the runs, which differ in one size."""
    times = in_turn({x: step_seconds(Pack([run], device), n_steps) for x, run in runs.items()}, repetitions)
    return [point(name, x_name, x, "s", values, f"batch {runs[x].train.batch_size}") for x, values in times.items()]


def scaling(run: RunSpec, n_steps: int, repetitions: int, device: str, doublings: int = 4) -> list[dict]:
    """Curves of a step against row length, width and batch, and of making a batch against the size of the training set."""
    task, model, train = run.task, run.model, run.train
    z = [task.z_len[0] * 2**i for i in range(doublings + 1)]
    lengths = [run.replace(task=task.replace(z_len=n)) for n in z]
    widths = {model.n_embd * 2**i // 2: run.replace(model=model.replace(n_embd=model.n_embd * 2**i // 2)) for i in range(doublings)}
    batches = {train.batch_size * 2**i // 4: run.replace(train=train.replace(batch_size=train.batch_size * 2**i // 4)) for i in range(doublings + 1)}
    sets = {10**i: task.replace(n_rules=min(1000, 10**i), n_examples=10**i) for i in range(3, 8)}
    data = {n: Pack([run.replace(task=t)], device) for n, t in sets.items()}
    made = in_turn({n: partial(seconds, partial(pack.data, 0, 32), device) for n, pack in data.items()}, repetitions)
    return [
        *curve("step against row length", "tokens of a row", {row_length(r.task): r for r in lengths}, n_steps, repetitions, device),
        *curve("step against width", "width", widths, n_steps, repetitions, device),
        *curve("step against batch", "examples of a step", batches, n_steps, repetitions, device),
        *(point("data of 32 steps", "training examples N", n, "s", values) for n, values in made.items()),
    ]


def measure(quick: bool = False) -> list[dict]:
    """On a GPU packs and curves of the study's model; on a CPU the same with a quarter of the batch and few repetitions."""
    if quick:
        run = sizes.with_adamw(sizes.tiny(), 8)
        return members(run, (1, 4), 2, 2, "cpu") + scaling(run, 2, 2, "cpu", doublings=1) + alone(run, 2, 4, "cpu")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    run = sizes.with_adamw(sizes.of_profile("study"), 128 if device == "cuda" else 32)
    n_steps, repetitions = (64, 9) if device == "cuda" else (4, 5)
    rows = members(run, MEMBERS, n_steps if device == "cuda" else 16, repetitions, device) + scaling(run, n_steps, repetitions, device)
    return rows + alone(run, 4, 32, device)
