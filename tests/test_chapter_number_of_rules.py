"""02: the rules decide as they are written, on the paper's curve and around it; figures show every seed."""

import pandas as pd
import pytest
from made_up import chapter, marks, svg, table, texts

from ditune.chapters import number_of_rules as here
from ditune.report.ledger import judge

CLAIMS = {claim.id: claim for claim in here.CLAIMS}
WORDS = {"+": "holds here", "-": "does not hold here", "?": "not settled"}
PARAMETERS = {"n_rules": [100, 1000], "first_seed": 3, "n_seeds": 2, "n_test": 50,
              "task": {"x_len": 3, "n_examples": 5000}, "model": {"n_layer": 1}, "train": {}}  # fmt: skip
SIZE = {"n_examples": 1_000_000}


def test_the_papers_own_curve_holds_and_numbers_of_rules_are_out_of_reach():
    found = {id: judge(claim, table(here.PAPER_CURVE, **SIZE)) for id, claim in CLAIMS.items()}
    assert {id: v.verdict for id, v in found.items()} == {
        "D1": "holds here", "D4": "holds here", "D2": "out of reach", "D3": "out of reach", "D4n": "out of reach",
    }  # fmt: skip
    assert "10 rules with 100,000 examples each: 0.00 [0.00, 0.00] on unseen rules" in found["D1"].text()
    assert "1,000,000 rules with 1 example each: 0.99" in found["D1"].text()
    assert "passes one half at 4" in found["D4"].text() and "at most 1.7 times as many rules" in found["D4"].text()


def test_five_seeds_or_none_settle_nothing():
    for claim in ("D1", "D4"):
        few = judge(CLAIMS[claim], table(here.PAPER_CURVE, seeds=5, **SIZE))
        assert few.verdict == "not settled" and "By 5 of 6 seeds" in few.text()
        assert judge(CLAIMS[claim], pd.DataFrame()).verdict == "not settled"


@pytest.mark.parametrize(
    "unseen, seen, expected",
    [
        ({100: 0.0, 100_000: 0.95}, 0.97, "+"),
        ({100: 0.0, 100_000: 0.3}, 0.97, "-"),
        ({100: 0.0, 100_000: 0.3}, 0.3, "?"),  # not trained far enough
        ({100: 0.0, 100_000: 0.8}, 0.97, "?"),  # the interval holds the bound
        ({100: 0.0, 10_000: 0.95}, 0.97, "?"),  # 100 examples of each rule are not few
        ({100: 0.9, 100_000: 0.95}, 0.97, "?"),  # nothing emerges
        ({100: 0.0, 100_000: 0.95}, {100: 0.5, 100_000: 0.97}, "?"),  # few rules: not even these were learnt
    ],
)
def test_d1_needs_failure_with_few_rules_and_success_with_few_examples(unseen, seen, expected):
    assert judge(CLAIMS["D1"], table(unseen, seen, **SIZE)).verdict == WORDS[expected]


@pytest.mark.parametrize(
    "unseen, seen, expected",
    [
        ({300: 0.0, 400: 0.3, 500: 0.9}, 0.97, "+"),
        ({3000: 0.0, 4000: 0.5, 5000: 0.9}, 0.97, "+"),  # wherever it is
        ({300: 0.0, 1000: 1.0}, 0.97, "?"),  # too coarse to tell a sharp rise from a slow one
        ({100: 0.0, 200: 0.3, 400: 0.48, 700: 0.6, 1000: 0.9}, 0.97, "-"),  # slow
        ({100: 0.0, 200: 0.3, 400: 0.48, 700: 0.6, 1000: 0.9}, 0.6, "?"),  # in models that have not learnt their rules
        ({300: 0.0, 400: 0.3, 500: 0.9}, {300: 0.5, 400: 0.97, 500: 0.97}, "?"),
        ({300: 0.9, 400: 0.9}, 0.97, "?"),
    ],
)
def test_d4_needs_a_rise_within_few_numbers_of_rules(unseen, seen, expected):
    assert judge(CLAIMS["D4"], table(unseen, seen, **SIZE)).verdict == WORDS[expected]


def test_runs_are_a_cell_for_each_number_of_rules_and_seed():
    specs = here.runs(**PARAMETERS)
    assert [(s.task.n_rules, s.seed) for s in specs] == [(100, 3), (100, 4), (1000, 3), (1000, 4)]
    assert all(
        s.task.x_len == (3, 3) and s.model.n_layer == 1 and [e.name for e in s.evals] == ["unseen", "seen"]
        for s in specs
    )
    assert [(s.task.n_rules, s.seed) for s in here.sample(specs)] == [(100, 3), (1000, 3)]


UNSEEN = {100: 0.0, 300: 0.1, 1000: 0.8, 10_000: 0.95}


def test_every_seed_is_a_point_beside_the_papers_curve_and_runs_made_here_are_ringed():
    frame = table(UNSEEN, seeds=3)
    figure = here.figure_accuracy(chapter(frame, again=["300-1"]))
    (ax,) = figure.axes
    assert marks(ax) == pytest.approx(sorted(frame["exact_match"]))
    assert here.PAPER_CURVE in [dict(zip(line.get_xdata(), line.get_ydata())) for line in ax.lines]
    rings = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert sorted(float(y) for line in rings for y in line.get_ydata()) == pytest.approx([0.09, 0.96])
    assert "3 seeds" in texts(figure) and "1a2b3c4d5" in texts(figure)
    assert svg(figure) == svg(here.figure_accuracy(chapter(frame, again=["300-1"])))


def test_the_answer_and_the_table_hold_the_numbers_of_the_runs():
    own = chapter(table(UNSEEN, seeds=3))
    assert "10,000 give 0.95 [0.93, 0.97]" in here.answer(own) and "one half is passed at 59" in here.answer(own)
    assert "| 1,000 | 0.80 [0.78, 0.82] | 0.80, 0.79, 0.81 | 0.97 [0.95, 0.99] |" in here.table_accuracy(own)
