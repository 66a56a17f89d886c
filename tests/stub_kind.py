"""A kind of spec whose "training" is instant or slow at will, for the tests of the store and of the runner."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from ditune.records import KINDS, Kind
from ditune.specs import Spec


@dataclass(frozen=True)
class StubSpec(Spec):
    name: str = "a"
    seed: int = 0
    n_steps: int = 10
    step_s: float = 0.0
    fail: str = ""


def train(spec: StubSpec, checkpoint: Path, progress):
    """Count to n_steps, saving each step; every call appends a line to DITUNE_HOME/log: name, seed, first step, pid."""
    step = int(checkpoint.read_text()) if checkpoint.exists() else 0
    with open(Path(os.environ["DITUNE_HOME"]) / "log", "a") as log:
        log.write(json.dumps([spec.name, spec.seed, step, os.getpid()]) + "\n")
    while step < spec.n_steps:
        time.sleep(spec.step_s)
        step += 1
        checkpoint.write_text(str(step))
        progress(step, spec.n_steps)
        if spec.fail == "raise":
            raise ValueError("this spec fails")
        if spec.fail == "die":
            os.kill(os.getpid(), 9)
    metrics = {"unseen": {"exact_match": spec.seed / 10, "n": 10, "slices": {"k": {"1": [0.5, 4], "2": [1.0, 6]}}}}
    return {"metrics": metrics, "curve": [{"step": step, "loss": 0.5}], "tokens": 7, "wall_s": time.time(), "device": "cpu"}


def steps(spec: StubSpec) -> int:
    return spec.n_steps


KINDS["StubSpec"] = Kind(StubSpec, "stub_kind:train", ("specs.TaskSpec",), steps, steps)
