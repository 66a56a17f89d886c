"""How many runs of equal shape are trained as one program on a GPU."""

from .specs import RunSpec

FILLING_NUMBERS = 1 << 22  # numbers of the residual stream of a step that fill a large GPU
SHARE_OF_MEMORY = 0.7  # of the free memory that a pack may take by `member_bytes`; the rest is for what that leaves out


def pack_members(run: RunSpec) -> int:
    """Most members of a pack, by the free memory of the GPU and by what fills it."""
    return min(pack_size(member_bytes(run), free_bytes()), useful_members(run))


def useful_members(run: RunSpec) -> int:
    """Members up to which a pack is faster than its runs one after the other: a power of two.

    Alone, a run of the paper's size, 18,304 tokens of width 256 a step, fills the memory bandwidth of a large GPU; in a
    pack its tensors leave the cache. A small model leaves the card idle between launches.

    >>> small = RunSpec.of(task={"x_len": 3, "y_len": 3, "z_len": 6}, model={"n_head": 2, "n_embd": 64})
    >>> useful_members(RunSpec()), useful_members(small)
    (1, 16)
    """
    from .tasks import row_length

    numbers = run.train.batch_size * row_length(run.task) * run.model.n_embd
    return 1 << max(0, (FILLING_NUMBERS // numbers).bit_length() - 1)


def free_bytes() -> int:
    """Free memory of the GPU."""
    import torch

    return torch.cuda.mem_get_info()[0]


def pack_size(each: int, free: int) -> int:
    """Members of `each` bytes that fit in `free` bytes: a power of two, so that the packs of a study, and with them
    their checkpoints, stay the same when a little more or less is free.

    >>> [pack_size(10, free) for free in (0, 20, 100, 200)]
    [1, 1, 4, 8]
    """
    return 1 << max(0, int(SHARE_OF_MEMORY * free / each).bit_length() - 1)


def member_bytes(run: RunSpec) -> int:
    """About the GPU memory that one member of a pack needs, in bytes, from parameters, batch, length, width and layers.

    - Parameters: weights, gradient, two moments and as many passing copies, fp32.
    - Activations kept for the backward pass, of a token in a layer, in widths C: the residual stream and the normalised
      rows of two norms (4 C, always fp32); the products' inputs, queries, keys, values, attention and both sides of the
      activation (15 C, in the precision of the products). With them what the backward pass of a layer has in flight,
      12 C in fp32.
    - Evaluation, without a graph, in fp32: 12 C a token, in batches of `evaluate.BATCH`.
    - Logits and their gradients: 4 of the alphabet's size a token, fp32.
    """
    from ..rewriting.evaluate import BATCH
    from ..rewriting.model import layout, sizes
    from ..rewriting.tasks import Alphabet, row_length

    T, C, L, V = row_length(run.task), run.model.n_embd, run.model.n_layer, Alphabet(run.task.alphabet_size).n_tokens
    parameters = sum(sizes(layout(run.model, V, T - 1)))
    tokens = run.train.batch_size * T
    kept = tokens * L * C * (4 * 4 + 15 * (2 if run.train.bf16 else 4))
    evaluated = min(BATCH, max(e.n_examples for e in run.evals)) * T
    return 8 * 4 * parameters + kept + (tokens + evaluated) * 4 * (12 * C + 4 * V)
