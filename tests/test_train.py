"""The loop, the optimisers and exact match, against torch's own and against the plain way of doing it."""

import pytest
import torch
import torch.nn.functional as F
from conftest import Killed, kill_after
from counting import asked

import ditune.rewriting.train
from ditune.rewriting.evaluate import answer_targets, answered, eval_examples, evaluate, greedy
from ditune.rewriting.model import MATRICES, forward, unflatten
from ditune.rewriting.optim import UPDATE_RMS, Optimizer, orthogonalise, schedule
from ditune.rewriting.specs import RunSpec, TrainSpec
from ditune.rewriting.tasks import Alphabet, prompt_length, training_examples
from ditune.rewriting.train import Pack, train_pack, train_run

EVALS = [{"name": "unseen", "n_examples": 200}, {"name": "seen", "rules": "seen", "n_examples": 200}]


def tiny(seed=0, task=None, **train) -> RunSpec:
    """A run of a second on two tiny layers over four letters."""
    task = {"alphabet_size": 4, "x_len": 2, "y_len": 2, "z_len": 5, "n_rules": 20, "n_examples": 2000} | (task or {})
    settings = {"n_steps": 70, "batch_size": 16, "n_evals": 2, "lr": 3e-3} | train
    return RunSpec.of(task=task, model={"n_layer": 2, "n_head": 2, "n_embd": 16}, train=settings, evals=EVALS, seed=seed)


def result(record: dict) -> dict:
    """What of a record does not depend on the clock."""
    return {key: record[key] for key in ("metrics", "curve", "tokens", "epochs", "n_parameters")}


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_killed_run_resumes_and_ends_bit_for_bit_as_an_undisturbed_one(tmp_path, monkeypatch, optimizer):
    run = tiny(optimizer=optimizer)
    expected = train_run(run, tmp_path / "whole.safetensors")
    monkeypatch.setattr(ditune.rewriting.train, "SAVE_EVERY_S", 0)

    with pytest.raises(Killed):
        train_run(run, tmp_path / "killed.safetensors", kill_after(30))
    seen = []
    resumed = train_run(run, tmp_path / "killed.safetensors", lambda step, n_steps: seen.append(step))
    assert seen[0] > 32 and result(resumed) == result(expected)


def test_a_run_that_is_stopped_ends_with_a_checkpoint(tmp_path):
    steps = []
    with pytest.raises(Killed):
        train_run(tiny(), tmp_path / "c.safetensors", kill_after(0))
    train_run(tiny(), tmp_path / "c.safetensors", lambda step, n_steps: steps.append(step))
    assert steps == [64, 70]


