"""Tunings on mixtures: what a spec refuses, which rows a run may see, and that a run gives what it says."""

import pytest
import torch

from ditune.language import codegen, mixtures
from ditune.language.instructions import Instruction
from ditune.language.pretrained import TuneSpec, load
from ditune.language.specs import LanguageSpec, TextEval
from ditune.language.tuning import encoded, mean_nll
from ditune.sandbox.programs import SandboxError

pytestmark = pytest.mark.usefixtures("home")
SMALL = TuneSpec(rank=2, alpha=4, n_steps=3, batch_size=4, lr=1e-3, warmup_share=0.1, max_tokens=200)
EVALS = (TextEval("humaneval", 3), TextEval("made_general", 4), TextEval("made_reasoning", 4))
SPEC = LanguageSpec(model="tiny", sets=("made_general", "made_reasoning"), shares=(0.75, 0.25), total=12, tune=SMALL, evals=EVALS, most_letters=160)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    told = []
    found = mixtures.tune_run(SPEC, tmp_path_factory.mktemp("run") / "checkpoint", lambda step, n_steps: told.append((step, n_steps)))
    assert told == [(step, 6) for step in range(1, 7)]
    return found


def test_a_run_says_what_it_has_learnt_from_and_what_it_was_tested_on(result):
    assert {name: found["examples"] for name, found in result["data"].items()} == {"made_general": 9, "made_reasoning": 3}
    assert [point["step"] for point in result["curve"]] == [1, 2, 3] and result["tokens"] > 0
    for e in EVALS:
        found = result["metrics"][e.name]
        assert found["n"] == len(found["nll_each"]) == e.n_examples and found["nll"] == pytest.approx(sum(found["nll_each"]) / found["n"], abs=1e-5)
    assert result["data"]["made_general"]["fingerprint"] != result["metrics"]["made_general"]["fingerprint"]


def test_a_run_is_a_function_of_its_spec(result, tmp_path):
    again = mixtures.tune_run(SPEC, tmp_path / "checkpoint")
    assert all(again[name] == result[name] for name in ("metrics", "curve", "data", "tokens"))


def test_without_examples_the_model_is_tested_as_it_is(tmp_path):
    base = SPEC.replace(sets=(), shares=(), total=0, seed=5)
    found = mixtures.tune_run(base, tmp_path / "checkpoint")
    lm = load("tiny")
    with torch.no_grad():
        plain = mean_nll(lm, encoded(lm, mixtures.pairs(codegen.load("humaneval")[:3]), 1024, chat=False, end=False))
    assert found["metrics"]["humaneval"]["nll_each"] == pytest.approx(plain.tolist(), abs=1e-5) and found["curve"] == [] and found["tokens"] == 0


def rows(name: str, n: int, words: str = "word") -> list[Instruction]:
    return [Instruction(f"{words} {i}", "", "answer", name, "domain", "licence") for i in range(n)]


def test_held_out_rows_are_in_no_mixture_and_the_same_for_all_of_them(monkeypatch):
    pools = {"made_general": rows("made_general", 30) * 2 + rows("made_general", 5, "w" * 200), "made_reasoning": rows("made_reasoning", 20)}
    monkeypatch.setattr(mixtures, "load", pools.get)
    held_out, left = mixtures.split_held_out(SPEC)
    assert {name: len(found) for name, found in held_out.items()} == {"made_general": 4, "made_reasoning": 4}
    assert len(left["made_general"]) == 26 and not set(left["made_general"]) & set(held_out["made_general"])  # none twice, none that is too long
    other = SPEC.replace(sets=("made_reasoning",), shares=(1.0,), seed=9)
    assert mixtures.split_held_out(other)[0] == held_out


def test_where_nothing_can_be_run_safely_the_result_says_so(monkeypatch):
    def unprotected(*arguments):
        raise SandboxError("no protection here")

    monkeypatch.setattr(codegen, "check_all", unprotected)
    assert mixtures.run_generated(load("tiny"), codegen.load("humaneval")[:1], 2) == {"not_tested": "no protection here"}
    assert mixtures.run_generated(load("tiny"), [], 2) == {}


def test_a_checkpoint_is_continued(tmp_path):
    checkpoint = tmp_path / "checkpoint"
    mixtures.tune_run(SPEC, checkpoint)
    told = []
    mixtures.tune_run(SPEC, checkpoint, lambda step, n_steps: told.append(step))
    assert told == [4, 5, 6]  # the training is done; the evaluation sets are left
