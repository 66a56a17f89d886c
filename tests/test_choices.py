"""The table of the paper's settings and ours leaves nothing out and marks every difference."""

import dataclasses

import pytest

from ditune import experiments
from ditune.chapters import settings
from ditune.rewriting.specs import ModelSpec, TaskSpec, TrainSpec

PARTS = {"task": TaskSpec, "model": ModelSpec, "train": TrainSpec}


def specs(task=None, model=None, train=None, n_rules=(1000,), n_test=100_000):
    return experiments.number_of_rules(list(n_rules), 0, 2, n_test, task or {}, model or {}, train or {})


@pytest.mark.parametrize("part", PARTS)
def test_every_field_of_the_specs_has_one_setting(part):
    assert sorted(s.field for s in settings.SETTINGS if s.part == part) == sorted(f.name for f in dataclasses.fields(PARTS[part]))


def test_every_setting_gives_a_reason_and_a_known_label():
    for setting in settings.SETTINGS:
        assert setting.why and setting.otherwise and setting.label in ("text", "inferred", "read off", "not stated")
        assert bool(setting.paper) == (setting.label != "not stated")


def test_the_defaults_are_the_papers_where_it_states_a_number():
    for setting in settings.SETTINGS:
        value = settings.shown(getattr(getattr(settings.PAPER, setting.part), setting.field))
        if setting.paper.replace(",", "").replace(".", "").isdigit() and setting.label in ("text", "inferred"):
            assert value == setting.paper, setting.field


def test_only_what_differs_is_bold():
    assert not any("**" in row[3] for row in settings.rows({"runs": specs()}))
    changed = settings.rows({"runs": specs(task={"x_len": 5}, train={"optimizer": "muon", "muon_lr": 0.02}, n_test=500)})
    assert [row[0] for row in changed if "**" in row[3]] == ["length of x", "optimiser", "peak rate of Muon", "examples of each test"]


def test_several_values_are_shown_as_a_range():
    found = {row[0]: row[3] for row in settings.rows({"runs": specs(n_rules=(10, 300, 20))})}
    assert found["rules I"] == "**10 to 300, 3 values**" and found["seeds"] == "2"


def test_several_values_without_an_order_are_listed():
    tails = [*specs(), *specs(task={"tail_alpha": 0.5})]
    mixes = specs(task={"families": ["repeated", "periodic"], "k": [2, 3]}) + specs(task={"families": ["mirrored"], "k": [2, 4]})
    assert {row[0]: row[3] for row in settings.rows({"runs": tails})}["long tail"] == "**none; 0.5**"
    found = {row[0]: row[3] for row in settings.rows({"runs": mixes})}
    assert found["families of words"] == "**repeated + periodic; mirrored**" and found["constrainedness k"] == "**2 to 3; 2 to 4**"


def test_passes_over_the_data_are_steps_times_batch_over_examples():
    found = {row[0]: row[3] for row in settings.rows({"runs": specs(task={"n_examples": 128_000}, train={"n_steps": 500})})}
    assert found["steps (passes over the data)"] == "**500 (0.5 passes)**"


def test_two_sets_of_runs_stand_side_by_side():
    tables = {"small": specs(task={"x_len": 5}, train={"n_steps": 500}), "large": specs(n_rules=(10, 20))}
    found = {row[0]: row[3:] for row in settings.rows(tables)}
    assert {len(row) for row in settings.rows(tables)} == {len(settings.header(tables))} and settings.header(tables)[3:5] == ["small", "large"]
    assert found["length of x"][:2] == ["**5**", "20"] and found["rules I"][:2] == ["1,000", "**10 to 20, 2 values**"]
    assert found["steps (passes over the data)"][:2] == ["**500 (0.1 passes)**", "390,625 (50.0 passes)"]
