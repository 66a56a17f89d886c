"""Compute runs: one here, one after the other, in a pool of processes, or on a Dask cluster.

Each run writes its record itself and keeps a checkpoint until then, so whatever is killed, the next call goes on from
there. A lock file per spec keeps two processes from computing the same spec.
"""

import contextlib
import functools
import gc
import json
import logging
import multiprocessing
import os
import platform
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from pathlib import Path

import filelock
import safetensors

from ..specs import Spec, SpecError
from . import guard, provenance, records
from .kinds import kind_of
from .threads import ONE_THREAD, one_thread

STARTS = 3
"""So often a process is started that dies before its run begins."""
KILLED = "the process of this run was killed (out of memory?)"
DIVERGED = "diverged: the training ended in numbers that are not finite"

Report = Callable[[int, int], None]
Show = Callable[[Spec, int], None]
Outcomes = Iterator[tuple[Spec, dict | None]]
"""Specs with their records' content; None for what another process is computing, or what was not finished in time."""


class Stopped(Exception):
    """Raised inside a run to end it early; its checkpoint stays."""


# ---- many runs -----------------------------------------------------------------------------------------------------


def choose(jobs: int, client: str | None) -> Callable[..., Outcomes]:
    """A Dask cluster, this process (where there is a GPU, in packs), or a pool."""
    if client is not None:
        connected(client).close()  # a mistake in the address is reported before anything starts
        return functools.partial(on_cluster, client)
    if gpu_here():
        return functools.partial(here, True)
    return functools.partial(here, False) if jobs == 1 else functools.partial(in_pool, jobs)


def check(spec: Spec) -> None:
    """SpecError, if the data of a run are not here, or the GPU without which its record would say what is not so."""
    if getattr(getattr(spec, "train", None), "bf16", False) and not gpu_here():
        raise SpecError("TrainSpec.bf16 = True; allowed: False where there is no GPU, as a CPU computes in fp32")
    if of_kind := kind_of(spec).check:
        of_kind(spec)


def gpu_here() -> bool:
    """Whether this machine has a GPU that torch can use."""
    import torch

    return torch.cuda.is_available()


def here(packed: bool, todo: list[Spec], show: Show, deadline: float, **options) -> Outcomes:
    """Runs, or packs of runs of equal shape, one after the other in this process."""
    for pack in packs(todo, packed):

        def report(step, n_steps, pack=pack):
            for spec in pack:
                show(spec, step)
            if time.monotonic() > deadline:
                raise Stopped

        yield from zip(pack, compute(pack, report, **options))


def packs(todo: list[Spec], packed: bool) -> list[list[Spec]]:
    """The runs in packs that can be computed as one program; each alone where there are none."""
    groups: dict = {}
    for spec in todo:
        kind = kind_of(spec)
        group = (type(spec), kind.shape(spec)) if kind.pack and packed else spec
        groups.setdefault(group, []).append(spec)
    found = []
    for group in groups.values():
        most = kind_of(group[0]).most(group[0]) if kind_of(group[0]).pack and packed else 1
        found += [group[i : i + most] for i in range(0, len(group), most)]
    return found


def in_pool(jobs: int, todo: list[Spec], show: Show, deadline: float, starts: int = STARTS, **options) -> Outcomes:
    """Runs in new processes. Where one dies, the runs that were going on are tried again, each alone in a process; one
    that dies again has failed. A process that dies before its run begins is started again."""
    steps, left = multiprocessing.get_context("spawn").RawArray("q", [-1] * len(todo)), dict(enumerate(todo))
    try:
        calls = [(i, spec, options) for i, spec in left.items()]
        with processes(min(jobs, len(todo)), work, calls, steps) as pending:
            while pending and time.monotonic() < deadline:
                done, _ = futures.wait(pending, timeout=0.5, return_when=futures.FIRST_COMPLETED)
                for i, spec in left.items():
                    show(spec, max(steps[i], 0))
                for future in done:
                    data, i = future.result(), pending.pop(future)
                    yield left.pop(i), data
    except BrokenProcessPool:
        going_on = [i for i in left if steps[i] >= 0]
        if len(todo) == 1 and (going_on or starts == 1):
            yield left.pop(0), record_failure(todo[0], KILLED)
        for i in going_on or list(left)[:1]:
            if i in left:
                yield from in_pool(1, [left.pop(i)], show, deadline, starts - (len(todo) == 1), **options)
        yield from ((spec, None) for spec in left.values())


