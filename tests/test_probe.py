"""The probe with rules seen in part: sides are from where it says, answers are the reference's, and shares are shares."""

import pytest
import torch

from ditune.rewriting.markov import rewrite
from ditune.rewriting.probe import COMBINATIONS, combined, probe_examples, probe_pack, probe_run
from ditune.rewriting.rules import make_rules
from ditune.rewriting.specs import ProbeSpec, RunSpec, TaskSpec
from ditune.rewriting.tasks import Alphabet
from ditune.rewriting.train import train_run

TASK = TaskSpec.of(n_rules=7, n_examples=2000, alphabet_size=12, x_len=2, y_len=3, z_len=6)
SMALL = {"task": TASK, "model": {"n_layer": 1, "n_head": 1, "n_embd": 8}, "train": {"n_steps": 4, "batch_size": 8, "n_evals": 1}, "n_probe": 60}
EVALS = [{"name": "unseen", "n_examples": 20}, {"name": "seen", "rules": "seen", "n_examples": 20}]
NUMBER = torch.arange(300)


def words(side) -> list[tuple]:
    return [tuple(row) for row in side.letters.tolist()]


def texts(examples) -> list[str]:
    return [Alphabet(TASK.alphabet_size).text(row) for row in examples.tokens.tolist()]


@pytest.mark.parametrize("which", COMBINATIONS)
def test_the_sides_of_a_combination_are_of_training_or_unseen_as_it_says(which):
    training = make_rules(TASK, 3, torch.arange(TASK.n_rules))
    xs, ys = words(training.x), words(training.y)
    rules, trained = combined(TASK, 3, which, NUMBER)
    x_of, y_of = COMBINATIONS[which]
    assert words(trained.x) == [xs[i % TASK.n_rules] for i in range(300)]
    for i, (x, y) in enumerate(zip(words(rules.x), words(rules.y))):
        own = i % TASK.n_rules
        assert (x == xs[own]) if x_of == "own" else x not in xs
        assert {"own": y == ys[own], "other": y in [*ys[:own], *ys[own + 1 :]], "new": y not in ys}[y_of]


def test_every_other_training_rule_lends_its_y():
    lenders, _ = combined(TASK, 3, "y of another", NUMBER)
    of_first = {y for i, y in enumerate(words(lenders.y)) if i % TASK.n_rules == 0}
    assert of_first == set(words(make_rules(TASK, 3, torch.arange(1, TASK.n_rules)).y))


@pytest.mark.parametrize("which", COMBINATIONS)
def test_answers_are_those_of_the_reference(which):
    found = probe_examples(TASK, 3, which, NUMBER)
    _, trained = combined(TASK, 3, which, NUMBER)
    by_heart = texts(found["memorised"]) if "memorised" in found else [None] * len(NUMBER)
    for i, (right, copied, learnt) in enumerate(zip(texts(found["right"]), texts(found["copied"]), by_heart)):
        prompt, answer = right.rstrip("_").split("=")
        rule, z = prompt.split("|")
        x, y = rule.split(">")
        assert answer == rewrite(z, x, y) + "."
        assert z.count(x) == 1 and z.index(x) == found["right"].slices["place"][i]
        assert copied.rstrip("_") == f"{prompt}={z}."
        if learnt:
            of_x = "".join(chr(97 + letter) for letter in trained.y.letters[i].tolist())
            assert learnt.rstrip("_") == f"{prompt}={rewrite(z, x, of_x)}."


def test_only_a_trained_x_with_another_y_can_be_answered_by_heart():
    assert [which for which in COMBINATIONS if "memorised" in probe_examples(TASK, 3, which, NUMBER)] == ["y of another", "new y"]


def test_a_probe_is_its_run_with_five_more_sets_of_shares(tmp_path):
    spec = ProbeSpec.of(**SMALL, evals=EVALS, seed=1)
    run = RunSpec.of(**{name: value for name, value in SMALL.items() if name != "n_probe"}, evals=EVALS, seed=1)
    found, plain = probe_run(spec, tmp_path / "a", lambda *_: None), train_run(run, tmp_path / "b")
    assert spec.key != run.key and found["curve"] == plain["curve"]
    assert {name: found["metrics"][name] for name in ("unseen", "seen")} == plain["metrics"]
    for which in COMBINATIONS:
        result = found["metrics"][which]
        assert result["n"] == 60 == sum(n for _, n in result["slices"]["place"].values())
        assert 0 <= result["exact_match"] + result["copies"] + result.get("memorised", 0) <= 1


def test_a_member_of_a_pack_is_probed_with_its_own_weights(tmp_path):
    specs = [ProbeSpec.of(**SMALL, evals=EVALS, seed=seed) for seed in (1, 2)]
    packed = probe_pack(specs, tmp_path / "pack")
    for spec, result in zip(specs, packed):
        alone = probe_run(spec, tmp_path / f"{spec.seed}")["metrics"]
        assert {w: result["metrics"][w]["copies"] for w in COMBINATIONS} == pytest.approx({w: alone[w]["copies"] for w in COMBINATIONS})
