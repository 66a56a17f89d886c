"""Figures and tables of the chapters on active selection: from made-up tables, and from small records."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("svg")

import matplotlib.pyplot as plt  # noqa: E402
from test_claims_selection import BASE, runs, shifted  # noqa: E402

from ditune.active.loop import select_run  # noqa: E402
from ditune.active.specs import STRATEGIES, SelectSpec  # noqa: E402
from ditune.claims import judge  # noqa: E402
from ditune.figures import plotting, select_tables, selection, task_map  # noqa: E402
from ditune.store import records  # noqa: E402

SMALL = {
    "pool": {"n_tasks": 30, "n_instances": 4, "n_test": 8, "n_test_instances": 3}, "model": {"n_layer": 1, "n_head": 2, "n_embd": 16},
    "train": {"n_steps": 4, "batch_size": 8, "n_evals": 2}, "n_initial": 8, "n_rounds": 1, "n_select": 6, "n": 2, "k": 2,
}  # fmt: skip
OTHERS = {name: shifted(0.01 * i) for i, name in enumerate(STRATEGIES) if name not in BASE}


@pytest.fixture(autouse=True)
def style():
    plotting.use_style()
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the records of random and uncertain selection, two seeds."""
    folder = tmp_path_factory.mktemp("home")
    for spec in small_specs():
        records.save(records.make(spec, select_run(spec, folder / f"{spec.key}.safetensors")), folder / "records")
    return folder


def small_specs() -> list[SelectSpec]:
    return [SelectSpec.of(**SMALL, strategy=name, seed=seed) for name in ("random", "uncertainty") for seed in (0, 1)]


@pytest.fixture
def specs(home, monkeypatch):
    monkeypatch.setenv("DITUNE_HOME", str(home))
    return small_specs()


