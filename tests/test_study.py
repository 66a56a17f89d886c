"""Running specs: each is computed once, whatever fails or is killed, and the others go on."""

import contextlib
import functools
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import nothing
from stub_kind import StubSpec

from ditune import notebooks, study
from ditune.rewriting import train
from ditune.rewriting.specs import RunSpec
from ditune.specs import SpecError
from ditune.store import backends, checks, guard, kinds, records

pytestmark = pytest.mark.usefixtures("home")
TESTS = Path(__file__).parent
TASK = {"alphabet_size": 4, "x_len": 2, "y_len": 2, "z_len": 5, "n_rules": 20, "n_examples": 2000}
TRAIN = {"n_steps": 200, "batch_size": 16, "n_evals": 2, "lr": 3e-3}
REAL = RunSpec.of(task=TASK, model={"n_layer": 1, "n_head": 2, "n_embd": 16}, train=TRAIN, evals=[{"n_examples": 50}])


def log(home):
    """What was computed: (name, seed, first step, pid)."""
    path = home / "log"
    return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def run(specs, **options):
    """What is not recorded is computed; the table of all."""
    study.compute(study.stale(specs), **options)
    return records.frame(specs)


PROGRAM = """
import stub_kind
from ditune import notebooks, study
from ditune.store import backends
backends.gpu_here = lambda: False
study.compute([stub_kind.StubSpec.of(**s) for s in {specs}], jobs={jobs})
"""


def in_another_process(specs, jobs):
    """Start `study.compute` on the specs in another Python."""
    program = PROGRAM.format(specs=[s.to_dict() for s in specs], jobs=jobs)
    return subprocess.Popen([sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(TESTS)}, stderr=subprocess.DEVNULL)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_spec_is_computed_once_the_longest_first_and_one_that_fails_is_recorded(home, jobs):
    bad, good = StubSpec(fail="raise", n_steps=20, seed=9), [StubSpec(seed=i, n_steps=i + 1) for i in range(4)]
    with pytest.raises(study.RunsFailed, match=f"1 of the runs failed.*\n  {bad.key}: ValueError: this spec fails"):
        run([*good, bad, *good], jobs=jobs)
    assert records.find(bad).state == "failed" and "Traceback" in records.find(bad).data["error"]
    assert {records.find(spec).state for spec in good} == {"fresh"}
    assert sorted(seed for _, seed, _, _ in log(home)) == [0, 1, 2, 3, 9] and log(home)[0][1] in (9, 3)[:jobs]
    run(good, jobs=jobs)
    assert len(log(home)) == 5 and (os.getpid() in {pid for *_, pid in log(home)}) == (jobs == 1)