@contextlib.contextmanager
def processes(jobs: int, function: Callable, calls: list[tuple], *shared) -> Iterator[dict[futures.Future, int]]:
    """The numbers of calls by their futures, computed in new processes. Ctrl-C reaches none of these; where the block
    is left before all is done, they are killed: what they were at is kept in checkpoints."""
    before, context = set(multiprocessing.active_children()), multiprocessing.get_context("spawn")
    with no_signals():  # new processes inherit it
        resource_tracker.ensure_running()
    with futures.ProcessPoolExecutor(jobs, context, start_worker, shared) as pool:
        ended = False
        try:
            try:
                with no_signals():
                    pending = {pool.submit(function, *call): i for i, call in enumerate(calls)}
            except OSError as error:  # as the first process died already
                raise BrokenProcessPool(str(error)) from None
            yield pending
            ended = all(future.done() for future in pending)
        finally:
            if not ended:
                for process in set(multiprocessing.active_children()) - before:
                    process.kill()


@contextlib.contextmanager
def no_signals() -> Iterator[None]:
    """What ends a program, sent by a terminal or a scheduler to all processes, waits until the end of the block."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def on_cluster(address: str, todo: list[Spec], show: Show, deadline: float, **options) -> Outcomes:
    """Runs on the workers of a Dask scheduler, which need this package and may have a disk of their own."""
    import distributed
    from distributed.comm import CommClosedError

    lost = ConnectionError(f"lost the Dask scheduler at {address}; what was computed is kept")
    with connected(address) as client:
        pending = {client.submit(there, spec, kind_of(spec).code(), options, pure=False): spec for spec in todo}
        lonely = False
        while pending and time.monotonic() < deadline:
            with contextlib.suppress(distributed.TimeoutError, distributed.CancelledError):
                distributed.wait(list(pending), timeout=1, return_when="FIRST_COMPLETED")
            if client.status != "running" or any(future.cancelled() for future in pending):
                raise lost
            try:
                for future in [future for future in pending if future.done()]:
                    yield pending[future], outcome(pending.pop(future), future)
                alone = not client.nthreads()
            except CommClosedError:
                raise lost from None
            if pending and alone and not lonely:
                warnings.warn(f"the Dask scheduler at {address} has no worker: waiting for one", stacklevel=2)
            lonely = alone


def outcome(spec: Spec, future) -> dict | None:
    """What a worker of a cluster made of a run, recorded here; a run whose workers died has failed."""
    from distributed import KilledWorker

    error = future.exception()
    if isinstance(error, KilledWorker):
        return record_failure(spec, KILLED)
    if error:
        raise SpecError(f"a Dask worker refuses the run {spec.key}: {type(error).__name__}: {error}")
    if data := future.result():
        records.save(data)
    return data


def there(spec: Spec, code: str, options: dict) -> dict | None:
    """On a worker of a cluster: the content of a record; refused where a result would be another."""
    if kind_of(spec).code() != code:
        where = f"{platform.node()}, {guard.PACKAGE}"
        raise SpecError(f"{where}: its sources are not those of the client; update one of them")
    check(spec)
    return compute([spec], **options)[0]


def connected(address: str):
    """A client of the Dask scheduler at an address."""
    if not address:
        raise SpecError(f"no Dask scheduler at {address!r}: the address is empty")
    try:
        from distributed import Client

        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what is lost is said in one line
        return Client(address)
    except ModuleNotFoundError:
        raise SpecError('a Dask scheduler needs the extra "cluster": pip install -e ".[cluster]"') from None
    except (ValueError, OSError) as error:
        raise SpecError(f"no Dask scheduler at {address!r}: {error}") from None


# ---- one run or pack -------------------------------------------------------------------------------------------------


def compute(
    specs: list[Spec], report: Report = lambda step, n_steps: None, wait: bool = False, force: bool = False
) -> list[dict | None]:
    """The contents of the records of a pack: computed here, or, with `wait`, by the process that is at it already."""
    found: dict[Spec, dict] = {}
    try:
        with contextlib.ExitStack() as locks:
            waiting = functools.partial(report, 0, kind_of(specs[0]).steps(specs[0]))
            # all processes in one order, so that none waits in a circle
            by_key = sorted(specs, key=lambda spec: spec.key)
            mine = [spec for spec in by_key if locks.enter_context(locked(spec, wait, waiting))]
            fresh = {} if force else {spec: records.find_fresh(spec, [records.local()]) for spec in mine}
            found = {spec: record.data for spec, record in fresh.items() if record}
            todo = [spec for spec in specs if spec in mine and spec not in found]
            found |= zip(todo, train_and_record(todo, report)) if todo else {}
    except Stopped:
        pass
    return [found.get(spec) for spec in specs]


@contextlib.contextmanager
def locked(spec: Spec, wait: bool, waiting: Callable[[], None]) -> Iterator[bool]:
    """Hold the lock of a spec; gives False where another process holds it, unless it is to be waited for."""
    path = records.home() / "locks" / f"{spec.key}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
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


def train_and_record(pack: list[Spec], report: Report) -> list[dict]:
    """Compute a pack, or go on from its checkpoint, and write its records. One that fails is tried again in halves."""
    checkpoint = checkpoint_path(pack)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    try:
        with one_thread():
            results = results_of(pack, checkpoint, report)
        gc.unfreeze()  # a training freezes what lives while it runs; its pack is to be freed now
        done = [record_of(spec, result) for spec, result in zip(pack, results, strict=True)]
    except Stopped:
        raise
    except Exception:
        done, error = None, traceback.format_exc()
    if done is None and len(pack) > 1:  # out of memory, as a rule
        checkpoint.unlink(missing_ok=True)
        middle = len(pack) // 2
        return train_and_record(pack[:middle], report) + train_and_record(pack[middle:], report)
    if done is None:
        return [record_failure(pack[0], error)]
    for data in done:
        records.save(data)
        for old in checkpoint.parent.glob(f"*{data['key']}*"):  # also what a killed process was writing
            old.unlink(missing_ok=True)
    checkpoint.unlink(missing_ok=True)
    return done


def results_of(pack: list[Spec], checkpoint: Path, report: Report) -> list[dict]:
    """What the kind's functions return for a pack. A checkpoint that cannot be read is deleted, and the pack starts
    afresh."""
    kind = kind_of(pack[0])
    try:
        if len(pack) > 1:
            return kind.pack(pack, checkpoint, report)
        needed = [result_of(spec, report) for spec in kind.needs(pack[0])]
        return [kind.run(pack[0], checkpoint, report, *needed)]
    except safetensors.SafetensorError:
        if not damaged(checkpoint):
            raise
    checkpoint.unlink()
    return results_of(pack, checkpoint, report)


def result_of(spec: Spec, report: Report) -> dict:
    """The result of a spec that another run begins with: recorded, or computed now, or waited for."""
    if record := records.find_fresh(spec):
        return record.result
    (data,) = compute([spec], lambda step, n_steps: report(0, 1), wait=True)
    if data is None:
        raise Stopped
    if data["error"]:
        raise RuntimeError(f"the run {spec.key} that this one begins with failed: {records.last_line(data)}")
    return data["result"]


def damaged(checkpoint: Path) -> bool:
    """Whether a checkpoint is there and is no whole file of tensors, as after a power cut."""
    try:
        with safetensors.safe_open(checkpoint, "pt"):
            return False
    except (FileNotFoundError, safetensors.SafetensorError):
        return checkpoint.exists()


def record_of(spec: Spec, result: dict) -> dict:
    """The content of a spec's record: its result, or a failure where a number of it is infinite or none (NaN)."""
    try:
        return records.make(spec, json.loads(json.dumps(result, allow_nan=False)))
    except ValueError:
        return records.make(spec, None, DIVERGED)


def record_failure(spec: Spec, error: str) -> dict:
    """Write the record of a failure; the checkpoint stays, for the next try."""
    data = records.make(spec, None, error)
    records.save(data)
    return data


def checkpoint_path(pack: list[Spec]) -> Path:
    """Where a pack keeps its checkpoint: each state of sources and libraries has its own, for they must not mix."""
    made_by = [kind_of(pack[0]).code(), provenance.libraries()]
    name = pack[0].key if len(pack) == 1 else "pack"
    tag = guard.short_hash(json.dumps([[spec.key for spec in pack], made_by]))
    return records.home() / "checkpoints" / f"{name}-{tag}.safetensors"


# ---- processes of the pool -------------------------------------------------------------------------------------------


def start_worker(steps=None):
    """Prepare a process of a pool: one thread, progress in shared memory, and an end when the parent ends."""
    os.environ.update(ONE_THREAD)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])  # what a terminal sends stays with the parent
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work.steps = steps


def _end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)


def work(i: int, spec: Spec, options: dict) -> dict | None:
    """Compute run number i of the pool."""

    def report(step, n_steps):
        work.steps[i] = step

    return compute([spec], report, **options)[0]
