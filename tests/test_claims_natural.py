"""A1n, A3n to A6n and A2: the rules decide as they are written, from differences seed by seed (and answer by answer)."""

import numpy as np
import pandas as pd
import pytest

from ditune.claims import LEDGER, NOT_REPRODUCED, REPRODUCED, UNDECIDED, judge, natural

FIRST, CURVE, JITTER = -2.0, (-1.9, -1.8), (0.0, 0.3, -0.3, 0.2)
BASE = {"random": CURVE, "high_perplexity": CURVE, "low_perplexity": CURVE}
MADE = {"state": "fresh", "device": "a CPU", "commit": "1a2b3c4d5"}


def rounds(seeds: int = 3, tasks=(24, 36, 48), **ends) -> pd.DataFrame:
    """What `records.frame` has of a map, of the first round of each seed, and of two later rounds of each strategy: log-likelihoods
    from that of the first model. Seeds differ by more than strategies do."""
    rows = [{"key": "map", "eval": "map", "seed": 0} | MADE]
    for part in ("test", "validation"):
        for seed in range(seeds):
            shared = {"seed": seed, "tasks": part, "rouge_l": 0.1} | MADE
            rows.append(shared | {"key": f"first-{seed}", "eval": f"round 0 {part}", "round": 0, "n_trained": tasks[0], "nll": -FIRST - JITTER[seed]})
            for strategy, values in ends.items():
                for number, value in enumerate(values, 1):
                    known = {"key": f"{strategy}-{seed}", "strategy": strategy, "eval": f"round {number} {part}", "round": number, "n_trained": tasks[number]}
                    rows.append(shared | known | {"nll": -(value if part == "test" else 0.0) - JITTER[seed]})
    return pd.DataFrame(rows)


def shifted(change: float) -> tuple:
    return tuple(value + change for value in CURVE)


def verdict(id: str, frame) -> str:
    return judge(id, natural.learning(frame)).verdict


def test_every_strategy_has_the_first_round_of_its_seed_and_the_test_tasks_alone():
    table = natural.learning(rounds(**BASE))
    assert len(table) == 3 * 3 * 3 and set(table["tasks"]) == {"test"} and not table["strategy"].isna().any()
    first = table[table["round"] == 0]
    assert first["likelihood"].tolist() == [FIRST + JITTER[seed] for seed in first["seed"]]
    assert natural.learning(rounds(**BASE), "validation").query("round > 0")["likelihood"].max() == JITTER[1]


def test_a_table_without_rounds_decides_nothing():
    only_map = rounds(seeds=0)
    assert len(natural.learning(only_map)) == 0 and verdict("A1n", only_map) == UNDECIDED


def test_missing_runs_are_counted_without_the_map():
    frame = rounds(**BASE)
    frame.attrs = {"runs": 14, "recorded": 13}  # a map, three first rounds, nine later ones, and one that is missing
    assert judge("A1n", natural.learning(frame)).marks == ["12 of 13 runs"]


@pytest.mark.parametrize(
    "uncertain, expected",
    [(shifted(0.05), REPRODUCED), (shifted(0.005), NOT_REPRODUCED), (shifted(-0.05), NOT_REPRODUCED), ((-1.7, -1.85), NOT_REPRODUCED)],  # the last: worse after the last round
)
def test_a1n_needs_a_gain_in_likelihood_over_each_baseline_and_no_round_that_is_worse(uncertain, expected):
    assert verdict("A1n", rounds(**BASE, uncertainty=uncertain)) == expected


def test_two_seeds_or_a_missing_baseline_or_an_untaught_model_decide_nothing():
    assert verdict("A1n", rounds(seeds=2, **BASE, uncertainty=shifted(0.05))) == UNDECIDED
    assert verdict("A1n", rounds(random=CURVE, uncertainty=shifted(0.05))) == UNDECIDED
    flat = dict.fromkeys((*BASE, "uncertainty", "easy", "difficult"), (FIRST, FIRST))
    assert [verdict(id, rounds(**flat)) for id in ("A1n", "A3n", "A5n", "A6n")] == [UNDECIDED] * 4


@pytest.mark.parametrize(("first", "expected"), [(-1.7, REPRODUCED), (-1.9, NOT_REPRODUCED)])  # the others end at -1.8
def test_a3n_compares_three_quarters_of_the_tasks_with_all(first, expected):
    frame = rounds(**BASE, uncertainty=(first, -1.0))
    assert verdict("A3n", frame) == expected and "36 tasks selected by prompt uncertainty over 48 others" in judge("A3n", natural.learning(frame)).text()


@pytest.mark.parametrize(("uncertain", "expected"), [(shifted(0.05), REPRODUCED), (shifted(0.0), NOT_REPRODUCED)])
def test_a5n_compares_ambiguous_tasks_with_all_others(uncertain, expected):
    assert verdict("A5n", rounds(uncertainty=uncertain, random=CURVE, easy=shifted(-0.1), difficult=shifted(-0.1))) == expected


