"""How fast the generator is: examples a second on one core against plain Python, and time and memory against the rules."""

import random
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

import torch

from ditune.rewriting import tasks
from ditune.rewriting.hashing import Stream, stream
from ditune.rewriting.rules import N_CHOICES, rule_table
from ditune.rewriting.specs import TaskSpec
from ditune.rewriting.tasks import row_length, training_examples

from . import limit
from .timing import bound, in_turn, point, row, seconds, share

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SIZES = {"|x|, |y|, |z| = 20, 20, 50 (paper)": {}, "|x|, |y|, |z| = 3, 3, 10": {"x_len": 3, "y_len": 3, "z_len": 10}}
PLAIN = "plain Python: str.replace and a dict"
N_RULES = [10**3, 10**4, 10**5, 10**6, 10**7]


def plain_rules(spec: TaskSpec, seed: int) -> list[tuple[str, str]]:
    """The rules of a spec as plain Python draws and keeps them."""
    draw = random.Random(seed)
    n_x, n_y = spec.x_len[0], spec.y_len[0]
    return [("".join(draw.choices(LETTERS, k=n_x)), "".join(draw.choices(LETTERS, k=n_y))) for _ in range(spec.n_rules)]


def plain_examples(spec: TaskSpec, rules: list[tuple[str, str]], seed: int, n: int) -> list[list[int]]:
    """n examples as one writes them without a library: random letters, x put somewhere, replaced, looked up in a dict."""
    draw = random.Random(seed)
    token = {sign: i for i, sign in enumerate(LETTERS + ">|=.")}
    n_x, n_z = spec.x_len[0], spec.z_len[0]
    out = []
    for i in range(n):
        x, y = rules[i % len(rules)]
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
    """Examples a second of ditune and of plain Python on one core, both with the rules kept in memory."""
    rows = []
    for name, changes in SIZES.items():
        spec = TaskSpec.of(**changes)
        ours, rules, needed = Ours(spec, batch), plain_rules(spec, 0), Needed(spec, batch)
        sides = {
            "ours": ours.seconds_each,
            "plain": lambda spec=spec, rules=rules: seconds(lambda: plain_examples(spec, rules, 0, n_plain)) / n_plain,
            "letters": lambda needed=needed: seconds(needed.letters) / batch,
            "row": lambda needed=needed: seconds(needed.row) / batch,
        }
        times = in_turn(sides, repetitions)
        rates = {side: [1 / s for s in values] for side, values in times.items()}
        what, note = f"generator, {name}", f"{spec.n_rules:,} rules, rows of {row_length(spec)} tokens, batches of {batch}"
        rows.append(row(what, "examples/s", rates["ours"], rates["plain"], PLAIN, None if changes else 100.0, note))
        if not changes:
            rows += bounds(what, {side: statistics.median(values) for side, values in times.items()}) + parts(what, ours, needed, repetitions)
    return rows


class Needed:
    """What no generator of these examples can leave out: random letters of the inputs, and the bytes of the rows."""

    def __init__(self, spec: TaskSpec, batch: int):
        self.spec, self.number = spec, torch.arange(batch)
        self.rows, self.copy = (torch.empty(batch, row_length(spec), dtype=torch.uint8) for _ in range(2))

    def letters(self):
        stream_of_inputs(self.spec, self.number).letters(N_CHOICES + 1, self.spec.z_len[0], self.spec.alphabet_size)

    def row(self):
        self.copy.copy_(self.rows)


def stream_of_inputs(spec: TaskSpec, number: torch.Tensor) -> Stream:
    """The hash words of the inputs of training examples, as `tasks.generate` makes them."""
    return Stream.of(stream(0, "inputs/False"), number % spec.n_rules, number)


def bounds(what: str, s: dict[str, float]) -> list[dict]:
    """The ratio to plain Python, if all that is left were the letters of the inputs (s: seconds an example), or these
    and one pass over the rows' bytes."""
    return [
        bound(what, PLAIN, "nothing but the random letters of the inputs were made", s["plain"] / s["letters"]),
        bound(what, PLAIN, "besides, the bytes of the rows were written once, and nothing else were done", s["plain"] / (s["letters"] + s["row"])),
    ]


def parts(what: str, ours: Ours, needed: Needed, repetitions: int) -> list[dict]:
    """Where the time of a batch goes: by part, each as `tasks.generate` calls it on what the parts before it gave, and by
    operation."""
    spec, number = needed.spec, needed.number
    one, none = torch.ones_like(number), torch.zeros_like(number)
    random, rule = stream_of_inputs(spec, number), tasks.rule_of_example(spec, 0, number)
    table = rule_table(spec, 0, number.device)
    rules = [table[0][rule]]
    z, at = tasks.make_inputs(spec, random, rules, none, one * spec.z_len[0], one)
    answer = tasks.make_answers(spec, z, at, rules)
    calls = {
        "rules looked up": lambda: table[0][rule],
        "random letters": needed.letters,
        "inputs, letters included": lambda: tasks.make_inputs(spec, random, rules, none.clone(), one * spec.z_len[0], one.clone()),
        "answers": lambda: tasks.make_answers(spec, z, at, rules),
        "rows written": lambda: tasks.write_rows(spec, rules, z, answer),
        "whole": lambda: tasks.training_examples(spec, 0, number),
    }
    found = {part: statistics.median(s) for part, s in in_turn({k: partial(seconds, call) for k, call in calls.items()}, repetitions).items()}
    whole = found.pop("whole")
    found["x put in, chance copies looked for"] = found.pop("inputs, letters included") - found["random letters"]
    found["all else"] = whole - sum(found.values())
    by_operation = limit.operations(what, limit.profiled(calls["whole"], repetitions))
    return [share(what, "part", part, s / whole) for part, s in found.items()] + by_operation


MEASURE = """
import sys, torch
from benchmarks.generator import Ours, peak_mib
from benchmarks.timing import in_turn
from ditune.rewriting.specs import TaskSpec
torch.set_num_threads(1)
n_rules, batch, repetitions = map(int, sys.argv[1:])
ours = Ours(TaskSpec.of(n_rules=n_rules, n_examples=max(n_rules, 10**6)), batch)
before = peak_mib()
print(*in_turn({"ours": ours.seconds_each}, repetitions)["ours"])
print(peak_mib() - before)
"""


def peak_mib() -> float:
    """The most memory that this process has held, in MiB. (The peak that `resource` gives is at least that of the process
    that started it, which would hide ours.)"""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024


def scaling(n_rules: list[int], batch: int, repetitions: int) -> list[dict]:
    """Microseconds an example, and the MiB that making batches adds to the peak of a fresh process, against the rules.

    Rules up to `ditune.rewriting.rules.FEW_RULES` are kept in memory; beyond that nothing is.
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
