"""Chapter 15: the rules decide as they are written, and only where the controls hold; figures draw every seed."""

import pandas as pd
import pytest
from made_up import MADE, NOISE, chapter, marks, svg, texts

from ditune import notebooks
from ditune.chapters import natural_instructions as here
from ditune.chapters import natural_map, selecting
from ditune.language.specs import FirstSpec, MapSpec, RoundsSpec
from ditune.report.ledger import judge
from ditune.report.stats import FAILS, HOLDS, OPEN
from ditune.specs import SpecError

CLAIMS = {claim.id: claim for claim in here.CLAIMS}
STEM = "15_natural_instructions"
CURVE = (10.0, 20.0)
EVEN = {"random": CURVE, "high_perplexity": CURVE, "low_perplexity": CURVE}


def table(seeds: int = 6, taught: float | None = 30.0, n_trained=(0, 24, 36, 48), **ends) -> pd.DataFrame:
    """What `frame` gives: values above the first model by strategy and round; on the tasks trained on, `taught` more with 8
    instances of a task than with 1 (no such runs where None)."""
    rows = []
    for strategy, values in ends.items():
        for seed in range(seeds):
            run = {
                "key": f"{strategy}-{seed}",
                "seed": seed,
                "strategy": strategy,
                "n_instances": 8,
                "rouge": 10.0,
            } | MADE
            for number, value in zip((-1, 0, 1, 2), (-100.0, 0.0, *values)):
                shift = 300 * NOISE[seed] + (100 * NOISE[seed - 1] if number > 0 and strategy != "random" else 0)
                more = {"tasks": "test", "round": number, "n_trained": n_trained[number + 1], "value": value + shift}
                rows.append(run | more)
            for n, value in ((1, 0.0), (8, taught)) if taught is not None else ():
                more = {
                    "tasks": "trained",
                    "round": 0,
                    "n_trained": n_trained[1],
                    "n_instances": n,
                    "value": value + NOISE[seed],
                }
                rows.append(run | more)
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
    "change, expected", [(5.0, HOLDS), (-5.0, FAILS), (1.3, OPEN)]
)  # 1.3: neither none nor 2 and more
def test_a1n_needs_a_gain_over_each_baseline(change, expected):
    worse = dict.fromkeys(("high_perplexity", "low_perplexity"), more(-9.0))
    assert outcome("A1n", table(random=CURVE, **worse, uncertainty=more(change))) == expected
    assert outcome("A1n", table(**EVEN | {"low_perplexity": more(change + 5.0)}, uncertainty=more(change))) == FAILS


def test_a_gain_that_is_surely_less_than_a_share_of_what_random_tasks_add_is_none():
    large = {name: (100.0, 200.0) for name in EVEN}
    assert outcome("A1n", table(**large, uncertainty=(100.5, 200.0))) == FAILS  # below 20
    assert outcome("A1n", table(**large | {"low_perplexity": (150.0, 250.0)}, uncertainty=(120.0, 220.0))) == FAILS


def test_nothing_is_settled_without_the_controls():
    for frame in (
        table(taught=None, **EVEN, uncertainty=more(5.0)),
        table(taught=-9.0, **EVEN, uncertainty=more(-5.0)),
    ):
        found = CLAIMS["A1n"].decide(frame)
        assert found.outcome == OPEN and "The controls do not both hold." in found.text
    flat = dict.fromkeys((*EVEN, "uncertainty", "easy", "difficult"), (0.0, 0.0))
    assert [outcome(id, table(**flat)) for id in ("A1n", "A3n", "A5n", "A6n")] == [OPEN] * 4


def test_few_seeds_or_a_missing_baseline_decide_nothing():
    verdict = judge(CLAIMS["A1n"], table(seeds=5, **EVEN, uncertainty=more(5.0)))
    assert verdict.verdict == "not settled" and "By 5 of 6 seeds." in verdict.finding.text
    assert judge(CLAIMS["A1n"], table(**EVEN, uncertainty=more(5.0))).verdict == "holds here"
    assert outcome("A1n", table(random=CURVE, uncertainty=more(5.0))) == OPEN
    assert judge(CLAIMS["A1n"], pd.DataFrame()).verdict == "not settled"


@pytest.mark.parametrize("first, expected", [(30.0, HOLDS), (10.0, FAILS), (20.0, OPEN)])  # the others end at 20
def test_a3n_compares_some_tasks_with_all_others(first, expected):
    frame = table(n_trained=(0, 24, 40, 48), **EVEN, uncertainty=(first, 90.0))
    assert outcome("A3n", frame) == expected
    assert outcome("A3n", table(n_trained=(0, 24, 30, 48), **EVEN, uncertainty=(first, 90.0))) == OPEN  # 62 %


@pytest.mark.parametrize("change, expected", [(5.0, HOLDS), (-5.0, FAILS)])
def test_a5n_compares_ambiguous_tasks_with_the_others(change, expected):
    frame = table(random=CURVE, easy=CURVE, difficult=more(-9.0), uncertainty=more(change))
    assert outcome("A5n", frame) == expected


