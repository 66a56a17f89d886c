"""What is tried to break it, at random but from a seed: kills, wrong calls, damaged files; and the tests of signals, Dask
and hostile programs. Counts go to book/tried/, which the page "What was tried to break it" shows.

    python -m tests.harm                                                  # twenty minutes and more
    python tests/harm.py --kills 6 --calls 60 --files 60 --no-tests       # two minutes
"""

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path

from ditune import cli, notebooks
from ditune.rewriting.specs import RunSpec
from ditune.store import files, provenance, records

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "book" / "tried"
TASK = {"alphabet_size": 4, "x_len": 2, "y_len": 2, "z_len": 5, "n_rules": 20, "n_examples": 2000}
MODEL = {"n_layer": 1, "n_head": 2, "n_embd": 16}
TRAIN = {"n_steps": 3200, "batch_size": 16, "n_evals": 2, "lr": 3e-3}
SPECS = [RunSpec.of(task=TASK, model=MODEL, train=TRAIN, evals=[{"n_examples": 50}], seed=seed) for seed in range(2)]
COMPUTE = f"""
import sys
from ditune import study
from ditune.rewriting import train
from ditune.rewriting.specs import RunSpec
train.SAVE_EVERY_S = 0
if __name__ == "__main__":
    study.compute([RunSpec.of(**spec) for spec in {[spec.to_dict() for spec in SPECS]}], jobs=int(sys.argv[1]))
"""
GROUPS = {
    "signals while workers start and while they compute": ("test_study.py", "signals"),
    "Dask: schedulers lost, workers that die, are missing or have other sources": ("test_study.py", "dask"),
    "hostile programs in the sandbox": ("test_sandbox.py", "attempt_is_refused or ends_in_time or outlives"),
}


# ---- kills -----------------------------------------------------------------------------------------------------------


def kills(n: int, draw: random.Random) -> tuple[int, list[str]]:
    """kill -9 of the parent, of a worker or of all, at random moments of two trainings; what is recorded in the end is
    compared with trainings that nobody disturbed."""
    fell, done = [], 0
    with a_home():
        program = Path(os.environ["DITUNE_HOME"]) / "compute.py"
        program.write_text(COMPUTE)

        def start(jobs=2):
            words = [sys.executable, str(program), str(jobs)]
            environment = os.environ | {"PYTHONPATH": str(TESTS.parent)}
            return subprocess.Popen(words, start_new_session=True, env=environment, stderr=subprocess.DEVNULL)

        start(1).wait()
        whole = {spec: records.repeatable(records.find(spec).data) for spec in SPECS}
        forget()
        while done < n:
            process, whom = start(), draw.choice(["parent", "worker", "all"])
            time.sleep(draw.uniform(0.2, 9))
            if process.poll() is None:
                done += 1
                kill(process.pid, whom, draw)
                if whom != "worker":
                    process.wait()
            process.wait(300)
            if whom == "all" and draw.random() < 0.5:
                continue  # it is killed once more before it ends
            start().wait()
            for spec in SPECS:
                record = records.find(spec, [records.local()])
                if not record or record.result is None or records.repeatable(record.data) != whole[spec]:
                    fell.append(f"{whom}, kill {done}: another record")
            forget()
    return done, fell


