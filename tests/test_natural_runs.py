"""Runs on tasks in natural language: splits, the first round that strategies share, against the plain way of measuring, after a kill."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from conftest import Killed, clone, kill_after, nothing

from ditune.active.scorers import Prompts, Rows
from ditune.active.uncertainty import UncertaintySpec, perturbed
from ditune.language import instructions, natural_runs, prompting
from ditune.language.natural import KINDS, SPLITS, Task, usable
from ditune.language.natural import load as pool
from ditune.language.natural_runs import first_run, instructions_run, map_run, rounds_run, selected_tasks, split_of
from ditune.language.pretrained import Pretrained, TuneSpec, load
from ditune.language.prompting import OwnScorer, Template, answer_measures, by_paraphrases, gold_nll, n_examples, pairs
from ditune.language.specs import SELECTIONS, FirstSpec, InstructionsSpec, InstructSpec, MapSpec, RoundsSpec
from ditune.language.tuning import LanguageScorer
from ditune.specs import SpecError

TUNE = TuneSpec(rank=2, alpha=4, batch_size=4, n_steps=25, lr=1e-3, warmup_share=0.1, max_tokens=400)
SHARED = {"model": "tiny", "most_letters": 60, "k": 2, "max_tokens": 2}
LOOP = SHARED | {
    "pool": ["made_tasks"], "test": ["made_tasks"], "n": 1, "most_head": 120, "n_test": 3, "n_test_instances": 2, "n_written": 1, "n_validation": 2, "n_initial": 3,
    "n_candidates": 5, "n_rounds": 2, "n_select": 2, "n_instances": 1, "passes": 1.0, "tune": TUNE,
}  # fmt: skip
pytestmark = pytest.mark.usefixtures("home")
CLOCK = ("wall_s", "train_s", "score_s")


def rounds(**changes) -> RoundsSpec:
    return RoundsSpec.of(**LOOP | changes)


def plain(result: dict) -> dict:
    """A result without what the clock says."""
    curve = [{n: v for n, v in point.items() if n not in CLOCK} for point in result["curve"]]
    return {name: value for name, value in result.items() if name not in CLOCK} | {"curve": curve}


def test_a_split_has_its_shares_of_both_kinds_and_no_task_twice_and_the_test_is_that_of_all_seeds():
    spec = rounds(n_validation=4, n_initial=6, n_candidates=12, n_test=5, share=1 / 3)
    parts = {seed: split_of(spec.replace(seed=seed)) for seed in (0, 1)}
    names = [task.name for tasks in parts[0].values() for task in tasks]
    assert len(names) == len(set(names)) == 27 and parts[0]["test"] == parts[1]["test"] and parts[0]["initial"] != parts[1]["initial"]
    kinds = {name: sum(task.kind == "classification" for task in tasks) for name, tasks in parts[0].items()}
    assert kinds == {"test": 2, "validation": 2, "initial": 2, "candidates": 4}
    out = parts[0]["test"][0].name
    assert out not in {task.name for task in split_of(spec.replace(left_out=(out,)))["test"]}
    assert {task.split for task in parts[0]["test"]} == {"test"} and all(task.split == "train" for name in ("validation", "initial", "candidates") for task in parts[0][name])


def test_the_papers_pool_is_split_into_the_papers_numbers(monkeypatch):
    pool = [Task(f"t{i}", "", (), (), (), (), "", "", "train", KINDS[i < 279]) for i in range(279 + 477)]
    monkeypatch.setattr(natural_runs, "usable", lambda names, most_letters, split="": pool if split == "train" else [])
    parts = split_of(FirstSpec.of())
    counts = {name: [sum(task.kind == kind for task in tasks) for kind in reversed(KINDS)] for name, tasks in parts.items() if name != "test"}
    assert (counts["validation"], counts["initial"], sum(counts["candidates"])) == ([34, 34], [24, 44], 620)


def plain_probability(lm, prompt: tuple, answer: tuple, most: int = 99) -> float:
    """exp of the mean log-likelihood of the answer's tokens, and end-of-sequence unless it has `most` tokens, by one forward pass of
    the model as it is."""
    tokens = torch.tensor([[*prompt, *answer, *((lm.eos,) if len(answer) < most else ())]])
    with torch.no_grad():
        logits = lm.model(input_ids=tokens[:, :-1]).logits[0, len(prompt) - 1 :].log_softmax(-1)
    return (-F.nll_loss(logits, tokens[0, len(prompt) :])).exp().item()


def test_measures_are_those_of_whole_prompts_read_one_by_one():
    lm, tasks = load("tiny"), pool("made_tasks")[:2]
    template, scorer, how = Template(lm, 200), OwnScorer(lm, 2), UncertaintySpec(n=2, k=2, max_tokens=2)
    prompts = [template.task(task) for task in tasks]
    columns, answers = answer_measures(scorer, prompts, how, 7, [[outputs for _, outputs in task.instances] for task in tasks])
    for r, prompt in enumerate(prompts):
        heads = perturbed(prompt.prompt, 2, 0.2, 7, prompt.name).lists()
        p = [[plain_probability(lm, heads[j] + prompt.inputs[i], answers[r][i], 2) for j in range(3)] for i in range(2)]
        assert columns["uncertainty"][r] == pytest.approx(sum(abs(each[j] - each[0]) for each in p for j in (1, 2)) / 4, abs=2e-6)
        assert columns["probability"][r] == pytest.approx((p[0][0] + p[1][0]) / 2, abs=2e-6)
    others = by_paraphrases(scorer, template, tasks, answers, 1)
    for r, task in enumerate(tasks):
        texts = [pairs(template.task(task, text, n_examples(prompts[r])), 2, lm.eos, 10_000) for text in (task.definition, task.paraphrases[0])]
        moved = [abs(plain_probability(lm, texts[0][i][0], answers[r][i], 2) - plain_probability(lm, texts[1][i][0], answers[r][i], 2)) for i in range(2)]
        assert others[r] == pytest.approx(sum(moved) / 2, abs=2e-6)
    heads = perturbed(prompts[0].prompt, 2, 0.2, 7, prompts[0].name, ("definition",)).lists()
    p = [[plain_probability(lm, heads[j] + prompts[0].inputs[i], answers[0][i], 2) for j in range(3)] for i in range(2)]
    of_definition = prompting.by_definition(scorer, prompts, [tasks[0], replace(tasks[1], paraphrases=())], how, 7)
    assert of_definition == [pytest.approx(sum(abs(each[j] - each[0]) for each in p for j in (1, 2)) / 4, abs=2e-6), None]
    right = pairs(prompts[0], 2, lm.eos, 10_000)
    assert gold_nll(LanguageScorer(lm), prompts[:1], 2)[0] == pytest.approx(-sum(torch.tensor(plain_probability(lm, x, y[:-1])).log() for x, y in right).item() / 2, abs=1e-4)


def test_no_end_is_scored_of_an_own_answer_that_was_cut():
    lm = load("tiny")
    prompt, answers = lm.encode("abc"), [(5,), (5, 6), (5, 6, 7)]
    asked = Prompts(Rows.of([prompt]), torch.zeros(3, dtype=torch.int64), Rows.of([(8,)] * 3))
    found = OwnScorer(lm, 3).log_likelihood(asked, Rows.of(answers)).exp().tolist()
    assert found == pytest.approx([plain_probability(lm, (*prompt, 8), answer, 3) for answer in answers], rel=1e-4)
    assert LanguageScorer(lm).log_likelihood(asked, Rows.of(answers)).exp().tolist() == pytest.approx([plain_probability(lm, (*prompt, 8), a) for a in answers], rel=1e-4)


@pytest.mark.parametrize("n", [2, 5])
def test_prompts_of_equal_length_take_one_pass_for_what_stands_before_the_input_and_one_for_the_rest(n):
    lm = load("tiny")
    scorer = OwnScorer(lm, 3)

    def passes(heads: list[str], tails: list[str]) -> int:
        before = scorer.n_passes
        asked = Prompts(Rows.of([lm.encode(text) for text in heads]), torch.arange(len(tails)) % len(heads), Rows.of([lm.encode(text) for text in tails]))
        scorer.log_likelihood(asked, Rows.of([(5, 6)] * len(tails)))
        return scorer.n_passes - before

    letters = "abcdefgh"[:n]
    assert passes([f"head {a}" for a in letters], [f"tail {a}" for a in letters]) == 2
    assert passes(["head"], [f"tail {a}" for a in letters]) == 2
    assert passes(["head" + "s" * i for i in range(n)], [f"tail {a}" for a in letters]) == 2 * n


def test_a_task_with_fewer_instances_than_asked_for_is_measured_on_those_it_has(home):
    lm, tasks = load("tiny"), usable((str(clone(home / "clone")),), 100)
    template, how = Template(lm, 200), UncertaintySpec(n=3, k=2, max_tokens=2)
    right = [[outputs for _, outputs in task.instances] for task in tasks]
    prompts = [template.task(task) for task in tasks]
    columns, answers = answer_measures(OwnScorer(lm, 2), prompts, how, 0, right)
    assert [len(of_task) for of_task in answers] == [len(task.instances) for task in tasks] and {1, 2} <= {len(of_task) for of_task in answers}
    for r, task in enumerate(tasks):
        alone, _ = answer_measures(OwnScorer(lm, 2), prompts[r : r + 1], how.replace(n=len(task.instances)), 0, right[r : r + 1])
        assert {name: values[r] for name, values in columns.items()} == {name: pytest.approx(value, rel=1e-5, abs=2e-6) if isinstance(value, float) else value for name, (value,) in alone.items()}
    nll = gold_nll(LanguageScorer(lm), prompts, 3)
    assert nll == pytest.approx([gold_nll(LanguageScorer(lm), [prompt], len(prompt.inputs))[0] for prompt in prompts], abs=2e-6)


def test_a_paraphrased_prompt_keeps_the_examples_of_the_definition():
    task = replace(pool("made_tasks")[0], paraphrases=("long " * 60,))
    template = Template(load("tiny"), 400)
    whole, other = template.task(task), template.task(task, task.paraphrases[0], 2)
    assert n_examples(whole) == n_examples(other) == 2 and n_examples(template.task(task, task.paraphrases[0])) < 2


def test_no_run_encodes_a_text_twice(home, monkeypatch):
    seen, encode = [], Pretrained.encode
    monkeypatch.setattr(Pretrained, "encode", lambda self, text: seen.append(text) or encode(self, text))
    few = {split: [task for task in pool("made_tasks") if task.split == split][:12] for split in SPLITS}
    monkeypatch.setattr(natural_runs, "usable", lambda pools, most_letters, split="train": few[split])
    measured = InstructionsSpec.of(**SHARED | {"most_letters": 200}, pool="made_general", test=["made_reasoning"], n_candidates=5, n_test=3)
    for run, spec in ((map_run, MapSpec.of(**SHARED, pool=["made_tasks"], n=2, most_head=120)), (first_run, rounds().first), (instructions_run, measured)):
        seen.clear()
        run(spec, home / f"{run.__name__}.safetensors")
        assert len(seen) == len(set(seen)) > 20, spec


def test_the_map_measures_every_task_and_goes_on_after_a_kill(home, monkeypatch):
    spec, told = MapSpec.of(**SHARED, pool=["made_tasks"], n=1, most_head=60), []
    few = [replace(task, paraphrases=task.paraphrases[:i]) for i, task in enumerate(pool("made_tasks")[:5])]
    monkeypatch.setattr(natural_runs, "usable", lambda pools, most_letters: few)
    monkeypatch.setattr(natural_runs, "GROUP", 2)
    whole = map_run(spec, home / "a.safetensors")
    assert whole["map"]["task"] == [task.name for task in few] and whole["metrics"]["map"]["n"] == 5
    assert [value is None for value in whole["map"]["paraphrased"]] == [True, False, False, False, False]

    with pytest.raises(Killed):
        map_run(spec, home / "b.safetensors", kill_after(0))
    assert plain(map_run(spec, home / "b.safetensors", lambda step, n: told.append(step))) == plain(whole) and len(told) == 2 and told[-1] == spec.n_steps
    with pytest.raises(Killed):
        map_run(spec, home / "c.safetensors", kill_after(0))
    few[0] = replace(few[0], definition="Other words.")  # the data change between a kill and the rest
    assert plain(map_run(spec, home / "c.safetensors")) == plain(map_run(spec, home / "d.safetensors"))


def test_strategies_of_a_seed_share_the_first_round_and_a_killed_run_ends_as_an_undisturbed_one(home):
    spec = rounds(strategy="uncertainty")
    assert spec.first == rounds(strategy="difficult").first
    first = first_run(spec.first, home / "first.safetensors")
    whole = rounds_run(spec, home / "whole.safetensors", nothing, first)
    assert whole["selected"][0] == selected_tasks(spec, first["map"], 1)
    assert set(whole["selected"][0]) <= set(first["split"]["candidates"])
    assert [m["n_trained"] for m in whole["metrics"].values()] == [5, 5, 7, 7]
    assert list(whole["metrics"]) == ["round 1", "round 1 validation", "round 2", "round 2 validation"]
    assert len(set(sum(whole["selected"], first["split"]["initial"]))) == 7

    with pytest.raises(Killed):
        rounds_run(spec, home / "killed.safetensors", kill_after(spec.steps(5) + 1), first)
    (home / "killed-2.safetensors").write_bytes(b"half a file")  # a damaged checkpoint of a training is made anew
    assert plain(rounds_run(spec, home / "killed.safetensors", nothing, first)) == plain(whole)


def test_rounds_on_other_data_than_their_first_round_are_refused(home, monkeypatch):
    first = first_run(rounds().first, home / "first.safetensors")
    changed = [replace(task, definition=f"{task.definition} Quickly.") for task in pool("made_tasks")]
    monkeypatch.setattr("ditune.language.natural.load", lambda name: changed)
    with pytest.raises(SpecError, match="the pools made_tasks have changed since the first round of this seed was recorded"):
        rounds_run(rounds(), home / "r.safetensors", nothing, first)


@pytest.mark.parametrize("strategy", SELECTIONS)
def test_every_strategy_selects_from_the_columns_that_it_is_given(strategy):
    columns = {"task": list("abcdef"), "kind": ["classification"] * 2 + ["generation"] * 4, "uncertainty": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "probability": [0.6, 0.5, 0.4, 0.3, 0.2, 0.1]}
    columns["perplexity"] = [1 / p for p in columns["probability"]]
    found = selected_tasks(rounds(strategy=strategy, n_select=3, share=1 / 3), columns, 1)
    assert len(found) == 3 and len(set(found) & set("ab")) == 1
    if strategy in ("uncertainty", "high_perplexity"):
        assert found == ["b", "e", "f"]


def test_a_tuning_on_instructions_starts_from_the_pretrained_model_at_every_budget(home):
    spec = InstructSpec.of(**SHARED | {"most_letters": 200}, pool="made_general", test=["made_reasoning"], n_candidates=5, n_test=3, strategy="uncertainty", budgets=[1, 3], passes=2.0, tune=TUNE)
    first = instructions_run(spec.first, home / "first.safetensors")
    found = natural_runs.instruct_run(spec, home / "i.safetensors", nothing, first)
    alone = natural_runs.instruct_run(spec.replace(budgets=(3,)), home / "j.safetensors", nothing, first)
    assert found["metrics"]["budget 3"] == alone["metrics"]["budget 3"] and list(found["metrics"]) == ["budget 1", "budget 3"]
    columns = first["map"]
    highest = sorted(range(5), key=lambda i: -columns["uncertainty"][i])
    assert found["selected"] == sorted(highest[:3]) and natural_runs.selected_instructions(spec, columns, 1) == highest[:1]
    rows = instructions.tests_of(("made_reasoning",), 3, 200)["made_reasoning"]
    assert found["metrics"]["budget 1"]["n"] == len(rows) == 3
