"""The measure in many ways agrees with the loop, and with its parts recomputed."""

import pandas
import pytest
import torch

from ditune.active.loop import select_run
from ditune.active.measuring import agreement, measure_run
from ditune.active.pool import pool_tasks
from ditune.active.specs import MeasureSpec, SelectSpec
from ditune.active.uncertainty import uncertainty

POOL = {"n_tasks": 30, "n_instances": 4, "n_test": 8, "n_test_instances": 3}
SMALL = {
    "pool": POOL, "model": {"n_layer": 2, "n_head": 2, "n_embd": 16}, "n_initial": 8, "n": 2, "k": 2,
    "train": {"n_steps": 6, "batch_size": 8, "n_evals": 2, "lr": 3e-3},
}  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A measurement and the map of the loop's first model, of the same seed."""
    folder = tmp_path_factory.mktemp("checkpoints")
    spec = MeasureSpec.of(**SMALL | {"n_points": 2, "k_most": 5, "drop_rates": (0.2, 0.9)})
    loop = SelectSpec.of(**SMALL | {"n_rounds": 1, "n_select": 8, "strategy": "uncertainty"})
    return spec, measure_run(spec, folder / "a.safetensors"), select_run(loop, folder / "b.safetensors")["map"]


def test_a_measurement_in_many_ways_agrees_with_the_map_of_the_loop(measured):
    _, result, of_loop = measured
    assert result["maps"]["step 6"] == of_loop and set(result["maps"]) == {"step 3", "step 6"}
    mean = sum(of_loop["uncertainty"]) / 22
    sizes = {(row["n"], row["k"]): row for row in result["sizes"]}
    assert set(sizes) == {(n, k) for n in (1, 2) for k in (1, 2, 5)}
    assert sizes[2, 2]["mean"] == pytest.approx(mean, rel=1e-5) and sizes[2, 5]["rank"] == pytest.approx(1)
    # of 2 instances and 5 prompts, twice as many are there
    assert {size for size, row in sizes.items() if row["again"] is not None} == {(1, 1), (1, 2)}
    rows = result["variants"]
    names = ["as selected", "signed difference", "standard deviation", "definition only", "examples only"]
    assert [row["name"] for row in rows] == [*names, "gold answer", "drop rate 0.9"]
    assert rows[0]["mean"] == pytest.approx(mean, rel=1e-5) and rows[0]["rank"] == pytest.approx(1)
    assert rows[6]["n_scored"] > rows[0]["n_scored"]  # at a high rate, fewer copies lose nothing


def test_the_rank_correlation_is_spearmans():
    one, other = torch.tensor([0.1, 0.4, 0.2, 0.9]), torch.tensor([1.0, 5.0, 2.0, 2.0])
    ranks = pandas.Series(one.tolist()).rank().corr(pandas.Series(other.tolist()).rank())
    assert agreement(one, other) == pytest.approx(ranks) and agreement(one, torch.ones(4)) is None


def test_the_example_is_the_clean_task_of_median_uncertainty_measured_alone(measured):
    spec, result, of_loop = measured
    example, of_task = result["example"], dict(zip(of_loop["task"], of_loop["uncertainty"]))
    noise = pool_tasks(spec.pool, spec.seed).noise
    clean = sorted(u for task, u in of_task.items() if noise[task] == 0)
    assert of_task[example["task"]] == clean[len(clean) // 2]
    assert uncertainty(torch.tensor([example["p"]])).item() == pytest.approx(of_task[example["task"]], abs=1e-6)
