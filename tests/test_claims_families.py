"""D7, D8, D16: each rule decides as it is written, on tables of families, ranges of k and numbers of rules."""

import pandas as pd
import pytest

from ditune.claims import NOT_REPRODUCED, REPRODUCED, UNDECIDED, families, judge
from ditune.claims.families import cells, compared, with_lower_k
from ditune.rewriting.specs import RunSpec
from ditune.store.records import columns

SIZE = {name: value for name, value in columns(RunSpec()).items() if name not in ("n_rules", "seed", "families", "k")}
ALL = ("repeated", "periodic", "mirrored")
NOISE = (0.0, -0.01, 0.01, 0.02)


def table(found: dict, seeds: int = 3, seen=0.97, unseen=0.95) -> pd.DataFrame:
    """Runs by (mix, k, number of rules): accuracy on lower k and on unrestricted rules; on the rest one for all."""
    rows = []
    for i, ((mix, k, n_rules), (lower, uniform)) in enumerate(found.items()):
        for seed in range(seeds):
            cell = {"families": mix if len(mix) > 1 else mix[0], "k": k, "n_rules": n_rules, "seed": seed}
            for name, value in {"seen": seen, "unseen": unseen, "families": 0.5, "lower k": lower, "uniform": uniform}.items():
                noisy = min(max(value + (NOISE[(seed + i) % 4] if 0 < value < 1 else 0), 0), 1)
                rows.append(SIZE | cell | {"eval": name, "exact_match": noisy, "n": 100, "key": str((mix, k, n_rules, seed)), "state": "fresh"})
    return pd.DataFrame(rows)


def mixes(one, two, three, **more) -> pd.DataFrame:
    """One, two and three families at the same place; each an accuracy on lower k and one on unrestricted rules."""
    return table({(("repeated",), (3, 4), 3000): one, (("repeated", "periodic"), (3, 4), 3000): two, (ALL, (3, 4), 3000): three}, **more)


@pytest.mark.parametrize(
    "lower, expected",
    [
        ((0.1, 0.2, 0.9), REPRODUCED),
        ((0.1, 0.2, 0.3), NOT_REPRODUCED),  # three do not
        ((0.1, 0.8, 0.9), NOT_REPRODUCED),  # two do
        ((0.8, 0.2, 0.9), NOT_REPRODUCED),  # one does
        ((0.1, 0.2, 0.5), UNDECIDED),
        ((0.1, 0.5, 0.9), UNDECIDED),
    ],
)
def test_d7_needs_three_to_reach_lower_k_and_fewer_not_to(lower, expected):
    assert judge("D7", mixes(*((value, 0.1) for value in lower))).verdict == expected


def test_d7_takes_no_low_accuracy_from_models_that_have_not_learnt_their_rules():
    low = (0.1, 0.1)
    assert judge("D7", mixes(low, low, low, seen=0.5, unseen=0.5)).verdict == UNDECIDED
    assert judge("D7", mixes(low, low, low, seen=0.85, unseen=0.85)).verdict == NOT_REPRODUCED  # unseen rules of their kind are applied
    assert judge("D7", mixes((0.9, 0.1), low, (0.9, 0.1), seen=0.5, unseen=0.5)).verdict == NOT_REPRODUCED


def test_d7_needs_one_two_and_three_families_at_the_same_place():
    whole = mixes((0.1, 0.1), (0.1, 0.1), (0.9, 0.9))
    pairs = whole["families"].map(lambda mix: families.mix_of(mix) == ("repeated", "periodic"))
    assert judge("D7", whole[~pairs]).verdict == UNDECIDED
    elsewhere = pd.concat([whole[~pairs], whole[pairs].assign(n_rules=500)])
    assert judge("D7", elsewhere).verdict == UNDECIDED


def varied(few, many, wide, **more) -> pd.DataFrame:
    """All three families: accuracy on lower k with few rules, with many, and with many at a wider range of k."""
    found = {(ALL, (3, 4), 500): few, (ALL, (3, 4), 3000): many, (ALL, (3, 5), 3000): wide}
    return table({cell: (value, 0.1) for cell, value in found.items()}, **more)


@pytest.mark.parametrize(
    "few, many, wide, expected",
    [
        (0.1, 0.5, 0.3, REPRODUCED),
        (0.8, 0.9, 0.5, NOT_REPRODUCED),  # reached with few
        (0.1, 0.1, 0.0, NOT_REPRODUCED),  # more rules are no help
        (0.1, 0.5, 0.5, NOT_REPRODUCED),  # a wider range is no harm
        (0.0, 0.05, 0.05, UNDECIDED),  # the change is about as large as what is negligible
        (0.1, 0.5, 0.45, UNDECIDED),
        (0.5, 0.9, 0.5, UNDECIDED),
    ],
)
def test_d8_needs_failure_with_few_help_of_more_and_harm_of_a_wider_range(few, many, wide, expected):
    assert judge("D8", varied(few, many, wide)).verdict == expected


