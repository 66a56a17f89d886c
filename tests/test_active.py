"""The loop of active selection: the same start for all strategies, the same end after a kill, against the plain way of doing it."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from conftest import Killed, kill_after

from ditune.active import loop
from ditune.active.loop import Training, measure_candidates, representations, scorer_of, select_run, uncertainty_spec
from ditune.active.pool import pool_tasks
from ditune.active.selection import Candidates, select
from ditune.active.specs import STRATEGIES, SelectSpec
from ditune.active.uncertainty import PromptTask, measure
from ditune.rewriting.evaluate import greedy
from ditune.rewriting.model import forward
from ditune.rewriting.tasks import Alphabet

POOL = {"n_tasks": 30, "n_instances": 4, "n_test": 8, "n_test_instances": 3, "alphabet_size": 8, "side_len": 3, "z_len": 4}
SMALL = {
    "pool": POOL, "model": {"n_layer": 2, "n_head": 2, "n_embd": 16}, "n_initial": 8, "n": 2, "k": 2,
    "train": {"n_steps": 6, "batch_size": 8, "n_evals": 2, "lr": 3e-3},
}  # fmt: skip
CLOCK = ("wall_s", "train_s", "score_s", "tokens_per_s", "seconds")


def small(**changes) -> SelectSpec:
    return SelectSpec.of(**SMALL | {"n_rounds": 2, "n_select": 8} | changes)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The result of every strategy, without what the clock says; computed when first asked for."""
    found, folder = {}, tmp_path_factory.mktemp("checkpoints")

    def of(spec):
        if spec not in found:
            result = select_run(spec, folder / f"{spec.key}.safetensors")
            found[spec] = {name: value for name, value in result.items() if name not in CLOCK}
        return found[spec]

    return of


def test_the_loss_is_the_mean_over_the_answers_tokens_and_each_pass_takes_every_row_once():
    spec = small()
    rows = pool_tasks(spec.pool, 0).rows(torch.arange(4))  # 16 rows: two batches
    training = Training(spec, rows)
    batches = [training.batch(step) for step in range(4)]
    for first in (0, 2):
        assert sorted(torch.cat(batches[first : first + 2], dim=1)[0].tolist()) == sorted(rows.tolist())
    assert batches[0].tolist() != batches[2].tolist()
    logits = forward(spec.model, training.weights(), batches[0][:, :, :-1].long())[0].log_softmax(-1)
    nll = []
    for b, row in enumerate(batches[0][0].tolist()):
        signs, answering = Alphabet(8), False
        for t, token in enumerate(row):
            answering &= token != signs.bar
            nll += [-logits[b, t - 1, token]] if answering else []
            answering |= token == signs.equals
    assert training.loss(batches[0]).item() == pytest.approx((sum(nll) / len(nll)).item(), rel=1e-5)


def test_exact_match_is_that_of_greedy_answers():
    spec = small(train={"n_steps": 60, "batch_size": 16, "lr": 1e-2})
    pool = pool_tasks(spec.pool, 0)
    training = Training(spec, pool.rows(torch.arange(2)))
    for _ in training.steps():
        pass
    few = replace(pool, tokens=pool.tokens[:4], family=pool.family[:4], decision=pool.decision[:4])
    rows = few.rows(torch.arange(4))
    right = (greedy(spec.model, training.weights(), rows[None, :, :-5], 5)[0] == rows[:, -5:]).all(1).double()
    found = loop.exact_match(spec, training.weights(), few)
    assert 0 < found["exact_match"] == right.mean().item() < 1 and found["n"] == 16
    for name in ("family", "kind"):
        assert sum(share * n for share, n in found["slices"][name].values()) == pytest.approx(right.sum().item())


def test_representations_are_the_values_that_the_last_layer_reads():
    spec = small()
    pool = pool_tasks(spec.pool, 0)
    training, heads = Training(spec, pool.rows(torch.arange(4))), pool.heads(torch.arange(30)).long()
    w = {name: value[0] for name, value in training.weights().items()}
    first, last = ({name: value[i] for name, value in w.items() if len(value) == 2} for i in (0, 1))
    with torch.no_grad():
        x = w["wte"][heads] + w["wpe"][: heads.shape[1]]
        q, k, v = (F.layer_norm(x, (16,), first["ln_1_w"], first["ln_1_b"]) @ first["qkv_w"] + first["qkv_b"]).split(16, dim=2)
        q, k, v = (t.unflatten(2, (2, 8)).transpose(1, 2) for t in (q, k, v))
        x = x + F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2) @ first["proj_w"] + first["proj_b"]
        inside = F.layer_norm(x, (16,), first["ln_2_w"], first["ln_2_b"]) @ first["fc_w"] + first["fc_b"]
        x = x + F.gelu(inside, approximate="tanh") @ first["out_w"] + first["out_b"]
        values = (F.layer_norm(x, (16,), last["ln_1_w"], last["ln_1_b"]) @ last["qkv_w"] + last["qkv_b"])[..., 32:]
    torch.testing.assert_close(representations(spec, training.weights(), heads), values.mean(dim=1), rtol=1e-4, atol=1e-6)


