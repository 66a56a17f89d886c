"""Tables of recorded selections and measurements: what they join, and what they compute, against the results they are of."""

import pandas
import pytest
import torch

from ditune.active.loop import select_run
from ditune.active.measuring import agreement, measure_run
from ditune.active.specs import MeasureSpec, SelectSpec
from ditune.active.uncertainty import uncertainty
from ditune.figures import select_tables
from ditune.store import records

POOL = {"n_tasks": 30, "n_instances": 4, "n_test": 8, "n_test_instances": 3, "alphabet_size": 8, "side_len": 3, "z_len": 4}
SMALL = {
    "pool": POOL, "model": {"n_layer": 2, "n_head": 2, "n_embd": 16}, "n_initial": 8, "n": 2, "k": 2,
    "train": {"n_steps": 6, "batch_size": 8, "n_evals": 2, "lr": 3e-3},
}  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A folder of records: random and uncertain selection of two seeds, by spec, and a measurement of the first seed."""
    specs = [SelectSpec.of(**SMALL | {"n_rounds": 2, "n_select": 8, "strategy": s, "seed": seed}) for s in ("random", "uncertainty") for seed in (0, 1)]
    specs.append(MeasureSpec.of(**SMALL | {"n_points": 2, "k_most": 5, "drop_rates": (0.2, 0.9)}))
    home = tmp_path_factory.mktemp("home")
    for spec in specs:
        result = (measure_run if isinstance(spec, MeasureSpec) else select_run)(spec, home / "checkpoint.safetensors")
        (home / "checkpoint.safetensors").unlink(missing_ok=True)
        records.save(records.make(spec, result), home / "records")
    return home, specs


@pytest.fixture
def specs(recorded, monkeypatch):
    monkeypatch.setenv("DITUNE_HOME", str(recorded[0]))
    return recorded[1]


def result(spec):
    return records.find(spec).result


def test_a_round_is_a_row_with_slices_and_a_curve(specs):
    frame = records.frame(specs[:4])
    assert len(frame) == 12 and set(frame["n_trained"]) == {8, 16, 24} and {"strategy", "round", "exact_match"} <= set(frame)
    assert set(records.slices(specs[:4])["slice"]) == {"family", "kind"} and set(records.curves(specs[:4])["step"]) == {3, 6}


def test_gains_are_paired_by_seed(specs):
    frame = records.frame(specs[:4])
    nll = {(row.strategy, row.seed): row.nll for row in frame.query("round == 2").itertuples()}
    gain = select_tables.gains(frame, value="nll").query("round == 2")["gain"].item()
    by_hand = [nll["uncertainty", seed] - nll["random", seed] for seed in (0, 1)]
    assert gain.mean == pytest.approx(sum(by_hand) / 2) and min(by_hand) - 1e-12 <= gain.low <= gain.high <= max(by_hand) + 1e-12 and gain.n == 2
    assert select_tables.gains(frame).query("round == 0")["gain"].item().mean == 0
    alone = select_tables.gains(frame[(frame["seed"] == 0) | (frame["strategy"] == "random")])
    assert {gain.n for gain in alone["gain"]} == {1}  # a seed that the other does not have counts for neither


def test_what_was_selected_is_listed_with_what_is_known_of_it(specs):
    chosen = select_tables.selected(specs[:4])
    assert len(chosen) == 4 * 24 and set(chosen["noise"]) <= {"clean", "noisy", "contradictory"}
    assert chosen.query("strategy == 'random' and seed == 1 and round == 2")["task"].tolist() == result(specs[1])["selected"][2]
    for row in records.frame(specs[:4]).itertuples():
        so_far = chosen[(chosen["strategy"] == row.strategy) & (chosen["seed"] == row.seed) & (chosen["round"] <= row.round)]
        assert (so_far["noise"] == "clean").sum() == row.n_clean


def test_the_map_names_the_groups_that_would_be_selected(specs):
    found = select_tables.task_map(specs[:4])
    assert len(found) == 2 * 22 and set(found["group"]) <= {"ambiguous", "difficult", "easy", ""}
    for spec in specs[2:4]:
        of_seed = found[found["seed"] == spec.seed]
        assert of_seed[of_seed["group"] == "ambiguous"]["task"].tolist() == result(spec)["selected"][1]
        assert of_seed["uncertainty"].tolist() == result(spec)["map"]["uncertainty"]
    assert select_tables.task_map(specs[:2]).empty  # random selection measures nothing


def test_costs_are_summed_over_the_selections(specs):
    costs = select_tables.costs(specs[:4]).set_index("strategy")
    assert costs.loc["random", "n_scored"].tolist() == [0, 0] and (costs["score_s"] > 0).all()
    assert costs.loc["uncertainty", "n_answered"].tolist() == [2 * 22 + 2 * 14] * 2  # n = 2, of the tasks left


def test_a_measurement_in_many_ways_agrees_with_the_map_of_the_loop(specs):
    measured = result(specs[4])
    assert measured["maps"]["step 6"] == result(specs[2])["map"]
    mean = sum(measured["maps"]["step 6"]["uncertainty"]) / 22
    sizes = select_tables.sizes(specs[4:]).set_index(["n", "k"])
    assert set(sizes.index) == {(n, k) for n in (1, 2) for k in (1, 2, 5)}
    assert sizes.loc[(2, 2), "mean"] == pytest.approx(mean, rel=1e-5) and sizes.loc[(2, 5), "rank"] == pytest.approx(1)
    assert set(sizes.dropna(subset="again").index) == {(1, 1), (1, 2)}  # of 2 instances and 5 prompts, twice as many are there
    table = select_tables.variants(specs[4:])
    names = ["as selected", "signed difference", "standard deviation", "definition only", "examples only", "gold answer", "drop rate 0.9"]
    assert table["name"].tolist() == names
    assert table["mean"][0] == pytest.approx(mean, rel=1e-5) and table["rank"][0] == pytest.approx(1)
    assert table["n_scored"][6] > table["n_scored"][0]  # at a high rate, fewer copies lose nothing
    assert len(select_tables.over_training(specs[4:])) == 44


def test_the_rank_correlation_is_spearmans():
    one, other = torch.tensor([0.1, 0.4, 0.2, 0.9]), torch.tensor([1.0, 5.0, 2.0, 2.0])
    ranks = pandas.Series(one.tolist()).rank().corr(pandas.Series(other.tolist()).rank())
    assert agreement(one, other) == pytest.approx(ranks) and agreement(one, torch.ones(4)) is None


def test_the_example_is_the_task_of_median_uncertainty_measured_alone(specs):
    measured = result(specs[4])
    example, of_task = measured["example"], dict(zip(measured["maps"]["step 6"]["task"], measured["maps"]["step 6"]["uncertainty"]))
    noise = dict(zip(*(select_tables.known(specs[4])[name] for name in ("task", "noise"))))
    clean = sorted(u for task, u in of_task.items() if noise[task] == "clean")
    assert of_task[example["task"]] == clean[len(clean) // 2]
    assert uncertainty(torch.tensor([example["p"]])).item() == pytest.approx(of_task[example["task"]], abs=1e-6)
