"""D6 and D11: each rule decides as it is written, on tables of tails and of halved budgets."""

import math

import pandas as pd
import pytest

from ditune.claims import NOT_REPRODUCED, REPRODUCED, UNDECIDED, judge
from ditune.rewriting.specs import RunSpec
from ditune.store.records import columns

SIZE = {name: value for name, value in columns(RunSpec()).items() if name not in ("n_rules", "seed", "tail_alpha", "n_examples")}
NOISE = (0.0, -0.01, 0.01, 0.02)


def table(found: dict, seeds: int = 3, seen=0.97) -> pd.DataFrame:
    """Runs by (number of rules, alpha or None, number of examples): accuracy on unseen rules; on seen rules one for all."""
    rows = []
    for i, ((n_rules, alpha, n_examples), accuracy) in enumerate(found.items()):
        for seed in range(seeds):
            cell = {"n_rules": n_rules, "tail_alpha": math.nan if alpha is None else alpha, "n_examples": n_examples, "seed": seed}
            for name, value in {"seen": seen, "unseen": accuracy}.items():
                noisy = min(max(value + (NOISE[(seed + i) % 4] if 0 < value < 1 else 0), 0), 1)
                rows.append(SIZE | cell | {"eval": name, "exact_match": noisy, "key": str((n_rules, alpha, n_examples, seed)), "state": "fresh"})
    return pd.DataFrame(rows)


def tails(few, many, alphas=(0.5, 0.03), numbers=(1000, 10_000), **more) -> pd.DataFrame:
    """Accuracy without a tail and with each, for few and for many rules."""
    return table({(n, alpha, 50_000): value for n, values in zip(numbers, (few, many)) for alpha, value in zip((None, *alphas), values)}, **more)


@pytest.mark.parametrize(
    "few, many, expected",
    [
        ((0.9, 0.9, 0.3), (0.95, 0.95, 0.94), REPRODUCED),
        ((0.9, 0.9, 0.3), (0.95, 0.95, 0.5), NOT_REPRODUCED),  # the longest hurts many
        ((0.9, 0.9, 0.3), (0.95, 0.5, 0.94), NOT_REPRODUCED),  # a milder one does
        ((0.9, 0.9, 0.9), (0.95, 0.95, 0.94), NOT_REPRODUCED),  # few do not suffer
        ((0.9, 0.9, 0.85), (0.95, 0.95, 0.94), UNDECIDED),  # a change of about what is negligible
        ((0.9, 0.3, 0.3), (0.95, 0.95, 0.94), REPRODUCED),
        ((0.3, 0.3, 0.1), (0.95, 0.95, 0.94), UNDECIDED),  # few are not enough to begin with
        ((0.3, 0.3, 0.3), (0.95, 0.95, 0.94), UNDECIDED),
        ((0.3, 0.3, 0.3), (0.95, 0.95, 0.5), NOT_REPRODUCED),
    ],
)
def test_d6_needs_harm_with_few_rules_and_none_with_many(few, many, expected):
    assert judge("D6", tails(few, many)).verdict == expected


def test_d6_needs_rules_that_were_learnt_to_speak_of_harm():
    assert judge("D6", tails((0.9, 0.9, 0.3), (0.95, 0.95, 0.94), seen=0.6)).verdict == UNDECIDED
    assert judge("D6", tails((0.9, 0.9, 0.3), (0.95, 0.95, 0.5), seen=0.6)).verdict == UNDECIDED


def test_d6_needs_a_long_tail_and_numbers_far_apart():
    found = (0.9, 0.9, 0.3), (0.95, 0.95, 0.94)
    assert judge("D6", tails(*found, alphas=(1.0, 0.2))).verdict == UNDECIDED
    assert judge("D6", tails(*found, numbers=(1000, 9000))).verdict == UNDECIDED
    assert judge("D6", tails(*found, numbers=(1000, 100_000))).verdict == REPRODUCED


def test_d6_takes_no_part_of_the_budget_for_the_whole():
    frame = pd.concat([tails((0.9, 0.9, 0.3), (0.95, 0.95, 0.94)), table({(10_000, None, 25_000): 0.5, (10_000, 0.03, 25_000): 0.1})])
    assert judge("D6", frame).verdict == REPRODUCED


def halves(everything, even, uneven, **more) -> pd.DataFrame:
    found = {(10_000, None, 50_000): everything, (10_000, None, 25_000): even, (10_000, 0.03, 25_000): uneven}
    return table(found | {(1000, None, 50_000): 0.2, (10_000, 0.03, 50_000): 0.1}, **more)


@pytest.mark.parametrize(
    "everything, even, uneven, expected",
    [
        (0.95, 0.94, 0.5, REPRODUCED),
        (0.95, 0.5, 0.5, NOT_REPRODUCED),  # the even part does harm
        (0.95, 0.94, 0.94, NOT_REPRODUCED),  # the uneven one does none
        (0.95, 0.9, 0.5, UNDECIDED),
        (0.95, 0.94, 0.9, UNDECIDED),
        (0.3, 0.3, 0.1, UNDECIDED),  # all examples are not enough
    ],
)
def test_d11_needs_no_harm_of_the_even_part_and_harm_of_the_uneven_one(everything, even, uneven, expected):
    assert judge("D11", halves(everything, even, uneven)).verdict == expected


def test_d11_needs_all_three_kinds_of_runs_and_three_seeds():
    frame = halves(0.95, 0.94, 0.5)
    for part in (frame["n_examples"] == 50_000, frame["tail_alpha"].isna(), (frame["n_examples"] == 25_000) | (frame["n_rules"] == 1000)):
        assert judge("D11", frame[part]).verdict == UNDECIDED
    assert judge("D11", halves(0.95, 0.94, 0.5, seeds=2)).verdict == UNDECIDED
    assert judge("D11", halves(0.95, 0.94, 0.5, seen=0.6)).verdict == UNDECIDED  # harm to models that were not trained
