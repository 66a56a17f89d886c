"""All that needs a GPU: a gate of tests, measurements, and the runs of the profile `paper`, the most telling first.

    DITUNE_COMMIT=... python -m benchmarks.gpu --minutes 8.5 --out DIR    on the machine with the GPU, from the repository root
    python -m benchmarks.gpu --unpack DIR/records.tar.gz   at home: the records go to results/, to be committed

What is computed is in DIR/records.tar.gz after every run, so that nothing is lost when the machine goes. What is recorded in
`results/` is not computed again: the same command goes on from what was brought home. `--rehearse` does all of it on a CPU with
tiny models. Where there is no git, DITUNE_COMMIT names the commit.
"""

import json
import math
import os
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from functools import partial
from pathlib import Path

import click
import torch

from ditune import notebooks, study
from ditune.rewriting import packs as member_packs
from ditune.rewriting.specs import RunSpec
from ditune.rewriting.tasks import Alphabet, row_length
from ditune.rewriting.train import Pack, train_pack
from ditune.specs import SpecError
from ditune.store import files, provenance, records
from ditune.store.kinds import kind_of

from . import limit, sizes
from .packs import largest_difference, pack_of, step_seconds
from .peers import Rows, gpt2, trainer_seconds
from .timing import NotHere, check, in_turn, matmul_rate, row
from .training import TRAINER, our_seconds

ROOT = Path(__file__).resolve().parents[1]
NO_GPU = "no GPU that torch can use; on a machine with one: python -m benchmarks.gpu"
PAPER_PLAN = (
    ("02", {"n_rules": [500, 10000, 1000, 300], "n_seeds": 1}),  # around the paper's threshold and far above it
    ("03", {"no_op_shares": [0.5], "n_rules": [500], "n_seeds": 1}),
    ("02", {"n_rules": [500], "n_seeds": 1, "train": {"optimizer": "muon", "n_steps": 5000}}),  # a variant of 07
    ("02", {"n_rules": [300, 400, 500, 600, 1000], "n_seeds": 3}),
    ("02", {"n_rules": [10000], "n_seeds": 3}),
    ("02", {"n_rules": [100000], "n_seeds": 1}),
    ("02", {"n_rules": [400], "n_seeds": 1, "train": {"n_steps": 100_000}}),  # do more steps move the threshold?
    ("04", {"occurrences": [[1], [1, 5, 10, 15, 20]], "n_rules": [1000], "n_seeds": 1}),
    ("06", {"tail_alphas": [0.03], "n_rules": [10000], "n_seeds": 1}),
    ("05", {"mixes": [["repeated"], ["repeated", "periodic", "mirrored"]], "k_ranges": [[3, 4]], "n_rules": [10000], "n_seeds": 1}),
)
"""Notebooks and parameters that differ from the profile `paper`, the most telling first."""
TINY_PLAN = (("02", {}), ("03", {"n_seeds": 1}))
"""Of the profile `smoke`, for a rehearsal."""
GATE = ["tests/test_train.py", "tests/test_tasks.py", "tests/test_scorers.py"]
"""The tests that need a GPU are in these files, which import nothing that such a machine lacks."""
GATE_S, EVALUATION_S = 200, 30  # seconds that the tests may take; that a run needs behind its last step
GATE_STEPS, MOST_DIFFERENCE = 20, 0.05  # nats: bf16 with a graph against fp32 step by step
MOST_MEMBERS = 64


def packed_step(run: RunSpec, n_steps: int, trainer_steps: int, repetitions: int, device: str = "cuda", most: int = MOST_MEMBERS) -> list[dict]:
    """Tokens a second of the largest pack that fits and of one run, against Trainer and against the rate of products."""
    fits = member_packs.pack_members(run) if device == "cuda" else most
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
        row(f"{what}, {m} models", "tokens/s", rates[m], rates[TRAINER], TRAINER),
        row(f"{what}, 1 model", "tokens/s", rates[1], rates[TRAINER], TRAINER),
        row(f"{what}, {m} models", "FLOP/s", [r * whole for r in rates[m]], best, "rate of matrix products, 8192 x 8192", None, f"credited with a whole pass of {whole / 1e6:.1f} MFLOP a token"),
        row(f"{what}, {m} models, work done", "FLOP/s", [r * done for r in rates[m]], best, "rate of matrix products, 8192 x 8192", None, f"{done / 1e6:.1f} MFLOP a token: without what is left out for the prompt's positions"),
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
    """The paper's model in bf16, and the study's runs in both precisions."""
    if not torch.cuda.is_available():
        raise NotHere(NO_GPU)
    if quick:
        return packed_step(sizes.with_adamw(sizes.tiny(), bf16=True), 4, 4, 2, most=4) + graph(sizes.tiny(), 4) + precision(sizes.tiny(), 2)
    paper = sizes.with_adamw(sizes.of_profile("paper"), bf16=True)
    return packed_step(paper, 8, 16, 5) + graph(sizes.of_profile("study"), 32) + precision(sizes.of_profile("study"), 8)


