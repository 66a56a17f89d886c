"""Chapter 15: rules decide only where the controls hold (their truth tables are those of chapters 10 and 11); figures
draw every seed."""

import matplotlib.pyplot
import pandas as pd
import pytest
from made_up import MADE, NOISE, chapter, marks, svg, texts

from ditune import notebooks
from ditune.chapters import natural_instructions as here
from ditune.chapters import selecting
from ditune.language.specs import FirstSpec, MapSpec, RoundsSpec
from ditune.report.ledger import judge
from ditune.report.stats import FAILS, HOLDS, OPEN
from ditune.specs import SpecError

CLAIMS = {claim.id: claim for claim in here.CLAIMS}
STEM = "15_natural_instructions"
CURVE = (10.0, 20.0)
EVEN = {"random": CURVE, "high_perplexity": CURVE, "low_perplexity": CURVE}
ALL = EVEN | {"uncertainty": (11.0, 21.0), "inverse_confidence": CURVE, "easy": CURVE, "difficult": CURVE}


def table(seeds: int = 6, taught: float | None = 30.0, n_trained=(0, 24, 36, 48), **ends) -> pd.DataFrame:
    """What `frame` gives: values above the first model by strategy and round; on the tasks trained on, `taught` more with
    8 instances of a task than with 1 (no such runs where None)."""
    rows = []
    for strategy, values in ends.items():
        for seed in range(seeds):
            run = MADE | {"key": f"{strategy}-{seed}", "seed": seed, "strategy": strategy, "n_instances": 8, "rouge": 1.0}
            for number, value in zip((-1, 0, 1, 2), (-100.0, 0.0, *values)):
                shift = 300 * NOISE[seed] + (100 * NOISE[seed - 1] if number > 0 and strategy != "random" else 0)
                more = {"tasks": "test", "round": number, "n_trained": n_trained[number + 1], "value": value + shift}
                rows.append(run | more)
            for n, value in ((1, 0.0), (8, taught)) if taught is not None else ():
                more = {"tasks": "trained", "round": 0, "n_trained": n_trained[1], "n_instances": n}
                rows.append(run | more | {"value": value + NOISE[seed]})
    return pd.DataFrame(rows)


def more(by: float) -> tuple:
    return tuple(value + by for value in CURVE)


def outcome(id: str, frame) -> str:
    return CLAIMS[id].decide(frame).outcome


@pytest.mark.parametrize("taught, expected", [(30.0, HOLDS), (-30.0, FAILS), (0.0, OPEN), (None, OPEN)])
def test_a0i_asks_for_a_gain_from_instances_on_the_tasks_trained_on(taught, expected):
    assert outcome("A0i", table(taught=taught, **EVEN)) == expected


@pytest.mark.parametrize("last, expected", [(20.0, HOLDS), (-20.0, FAILS)])
def test_a0n_asks_for_a_rise_on_other_tasks(last, expected):
    assert outcome("A0n", table(random=(10.0, last))) == expected


@pytest.mark.parametrize(
    ("id", "ends", "expected"),
    [
        ("A1n", EVEN | {"uncertainty": more(5.0)}, HOLDS),
        ("A1n", EVEN | {"uncertainty": more(-5.0)}, FAILS),
        ("A3n", EVEN | {"uncertainty": (30.0, 90.0)}, HOLDS),  # the others end at 20
        ("A3n", EVEN | {"uncertainty": (10.0, 90.0)}, FAILS),
        ("A5n", {"random": CURVE, "easy": CURVE, "difficult": more(-9.0), "uncertainty": more(5.0)}, HOLDS),
        ("A6n", {"random": CURVE, "difficult": (0.0, 0.0)}, HOLDS),
        ("A6n", {"random": CURVE, "difficult": (20.0, 20.0)}, FAILS),
    ],
)
def test_the_statements_are_settled_only_where_both_controls_hold(id, ends, expected):
    sizes = {"n_trained": (0, 24, 40, 48)}
    assert outcome(id, table(**ends, **sizes)) == expected
    for taught in (None, -9.0, 0.0):
        found = CLAIMS[id].decide(table(taught=taught, **ends, **sizes))
        assert found.outcome == OPEN and "The controls do not both hold." in found.text
    assert judge(CLAIMS[id], table(seeds=5, **ends, **sizes)).verdict == "not settled"


def test_runs_share_the_first_round_of_a_seed_and_keep_their_keys():
    specs = here.runs(**notebooks.defaults(STEM))
    assert [type(spec) for spec in specs] == [MapSpec] + 3 * [FirstSpec] + 21 * [RoundsSpec]
    assert {spec.first for spec in specs[4:]} == set(specs[1:4])
    assert [spec.key for spec in specs[:2]] == ["9a2b6aa2a1c6271d", "b4c5bf525e3f0f70"]
    assert "| 24, 12, 64 |" in here.table_settings(chapter(pd.DataFrame(), specs=specs))


@pytest.mark.parametrize("change", [{"strategies": ["none"]}, {"loop": {"seed": 1}}, {"pools": []}, {"n_seeds": 0}])
def test_a_wrong_parameter_is_refused_in_one_line(change):
    with pytest.raises(SpecError) as error:
        here.runs(**notebooks.defaults(STEM) | change)
    assert "\n" not in str(error.value)


def test_the_figure_draws_every_seed_and_the_papers_gains_and_the_answer_says_what_is_not_shown():
    made = chapter(table(**ALL), ["uncertainty-2"])
    figure = here.figure_gains(made)
    assert len(marks(figure.axes[0], "x")) == 6 * 6 and "paper" in texts(figure)
    assert svg(figure) == svg(here.figure_gains(made))
    assert sum(line.get_markersize() > 8 and line.get_marker() == "o" for line in figure.axes[0].lines) == 1  # a ring
    assert "no selection can be told" in here.answer(chapter(table(taught=None, **ALL)))
    assert "no selection" not in here.answer(made) and "| prompt uncertainty | +0.8 [" in here.table_gains(made)


def test_the_map_is_drawn_in_the_groups_that_were_selected():
    columns = {"task": list("abcde"), "uncertainty": [0.1, 0.2, 0.3, 0.4, 0.5], "probability": [0.5] * 5, "seed": 0}
    rows = selecting.grouped(pd.DataFrame(columns), {"uncertainty": ["d", "e"], "difficult": ["a"], "easy": ["a", "b"]})
    assert rows["group"].tolist() == ["difficult", "easy", "", "ambiguous", "ambiguous"]
    figure = selecting.figure_map(chapter(pd.DataFrame()), rows)
    assert sum(len(points.get_offsets()) for points in figure.axes[0].collections) == 5
    assert svg(figure) == svg(selecting.figure_map(chapter(pd.DataFrame()), rows))
    matplotlib.pyplot.close("all")
