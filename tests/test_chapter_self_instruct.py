"""Chapter 16: a selection is ranked among the random subsets of its seed, and only where many instructions beat few."""

import numpy as np
import pandas as pd
import pytest
from made_up import MADE, chapter, marks, svg

from ditune import notebooks
from ditune.chapters import self_instruct as here
from ditune.language.specs import InstructionsSpec, InstructSpec
from ditune.report.ledger import judge
from ditune.report.stats import FAILS, HOLDS, OPEN
from ditune.specs import SpecError

A0S, A2 = here.CLAIMS
STEM = "16_self_instruct"
BUDGETS = (8, 16, 32)
EVEN = {"high_perplexity": 0.0, "low_perplexity": 0.0}


def table(seeds: int = 6, draws: int = 20, taught=(0.1, 0.2, 0.3), **gains) -> pd.DataFrame:
    """A row per run and budget: random subsets, spread around what `taught` says, and selections that are better than
    their mean by so many standard deviations of the subsets; nats a token."""
    chance = np.random.default_rng(0)
    level, rows = chance.normal(2.0, 0.5, 12), []
    for seed in range(seeds):
        rows.append({"seed": seed, "n_trained": 0, "draw": 0, "nll_each": level.tolist(), "key": f"not-{seed}"} | MADE)
        moved = [("random", draw, z) for draw, z in enumerate(np.linspace(-1.5, 1.5, draws) if draws > 1 else [0.0])]
        for strategy, draw, z in moved + [(name, 0, z + 0.1 * chance.normal()) for name, z in gains.items()]:
            for budget, more in zip(BUDGETS, taught):
                each = level - more - 0.05 * z + 0.01 * chance.normal() + 0.01 * chance.normal(size=12)
                run = {"seed": seed, "strategy": strategy, "draw": draw, "n_trained": budget, "nll_each": each.tolist()}
                rows.append(run | {"key": f"{strategy}-{draw}-{seed}"} | MADE)
    frame = pd.DataFrame(rows)
    return frame.assign(value=[-100 * np.mean(each) for each in frame["nll_each"]])


@pytest.mark.parametrize("taught, expected", [((0.1, 0.2, 0.3), HOLDS), ((0.3, 0.2, 0.1), FAILS), ((0.2,) * 3, OPEN)])
def test_a0s_compares_many_instructions_with_few(taught, expected):
    assert A0S.decide(table(draws=1, taught=taught)).outcome == expected


@pytest.mark.parametrize(
    "gains, expected",
    [
        (EVEN | {"uncertainty": 1.0}, HOLDS),
        (EVEN | {"uncertainty": -1.0}, FAILS),
        (EVEN | {"low_perplexity": 1.3, "uncertainty": 0.7}, FAILS),  # better than random, worse than low perplexity
        ({"uncertainty": 1.0}, OPEN),  # a baseline is missing
    ],
)
def test_a2_ranks_a_selection_among_the_random_subsets_of_its_seed(gains, expected):
    assert A2.decide(table(**gains)).outcome == expected


def test_a2_needs_enough_subsets_seeds_and_the_control():
    few = A2.decide(table(draws=1, **EVEN, uncertainty=-1.0))
    assert few.outcome == OPEN and "By 1 of 20 random subsets a seed." in few.text
    untaught = A2.decide(table(taught=(0.2, 0.2, 0.2), **EVEN, uncertainty=1.0))
    assert untaught.outcome == OPEN and "The control does not hold." in untaught.text
    assert judge(A2, table(seeds=5, **EVEN, uncertainty=1.0)).verdict == "not settled"
    assert judge(A2, table(**EVEN, uncertainty=1.0)).verdict == "holds here"


def test_a_subset_that_is_equal_is_half_beaten():
    frame = table(seeds=1, draws=1, uncertainty=1.0)
    same = frame.assign(value=0.0)
    assert here.beaten(same, "uncertainty").tolist() == [0.5] and here.beaten(frame, "uncertainty").tolist() == [1.0]


# ---- runs, figures ---------------------------------------------------------------------------------------------------


def test_runs_share_the_measures_of_a_seed():
    specs = here.runs(**notebooks.defaults(STEM))
    assert [type(spec) for spec in specs] == 3 * [InstructionsSpec] + 12 * [InstructSpec]
    assert {spec.first for spec in specs[3:]} == set(specs[:3])
    assert [specs[0].key, specs[3].key] == ["dde027bc7255ac76", "8d81424d65e5d770"]


WRONG = [{"strategies": ["uncertain"]}, {"measurement": {"seed": 1}}, {"budgets": [8, 4]}, {"test": []}]


@pytest.mark.parametrize("change", WRONG)
def test_a_wrong_parameter_is_refused_in_one_line(change):
    with pytest.raises(SpecError) as error:
        here.runs(**notebooks.defaults(STEM) | change)
    assert "\n" not in str(error.value)


def test_the_figure_draws_every_seed_and_a_table_has_the_papers_counts():
    frame = table(draws=1, **EVEN, uncertainty=1.0)
    figure = here.figure_gains(chapter(frame))
    assert len(marks(figure.axes[0])) == 6 * 3 * 4
    assert svg(figure) == svg(here.figure_gains(chapter(frame)))
    assert "| GPT-4 | 11 | 27 | -19 | 14 | -5 |" in here.table_wins(chapter(frame))


def test_the_answer_names_how_many_random_subsets_there_were():
    frame = table(draws=1, **EVEN, uncertainty=1.0)
    curves = frame[frame["n_trained"] > 0].assign(budget=frame["n_trained"], tokens=300.0, passes=3.0)
    assert "over 1 random subset a seed" in here.answer(chapter(frame))
    assert "| random | 8 | 100 |" in here.table_results(chapter(frame, curves=curves))
    specs = here.runs(**notebooks.defaults(STEM))
    assert "128 of alpaca_general (CC BY-NC 4.0)" in here.table_settings(chapter(frame, specs=specs))
