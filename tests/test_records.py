"""The store: a record is whole or absent, and is reused only for the same spec and the same sources."""

import json
import os

import pytest
from stub_kind import StubSpec

from ditune.rewriting.specs import EvalSpec, RunSpec, TaskSpec
from ditune.specs import SpecError
from ditune.store import records

pytestmark = pytest.mark.usefixtures("home")
RESULT = {
    "metrics": {
        "unseen": {"exact_match": 0.5, "n": 10, "slices": {"k": {"1": [0.25, 4], "2": [1.0, 6]}}},
        "seen": {"exact_match": 0.75, "n": 10},
    },
    "curve": [{"step": 5, "loss": 1.5, "unseen": 0.25}],
    "tokens": 7,
    "wall_s": 3.0,
    "tokens_per_s": 2.0,
    "device": "cpu",
}


def test_saved_record_is_found_fresh_and_says_what_made_it():
    spec = RunSpec(seed=3)
    records.save(records.make(spec, RESULT))
    record = records.find(spec)
    assert (record.state, record.result) == ("fresh", RESULT)
    assert record.data["seed"] == 3 and record.data["spec"] == spec.to_dict() and record.data["changed"] == {"seed": 3}
    assert record.data["libraries"]["torch"] and record.data["machine"]["cpu"] and record.data["command"].endswith(f"{spec.key} --force")
    assert records.spec_of_key(spec.key) == spec
    assert records.find(RunSpec(seed=4)) is None
    with pytest.raises(SpecError, match="no record"):
        records.spec_of_key("0" * 16)


def test_a_changed_default_is_another_spec_and_a_new_field_is_not():
    spec = RunSpec()
    data = records.make(spec, RESULT)
    data["spec"]["train"]["lr"] = 5e-4  # what the default was, then
    records.save(data)
    assert records.find(spec) is None
    data = records.make(spec, RESULT)
    del data["spec"]["task"]["tail_alpha"]  # the record is older than this field
    records.save(data)
    assert records.find(spec).state == "fresh"


def changed(**changes):
    """A record with other content, as it would be written."""

    def damage(path):
        data = json.loads(path.read_text()) | changes
        path.write_text(json.dumps(data | {"sum": records.checksum(data)}))

    return damage


def text(content):
    return lambda path: path.write_text(content)


def replaced(old, new):
    return lambda path: path.write_text(path.read_text().replace(old, new))


def folder(path):
    path.unlink()
    (path / "a").mkdir(parents=True)


def loop(path):
    path.unlink()
    path.symlink_to(path)


