"""The command line: a mistake is one line and exit code 2 within two seconds; a failure is exit code 1."""

import errno
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stub_kind import StubSpec

from ditune import cli, notebooks
from ditune.rewriting.specs import RunSpec
from ditune.store import guard, records

OWN = notebooks.module_of


@pytest.fixture(autouse=True)
def stubs(study_folder, chapter):
    fails = {"raise": "raise"}
    chapter(lambda n_seeds, name, **_: [StubSpec(seed=s, fail=fails.get(name, "")) for s in range(n_seeds)])


@pytest.fixture
def ditune(monkeypatch, capfd):
    """Call the command line: exit code, standard output, standard error."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["ditune", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code or 0, *capfd.readouterr()

    return call


def in_a_new_python(*words):
    program = "from ditune.cli import main; main()"
    started = time.monotonic()
    environment = os.environ | {"PYTHONPATH": str(guard.PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, env=environment)
    return done, time.monotonic() - started


@pytest.mark.parametrize("words, message", [
    (["run", "02", "-p", "n_rule", "3"], "unknown parameter 'n_rule'; did you mean 'n_rules'?"),
    (["run", "02", "-p", "n_seeds"], "requires 2 arguments"),
    (["run", "--profil", "study"], "--profile"),
    (["rum"], "No such command 'rum'"),
    (["run", "--jobs", "0"], "'--jobs'"),
    (["compute", "02", "--profile", "smok"], "did you mean 'smoke'?"),
    (["compute", "0123456789abcdef"], "no record '0123456789abcdef'"),
    (["compute"], "NOTEBOOK"),
    (["compute", "0123456789abcdef", "-p", "n_seeds", "3"], "takes no --profile and no -p"),
    (["compute", "02", "--limit-minutes", "-5"], "'--limit-minutes'"),
    (["compute", "02", "--limit-minutes", "nan"], "nan is not a number of minutes"),
    (["run", "02", "-p", "n_seeds", "9" * 5000], "n_seeds = '9999"),
    (["run", "02", "-p", "rate", "9" * 400], "rate = '999"),
    (["run", "02", "-p", "n_rules", "[" * 3000], "is not valid YAML: too many brackets"),
    (["compute", "02", "--client", ""], "no Dask scheduler at '': the address is empty"),
])
def test_a_mistake_is_one_line_and_exit_code_2(ditune, words, message):
    code, out, error = ditune(*words)
    assert code == 2 and out == "" and message in error and error.startswith("ditune: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("number, name, value, message", [
    ("01", "task", "{x_len: 9, z_len: 6}", "TaskSpec.z_len = (6, 6)"),
    ("01", "task", "{foo: 9}", "unknown TaskSpec field 'foo'"),
    ("01", "seed", "-1", "seed = -1"),
    ("01", "n_examples", "-5", "n_examples = -5; allowed: 1 to"),
    ("02", "task", "{1: 2}", "unknown TaskSpec field '1'"),
    ("02", "task", "{n_rules: 7}", "holds n_rules"),
    ("02", "n_seeds", "100000000", "n_seeds = 100000000; allowed: 1 to 1000"),
    ("02", "n_rules", "[]", "at least one value"),
    ("02", "n_test", "1000000000000000000000", "EvalSpec.n_examples = 1000000000000000000000"),
    ("02", "train", "{lr: .inf}", "TrainSpec.lr = inf; allowed: a finite number"),
    ("02", "model", "{n_embd: 1000000000000}", "n_embd = 1000000000000"),
])
def test_a_mistake_in_a_parameter_of_a_real_notebook_is_found_before_anything_starts(ditune, monkeypatch, number, name, value, message):
    monkeypatch.setenv("DITUNE_ROOT", str(guard.PACKAGE.parent))
    monkeypatch.setattr(notebooks, "module_of", OWN)
    code, out, error = ditune("run", number, "--dry-run", "-p", name, value)
    assert code == 2 and out == "" and message in error and error.count("\n") == 1


def test_a_mistake_is_reported_within_two_seconds_and_nothing_starts(study_folder):
    done, seconds = in_a_new_python("run", "02", "-p", "n_rule", "3")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "did you mean 'n_rules'?" in done.stderr
    assert seconds < 2
    assert list((study_folder / "home").iterdir()) == []


def test_help_is_fast_and_imports_nothing_heavy():
    done, seconds = in_a_new_python("--help")
    assert done.returncode == 0 and "compute" in done.stdout and seconds < 1.5
    program = "import sys; from ditune import cli, notebooks, study; print([m for m in ('torch', 'pandas', 'papermill', 'nbformat') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=guard.PACKAGE.parent)
    assert done.stdout == "[]\n"


def test_compute_records_and_promotes_without_jupyter(ditune, study_folder):
    assert ditune("compute", "02", "--jobs", "1", "--promote")[:2] == (0, f"2 of 2 runs recorded\n2 records copied to {records.results()}\n")
    assert len(list(records.results().glob("*.json"))) == 2
    assert ditune("compute", "02_rules", "-p", "n_seeds", "3", "--jobs", "1")[:2] == (0, "3 of 3 runs recorded\n")
    assert not (study_folder / "book").exists()


def test_a_record_names_the_command_that_computes_it_again(ditune, study_folder):
    ditune("compute", "02", "--jobs", "1")
    command = records.find(StubSpec(seed=1)).data["command"].split()
    assert command[0] == "ditune" and ditune(*command[1:])[:2] == (0, "1 of 1 runs recorded\n")
    assert len((study_folder / "home/log").read_text().splitlines()) == 3


def test_a_key_is_computed_again_in_a_new_process(study_folder):
    spec = RunSpec.of(task={"n_rules": 4, "n_examples": 8}, model={"n_layer": 1, "n_head": 1, "n_embd": 8}, train={"n_steps": 1, "batch_size": 2}, evals=[{"n_examples": 2}])
    records.save(records.make(spec, None, "killed"))
    done, _ = in_a_new_python("compute", spec.key, "--jobs", "1")
    assert (done.returncode, done.stdout) == (0, "1 of 1 runs recorded\n"), done.stderr


def a_file(path):
    path.write_text("")


def a_loop(path):
    path.symlink_to(path)


@pytest.mark.parametrize("place, make", [("home", a_file), ("home", a_loop), ("home/locks", a_file), ("home/checkpoints", a_file), ("home/records", a_file), ("home/locks/{key}.lock", Path.mkdir)])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_cannot_be_written_is_one_line(ditune, study_folder, place, make, jobs):
    path = study_folder / place.format(key=StubSpec().key)
    (study_folder / "home").rmdir()
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    for words in (["run", "02", "--dry-run"], ["status"]):
        assert ditune(*words)[0] == 0
    code, out, error = ditune("compute", "02", "--jobs", jobs)
    *bars, said = error.splitlines()
    assert code == 1 and said.startswith("ditune: ") and str(study_folder) in said, error
    assert not any("Traceback" in line or "Error" in line for line in bars)


def test_a_full_disk_is_one_line(ditune, monkeypatch):
    def full(path, text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(records, "write", full)
    code, _, error = ditune("compute", "02", "--jobs", "1")
    assert code == 1 and re.fullmatch("ditune: /.*: No space left on device", error.splitlines()[-1]) and "Traceback" not in error


def test_bf16_without_a_gpu_is_refused_before_anything_starts(ditune, chapter, study_folder):
    chapter(lambda **_: [RunSpec.of(train={"bf16": True})])
    code, _, error = ditune("compute", "02")
    assert code == 2 and error == "ditune: TrainSpec.bf16 = True; allowed: False where there is no GPU, as a CPU computes in fp32\n"
    assert list((study_folder / "home").iterdir()) == []


def test_exit_codes_of_a_failed_run_and_of_a_time_limit(ditune):
    code, out, error = ditune("compute", "02", "--jobs", "1", "-p", "name", "raise")
    assert (code, out) == (1, "0 of 2 runs recorded\n") and "2 of the runs failed" in error and "Traceback" not in error
    assert ditune("compute", "02", "--jobs", "1", "--limit-minutes", "0")[:2] == (3, "0 of 2 runs recorded\n")
    code, out, error = ditune("run", "02", "--jobs", "1", "-p", "name", "raise")
    assert (code, out) == (1, "") and "02_rules: failed: 2 of the runs failed" in error


def test_dry_run_says_what_would_be_done(ditune, study_folder):
    code, out, error = ditune("run", "--dry-run")
    assert (code, error) == (0, "") and [line.split() for line in out.splitlines()] == [
        ["notebook", "profile", "runs", "computed", "stale", "failed", "missing", "local", "in", "results", "copy", "time"],
        ["02_rules", "study", "2", "0", "0", "0", "2", "0", "0", "to", "execute", "10", "s"],
        ["03_model", "study", "0", "0", "0", "0", "0", "0", "0", "to", "execute", "-"],
    ]
    assert list((study_folder / "home").iterdir()) == []


def test_status_counts_by_notebook_and_profile(ditune):
    (notebooks.folder() / "profiles/smoke.yaml").write_text("02_rules: {n_seeds: 5}")
    result = {"metrics": {}}
    records.save(records.make(StubSpec(seed=0), result))
    records.save(records.make(StubSpec(seed=1), result) | {"sources": "earlier"}, records.results())
    records.save(records.make(StubSpec(seed=2), result) | {"sources": "earlier"})
    records.save(records.make(StubSpec(seed=2), None, "KeyError: x"))
    records.save(records.make(StubSpec(seed=3), None, "KeyError: x"))
    code, out, error = ditune("status")
    rows = [re.split("  +", line) for line in out.splitlines()]
    assert rows == [
        ["notebook", "profile", "runs", "computed", "stale", "failed", "missing", "local", "in results"],
        ["02_rules", "smoke", "5", "1", "1", "2", "1", "3", "1"],
        ["02_rules", "study", "2", "1", "1", "0", "0", "1", "1"],
    ]


def test_book_says_where_it_is_and_fails_where_jupyter_book_does(ditune, study_folder, monkeypatch):
    binaries = study_folder / "bin"
    binaries.mkdir()
    monkeypatch.setattr(sys, "executable", str(binaries / "python"))
    assert ditune("book")[0] == 1
    (binaries / "jupyter-book").write_text('#!/bin/sh\necho "$@" >> arguments\nexit $JB_CODE\n')
    (binaries / "jupyter-book").chmod(0o755)
    monkeypatch.setenv("JB_CODE", "0")
    assert ditune("book")[:2] == (0, f"{study_folder}/_build/html/index.html\n")
    assert (study_folder / "arguments").read_text() == "build book --all -W -n --keep-going\n"
    page = study_folder / "_build/html/index.html"
    records.write(page, "pages")
    assert ditune("book")[0] == 0 and len((study_folder / "arguments").read_text().splitlines()) == 1, "nothing has changed"
    monkeypatch.setenv("JB_CODE", "1")
    assert ditune("book", "--force")[0] == 1
    records.write(study_folder / "book/a.md", "words")
    assert ditune("book")[0] == 1 and len((study_folder / "arguments").read_text().splitlines()) == 3


def test_executed_copies_are_announced(ditune, monkeypatch):
    monkeypatch.setattr(notebooks, "is_current", lambda planned: True)
    assert ditune("run", "03")[:2] == (0, "03_model: unchanged\n")


def test_only_a_notebook_of_yours_says_what_it_costs(ditune, monkeypatch):
    monkeypatch.setenv("DITUNE_ROOT", str(guard.PACKAGE.parent))
    monkeypatch.setattr(notebooks, "module_of", OWN)
    code, out, error = ditune("run", "--dry-run", "--check", "none")
    assert (code, error) == (0, "") and out.startswith("notebook") and "your_tasks" not in out
