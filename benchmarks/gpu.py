"""A packed step at the paper's size on a GPU: against the card's own rate, against Trainer, and bf16 against fp32.

All that needs a GPU, in one command of under ten minutes, from the repository root:

    python -m benchmarks.gpu [MINUTES]

runs the tests that need a GPU, this benchmark and that of packs, and then trains the profile `paper` and copies its
records to `results/`: the most telling numbers of rules first, then notebook by notebook until the minutes are over. The
same command goes on from there.
"""

import math
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch

from ditune import backends, experiments
from ditune.cli import FAILED, TIME_UP
from ditune.specs import RunSpec
from ditune.tasks import Alphabet, row_length
from ditune.train import train_pack

from . import limit, sizes
from .packs import pack_of
from .peers import Rows, gpt2, trainer_seconds
from .timing import NotHere, check, in_turn, matmul_rate, row
from .training import TRAINER, our_seconds

NO_GPU = "no GPU that torch can use; on a machine with one: python -m benchmarks.gpu"
FIRST = "[300, 500, 1000, 10000]"
"""Numbers of rules around the paper's threshold and far above it."""
MOST_MEMBERS = 64


def packed_step(run: RunSpec, n_steps: int, trainer_steps: int, repetitions: int, device: str = "cuda", most: int = MOST_MEMBERS) -> list[dict]:
    """Tokens a second of the largest pack that fits and of one run, against Trainer and against the rate of products."""
    fits = backends.pack_size(backends.member_bytes(run), backends.free_bytes()) if device == "cuda" else most
    packs = {m: pack_of(run, m, device) for m in sorted({1, min(most, fits)})}
    alone = packs[1]
    data = Rows(alone.data(0, trainer_steps + 2)[0].flatten(0, 1).cpu(), alone.start)
    model = gpt2(alone)
    sides = {m: partial(our_seconds, pack, n_steps) for m, pack in packs.items()}
    sides[TRAINER] = lambda: trainer_seconds(model, data, alone.train, trainer_steps, device)
    times = in_turn(sides, repetitions)
    T, V = row_length(run.task), Alphabet(run.task.alphabet_size).n_tokens
    tokens = run.train.batch_size * T
    rates = {side: [tokens * (side if side in packs else 1) / s for s in values] for side, values in times.items()}
    whole, done = (run.train.batch_size * limit.flops(run.model, T - 1, V, start) / tokens for start in (0, alone.start - 1))
    best = matmul_rate(limit.large(device), device, torch.bfloat16 if run.train.bf16 else torch.float32, repetitions)
    what, m = f"packed step, {run.model.n_layer} x {run.model.n_embd}", max(packs)
    return [
        row(f"{what}, {m} models", "tokens/s", rates[m], rates[TRAINER], TRAINER, 15.0),
        row(f"{what}, 1 model", "tokens/s", rates[1], rates[TRAINER], TRAINER),
        row(f"{what}, {m} models", "FLOP/s", [r * whole for r in rates[m]], best, "rate of matrix products, 8192 x 8192", 0.4, f"a whole pass of {whole / 1e6:.1f} MFLOP a token"),
        row(f"{what}, {m} models, work done", "FLOP/s", [r * done for r in rates[m]], best, "rate of matrix products, 8192 x 8192", None, f"{done / 1e6:.1f} MFLOP a token: without what is left out for the prompt's positions"),
    ]


def graph(run: RunSpec, n_steps: int) -> list[dict]:
    """The losses of a pack of two whose steps are captured, and of one whose steps are not, after n_steps."""
    replayed, eager = pack_of(run, 2, "cuda"), pack_of(run, 2, "cuda")
    for batch in replayed.data(0, n_steps).unbind(1):
        losses = [step(batch).tolist() for step in (replayed.advance, eager.eager_step)]
    return [check(f"loss after {n_steps} steps of a CUDA graph", "nats", *losses, "step by step", "a member each")]


def precision(run: RunSpec, seeds: int, device: str = "cuda") -> list[dict]:
    """Accuracy on unseen rules of packs that multiply in bf16 and in fp32, seed by seed."""
    accuracy = {}
    for bf16 in (True, False):
        runs = [run.replace(seed=s, train=run.train.replace(bf16=bf16)) for s in range(seeds)]
        with tempfile.TemporaryDirectory() as folder:
            results = train_pack(runs, Path(folder) / "pack.safetensors", device=device)
        accuracy[bf16] = [r["metrics"]["unseen"]["exact_match"] for r in results]
    differences = [a - b for a, b in zip(accuracy[True], accuracy[False])]
    error = statistics.stdev(differences) / math.sqrt(seeds) if seeds > 1 else math.nan
    note = f"paired by seed, bf16 minus fp32: {statistics.mean(differences):+.4f}, standard error {error:.4f}"
    name = f"accuracy on unseen rules in bf16, {run.task.n_rules:,} rules, {run.model.n_layer} x {run.model.n_embd}"
    return [check(name, "exact match", accuracy[True], accuracy[False], "fp32", note)]


def measure(quick: bool = False) -> list[dict]:
    """The paper's model in bf16, and the laptop's runs in both precisions."""
    if not torch.cuda.is_available():
        raise NotHere(NO_GPU)
    if quick:
        return packed_step(sizes.with_adamw(sizes.tiny(), bf16=True), 4, 4, 2, most=4) + graph(sizes.tiny(), 4) + precision(sizes.tiny(), 2)
    paper = sizes.with_adamw(sizes.of_profile("paper"), bf16=True)
    return packed_step(paper, 8, 16, 5) + graph(sizes.of_profile("laptop"), 32) + precision(sizes.of_profile("laptop"), 8)


def main(minutes: float = 9.5) -> int:
    """Tests, benchmarks and the profile `paper`, until the minutes are over; the worst exit code."""
    if not torch.cuda.is_available():
        print(NO_GPU)
        return FAILED
    deadline = time.monotonic() + 60 * minutes
    ditune, paper = [sys.executable, "-c", "from ditune.cli import main; main()"], ["--profile", "paper", "--promote"]
    stages = [
        [sys.executable, "-m", "pytest", "-q", "-m", "gpu"],
        [*ditune, "bench", "gpu", "packs"],
        [*ditune, "compute", "02", *paper, "-p", "n_rules", FIRST, "-p", "n_seeds", "1"],
        *([*ditune, "compute", stem, *paper] for stem in sorted(experiments.SPECS)),
    ]
    codes = []
    for stage in stages:
        left = (deadline - time.monotonic()) / 60
        if left <= 0:
            break
        limit_of_stage = ["--limit-minutes", f"{left:.2f}"] if "compute" in stage else []
        print("==", *stage[1:], *limit_of_stage, flush=True)
        codes.append(subprocess.run([*stage, *limit_of_stage], cwd=Path(__file__).resolve().parents[1]).returncode)
    return max(code for code in codes if code != TIME_UP)


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:])))
