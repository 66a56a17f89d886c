"""Claims: each rule decides as it is written, from intervals, and only at the scale that the claim is about."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ditune import claims
from ditune.claims import LEDGER, NOT_REPRODUCED, REPRODUCED, RULES, UNDECIDED, judge, ledger
from ditune.claims.number_of_rules import FEW_EXAMPLES, PAPER_CURVE, PLACE
from ditune.figures.intervals import crossing, differences, interval, threshold
from ditune.rewriting.specs import RunSpec
from ditune.store.records import columns

PAPER_SIZE = {name: value for name, value in columns(RunSpec()).items() if name not in ("n_rules", "seed")}
LAPTOP_SIZE = PAPER_SIZE | {"n_examples": 128_000, "x_len": 3, "y_len": 3, "z_len": 10, "n_layer": 3, "n_embd": 64, "optimizer": "muon"}
IDS = ["D1", "D2", "D3", "D4"]
NOISE = (0.0, -0.01, 0.01, 0.02, -0.02)


def table(unseen: dict, seen=0.97, seeds: int = 3, size=PAPER_SIZE) -> pd.DataFrame:
    """A tidy table of runs: unseen accuracy by number of rules, and seen accuracy, one for all or by number of rules."""
    rows = []
    for n_rules, accuracy in unseen.items():
        for seed in range(seeds):
            own = seen[n_rules] if isinstance(seen, dict) else seen
            for name, value in (("unseen", accuracy), ("seen", own)):
                noisy = min(max(value + (NOISE[seed] if 0 < value < 1 else 0), 0), 1)
                rows.append({"n_rules": n_rules, "seed": seed, "eval": name, "exact_match": noisy, "key": f"{n_rules}-{seed}", "state": "fresh"} | size)
    return pd.DataFrame(rows)


def verdicts(frame) -> list[str]:
    return [judge(id, frame).verdict for id in IDS]


def test_the_papers_own_curve_reproduces_its_claims():
    assert verdicts(table(PAPER_CURVE)) == [REPRODUCED] * 4


def test_claims_that_name_numbers_are_undecided_below_the_papers_sizes():
    small = table({n: v for n, v in PAPER_CURVE.items() if n <= 10_000}, size=LAPTOP_SIZE)
    assert verdicts(small) == [REPRODUCED, UNDECIDED, UNDECIDED, UNDECIDED]
    assert [judge(id, small).finding.outcome for id in IDS] == ["holds", "holds", "open", "holds"]
    assert judge("D2", small).lacks[0] == "training examples 128,000 < 1,000,000"


@pytest.mark.parametrize("name", ["n_examples", "n_layer", "n_head", "n_embd", "train_n_steps"])
def test_one_size_below_the_papers_is_enough_to_leave_them_open(name):
    smaller = table(PAPER_CURVE, size=PAPER_SIZE | {name: PAPER_SIZE[name] - 1})
    assert len(judge("D2", smaller).lacks) == 1 and verdicts(smaller)[1:] == [UNDECIDED] * 3
    larger = table(PAPER_CURVE, size=PAPER_SIZE | {name: PAPER_SIZE[name] * 2, "train_n_steps": PAPER_SIZE["train_n_steps"] * 2})
    assert judge("D2", larger).lacks == []


OTHERWISE = {"x_len": 40, "y_len": 10, "z_len": 100, "alphabet_size": 27, "position": "rotary", "optimizer": "muon", "no_op_share": 0.5, "occurrences": (1, 2), "tail_alpha": 0.5}


@pytest.mark.parametrize("name", OTHERWISE)
def test_another_task_position_or_optimiser_leaves_them_open(name):
    frame = table(PAPER_CURVE)
    frame[name] = [OTHERWISE[name]] * len(frame)
    assert len(judge("D2", frame).lacks) == 1 and verdicts(frame)[1:] == [UNDECIDED] * 3


def test_a_run_that_is_short_in_steps_is_undecided():
    short = table(PAPER_CURVE, size=PAPER_SIZE | {"train_n_steps": 20_000})
    assert verdicts(short) == [REPRODUCED, UNDECIDED, UNDECIDED, UNDECIDED]
    assert judge("D2", short).lacks == ["passes over them 2.56 < 50"]


def test_every_setting_that_a_scale_asks_for_is_a_column_of_the_table():
    asked = [name for c in LEDGER.values() for name, _ in (*c.smallest_scale.at_least, *c.smallest_scale.equal)]
    assert set(asked) - {"passes"} <= set(columns(RunSpec()))


def test_a_verdict_names_runs_of_earlier_sources_and_missing_ones():
    frame = table(PAPER_CURVE)
    assert str(judge("D1", frame)) == REPRODUCED
    frame.loc[frame["n_rules"] == 400, "state"] = "stale"
    assert str(judge("D1", frame)) == f"{REPRODUCED} (earlier sources)"
    frame.attrs["runs"] = 50
    assert str(judge("D1", frame)) == f"{REPRODUCED} (earlier sources) (48 of 50 runs)"


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_decide_nothing(seeds):
    assert verdicts(table(PAPER_CURVE, seeds=seeds)) == [UNDECIDED] * 4


def test_a_seed_that_is_missing_at_one_number_of_rules_counts_as_missing():
    frame = table(PAPER_CURVE)
    assert verdicts(frame[(frame["n_rules"] != 400) | (frame["seed"] != 2)]) == [UNDECIDED] * 4


def test_an_empty_table_is_undecided():
    assert verdicts(pd.DataFrame()) == [UNDECIDED] * 4 and threshold(pd.DataFrame()) is None


def test_the_order_of_rows_does_not_matter():
    frame = table(PAPER_CURVE)
    mixed = frame.sample(frac=1, random_state=0)
    assert [judge(id, mixed).text() for id in IDS] == [judge(id, frame).text() for id in IDS]


@pytest.mark.parametrize(
    "unseen, seen, expected",
    [
        ({100: 0.0, 100_000: 0.95}, 0.97, REPRODUCED),
        ({100: 0.0, 100_000: 0.3}, 0.97, NOT_REPRODUCED),
        ({100: 0.0, 100_000: 0.3}, 0.3, UNDECIDED),  # not trained far enough
        ({100: 0.0, 100_000: 0.8}, 0.97, UNDECIDED),  # the interval holds the bound
        ({100: 0.0, 10_000: 0.95}, 0.97, UNDECIDED),  # 100 examples of each rule are not few
        ({100: 0.9, 100_000: 0.95}, 0.97, UNDECIDED),  # nothing emerges
        ({100: 0.0, 100_000: 0.95}, {100: 0.5, 100_000: 0.97}, UNDECIDED),  # few rules: not even these were learnt
    ],
)
def test_d1_needs_failure_with_few_rules_and_success_with_few_examples(unseen, seen, expected):
    assert judge("D1", table(unseen, seen)).verdict == expected


@pytest.mark.parametrize(
    "unseen, seen, expected",
    [
        ({10: 0.0, 200: 0.02}, 0.97, REPRODUCED),
        ({10: 0.0, 200: 0.3}, 0.97, NOT_REPRODUCED),
        ({10: 0.0, 200: 0.1}, 0.97, UNDECIDED),
        ({10: 0.0, 200: 0.02}, 0.5, UNDECIDED),
        ({10: 0.0, 200: 0.0}, {10: 0.97, 200: 0.5}, UNDECIDED),  # what is not learnt at 200 rules says nothing of 200 rules
        ({10: 0.0, 200: 0.3}, {10: 0.97, 200: 0.5}, NOT_REPRODUCED),
        ({10: 0.0, 200: 0.02, 300: 0.9}, 0.97, REPRODUCED),  # the statement is about fewer than 300
        ({300: 0.0, 1000: 0.9}, 0.97, UNDECIDED),
    ],
)
def test_d2_needs_rules_that_were_learnt_and_do_not_transfer(unseen, seen, expected):
    assert judge("D2", table(unseen, seen)).verdict == expected


@pytest.mark.parametrize(
    "unseen, seen, expected",
    [
        ({1000: 0.95, 1_000_000: 0.9}, 0.97, REPRODUCED),
        ({1000: 0.95, 100_000: 0.95}, 0.97, UNDECIDED),  # one example of each was not tried
        ({1000: 0.5, 1_000_000: 0.9}, 0.97, NOT_REPRODUCED),
        ({1000: 0.95, 1_000_000: 0.5}, 0.5, UNDECIDED),
        ({1000: 0.8, 1_000_000: 0.9}, 0.97, UNDECIDED),
        ({500: 0.2, 1000: 0.95, 1_000_000: 0.9}, 0.97, REPRODUCED),
        ({500: 0.95}, 0.97, UNDECIDED),
    ],
)
def test_d3_needs_every_number_from_1000_and_one_example_of_each(unseen, seen, expected):
    assert judge("D3", table(unseen, seen)).verdict == expected


@pytest.mark.parametrize(
    "unseen, expected",
    [
        ({300: 0.0, 400: 0.3, 500: 0.9}, REPRODUCED),
        ({300: 0.0, 1000: 1.0}, UNDECIDED),  # too coarse to tell a sharp rise from a slow one
        ({100: 0.0, 200: 0.3, 400: 0.48, 500: 0.6, 1000: 0.9}, NOT_REPRODUCED),  # slow
        ({1000: 0.0, 1100: 0.5, 1200: 0.9}, NOT_REPRODUCED),  # later
        ({100: 0.0, 150: 0.9, 1000: 0.9}, NOT_REPRODUCED),  # earlier
        ({300: 0.0, 400: 0.2, 500: 0.3}, NOT_REPRODUCED),  # later, wherever it is
        ({300: 0.9, 400: 0.9}, NOT_REPRODUCED),
        ({300: 0.0, 400: 0.2, 450: 0.3}, UNDECIDED),  # not reached
        ({400: 0.9, 500: 0.9}, UNDECIDED),
    ],
)
def test_d4_needs_a_sharp_rise_in_its_place(unseen, expected):
    assert judge("D4", table(unseen)).verdict == expected


def test_d4_is_not_refuted_by_models_that_did_not_learn_their_own_rules():
    untrained = {n: v if n < 100_000 else 0.2 for n, v in PAPER_CURVE.items()}
    assert judge("D4", table(untrained, {n: 0.97 if n < 100_000 else 0.2 for n in untrained})).verdict == REPRODUCED
    assert judge("D4", table(untrained)).verdict == NOT_REPRODUCED
    few_not_learnt = {n: 0.97 if n >= 400 else 0.5 for n in PAPER_CURVE}
    assert judge("D4", table(PAPER_CURVE, few_not_learnt)).verdict == UNDECIDED


def test_a_verdict_carries_its_numbers():
    verdict = judge("D1", table(PAPER_CURVE))
    assert "10 rules of 100,000 examples each: 0.00 [0.00, 0.00] on unseen rules" in verdict.text()
    assert "1,000,000 rules of 1 example each: 0.99 [0.98, 1.00] on unseen rules" in verdict.text()
    place = threshold(table(PAPER_CURVE))
    assert 400 < place.rules.low <= place.rules.mean <= place.rules.high < 500 and list(place.by_seed) == [0, 1, 2]
    assert f"passes 0.5 at {place} rules" in judge("D4", table(PAPER_CURVE)).text()


def test_every_claim_has_a_rule_and_an_id_is_entered_once():
    assert LEDGER.keys() == RULES.keys() and all(c.id == id for id, c in LEDGER.items())
    with pytest.raises(ValueError, match="D1"):
        ledger.claim("D1")(lambda frame: None)


def test_the_printed_rules_name_the_bounds_that_decide():
    text = claims.in_words(IDS)
    assert all(LEDGER[id].rule in text and str(LEDGER[id].smallest_scale) in text for id in IDS)
    assert all(str(bound) in text for bound in (ledger.LEARNT, ledger.LOW, ledger.HIGH, FEW_EXAMPLES, *PLACE))


# ---- intervals and thresholds ----------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_an_interval_holds_its_mean_lies_in_the_data_and_is_repeatable(values):
    found = interval(values)
    assert min(values) - 1e-9 <= found.low <= found.mean + 1e-9 and found.mean - 1e-9 <= found.high <= max(values) + 1e-9
    assert interval(values) == found


def test_a_small_negative_number_is_printed_as_zero():
    assert str(interval([-0.001, -0.002])) == "0.00 [0.00, 0.00]"


def test_differences_are_those_of_the_runs_that_both_tables_have():
    first, second = table({100: 0.2, 300: 0.4}), table({300: 0.5, 1000: 0.9}, seeds=5)
    found = differences(first, second)
    assert list(found) == [300] and found[300].n == 3 and found[300].mean == pytest.approx(0.1)
    assert differences(second, first)[300].mean == pytest.approx(-0.1)


def test_an_interval_narrows_with_seeds():
    few, many = interval([0.2, 0.4, 0.6]), interval([0.2, 0.4, 0.6] * 10)
    assert many.high - many.low < few.high - few.low


@given(st.floats(0, 0.49), st.floats(0.51, 1), st.integers(2, 1000))
def test_a_threshold_scales_with_the_number_of_rules(low, high, factor):
    numbers, values = [100, 200, 1600], [low, low, high]
    here, there = (crossing([n * f for n in numbers], values, 0.5) for f in (1, factor))
    assert 200 <= here <= 1600 and there == pytest.approx(here * factor)


def test_a_threshold_is_per_seed_and_their_geometric_mean():
    frame = table({100: 0.0, 10_000: 1.0})
    frame.loc[(frame["seed"] == 1) & (frame["n_rules"] == 10_000) & (frame["eval"] == "unseen"), "exact_match"] = 0.5
    found = threshold(frame)
    assert found.by_seed == pytest.approx({0: 1000, 1: 10_000, 2: 1000})
    assert found.rules.mean == pytest.approx(1000 * 10 ** (1 / 3)) and found.rules.low == pytest.approx(1000)


@pytest.mark.parametrize("unseen", [{100: 0.0, 1000: 0.2}, {100: 0.7, 1000: 0.9}, {100: 0.9, 1000: 0.1}, {1000: 0.9}])
def test_there_is_no_threshold_where_the_curve_never_or_always_is_above(unseen):
    assert threshold(table(unseen)) is None


def test_there_is_no_threshold_where_one_seed_has_none():
    frame = table({100: 0.0, 1000: 0.9})
    frame.loc[frame["seed"] == 2, "exact_match"] = 0.3
    assert threshold(frame) is None


def test_one_seed_gives_a_threshold_without_an_interval():
    found = threshold(table({100: 0.0, 10_000: 1.0}, seeds=1))
    assert found.rules.mean == pytest.approx(1000) and math.isnan(found.rules.low)
