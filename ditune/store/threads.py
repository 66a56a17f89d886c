"""One thread a run: several share the machine, and the bits of a result depend on the number of threads."""

import contextlib
import ctypes
from collections.abc import Iterator

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
"""For the environment of a process."""


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread: several runs share the machine, and the bits of a result depend on the number of threads."""
    import torch

    keep_freed_memory()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def keep_freed_memory() -> None:
    """Have the C library keep freed memory for the next tensor; handing it back and forth costs a fifth of a CPU
    step."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # glibc only; the numbers are M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD of its malloc.h
        for parameter, size in ((-1, 1 << 30), (-2, 1 << 26), (-3, 1 << 25)):
            mallopt(parameter, size)
