"""A kind of spec whose "training" is instant or slow at will, for the tests of the store and of the runner."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from ditune.specs import Spec
from ditune.store.kinds import Kind, register


@dataclass(frozen=True)
class StubSpec(Spec):
    name: str = "a"
    seed: int = 0
    n_steps: int = 10
    step_s: float = 0.0
    fail: str = ""


def train(spec: StubSpec, checkpoint: Path, progress):
    """Count to n_steps, saving each step; every call appends a line to DITUNE_HOME/log: name, seed, first step, pid."""
    return count([spec], spec.name, checkpoint, progress)[0]


def train_pack(specs: list[StubSpec], checkpoint: Path, progress):
    """The same for a pack; the name in the log tells its members."""
    return count(specs, " ".join(f"{spec.name}{spec.seed}" for spec in specs), checkpoint, progress)


def count(specs, name, checkpoint, progress):
    step = int(checkpoint.read_text()) if checkpoint.exists() else 0
    with open(Path(os.environ["DITUNE_HOME"]) / "log", "a") as log:
        log.write(json.dumps([name, specs[0].seed, step, os.getpid()]) + "\n")
    while step < specs[0].n_steps:
        time.sleep(specs[0].step_s)
        step += 1
        written = Path(os.environ["DITUNE_HOME"]) / f"step.{os.getpid()}"
        written.write_text(str(step))
        os.replace(written, checkpoint)  # a kill in the middle of writing leaves the step before, as in real checkpoints
        progress(step, specs[0].n_steps)
        if any(spec.fail == "raise" for spec in specs):
            raise ValueError("this spec fails")
        if any(spec.fail == "die" for spec in specs):
            os.kill(os.getpid(), 9)
    curve = [{"step": step, "loss": 0.5}]
    return [{"metrics": metrics(spec), "curve": curve, "tokens": 7, "wall_s": time.time(), "device": "cpu"} for spec in specs]


def metrics(spec: StubSpec) -> dict:
    return {"unseen": {"exact_match": spec.seed / 10, "n": 10, "slices": {"k": {"1": [0.5, 4], "2": [1.0, 6]}}}}


def steps(spec: StubSpec) -> int:
    return spec.n_steps


register(Kind(StubSpec, train, steps, steps, pack=train_pack, shape=steps, most=lambda spec: 2))
