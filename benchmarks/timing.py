"""How durations are measured and written down: both sides in turn, on one core, every repetition kept.

Ours runs in the process of the benchmark, with the settings that training has; a peer that trains runs in a process of
its own, with the defaults, while ours waits. On a CPU the clock is that of the processor, so that other programs on the
machine do not count; with a GPU it is the wall's.

A row compares ours with a peer. A point is one place of a curve of cost against size. A share says where the time of what
a row is about goes, and a bound what the ratio of that row could be at most under a condition that it names.
"""

import contextlib
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent import futures

import torch


class NotHere(Exception):
    """A benchmark that this machine cannot run; the message is one line."""


def now(device: str = "cpu") -> float:
    """Seconds of the processor, or of the wall once a GPU has done all it was asked for."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


@contextlib.contextmanager
def apart():
    """A call of a module's function in another process, on one thread: apart(function, *arguments) gives its result."""
    context = multiprocessing.get_context("spawn")
    with futures.ProcessPoolExecutor(1, context, torch.set_num_threads, (1,)) as pool:
        yield lambda function, *arguments: pool.submit(function, *arguments).result()


def seconds(work: Callable[[], object], device: str = "cpu") -> float:
    """Duration of one call."""
    start = now(device)
    work()
    return now(device) - start


def in_turn(sides: dict[str, Callable[[], float]], repetitions: int) -> dict[str, list[float]]:
    """What each side returns, called in turn; a first round warms up and is dropped."""
    found = [{name: side() for name, side in sides.items()} for _ in range(repetitions + 1)]
    return {name: [values[name] for values in found[1:]] for name in sides}


def spread(values: list[float]) -> list[float]:
    """The quartiles around the median: half of the repetitions lie between."""
    if len(values) < 2:
        return [values[0], values[0]]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return [low, high]


def row(what: str, unit: str, ours: list[float], peer: list[float], peer_name: str, target: float | None = None, note: str = "") -> dict:
    """A comparison. `ratio` is the median of ours over that of the peer; for seconds ("s") the other way round, so that
    more is always better. `target` is the ratio that is aimed at."""
    middle, other = statistics.median(ours), statistics.median(peer)
    return {
        "what": what,
        "unit": unit,
        "ours": middle,
        "ours_spread": spread(ours),
        "peer_name": peer_name,
        "peer": other,
        "peer_spread": spread(peer),
        "ratio": other / middle if unit == "s" else middle / other,
        "target": target,
        "repetitions": len(ours),
        "ours_all": ours,
        "peer_all": peer,
        "note": note,
    }


def point(curve: str, x_name: str, x: float, unit: str, values: list[float], note: str = "") -> dict:
    """A place of a curve: the median cost at size x."""
    return {
        "curve": curve,
        "x_name": x_name,
        "x": x,
        "unit": unit,
        "ours": statistics.median(values),
        "ours_spread": spread(values),
        "repetitions": len(values),
        "ours_all": values,
        "note": note,
    }


def check(what: str, unit: str, ours: list[float], other: list[float], other_name: str, note: str = "") -> dict:
    """A quantity that a speed-up must leave as it is: ours and what it should equal, one value a run."""
    return {
        "check": what,
        "unit": unit,
        "ours": statistics.mean(ours),
        "peer_name": other_name,
        "peer": statistics.mean(other),
        "ours_all": ours,
        "peer_all": other,
        "note": note,
    }


def share(what: str, by: str, part: str, value: float) -> dict:
    """A part of the time of what a row named `what` measures on our side; `by` says how the time is divided."""
    return {"share_of": f"{what}, by {by}", "part": part, "unit": "share", "ours": value}


def bound(what: str, peer_name: str, condition: str, ratio: float) -> dict:
    """The ratio of the row of this name and peer, if what the condition says were so."""
    return {"bound_of": what, "against": peer_name, "if": condition, "unit": "ratio", "ours": ratio}


def matmul_rate(shapes: list[tuple[int, int, int]], device: str = "cpu", dtype=torch.float32, repetitions: int = 7, least_s: float = 0.2) -> list[float]:
    """Operations a second that this machine reaches in products (n, k) x (k, m) of the given shapes, a value a repetition."""
    pairs = [(torch.randn(n, k, device=device, dtype=dtype), torch.randn(k, m, device=device, dtype=dtype)) for n, k, m in shapes]
    out = [torch.empty(n, m, device=device, dtype=dtype) for n, _, m in shapes]
    work = sum(2.0 * n * k * m for n, k, m in shapes)

    def products(times: int):
        for _ in range(times):
            for (a, b), c in zip(pairs, out):
                torch.mm(a, b, out=c)

    products(2)
    times = max(1, round(least_s / max(seconds(lambda: products(1), device), 1e-5)))
    return [times * work / seconds(lambda: products(times), device) for _ in range(repetitions)]
