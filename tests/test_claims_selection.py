"""A1 and A3 to A6: the rules decide as they are written, from differences seed by seed, and with three seeds or more."""

import pandas as pd
import pytest

from ditune import claims, experiments, notebooks
from ditune.claims import NOT_REPRODUCED, REPRODUCED, UNDECIDED, judge, selection
from ditune.specs import SpecError

FIRST = 0.1
CURVE = (0.1, 0.3, 0.4, 0.5, 0.55)
JITTER = (0.0, 0.03, -0.03, 0.02, -0.02)


def runs(seeds: int = 3, first=FIRST, **ends) -> pd.DataFrame:
    """A row per run and round, 150 to 750 tasks: each strategy's exact match after rounds 1 to 4, from that of the first
    model. Seeds differ by more than strategies do, all strategies of a seed by as much."""
    rows = []
    for strategy, later in ends.items():
        for number, value in enumerate((first, *later)):
            for seed in range(seeds):
                key = {"key": f"{strategy}-{seed}", "state": "fresh", "device": "a CPU", "commit": "1a2b3c4d5"}
                rows.append({"strategy": strategy, "seed": seed, "round": number, "n_trained": 150 * (number + 1), "exact_match": value + JITTER[seed]} | key)
    return pd.DataFrame(rows)


def shifted(change: float) -> tuple:
    return tuple(value + change for value in CURVE[1:])


BASE = {"random": shifted(0), "high_perplexity": shifted(-0.02), "low_perplexity": shifted(0)}


def verdict(id: str, frame) -> str:
    return judge(id, frame).verdict


@pytest.mark.parametrize(
    "uncertain, others, expected",
    [
        (shifted(0.03), {}, REPRODUCED),
        (shifted(0.002), {}, NOT_REPRODUCED),  # positive in each seed, but less than what counts as a gain
        (shifted(0.007), {}, REPRODUCED),  # the paper's own gain
        (shifted(-0.05), {}, NOT_REPRODUCED),
        (shifted(0.03), {"low_perplexity": shifted(0.1)}, NOT_REPRODUCED),  # one of the three is enough
        ((0.5, 0.6, 0.65, 0.4), {}, NOT_REPRODUCED),  # better on average, worse after the last round
    ],
)
def test_a1_needs_a_gain_over_each_baseline_and_no_round_that_is_worse(uncertain, others, expected):
    assert verdict("A1", runs(**BASE | others, uncertainty=uncertain)) == expected


def test_a1_is_open_where_seeds_disagree_and_undecided_with_two():
    frame = runs(**BASE, uncertainty=shifted(0.03))
    frame.loc[(frame["strategy"] == "uncertainty") & (frame["seed"] == 1) & (frame["round"] > 0), "exact_match"] -= 0.1
    assert judge("A1", frame).finding.outcome == "open"
    assert verdict("A1", runs(seeds=2, **BASE, uncertainty=shifted(0.03))) == UNDECIDED


def test_nothing_is_refuted_where_more_tasks_teach_nothing():
    flat = dict.fromkeys((*BASE, "uncertainty", "easy", "difficult"), (FIRST,) * 4)
    assert [verdict(id, runs(**flat)) for id in ("A1", "A3", "A5", "A6")] == [UNDECIDED] * 4


def test_differences_are_paired_so_that_the_spread_of_seeds_does_not_count():
    found = selection.gain(runs(**BASE, uncertainty=shifted(0.03)), "random")
    assert (found.mean, found.low, found.high) == (pytest.approx(0.03),) * 3
    one_less = runs(**BASE, uncertainty=shifted(0.03)).query("strategy != 'random' or seed != 2 or round != 4")
    assert selection.gain(one_less, "random").n == 2  # a run that lacks a round is left out of an average over rounds


@pytest.mark.parametrize(
    "third, expected",
    [(0.6, REPRODUCED), (0.5, NOT_REPRODUCED)],  # the others end at 0.55
)
def test_a3_compares_four_fifths_of_the_tasks_with_all(third, expected):
    frame = runs(**BASE, uncertainty=(0.3, 0.4, third, 0.9))
    assert verdict("A3", frame) == expected and "600 tasks selected by prompt uncertainty over 750 others" in judge("A3", frame).text()


