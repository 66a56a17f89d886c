"""Data of runs: a set that is missing, broken or too small is told in one line before any run starts."""

import contextlib
import json

import pytest
from conftest import TASKS, clone

from ditune import notebooks, study
from ditune.language import catalogue, codegen, instructions, natural
from ditune.language.runs import check_instructions, check_tasks
from ditune.language.specs import FirstSpec, InstructionMapSpec, InstructionsSpec, LanguageSpec, MapSpec
from ditune.specs import SpecError
from ditune.store import backends, kinds, records

pytestmark = pytest.mark.usefixtures("home")
LOOP = {"pool": ["made_tasks"], "test": ["made_tasks"], "n_test": 3, "n_test_instances": 1, "n_written": 1, "n_validation": 0, "n_initial": 3, "n_candidates": 5, "n_instances": 1}


MISSING = {"set": "alpaca_code codealpaca_2k gpteacher_codegen dolly_3k gsm8k_train oss_instruct", "pool": "p3", "benchmark": "humaneval mbpp"}


@pytest.mark.parametrize("kind, name", [(kind, name) for kind, names in MISSING.items() for name in names.split()])
def test_what_is_not_here_says_which_where_from_its_licence_and_the_variable(kind, name, tmp_path, monkeypatch):
    load = {"set": instructions.load, "pool": natural.load, "benchmark": codegen.load}[kind]
    known = {"set": catalogue.SETS, "pool": catalogue.POOLS, "benchmark": catalogue.BENCHMARKS}[kind][name]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for said in ("DITUNE_DATA is not set", f"DITUNE_DATA = '{tmp_path}' holds none of"):
        with pytest.raises(SpecError) as error:
            load(name)
        assert f"the {kind} {name!r} is not here: {said}" in str(error.value) and "\n" not in str(error.value)
        assert known.origin in str(error.value) and f"licence: {known.licence}" in str(error.value)
        monkeypatch.setenv("DITUNE_DATA", str(tmp_path))
    with pytest.raises(SpecError, match=f"unknown {kind} '{name}x'; did you mean"):
        load(f"{name}x")


def test_a_missing_pool_or_set_ends_a_computation_before_anything_starts(monkeypatch):
    monkeypatch.setattr(backends, "choose", lambda *a: pytest.fail("something was started"))
    with pytest.raises(SpecError, match="^the pool 'p3' is not here: DITUNE_DATA is not set [^\n]*$"):
        study.compute([MapSpec.of(pool=["p3"]), FirstSpec.of(**LOOP)])
    for spec in (LanguageSpec.of(sets=["oss_instruct"]), InstructionMapSpec.of(sets=["oss_instruct", "stdlib"])):
        with pytest.raises(SpecError, match="^the set 'oss_instruct' is not here"):
            study.compute([spec])


@pytest.mark.parametrize("changes, message", [
    ({"n_candidates": 500}, "the pools made_tasks have [0-9]+ tasks for 'candidates' with the share 0.35 of classification tasks; asked for: 500"),
    ({}, None),
    ({"n_test": 100}, "tasks for 'test' .* asked for: 100"),
    ({"n_validation": 60}, "tasks for 'validation' .* asked for: 60|leave"),
    ({"left_out": ["made_iso_dates"]}, "unknown task in left_out 'made_iso_dates'; did you mean 'made_iso_date'"),
    ({"most_letters": 1}, "pools made_tasks: no task has an instance of up to 1 letters"),
])
def test_more_tasks_than_there_are_and_unknown_ones_are_refused(changes, message):
    with pytest.raises(SpecError, match=message) if message else contextlib.nullcontext():
        check_tasks(FirstSpec.of(**LOOP | changes))


@pytest.mark.parametrize(
    ("content", "error"),
    [("{", "JSONDecodeError"), ("[]", "AttributeError"), (json.dumps({"Positive Examples": [{"input": "a", "output": []}]}), "IndexError"), (json.dumps({"Instances": [{"id": "f", "output": ["y"]}]}), "KeyError: 'input'"), (json.dumps({"Instances": [{"output": ["a"]}]}), "KeyError")],
)
def test_a_task_that_cannot_be_read_is_named_by_its_file(tmp_path, content, error):
    folder = clone(tmp_path / "clone")
    check_tasks(MapSpec.of(pool=[str(folder)]))
    (folder / "tasks" / f"{list(TASKS)[2]}.json").write_text(content)
    with pytest.raises(SpecError, match=f"/tasks/{list(TASKS)[2]}.json cannot be read as a task: {error}"):
        check_tasks(MapSpec.of(pool=[str(folder)]))


def test_a_set_of_instructions_that_is_too_small_is_refused():
    few = {"model": "tiny", "pool": "made_general", "test": ["made_reasoning"], "n_test": 3}
    check_instructions(InstructionsSpec.of(**few, n_candidates=5))
    with pytest.raises(SpecError, match="the set 'made_general' has [0-9]+ instructions of at most 4000 letters; needed: 40000"):
        check_instructions(InstructionsSpec.of(**few, n_candidates=40_000))


def test_the_data_of_the_smallest_profile_are_always_here(monkeypatch):
    monkeypatch.delenv("DITUNE_ROOT")
    specs = [spec for planned in notebooks.plan(["13", "14", "15", "16"], "smoke") for spec in planned.specs]
    assert all(kinds.kind_of(spec).check for spec in specs)
    study.check_data(specs)


def test_all_named_pools_are_named_on_the_page_of_how_to_run_it(monkeypatch):
    monkeypatch.delenv("DITUNE_ROOT")
    page = (records.root() / "book" / "reproduce.md").read_text()
    assert all(name in page or name.replace("_", "-") in page for name in catalogue.POOLS)
