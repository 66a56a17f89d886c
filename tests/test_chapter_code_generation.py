"""Chapter 13: rules decide as they are written and settle nothing where a control fails; figures draw every seed."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import MADE, chapter, marks, svg, texts

from ditune.chapters import code_generation as here
from ditune.language.pretrained import TuneSpec
from ditune.language.specs import LanguageSpec
from ditune.report.ledger import judge
from ditune.report.stats import crossed, smallest, wilson
from ditune.specs import SpecError
from ditune.store.records import columns

SETS = ("stdlib", "made_general", "made_reasoning")
CODE, TENTH, QUARTER, THREE = (1.0,), (0.9, 0.1), (0.75, 0.25), (0.9, 0.05, 0.05)
P = 30
CLAIMS = {claim.id: claim for claim in here.CLAIMS}
YES, NO, OPEN = "holds here", "does not hold here", "not settled"


def table(tenth=2.0, quarter=2.0, three=2.0, more=0.0, seeds=6, untuned=-4.0, code=5.0, general=5.0, reasoning=5.0, **added) -> pd.DataFrame:
    """Runs by mixture with a gain over code alone on the solutions, in hundredths of a nat a token; so the margin is 0.4.

    code: what more code gains on held-out code; general, reasoning: what mixtures with it gain on held-out answers of theirs."""
    rows, draw = [], np.random.default_rng(0)
    level, noise = draw.uniform(0.5, 1.5, P), draw.normal(0, 1, (20, P))
    arms = [(0, (), untuned), (80, CODE, 0.0), (80, TENTH, tenth), (80, QUARTER, quarter), (80, THREE, three), (300, CODE, more)]
    for total, shares, found in arms:
        for seed in range(seeds if total else 1):
            tune = TuneSpec(rank=8, alpha=16, batch_size=8, n_steps=max(1, total // 8), lr=1e-3)
            spec = LanguageSpec(sets=SETS[: len(shares)], shares=shares, total=total, tune=tune, seed=seed)
            learnt = {"stdlib": code * (total > 80), "made_general": general * (len(shares) > 1), "made_reasoning": reasoning * (len(shares) > 2)}
            for name, value in ({"humaneval": found, "mbpp": found} | learnt).items():
                each = level - value / 100 + 0.0005 * noise[3 * len(shares) + seed % 3 + (total > 80)]
                rows.append({"key": spec.key} | columns(spec) | {"eval": name, "nll_each": each.tolist(), "n": P} | MADE | added)
    return pd.DataFrame(rows)


def verdict(claim: str, **more) -> str:
    return judge(CLAIMS[claim], table(**more)).verdict


@pytest.mark.parametrize(("tenth", "quarter", "expected"), [(2.0, 2.0, YES), (3.0, -1.0, YES), (-2.0, -2.0, NO), (0.0, 0.1, NO), (0.4, 0.4, OPEN)])
def test_d12_is_about_the_mean_gain_of_the_mixtures_of_two_domains(tenth, quarter, expected):
    assert verdict("D12", tenth=tenth, quarter=quarter) == expected


@pytest.mark.parametrize(
    ("tenth", "quarter", "expected"),
    [
        (2.0, 0.0, YES),
        (2.0, 0.8, YES),  # the quarter gains, and less
        (2.0, 1.9, NO),  # hardly more than at a quarter
        (0.0, -2.0, NO),  # there is no gain
        (0.4, -1.0, OPEN),
    ],
)
def test_d13_needs_a_share_that_beats_code_alone_and_the_largest_share(tenth, quarter, expected):
    assert verdict("D13", tenth=tenth, quarter=quarter) == expected


@pytest.mark.parametrize(("more", "expected"), [(0.0, YES), (3.0, NO), (2.0, NO), (1.6, OPEN)])
def test_d14_compares_a_mixture_with_more_instructions_about_code(more, expected):
    assert verdict("D14", more=more) == expected


@pytest.mark.parametrize(("three", "expected"), [(3.0, YES), (2.0, NO), (1.0, NO), (2.4, OPEN)])
def test_d15_compares_three_domains_with_two_at_the_same_share_of_code(three, expected):
    assert verdict("D15", three=three) == expected


def test_the_place_of_the_best_share_is_out_of_reach():
    assert verdict("D13n") == "out of reach"


@pytest.mark.parametrize("claim", ["D12", "D13", "D14", "D15"])
@pytest.mark.parametrize("outcome", [{"tenth": 2.0, "quarter": 0.0, "three": 3.0, "more": 0.0}, {"tenth": -2.0, "quarter": -2.0, "three": -3.0, "more": 1.0}])
def test_where_a_control_fails_nothing_is_settled(claim, outcome):
    assert verdict(claim, **outcome) == (YES if outcome["tenth"] > 0 else NO)
    for control in ({"untuned": 1.0}, {"code": -1.0}, {"general": -1.0}, {"reasoning": -1.0}):
        found = judge(CLAIMS[claim], table(**outcome, **control))
        assert found.verdict == OPEN and "can show nothing" in found.text()
    assert verdict(claim, **outcome, seeds=5) == OPEN
    lone = table(**outcome)
    assert judge(CLAIMS[claim], lone[lone["total"] == 0]).verdict == OPEN and judge(CLAIMS[claim], lone[lone["total"] < 300]).verdict == OPEN


def test_a_mixture_is_compared_over_the_seeds_that_both_have():
    frame = table()
    keys = set(here.Arms(frame).rows[TENTH]["key"])
    a = here.Arms(frame[~(frame["key"].isin(keys) & (frame["seed"] == 2))])
    assert list(a.gains(TENTH).index) == [0, 1, 3, 4, 5]


@given(st.integers(2, 5), st.integers(2, 6), st.integers(0, 100))
def test_the_interval_over_seeds_and_answers_holds_the_mean_and_is_symmetric_in_both(S, P, seed):
    values = np.random.default_rng(seed).normal(size=(S, P))
    found, turned = crossed(values), crossed(values.T)
    assert found.mean == pytest.approx(values.mean()) and found.low < found.mean < found.high and found.n == S
    assert (found.low, found.high) == pytest.approx((turned.low, turned.high))


def test_the_interval_counts_both_seeds_and_answers():
    noise = np.random.default_rng(0).normal(size=(40, 40))
    widths = [2 * crossed(values).half for values in (noise, np.broadcast_to(noise[:, :1], noise.shape), np.broadcast_to(noise[:1], noise.shape))]
    assert widths[1:] == pytest.approx([4 / 40**0.5] * 2, rel=0.3) and widths[0] < 0.5 * min(widths[1:])
    assert smallest(noise) > crossed(noise).half


def test_the_interval_over_seeds_and_answers_covers_as_often_as_it_says():
    draw, covered = np.random.default_rng(0), 0
    for _ in range(500):
        values = draw.normal(size=(6, 1)) + draw.normal(size=(1, 12)) + draw.normal(size=(6, 12))
        found = crossed(values)
        covered += found.low <= 0 <= found.high
    assert covered / 500 == pytest.approx(0.95, abs=0.03)


# ---- figures, tables, runs -------------------------------------------------------------------------------------------


def test_figures_draw_every_seed_and_are_the_same_twice():
    made = chapter(table(), again=[here.Arms(table()).rows[TENTH]["key"].iloc[0]])
    controls, gains = here.figure_controls(made), here.figure_gains(made)
    assert len(marks(controls.axes[0], "x")) == 6 * 4 and len(marks(gains.axes[0])) == 6 * 3
    assert svg(gains) == svg(here.figure_gains(made)) and "3.75 × the code" in texts(gains)
    assert svg(controls) == svg(here.figure_controls(made)) and "held-out general:" in texts(controls)


def test_the_answer_names_the_control_that_fails():
    assert "can show nothing about mixtures, as a control fails (held-out general" in here.answer(chapter(table(general=-1.0)))
    assert here.answer(chapter(table())).startswith("**General instructions in the place of some about code gain 2.00 [")


def test_each_mixture_has_its_row():
    lines = here.table_mixtures(chapter(table())).splitlines()[5:-1]
    assert [line.split(" | ")[0].strip("| ") for line in lines] == ["not tuned", "code alone", "10 % general", "25 % general", "5 % general + 5 % reasoning", "more code alone"]
    assert all("not generated" in line for line in lines) and "2.00 [" in lines[2]


def test_pass_at_1_counts_each_problem_once_and_says_why_there_is_none():
    frame = table(passed=None, not_tested=None)
    frame["passed"] = [[True, False] if name == "humaneval" else None for name in frame["eval"]]
    low, high = wilson(0.5, 2)
    assert here.passed(here.Arms(frame).rows[CODE]) == f"6 of 12: 0.50 [{low:.2f}, {high:.2f}]"
    assert here.passed(table(passed=None, not_tested="no sandbox")) == "not tested: no sandbox"


PARAMETERS = {
    "model": "tiny", "dtype": "float32", "sets": ["code", "general", "reasoning"], "mixtures": [[1.0], [0.9, 0.1], [0.8, 0.1, 0.1]], "total": 40, "larger_total": 160, "passes": 2.0,
    "tune": {"batch_size": 8}, "benchmarks": {"humaneval": 5}, "n_held_out": 4, "n_generate": 0, "most_letters": 300, "most_written": 20, "first_seed": 3, "n_seeds": 2,
}  # fmt: skip


def test_the_runs_are_a_base_the_mixtures_by_seed_and_more_of_the_code(monkeypatch):
    monkeypatch.delenv("DITUNE_DATA", raising=False)
    runs = here.runs(**PARAMETERS)
    assert len({run.key for run in runs}) == len(runs) == 1 + 4 * 2 and not runs[0].sets and runs[0].seed == 3
    assert {run.sets for run in runs[1:]} == {("stdlib",), ("stdlib", "made_general"), ("stdlib", "made_general", "made_reasoning")}
    assert {(run.total, run.tune.n_steps, run.seed) for run in runs[1:]} == {(40, 10, 3), (40, 10, 4), (160, 40, 3), (160, 40, 4)}
    assert len({run.evals for run in runs}) == 1 and [e.name for e in runs[0].evals] == ["humaneval", "stdlib", "made_general", "made_reasoning"]
    assert "| general | Alpaca | made_general (MIT" in here.table_settings(chapter(pd.DataFrame(), specs=runs))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mixtures": [[1.0], [0.9, 0.1], [0.7, 0.1, 0.1, 0.1]]}, "at most a share for each of stdlib, made_general, made_reasoning"),
        ({"mixtures": [[0.9, 0.1]]}, "which is code alone"),
        *(({"passes": value}, f"passes = {value}; allowed: above 0") for value in (0, -1, float("nan"))),
        ({"benchmarks": {"humanevl": 5}}, "unknown set 'humanevl'"),
        ({"tune": {"n_steps": 5}}, "n_steps is a parameter of its own"),
    ],
)
def test_a_wrong_parameter_is_refused(monkeypatch, changes, message):
    monkeypatch.delenv("DITUNE_DATA", raising=False)
    with pytest.raises(SpecError, match=message):
        here.runs(**PARAMETERS | changes)
