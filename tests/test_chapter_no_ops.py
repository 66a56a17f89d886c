"""03: the rules decide as they are written, the control has as many inputs with x, figures show every seed."""

import pandas as pd
import pytest
from made_up import chapter, marks, svg, table

from ditune.chapters import common, no_ops
from ditune.report.ledger import judge

CURVE = {100: 0.0, 300: 0.1, 400: 0.5, 600: 0.85, 1000: 0.95, 3000: 0.97}
LATE = {100: 0.0, 300: 0.0, 400: 0.0, 600: 0.1, 1000: 0.5, 3000: 0.97}
NEVER = dict.fromkeys(CURVE, 0.0)
PARAMETERS = {"no_op_shares": [0.1, 0.5], "n_rules": [10, 100], "first_seed": 3, "n_seeds": 2, "n_test": 50,
              "task": {"x_len": 3, "n_examples": 1000}, "model": {}, "train": {"batch_size": 64}}  # fmt: skip
CLAIMS = {claim.id: claim for claim in no_ops.CLAIMS}


def runs(most, control, seen=0.97, seeds=6, no_op=0.9) -> pd.DataFrame:
    """Runs without no-ops, the control, and those with the largest share."""
    parts = [table(CURVE, 0.97, seeds, no_op_share=0.0), table(most, seen, seeds, no_op_share=0.5)]
    parts.append(table(control, 0.97, seeds, no_op_share=0.0, n_examples=25_000))
    frame = pd.concat(parts, ignore_index=True).assign(copied=0.25)
    return frame.assign(no_op=frame["no_op_share"].map({0.0: float("nan"), 0.5: no_op}))


@pytest.mark.parametrize(
    "most, control, seen, expected",
    [
        (LATE, LATE, 0.97, "holds here"),  # no more rules than with as many inputs that hold x
        (LATE, CURVE, 0.97, "does not hold here"),
        (LATE, CURVE, 0.6, "not settled"),  # later, in models that have not learnt their rules
        (CURVE, LATE, 0.6, "does not hold here"),  # earlier counts in any case
        (NEVER, CURVE, 0.97, "does not hold here"),  # beyond all numbers tried
        (NEVER, NEVER, 0.97, "not settled"),
    ],
)
def test_d5_compares_with_as_many_inputs_that_hold_x(most, control, seen, expected):
    assert judge(CLAIMS["D5"], runs(most, control, seen)).verdict == expected


def test_d5_says_the_ratios_and_needs_six_seeds():
    verdict = judge(CLAIMS["D5"], runs(LATE, CURVE, seeds=3))
    assert verdict.verdict == "not settled" and "By 3 of 6 seeds" in verdict.text()
    assert verdict.text().startswith("50 % no-ops against as many inputs with x: × 2.5")


@pytest.mark.parametrize(
    "most, seen, no_op, expected",
    [
        (CURVE, 0.97, 0.95, "holds here"),
        (CURVE, 0.97, 0.5, "not settled"),  # one number of rules alone
        (LATE, 0.97, 0.5, "does not hold here"),
        (CURVE, 0.6, 0.95, "not settled"),
        ({3000: 0.97}, 0.97, 0.95, "not settled"),
    ],
)
def test_d5b_needs_learnt_rules_that_are_not_applied_to_others(most, seen, no_op, expected):
    assert judge(CLAIMS["D5b"], runs(most, CURVE, seen, no_op=no_op)).verdict == expected


def test_the_control_has_as_many_inputs_with_x_in_all_and_in_each_step():
    specs = no_ops.runs(**PARAMETERS)
    assert len(specs) == 2 * 2 * (1 + 2 + 1) == len(set(specs))
    cells = {(s.task.no_op_share, s.task.n_examples, s.train.batch_size) for s in specs}
    assert cells == {(0.0, 1000, 64), (0.1, 1000, 64), (0.5, 1000, 64), (0.0, 500, 32)}
    assert {s.evals[0].task.no_op_share for s in specs if s.task.no_op_share} == {0.5}
    assert {s.seed for s in specs} == {3, 4} and {s.task.n_rules for s in specs} == {10, 100}


def test_accuracies_by_kind_of_input_come_from_the_slices():
    frame = pd.DataFrame({"key": ["a", "b"], "exact_match": [0.7, 0.4], "copies": [0.1, 0.2], "eval": "unseen", "n": 10})
    slices = [("no_op", "False", 0.25, 8), ("no_op", "True", 1.0, 2), ("occurrences", "1", 0.3, 8)]
    slices = pd.DataFrame(slices, columns=["slice", "value", "exact_match", "n"]).assign(key="b", eval="unseen")
    out = common.with_inputs(frame, slices)
    assert list(out["exact_match"]) == [0.7, 0.25] and out["no_op"][1] == 1.0 and out["no_op"].isna()[0]
    assert list(out["copied"]) == pytest.approx([0.1, 0.2 * 10 / 8])


def test_figures_show_every_seed_and_give_the_same_bytes_twice():
    frame = runs(LATE, CURVE, seeds=3)
    own = chapter(frame, again=frame["key"][:1])
    unseen = frame[frame["eval"] == "unseen"]
    assert marks(no_ops.figure_accuracy(own).axes[0]) == pytest.approx(sorted(unseen["exact_match"]))
    assert svg(no_ops.figure_accuracy(own)) == svg(no_ops.figure_accuracy(own))


def test_answer_and_tables_hold_the_numbers_of_the_runs():
    own = chapter(runs(LATE, CURVE))
    assert "50 % no-ops multiply the number of rules that a model needs by 2.5" in no_ops.answer(own)
    row = "| 50 % no-ops | 1,000 | 0.50 [0.49, 0.51] | 0.50, 0.49, 0.51, 0.52, 0.48, 0.50 | 0.90"
    assert row in no_ops.table_accuracy(own)
    assert "| no no-ops, 50 % of the data | 40" in no_ops.table_thresholds(own)
