"""Chapters 10 and 11 on made-up runs: the rules that they share with 15; the runs of 10, its figures and tables."""

import matplotlib.pyplot
import numpy as np
import pandas as pd
import pytest
from made_up import MADE, chapter, marks, svg, texts

from ditune.active.specs import STRATEGIES
from ditune.chapters import active_selection as here
from ditune.chapters import selecting, symbolic_pool, task_map
from ditune.notebooks import defaults
from ditune.report.ledger import judge
from ditune.specs import SpecError

FIRST, CURVE = 0.1, (0.3, 0.4, 0.5, 0.55)
HELD, FAILED, LEFT_OPEN = "holds here", "does not hold here", "not settled"
CLAIMS = {claim.id: claim for claim in (*here.CLAIMS, *task_map.CLAIMS)}


def made_up(seeds: int = 12, median_u: float = 0.04, first: float = FIRST, **ends) -> pd.DataFrame:
    """A row a run and round, 150 to 750 tasks: each strategy's accuracy after rounds 1 to 4 from that of the first
    model. Seeds differ by more than strategies do, all strategies of a seed alike; each run by up to 0.003 more."""
    rows, rng = [], np.random.default_rng(0)
    for strategy, later in ends.items():
        for seed in range(seeds):
            for number, value in enumerate((first, *later)):
                found = value + 0.05 * np.sin(seed) + (number > 0) * rng.uniform(-0.003, 0.003)
                row = {"strategy": strategy, "seed": seed, "round": number, "n_trained": 150 * (number + 1)}
                row |= {"key": f"{strategy}-{seed}", "value": found, "likelihood": found, "median_u": median_u}
                rows.append(row | MADE)
    return pd.DataFrame(rows)


def shifted(change: float) -> tuple:
    return tuple(value + change for value in CURVE)


BASE = {"random": shifted(0), "high_perplexity": shifted(-0.02), "low_perplexity": shifted(0)}
OTHERS = {"random": shifted(0), "easy": shifted(-0.1), "difficult": shifted(-0.1)}
EVERY = {name: shifted(0.01 * i) for i, name in enumerate(STRATEGIES)}


@pytest.mark.parametrize(
    ("id", "ends", "expected"),
    [
        ("A1", BASE | {"uncertainty": shifted(0.03)}, HELD),
        ("A1", BASE | {"uncertainty": shifted(0.0)}, FAILED),  # less than a tenth of what random selection adds
        ("A1", BASE | {"uncertainty": shifted(0.1), "low_perplexity": shifted(0.1)}, FAILED),  # one is enough
        ("A3", BASE | {"uncertainty": (0.3, 0.4, 0.6, 0.9)}, HELD),  # the others end at 0.55
        ("A3", BASE | {"uncertainty": (0.3, 0.4, 0.5, 0.9)}, FAILED),
        ("A3", BASE | {"uncertainty": (0.3, 0.4, 0.551, 0.9)}, LEFT_OPEN),
        ("A5", OTHERS | {"uncertainty": shifted(0.05)}, HELD),
        ("A5", OTHERS | {"uncertainty": shifted(0.0)}, FAILED),
        ("A5", OTHERS | {"uncertainty": (0.35, 0.45, 0.0, 0.0)}, HELD),  # only two rounds count
        ("A6", {"random": shifted(0), "difficult": (0.11, 0.11, 0.9, 0.9)}, HELD),  # random tasks add 0.25
        ("A6", {"random": shifted(0), "difficult": (0.35, 0.35, 0.9, 0.9)}, FAILED),
        ("A6", {"random": shifted(0), "difficult": (0.1625, 0.1625, 0.9, 0.9)}, LEFT_OPEN),
    ],
)
def test_a_rule_decides_as_it_is_written_and_only_in_a_pool_that_is_a_test(id, ends, expected):
    assert judge(CLAIMS[id], made_up(**ends)).verdict == expected
    reasons = {"0.56; at most 0.1": {"median_u": 0.56}, "By 11 of 12 seeds": {"seeds": 11}, "only +": {"first": 0.54}}
    for words, change in reasons.items() if expected != LEFT_OPEN and id in ("A1", "A3") else ():
        found = judge(CLAIMS[id], made_up(**ends, **change))
        assert found.verdict == LEFT_OPEN and words in found.text()


def test_what_is_missing_is_named():
    assert "No round" in judge(CLAIMS["A3"], made_up(**EVERY).query("round < 3")).text()
    for id in ("A1", "A3", "A5", "A6"):
        assert "There are no runs of both" in judge(CLAIMS[id], made_up(random=shifted(0))).text()


def test_a_run_that_lacks_a_round_counts_in_no_average():
    frame = made_up(seeds=3, **BASE).query("strategy != 'random' or seed != 2 or round != 4")
    assert len(selecting.by_seed(frame, "random", range(1, 5))) == 2
    assert selecting.rise(frame, rounds=[1, 2]).mean() == pytest.approx(0.25, abs=0.01)


def test_a_run_a_strategy_and_seed_and_parts_that_are_not_set_are_the_studys():
    specs = here.runs(**defaults("10_active_selection"))
    assert len(specs) == 55 and {spec.strategy for spec in specs} == set(STRATEGIES)
    assert specs[0].pool.n_tasks == 1500 and specs[0].model.position == "rotary" and specs[0].n == 5
    assert "| initial tasks | 68 | 150 |" in symbolic_pool.settings(chapter(pd.DataFrame(), specs=specs))
    for change, said in (({"strategies": ["uncertanty"]}, "unknown"), ({"loop": {"seed": 3}}, "holds seed")):
        with pytest.raises(SpecError, match=said) as error:
            here.runs(**defaults("10_active_selection") | change)
        assert "\n" not in str(error.value)


def test_figures_draw_every_seed_and_are_the_same_twice():
    made = chapter(made_up(6, **EVERY), again=["clean-3"])
    figure, wide = here.figure_gains(made), selecting.by_strategy(made.frame)
    gains = (wide - wide.loc["random"]).drop("random").to_numpy().ravel()
    assert marks(figure.axes[0], "x") == pytest.approx(sorted(gains)) and svg(here.figure_gains(made)) == svg(figure)
    assert sum(line.get_markersize() > 9.5 for line in figure.axes[0].lines) == 1 and "paper's gain" in texts(figure)
    curves = here.figure_curves(made)
    assert [len(marks(ax)) for ax in curves.axes] == [4 * 6 * 5, 3 * 6 * 5]
    assert svg(curves) == svg(here.figure_curves(made))
    matplotlib.pyplot.close("all")


def test_the_pooled_comparison_finds_the_one_that_differs():
    made = chapter(made_up(6, **{name: shifted(0) for name in STRATEGIES} | {"clean": shifted(0.05)}))
    clear = [name for name, found in selecting.over_random(made.frame).items() if found.low > 0 or found.high < 0]
    assert clear == ["clean"] and "no difference is seen among 10 ways" in here.answer(made)
    assert "| clean tasks* | +0.05" in here.table_gains(made)
    assert here.answer(chapter(made_up(1, random=shifted(0)))).startswith("**In this pool")
