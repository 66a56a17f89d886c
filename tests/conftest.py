"""What several tests share: a study of its own, notebooks, pools of tasks, a GPU that is none, a kill."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from ditune import notebooks
from ditune.store import backends, kinds

PARAMETERS = 'n_rules = [50, 500]\nn_seeds: int = 2  # seeds\nrate = 0.1\nname = "a=b#c"\nlimit: int | None = None\n'


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder of local records in a study where nothing is recorded, without data and without a GPU."""
    monkeypatch.setenv("DITUNE_ROOT", str(tmp_path))
    monkeypatch.setenv("DITUNE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DITUNE_DATA", raising=False)
    monkeypatch.setattr(backends, "gpu_here", lambda: False)
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def study_folder(home):
    """A study of two notebooks, 02 and 03, and two profiles; `chapter` says what 02 runs."""
    notebook(home.parent, "02_rules", PARAMETERS)
    notebook(home.parent, "03_model", "depth = 2\n")
    for profile in ("smoke", "study"):
        (home.parent / f"notebooks/profiles/{profile}.yaml").write_text("")
    return home.parent


@pytest.fixture
def chapter(monkeypatch):
    """Have the notebook 02 run what a function of its parameters gives; the others run nothing."""

    def runs(function, **more):
        others, own = SimpleNamespace(runs=lambda **parameters: []), SimpleNamespace(runs=function, **more)
        monkeypatch.setattr(notebooks, "module_of", lambda name: own if name == "02_rules" else others)

    return runs


@pytest.fixture
def a_gpu(monkeypatch):
    """Have the runner believe that there is a GPU for packs of so many stubs."""

    def of(members=64):
        monkeypatch.setattr(backends, "gpu_here", lambda: True)
        monkeypatch.setitem(kinds.KINDS, "StubSpec", dataclasses.replace(kinds.KINDS["StubSpec"], most=lambda spec: members))

    return of


def notebook(root: Path, stem: str, parameters: str, *cells: str, tag: str = "parameters") -> Path:
    """A notebook in `root`/notebooks with a parameters cell and further cells of code."""
    import nbformat  # a machine of the tests for a GPU may lack it

    (root / "notebooks" / "profiles").mkdir(parents=True, exist_ok=True)
    new = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (parameters, *cells)])
    new.cells[0].metadata["tags"] = [tag]
    for number, cell in enumerate(new.cells):
        cell.id = f"cell-{number}"
    path = root / "notebooks" / f"{stem}.ipynb"
    nbformat.write(new, path)
    return path


class Killed(Exception):
    """Stands for a kill: raised from the progress call."""


def kill_after(step: int):
    """A progress call that kills at the first step behind this one."""

    def progress(now, n_steps):
        if now > step:
            raise Killed

    return progress


def nothing(step, n_steps):
    """No progress is shown."""


ENGLISH = {"Input_language": ["English"], "Output_language": ["English"]}
TASKS = {
    "task001_plain": ENGLISH | {
        "Definition": ["Say the colour."],
        "Positive Examples": [{"input": "grass", "output": "green", "explanation": "It is."}, {"input": "snow", "output": "white", "explanation": ""}],
        "Instances": [{"id": "a-0", "input": "coal ", "output": ["black", "dark"]}, {"id": "a-1", "input": "milk", "output": ["white"]}],
        "Categories": ["Question Answering"], "Source": ["made"], "Instance License": ["MIT"],
    },
    "task002_no_definition": {"Instances": [{"id": f"b-{i}", "input": f"1 + {i}", "output": [str(1 + i)]} for i in (1, 2)]},
    "task003_one_example": {"Definition": "Count.", "Positive Examples": [{"input": "a", "output": "1"}], "Instances": [{"id": f"c-{i}", "input": "a" * i, "output": str(i)} for i in (2, 3, 3)]},
    "task004_twice": {"Definition": ["Copy."], "Instances": [{"id": "d-0", "input": "x", "output": ["x"]}, {"id": "d-0", "input": "y", "output": ["y"]}, {"id": "d-1", "input": "z", "output": [""]}]},
    "task005_french": {"Input_language": ["English"], "Output_language": ["French"], "Definition": ["Translate."], "Instances": [{"id": "e-0", "input": "yes", "output": ["oui"]}]},
    "task006_test": {"Definition": ["Test."], "Instances": [{"id": "f-0", "input": "x", "output": ["y"]}]},
}  # fmt: skip
SPLIT = {"train": list(TASKS)[:5], "test": ["task006_test"]}


def clone(folder: Path, split=SPLIT, tasks=TASKS) -> Path:
    """A clone of Super-NaturalInstructions in small."""
    (folder / "splits" / "default").mkdir(parents=True)
    (folder / "tasks").mkdir()
    for name, task in tasks.items():
        (folder / "tasks" / f"{name}.json").write_text(json.dumps(task))
    for name, of_split in split.items():
        (folder / "splits" / "default" / f"{name}_tasks.txt").write_text("".join(f"{task}\n" for task in of_split))
    return folder