def test_probabilities_are_those_of_the_measure_whether_or_not_prompts_are_perturbed():
    spec, pool, left = small(), pool_tasks(small().pool, 0), torch.arange(10, 30)
    scorer = scorer_of(spec, Training(spec, pool.rows(left)).weights())
    told = {name: measure_candidates(spec.replace(strategy=name), scorer, pool, left) for name in ("uncertainty", "high_perplexity")}
    table = measure(scorer, pool.prompts(left), uncertainty_spec(spec), spec.seed).table()
    for name in ("probability", "perplexity"):
        expected = [row[name] for row in table]
        assert getattr(told["uncertainty"], name).tolist() == pytest.approx(expected, abs=1e-7)
        assert getattr(told["high_perplexity"], name).tolist() == pytest.approx(expected, rel=1e-5)
    assert told["uncertainty"].uncertainty.tolist() == pytest.approx([row["uncertainty"] for row in table], abs=1e-7)
    assert told["high_perplexity"].uncertainty.max() == 0  # no letter was dropped, and nothing but the original prompts scored


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_tasks_without_a_definition_or_with_fewer_instances_than_n_can_be_selected(strategy):
    """The prompt is one token, or its definition empty; one instance each, where n is 2."""
    spec, pool = small(strategy=strategy), pool_tasks(small().pool, 0)
    training, equals = Training(spec, pool.rows(torch.arange(4))), Alphabet(8).equals
    bare = [PromptTask("one token", (), ((equals,),)), PromptTask("no definition", pool.prompts(torch.tensor([0]))[0].prompt[4:], ((1, equals),))]
    scores = measure(scorer_of(spec, training.weights()), bare, uncertainty_spec(spec), 0).table()
    columns = {name: torch.tensor([row[name] for row in scores]) for name in ("uncertainty", "probability", "perplexity")}
    kinds = torch.tensor([False, True])
    tasks = Candidates(torch.tensor([0, 1]), kinds, torch.tensor([0, 1]), kinds, features=torch.eye(2), **columns)
    assert scores[0]["uncertainty"] == 0 and scores[0]["n_droppable"] == 0 and [row["n_instances"] for row in scores] == [1, 1]
    assert select(strategy, tasks, 1, 0.0, 0, "").tolist() == [0] and select(strategy, tasks, 5, 0.35, 0, "").tolist() == [0, 1]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_run_starts_alike_selects_its_shares_and_ends_with_a_smaller_selection_where_the_pool_is_used_up(results, strategy):
    spec = small(strategy=strategy, n_rounds=3)
    result, random = results(spec), results(small(n_rounds=3))
    assert result["selected"][0] == random["selected"][0] == loop.initial_tasks(spec, pool_tasks(spec.pool, 0)).tolist()
    assert result["metrics"]["round 0"] == random["metrics"]["round 0"]
    assert [len(numbers) for numbers in result["selected"]] == [8, 8, 8, 6]
    assert sorted(sum(result["selected"], [])) == list(range(30))
    decision = pool_tasks(spec.pool, 0).decision
    assert [int(decision[numbers].sum()) for numbers in result["selected"]][:3] == [3, 3, 3]
    assert [m["n_trained"] for m in result["metrics"].values()] == [8, 16, 24, 30] and result["metrics"]["round 3"]["n_clean"] == int((pool_tasks(spec.pool, 0).noise == 0).sum())
    assert (result["map"] is not None) == ("uncertainty" in STRATEGIES[strategy])
    if result["map"]:
        assert result["map"]["task"] == [r for r in range(30) if r not in result["selected"][0]]


def test_a_killed_run_resumes_and_ends_as_an_undisturbed_one(results, tmp_path):
    spec, seen = small(strategy="uncertainty_diversity"), []

    with pytest.raises(Killed):
        select_run(spec, tmp_path / "killed.safetensors", kill_after(6))
    resumed = select_run(spec, tmp_path / "killed.safetensors", lambda step, n_steps: seen.append((step, n_steps)))
    assert seen == [(12, 18), (18, 18)]
    assert {name: value for name, value in resumed.items() if name not in CLOCK} == results(spec)


def test_a_seed_changes_everything_and_a_setting_only_what_it_should(results):
    plain = results(small())
    other = results(small(seed=1))
    assert other["selected"] != plain["selected"] and other["metrics"]["round 0"]["nll"] != plain["metrics"]["round 0"]["nll"]
    assert results(small(k=1, n=1, drop_rate=0.5)) == plain  # random selection measures nothing
    longer = results(small(n_rounds=3))
    assert longer["selected"][:3] == plain["selected"] and longer["metrics"]["round 2"] == plain["metrics"]["round 2"]
    assert results(small(strategy="uncertainty", n=50))["map"] == results(small(strategy="uncertainty", n=4))["map"]  # of 4 instances
