"""How far from the limit: the arithmetic that a step needs, the rates that this machine reaches, and where the time goes."""

import statistics
from collections.abc import Callable

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from ditune.rewriting.specs import ModelSpec

from .timing import in_turn, seconds, share

# ---- the arithmetic --------------------------------------------------------------------------------------------------


def flops(spec: ModelSpec, T: int, V: int, start: int = 0) -> float:
    """Operations of a step's matrix products for one row of T inputs, forward and backward (3 times forward).

    Forward, a layer: 2 T 12 C^2 for the weights and 4 T^2 C for attention (scores and mixing, no causal saving); the head
    2 T C V. With `start`, as `model.forward` does it: the last layer's queries, its MLP and the head only from there on.
    """
    C, L, Q = spec.n_embd, spec.n_layer, T - start
    whole = (L - 1) * (24 * T * C**2 + 4 * T * T * C)
    last = 6 * T * C**2 + 18 * Q * C**2 + 4 * Q * T * C
    return 3.0 * (whole + last + 2 * Q * C * V)


def shapes(spec: ModelSpec, n: int) -> list[tuple[int, int, int]]:
    """The products of one layer's weights for n tokens, forward and backward: what the rate at the model's own sizes is
    measured on."""
    C = spec.n_embd
    forward = [(n, C, 3 * C), (n, C, C), (n, C, 4 * C), (n, 4 * C, C)]
    return [s for n, k, m in forward for s in ((n, k, m), (n, m, k), (k, n, m))]


LARGE = [(1024, 1024, 1024)]
LARGE_ON_GPU = [(8192, 8192, 8192)]


def large(device: str = "cpu") -> list[tuple[int, int, int]]:
    """The product that shows a machine's best rate."""
    return LARGE if device == "cpu" else LARGE_ON_GPU


def counted(work: Callable[[], object]) -> float:
    """Operations of the matrix products of one call, counted as they are called."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


class Written(TorchDispatchMode):
    """Counts the numbers that all operations but matrix products write."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        view = any(r.alias_info is not None and not r.alias_info.is_write for r in operation._schema.returns)
        if not view and operation._schema.name.removeprefix("aten::") not in KINDS["matrix products"]:
            self.numbers += sum(t.numel() for t in tree_leaves(out) if isinstance(t, torch.Tensor))
        return out


def written(work: Callable[[], object]) -> int:
    """Numbers that one call writes in operations that are no matrix products."""
    with Written() as count:
        work()
    return count.numbers


def copy_rate(n: int, width: int) -> float:
    """Numbers a second that this machine copies from one fp32 tensor (n, width) into another: what an operation that reads
    one tensor and writes another can reach at best."""
    a, b = torch.randn(n, width), torch.empty(n, width)
    times = max(1, 20_000_000 // a.numel())
    return times * a.numel() / seconds(lambda: [b.copy_(a) for _ in range(times)])


# ---- where the time of a step goes -----------------------------------------------------------------------------------


def parts(pack, tokens: torch.Tensor, repetitions: int) -> dict[str, list[float]]:
    """Seconds of the parts of an eager step on tokens (M, B, T), by repetition: data, forward, backward, optimiser."""
    state: dict = {}

    def forward():
        state["loss"] = pack.losses(tokens).sum()

    def backward():
        (state["grad"],) = torch.autograd.grad(state["loss"], pack.flat)

    sides = {
        "data": lambda: seconds(lambda: pack.data(0, 32)) / 32,
        "forward": lambda: seconds(forward),
        "backward": lambda: seconds(backward),
        "optimiser": lambda: seconds(lambda: pack.optimizer.update(pack.flat, state["grad"])),
    }
    return in_turn(sides, repetitions)


KINDS = {
    "matrix products": ("mm", "addmm", "bmm", "baddbmm"),
    "normalisation, softmax": ("native_layer_norm", "native_layer_norm_backward", "_softmax", "_softmax_backward_data", "_log_softmax", "_log_softmax_backward_data"),
    "copies, gathers, sums": ("copy_", "cat", "index", "index_select", "embedding_dense_backward", "sum", "fill_", "zero_", "split", "index_put_", "gather", "where"),
    "element by element": ("mul", "mul_", "add", "add_", "sub", "rsub", "div", "sigmoid_", "sub_", "lerp_", "addcmul_", "sqrt_", "pow", "neg", "addcmul", "div_", "clamp"),
}  # fmt: skip


def profiled(work: Callable[[], object], n: int) -> dict[str, tuple[float, float]]:
    """By operation of torch, from its profiler over n calls: its share of the time and how often a call uses it; the
    largest share first."""
    from torch.profiler import ProfilerActivity, profile

    work()
    with profile(activities=[ProfilerActivity.CPU]) as trace:
        for _ in range(n):
            work()
    events = sorted(trace.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return {event.key.removeprefix("aten::"): (event.self_cpu_time_total / total, event.count / n) for event in events}


MOST_OPERATIONS = 8


def kinds(what: str, found: dict[str, tuple[float, float]]) -> list[dict]:
    """Shares of the time by kind of operation, from `profiled`."""
    of = {kind: sum(found.get(name, (0.0, 0))[0] for name in names) for kind, names in KINDS.items()}
    return [share(what, "kind of operation", kind, value) for kind, value in (of | {"all else": 1 - sum(of.values())}).items()]


def operations(what: str, found: dict[str, tuple[float, float]]) -> list[dict]:
    """Shares of the operations of torch that take most of the time, from `profiled`, and how often a call uses them."""
    of = {f"{name} ({calls:.3g} calls)": value for name, (value, calls) in list(found.items())[:MOST_OPERATIONS]}
    return [share(what, "operation", name, value) for name, value in (of | {"all others": 1 - sum(of.values())}).items()]


def step_shares(what: str, pack, repetitions: int) -> list[dict]:
    """Where the time of a pack's step goes by part, by kind of operation and by operation."""
    tokens = pack.data(0, 1)[:, 0]
    by_part = {part: statistics.median(values) for part, values in parts(pack, tokens, repetitions).items()}
    whole, found = sum(by_part.values()), profiled(lambda: pack.eager_step(tokens), repetitions)
    return [share(what, "part", part, value / whole) for part, value in by_part.items()] + kinds(what, found) + operations(what, found)