def kill(pid: int, whom: str, draw: random.Random) -> None:
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        if whom == "all":
            os.killpg(pid, signal.SIGKILL)
            return
        workers = [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        workers = [p for p in workers if b"spawn_main" in Path(f"/proc/{p}/cmdline").read_bytes()]
        os.kill(draw.choice(workers) if whom == "worker" and workers else pid, signal.SIGKILL)


@contextlib.contextmanager
def a_home():
    """An empty folder for what is computed."""
    before = os.environ.get("DITUNE_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DITUNE_HOME"] = folder
        try:
            yield Path(folder)
        finally:
            os.environ.pop("DITUNE_HOME")
            os.environ |= {"DITUNE_HOME": before} if before else {}


def forget() -> None:
    shutil.rmtree(records.local(), ignore_errors=True)


# ---- wrong calls -----------------------------------------------------------------------------------------------------


def wrong_calls() -> list[list[str]]:
    """Every parameter of every notebook with values of wrong types and forms; unknown names; wrong options."""
    found = [["rum"], ["run", "--jobs", "0"], ["run", "--jobs", "x"], ["run", "--profile", "stdy"], ["run", "--nosuch"]]
    found += [["compute"], ["compute", "0" * 16], ["compute", "02", "--client", ""], ["compute", "02", "--client", "x"]]
    found += [["compute", "02", "--limit-minutes", value] for value in ("-1", "nan", "x", "")] + [["bench", "nosuch"]]
    for stem in notebooks.stems():
        number = stem.partition("_")[0]
        found += [["run", number, "-p", f"{stem[3:]}x", "1"], ["run", f"{stem}x"], ["run", number, "--check", "some"]]
        for name, value in notebooks.defaults(stem).items():
            wrong = ["[" * 2000, "{a: 1, a: 2}", "'", "&a [*a]", "9" * 5000 if not isinstance(value, str) else "[x]"]
            if isinstance(value, bool) or isinstance(value, str):
                wrong += ["3", "[a]", "{a: b}"]
            elif isinstance(value, (int, float)):
                wrong += ["x", "[1]", ".nan", "-.inf", "{a: 1}", "true", "-1e400"]
            elif isinstance(value, list):
                wrong += ["3", "x", "[[[x]]]", "[.nan]", "{a: 1}", "[]"]
            elif isinstance(value, dict):
                wrong += ["3", "[1]", "{nosuch_field: 1}", "x"]
            if value is not None:
                found += [["run", number, "-p", name, text] for text in wrong]
    return found


def calls(n: int, draw: random.Random) -> tuple[int, list[str]]:
    """Wrong calls of the command line: one line, exit code 2, and nothing has started."""
    fell, all_calls = [], wrong_calls()
    with a_home() as home:
        for words in draw.sample(all_calls, min(n, len(all_calls))):
            code, error = call([*words, "--dry-run"] if words[0] == "run" else words)
            if code != 2 or error.count("\n") != 1 or list(home.iterdir()):
                fell.append(f"{' '.join(words)[:80]}: exit code {code}, {error.count(chr(10))} lines")
    return min(n, len(all_calls)), fell


def call(words: list[str]) -> tuple[int | str, str]:
    """Exit code and standard error of the command line."""
    sys.argv, error = ["ditune", *words], io.StringIO()
    with contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
        try:
            cli.main()
        except SystemExit as end:
            return end.code or 0, error.getvalue()
        except BaseException as other:
            return type(other).__name__, error.getvalue()


# ---- damaged files ---------------------------------------------------------------------------------------------------


def damaged_files(n: int, draw: random.Random) -> tuple[int, list[str]]:
    """Records and checkpoints with random bytes changed, zeroed, cut off or doubled: what is read is what was written,
    or nothing."""
    import torch

    fell = []
    with a_home() as home, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec, point = SPECS[0], home / "point.safetensors"
        curve = [{"step": step, "loss": 1 / (1 + step)} for step in range(20)]
        result = {"metrics": {"unseen": {"exact_match": 0.25, "nll": 1.5, "n": 50}}, "curve": curve, "device": "cpu"}
        record = records.save(records.make(spec, result))
        state, tensors = {"step": 7, "curve": curve}, {"flat": torch.arange(500.0), "m": torch.randn(20, 20)}
        files.save_checkpoint(point, state, tensors)
        kept = {record: record.read_bytes(), point: point.read_bytes()}
        for i in range(n):
            path = (record, point)[i % 2]
            damage, content = damaged(kept[path], draw)
            path.write_bytes(content)
            if path == record:
                found = records.find(spec, [records.local()])
                right = found is None or found.result == result
                records._parsed.cache_clear()
            else:
                found = files.load_checkpoint(point)
                same = found and found[0] == state and found[1].keys() == tensors.keys()
                right = not found or (same and all(torch.equal(found[1][name], tensors[name]) for name in tensors))
            if not right:
                fell.append(f"{path.name}: {damage}")
    return n, fell


def damaged(content: bytes, draw: random.Random) -> tuple[str, bytes]:
    place, length = draw.randrange(len(content)), draw.choice([1, 1, 1, 8, 100])
    end = place + length
    return draw.choice([
        (f"cut at {place}", content[:place]),
        (f"{length} bytes zero at {place}", content[:place] + bytes(length) + content[end:]),
        (f"{length} bytes changed at {place}", content[:place] + draw.randbytes(length) + content[end:]),
        (f"a digit changed after {place}", content[:place] + content[place:].translate(bytes.maketrans(b"1", b"2"))),
        (f"{length} bytes twice at {place}", content[:end] + content[place:]),
    ])  # fmt: skip


# ---- counts ----------------------------------------------------------------------------------------------------------


def of_tests(file: str, words: str) -> tuple[int, list[str]]:
    """Tests by name: how many there are and which fail; those that are left out here are not counted."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        marks = ["-m", "slow or not slow", "-q", "-p", "no:cacheprovider"]
        words = [sys.executable, "-m", "pytest", str(TESTS / file), "-k", words, *marks, f"--junitxml={report}"]
        subprocess.run(words, cwd=TESTS.parent, stdout=subprocess.DEVNULL)
        cases = [case for case in ET.parse(report).iter("testcase") if case.find("skipped") is None]
    return len(cases), [c.get("name") for c in cases if c.find("failure") is not None or c.find("error") is not None]


def write(counts: dict) -> None:
    """The counts as JSON, and as the table of the page."""
    files.write(PAGE / "counts.json", json.dumps(counts, indent=1) + "\n")
    lines = ["| tried | times | held |", "|---|--:|--:|"]
    lines += [f"| {what} | {row['tried']} | {row['tried'] - len(row['fell'])} |" for what, row in counts["rows"].items()]
    fell = [f"- {what}: {text}" for what, row in counts["rows"].items() for text in row["fell"]]
    made = f"Counted on {counts['date']}, {counts['python']}, by `tests/harm.py`."
    files.write(PAGE / "table.txt", "\n".join([*lines, "", made, "", *fell]).rstrip() + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, n in (("kills", 50), ("calls", 250), ("files", 500), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=n)
    parser.add_argument("--no-tests", action="store_true", help="leave out the groups of tests")
    asked = parser.parse_args()
    counts = {"date": time.strftime("%Y-%m-%d"), "python": f"Python {provenance.libraries()['python']}", "rows": {}}
    if (PAGE / "counts.json").exists():
        counts["rows"] = json.loads((PAGE / "counts.json").read_text())["rows"]
    parts = {
        "kill -9 of the parent, a worker or all processes during trainings; the records are compared bit for bit":
            (kills, asked.kills),
        "wrong calls of the command line: one line, exit code 2, nothing has started": (calls, asked.calls),
        "records and checkpoints with damaged bytes: read as they were written, or computed again":
            (damaged_files, asked.files),
    }  # fmt: skip
    parts = {what: (part, n, random.Random(asked.seed)) for what, (part, n) in parts.items() if n}
    parts |= {} if asked.no_tests else {what: (of_tests, *words) for what, words in GROUPS.items()}
    for what, (part, *options) in parts.items():
        tried, fell = part(*options)
        counts["rows"][what] = {"tried": tried, "fell": fell}
        print(f"{tried - len(fell)} of {tried}: {what}", *fell, sep="\n  ", flush=True)
        write(counts)
    return any(row["fell"] for row in counts["rows"].values())


if __name__ == "__main__":
    sys.exit(main())
