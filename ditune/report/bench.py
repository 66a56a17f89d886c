"""Run the speed comparisons in `benchmarks/` and keep their figures: one JSON file a machine in `results/benchmarks/`.

A benchmark is a module with a function `measure(quick)` that returns rows (`benchmarks/timing.py` says what is in one).
The file holds every row with all its repetitions and what made it. A benchmark that fails loses nothing but itself.
"""

import datetime
import importlib
import json
import os
import re
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from .. import __version__
from ..specs import SpecError, unknown
from ..store import guard, provenance, records
from ..store.backends import ONE_THREAD

NAMES = ("generator", "training", "evaluation", "uncertainty", "packs", "generalise", "gpu")
"""The benchmarks, in the order in which they run."""


def checkout() -> Path:
    """The folder that holds `benchmarks/`: these programs are not installed with the package."""
    return guard.PACKAGE.parent


def choose(names: list[str]) -> list[str]:
    """The benchmarks to run, all that there are if none is named; a SpecError where there is no such."""
    there = [name for name in NAMES if (checkout() / "benchmarks" / f"{name}.py").exists()]
    if not there:
        raise SpecError(f"ditune bench needs a checkout of the repository: no folder benchmarks in {checkout()}")
    for name in names:
        if name not in there:
            raise unknown("benchmark", name, there)
    return [name for name in there if not names or name in names]


def run(names: list[str], quick: bool = False, show: Callable[[str], None] = lambda name: None) -> tuple[Path, dict]:
    """Measure in this process on one core; returns the file written and its content.

    What the file already holds of other benchmarks stays. With `quick` tiny sizes are run, to see that all works; the
    file then goes to `.ditune/benchmarks/`, where nothing takes it for a measurement.
    """
    prepare()
    made = {}
    for name in choose(names):
        show(name)
        made[name] = one(name, quick)
        path, content = write(made, quick)  # after each, so that an interruption loses none
    return path, content


def prepare():
    """One thread, freed memory kept as in training, and no chatter."""
    os.environ.update(ONE_THREAD | {"TRANSFORMERS_VERBOSITY": "error"})
    import torch

    from ..store.threads import keep_freed_memory

    torch.set_num_threads(1)
    keep_freed_memory()
    if str(checkout()) not in sys.path:
        sys.path.insert(0, str(checkout()))


def one(name: str, quick: bool) -> dict:
    """The rows of a benchmark, or why there are none, and what made them."""
    started, rows, failed, skipped = time.perf_counter(), [], None, None
    try:
        rows = importlib.import_module(f"benchmarks.{name}").measure(quick=quick)
    except Exception as error:
        if type(error).__name__ == "NotHere":
            skipped = str(error)
        else:
            failed = traceback.format_exc()
    return {
        "rows": rows,
        "error": failed,
        "skipped": skipped,
        "wall_s": time.perf_counter() - started,
        "ditune": __version__,
        "git": provenance.git_state(),
        "libraries": provenance.libraries(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def write(made: dict, quick: bool) -> tuple[Path, dict]:
    """Add to the file of this machine; returns it and its content."""
    machine = provenance.machine() | {"gpu": gpu_name()}
    path = (records.home() / "benchmarks" if quick else folder()) / f"{slug(machine)}.json"
    before = json.loads(path.read_text(encoding="utf-8"))["benchmarks"] if path.exists() else {}
    both = before | made
    content = {"machine": machine, "quick": quick, "benchmarks": {name: both[name] for name in NAMES if name in both}}
    records.write(path, json.dumps(content, indent=1) + "\n")
    return path, content


def gpu_name() -> str | None:
    """The name of the GPU that torch can use."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def slug(machine: dict) -> str:
    """The name of a machine's file.

    >>> slug({"cpu": "AMD EPYC (Milan)", "cores": 2, "gpu": None}), slug({"cpu": "x", "cores": 8, "gpu": "NVIDIA H200"})
    ('amd-epyc-milan-2-cores', 'nvidia-h200')
    """
    name = machine["gpu"] or f"{machine['cpu']} {machine['cores']} cores"
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")


# ---- reading ---------------------------------------------------------------------------------------------------------


def folder() -> Path:
    """The folder of committed measurements."""
    return records.results() / "benchmarks"


def files() -> list[Path]:
    """The committed measurements, a file a machine."""
    return sorted(folder().glob("*.json"))


def read() -> list[dict]:
    """The content of all files."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in files()]


def comparisons(content: dict) -> list[dict]:
    """The rows of a file that compare ours with a peer."""
    return [row for made in content["benchmarks"].values() for row in made["rows"] if "ratio" in row]


def points(content: dict) -> list[dict]:
    """The rows of a file that are points of a curve."""
    return [row for made in content["benchmarks"].values() for row in made["rows"] if "curve" in row]


def reached(row: dict) -> str:
    """Whether a comparison reaches what was aimed at: "yes", "no", or nothing where no target was set."""
    target = row.get("target")
    return "" if target is None else "yes" if row["ratio"] >= target else "no"


def ratio(row: dict) -> str:
    """A ratio in three digits, marked where it is a lower bound."""
    return f"{'over ' if row.get('at_least') else ''}{row['ratio']:.3g}"


def short(value: float) -> str:
    """A quantity in four digits: 1234.5 -> 1,234 and 0.01234 -> 0.01234.

    >>> short(1234.5), short(0.0123456)
    ('1,234', '0.01235')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def printed(content: dict, names: list[str]) -> list[dict]:
    """The comparisons and curves of the named benchmarks as rows of one table."""
    rows = []
    for name in names:
        for row in content["benchmarks"][name]["rows"]:
            place = row.get("x", row.get("part", row.get("if")))
            of = row.get("what") or row.get("check")
            of = of or f"{row.get('curve') or row.get('share_of') or row['bound_of']}: {place}"
            rows.append(
                {"what": of, "ours": short(row["ours"])}
                | dict.fromkeys(("peer", "unit", "ratio", "target", "reached", "against"), "")
            )
            rows[-1]["unit"] = row["unit"]
            if "check" in row:
                rows[-1] |= {"peer": short(row["peer"]), "against": row["peer_name"]}
            if "ratio" in row:
                rows[-1] |= {
                    "peer": short(row["peer"]),
                    "ratio": ratio(row),
                    "target": row.get("target") or "",
                    "reached": reached(row),
                    "against": row["peer_name"],
                }
    return rows
