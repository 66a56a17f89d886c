"""Notebooks: parameters are checked before anything starts; executing twice gives the same bytes."""

import json
import tempfile
from pathlib import Path

import nbformat
import pytest
from conftest import PARAMETERS, notebook
from stub_kind import StubSpec

from ditune import notebooks, study
from ditune.specs import SpecError
from ditune.store import guard, records


@pytest.fixture(autouse=True)
def profiles(study_folder, chapter):
    (study_folder / "notebooks/profiles/study.yaml").write_text("_seeds: &s {n_seeds: 3}\n02_rules:\n  <<: *s\n  rate: 1\n")
    chapter(lambda n_seeds, **rest: [StubSpec(seed=s) for s in range(n_seeds)])

def test_parameters_are_the_notebooks_then_the_profiles_then_the_overrides():
    rules, model = notebooks.plan([], "study", [("n_rules", "[10]"), ("name", "c"), ("depth", "3")])
    assert rules.parameters == {"n_rules": [10], "n_seeds": 3, "rate": 1.0, "name": "c", "limit": None}
    assert isinstance(rules.parameters["rate"], float) and rules.changed.keys() == {"n_rules", "n_seeds", "rate", "name"} and len(rules.specs) == 3
    assert model.parameters == {"depth": 3} and model.specs == []
    (same,) = notebooks.plan(["02"], "smoke")
    assert same.changed == {} and same.parameters["name"] == "a=b#c"


def test_a_mapping_on_the_command_line_changes_the_keys_that_it_names(study_folder):
    notebook(study_folder, "04_train", "train = {'lr': 1.0, 'n_steps': 5}\nother = {'a': 1}\n")
    (study_folder / "notebooks/profiles/study.yaml").write_text("04_train: {train: {n_steps: 450, optimizer: muon}}")
    (planned,) = notebooks.plan(["04"], "study", [("train", "{n_steps: 600}"), ("other", "{b: 2}")])
    assert planned.parameters == {"train": {"n_steps": 600, "optimizer": "muon"}, "other": {"a": 1, "b": 2}}