def texts(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def test_every_strategy_is_drawn_with_every_seed_and_its_own_style():
    frame = runs(**BASE, **OTHERS)
    figure = selection.curves_figure({"profile test": frame})
    assert [len(ax.get_legend_handles_labels()[1]) for ax in figure.axes] == [4, 6] and "profile test · 3 seeds" in texts(figure)
    assert len({tuple(selection.style(name).items()) for name in STRATEGIES}) == len(STRATEGIES)
    points = [len(line.get_xdata()) for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    assert points.count(15) == 4  # 3 seeds, 5 numbers of tasks


def test_gains_are_ordered_and_random_is_the_zero():
    frame = runs(**BASE, **OTHERS)
    order = selection.strategies_by_gain(frame)
    assert order[0] == "high_perplexity" and order[-1] == "clean" and "random" not in order
    assert [t.get_text() for t in selection.gains_figure({"profile test": frame}).axes[0].get_yticklabels()] == [selection.named(name) for name in order]


def made_up_composition(frame) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return frame[["strategy", "seed", "round"]].assign(clean=rng.uniform(0.7, 1, len(frame)), families=rng.uniform(2, 4, len(frame)))


def test_the_fit_finds_what_two_factors_account_for_and_what_is_left():
    frame = runs(**BASE, **OTHERS)
    found = made_up_composition(frame)
    made = 0.2 + 0.5 * found["clean"] + 0.1 * found["families"] + 0.07 * found["strategy"].isin(["uncertainty", "uncertainty_diversity", "easy"])
    split = selection.accounted(frame.assign(exact_match=made), found)
    assert (split["clean"].mean, split["families"].mean) == (pytest.approx(0.05), pytest.approx(0.1))
    assert split["explained"].mean == pytest.approx(1)
    assert split["rest"].mean == pytest.approx(0.07) and split["gain"].mean == pytest.approx(split["expected"].mean + 0.07)
    assert selection.accounted(frame[frame["strategy"] != "random"], found) == {}
    assert selection.accounted(frame.assign(exact_match=0.0), found)["explained"].mean == 0


def test_answers_name_what_was_not_run():
    frame = runs(random=shifted(0), uncertainty=shifted(0.02))
    answers = selection.answers(frame, made_up_composition(frame))
    assert selection.precise(answers["uncertainty over random"]) == "+0.020 [+0.020, +0.020]" and answers["diversity over random"] is None
    text = selection.answers_table({"profile test": frame}, {"profile test": made_up_composition(frame)}, "Answers", "tab-a")
    assert "| diversity over random | not run |" in text and "clearly more" in selection.in_words(answers)


def test_the_papers_gains_stand_beside_ours():
    lines = selection.paper_table({"ours": runs(**BASE, uncertainty=shifted(0.02))}, "Gains", "tab-p").splitlines()
    assert "| uncertainty | 1 | 136 | +0.71 | +2.0 [+2.0, +2.0] (300 tasks) |" in lines and len(lines) == 3 + 2 + 12 + 1
    rises = task_map.rises_table({"ours": runs(random=shifted(0), uncertainty=shifted(0.02))}, "Rises", "tab-r")
    assert "| random | 1 | +0.70 | +20.0 [+20.0, +20.0] |" in rises and "| difficult | 1 | +0.10 | not run |" in rises


def test_the_published_map_has_its_groups_and_lies_in_its_ranges():
    points = task_map.paper_map()
    count = points["group"].value_counts()
    assert len(points) == 466 and count.to_dict() == {"": 296, "ambiguous": 59, "difficult": 57, "easy": 54}
    assert points[points["group"] == "ambiguous"]["uncertainty"].min() >= 0.1 > points[points["group"] == "easy"]["uncertainty"].max()


def test_the_accuracy_of_each_family_is_the_mean_of_its_slices(specs):
    slices = records.slices(specs).query("slice == 'family' and eval == 'round 1'")
    for family, rows in slices.groupby("value"):
        assert f"{family} {rows['exact_match'].mean():.2f}" in selection.by_family(specs)
    assert selection.by_family(specs).count("[") == 4 and "No runs" in selection.by_family([specs[0].replace(seed=99)])


def test_what_was_selected_is_counted_from_the_records(specs):
    found = selection.composition(specs)
    frame = records.frame(specs).merge(found, on=["strategy", "seed", "round"])
    assert len(frame) == 8 and np.allclose(frame["clean"], frame["n_clean"] / frame["n_trained"]) and found["families"].between(1, 4).all()
    figure = selection.selected_figure({"profile test": specs}, {"profile test": records.frame(specs)})
    assert sum(bar.get_width() for bar in figure.axes[0].patches) == pytest.approx(2)  # a whole for each strategy


def test_the_map_is_drawn_beside_the_papers_and_its_groups_are_described(specs):
    maps, frames = {"profile test": select_tables.task_map(specs)}, {"profile test": records.frame(specs)}
    figure = task_map.map_figure(maps, frames)
    assert [ax.get_title("left") for ax in figure.axes] == ["Kung et al. 2023 (read off)", "profile test, seed 0"]
    assert sum(len(c.get_offsets()) for c in figure.axes[1].collections) == 22
    assert sum(len(c.get_offsets()) for c in task_map.noise_figure(maps, frames).axes[0].collections) == 22
    assert "**ambiguous** (" in task_map.examples(specs, maps["profile test"])
    groups = task_map.group_table(specs)
    assert set(groups["group"]) == {"ambiguous", "difficult", "easy", "all"} and np.allclose(groups["noise"], groups["noisy"] + groups["contradictory"])
    assert groups.query("group == 'all'")["n"].tolist() == [22, 22] and judge("A4", groups).lacks == ["seeds 2 < 3"]
    assert (groups["learnable"] <= groups["by_examples"]).all()
    tasks = maps["profile test"]
    placed = tasks[tasks["noise"] == "noisy"].groupby("seed")["group"].apply(lambda group: (group == "difficult").mean())
    said = task_map.noise_in_words(groups)
    assert "the difficult tasks a share of" in said and f"Of the noisy tasks {placed.mean():.2f}" in said
    assert task_map.other_counts_in_words(groups).count("the rule is ") == 2
    assert f"Of 44 tasks of all seeds {(tasks['uncertainty'] < 0.1).sum()} have an uncertainty below 0.10" in task_map.certain_in_words(tasks)


def test_a_task_is_as_learnable_as_its_family_unless_noise_is_planted(specs):
    tasks = select_tables.task_map(specs).query("seed == 1")
    slices = records.slices([specs[1]]).query("slice == 'family' and eval == 'round 1'").set_index("value")["exact_match"]
    expected = [0.0 if row.noise != "clean" else slices[row.family] for row in tasks.itertuples()]
    assert task_map.learnable(specs, tasks).tolist() == expected