def test_what_speaks_against_a_claim_of_models_that_learn_nothing_is_said_and_does_not_count():
    flat = rounds(random=(FIRST, FIRST), uncertainty=(FIRST - 0.1, FIRST - 0.1), easy=(FIRST, FIRST), difficult=(FIRST, FIRST))
    assert verdict("A5n", flat) == UNDECIDED and "does not count: under random selection the rise from the first model to the last, +0.000" in judge("A5n", natural.learning(flat)).text()
    assert "does not count" not in judge("A5n", natural.learning(rounds(uncertainty=shifted(-0.1), random=CURVE, easy=CURVE, difficult=CURVE))).text()


@pytest.mark.parametrize(("second", "expected"), [(-1.98, REPRODUCED), (-1.8, NOT_REPRODUCED)])
def test_a6n_looks_at_the_rise_above_the_first_model(second, expected):
    assert verdict("A6n", rounds(random=CURVE, difficult=(-1.9, second))) == expected


def groups(easy, ambiguous, difficult, seeds=3, everything=0.4) -> pd.DataFrame:
    means = {"easy": easy, "ambiguous": ambiguous, "difficult": difficult, "all": everything}
    return pd.DataFrame([{"seed": s, "group": g, "rouge_l": m + JITTER[s] / 10, "key": "k", "state": "fresh"} for g, m in means.items() for s in range(seeds)])


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (groups(0.6, 0.4, 0.2), REPRODUCED),
        (groups(0.6, 0.4, 0.38), NOT_REPRODUCED),
        (groups(0.3, 0.4, 0.2), NOT_REPRODUCED),
        (groups(0.6, 0.4, 0.2, seeds=2), UNDECIDED),
        (groups(0.0, 0.0, 0.0, everything=0.0), UNDECIDED),  # no answer is right
        (groups(0.6, 0.4, 0.2).query("group != 'easy'"), UNDECIDED),
        (pd.DataFrame(), UNDECIDED),
    ],
)
def test_a4n_needs_the_order_easy_ambiguous_difficult(table, expected):
    assert judge("A4n", table).verdict == expected


def test_a_rule_on_natural_tasks_says_that_it_is_the_one_on_symbolic_tasks():
    for id in ("A1", "A3", "A5", "A6"):
        assert LEDGER[f"{id}n"].rule.endswith(LEDGER[id].rule.replace("accuracy", "likelihood")) and "accuracy, so" in LEDGER[f"{id}n"].rule


# ---- instructions ----------------------------------------------------------------------------------------------------


def tuned(seeds: int = 3, answers: int = 40, **gains) -> pd.DataFrame:
    """A row per run and budget (8, 16), and the model before tuning (2 nats a token): random tuning gains 0.2, the others more by
    `gains`, a number or one for each budget, in nats; answers and seeds differ by more."""
    draw = np.random.default_rng(0)
    level = draw.normal(0, 0.5, answers)
    rows = [{"seed": s, "n_trained": 0, "nll_each": (2 + level).tolist(), "key": f"not-{s}"} | MADE for s in range(seeds)]
    for strategy, gain in {"random": 0.0, **gains}.items():
        for s in range(seeds):
            for budget, more in zip((8, 16), np.broadcast_to(gain, 2)):
                noise = np.random.default_rng([s, budget]).normal(0, 0.1, answers) + np.random.default_rng(len(rows)).normal(0, 0.005, answers)
                rows.append({"seed": s, "strategy": strategy, "n_trained": budget, "nll_each": (1.8 + level + noise - more).tolist(), "key": f"{strategy}-{s}"} | MADE)
    return pd.DataFrame(rows)


EVEN = {"high_perplexity": 0.0, "low_perplexity": 0.0}


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        (EVEN | {"uncertainty": 0.05}, REPRODUCED),
        (EVEN | {"uncertainty": 0.0}, NOT_REPRODUCED),
        (EVEN | {"uncertainty": 0.05, "low_perplexity": 0.1}, NOT_REPRODUCED),
        (EVEN | {"uncertainty": (0.1, -0.05)}, NOT_REPRODUCED),  # better on average, worse with 16
        ({"uncertainty": 0.05}, UNDECIDED),
    ],
)
def test_a2_needs_a_gain_over_each_baseline_and_no_budget_worse_than_random(gains, expected):
    assert judge("A2", tuned(**gains)).verdict == expected


def test_a2_is_undecided_with_two_seeds_or_where_tuning_teaches_nothing():
    assert judge("A2", tuned(seeds=2, **EVEN, uncertainty=0.05)).verdict == UNDECIDED
    idle = tuned(**EVEN, uncertainty=0.0)
    same = idle.assign(nll_each=[idle["nll_each"].iloc[0]] * len(idle))
    assert judge("A2", same).finding.outcome == "open"


def test_wins_minus_losses_count_answers():
    frame = tuned(uncertainty=0.0)
    random = iter(frame[frame["strategy"] == "random"]["nll_each"])
    moved = [[v + (0.1 if i % 4 == 0 else -0.1) for i, v in enumerate(next(random))] if s == "uncertainty" else each for s, each in zip(frame["strategy"], frame["nll_each"])]
    frame = frame.assign(nll_each=moved)
    found = natural.wins(frame, "random", "uncertainty", 8)
    assert (found.mean, found.low, found.high, found.n) == (50.0, 50.0, 50.0, 3)  # three of four are likelier
    assert natural.gain(frame, "random").mean == pytest.approx(5.0)
