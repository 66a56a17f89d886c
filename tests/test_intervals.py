"""Thresholds that lie outside the numbers of rules tried: bounds hold what they should, and ratios are paired by seed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_claims import table

from ditune.figures.intervals import Bounds, bounds, bracket, threshold

SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=6)
PLACES = st.floats(1, 1e6).map(lambda n: (n, n))
BOUNDS = st.one_of(PLACES, st.floats(1, 1e6).map(lambda n: (0.0, n)), st.floats(1, 1e6).map(lambda n: (n, math.inf)))


@given(SHARES, st.randoms())
def test_the_first_number_at_the_level_is_bounded_by_its_neighbours_in_any_order(accuracy, random):
    curve = [(10 * 3**i, p) for i, p in enumerate(accuracy)]
    above = next((i for i, (_, p) in enumerate(curve) if p >= 0.5), len(curve))
    outer = (curve[above - 1][0] if above else 0, curve[above][0] if above < len(curve) else math.inf)
    random.shuffle(curve)
    low, high = bracket(*zip(*curve))
    assert outer[0] <= low <= high <= outer[1]
    assert low == high or (low, high) == outer


def test_where_every_seed_has_a_threshold_the_bounds_are_the_threshold():
    frame = table({100: 0.0, 300: 0.3, 1000: 0.9})
    found, place = bounds(frame), threshold(frame)
    assert found.by_seed == {seed: (n, n) for seed, n in place.by_seed.items()}
    assert found.interval == place.rules and str(found) == str(place)


@pytest.mark.parametrize("unseen, said", [({10: 0.8, 100: 0.9}, "< 10"), ({100: 0.0, 3000: 0.2}, "> 3,000"), ({100: 0.7}, "< 100")])
def test_a_threshold_outside_the_numbers_tried_is_said_as_a_bound(unseen, said):
    assert str(bounds(table(unseen))) == said and bounds(table(unseen)).interval is None and threshold(table(unseen)) is None


def test_one_seed_without_a_threshold_leaves_a_bound_of_the_mean():
    frame = table({100: 0.0, 10_000: 1.0})
    frame.loc[frame["seed"] == 2, "exact_match"] = 0.3
    found = bounds(frame)
    assert found.by_seed == {0: (1000, 1000), 1: (1000, 1000), 2: (10_000, math.inf)}
    assert found.mean == (pytest.approx(10 ** (10 / 3)), math.inf) and found.interval is None


def test_seeds_below_and_above_the_numbers_tried_bound_nothing():
    assert str(Bounds({0: (0.0, 10.0), 1: (300.0, math.inf)})) == "not bounded"


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


def test_a_quantity_over_itself_is_one():
    assert str(bounds(table({100: 0.0, 1000: 0.9})).over(bounds(table({100: 0.0, 1000: 0.9})))) == "1.00 [1.00, 1.00]"