# ---- the plan --------------------------------------------------------------------------------------------------------


def planned(plan, profile: str) -> list[RunSpec]:
    """The trainings of a plan, in its order, that have no record; what is no training of a rewriter is left out."""
    found = []
    for stem, changes in plan:
        overrides = [(name, json.dumps(value)) for name, value in changes.items()]
        (one,) = notebooks.plan([stem], profile, overrides)
        found += [spec for spec in one.specs if type(spec) is RunSpec]
    return study.stale(dict.fromkeys(found))


def gate(rehearse: bool) -> bool:
    """Whether the tests that need a GPU pass in time; in a rehearsal whether they can be collected."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "gpu", *GATE] + ["--collect-only"] * rehearse
    try:
        return subprocess.run(command, cwd=ROOT, timeout=GATE_S).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def agrees(run: RunSpec, device: str) -> dict:
    """The largest difference of the loss, in nats, between GATE_STEPS steps in bf16 as they are run here and in fp32 step by
    step, at the sizes of a run."""
    fast = Pack([run.replace(train=run.train.replace(bf16=True))], device)
    plain = Pack([run.replace(train=run.train.replace(bf16=False))], device, compiled=False)
    batches = plain.data(0, GATE_STEPS).unbind(1)
    losses = [[step(batch).item() for batch in batches] for step in (fast.advance, plain.eager_step)]
    ours, theirs = map(torch.tensor, losses)
    return {"losses": losses, "difference": (ours - theirs).abs().max().item()}  # of what is no number: no number


def kernels(run: RunSpec, device: str) -> list[dict]:
    """The 25 kernels that take longest in four steps."""
    pack = Pack([run], device)
    batches = pack.data(0, 8).unbind(1)
    for batch in batches[:4]:
        pack.advance(batch)
    with torch.profiler.profile() as profile:
        for batch in batches[4:]:
            pack.advance(batch)
    name = "device_time_total" if device == "cuda" else "cpu_time_total"
    longest = sorted(profile.key_averages(), key=lambda event: getattr(event, name), reverse=True)[:25]
    return [{"kernel": event.key, "us": getattr(event, name) / 4, "calls": event.count / 4} for event in longest]


def step_times(run: RunSpec, device: str) -> dict[int, float]:
    """Milliseconds of a step of packs of 1, 2 and 4 members: the best of three, after one that warms up."""
    found = {}
    for m in (1, 2, 4):
        measure = step_seconds(pack_of(run, m, device), 64 if device == "cuda" else 4)
        measure()
        found[m] = 1e3 * min(measure() for _ in range(3))
    return found


def bring_home(out: Path, measures: dict) -> None:
    """Write the records of this machine and what was measured to a tar in `out`, whole or not at all."""
    with files.replacing(out / "records.tar.gz") as temporary, tarfile.open(temporary, "w:gz") as tar:
        for path in sorted(records.local().glob("????????????????.json")):  # those of failures stay
            tar.add(path, f"results/{path.name}")
    files.write(out / "measures.json", json.dumps(measures, indent=1))


def unpack(archive: Path) -> list[Path]:
    """Put the records of an archive into `results/`; whatever else is in it is refused."""
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            if not re.fullmatch(r"results/[0-9a-f]{16}\.json", member.name) or not member.isfile():
                raise SpecError(f"{archive} holds {member.name!r}; allowed: results/KEY.json")
        texts = {member.name: tar.extractfile(member).read().decode() for member in tar.getmembers()}
    found = {records.results() / Path(name).name: text for name, text in texts.items()}
    for path, text in found.items():
        files.write(path, text)
    return list(found)


def passed_gate(run: RunSpec, device: str, out: Path, rehearse: bool) -> dict:
    """What was measured behind the gate; on a machine that has passed it with this code it is read. ClickException where a
    test fails, or where bf16 is not fp32 to within its error, with cuDNN's attention and without."""
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    made_by = [name, kind_of(run).code(), torch.__version__]
    state = records.home() / "gpu.json"
    if state.exists() and (known := json.loads(state.read_text()))["made_by"] == made_by:
        torch.backends.cuda.enable_cudnn_sdp(known["cudnn"])
        return known
    if not gate(rehearse):
        raise click.ClickException("the tests that need a GPU fail or take too long; nothing was trained")
    measures = {"made_by": made_by, "cudnn": True, "gate": agrees(run, device), "failed": {}}
    bring_home(out, measures)
    if not measures["gate"]["difference"] <= MOST_DIFFERENCE:
        torch.backends.cuda.enable_cudnn_sdp(False)
        torch._dynamo.reset()
        measures |= {"cudnn": False, "gate": agrees(run, device), "gate_with_cudnn": measures["gate"]}
        bring_home(out, measures)
    if not measures["gate"]["difference"] <= MOST_DIFFERENCE:
        raise click.ClickException(f"bf16 differs from fp32 by {measures['gate']['difference']} nats; nothing was trained")
    for measure in (step_times, kernels):
        try:
            measures[measure.__name__] = measure(run, device)
        except Exception as error:  # a profiler that is not there must not cost the trainings
            measures["failed"][measure.__name__] = repr(error)
    bring_home(out, measures)
    files.write(state, json.dumps(measures))
    return measures


