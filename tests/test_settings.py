"""The table of the paper's settings and ours leaves nothing out and marks every difference."""

import dataclasses
from types import SimpleNamespace

import pytest

from ditune.chapters import settings
from ditune.chapters.common import by_rules
from ditune.rewriting.specs import ModelSpec, TaskSpec, TrainSpec

PARTS = {"task": TaskSpec, "model": ModelSpec, "train": TrainSpec}


def specs(task=None, model=None, train=None, n_rules=(1000,), n_test=100_000):
    return by_rules(list(n_rules), 0, 2, n_test, task or {}, model or {}, train or {})


def rows(runs) -> dict[str, str]:
    """The values here by setting."""
    lines = settings.table(SimpleNamespace(specs=runs, name="00_x")).splitlines()[5:-1]
    return {cells[1]: cells[4] for cells in ([cell.strip() for cell in line.split("|")] for line in lines)}


@pytest.mark.parametrize("part", PARTS)
def test_every_field_of_the_specs_has_one_setting(part):
    assert sorted(s.field for s in settings.SETTINGS if s.part == part) == sorted(
        f.name for f in dataclasses.fields(PARTS[part])
    )


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
    assert not any("**" in value for value in rows(specs()).values())
    changed = rows(specs(task={"x_len": 5}, train={"optimizer": "muon", "muon_lr": 0.02}, n_test=500))
    bold = [name for name, value in changed.items() if "**" in value]
    assert bold == ["length of x", "optimiser", "peak rate of Muon", "examples of each test"]
