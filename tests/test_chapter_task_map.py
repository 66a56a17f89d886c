"""Chapter 11: its runs, its rules on made-up runs, what is known of the groups of recorded maps, its figures."""

import matplotlib
import matplotlib.pyplot
import pandas as pd
import pytest
from made_up import MADE, chapter, marks, svg, texts
from test_chapter_active_selection import FAILED, HELD, LEFT_OPEN, SMALL, made_up, shifted

matplotlib.use("svg")

from ditune.active.loop import select_run  # noqa: E402
from ditune.active.specs import SelectSpec  # noqa: E402
from ditune.chapters import active_selection, symbolic_pool  # noqa: E402
from ditune.chapters import task_map as here  # noqa: E402
from ditune.notebooks import defaults  # noqa: E402
from ditune.report import plots  # noqa: E402
from ditune.report.ledger import judge  # noqa: E402
from ditune.store import records  # noqa: E402

CLAIMS = {claim.id: claim for claim in here.CLAIMS}
JITTER = (0.0, 0.01, -0.01)


@pytest.fixture(autouse=True)
def style():
    plots.use_style()
    yield
    matplotlib.pyplot.close("all")


def verdict(id: str, frame) -> str:
    return judge(CLAIMS[id], frame).verdict


def groups(easy, ambiguous, difficult, everything=0.4, seeds=12, median_u=0.04) -> pd.DataFrame:
    means = {"easy": easy, "ambiguous": ambiguous, "difficult": difficult, "all": everything}
    rows = [
        {"seed": seed, "group": name, "learnable": value + JITTER[(seed + i) % 3], "key": f"k{seed}"}
        for i, (name, value) in enumerate(means.items())
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows).assign(median_u=median_u, **MADE)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (groups(0.5, 0.4, 0.2), HELD),
        (groups(0.5, 0.4, 0.4), FAILED),
        (groups(0.3, 0.4, 0.2), FAILED),
        (groups(0.5, 0.4, 0.37), FAILED),  # alike
        (groups(0.5, 0.4, 0.36), LEFT_OPEN),
        (groups(0.5, 0.4, 0.2, seeds=5), LEFT_OPEN),
        (groups(0.5, 0.4, 0.2, median_u=0.5), LEFT_OPEN),
        (groups(0.5, 0.4, 0.4, median_u=0.5), LEFT_OPEN),
        (groups(0.0, 0.0, 0.0, everything=0.0), LEFT_OPEN),  # nothing was learnt
        (pd.DataFrame(), LEFT_OPEN),
    ],
)
def test_a4_needs_the_order_easy_ambiguous_difficult_in_a_fair_pool(table, expected):
    assert verdict("A4", table) == expected


@pytest.mark.parametrize(
    ("uncertain", "expected"),
    [(shifted(0.05), HELD), (shifted(0.0), FAILED), ((0.35, 0.45, 0.0, 0.0), HELD)],  # only two rounds count
)
def test_a5_compares_ambiguous_tasks_with_all_others(uncertain, expected):
    others = {"random": shifted(0), "easy": shifted(-0.1), "difficult": shifted(-0.1)}
    assert verdict("A5", made_up(uncertainty=uncertain, **others)) == expected
    assert verdict("A5", made_up(uncertainty=uncertain, **others, median_u=0.56)) == LEFT_OPEN


@pytest.mark.parametrize(("added", "expected"), [(0.01, HELD), (0.25, FAILED), (0.0625, LEFT_OPEN)])
def test_a6_asks_for_less_than_a_quarter_of_what_random_tasks_add(added, expected):
    frame = made_up(random=shifted(0), difficult=(0.1 + added, 0.1 + added, 0.9, 0.9))  # random tasks add 0.25
    assert verdict("A6", frame) == expected
    assert verdict("A6", frame.assign(median_u=0.56)) == LEFT_OPEN


def test_missing_strategies_leave_claims_open():
    frame = made_up(random=shifted(0))
    assert all("There are no runs of" in judge(CLAIMS[id], frame).text() for id in ("A5", "A6"))


def test_the_map_needs_no_runs_of_its_own():
    of_map, of_loop = here.runs(**defaults("11_task_map")), active_selection.runs(**defaults("10_active_selection"))
    assert set(of_map) < set(of_loop) and len(of_map) == 20
    assert {spec.strategy for spec in of_map} == {"random", "uncertainty", "easy", "difficult"}


# ---- records ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The chapter of records of training on random tasks and on each group, two seeds."""
    home = tmp_path_factory.mktemp("home")
    specs = [SelectSpec.of(**SMALL, strategy=name, seed=s) for name in here.STRATEGIES.values() for s in (0, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DITUNE_HOME", str(home))
        for spec in specs:
            records.save(records.make(spec, select_run(spec, home / f"{spec.key}.safetensors")), home / "records")
        found = [records.find(spec) for spec in specs]
        yield chapter(records.frame(specs), again=[specs[3].key], specs=specs, records=found)


def test_groups_are_counted_and_a_task_is_as_learnable_as_its_family_unless_noise_is_planted(recorded):
    table = here.groups(recorded)
    assert table.groupby("seed")["group"].apply(set).tolist() == [{"ambiguous", "difficult", "easy", "all"}] * 2
    assert table[table["group"] == "all"]["n"].tolist() == [22, 22]
    assert (table[["clean", "noisy", "contradictory"]].sum(axis=1) - 1).abs().max() < 1e-9
    maps = symbolic_pool.task_map(recorded.records)
    tasks = maps[maps["seed"] == 1]
    slices = records.slices([recorded.specs[1]]).query("slice == 'family' and eval == 'round 2'")
    accuracy = slices.set_index("value")["exact_match"]
    expected = [0.0 if row.noise != "clean" else accuracy[row.family] for row in tasks.itertuples()]
    assert here.learnable(recorded, tasks).tolist() == expected
    assert judge(CLAIMS["A4"], table).verdict == LEFT_OPEN


def test_figures_draw_every_task_and_every_seed_the_same_each_time(recorded):
    figure = here.figure_map(recorded)
    assert sum(len(one.get_offsets()) for one in figure.axes[0].collections) == 22
    assert "466 of the paper's" in texts(figure) and svg(here.figure_map(recorded)) == svg(figure)
    training = here.figure_training(recorded)
    rows = [here.rise(recorded.frame, name, (1, 2)) for name in here.STRATEGIES.values()]
    assert marks(training.axes[0], "x") == pytest.approx(sorted(value for row in rows for value in row))
    assert [len(marks(ax, "x")) for ax in here.figure_groups(recorded).axes] == [8, 8]


def test_the_page_says_what_the_records_hold(recorded):
    table = here.groups(recorded)
    clean = here.interval(table[table["group"] == "difficult"]["clean"])
    assert f"a share of {clean} of the tasks that the map calls difficult is clean" in here.answer(recorded)
    assert here.examples(recorded).count("```text") == 3 and here.table_groups(recorded).count("\n| ") == 5


def test_the_published_map_has_its_groups_and_lies_in_its_ranges():
    points = here.paper_map()
    count = points["group"].value_counts()
    assert len(points) == 466 and count.to_dict() == {"": 296, "ambiguous": 59, "difficult": 57, "easy": 54}
    ambiguous, easy = (points[points["group"] == name]["uncertainty"] for name in ("ambiguous", "easy"))
    assert ambiguous.min() >= symbolic_pool.FAIR > easy.max()
    assert points["uncertainty"].median() == pytest.approx(symbolic_pool.PAPER_MEDIAN, abs=5e-4)