@pytest.mark.parametrize("names, profile, overrides, message", [
    (["02_rule"], "study", [], None),
    (["04"], "study", [], "unknown notebook '04'"),
    (["02_rlues"], "study", [], "unknown notebook '02_rlues'; did you mean '02_rules'?"),
    (["0"], "study", [], "unknown notebook '0'"),
    ([], "studdy", [], "unknown profile 'studdy'; did you mean 'study'?"),
    (["02"], "study", [("n_rule", "3")], "unknown parameter 'n_rule'; did you mean 'n_rules'?"),
    (["03"], "study", [("n_rules", "3")], "unknown parameter 'n_rules'"),
    (["02"], "study", [("n_rules", "3")], "n_rules = 3 has the wrong type; allowed: list of int, such as [50, 500]"),
    (["02"], "study", [("n_rules", "[3, x]")], "n_rules = [3, 'x'] has the wrong type"),
    (["02"], "study", [("n_seeds", "2.5")], "n_seeds = 2.5 has the wrong type; allowed: int"),
    (["02"], "study", [("n_seeds", "yes")], "n_seeds = 'yes' has the wrong type"),
    (["02"], "study", [("n_seeds", "true")], "n_seeds = True has the wrong type"),
    (["02"], "study", [("rate", ".nan")], "rate = nan; allowed: finite numbers"),
    (["02"], "study", [("rate", "1e999")], "rate = inf; allowed: finite numbers"),
    (["02"], "study", [("limit", "[1, -.inf]")], "limit = [1, -inf]; allowed: finite numbers"),
    (["02"], "study", [("n_rules", "[" * 3000)], "is not valid YAML: too many brackets"),
    (["02"], "study", [("n_rules", "&a [*a]")], "is not valid YAML: Circular reference"),
    (["02"], "study", [("limit", "{a: 1, b: 2, a: 3}")], "'a' occurs twice"),
    (["02"], "study", [("name", "7")], "name = 7 has the wrong type; allowed: str"),
    (["02"], "study", [("rate", "fast")], "rate = 'fast' has the wrong type; allowed: float"),
    (["02"], "study", [("rate", "1e-3")], None),
    (["02"], "study", [("limit", "5")], None),
    (["02"], "study", [("n_rules", "[3")], "n_rules = '[3' is not valid YAML"),
])
def test_mistakes_are_one_line_with_the_nearest_name(names, profile, overrides, message):
    if message is None:
        notebooks.plan(names, profile, overrides)
    else:
        with pytest.raises(SpecError) as error:
            notebooks.plan(names, profile, overrides)
        assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text, message", [("02_ruls: {rate: 1}", "'02_ruls'; did you mean '02_rules'"), ("02_rules: {rat: 1}", "'rat'; did you mean 'rate'"), ("02_rules: {rate: x}", "wrong type"), ("a: [", "study.yaml"), ("[1]", "study.yaml: allowed"), ("02_rules: 7", "02_rules: 7; allowed"), ("7: {}", "notebook in profile study: '7'"), ("\xe9", "study.yaml"), ("a: " + "9" * 5000, "study.yaml"), ("02_rules: {rate: 1}\n\n02_rules: {rate: 2}", "study.yaml: '02_rules' occurs twice in .*, line 3"), ("02_rules: {rate: .inf}", "finite")])
def test_mistakes_in_a_profile_are_found(study_folder, text, message):
    (study_folder / "notebooks/profiles/study.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(SpecError, match=message) as error:
        notebooks.plan(["02"], "study")
    assert "\n" not in str(error.value)


def test_yaml_is_that_of_version_1_2_and_a_mapping_may_be_merged_twice():
    assert notebooks.from_yaml("[010, 1:30, 0o10, 0x1f, 1e3, -.5, yes, True, ~, 2020-01-01]") == [10, "1:30", 8, 31, 1000, -0.5, "yes", True, None, "2020-01-01"]
    assert notebooks.from_yaml("a: &a {x: 1}\nb: &b {<<: *a, x: 2}\nc: {<<: *b}\nd: {<<: *b, y: 3}")["d"] == {"x": 2, "y": 3}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"cells": 3}', '{"cells": [{}]}', '{"cells": [], "cells": []}', "[" * 100_000, "\xe9"])
def test_a_notebook_that_is_none_ends_only_what_reads_it_and_in_one_line(study_folder, text):
    (study_folder / "notebooks/04_bad.ipynb").write_text(text, encoding="latin-1")
    (study_folder / "notebooks/profiles/study.yaml").write_text("04_bad: {a: 1}")
    assert notebooks.plan(["02"], "study")[0].stem == "02_rules"
    for names in (["04"], []):
        with pytest.raises(SpecError, match="04_bad.ipynb is no notebook") as error:
            notebooks.plan(names, "study")
        assert "\n" not in str(error.value)


def test_a_folder_without_notebooks_is_named(study_folder, monkeypatch):
    monkeypatch.setenv("DITUNE_ROOT", str(study_folder / "elsewhere"))
    with pytest.raises(SpecError, match="no notebooks in .*/elsewhere/notebooks; DITUNE_ROOT"):
        notebooks.plan(["02"], "study")


def test_an_unknown_parameter_of_plain_papermill_is_refused():
    values = {"n_rules": [10], "n_seeds": 1, "rate": 0.1, "name": "", "limit": None, "In": ["", "n_rules = [10]", "# Parameters\nn_rules = [10]\n"]}
    assert notebooks.of_kernel("02_rules", values | {"x": 3})["n_rules"] == [10]
    values["In"].append("# Parameters\nn_rule = 10\n")
    with pytest.raises(SpecError, match="unknown parameter of 02_rules: 'n_rule'; did you mean 'n_rules'"):
        notebooks.of_kernel("02_rules", values)


@pytest.mark.parametrize("source", ["n = 2 * 3", "import os", "a = b = 1", "n += 1", "a, b = 1, 2", "print(1)", "x: int"])
def test_only_literals_are_parameters_and_they_stand_in_one_cell(study_folder, source):
    notebook(study_folder, "04_bad", f"n = 1\n{source}")
    with pytest.raises(SpecError, match="may only be literals"):
        notebooks.plan(["04"], "study")
    notebook(study_folder, "04_bad", "n = 1", tag="other")
    with pytest.raises(SpecError, match="0 cells tagged 'parameters'"):
        notebooks.plan(["04"], "study")


PATHS = [str(Path(__file__).parent), str(guard.PACKAGE.parent)]
CELLS = (
    "import os\nfrom ditune.store import records\nfrom stub_kind import StubSpec\ntable = records.frame([StubSpec(seed=s) for s in range(n_seeds)])\ntable[['seed', 'exact_match', 'state']]",
    "print(len(table), rate, os.path.basename(os.getcwd()))",
    "%matplotlib inline\n%config InlineBackend.figure_formats = ['svg']\nimport matplotlib; matplotlib.rcParams['svg.hashsalt'] = 'ditune'\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",
)


def outcomes(profile="study", names=("02",), **options):
    return sorted(study.run_notebooks(notebooks.plan(list(names), profile), profile, **options))


def computed(root):
    return len((root / "home/log").read_text().splitlines())


@pytest.mark.slow
def test_executing_twice_gives_the_same_bytes_and_executes_only_what_changed(study_folder):
    notebook(study_folder, "02_rules", PARAMETERS, f"import sys\nsys.path += {PATHS}\n{CELLS[0]}", *CELLS[1:])
    assert outcomes() == [("02_rules", "executed", "")]
    copy = notebooks.executed("02_rules")
    first = copy.read_bytes()
    content = nbformat.read(copy, 4)
    nbformat.validate(content)
    assert content.cells[3].outputs[0].text == "3 1.0 notebooks\n" and "image/svg+xml" in first.decode()
    assert content.cells[1].metadata.tags == ["injected-parameters", "hide-input"] and "rate = 1.0" in content.cells[1].source
    assert [output.output_type for output in content.cells[2].outputs] == ["execute_result"]
    assert outcomes() == [("02_rules", "unchanged", "")] and computed(study_folder) == 3
    copy.unlink()
    assert outcomes() == [("02_rules", "executed", "")] and computed(study_folder) == 3
    assert copy.read_bytes() == first and list(copy.parent.iterdir()) == [copy]


@pytest.mark.slow
def test_force_computes_and_executes_again(study_folder):
    assert outcomes(names=("02", "03")) == [(stem, "executed", "") for stem in ("02_rules", "03_model")]
    assert outcomes(names=("02",), force=True) == [("02_rules", "executed", "")] and computed(study_folder) == 6


@pytest.mark.slow
def test_a_failing_notebook_keeps_its_previous_copy_and_the_others_are_executed(study_folder):
    copy = notebooks.executed("02_rules")
    copy.parent.mkdir(parents=True)
    copy.write_text("previous")
    notebook(study_folder, "02_rules", PARAMETERS, "def f():\n    raise KeyError('no such column')\nf()")
    found = {stem: (outcome, error) for stem, outcome, error in study.run_notebooks(notebooks.plan([], "smoke"), "smoke")}
    assert found == {"02_rules": ("failed", "cell 1: KeyError: 'no such column'"), "03_model": ("executed", "")}
    assert copy.read_text() == "previous"


@pytest.mark.slow
@pytest.mark.parametrize("whom, outcome", [("getppid", ""), ("getpid", "DeadKernelError: Kernel died")])
def test_a_killed_process_or_kernel_takes_no_other_notebook_with_it(study_folder, whom, outcome, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(study_folder))
    once = f"import os, pathlib\ndone = pathlib.Path('../done')\nif not done.exists():\n    done.touch()\n    os.kill(os.{whom}(), 9)"
    notebook(study_folder, "02_rules", PARAMETERS, once)
    found = {stem: error for stem, _, error in study.run_notebooks(notebooks.plan([], "smoke"), "smoke", jobs=2)}
    assert found == {"02_rules": outcome, "03_model": ""}
    assert not list(study_folder.glob("ditune-*")), "the folder of the sockets"


def test_a_notebook_whose_run_failed_is_not_executed(chapter):
    chapter(lambda **rest: [StubSpec(fail="raise")])
    ((stem, outcome, error),) = study.run_notebooks(notebooks.plan(["02"], "smoke"), "smoke")
    assert (stem, outcome) == ("02_rules", "failed") and "this spec fails" in error
    assert not notebooks.executed(stem).exists()


def test_fingerprint_changes_with_all_that_the_copy_depends_on(study_folder, monkeypatch):
    def now(profile="smoke", **given):
        return notebooks.fingerprint(notebooks.plan(["02"], profile, list(given.items()))[0])

    seen = [now(), now("study"), now(rate="0.2")]
    assert now() == seen[0]
    records.save(records.make(StubSpec(seed=0), {"metrics": {}}))
    seen.append(now())
    records.save(records.make(StubSpec(seed=0), {"metrics": {}}), records.results())
    seen.append(now())
    records.write(study_folder / "book/data/points.csv", "x, y")
    seen.append(now())
    notebook(study_folder, "02_rules", PARAMETERS, "1 + 1")
    seen.append(now())
    monkeypatch.setattr(notebooks, "installed", lambda: ["another version"])
    seen.append(now())
    assert len(set(seen)) == len(seen)


def test_an_edit_of_any_file_that_a_page_depends_on_changes_its_fingerprint_and_of_another_chapter_does_not(study_folder, monkeypatch):
    (planned,) = notebooks.plan(["02"], "smoke")
    sources = {"study.py": "1", "report/plots.py": "2", "rewriting/plots.py": "3", "chapters/common.py": "", "chapters/model.py": ""}
    for name, text in (sources | {"chapters/rules.py": "from .shared import x", "chapters/shared.py": ""}).items():
        records.write(study_folder / "package" / name, text)
    monkeypatch.setattr(guard, "PACKAGE", study_folder / "package")
    before = notebooks.fingerprint(planned)
    for path in sorted((study_folder / "package").rglob("*.py")):
        text = path.read_text()
        path.write_text(f"{text}  # edited")
        assert (notebooks.fingerprint(planned) == before) == (path.name == "model.py"), path
        path.write_text(text)
    assert notebooks.fingerprint(planned) == before


def test_measured_speeds_count_where_they_are_shown(chapter):
    (planned,) = notebooks.plan(["02"], "smoke")
    speeds = records.results() / "benchmarks/machine.json"
    records.write(speeds, "{}")
    assert speeds not in notebooks.sources(planned)
    chapter(lambda **rest: [], READS=("benchmarks",))
    (planned,) = notebooks.plan(["02"], "smoke")
    assert speeds in notebooks.sources(planned)


def test_outputs_do_not_change_the_fingerprint(study_folder):
    path = study_folder / "notebooks/02_rules.ipynb"
    (planned,) = notebooks.plan(["02"], "smoke")
    before = notebooks.fingerprint(planned)
    content = json.loads(path.read_text())
    content["cells"][0].update(outputs=[{"output_type": "stream", "name": "stdout", "text": "x"}], execution_count=3)
    path.write_text(json.dumps(content))
    assert notebooks.fingerprint(planned) == before