def test_an_evaluation_that_was_killed_goes_on_with_the_set_it_was_at(tmp_path, monkeypatch):
    expected = train_run(tiny(), tmp_path / "whole.safetensors")
    asked = []

    def killed_at_the_second_set(runs, w, index, n, copies=True):
        asked.append(index)
        if copies and asked.count(1) == 3:  # behind the curve's two points
            raise Killed
        return evaluate(runs, w, index, n, copies)

    monkeypatch.setattr(ditune.rewriting.train, "evaluate", killed_at_the_second_set)
    with pytest.raises(Killed):
        train_run(tiny(), tmp_path / "killed.safetensors")
    resumed = train_run(tiny(), tmp_path / "killed.safetensors")
    assert asked[-2:] == [1, 1] and result(resumed) == result(expected)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_packed_member_ends_where_its_solo_run_ends(optimizer):
    runs = [tiny(0, optimizer=optimizer), tiny(1, {"n_rules": 5}, optimizer=optimizer), tiny(2, optimizer=optimizer)]

    def trained(group):
        pack = Pack(group, "cpu")
        for step in range(12):
            pack.optimizer.lr_scale.fill_(schedule(pack.train, step))
            pack.advance(pack.data(step, 1)[:, 0])
        return pack.flat.detach()

    packed = trained(runs)
    for m, run in enumerate(runs):
        torch.testing.assert_close(packed[m : m + 1], trained([run]), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_step_as_on_a_gpu_waits_for_nothing_and_launches_as_much_whatever_the_members(monkeypatch, optimizer):
    monkeypatch.setattr("ditune.rewriting.model.torchs_own", lambda x: True)
    counts = []
    for n_models in (2, 5):
        pack = Pack([tiny(s, optimizer=optimizer) for s in range(n_models)], "cpu")
        pack.optimizer.fused = True
        tokens = pack.data(0, 1)[:, 0]
        counts.append(asked(lambda pack=pack, tokens=tokens: pack.eager_step(tokens)))
    assert counts[0] == counts[1] and counts[0][1] == 0


def test_a_member_gone_wrong_leaves_the_others_as_they_were():
    runs = [tiny(0), tiny(1)]
    sound, sick = Pack(runs, "cpu"), Pack(runs, "cpu")
    with torch.no_grad():
        sick.flat[0, 3] = float("nan")
    for pack in (sound, sick):
        pack.advance(pack.data(0, 1)[:, 0])
    assert sick.flat[0].isnan().any() and torch.equal(sick.flat[1], sound.flat[1])


def test_the_run_learns_the_rules_it_sees(tmp_path):
    run = tiny(task={"n_rules": 2, "n_examples": 400}, n_steps=250, optimizer="muon", lr=1e-2, muon_lr=2e-2)
    record = train_run(run, tmp_path / "c.safetensors")
    assert record["metrics"]["seen"]["exact_match"] > 0.8
    assert record["curve"][-1]["loss"] < record["curve"][0]["loss"]


@pytest.mark.parametrize("fused", [False, True])
def test_adamw_and_clipping_equal_torchs_own(fused):
    spec = TrainSpec(n_steps=10, lr=0.01, weight_decay=0.1, clip=0.5)
    random = torch.Generator().manual_seed(0)
    flat = torch.randn(1, 40, generator=random)
    theirs = torch.nn.Parameter(flat.clone())
    reference = torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1)
    ours = Optimizer(spec, {"w": (40,)}, flat)
    ours.fused = fused  # a GPU's way, which a CPU has too
    for step in range(10):
        grad = torch.randn(1, 40, generator=random) * (3 if step % 2 else 0.01)
        ours.lr_scale.fill_(schedule(spec, step))
        for group in reference.param_groups:
            group["lr"] = 0.01 * schedule(spec, step)
        theirs.grad = grad.clone()
        torch.nn.utils.clip_grad_norm_([theirs], 0.5)
        reference.step()
        ours.update(flat, grad)
    torch.testing.assert_close(flat, theirs.detach(), rtol=1e-4, atol=1e-6)


