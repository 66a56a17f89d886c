"""Specs: what is impossible is refused in one line, and "seen" and "unseen" rules are what they say, in other tasks too."""

import pytest
import torch

from ditune.rewriting.rules import make_rules
from ditune.rewriting.specs import EvalSpec, RunSpec, TaskSpec, may_coincide
from ditune.specs import SpecError

WORDS = {"alphabet_size": 6, "x_len": 3, "y_len": 3, "z_len": 8, "n_rules": 100}


def words(spec: TaskSpec, side: str, unseen: bool) -> set[bytes]:
    """Many words of a side of training rules, or of unseen ones."""
    drawn = getattr(make_rules(spec, 0, torch.arange(3000), unseen), side)
    return {bytes(row[:n].tolist()) for row, n in zip(drawn.letters, drawn.length)}


@pytest.mark.parametrize("change, apart", [
    ({"z_len": 12, "no_op_share": 0.5, "occurrences": [1, 2]}, True),
    ({"n_rules": 10}, True),
    ({"x_len": 4}, True),
    ({"x_len": [3, 5]}, True),
    ({"x_len": [2, 3]}, False),
    ({"families": ["mirrored"], "k": 2}, False),
    ({"families": ["uniform", "mirrored"]}, True),
])
def test_unseen_rules_of_another_task_are_refused_where_they_may_be_training_rules(change, apart):
    trained, tested = TaskSpec.of(**WORDS), TaskSpec.of(**WORDS | change)
    assert may_coincide(trained, tested, "x_len") is not apart
    if apart:
        assert not words(trained, "x", False) & words(tested, "x", True)
        RunSpec(task=trained, evals=(EvalSpec(task=tested),))
    else:
        with pytest.raises(SpecError, match="sets of unseen rules with the x_len"):
            RunSpec(task=trained, evals=(EvalSpec(task=tested),))


def test_words_that_are_refused_do_coincide():
    for change in ({"x_len": [2, 3]}, {"families": ["repeated"], "k": 2}):
        assert words(TaskSpec.of(**WORDS), "x", False) & words(TaskSpec.of(**WORDS | change), "x", True)


def test_long_words_of_other_families_may_be_tested_whatever_was_trained_on():
    uniform = TaskSpec()
    restricted = uniform.replace(families=("repeated", "mirrored"), k=(2, 5))
    for trained, tested in ((uniform, restricted), (restricted, uniform)):
        assert RunSpec(task=trained, evals=(EvalSpec(task=tested),)).evals[0].task == tested
    short = {"x_len": 6, "y_len": 6, "families": ["mirrored"], "k": 3}
    assert not may_coincide(uniform.replace(n_rules=1000, x_len=6, y_len=6), TaskSpec.of(**short), "x_len")
    assert may_coincide(uniform.replace(n_rules=1_000_000, x_len=6, y_len=6), TaskSpec.of(**short), "x_len")


@pytest.mark.parametrize("change", [{"n_rules": 50}, {"y_len": 4}, {"families": ["mirrored"]}, {"tail_alpha": 0.5}, {"rules_in_prompt": 2}])
def test_seen_rules_of_another_task_are_those_of_training(change):
    trained = TaskSpec.of(**WORDS)
    assert RunSpec(task=trained, evals=(EvalSpec(rules="seen", task=trained.replace(z_len=12)),))
    with pytest.raises(SpecError, match=f"sets of seen rules with the {next(iter(change))} that is trained on"):
        RunSpec(task=trained, evals=(EvalSpec(rules="seen", task=trained.replace(**change)),))


@pytest.mark.parametrize("families", [["repeated"], ["periodic", "mirrored"], ["repeated", "periodic", "mirrored"]])
def test_unseen_rules_of_lower_k_and_other_families_are_never_training_rules(families):
    both = {"alphabet_size": 4, "x_len": 8, "y_len": 8, "z_len": 12, "n_rules": 40}
    trained = TaskSpec.of(families=families, k=[3, 4], **both)
    tested = TaskSpec.of(families=["repeated", "periodic", "mirrored"], k=[2, 4], **both)
    assert not may_coincide(trained, tested, "x_len") and may_coincide(tested, trained, "x_len")
    for side in ("x", "y"):
        assert not words(trained, side, False) & words(tested, side, True)
