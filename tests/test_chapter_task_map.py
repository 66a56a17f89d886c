"""Chapter 11: its runs, the rule of A4, what is known of the groups of recorded maps, its figures."""

import matplotlib.pyplot
import pandas as pd
import pytest
from made_up import MADE, NOISE, chapter, marks, svg
from test_chapter_active_selection import CLAIMS, FAILED, HELD, LEFT_OPEN

from ditune.active.loop import select_run
from ditune.active.pool import pool_tasks
from ditune.active.specs import PoolSpec, SelectSpec
from ditune.chapters import active_selection, selecting, symbolic_pool
from ditune.chapters import task_map as here
from ditune.notebooks import defaults
from ditune.report.ledger import judge
from ditune.store import records

SMALL = {
    "pool": {"n_tasks": 30, "n_instances": 4, "n_test": 8, "n_test_instances": 3},
    "model": {"n_layer": 1, "n_head": 2, "n_embd": 16}, "train": {"n_steps": 4, "batch_size": 8, "n_evals": 2},
    "n_initial": 8, "n_rounds": 2, "n_select": 6, "n": 2, "k": 2,
}  # fmt: skip


def groups(easy, ambiguous, difficult, everything=0.4, seeds=12, median_u=0.04) -> pd.DataFrame:
    means = {"easy": easy, "ambiguous": ambiguous, "difficult": difficult, "all": everything}
    rows = [(s, n, v + NOISE[(s + i) % 3], s) for i, (n, v) in enumerate(means.items()) for s in range(seeds)]
    table = pd.DataFrame(rows, columns=["seed", "group", "value", "key"])
    return table.assign(margin=0.1 * everything, median_u=median_u, **MADE)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (groups(0.5, 0.4, 0.2), HELD),
        (groups(0.5, 0.4, 0.4), FAILED),
        (groups(0.3, 0.4, 0.2), FAILED),
        (groups(0.5, 0.4, 0.38), FAILED),  # alike
        (groups(0.5, 0.4, 0.36), LEFT_OPEN),
        (groups(0.5, 0.4, 0.2, seeds=5), LEFT_OPEN),
        (groups(0.5, 0.4, 0.2, median_u=0.5), LEFT_OPEN),
        (groups(0.0, 0.0, 0.0, everything=0.0), LEFT_OPEN),  # nothing was learnt
        (groups(0.5, 0.4, 0.2).query("group != 'easy'"), LEFT_OPEN),
        (pd.DataFrame(), LEFT_OPEN),
    ],
)
def test_a4_needs_the_order_easy_ambiguous_difficult_in_a_fair_pool(table, expected):
    assert judge(CLAIMS["A4"], table).verdict == expected


def test_the_map_needs_no_runs_of_its_own():
    of_map, of_loop = here.runs(**defaults("11_task_map")), active_selection.runs(**defaults("10_active_selection"))
    assert set(of_map) < set(of_loop) and len(of_map) == 20


@pytest.mark.parametrize("pool", [PoolSpec(), PoolSpec(n_tasks=33, noisy_share=0.3), PoolSpec(n_tasks=64)])
def test_families_and_noise_are_those_of_the_pool(pool):
    small = pool.replace(n_instances=1)
    assert symbolic_pool.known(small, 7).to_dict("list") == {
        name: values for name, values in pool_tasks(small, 7).columns().items() if name in ("family", "noise")
    }


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The chapter of records of training on random tasks and on each group, two seeds."""
    home = tmp_path_factory.mktemp("home")
    specs = [SelectSpec.of(**SMALL, strategy=name, seed=s) for name in here.STRATEGIES.values() for s in (0, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DITUNE_HOME", str(home))
        for spec in specs:
            records.save(records.make(spec, select_run(spec, home / f"{spec.key}.safetensors")), home / "records")
        made = chapter(None, again=[specs[3].key], specs=specs, records=[records.find(spec) for spec in specs])
        made.frame, made.slices = symbolic_pool.frame(made), records.slices(specs)
    return made


def test_groups_are_what_was_selected_and_a_task_is_as_learnable_as_its_family(recorded):
    maps, table = symbolic_pool.task_map(recorded), symbolic_pool.groups(recorded)
    assert len(maps) == 2 * 22 and (table[["clean", "noisy", "contradictory"]].sum(axis=1) - 1).abs().max() < 1e-9
    for record in recorded.records[2:4]:
        tasks = maps[maps["seed"] == record.spec.seed]
        assert tasks[tasks["group"] == "ambiguous"]["task"].tolist() == record.result["selected"][1]
        (seed, median), = tasks.groupby("seed")["uncertainty"].median().items()
        assert set(recorded.frame[recorded.frame["seed"] == seed]["median_u"]) == {median}
    right = recorded.records[1].result["metrics"]["round 2"]["slices"]["family"]  # random selection, seed 1
    own = [right[t.family][0] * (t.noise == "clean") for t in maps[maps["seed"] == 1].itertuples()]
    assert table.query("seed == 1 and group == 'all'")["value"].item() == pytest.approx(sum(own) / 22)


def test_figures_draw_every_seed_and_are_the_same_twice(recorded):
    figure, of_groups = here.figure_map(recorded), here.figure_groups(recorded)
    assert sum(len(points.get_offsets()) for points in figure.axes[0].collections) == 22
    assert [len(marks(ax, "x")) for ax in of_groups.axes] == [8, 8]
    assert svg(figure) == svg(here.figure_map(recorded)) and svg(of_groups) == svg(here.figure_groups(recorded))
    assert "is clean; training on difficult tasks adds" in here.answer(recorded)
    assert here.table_groups(recorded).count("\n| ") == 5
    matplotlib.pyplot.close("all")


def test_the_published_map_has_its_groups_and_lies_in_its_ranges():
    points = selecting.paper_map()
    assert points["group"].value_counts().to_dict() == {"": 296, "ambiguous": 59, "difficult": 57, "easy": 54}
    ambiguous, easy = (points[points["group"] == name]["uncertainty"] for name in ("ambiguous", "easy"))
    assert ambiguous.min() >= symbolic_pool.FAIR > easy.max()
    assert points["uncertainty"].median() == pytest.approx(symbolic_pool.PAPER_MEDIAN, abs=5e-4)
