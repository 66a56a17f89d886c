"""How fast the generator is: examples a second on one core against plain Python, and time and memory against the rules."""

import random
import subprocess
import sys
from pathlib import Path

import torch

from ditune.specs import TaskSpec
from ditune.tasks import row_length, training_examples

from .timing import in_turn, point, row, seconds

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SIZES = {"|x|, |y|, |z| = 20, 20, 50 (paper)": {}, "|x|, |y|, |z| = 3, 3, 10": {"x_len": 3, "y_len": 3, "z_len": 10}}
N_RULES = [10**3, 10**4, 10**5, 10**6, 10**7]


def plain_examples(spec: TaskSpec, seed: int, n: int) -> list[list[int]]:
    """n examples as one writes them without a library: random letters, x put somewhere, replaced, looked up in a dict."""
    draw = random.Random(seed)
    token = {sign: i for i, sign in enumerate(LETTERS + ">|=.")}
    n_x, n_y, n_z = spec.x_len[0], spec.y_len[0], spec.z_len[0]
    out = []
    for _ in range(n):
        x, y = "".join(draw.choices(LETTERS, k=n_x)), "".join(draw.choices(LETTERS, k=n_y))
        around, start = "".join(draw.choices(LETTERS, k=n_z - n_x)), draw.randrange(n_z - n_x + 1)
        z = around[:start] + x + around[start:]
        out.append([token[sign] for sign in f"{x}>{y}|{z}={z.replace(x, y, 1)}."])
    return out


class Ours:
    """Batches of examples, other ones at each call."""

    def __init__(self, spec: TaskSpec, batch: int):
        self.spec, self.number = spec, torch.arange(batch)

    def seconds_each(self) -> float:
        """Seconds an example of the next batch."""
        self.number = self.number + len(self.number)
        return seconds(lambda: training_examples(self.spec, 0, self.number)) / len(self.number)


def speed(batch: int, n_plain: int, repetitions: int) -> list[dict]:
    """Examples a second of ditune and of plain Python on one core."""
    rows = []
    for name, changes in SIZES.items():
        spec = TaskSpec.of(**changes)
        ours = Ours(spec, batch)
        sides = {"ours": ours.seconds_each, "plain": lambda spec=spec: seconds(lambda: plain_examples(spec, 0, n_plain)) / n_plain}
        rates = {side: [1 / s for s in values] for side, values in in_turn(sides, repetitions).items()}
        note = f"rows of {row_length(spec)} tokens, batches of {batch}"
        rows.append(row(f"generator, {name}", "examples/s", rates["ours"], rates["plain"], "plain Python: str.replace and a dict", None if changes else 100.0, note))
    return rows


MEASURE = """
import resource, sys, torch
from benchmarks.generator import Ours
from benchmarks.timing import in_turn
from ditune.specs import TaskSpec
torch.set_num_threads(1)
n_rules, batch, repetitions = map(int, sys.argv[1:])
ours = Ours(TaskSpec.of(n_rules=n_rules, n_examples=max(n_rules, 10**6)), batch)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(*in_turn({"ours": ours.seconds_each}, repetitions)["ours"])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def scaling(n_rules: list[int], batch: int, repetitions: int) -> list[dict]:
    """Microseconds an example, and the MiB that making batches adds to the peak of a fresh process, against the rules.

    Rules up to `ditune.rules.FEW_RULES` are kept in memory; beyond that nothing is.
    """
    points = []
    for n in n_rules:
        command = [sys.executable, "-c", MEASURE, str(n), str(batch), str(repetitions)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).resolve().parents[1])
        times, mib = done.stdout.splitlines()
        points.append(point("example against rules", "training rules I", n, "s", [float(t) for t in times.split()]))
        points.append(point("memory against rules", "training rules I", n, "MiB", [float(mib)]))
    return points


def measure(quick: bool = False) -> list[dict]:
    """Both sizes, and up to 10^7 rules."""
    if quick:
        return speed(256, 50, 2) + scaling(N_RULES[:2], 256, 2)
    return speed(16_384, 2000, 15) + scaling(N_RULES, 16_384, 9)