def seconds_of(spec: RunSpec, run: RunSpec, measures: dict) -> float:
    """About how long a training takes here, from the time of a step of `run`."""
    ms = measures.get("step_times", {}).get(1) or measures.get("step_times", {}).get("1") or 0.0
    each = kind_of(run).seconds(run) / run.train.n_steps
    return EVALUATION_S + 1e-3 * ms * kind_of(spec).seconds(spec) / each


@click.command()
@click.option("--minutes", default=8.5, help="Stop then; the same command goes on from there.")
@click.option("--out", type=click.Path(path_type=Path), default=Path(os.environ.get("OUT", "out")), help="Results.")
@click.option("--rehearse", is_flag=True, help="On a CPU with tiny models.")
@click.option("--unpack", "archive", type=click.Path(exists=True, path_type=Path), help="Put records into results/.")
def main(minutes: float, out: Path, rehearse: bool, archive: Path | None) -> None:
    """Gate, measurements, and the paper's runs one after the other; one that does not fit any more is not begun."""
    if archive:
        click.echo(f"{len(unpack(archive))} records in {records.results()}")
        return
    if not rehearse and not torch.cuda.is_available():
        raise click.ClickException(NO_GPU)
    if not rehearse and not provenance.git_state()["commit"]:
        raise click.ClickException("there is no git here: set DITUNE_COMMIT, which the records keep")
    torch.set_num_threads(1)  # as in trainings: what is compiled is compiled for a number of threads
    deadline, device = time.monotonic() + 60 * minutes, "cpu" if rehearse else "cuda"
    run = sizes.with_adamw(sizes.tiny() if rehearse else sizes.of_profile("paper"), bf16=not rehearse)
    todo = planned(*((TINY_PLAN, "smoke") if rehearse else (PAPER_PLAN, "paper")))
    measures = passed_gate(run, device, out, rehearse)
    for spec in todo:
        left = deadline - time.monotonic()
        if left < seconds_of(spec, run, measures):
            continue
        try:
            study.compute([spec], 1, f"{spec.task.n_rules:,} rules", minutes=left / 60)
        except study.RunsFailed as error:
            measures["failed"][spec.key] = str(error)
        bring_home(out, measures)
    if device == "cuda" and (made := torch.compiler.save_cache_artifacts()):
        (out / "compiled.bin").write_bytes(made[0])
    click.echo(f"{len(todo) - len(study.stale(todo))} of {len(todo)} runs; {out / 'records.tar.gz'}")


if __name__ == "__main__":
    main()
