"""Compute runs: one here, one after the other, in a pool of processes, or on a Dask cluster.

Each run writes its record itself and keeps a checkpoint until then, so whatever is killed, the next call goes on from
there. A lock file per spec keeps two processes from computing the same spec.
"""

import contextlib
import functools
import importlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import filelock

from . import provenance, records
from .specs import Spec

KILLED = "the process of this run was killed (out of memory?)"
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}

Report = Callable[[int, int], None]
Show = Callable[[Spec, int], None]
Outcomes = Iterator[tuple[Spec, dict | None]]
"""Specs with their records' content; None for what another process is computing, or what was not finished in time."""


class Stopped(Exception):
    """Raised inside a run to end it early; its checkpoint stays."""


# ---- many runs --------------------------------------------------------------------------------------------------------


def choose(jobs: int, client: str | None) -> Callable[..., Outcomes]:
    """A Dask cluster, this process (a GPU serves one), or a pool."""
    if client:
        return functools.partial(on_cluster, client)
    return here if jobs == 1 or gpu_here() else functools.partial(in_pool, jobs)


def gpu_here() -> bool:
    """Whether this machine has a GPU that torch can use."""
    import torch

    return torch.cuda.is_available()


def here(todo: list[Spec], show: Show, deadline: float, **options) -> Outcomes:
    """One run after the other in this process."""

    def report(spec, step, n_steps):
        show(spec, step)
        if time.monotonic() > deadline:
            raise Stopped

    for spec in todo:
        yield spec, compute_one(spec, functools.partial(report, spec), **options)


def in_pool(jobs: int, todo: list[Spec], show: Show, deadline: float, **options) -> Outcomes:
    """Runs in new processes. Where one dies, the runs that were going on are tried again, each alone in a process."""
    context = multiprocessing.get_context("spawn")
    steps, stop = context.RawArray("q", [-1] * len(todo)), context.RawValue("b", 0)
    left = dict(enumerate(todo))
    try:
        with futures.ProcessPoolExecutor(min(jobs, len(todo)), context, start_worker, (steps, stop)) as pool:
            try:
                pending = {pool.submit(work, i, spec, options): i for i, spec in left.items()}
                while pending:
                    done, _ = futures.wait(pending, timeout=0.5, return_when=futures.FIRST_COMPLETED)
                    for i, spec in left.items():
                        show(spec, max(steps[i], 0))
                    stop.value = time.monotonic() > deadline
                    for future in done:
                        data, i = future.result(), pending.pop(future)
                        yield left.pop(i), data
            finally:
                stop.value = 1
    except BrokenProcessPool:
        going_on = [i for i in left if steps[i] >= 0]
        if not going_on:
            raise
        for i in going_on:
            spec = left.pop(i)
            yield from in_pool(1, [spec], show, deadline, **options) if len(todo) > 1 else [(spec, record_failure(spec, KILLED))]
        yield from ((spec, None) for spec in left.values())


def on_cluster(address: str, todo: list[Spec], show: Show, deadline: float, **options) -> Outcomes:
    """Runs on the workers of a Dask scheduler, which need this package and may have a disk of their own."""
    from distributed import Client

    with Client(address) as client:
        executor = client.get_executor()
        try:
            pending = {executor.submit(compute_one, spec, **options): spec for spec in todo}
            for future in futures.as_completed(pending, timeout=min(deadline - time.monotonic(), threading.TIMEOUT_MAX)):
                if data := future.result():
                    records.save(data)
                yield pending[future], data
        except futures.TimeoutError:
            return
        finally:
            executor.shutdown(wait=False)


# ---- one run ---------------------------------------------------------------------------------------------------------


def compute_one(spec: Spec, report: Report = lambda step, n_steps: None, wait: bool = False, force: bool = False) -> dict | None:
    """The content of a spec's record: computed here, or, with `wait`, by the process that is at it already."""
    lock = records.home() / "locks" / f"{spec.key}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with locked(lock, wait, lambda: report(0, records.kind_of(spec).steps(spec))) as mine:
            if not mine:
                return None
            found = None if force else records.find_fresh(spec)
            return found.data if found else train_and_record(spec, report)
    except Stopped:
        return None


@contextlib.contextmanager
def locked(path: Path, wait: bool, waiting: Callable[[], None]) -> Iterator[bool]:
    """Hold the lock file `path`; gives False where another process holds it, unless it is to be waited for."""
    lock = filelock.FileLock(path)
    while not lock.is_locked:
        waiting()
        try:
            lock.acquire(timeout=1 if wait else 0)
        except filelock.Timeout:
            if not wait:
                break
    try:
        yield lock.is_locked
    finally:
        lock.release()


def train_and_record(spec: Spec, report: Report) -> dict:
    """Compute a spec, or go on from its checkpoint, and write its record or that of its failure."""
    kind = records.kind_of(spec)
    checkpoint = checkpoint_path(spec)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    module, _, function = kind.runner.partition(":")
    try:
        runner = getattr(importlib.import_module(module), function)
        with one_thread():
            result = runner(spec, checkpoint, progress=report)
        data = records.make(spec, json.loads(json.dumps(result)))
    except Stopped:
        raise
    except Exception:
        return record_failure(spec, traceback.format_exc())
    records.save(data)
    for done in checkpoint.parent.glob(f"{spec.key}*"):
        done.unlink(missing_ok=True)
    return data


def record_failure(spec: Spec, error: str) -> dict:
    """Write the record of a failure; the checkpoint stays, for the next try."""
    data = records.make(spec, None, error)
    records.save(data)
    return data


def checkpoint_path(spec: Spec) -> Path:
    """Where a run keeps its checkpoint: under a name of its own for each state of sources and libraries, which mix badly."""
    made_by = json.dumps([provenance.loaded_sources(records.kind_of(spec).sources), provenance.libraries()])
    return records.home() / "checkpoints" / f"{spec.key}-{provenance.short_hash(made_by)}.safetensors"


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread: several runs share the machine, and the bits of a result depend on the number of threads."""
    torch = sys.modules.get("torch")
    threads = torch and torch.get_num_threads()
    try:
        if torch:
            torch.set_num_threads(1)
        yield
    finally:
        if torch:
            torch.set_num_threads(threads)


# ---- processes of the pool -------------------------------------------------------------------------------------------


def start_worker(steps=None, stop=None):
    """Prepare a process of a pool: one thread, progress in shared memory, and an end when the parent ends."""
    os.environ.update(ONE_THREAD)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if steps is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt reaches the parent, which sets `stop`
        work.steps, work.stop = steps, stop


def _end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)


def work(i: int, spec: Spec, options: dict) -> dict | None:
    """Compute run number i of the pool."""

    def report(step, n_steps):
        work.steps[i] = step
        if work.stop.value:
            raise Stopped

    return compute_one(spec, report, **options)
