"""Counts, on a CPU, of what a GPU would be asked to do: kernels that are launched, and waits until they are done."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

WAITS = {"_local_scalar_dense", "nonzero", "unique_consecutive", "_unique2", "masked_select", "equal", "lift_fresh"}
BARE = {"empty", "empty_like", "new_empty", "empty_strided"}
NO_KERNEL = {"detach", "alias", "_unsafe_view", "lift_fresh", "_local_scalar_dense"} | BARE


class Asked(TorchDispatchMode):
    """`kernels`: operations that are neither views nor bare memory, one each, though some take several. `waits`: those
    whose result the program must know (a number, the rows that a mask selects), and numbers that it uploads."""

    def __init__(self):
        super().__init__()
        self.kernels = self.waits = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation._schema.name.removeprefix("aten::")
        view = any(r.alias_info is not None and not r.alias_info.is_write for r in operation._schema.returns)
        indices = args[1] if name in ("index", "index_put", "index_put_") else []
        by_mask = any(t is not None and t.dtype == torch.bool for t in indices)
        self.kernels += not view and name not in NO_KERNEL
        self.waits += name in WAITS or by_mask
        return operation(*args, **(kwargs or {}))


def asked(work) -> tuple[int, int]:
    """Kernels and waits of one call."""
    with Asked() as count:
        work()
    return count.kernels, count.waits
