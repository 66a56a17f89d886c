"""The benchmarks: both sides of a comparison compute the same, rows say what they must, nothing measured is lost."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
benchmarks = pytest.importorskip("benchmarks")

from benchmarks import evaluation, generalise, generator, gpu, limit, packs, peers, sizes, timing, training  # noqa: E402
from ditune import cli  # noqa: E402
from ditune.report import bench  # noqa: E402
from ditune.rewriting import packs as member_packs  # noqa: E402
from ditune.rewriting.model import from_transformers  # noqa: E402
from ditune.rewriting.specs import RunSpec, TaskSpec  # noqa: E402
from ditune.rewriting.tasks import Alphabet, row_length, training_examples  # noqa: E402
from ditune.rewriting.train import Pack  # noqa: E402
from ditune.specs import SpecError  # noqa: E402

FIELDS = {"what", "unit", "ours", "ours_spread", "peer", "peer_name", "peer_spread", "ratio", "target", "repetitions", "ours_all", "peer_all", "note"}


def test_ours_and_both_peers_have_the_same_loss_from_the_same_weights_and_rows():
    pack = Pack([sizes.with_adamw(sizes.tiny())], "cpu")
    rows, labels = training.batches(pack, 1)[0]
    mine = pack.losses(pack.data(0, 1)[:, 0])[0].item()
    assert peers.NanoGPT(peers.gpt2(pack))(rows, labels).item() == pytest.approx(mine, rel=1e-5)
    assert peers.gpt2(pack)(input_ids=rows, labels=labels).loss.item() == pytest.approx(mine, rel=1e-5)


def test_ours_and_the_plain_loop_have_the_same_losses_after_some_steps():
    pack = Pack([sizes.with_adamw(sizes.tiny())], "cpu")
    loop = peers.PlainLoop(peers.NanoGPT(peers.gpt2(pack)), pack.train)
    mine = [pack.eager_step(batch).item() for batch in pack.data(0, 5).unbind(1)]
    assert [loop.step(*batch).item() for batch in training.batches(pack, 5)] == pytest.approx(mine, rel=1e-4)


def test_trainer_takes_all_steps_and_stops_where_it_is_told_to():
    run = sizes.with_adamw(sizes.tiny())
    pack = Pack([run], "cpu")
    data = peers.Rows(training_examples(run.task, 0, torch.arange(100)).tokens, pack.start)
    model, seen = peers.gpt2(pack), []
    before = from_transformers(model)[2]
    peers.train_with_trainer(model, data, run.train.replace(n_steps=4), seen.append)
    peers.train_with_trainer(model, data, run.train.replace(n_steps=9), lambda step: seen.append(step) or step == 2)
    assert seen == [1, 2, 3, 4, 1, 2] and not torch.equal(before, from_transformers(model)[2])


def test_generate_and_one_teacher_forced_pass_agree_on_every_row():
    run = sizes.tiny().replace(task=sizes.TINY_TASK | {"alphabet_size": 3, "n_rules": 1}, train=sizes.tiny().train.replace(n_steps=200))
    run = run.replace(evals=[{"name": "seen", "rules": "seen", "n_examples": 64}])
    row, alone, *bounds = evaluation.compare("tiny", run, 200, {64: 64, 1: 4}, 1)  # raises where they differ
    assert row.keys() == FIELDS and row["target"] and not alone["target"] and 0.0 < float(re.search(r", (\S+) of them right", row["note"])[1]) < 1.0
    assert len(bounds) == 2 and bounds[0]["ours"] > 1.0  # generate does at least the arithmetic of one pass


def test_plain_python_makes_examples_of_the_same_form_and_rule():
    spec = TaskSpec.of(x_len=3, y_len=3, z_len=10)
    signs = Alphabet(26)
    ours = training_examples(spec, 0, torch.arange(50)).tokens.tolist()
    for tokens in generator.plain_examples(spec, generator.plain_rules(spec, 0), 0, 50) + ours:
        x, y, z, answer = re.fullmatch(r"(\w+)>(\w+)\|(\w+)=(\w+)\.", signs.text(tokens)).groups()
        assert len(tokens) == row_length(spec) and answer == z.replace(x, y, 1) and x in z


def test_the_formula_counts_the_operations_of_a_step_whose_first_layer_is_not_looked_up():
    shares = []
    for batch in (8, 64):  # rows fewer than the 13 tokens, and more
        run = sizes.tiny()
        pack = Pack([run.replace(train=run.train.replace(batch_size=batch))], "cpu")
        tokens = pack.data(0, 1)[:, 0]
        counter = FlopCounterMode(display=False)
        with counter:
            torch.autograd.grad(pack.losses(tokens).sum(), pack.flat)
        T, V = tokens.shape[2] - 1, pack.shapes["wte"][0]
        shares.append(counter.get_total_flops() / (batch * limit.flops(pack.model, T, V, pack.start - 1)))
    assert shares[0] == pytest.approx(1, rel=1e-6) and 0.8 < shares[1] < 0.95


def test_both_sides_are_watched_by_the_same_clock_and_end_at_the_threshold():
    run = sizes.tiny()
    mine, theirs = generalise.ours(run, threshold=-1.0, n_test=32), generalise.trainer(run, 60.0, threshold=-1.0, n_test=32)
    assert mine.passed and theirs.passed and mine.curve[-1][0] == theirs.curve[-1][0] == generalise.EVERY
    stopped = generalise.trainer(run, 0.0, threshold=2.0, n_test=32)
    assert not stopped.passed and len(stopped.curve) == 1


def test_the_comparison_of_packs_runs_on_any_device():
    rows = gpu.packed_step(sizes.with_adamw(sizes.tiny()), 1, 1, 1, "cpu", most=2) + gpu.precision(sizes.tiny(), 1, "cpu")
    assert [row.keys() for row in rows[:4]] == [FIELDS] * 4 and rows[0]["what"].endswith("2 models") and rows[4]["check"]


def test_a_packed_run_has_the_losses_of_its_run_alone():
    (found,) = packs.alone(sizes.with_adamw(sizes.tiny(), 8), 3, 4, "cpu")
    assert found["ours_all"] == pytest.approx(found["peer_all"], rel=1e-5) and len(set(found["ours_all"])) == 3


def test_a_ratio_above_one_means_that_ours_is_faster_in_rates_and_in_seconds():
    rate, duration = timing.row("a", "tokens/s", [3.0, 4.0, 5.0], [2.0], "b", 1.5), timing.row("a", "s", [2.0], [4.0], "b", 3.0)
    assert rate.keys() == FIELDS and rate["ratio"] == 2.0 and rate["ours_spread"] == [3.5, 4.5] and rate["ours_all"] == [3.0, 4.0, 5.0]
    assert duration["ratio"] == 2.0 and bench.reached(rate) == "yes" and bench.reached(duration) == "no"


def test_sides_take_turns_and_the_first_round_is_dropped():
    calls = []
    found = timing.in_turn({name: lambda name=name: calls.append(name) or len(calls) for name in "ab"}, 2)
    assert calls == list("ababab") and found == {"a": [3, 5], "b": [4, 6]}


def test_bench_quick_generator_writes_its_file_apart_from_measurements(home, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["ditune", "bench", "--quick", "generator"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    (path,) = (home / "benchmarks").glob("*.json")
    content, out = json.loads(path.read_text()), capsys.readouterr().out
    assert not end.value.code and content["quick"] and not (home.parent / "results").exists()
    assert content["benchmarks"]["generator"].keys() >= {"rows", "git", "libraries", "date"} and content["machine"]["cpu"]
    assert all(p["ours"] > 0 for p in bench.points(content) if p["unit"] == "MiB")  # a peak taken over from this process hides theirs
    assert len(bench.comparisons(content)) == 2 and "plain Python" in out and str(path) in out


def test_a_failed_benchmark_loses_no_other_and_a_later_call_keeps_what_there_is(home, monkeypatch):
    row = timing.row("a", "s", [1.0], [2.0], "b")
    monkeypatch.setattr(generator, "measure", lambda quick: [row])
    monkeypatch.setattr(training, "measure", lambda quick: 1 / 0)
    path, content = bench.run(["training", "generator"])
    assert path.parent == bench.folder() and "ZeroDivisionError" in content["benchmarks"]["training"]["error"]
    assert bench.comparisons(content) == [row]
    monkeypatch.setattr(evaluation, "measure", lambda quick: [row])
    assert len(bench.comparisons(bench.run(["evaluation"])[1])) == 2 and bench.read()[0]["benchmarks"].keys() == {"generator", "training", "evaluation"}


def test_a_benchmark_that_cannot_run_here_says_so(home, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    made = bench.run(["gpu"])[1]["benchmarks"]["gpu"]
    assert made["error"] is None and made["skipped"].count("\n") == 0 and "python -m benchmarks.gpu" in made["skipped"]


def test_a_wrong_name_and_a_missing_checkout_are_one_line(monkeypatch, tmp_path):
    with pytest.raises(SpecError, match="did you mean 'training'"):
        bench.choose(["trainin"])
    monkeypatch.setattr(bench, "checkout", lambda: tmp_path)
    with pytest.raises(SpecError, match="needs a checkout"):
        bench.choose([])


def test_the_memory_of_a_member_covers_what_autograd_keeps_and_grows_with_every_size():
    run = sizes.tiny().replace(task={"n_rules": 100}, train={"batch_size": 16})
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    pack = Pack([run], "cpu")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        pack.losses(pack.data(0, 1)[:, 0])
    assert sum(kept.values()) < member_packs.member_bytes(run) < 6 * sum(kept.values())
    larger = [
        run.replace(task=run.task.replace(z_len=60)), run.replace(train=run.train.replace(batch_size=32)),
        run.replace(model=run.model.replace(n_layer=3)), run.replace(model=run.model.replace(n_embd=32)),
    ]  # fmt: skip
    assert all(member_packs.member_bytes(r) > member_packs.member_bytes(run) for r in larger)


def test_the_papers_runs_fit_into_cards_in_packs_of_a_power_of_two():
    paper = RunSpec.of(train={"bf16": True})
    assert [member_packs.pack_size(member_packs.member_bytes(paper), gib << 30) for gib in (8, 16, 80, 139)] == [2, 4, 16, 32]
    assert member_packs.member_bytes(paper) < member_packs.member_bytes(RunSpec())


def test_packs_are_as_large_as_pays_and_no_larger_than_the_memory(monkeypatch):
    small = RunSpec.of(task={"x_len": 3, "y_len": 3, "z_len": 6}, model={"n_head": 2, "n_embd": 64})
    paper = RunSpec.of(train={"bf16": True})
    for run, free, expected in ((paper, 80 << 30, 1), (small, 80 << 30, 16), (small, 1 << 30, 4), (small, 0, 1)):
        monkeypatch.setattr(member_packs, "free_bytes", lambda free=free: free)
        assert member_packs.pack_members(run) == expected
