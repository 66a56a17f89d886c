"""How fast the generator is: examples a second on one core against plain Python, and time and memory against the rules.

Run from the repository root: python -m benchmarks.generator
"""

import random
import statistics
import subprocess
import sys
import time

import torch

from ditune.specs import TaskSpec
from ditune.tasks import row_length, training_examples

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SIZES = {"paper: 20, 20, 50": {}, "short: 3, 3, 10": {"x_len": 3, "y_len": 3, "z_len": 10}}
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


def seconds_each(make, n: int, repeats: int) -> float:
    """Median processor seconds an example of `make(turn)`, which makes n; the first turn warms up."""
    times = []
    for turn in range(repeats + 1):
        start = time.process_time()
        make(turn)
        times.append((time.process_time() - start) / n)
    return statistics.median(times[1:])


def speed(batch: int = 16_384, n_plain: int = 2000, repeats: int = 15) -> list[dict]:
    """Rows: size, tokens, examples a second of plain Python and of ditune on one core, and their ratio."""
    rows = []
    for name, changes in SIZES.items():
        spec, number = TaskSpec.of(**changes), torch.arange(batch)
        plain = seconds_each(lambda turn, spec=spec: plain_examples(spec, turn, n_plain), n_plain, repeats)
        ours = seconds_each(lambda turn, spec=spec, number=number: training_examples(spec, 0, number + turn * batch), batch, repeats)
        rows.append({"size": name, "tokens": row_length(spec), "plain a second": 1 / plain, "ditune a second": 1 / ours, "ratio": plain / ours})
    return rows


MEASURE = """
import resource, sys, torch
from benchmarks.generator import seconds_each
from ditune.specs import TaskSpec
from ditune.tasks import training_examples
torch.set_num_threads(1)
n_rules, batch, repeats = map(int, sys.argv[1:])
spec, number = TaskSpec.of(n_rules=n_rules, n_examples=max(n_rules, 10**6)), torch.arange(batch)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seconds = seconds_each(lambda turn: training_examples(spec, 0, number + turn * batch), batch, repeats)
print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def scaling(batch: int = 16_384, repeats: int = 9) -> list[dict]:
    """Rows: number of rules, microseconds an example, MiB that making batches adds to the peak of a fresh process (up to FEW_RULES are kept, see ditune.tasks)."""
    rows = []
    for n_rules in N_RULES:
        command = [sys.executable, "-c", MEASURE, str(n_rules), str(batch), str(repeats)]
        seconds, mib = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        rows.append({"rules": n_rules, "us an example": float(seconds) * 1e6, "MiB": float(mib)})
    return rows


def table(rows: list[dict]) -> str:
    """Rows as aligned text."""
    cells = [list(rows[0])] + [[f"{v:,.2f}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in cells)


def main():
    torch.set_num_threads(1)
    print(table(speed()), table(scaling()), sep="\n\n")


if __name__ == "__main__":
    main()
