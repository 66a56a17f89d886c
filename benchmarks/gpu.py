"""A packed step at the paper's size on a GPU: against the card's own rate, against Trainer, and bf16 against fp32.

All that needs a GPU, in one command of under ten minutes, from the repository root:

    python -m benchmarks.gpu [MINUTES]

runs the tests that need a GPU, this benchmark and that of packs (packed against alone), and then trains the profile
`paper` and copies its records to `results/`: first one seed of the most telling cells of each of the notebooks 02 to 06,
`FIRST`, each a pack of a few runs, then further seeds and whole notebooks, until the minutes are over. The same command
goes on from there; what is measured is not measured again.
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

from ditune.cli import FAILED, TIME_UP
from ditune.report import bench
from ditune.rewriting import packs as member_packs
from ditune.rewriting.specs import RunSpec
from ditune.rewriting.tasks import Alphabet, row_length
from ditune.rewriting.train import train_pack

from . import limit, sizes
from .packs import largest_difference, pack_of
from .peers import Rows, gpt2, trainer_seconds
from .timing import NotHere, check, in_turn, matmul_rate, row
from .training import TRAINER, our_seconds

NO_GPU = "no GPU that torch can use; on a machine with one: python -m benchmarks.gpu"
FIRST = (
    ("02", {"n_rules": [300, 500, 1000, 10000]}),  # around the paper's threshold and far above it
    ("04", {"occurrences": [[1], [1, 5, 10, 15, 20]], "n_rules": [1000]}),
    ("03", {"no_op_shares": [0.5], "n_rules": [500, 10000]}),
    ("06", {"tail_alphas": [0.03], "n_rules": [10000]}),
    ("05", {"mixes": [["repeated"], ["repeated", "periodic", "mirrored"]], "k_ranges": [[3, 4]], "n_rules": [10000]}),  # rows 2.5 times as long
)
"""Notebooks and parameters, the most telling first; every run is one of the profile `paper`."""
FURTHER_SEEDS = {"first_seed": 1, "n_seeds": 2}
WHOLE = ("02", "03", "04", "05", "06", "07")
MOST_MEMBERS = 64
SLACK_S = 20  # seconds that a stage may take beyond its limit: it starts, and ends a step, before and after the limit is looked at


def packed_step(run: RunSpec, n_steps: int, trainer_steps: int, repetitions: int, device: str = "cuda", most: int = MOST_MEMBERS) -> list[dict]:
    """Tokens a second of the largest pack that fits and of one run, against Trainer and against the rate of products."""
    fits = member_packs.pack_size(member_packs.member_bytes(run), member_packs.free_bytes()) if device == "cuda" else most
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
        row(f"{what}, {m} models", "FLOP/s", [r * whole for r in rates[m]], best, "rate of matrix products, 8192 x 8192", None, f"credited with a whole pass of {whole / 1e6:.1f} MFLOP a token"),
        row(f"{what}, {m} models, work done", "FLOP/s", [r * done for r in rates[m]], best, "rate of matrix products, 8192 x 8192", 0.4, f"{done / 1e6:.1f} MFLOP a token: without what is left out for the prompt's positions"),
    ]


def graph(run: RunSpec, n_steps: int) -> list[dict]:
    """The losses of a pack of two whose steps are captured, and of one whose steps are not, after n_steps."""
    replayed, eager = pack_of(run, 2, "cuda"), pack_of(run, 2, "cuda")
    for batch in replayed.data(0, n_steps).unbind(1):
        losses = [step(batch).tolist() for step in (replayed.advance, eager.eager_step)]
    note = f"largest difference of a member {largest_difference(*losses):.1e}"
    return [check(f"loss after {n_steps} steps of a CUDA graph", "nats", *losses, "step by step", note)]


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


def stages(measured: bool) -> list[list[str]]:
    """The commands in their order; without tests and benchmarks where these have been measured on this GPU."""
    ditune = [sys.executable, "-c", "from ditune.cli import main; main()"]
    checks = [[sys.executable, "-m", "pytest", "-q", "-m", "gpu"], [*ditune, "bench", "gpu", "packs"]]
    cells = [(stem, changes | {"n_seeds": 1}) for stem, changes in FIRST] + [(FIRST[0][0], FIRST[0][1] | FURTHER_SEEDS)]
    cells += [(stem, {}) for stem in WHOLE]
    parameters = [[word for name, value in changes.items() for word in ("-p", name, str(value))] for _, changes in cells]
    trainings = [[*ditune, "compute", stem, "--profile", "paper", "--promote", *words] for (stem, _), words in zip(cells, parameters)]
    return ([] if measured else checks) + trainings


def known() -> bool:
    """Whether the benchmark has been measured on this GPU."""
    return any(bench.gpu_name() == content["machine"]["gpu"] and content["benchmarks"].get("gpu", {}).get("rows") for content in bench.read())


def main(minutes: float = 9.5) -> int:
    """Tests, benchmarks and the profile `paper`, until the minutes are over; the worst exit code."""
    if not torch.cuda.is_available():
        print(NO_GPU)
        return FAILED
    deadline, codes = time.monotonic() + 60 * minutes, [0]
    for stage in stages(known()):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        training = "compute" in stage
        stage += ["--limit-minutes", f"{left / 60:.2f}"] if training else []
        print("==", *stage[1:], flush=True)
        try:
            code = subprocess.run(stage, cwd=Path(__file__).resolve().parents[1], timeout=left + SLACK_S).returncode
        except subprocess.TimeoutExpired:
            print(f"stopped after {minutes:g} minutes; a training goes on from its checkpoint")
            break
        codes.append(0 if training and code == TIME_UP else code)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:])))