DAMAGES = [
    *map(text, ["", '{"key": "x', "[]", "null", '{"key": "other"}', "[" * 100_000, "\x00"]), folder, loop, replaced('"loss": 1.5', '"loss": NaN'),
    *(changed(result=result) for result in (None, [], {}, {"metrics": 3}, {"metrics": {"unseen": 1}}, {"metrics": {}, "curve": [1]})),
    *(changed(result={"metrics": {"unseen": {"exact_match": value}}}) for value in ("high", None, True, [1])),
    changed(error="failed", result=RESULT), changed(spec=[]), changed(machine={}), changed(git=None), changed(sources=1),
    replaced('"exact_match": 0.5', '"exact_match": 1e999'), replaced('"exact_match": 0.5', '"exact_match": 0.6'), replaced('"tokens": 7', '"tokens": 8'),
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_none_said_in_one_line_and_replaced(damage):
    spec = RunSpec()
    path = records.save(records.make(spec, RESULT))
    damage(path)
    with pytest.warns(UserWarning, match="ignored the damaged record") as said:
        assert records.find(spec) is None
    assert "\n" not in str(said[0].message) and len(records.frame([spec])) == 0
    records.save(records.make(spec, RESULT))
    assert records.find(spec).state == "fresh" and os.path.lexists(f"{path}.damaged")


def test_what_its_record_says_of_a_key_is_checked():
    path = records.save(records.make(RunSpec(), RESULT) | {"kind": "RunSpek"})
    with pytest.raises(SpecError, match=f"unknown kind of run in {path}: 'RunSpek'; did you mean 'RunSpec'"):
        records.spec_of_key(RunSpec().key)


def test_an_interrupted_write_leaves_the_record_as_it_was(monkeypatch):
    spec = RunSpec()
    path = records.save(records.make(spec, RESULT))
    monkeypatch.setattr(records.os, "fsync", lambda number: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        records.save(records.make(spec, RESULT | {"tokens": 8}))
    assert records.find(spec).result["tokens"] == 7
    assert list(path.parent.iterdir()) == [path]


def test_the_committed_record_is_shown_and_a_local_one_is_for_comparison():
    spec = RunSpec()
    data = records.make(spec, RESULT)
    records.save(data | {"sources": "earlier"})
    assert records.find(spec).state == "stale"
    records.save(data, records.results())
    assert (records.find(spec).state, records.find(spec).path.parent) == ("fresh", records.results())


def test_promote_copies_fresh_local_records_only():
    fresh, stale, missing = (RunSpec(seed=seed) for seed in range(3))
    records.save(records.make(fresh, RESULT))
    records.save(records.make(stale, RESULT) | {"sources": "earlier"})
    assert records.promote([fresh, stale, missing]) == [records.results() / f"{fresh.key}.json"]
    assert json.loads((records.results() / f"{fresh.key}.json").read_text()) == records.find(fresh).data


def test_failure_is_found_until_there_is_a_result():
    spec = RunSpec()
    records.save(records.make(spec, None, "Traceback\nValueError: no"))
    assert records.find(spec).state == "failed" and records.last_line(records.find(spec).data) == "ValueError: no"
    records.save(records.make(spec, RESULT))
    assert records.find(spec).state == "fresh" and records.failure(spec) is None


def test_frame_has_a_row_for_each_run_and_evaluation_set():
    spec = RunSpec(task=TaskSpec(n_rules=300, occurrences=(1, 2)), seed=1)
    records.save(records.make(spec, RESULT))
    table = records.frame([spec, spec, RunSpec(seed=9)])
    assert list(table["eval"]) == ["unseen", "seen"] and list(table["exact_match"]) == [0.5, 0.75]
    row = table.iloc[0]
    assert (row["n_rules"], row["x_len"], row["occurrences"], row["families"]) == (300, 20, (1, 2), "uniform")
    assert row["task_n_steps"] == 1 and row["train_n_steps"] == 390_625 and row["eval_rules"] == "unseen"
    assert (row["seed"], row["state"], row["wall_s"]) == (1, "fresh", 3.0)
    assert "slices" not in table and len(records.frame([])) == 0


@pytest.mark.parametrize("device, dirty, named, commit", [("cpu", False, "a CPU", "0123456ab"), ("a GPU", True, "a GPU", "0123456ab+changes")])
def test_frame_names_the_machine_and_the_commit(device, dirty, named, commit):
    spec = RunSpec()
    data = records.make(spec, RESULT | {"device": device})
    records.save(data | {"machine": {"cpu": "a CPU"}, "git": {"commit": "0123456abcdef", "dirty": dirty}})
    assert records.frame([spec])[["device", "commit"]].values.tolist() == [[named, commit]] * 2


def test_a_record_is_json_without_nan():
    spec = RunSpec()
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.save(records.make(spec, RESULT | {"tokens": float("nan")}))
    path = records.save(records.make(spec, RESULT))
    path.write_text(path.read_text().replace('"loss": 1.5', '"loss": NaN'))
    with pytest.warns(UserWarning, match="damaged record .* not JSON compliant"):
        assert records.find(spec) is None


def test_frame_names_the_task_of_an_evaluation_set():
    spec = RunSpec(evals=(EvalSpec(name="seen", task=TaskSpec(occurrences=(2,))), EvalSpec()))
    records.save(records.make(spec, RESULT))
    assert list(records.frame([spec])["eval_task_occurrences"].fillna(0)) == [0, 2]


def test_slices_and_curves_are_long_tables():
    spec = StubSpec(name="b")
    records.save(records.make(spec, RESULT))
    table = records.slices([spec])
    assert table[["slice", "value", "exact_match", "n"]].values.tolist() == [["k", "1", 0.25, 4], ["k", "2", 1.0, 6]]
    assert records.curves([spec])[["name", "step", "loss", "unseen"]].values.tolist() == [["b", 5, 1.5, 0.25]]
