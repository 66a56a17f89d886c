"""How far from the limit: the arithmetic that a step needs, and the rate of matrix products that this machine reaches."""

import torch

from ditune.specs import ModelSpec


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


def parts(pack, tokens: torch.Tensor, repetitions: int) -> dict[str, list[float]]:
    """Seconds of the parts of an eager step on tokens (M, B, T), by repetition: data, forward, backward, optimiser."""
    from .timing import in_turn, seconds

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


def kinds(pack, tokens: torch.Tensor, n_steps: int) -> dict[str, float]:
    """Shares of an eager step's time by kind of operation, from torch's profiler."""
    from torch.profiler import ProfilerActivity, profile

    pack.eager_step(tokens)
    with profile(activities=[ProfilerActivity.CPU]) as trace:
        for _ in range(n_steps):
            pack.eager_step(tokens)
    time_of = {event.key.removeprefix("aten::"): event.self_cpu_time_total for event in trace.key_averages()}
    total = sum(time_of.values())
    found = {kind: sum(time_of.get(name, 0.0) for name in names) / total for kind, names in KINDS.items()}
    return found | {"all else": 1 - sum(found.values())}