def test_muon_adds_gradients_up_with_its_momentum_and_looks_ahead():
    spec = TrainSpec(optimizer="muon", muon_lr=0.1, muon_momentum=0.7, weight_decay=0.0, clip=1e9)
    shapes = {"b": (3,)} | {name: (2, 4, 4) for name in MATRICES}
    random = torch.Generator().manual_seed(0)
    flat = torch.randn(1, 3 + 4 * 32, generator=random)
    expected, total, ours = flat[:, 3:].clone(), torch.zeros(1, 4 * 32), Optimizer(spec, shapes, flat)
    for _ in range(3):
        grad = torch.randn(flat.shape, generator=random)
        ours.update(flat, grad)
        total = 0.7 * total + grad[:, 3:]
        turned = orthogonalise((grad[:, 3:] + 0.7 * total).view(1, 8, 4, 4)).flatten(1)
        expected -= 0.1 * UPDATE_RMS * 4**0.5 * turned
    torch.testing.assert_close(flat[:, 3:], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(8, 8), (8, 24), (32, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_orthogonalise_brings_every_singular_value_near_one(shape, dtype):
    g = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(g, dtype))
    assert 0.5 < values.min() and values.max() < 1.3
    u, _, v = torch.linalg.svd(g, full_matrices=False)
    aligned = (orthogonalise(g, dtype) * (u @ v)).sum((-2, -1)) / min(shape)  # 1 for the exact polar factor
    assert (aligned > 0.6).all()


def test_the_loss_is_the_mean_over_the_answers_tokens_end_of_sequence_included():
    run = tiny(task={"y_len": [1, 3], "z_len": [5, 7], "n_rules": 6})
    pack = Pack([run], "cpu")
    tokens = pack.data(0, 1)[:, 0]
    signs = Alphabet(4)
    logits = forward(run.model, pack.weights(), tokens[:, :, :-1].long())[0]
    terms = []
    for row, predicted in zip(tokens[0].tolist(), logits):
        first = row.index(signs.equals) + 1
        for t in range(first, row.index(signs.eos) + 1):
            terms.append(F.cross_entropy(predicted[t - 1], torch.tensor(row[t])))
    torch.testing.assert_close(pack.losses(tokens)[0], torch.stack(terms).mean(), rtol=1e-5, atol=1e-6)


def test_the_gradient_does_not_depend_on_how_the_batch_is_split():
    pack = Pack([tiny()], "cpu")
    tokens = pack.data(0, 1)[:, 0]
    whole = torch.autograd.grad(pack.losses(tokens).sum(), pack.flat)[0]
    halves = [torch.autograd.grad(pack.losses(part).sum(), pack.flat)[0] for part in tokens.split(8, dim=1)]
    torch.testing.assert_close(whole, sum(halves) / 2, rtol=1e-4, atol=1e-7)


@pytest.fixture(scope="module")
def half_trained():
    """A model that answers some prompts right and some wrong, of inputs that differ in length."""
    task = {"y_len": [1, 3], "z_len": [3, 4], "n_rules": 2, "n_examples": 600, "no_op_share": 0.4}
    run = tiny(task=task, optimizer="muon", lr=1e-2, muon_lr=2e-2)
    pack = Pack([run], "cpu")
    for step in range(150):
        pack.advance(pack.data(step, 1)[:, 0])
    return run, pack.weights()


@pytest.mark.parametrize("copy", [False, True])
def test_teacher_forced_exact_match_equals_greedy_decoding_row_by_row(half_trained, copy):
    run, w = half_trained
    signs = Alphabet(4)
    examples = eval_examples(run, run.evals[1], 0, 200, "cpu", copy=copy)
    right, _ = answered(run.model, w, examples.tokens[None], 1, signs.pad)
    expected = []
    for row in examples.tokens.tolist():
        first, end = row.index(signs.equals) + 1, row.index(signs.eos) + 1
        said = greedy(run.model, w, torch.tensor(row[:first])[None, None], end - first)
        expected.append(said[0, 0].tolist() == row[first:end])
    assert right[0].tolist() == expected and 0 < sum(expected) < 200


@pytest.mark.parametrize("index", [0, 1])
def test_copies_are_those_that_a_second_pass_over_every_row_finds(half_trained, index):
    run, w = half_trained
    pad = Alphabet(4).pad
    both = [eval_examples(run, run.evals[index], 0, 200, "cpu", copy=copy) for copy in (False, True)]
    right, copied = (answered(run.model, w, some.tokens[None], prompt_length(run.task), pad)[0] for some in both)
    expected = (copied & ~right).double().mean().item()
    assert evaluate([run], w, index, 200)[0]["copies"] == expected > 0


def test_results_do_not_depend_on_the_evaluation_batch(half_trained, monkeypatch):
    run, w = half_trained
    whole = evaluate([run], w, 1, 150)[0]
    monkeypatch.setattr("ditune.rewriting.evaluate.BATCH", 37)
    parts = evaluate([run], w, 1, 150)[0]
    assert parts["exact_match"] == whole["exact_match"] and parts["slices"] == whole["slices"]


def test_slices_add_up_to_the_whole(half_trained):
    run, w = half_trained
    found = evaluate([run], w, 1, 200)[0]
    for values in found["slices"].values():
        assert sum(n for _, n in values.values()) == 200
        assert sum(acc * n for acc, n in values.values()) == pytest.approx(200 * found["exact_match"])
    assert set(found["slices"]) == {"no_op", "occurrences", "z_len"}


def test_targets_are_the_answer_and_nothing_of_the_prompt():
    signs = Alphabet(3)
    row = torch.tensor([[0, signs.arrow, 1, signs.bar, 0, 2, signs.equals, 1, 2, signs.eos, signs.pad]])
    assert answer_targets(row, 3, signs.pad).tolist() == [[signs.pad] * 4 + [1, 2, signs.eos, signs.pad]]


def test_seen_rules_are_tested_on_example_numbers_behind_the_budget():
    run = tiny()
    tested = eval_examples(run, run.evals[1], 0, 200, "cpu")
    number = torch.arange(run.task.n_examples, run.task.n_examples + 200)
    assert torch.equal(tested.tokens, training_examples(run.task, 0, number).tokens)
    assert set(tested.slices["rule"].tolist()) == set(range(run.task.n_rules))


def test_runs_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="equal shapes"):
        Pack([tiny(), tiny(task={"z_len": 6})], "cpu")


