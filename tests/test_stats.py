"""Intervals, tests and thresholds: laws that hold for whatever values, and their values against scipy's."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import table
from scipy import stats as scipy_stats

from ditune.report import stats
from ditune.report.ledger import Claim, Finding, judge
from ditune.report.stats import FAILS, HOLDS, OPEN, Bounds, Interval, change, decide, interval, threshold, within

VALUES = st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=2, max_size=12)
SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=6)
PLACES = st.floats(1, 1e6).map(lambda n: (n, n))
BOUNDS = st.one_of(PLACES, st.floats(1, 1e6).map(lambda n: (0.0, n)), st.floats(1, 1e6).map(lambda n: (n, math.inf)))


@given(VALUES, st.sampled_from([0.9, 0.95, 0.99]))
def test_the_interval_is_students(values, level):
    found = interval(values, level)
    if len(set(values)) == 1:
        assert found.low == pytest.approx(found.high)
        return
    by_scipy = scipy_stats.ttest_1samp(values, 0).confidence_interval(level)
    assert (found.low, found.high) == pytest.approx(by_scipy, abs=1e-9) and found.n == len(values)


def test_one_value_bounds_nothing_and_none_is_no_number():
    assert interval([0.3]) == Interval(0.3, -math.inf, math.inf, 1) and interval([math.nan, 0.3]).n == 1
    assert math.isnan(interval([]).mean) and decide(interval([]), 0.0) == OPEN and decide(interval([0.9]), 0.0) == OPEN
    assert str(interval([-0.001, -0.002])) == "0.00 [-0.01, 0.00]"


@given(VALUES, st.floats(0, 0.5))
def test_no_decision_is_made_both_ways(values, margin):
    found = interval(values)
    opposite = Interval(-found.mean, -found.high, -found.low, found.n)
    assert {decide(found, margin), decide(opposite, margin)} != {HOLDS}
    assert within(found, margin) == within(opposite, margin)
    if within(found, margin) == HOLDS:
        assert HOLDS not in (decide(found, margin), decide(opposite, margin))


@given(st.lists(st.sampled_from([HOLDS, FAILS, OPEN]), min_size=1))
def test_a_statement_of_several_parts_fails_with_one_and_holds_with_all(parts):
    assert stats.every(parts) == (FAILS if FAILS in parts else HOLDS if set(parts) == {HOLDS} else OPEN)


def test_an_effect_as_large_as_the_smallest_is_seen_four_times_in_five():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(4000, 6))
    scale = float(np.mean([stats.smallest(row) / row.std(ddof=1) for row in noise[:50]]))
    seen = [interval(row + scale).low > 0 for row in noise]
    assert 0.75 < np.mean(seen) < 0.85


@given(st.integers(1, 200), st.floats(0, 1))
def test_a_wilson_interval_is_scipys(n, share):
    right = round(share * n)
    by_scipy = scipy_stats.binomtest(right, n).proportion_ci(method="wilson")
    assert stats.wilson(right / n, n) == pytest.approx(tuple(by_scipy), abs=1e-6)


def test_changes_are_those_of_the_seeds_that_both_have():
    first, second = table({300: 0.4}, seeds=3), table({300: 0.5}, seeds=5)
    assert change(first, second).n == 3 and change(first, second).mean == pytest.approx(0.1)
    assert change(second, first).mean == pytest.approx(-0.1)


@given(st.floats(0, 0.49), st.floats(0.51, 1), st.integers(2, 1000))
def test_a_threshold_scales_with_the_number_of_rules(low, high, factor):
    numbers, values = [100, 200, 1600], [low, low, high]
    here, there = (stats.crossing([n * f for n in numbers], values) for f in (1, factor))
    assert 200 <= here <= 1600 and there == pytest.approx(here * factor)


@given(SHARES, st.randoms())
def test_the_first_number_at_the_level_is_bounded_by_its_neighbours_in_any_order(accuracy, random):
    curve = [(10 * 3**i, p) for i, p in enumerate(accuracy)]
    above = next((i for i, (_, p) in enumerate(curve) if p >= 0.5), len(curve))
    outer = (curve[above - 1][0] if above else 0, curve[above][0] if above < len(curve) else math.inf)
    random.shuffle(curve)
    low, high = stats.bracket(*zip(*curve))
    assert outer[0] <= low <= high <= outer[1] and (low == high or (low, high) == outer)


@pytest.mark.parametrize("unseen, said", [({10: 0.8, 100: 0.9}, "< 10"), ({100: 0.0, 3000: 0.2}, "> 3,000")])
def test_a_threshold_outside_the_numbers_tried_is_said_as_a_bound(unseen, said):
    assert str(threshold(table(unseen))) == said and threshold(table(unseen)).interval is None


def test_a_threshold_is_by_seed_and_their_geometric_mean_if_all_have_one():
    frame = table({100: 0.0, 10_000: 1.0}, seeds=3)
    last = (frame["seed"] == 2) & (frame["n_rules"] == 10_000) & (frame["eval"] == "unseen")
    frame.loc[last, "exact_match"] = 0.5
    found = threshold(frame)
    assert found.by_seed == {0: (1000, 1000), 1: (1000, 1000), 2: (10_000, 10_000)}
    assert found.interval.mean == pytest.approx(1000 * 10 ** (1 / 3)) and found.interval.n == 3
    frame.loc[last, "exact_match"] = 0.3
    found = threshold(frame)
    assert found.interval is None and found.mean == (pytest.approx(10 ** (10 / 3)), math.inf)


@given(st.dictionaries(st.integers(0, 4), st.tuples(BOUNDS, BOUNDS), min_size=1))
def test_a_ratio_lies_within_the_bounds_of_its_parts_by_seed(pairs):
    first, second = (Bounds({seed: pair[i] for seed, pair in pairs.items()}) for i in (0, 1))
    ratio = first.over(second)
    for seed, (low, high) in ratio.by_seed.items():
        (a, b), (c, d) = pairs[seed]
        assert 0 <= low <= high and low == a / d and high == (b / c if c else math.inf)
    assert ratio.mean[0] <= ratio.mean[1] * (1 + 1e-9)


def test_a_ratio_is_over_the_seeds_of_both():
    first, second = Bounds({0: (200.0, 200.0), 1: (900.0, 900.0)}), Bounds({1: (300.0, 300.0), 2: (1.0, 1.0)})
    assert first.over(second).by_seed == {1: (3.0, 3.0)} and str(first.over(second)) == "3.00"
    assert first.over(Bounds({2: (1.0, 1.0)})) is None
    assert str(Bounds({0: (0.0, 10.0), 1: (300.0, math.inf)})) == "not bounded"


def claim(outcome: str, n: int = 6, **more) -> Claim:
    effect = Interval(0.1, 0.0, 0.2, n)
    return Claim(
        "X1", "It is so.", "a paper", "a share", "a rule", "0", lambda _: Finding(outcome, "Seen.", effect, **more)
    )


@pytest.mark.parametrize(
    "outcome, verdict", [(HOLDS, "holds here"), (FAILS, "does not hold here"), (OPEN, "not settled")]
)
def test_a_verdict_needs_six_seeds(outcome, verdict):
    assert judge(claim(outcome), table({100: 0.0})).verdict == verdict
    assert judge(claim(outcome, 5), table({100: 0.0})).verdict == "not settled"
    assert judge(claim(outcome, n_seeds=5), table({100: 0.0})).verdict == "not settled"


def test_what_is_not_settled_says_what_could_have_been_seen():
    assert judge(claim(OPEN, smallest=0.123), table({100: 0.0})).text().endswith("could have been seen: 0.12.")
    assert judge(claim(HOLDS, smallest=0.123), table({100: 0.0})).text() == "Seen."
    assert judge(claim(OPEN, smallest=math.inf), table({100: 0.0})).text() == "Seen."


def test_a_verdict_names_runs_of_earlier_sources():
    frame = table({100: 0.0}, seeds=3)
    frame.loc[frame["seed"] == 1, "state"] = "stale"
    assert (
        judge(claim(HOLDS), frame).marks == ("1 runs of earlier sources",)
        and judge(claim(HOLDS), table({1: 0.0})).marks == ()
    )


def test_the_pooled_error_is_that_of_a_two_way_analysis():
    wide = pd.DataFrame(np.random.default_rng(1).normal(size=(4, 5)), index=list("abcd"))
    centred = wide.sub(wide.mean(axis=1), axis=0) - wide.mean()
    error = ((centred + wide.to_numpy().mean()) ** 2).to_numpy().sum() / 12
    found = stats.Blocks.of(wide)
    assert found.sd == pytest.approx(error**0.5) and found.df == 12 and stats.Blocks.of(wide * 0).p == 1
    assert found.differences("a")["c"].half == pytest.approx(2.1788 * (error * 2 / 5) ** 0.5, rel=1e-4)
    two = stats.Blocks.of(wide.loc[["a", "b"]]).differences("a")["b"]  # of two conditions it is the paired test
    paired = stats.interval(wide.loc["b"] - wide.loc["a"])
    assert (two.low, two.high) == pytest.approx((paired.low, paired.high))