def test_nothing_is_printed_when_everything_is_recorded(capfd):
    run([StubSpec()], jobs=1)
    assert "1/1 runs" in capfd.readouterr().err
    run([StubSpec()], jobs=1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_run_whose_process_dies_fails_alone(home):
    bad, good = StubSpec(fail="die", n_steps=20), [StubSpec(seed=i, step_s=0.02) for i in range(3)]
    with pytest.raises(study.RunsFailed, match="killed"):
        run([bad, *good], jobs=2)
    assert records.find(bad).state == "failed"
    assert {records.find(spec).state for spec in good} == {"fresh"}


def test_after_kill_9_of_the_parent_its_processes_end_and_the_next_call_goes_on(home):
    specs = [StubSpec(seed=i, n_steps=200, step_s=0.02) for i in range(2)]
    process = in_another_process(specs, jobs=2)
    wait_for(lambda: len(list(home.glob("checkpoints/*"))) == 2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    children = [pid for *_, pid in log(home)]
    assert len(children) == 2 and process.pid not in children
    wait_for(lambda: not any(map(alive, children)), 3)
    assert [records.find(spec) for spec in specs] == [None, None]
    run(specs, jobs=2)
    assert all(first > 0 for _, _, first, _ in log(home)[2:]) and len(log(home)) == 4
    assert {records.find(spec).result["curve"][0]["step"] for spec in specs} == {200}


def test_after_kill_9_of_a_child_the_same_call_goes_on_from_the_checkpoint(home):
    specs = [StubSpec(seed=i, n_steps=60, step_s=0.03) for i in range(2)]
    process = in_another_process(specs, jobs=2)
    wait_for(lambda: len(log(home)) == 2 and len(list(home.glob("checkpoints/*"))) == 2)
    os.kill(log(home)[0][3], signal.SIGKILL)
    assert process.wait(30) == 0
    assert {records.find(spec).state for spec in specs} == {"fresh"}
    assert all(first > 0 for _, _, first, _ in log(home)[2:])


@pytest.mark.slow
@pytest.mark.parametrize("kills, states", [(1, ["fresh"] * 3), (99, ["failed"] * 3)])
def test_a_process_killed_while_it_imports_is_started_again_but_not_for_ever(monkeypatch, kills, states):
    specs, dies, start = [StubSpec(seed=i) for i in range(3)], iter([True] * kills), multiprocessing.process.BaseProcess.start
    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", lambda self: (start(self), next(dies, False) and self.kill()))
    with contextlib.suppress(study.RunsFailed):
        study.compute(specs, jobs=2)
    assert [records.find(spec).state for spec in specs] == states


INTERRUPTED = """
import sys
import stub_kind
from ditune import cli, notebooks, study
from ditune.store import backends
backends.gpu_here = lambda: False
specs = [stub_kind.StubSpec(seed=s, n_steps=2000, step_s=0.01) for s in range(3)]
notebooks.plan = lambda *_: [notebooks.Plan("02_x", {}, {}, specs)]
cli.costs = lambda plans: None
sys.argv = ["ditune", "compute", "02"]
cli.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGINT] * 2, [signal.SIGTERM], [signal.SIGHUP]])
@pytest.mark.parametrize("begun", [False, True])
def test_signals_end_it_at_once_in_one_line_and_leave_no_process(home, signals, begun):
    """To the whole group of processes, as a terminal sends them: while the workers start, or when the runs are going on."""
    options = {"start_new_session": True, "stderr": subprocess.PIPE, "text": True, "env": os.environ | {"PYTHONPATH": f"{TESTS}:{TESTS.parent}"}}
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], preexec_fn=as_from_a_terminal, **options)
    wait_for(lambda: len(log(home)) == 2 if begun else children(process.pid))
    for number in signals:
        os.killpg(process.pid, number)
        time.sleep(0.2)
    _, error = process.communicate(timeout=20)
    # On a busy machine a worker that was being born can say that its parent is gone: known, and the only words allowed.
    said, _, born = error.partition("Traceback (most recent call last)")
    assert process.returncode in (130, -signal.SIGINT), error
    assert [line for line in said.splitlines() if line.startswith("ditune: ")][-1].startswith("ditune: interrupted"), error
    assert not born or ("spawn_main" in born and "EOFError" in born), error
    assert "semaphore" not in error and "File" not in said, error
    wait_for(lambda: not any(alive(pid) for *_, pid in log(home)), 3)


def as_from_a_terminal():
    """A process in the background of a shell, or of nohup, is born with some of them ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def children(pid):
    """The workers of a pool that a process has started."""
    return [p for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if b"spawn_main" in Path(f"/proc/{p}/cmdline").read_bytes()]


@pytest.mark.slow
def test_two_calls_at_once_compute_no_spec_twice(home):
    specs = [StubSpec(seed=i, n_steps=20, step_s=0.03) for i in range(4)]
    others = [in_another_process(specs, jobs) for jobs in (1, 2)]
    assert [process.wait(30) for process in others] == [0, 0]
    assert sorted(seed for _, seed, _, _ in log(home)) == [0, 1, 2, 3]


class Reached:
    """A point in time that is reached when there is a checkpoint."""

    def __init__(self, home):
        self.home = home

    def __gt__(self, now):
        return not list(self.home.glob("checkpoints/*"))

    def __lt__(self, now):
        return not self > now


@pytest.mark.parametrize("backend", [functools.partial(backends.here, False), functools.partial(backends.in_pool, 2)])
def test_a_time_limit_leaves_checkpoints(home, backend):
    specs = [StubSpec(seed=i, n_steps=10_000, step_s=0.01) for i in range(3)]
    assert all(data is None for _, data in backend(specs, nothing, Reached(home)))
    assert [records.find(spec) for spec in specs] == [None] * 3 and 0 < len(list(home.glob("checkpoints/*"))) <= 3
    assert not any(alive(pid) for *_, pid in log(home) if pid != os.getpid())


def test_a_checkpoint_of_other_sources_is_not_used(home, monkeypatch):
    spec = StubSpec()
    old = backends.checkpoint_path([spec])
    old.parent.mkdir()
    old.write_text("5")
    monkeypatch.setattr(kinds.Kind, "code", lambda kind: "other")
    study.compute([spec], jobs=1)
    assert log(home)[0][2] == 0 and not old.exists()


def test_on_a_gpu_runs_of_equal_shape_are_packed(home, a_gpu):
    a_gpu(members=2)
    specs = [StubSpec(seed=i) for i in range(4)] + [StubSpec(seed=i, n_steps=20) for i in range(2)]
    assert len(run(specs)) == 6
    assert [names for names, *_ in log(home)] == ["a0 a1", "a0 a1", "a2 a3"]
    assert list((home / "checkpoints").iterdir()) == []


def test_a_pack_that_fails_is_tried_again_in_halves(a_gpu):
    a_gpu()
    bad, good = StubSpec(seed=4, fail="raise"), [StubSpec(seed=i) for i in range(4)]
    with pytest.raises(study.RunsFailed, match="1 of the runs failed"):
        run([*good, bad])
    assert records.find(bad).state == "failed" and {records.find(spec).state for spec in good} == {"fresh"}


def test_a_stopped_pack_goes_on_from_its_checkpoint(home, a_gpu):
    a_gpu()
    specs = [StubSpec(seed=i, n_steps=60, step_s=0.02) for i in range(3)]
    study.compute(specs, minutes=0.5 / 60)
    assert [records.find(spec) for spec in specs] == [None] * 3
    study.compute(specs)
    assert len(log(home)) == 2 and log(home)[1][2] > 0 and {records.find(spec).state for spec in specs} == {"fresh"}


def test_what_is_computed_again_is_compared_with_the_record(home):
    specs = [StubSpec(seed=seed) for seed in range(3)]
    run(specs, jobs=1)
    records.promote(specs)
    assert checks.in_words(checks.of(specs), 3) == "Computed again here: 3 of 3 agree, to the last bit."
    data = records.find(specs[0]).data
    data["result"]["metrics"]["unseen"]["exact_match"] = 0.875
    records.save(data, records.results())
    (found,) = [check for check in checks.of(specs) if not check.agrees]
    assert found.spec == specs[0] and found.differences == {"unseen exact_match": 0.875}
    assert f"These do not agree: {specs[0].key}" in checks.in_words(checks.of(specs), 3)
    data["libraries"] = {"torch": "another"}
    data["result"]["metrics"]["unseen"]["exact_match"] = 0.01
    records.save(data, records.results())
    assert all(check.agrees for check in checks.of(specs)), "with other versions a difference as between seeds agrees"
    data["result"]["curve"][0]["loss"] *= 1.02
    records.save(data, records.results())
    (found,) = [check for check in checks.of(specs) if not check.agrees]
    assert found.first_loss == pytest.approx(1 / 51), "but not where the training began otherwise"


def test_each_measure_is_compared_with_its_own_spread_and_one_that_is_too_wide_tells_nothing():
    differences, spec = {"unseen exact_match": 0.5, "unseen nll": 0.1}, StubSpec()
    narrow, wide = ({"unseen exact_match": most, "unseen nll": 9.0} for most in (0.05, 0.6))
    assert not checks.Check(spec, False, False, differences, narrow).agrees
    assert checks.Check(spec, False, False, differences, wide, first_loss=1e-4).agrees
    assert not checks.Check(spec, False, False, differences, wide, first_loss=0.02).agrees
    assert not checks.Check(spec, False, True, differences, wide, first_loss=1e-4).agrees


def test_a_sample_of_what_is_recorded_is_computed_again_once(home, monkeypatch):
    specs = [StubSpec(seed=seed, n_steps=seed + 1) for seed in range(3)]
    run(specs, jobs=1)
    records.promote(specs)
    for path in records.local().iterdir():
        path.unlink()
    monkeypatch.setattr(notebooks, "module_of", lambda name: SimpleNamespace(runs=lambda: specs, sample=lambda specs: specs[:1]))
    planned = SimpleNamespace(stem="02_stub", specs=specs)
    assert study.to_check(planned, "none") == [] and study.to_check(planned, "all") == specs
    assert study.to_check(planned, "sample") == specs[:1]
    assert all(len(study.to_check(planned, "night")) <= 3 for _ in range(2))
    study.compute(study.to_check(planned, "sample"), jobs=1)
    assert len(log(home)) == 4 and [check.spec for check in checks.of(specs)] == specs[:1]
    study.compute(study.to_check(planned, "sample"), jobs=1)
    assert len(log(home)) == 4


def test_a_checkpoint_that_was_cut_off_is_deleted_and_the_run_starts_afresh(home):
    checkpoint = backends.checkpoint_path([REAL])
    train.train_pack([REAL.replace(train=TRAIN | {"n_steps": 32})], checkpoint)
    whole, seen = checkpoint.read_bytes(), []
    checkpoint.write_bytes(whole[: len(whole) // 2])
    (data,) = backends.compute([REAL], lambda step, n_steps: seen.append(step))
    assert data["error"] is None and seen[:2] == [0, 32] and records.find(REAL).state == "fresh"
    assert list((home / "checkpoints").iterdir()) == []


def test_a_run_that_diverges_is_a_failure_and_the_others_of_its_pack_are_recorded(monkeypatch, a_gpu):
    a_gpu()
    sick, sound = StubSpec(seed=1), StubSpec(seed=2)
    monkeypatch.setattr("stub_kind.metrics", lambda spec: {"unseen": {"nll": float("nan") if spec == sick else 1.0}})
    with pytest.raises(study.RunsFailed, match=f"1 of the runs failed.*\n  {sick.key}: diverged"):
        run([sick, sound])
    assert records.find(sick).state == "failed" and records.find(sound).state == "fresh"


@pytest.mark.slow
def test_after_kill_9_a_training_ends_bit_for_bit_as_an_undisturbed_one(home, monkeypatch):
    spec = REAL.replace(train=TRAIN | {"n_steps": 960, "optimizer": "muon"})
    program = f"""
from ditune.rewriting import specs, train
from ditune.store import backends
train.SAVE_EVERY_S = 0
backends.compute([specs.RunSpec.of(**{spec.to_dict()})])
"""
    process = subprocess.Popen([sys.executable, "-c", program])
    wait_for(lambda: list(home.glob("checkpoints/*.safetensors")), 60)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and records.find(spec) is None
    seen = []
    (resumed,) = backends.compute([spec], lambda step, n_steps: seen.append(step))
    assert seen[0] == 0 and 32 < seen[1] < 960
    monkeypatch.setenv("DITUNE_HOME", str(home / "undisturbed"))
    (whole,) = backends.compute([spec])
    assert records.repeatable(resumed) == records.repeatable(whole)


def test_a_wrong_address_of_a_scheduler_is_reported_before_anything_starts(home, monkeypatch, capfd):
    with monkeypatch.context() as without, pytest.raises(SpecError, match="needs the extra"):
        without.setitem(sys.modules, "distributed", None)
        run([StubSpec()], client="127.0.0.1:8786")
    pytest.importorskip("distributed")
    with pytest.raises(SpecError, match="no Dask scheduler at 'nonsense': missing port"):
        run([StubSpec()], client="nonsense")
    assert capfd.readouterr() == ("", "") and log(home) == []


class Cluster:
    """A Dask scheduler with workers that are processes of their own."""

    def __init__(self, folder, n_workers, sources=TESTS.parent):
        self.folder, self.processes = folder, []
        self.start("dask_scheduler", "--port", "0", "--no-show", "--scheduler-file", str(folder / "scheduler.json"))
        wait_for(lambda: (folder / "scheduler.json").exists(), 60)
        wait_for(lambda: (folder / "scheduler.json").read_text().strip().endswith("}"))
        self.address = json.loads((folder / "scheduler.json").read_text())["address"]
        for _ in range(n_workers):
            self.start("dask_worker", self.address, "--nthreads", "1", "--no-nanny", sources=sources)

    def start(self, program, *options, sources=TESTS.parent):
        words = [sys.executable, "-m", f"distributed.cli.{program}", *options, "--no-dashboard"]
        environment = os.environ | {"PYTHONPATH": f"{sources}:{TESTS}"}
        self.processes.append(subprocess.Popen(words, cwd=self.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    pytest.importorskip("distributed")
    return functools.partial(Cluster, tmp_path)


@pytest.mark.slow
def test_a_dask_worker_that_dies_for_good_fails_one_run_and_the_others_go_on(cluster):
    bad, good = StubSpec(fail="die"), [StubSpec(seed=i) for i in range(2)]
    with cluster(5) as dask, pytest.raises(study.RunsFailed, match="1 of the runs failed.*\n.*killed"):
        run([bad, *good], client=dask.address)
    assert [records.find(spec).state for spec in (bad, *good)] == ["failed", "fresh", "fresh"]


@pytest.mark.slow
def test_a_lost_dask_scheduler_is_one_line_and_what_was_computed_is_kept(home, cluster):
    specs = [StubSpec(seed=i, n_steps=400, step_s=0.01) for i in range(2)]
    with cluster(1) as dask:
        threading.Thread(target=lambda: (wait_for(lambda: len(log(home)) == 2, 60), dask.processes[0].kill())).start()
        with pytest.raises(ConnectionError, match="lost the Dask scheduler at tcp.*; what was computed is kept"):
            study.compute(specs, client=dask.address)


@pytest.mark.slow
def test_a_dask_scheduler_without_workers_is_said_and_waited_for(home, cluster):
    with cluster(0) as dask, pytest.warns(UserWarning, match="the Dask scheduler at tcp.* has no worker: waiting for one"):
        study.compute([StubSpec()], client=dask.address, minutes=3 / 60)
    assert log(home) == []


@pytest.mark.slow
def test_a_dask_worker_with_other_sources_is_refused_by_name_and_replaces_no_record(home, cluster, tmp_path):
    shutil.copytree(guard.PACKAGE, tmp_path / "other" / "ditune")
    edited, text = tmp_path / "other/ditune/store/threads.py", "torch.set_num_threads(1)"
    assert text in edited.read_text()
    edited.write_text(edited.read_text().replace(text, "torch.set_num_threads(2)"))
    spec = StubSpec()
    study.compute([spec], jobs=1)
    before = records.find(spec).path.read_bytes()
    with cluster(1, sources=tmp_path / "other") as dask, pytest.raises(SpecError, match=f"{tmp_path}/other/ditune: its sources are not those of the client"):
        study.compute([spec], client=dask.address, force=True)
    assert records.find(spec).path.read_bytes() == before and len(log(home)) == 1


@pytest.mark.slow
def test_dask_workers_compute(home, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    specs = [StubSpec(seed=i) for i in range(2)] + [StubSpec(fail="raise")]
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        with pytest.raises(study.RunsFailed, match="1 of the runs failed"):
            run(specs, client=cluster.scheduler_address)
    assert [records.find(spec).state for spec in specs] == ["fresh", "fresh", "failed"]
    assert os.getpid() not in {pid for *_, pid in log(home)}
