"""17: seconds are those of the records, comparisons those of the files, and both may be missing."""

from types import SimpleNamespace

import pytest
from made_up import svg, texts

from ditune.chapters import cost
from ditune.report import bench
from ditune.specs import SpecError
from ditune.study import chapters


def row(what="training step, 3 x 64", peer="Trainer + GPT2LMHeadModel", ratio=1.5, target=2.0) -> dict:
    """One comparison in seconds."""
    sides = {"ours": 2.0, "ours_spread": [1.5, 2.5], "ours_all": [2.0] * 3, "peer": 2 * ratio, "peer_spread": [3.0], "peer_all": [3.0]}
    return sides | {"what": what, "peer_name": peer, "unit": "s", "ratio": ratio, "target": target, "note": "a remark"}


def measured(*rows: dict) -> dict:
    """The file of a machine."""
    made = {"rows": list(rows), "libraries": {"torch": "2", "transformers": "4"}, "git": {"commit": "1a2b3c4d5e"}, "date": "2026-01-02T03"}
    return {"machine": {"cpu": "a CPU", "cores": 2, "gpu": None}, "benchmarks": {"training": made}}


def chapter(name: str, *seconds: float, n_models: int = 1) -> SimpleNamespace:
    """A chapter with recorded runs that took so long."""
    found = [SimpleNamespace(spec=SimpleNamespace(key=str(s)), result={"wall_s": s, "n_models": n_models}) for s in seconds]
    return SimpleNamespace(name=name, records=found)


def test_seconds_are_those_of_a_run_and_shared_runs_count_once(monkeypatch):
    monkeypatch.setattr(bench, "read", lambda: [measured(row())])
    study = [chapter("02_a", 1800.0, 3600.0), chapter("03_b", 3600.0), chapter("04_c", 7200.0, n_models=4)]
    assert cost.answer(study).startswith("**The 3 recorded runs took 2 core-hours, 1.8e+03 seconds") and "1.5 times as fast" in cost.answer(study)
    assert "| {doc}`02_a` | 2 | 2,700 | 1,800 to 3,600 | 90 |" in cost.table_runs(study)
    assert "| {doc}`04_c` | 1 | 1,800 |" in cost.table_runs(study)


def test_the_figure_has_what_was_aimed_at_and_the_table_all():
    content = measured(row(), row(peer="rate of matrix products", ratio=0.4), row("other", "a program", 3.0, None))
    figure = cost.figure_speed([content])
    assert texts(figure).count("against") == 1 and "1.5" in texts(figure) and "a CPU" in texts(figure)
    assert svg(figure) == svg(cost.figure_speed([content]))
    table = cost.table_speed([content])
    assert table.count("| a CPU |") == 3 and "2: **not reached**" in table and "2 (1.5 to 2.5; 3) s | 3 (1)" in table


def test_nothing_measured_and_nothing_recorded_is_said():
    assert "ditune bench" in cost.table_speed([]) and "none recorded" in cost.table_runs([])
    cost.figure_speed([])
    with pytest.raises(SpecError, match="unknown profile 'nope'"):
        chapters("nope")