def without_key_biases(pack: Pack) -> torch.Tensor:
    """The parameters (M, P) with zeros for the biases of keys. Their true gradient is zero, as softmax ignores what all
    positions have in common, so AdamW makes steps of its full rate out of rounding errors."""
    flat = pack.flat.detach().clone()
    unflatten(flat, pack.shapes)["qkv_b"].unflatten(-1, (3, -1))[:, :, 1] = 0
    return flat


def test_the_gradient_of_key_biases_is_zero_up_to_rounding():
    pack = Pack([tiny()], "cpu")
    (grad,) = torch.autograd.grad(pack.losses(pack.data(0, 1)[:, 0]).sum(), pack.flat)
    queries, keys, values = unflatten(grad, pack.shapes)["qkv_b"].unflatten(-1, (3, -1)).abs().amax(dim=(0, 1, 3))
    assert keys < 1e-3 * queries < values


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_captured_graph_equals_eager_steps(tmp_path, optimizer, compiled):
    runs = [tiny(s, optimizer=optimizer) for s in range(3)]
    pack, eager = Pack(runs, "cuda", compiled), Pack(runs, "cuda", False)
    eager.advance = eager.eager_step
    for step in range(20):
        for p in (pack, eager):
            p.optimizer.lr_scale.fill_(schedule(p.train, step))
            p.advance(p.data(step, 1)[:, 0])
    ours, theirs = without_key_biases(pack), without_key_biases(eager)
    apart = (ours - theirs).abs() > 1e-4 + 1e-3 * theirs.abs()  # Adam's first step is the sign of a gradient, of rounding too
    assert apart.float().mean() < 1e-3
    on_cpu = train_pack(runs[:1], tmp_path / "cpu.safetensors", device="cpu")[0]
    on_gpu = train_pack(runs[:1], tmp_path / "gpu.safetensors", device="cuda")[0]
    assert on_gpu["metrics"]["seen"]["nll"] == pytest.approx(on_cpu["metrics"]["seen"]["nll"], rel=0.02)


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("position", ["learned", "rotary"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_bf16_with_heads_of_64_under_capture_equals_fp32_step_by_step(optimizer, position, compiled):
    """The paper's width, heads, lengths and precision on two layers: 20 losses within a few of bf16's errors, 2^-8."""
    model = {"n_layer": 2, "n_head": 4, "n_embd": 256, "position": position}
    train = {"n_steps": 20, "batch_size": 64, "optimizer": optimizer, "n_evals": 1}
    run = RunSpec.of(model=model, train=train, evals=EVALS)
    exact = Pack([run], "cuda", False)
    exact.advance = exact.eager_step
    pack = Pack([run.replace(train=run.train.replace(bf16=True))], "cuda", compiled)
    losses = []
    for step in range(20):
        for p in (pack, exact):
            p.optimizer.lr_scale.fill_(schedule(p.train, step))
        losses.append([p.advance(p.data(step, 1)[:, 0]).item() for p in (pack, exact)])
    ours, theirs = torch.tensor(losses).unbind(1)
    assert ours.isfinite().all()
    torch.testing.assert_close(ours, theirs, rtol=2**-6, atol=0)


@pytest.mark.gpu
def test_an_evaluation_on_a_gpu_equals_that_on_a_cpu(half_trained):
    run, w = half_trained
    here, there = (evaluate([run], {n: v.to(device) for n, v in w.items()}, 1, 200)[0] for device in ("cpu", "cuda"))
    assert all(there[name] == pytest.approx(here[name], abs=1 / 200) for name in ("exact_match", "copies"))
    assert there["slices"].keys() == here["slices"].keys()