def test_d8_does_not_blame_a_range_that_leaves_nothing_to_lose():
    narrow = varied(0.0, 0.1, 0.1)
    assert judge("D8", narrow).verdict == UNDECIDED
    assert judge("D8", varied(0.0, 0.3, 0.3)).verdict == NOT_REPRODUCED


def test_d8_does_not_count_a_range_whose_words_training_can_exhaust():
    for few, many, wide in ((0.1, 0.5, 0.3), (0.1, 0.5, 0.5)):
        short = varied(few, many, wide).assign(x_len=9)  # k = 5 leaves two free letters
        assert judge("D8", short).verdict == UNDECIDED and judge("D8", short.assign(x_len=11)).verdict != UNDECIDED
    assert judge("D8", varied(0.1, 0.1, 0.0).assign(x_len=9)).verdict == NOT_REPRODUCED  # more rules are no help all the same


def test_d8_needs_two_numbers_of_rules_and_two_ranges():
    assert judge("D8", mixes((0.1, 0.1), (0.1, 0.1), (0.9, 0.9))).verdict == UNDECIDED


@pytest.mark.parametrize(
    "uniform, expected",
    [
        ((0.1, 0.3, 0.6), REPRODUCED),
        ((0.1, 0.1, 0.1), NOT_REPRODUCED),  # no help
        ((0.1, 0.6, 0.3), NOT_REPRODUCED),  # a further family does harm
        ((0.1, 0.3, 0.15), NOT_REPRODUCED),
        ((0.1, 0.12, 0.15), UNDECIDED),
    ],
)
def test_d16_needs_more_families_to_help_on_unrestricted_rules(uniform, expected):
    assert judge("D16", mixes(*((0.1, value) for value in uniform))).verdict == expected


def test_d16_does_not_count_the_gain_over_a_family_that_was_not_learnt():
    runs = mixes((0.1, 0.1), (0.1, 0.3), (0.1, 0.6))
    weak = runs["families"] == "repeated"
    runs.loc[weak & runs["eval"].isin(["seen", "unseen"]), "exact_match"] = 0.3
    assert judge("D16", runs).verdict == UNDECIDED


@pytest.mark.parametrize("seeds, expected", [(2, UNDECIDED), (3, REPRODUCED)])
def test_fewer_than_three_seeds_decide_nothing(seeds, expected):
    assert judge("D7", mixes((0.1, 0.1), (0.1, 0.1), (0.9, 0.9), seeds=seeds)).verdict == expected
    uneven = mixes((0.1, 0.1), (0.1, 0.1), (0.9, 0.9))
    short = uneven[(uneven["seed"] != 2) | (uneven["families"] != "repeated")]
    assert judge("D7", short).verdict == UNDECIDED


def test_unrestricted_training_is_compared_with_nothing():
    more = pd.concat([mixes((0.1, 0.1), (0.1, 0.1), (0.9, 0.9)), table({(("uniform",), 1, 3000): (0.9, 0.95)})])
    assert list(compared(more)) == [("repeated",), ("repeated", "periodic"), ALL] and (("uniform",), (1, 1), 3000) in cells(more)
    assert judge("D7", more).verdict == REPRODUCED and judge("D16", more).finding.outcome == "holds"


def test_lower_k_is_what_no_restricted_run_was_trained_on():
    frame = table({(ALL, (3, 4), 3000): (0.0, 0.0), (("uniform",), 1, 3000): (0.0, 0.0)}, seeds=1)
    frame = frame[frame["eval"] != "lower k"]
    frame.attrs = {"runs": 5}
    rows = frame[frame["eval"] == "families"]
    parts = [rows.assign(slice="k", value=str(k), exact_match=accuracy, n=n) for k, accuracy, n in ((1, 0.5, 10), (2, 0.2, 30), (3, 0.9, 99), (4, 1.0, 99))]
    found = with_lower_k(frame, pd.concat([*parts, parts[0].assign(slice="family")]))
    lower = found[found["eval"] == "lower k"]
    assert len(lower) == 2 and lower["exact_match"].tolist() == pytest.approx([(0.5 * 10 + 0.2 * 30) / 40] * 2) and lower["n"].tolist() == [40, 40]
    assert len(found) == len(frame) + 2 and found.attrs == {"runs": 5}
    assert with_lower_k(pd.DataFrame(), pd.DataFrame()).empty