def test_a3_is_open_without_a_round_of_about_four_fifths():
    assert judge("A3", runs(**BASE, uncertainty=shifted(0.1)).query("round < 3")).finding.outcome == "open"


def groups(easy, ambiguous, difficult, seeds=3, everything=0.4) -> pd.DataFrame:
    means = {"easy": easy, "ambiguous": ambiguous, "difficult": difficult, "all": everything}
    known = {"key": "k", "state": "fresh"}
    return pd.DataFrame([{"seed": seed, "group": g, "learnable": m + JITTER[seed]} | known for g, m in means.items() for seed in range(seeds)])


@pytest.mark.parametrize(
    "table, expected",
    [
        (groups(0.5, 0.4, 0.2), REPRODUCED),
        (groups(0.5, 0.4, 0.4), NOT_REPRODUCED),
        (groups(0.3, 0.4, 0.2), NOT_REPRODUCED),
        (groups(0.5, 0.4, 0.2, seeds=2), UNDECIDED),
        (groups(0.0, 0.0, 0.0, everything=0.0), UNDECIDED),  # nothing was learnt
        (groups(0.5, 0.4, 0.2).query("group != 'easy'"), UNDECIDED),
        (pd.DataFrame(), UNDECIDED),
    ],
)
def test_a4_needs_the_order_easy_ambiguous_difficult(table, expected):
    assert verdict("A4", table) == expected


@pytest.mark.parametrize(
    "uncertain, expected",
    [(shifted(0.05), REPRODUCED), (shifted(0.0), NOT_REPRODUCED), ((0.35, 0.45, 0.0, 0.0), REPRODUCED)],  # only two rounds count
)
def test_a5_compares_ambiguous_tasks_with_all_others(uncertain, expected):
    others = {"random": shifted(0), "easy": shifted(-0.1), "difficult": shifted(-0.1)}
    assert verdict("A5", runs(uncertainty=uncertain, **others)) == expected


@pytest.mark.parametrize("second, expected", [(0.12, REPRODUCED), (0.3, NOT_REPRODUCED), (0.15, UNDECIDED)])
def test_a6_looks_at_the_rise_above_the_first_model(second, expected):
    frame = runs(random=shifted(0), difficult=(0.1, second, 0.9, 0.9))
    noisy = frame["exact_match"] + 0.01 * (frame["seed"] == 1) * frame["round"] - 0.01 * (frame["seed"] == 2) * frame["round"]
    assert verdict("A6", frame.assign(exact_match=noisy)) == expected


def test_missing_strategies_leave_claims_open_and_are_named():
    frame = runs(random=shifted(0))
    assert all(judge(id, frame).finding.outcome == "open" for id in ("A1", "A3", "A5", "A6"))
    assert "high_perplexity" in judge("A1", frame).text()


def test_the_printed_rules_name_the_bounds_that_decide():
    text = claims.in_words(["A1", "A3", "A4", "A5", "A6"])
    assert all(str(bound) in text for bound in (selection.GAIN, selection.NEGLIGIBLE, "75%", "85%"))


# ---- the runs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["workstation", "paper"])
def test_the_map_needs_no_runs_of_its_own(profile):
    of_loop, of_map = (set(notebooks.plan([stem], profile)[0].specs) for stem in ("10_active_selection", "11_task_map"))
    assert of_map < of_loop and {spec.strategy for spec in of_map} == {"random", *selection.GROUPS.values()}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"strategies": ["uncertanty"]}, "unknown SelectSpec strategy 'uncertanty'"),
        ({"strategies": []}, "strategies = []"),
        ({"loop": {"seed": 3}}, "loop = {'seed': 3} holds seed"),
        ({"loop": {"n_roundz": 3}}, "n_roundz"),
        ({"pool": {"n_tasks": 100}}, "n_initial"),
    ],
)
def test_a_wrong_parameter_is_named(change, message):
    given = {"strategies": ["random"], "first_seed": 0, "n_seeds": 1, "pool": {}, "model": {}, "train": {}, "loop": {}}
    with pytest.raises(SpecError) as error:
        experiments.SPECS["10_active_selection"](**given | change)
    assert message in str(error.value) and "\n" not in str(error.value)