@pytest.mark.parametrize("last, expected", [(0.0, HOLDS), (20.0, FAILS), (5.0, OPEN)])  # random ones add 20
def test_a6n_compares_difficult_tasks_with_a_quarter_of_random_ones(last, expected):
    assert outcome("A6n", table(random=CURVE, difficult=(0.0, last))) == expected


def groups(easy, ambiguous, difficult, others=0.3, seeds=6) -> pd.DataFrame:
    means = {"easy": easy, "ambiguous": ambiguous, "difficult": difficult, "": others}
    rows = [
        (s, g, m + NOISE[s] * (1 if g == "ambiguous" else -1) / 2, s) for g, m in means.items() for s in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["seed", "group", "rouge_l", "key"])


@pytest.mark.parametrize(
    "rows, expected",
    [
        (groups(0.6, 0.4, 0.2), HOLDS),
        (groups(0.6, 0.4, 0.4), FAILS),
        (groups(0.3, 0.4, 0.2), FAILS),
        (groups(0.6, 0.4, 0.35), OPEN),
        (groups(0.0, 0.0, 0.0, 0.0), OPEN),  # no answer is right
        (groups(0.6, 0.4, 0.2).query("group != 'easy'"), OPEN),
    ],
)
def test_a4n_needs_the_order_easy_ambiguous_difficult(rows, expected):
    assert here.in_order(rows).outcome == expected


# ---- runs, figures ---------------------------------------------------------------------------------------------------


def test_runs_share_the_first_round_of_a_seed():
    specs = here.runs(**notebooks.defaults(STEM))
    assert [type(spec) for spec in specs] == [MapSpec] + 3 * [FirstSpec] + 21 * [RoundsSpec]
    assert {spec.first for spec in specs[4:]} == set(specs[1:4])
    assert [spec.key for spec in specs[:2]] == ["9a2b6aa2a1c6271d", "b4c5bf525e3f0f70"]


@pytest.mark.parametrize(
    "change, said",
    [
        ({"strategies": ["uncertain"]}, "uncertainty"),
        ({"loop": {"seed": 1}}, "seed"),
        ({"pools": []}, "pools"),
        ({"n_seeds": 0}, "n_seeds"),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_line(change, said):
    with pytest.raises(SpecError, match=said) as error:
        here.runs(**notebooks.defaults(STEM) | change)
    assert "\n" not in str(error.value)


ALL = EVEN | {"uncertainty": more(1.0), "inverse_confidence": CURVE, "easy": CURVE, "difficult": CURVE}


def test_the_main_figure_draws_every_seed_and_the_papers_gains():
    frame = table(**ALL)
    figure = here.figure_gains(chapter(frame, ["uncertainty-2"]))
    above, below = figure.axes
    assert len(marks(above, "x")) == 2 * 6 and len(marks(below, "x")) == 6 * 6 and "paper" in texts(figure)
    assert sum(line.get_markersize() > 8 and line.get_marker() == "o" for line in below.lines) == 1  # a ring
    assert svg(figure) == svg(here.figure_gains(chapter(frame, ["uncertainty-2"])))


def test_answer_and_tables_say_what_is_not_shown():
    assert "no selection can be told" in here.answer(chapter(table(taught=None, **ALL)))
    assert "no selection" not in here.answer(chapter(table(**ALL)))
    assert "| prompt uncertainty | 0.83 [" in here.table_gains(chapter(table(**ALL)))
    specs = here.runs(**notebooks.defaults(STEM))
    assert "| 24, 12, 64 |" in here.table_settings(chapter(pd.DataFrame(), specs=specs))


def a_map(n: int = 40) -> pd.DataFrame:
    columns = {"task": [f"t{i}" for i in range(n)], "kind": sorted(natural_map.KINDS * (n // 2))}
    columns |= {"uncertainty": [i / n for i in range(n)], "probability": [1 - i / (2 * n) for i in range(n)]}
    columns |= {"perplexity": [1.0 + i for i in range(n)], "rouge_l": [0.5] * n, "written": ["yes"] * n}
    columns |= {"definition": [i / n for i in range(n)], "paraphrased": [i / n if i % 2 else None for i in range(n)]}
    return natural_map.grouped(columns, 4, 0.5, 0).assign(key="m", state="fresh")


def test_the_map_has_groups_within_both_kinds(monkeypatch):
    rows = a_map()
    assert rows[rows["group"] == "ambiguous"].groupby("kind").size().tolist() == [2, 2]
    assert set(rows.groupby("kind")["uncertainty"].idxmax()) <= set(rows.index[rows["group"] == "ambiguous"])
    monkeypatch.setattr(natural_map, "pretrained_map", lambda chapter: rows)
    monkeypatch.setattr(natural_map, "first_maps", lambda chapter: pd.concat([rows, rows.assign(seed=1)]))
    for draw in (natural_map.figure_map, natural_map.figure_agreement):
        figure = draw(None)
        assert sum(len(points.get_offsets()) for points in figure.axes[-1].collections) in (0, 40)
        assert svg(figure) == svg(draw(None))
    assert natural_map.agreement(None).startswith("Over 20 tasks") and "1.00 to 1.00" in natural_map.agreement(None)
    assert "| ambiguous | 4 |" in natural_map.table_map(None)


def test_the_papers_map_is_the_published_one():
    assert len(selecting.paper_map()) == 466
